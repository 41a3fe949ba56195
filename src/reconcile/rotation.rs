//! The rotation check: finds out which vault secrets changed since their values were last read, at the lower
//! of two costs.
//!
//! Listing the vault costs one call for every 25 secrets in it; a read of each followed secret costs one call
//! each. The check lists, and switches to single reads when the list has cost as much as they would.

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

use super::{EnqueueOptions, Reconciler, SharedReads, expiring, failure::explain, not_before};
use crate::{
    edge::engine::reads_values,
    model::{Condition, ConditionType, Origin, State, VaultSecret, VaultSecretName, VaultVersion},
    store::{Record, StoreError},
    vault::{Priority, VaultError},
};

/// Concurrent reads of vault secrets. The vault's client also limits all its calls together.
const CONCURRENT_READS: usize = 8;

/// The synced secrets that follow a vault secret.
#[derive(Default)]
struct Followed {
    users: Vec<Arc<Record>>,
}

impl Reconciler {
    /// Checks periodically until `stop` is cancelled.
    pub(super) async fn rotate(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.next_check()) => {}
                // The vault may have changed while another process was the leader.
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

    /// Enqueues the followers of every vault secret that changed.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let mut left = followed(self.0.store.view().snapshot().records);
        let names: BTreeSet<VaultSecretName> = left.keys().cloned().collect();
        let mut changed = Vec::new();
        let swept = self.sweep(&mut left, &mut changed).await;
        self.0.comparisons.note(names.iter().filter(|name| !left.contains_key(*name)));
        let reads = Arc::new(SharedReads::new(self.0.vault.clone(), Priority::Background));
        let trouble = match swept {
            Err(error) if error.is_transient() => Some(explain(&error)),
            // A vault that denies the list may still allow reads of single secrets.
            other => {
                if let Err(error) = other {
                    tracing::debug!(%error, "the vault can't be listed; reading each secret");
                }
                let answers = read_each(left, &reads).await;
                self.0.comparisons.note(&answers.compared);
                changed.extend(answers.changed);
                answers.trouble
            }
        };
        if let Some(trouble) = &trouble {
            tracing::warn!(
                "the rotation check did not compare everything; the next check continues. {trouble}"
            );
        }
        // Synced secrets that started to follow a vault secret in the meantime have read it.
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

    /// Compares the vault secrets in the list, and removes them from `left`. Stops when the list has cost as
    /// many calls as single reads would, and then skips the list in later checks of as few secrets.
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
                // Not in the list: deleted from the vault. The reconciliation reports that.
                changed.extend(std::mem::take(left).into_values());
                return Ok(());
            }
        }
        self.0.list_pages.store(limit + 1, Ordering::Relaxed);
        Ok(())
    }

    /// Records which synced secrets have not been compared with the vault for too long, and which have again.
    async fn record_comparisons(&self) -> Result<(), StoreError> {
        self.record_conditions(|record| self.0.comparisons.condition_of(&record.secret)).await
    }

    /// Updates the expiry conditions: they change with time, without an event.
    async fn refresh_expiry(&self) -> Result<(), StoreError> {
        let now = Timestamp::now();
        self.record_conditions(|record| {
            let has_condition = record.secret.condition(ConditionType::Expiring).is_some();
            (has_condition && record.secret.state == State::Synced)
                .then(|| expiring(&record.secret.references, now))
        })
        .await?;
        let now = self.0.vault.clock().now();
        self.record_conditions(|record| {
            let has_condition = record.secret.condition(ConditionType::NotYetValid).is_some();
            (has_condition && record.secret.state == State::Synced)
                .then(|| not_before::condition(record.engine, &record.secret, now))
                .flatten()
        })
        .await
    }

    /// Records a condition of each synced secret if its reason differs from the recorded one.
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

/// The results of the single reads.
#[derive(Default)]
struct Answers {
    /// Those that a follower holds in another version than the latest, or that can't be read.
    changed: Vec<Followed>,
    compared: Vec<VaultSecretName>,
    /// Why one of the others could not be compared.
    trouble: Option<String>,
}

/// Reads each vault secret.
async fn read_each(left: BTreeMap<VaultSecretName, Followed>, reads: &SharedReads) -> Answers {
    let compare = |(name, followed): (VaultSecretName, Followed)| async move {
        let held = followed.is_held(&name, reads).await;
        (name, followed, held)
    };
    let mut answers = Answers::default();
    let mut compared = pin!(futures::stream::iter(left).map(compare).buffer_unordered(CONCURRENT_READS));
    while let Some((name, followed, held)) = compared.next().await {
        match held {
            Err(error) if error.is_transient() => answers.trouble = Some(explain(&error)),
            held => {
                answers.compared.push(name);
                // The reconciliation reports a permanent error of the vault.
                answers.changed.extend((!matches!(held, Ok(true))).then_some(followed));
            }
        }
    }
    answers
}

/// The vault secrets whose latest version a synced secret follows. Only those in sync count: the queue
/// retries the others.
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
    /// Whether `updated` in the list differs from the last read, or that read was too close to the update to
    /// be certain.
    fn differs_from(&self, listed: &VaultSecret) -> bool {
        self.holdings(&listed.name)
            .any(|status| !status.settled || status.vault_update_time != listed.update_time)
    }

    /// Whether all followers hold the latest version in the vault. Reads the value only if a sync would read
    /// it, too.
    async fn is_held(&self, name: &VaultSecretName, reads: &SharedReads) -> Result<bool, Arc<VaultError>> {
        // While another version may still be added in the same second, the latest one is uncertain.
        let is_settled = self.holdings(name).all(|status| status.settled);
        if self.users.iter().any(|record| reads_values(record.engine)) {
            let value = reads.get(name, None).await?;
            return Ok(is_settled && self.all_hold(name, &value.version.version));
        }
        let description = reads.describe(name, None).await?;
        Ok(is_settled && description.versions.iter().any(|version| self.all_hold(name, &version.version)))
    }

    /// Whether all followers hold this version.
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
        VaultSecret { update_time: Some(updated), ..VaultSecret::new("edp1-user".parse().unwrap()) }
    }

    #[test]
    fn a_secret_that_is_unchanged_since_a_settled_read_is_not_read_again() {
        let (then, now) = (Timestamp::UNIX_EPOCH, Timestamp::now());
        for (settled, shown, differs) in
            [(true, then, false), (true, now, true), (false, then, true), (false, now, true)]
        {
            let followed = Followed { users: vec![Arc::new(record(status(then, settled)))] };
            assert_eq!(followed.differs_from(&listed(shown)), differs, "{settled} {shown}");
        }
        // A pinned reference does not follow the secret, nor does a reference to another one.
        let (mut pinned, mut other) = (record(status(now, false)), record(status(now, false)));
        pinned.secret.references[0].version = Some("1".repeat(32).parse().unwrap());
        other.secret.references[0].vault_secret = "other".parse().unwrap();
        let followed = Followed { users: [pinned, other].map(Arc::new).into() };
        assert!(!followed.differs_from(&listed(then)));
    }

    #[test]
    fn a_version_counts_as_held_if_all_followers_hold_it() {
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
    fn only_managed_synced_and_unpinned_references_are_followed() {
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
