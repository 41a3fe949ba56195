//! The rotation check: finds out which vault secrets changed since their values were last read, at the lower
//! of two costs.
//!
//! Listing the vault costs a call for every 25 secrets in it; asking for each followed secret costs a call
//! each. The check lists, and turns to asking as soon as the list has cost as much as asking would.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures::StreamExt;
use jiff::Timestamp;
use rand::RngExt;
use tokio_util::sync::CancellationToken;

use super::{EnqueueOptions, Reconciler, SharedReads, expiring, failure::explain};
use crate::{
    edge::engine::reads_values,
    model::{Condition, ConditionType, Origin, State, VaultSecret, VaultSecretName, VaultVersion},
    store::{Record, StoreError},
    vault::{Priority, VaultError},
};

/// Vault secrets asked for at a time; the vault's client has a bound of its own over all calls.
const ASKED_AT_A_TIME: usize = 8;

/// What is known of a followed vault secret: who follows it, and what they hold.
#[derive(Default)]
struct Followed {
    users: Vec<Arc<Record>>,
}

impl Reconciler {
    /// Checks again and again until told to stop.
    pub(super) async fn rotate(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.next_check()) => {}
                // The vault may have changed while another process looked after it.
                () = self.0.taken_over.notified() => {}
                () = stop.cancelled() => return,
            }
            if self.is_standby() {
                continue;
            }
            self.enqueue_unsettled();
            if let Err(error) = self.refresh_expiry().await {
                tracing::warn!(%error, "expiry conditions could not be recorded; trying again with the next check");
            }
            let view = self.0.store.view();
            self.0.contentions.prune(|uid| view.get_by_uid(uid).is_some());
            if let Err(error) = self.check().await {
                tracing::warn!(%error, "the result of the rotation check could not be recorded; trying again with the next check");
            }
        }
    }

    /// Wakes the followers of every vault secret that changed.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let mut left = followed(self.0.store.view().snapshot().records);
        let names: BTreeSet<VaultSecretName> = left.keys().cloned().collect();
        let mut changed = Vec::new();
        let swept = self.sweep(&mut left, &mut changed).await;
        self.0.comparisons.note(names.iter().filter(|name| !left.contains_key(*name)));
        let reads = Arc::new(SharedReads::new(self.0.vault.clone(), Priority::Background));
        let trouble = match swept {
            Err(error) if error.is_transient() => Some(explain(&error)),
            // A vault that refuses the list may give the secrets one by one.
            other => {
                if let Err(error) = other {
                    tracing::debug!(%error, "the vault can't be listed; asking for each secret");
                }
                let asked = ask(left, &reads).await;
                self.0.comparisons.note(&asked.compared);
                changed.extend(asked.changed);
                asked.trouble
            }
        };
        if let Some(trouble) = &trouble {
            tracing::warn!(
                "the rotation check did not compare everything; the next check continues. {trouble}"
            );
        }
        // Who has come to follow something meanwhile has read it.
        let followed = followed(self.0.store.view().snapshot().records);
        self.0.comparisons.end_check(|name| followed.contains_key(name), trouble);
        for record in changed.iter().flat_map(|followed| &followed.users) {
            self.enqueue(
                record.secret.uid,
                EnqueueOptions { refetch: Some(reads.clone()), interactive: false },
            );
        }
        self.record_comparisons().await
    }

    /// Compares what the vault lists, and takes it out of `left`. Stops where it has cost as much as asking
    /// for each would, and is not begun again while it is known to.
    async fn sweep(
        &self,
        left: &mut BTreeMap<VaultSecretName, Followed>,
        changed: &mut Vec<Followed>,
    ) -> Result<(), VaultError> {
        let limit = left.len();
        if self.0.list_pages.load(Ordering::Relaxed) > limit {
            return Ok(());
        }
        let mut from: Option<String> = None;
        for _ in 0..limit {
            let page = self.0.vault.list_page(from.as_deref(), Priority::Background).await?;
            let differs = |listed: &VaultSecret| {
                left.remove(&listed.name).filter(|followed| followed.differs_from(listed))
            };
            changed.extend(page.items.iter().filter_map(differs));
            from = page.next;
            if from.is_none() {
                // Not in the list: gone from the vault. The look at it says so.
                changed.extend(std::mem::take(left).into_values());
                return Ok(());
            }
        }
        self.0.list_pages.store(limit + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Records where the knowledge of the vault has become old, or is no longer.
    async fn record_comparisons(&self) -> Result<(), StoreError> {
        self.record_conditions(|record| self.0.comparisons.condition_of(&record.secret)).await
    }

    /// Expiry comes with time, not with an event: what has come to expire since is recorded.
    async fn refresh_expiry(&self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.record_conditions(|record| {
            let is_told = record.secret.condition(ConditionType::Expiring).is_some();
            (is_told && record.secret.state == State::Synced)
                .then(|| expiring(&record.secret.references, now))
        })
        .await
    }

    /// Records a condition of each synced secret where it says something else than the one that stands.
    async fn record_conditions(
        &self,
        condition_of: impl Fn(&Record) -> Option<Condition>,
    ) -> Result<(), StoreError> {
        let news = |record: &Record| {
            condition_of(record).filter(|condition| {
                record.secret.condition(condition.kind).is_none_or(|held| held.reason != condition.reason)
            })
        };
        for record in self.0.store.view().snapshot().records {
            if news(&record).is_none() {
                continue;
            }
            let mut transaction = self.0.store.begin().await?;
            if let Some(mut current) = transaction.current(record.secret.uid)
                && let Some(condition) = news(&current)
            {
                current.secret.set_condition(condition);
                transaction.update(current).await?;
                transaction.commit().await?;
            }
        }
        Ok(())
    }

    fn next_check(&self) -> Duration {
        let jitter = self.0.options.jitter;
        self.0.options.interval.mul_f64(1.0 + rand::rng().random_range(-jitter..=jitter))
    }
}

/// What asking for each brought.
#[derive(Default)]
struct Answers {
    /// Those whose latest version is another than someone holds, or that can't be had.
    changed: Vec<Followed>,
    compared: Vec<VaultSecretName>,
    /// Why one of the others could not be compared.
    trouble: Option<String>,
}

/// Asks for each.
async fn ask(left: BTreeMap<VaultSecretName, Followed>, reads: &SharedReads) -> Answers {
    let ask = |(name, followed): (VaultSecretName, Followed)| async move {
        let held = followed.is_held(&name, reads).await;
        (name, followed, held)
    };
    let mut answers = Answers::default();
    let mut asked = pin!(futures::stream::iter(left).map(ask).buffer_unordered(ASKED_AT_A_TIME));
    while let Some((name, followed, held)) = asked.next().await {
        match held {
            Err(error) if error.is_transient() => answers.trouble = Some(explain(&error)),
            held => {
                answers.compared.push(name);
                // What the vault refuses for good is for the look to tell.
                answers.changed.extend((!matches!(held, Ok(true))).then_some(followed));
            }
        }
    }
    answers
}

/// The vault secrets whose latest version someone follows. Who is not in sync is looked after elsewhere.
fn followed(records: Vec<Arc<Record>>) -> BTreeMap<VaultSecretName, Followed> {
    let mut followed: HashMap<VaultSecretName, Followed> = HashMap::new();
    let is_followed = |record: &&Arc<Record>| {
        record.secret.origin == Origin::Managed && record.secret.state == State::Synced
    };
    for record in records.iter().filter(is_followed) {
        for reference in record.secret.references.iter().filter(|reference| reference.version.is_none()) {
            followed.entry(reference.vault_secret.clone()).or_default().users.push(record.clone());
        }
    }
    followed.into_iter().collect()
}

impl Followed {
    /// Whether the list shows another `updated` than at the last read, or that read was too close to it to
    /// tell.
    fn differs_from(&self, listed: &VaultSecret) -> bool {
        self.holdings(&listed.name)
            .any(|status| !status.settled || status.vault_update_time != listed.update_time)
    }

    /// Whether everybody holds the latest version, as the vault has it now. A value is read only where it
    /// would be for a sync.
    async fn is_held(&self, name: &VaultSecretName, reads: &SharedReads) -> Result<bool, Arc<VaultError>> {
        if self.users.iter().any(|record| reads_values(record.engine)) {
            let value = reads.get(name, None).await?;
            return Ok(self.all_hold(name, &value.version.version));
        }
        let look = reads.describe(name, None).await?;
        // While another version may still come in the same second, nobody can tell which is the latest.
        let is_settled = self.holdings(name).all(|status| status.settled);
        Ok(is_settled && look.versions.iter().any(|version| self.all_hold(name, &version.version)))
    }

    /// Whether everybody holds this version of it.
    fn all_hold(&self, name: &VaultSecretName, version: &VaultVersion) -> bool {
        self.holdings(name).all(|status| status.synced_version.as_ref() == Some(version))
    }

    fn holdings<'a>(
        &'a self,
        name: &'a VaultSecretName,
    ) -> impl Iterator<Item = &'a crate::model::ReferenceStatus> {
        self.users
            .iter()
            .flat_map(|record| &record.secret.references)
            .filter(move |reference| reference.version.is_none() && reference.vault_secret == *name)
            .map(|reference| &reference.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ReferenceStatus, SyncEngine, SyncedSecret};

    fn record(status: ReferenceStatus) -> Record {
        let mut record = Record::new(SyncedSecret::example("edp1secrets"), SyncEngine::Direct);
        record.secret.state = State::Synced;
        record.secret.references[0].status = status;
        record
    }

    fn status(updated: Timestamp, settled: bool) -> ReferenceStatus {
        ReferenceStatus { vault_update_time: Some(updated), settled, ..ReferenceStatus::default() }
    }

    fn listed(updated: Timestamp) -> VaultSecret {
        VaultSecret {
            name: "edp1-user".parse().unwrap(),
            enabled: true,
            content_type: String::new(),
            create_time: None,
            update_time: Some(updated),
            not_before_time: None,
            expire_time: None,
            tags: Default::default(),
            managed: false,
        }
    }

    #[test]
    fn what_the_list_shows_as_it_was_at_a_read_that_was_late_enough_is_not_read_again() {
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        for (settled, shown, differs) in
            [(true, then, false), (true, now, true), (false, then, true), (false, now, true)]
        {
            let followed = Followed { users: vec![Arc::new(record(status(then, settled)))] };
            assert_eq!(followed.differs_from(&listed(shown)), differs, "{settled} {shown}");
        }
        // Who pinned a version does not follow it, nor who refers to another one.
        let (mut pinned, mut other) = (record(status(now, false)), record(status(now, false)));
        pinned.secret.references[0].version = Some("1".repeat(32).parse().unwrap());
        other.secret.references[0].vault_secret = "other".parse().unwrap();
        let followed = Followed { users: [pinned, other].map(Arc::new).into() };
        assert!(!followed.differs_from(&listed(then)));
    }

    #[test]
    fn a_version_is_held_where_everybody_who_follows_it_holds_it() {
        let version = |digit: &str| -> VaultVersion { digit.repeat(32).parse().unwrap() };
        let holds = |digit: &str| {
            let synced_version = Some(version(digit));
            Arc::new(record(ReferenceStatus { synced_version, ..ReferenceStatus::default() }))
        };
        let name = "edp1-user".parse().unwrap();
        let same = Followed { users: vec![holds("1"), holds("1")] };
        assert!(same.all_hold(&name, &version("1")) && !same.all_hold(&name, &version("2")));
        let mixed = Followed { users: vec![holds("1"), holds("2")] };
        assert!(!mixed.all_hold(&name, &version("1")));
    }

    #[test]
    fn only_what_is_ours_in_sync_and_not_pinned_is_followed() {
        let example = || record(ReferenceStatus::default());
        let (mut theirs, mut failed, mut pinned) = (example(), example(), example());
        theirs.secret.origin = Origin::Unmanaged;
        failed.secret.state = State::Failed;
        pinned.secret.references[0].version = Some("1".repeat(32).parse().unwrap());
        assert!(followed([theirs, failed, pinned].map(Arc::new).into()).is_empty());
        let both = followed(vec![Arc::new(example()), Arc::new(example())]);
        assert_eq!(both.values().map(|followed| followed.users.len()).collect::<Vec<_>>(), [2]);
    }
}
