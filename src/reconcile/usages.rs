//! Records what uses each synced secret, so that lists can filter by it, watches report it and a restart
//! keeps it.
//!
//! Level-triggered: compares all synced secrets after a start, and when a kind becomes readable or
//! unreadable; in between, only those whose uses or records changed.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::{EnqueueOptions, Reconciler};
use crate::{
    edge::Gap,
    explain::{Explain as _, explanation},
    model::{
        Condition, ConditionType, Origin, Output, Reason, State, Status, SyncedSecret, SyncedSecretId, User,
        in_words,
    },
    store::{Feed, Record, StoreError},
};

/// Changes of the feed in one read.
const FEED_PAGE: i64 = 500;
/// Synced secrets in one transaction: enough for throughput, few enough not to delay other transactions.
const BATCH: usize = 200;
/// How often to compare without an event: uses can become unknown just by time passing.
const TICK: Duration = Duration::from_secs(5);
/// Users that a message names; the others are counted.
const NAMED: usize = 3;

/// The progress of the recording.
struct Progress {
    /// The position in the change feed.
    sequence: i64,
    /// What could not be read at that time.
    gap: Option<Gap>,
    /// Whether the first read of some kind was still outstanding at that time.
    settling: bool,
    /// Whether all synced secrets must be compared.
    all: bool,
}

impl Reconciler {
    /// Records until `stop` is cancelled.
    pub(super) async fn record_uses(self, stop: CancellationToken) {
        let (mut known, mut recorded) = (self.0.usages.changed(), self.0.store.subscribe());
        let sequence = self.0.store.view().sequence();
        let mut progress = Progress { sequence, gap: None, settling: true, all: true };
        loop {
            if let Err(error) = self.record_changed_uses(&mut progress).await {
                tracing::error!(%error, "the uses of synced secrets could not be recorded; trying again");
                progress.all = true;
                sleep(TICK).await;
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = known.changed() => {}
                _ = recorded.changed() => {}
                () = sleep(TICK) => {}
            }
        }
    }

    /// Updates the users and the `InUse` condition of a synced secret. Returns whether they changed.
    pub fn note_use(&self, secret: &mut SyncedSecret) -> bool {
        let usages = &self.0.usages;
        // Read before the uses: a kind that has settled by then can't be missing among them.
        let settling = usages.is_settling();
        let uses = usages.of(secret.id.as_str());
        let mut users: BTreeSet<User> = uses.iter().map(|usage| usage.user()).collect();
        if settling {
            // Recorded users stay until all kinds have been read.
            users.extend(secret.users.iter().cloned());
            if users.is_empty() {
                return false;
            }
        }
        let mut condition = in_use(&users, usages.gap().as_ref());
        let output = usages.output(secret.id.as_str()).filter(|_| secret.origin == Origin::Managed);
        if let Some(output) = output {
            condition.message = format!("{} {}", condition.message, also_written(&output));
        }
        let is_same = |held: &Condition| {
            (held.kind, held.status, held.reason, &held.message)
                == (condition.kind, condition.status, condition.reason, &condition.message)
        };
        if secret.conditions.iter().any(is_same) && secret.users.iter().eq(&users) {
            return false;
        }
        secret.users = users.into_iter().collect();
        secret.set_condition(condition);
        true
    }

    /// The kinds whose resources are recorded as users.
    pub(super) fn kinds_of_users(&self) -> BTreeSet<String> {
        let records = self.0.store.view().snapshot().records;
        records.iter().flat_map(|record| &record.secret.users).map(|user| user.kind.clone()).collect()
    }

    async fn record_changed_uses(&self, progress: &mut Progress) -> Result<(), StoreError> {
        let usages = &self.0.usages;
        let (settling, gap) = (usages.is_settling(), usages.gap());
        let has_settled = progress.settling && !settling;
        let mut all = std::mem::take(&mut progress.all) | has_settled | (gap != progress.gap);
        (progress.settling, progress.gap) = (settling, gap);
        let mut ids: BTreeSet<SyncedSecretId> =
            usages.take_changed().iter().filter_map(|name| name.parse().ok()).collect();
        loop {
            match self.0.store.changes_after(progress.sequence, FEED_PAGE).await? {
                Feed::Changes(changes) => {
                    let Some(last) = changes.last() else { break };
                    progress.sequence = last.place.sequence;
                    ids.extend(changes.iter().map(|change| change.after.id.clone()));
                }
                Feed::TooOld => (all, progress.sequence) = (true, self.0.store.view().sequence()),
            }
        }
        let view = self.0.store.view();
        let records = match all {
            true => view.snapshot().records,
            false => ids.iter().filter_map(|id| view.get(id)).collect(),
        };
        self.record_uses_of(records).await
    }

    async fn record_uses_of(&self, records: Vec<Arc<Record>>) -> Result<(), StoreError> {
        let is_stale = |record: &&Arc<Record>| self.note_use(&mut record.secret.clone());
        let stale: Vec<&Arc<Record>> = records.iter().filter(is_stale).collect();
        for batch in stale.chunks(BATCH) {
            let mut transaction = self.0.store.begin().await?;
            for record in batch {
                let current = transaction.current(record.secret.uid);
                if let Some(mut current) = current
                    && self.note_use(&mut current.secret)
                {
                    transaction.update(current).await?;
                }
            }
            transaction.commit().await?;
        }
        // A deletion that waited for a use continues when the use is gone.
        for record in stale.iter().filter(|record| record.secret.state == State::Deleting) {
            self.enqueue(record.secret.uid, EnqueueOptions::default());
        }
        Ok(())
    }
}

fn in_use(users: &BTreeSet<User>, gap: Option<&Gap>) -> Condition {
    let (status, reason, message) = match (users.len(), gap) {
        (0, None) => (Status::False, Reason::NotUsed, "No resource uses it.".to_owned()),
        (0, Some(gap)) => (Status::Unknown, Reason::Unknown, unknown(gap)),
        _ => (Status::True, Reason::Used, format!("Used by {}.", in_words(users.iter(), NAMED))),
    };
    Condition::new(ConditionType::InUse, status, reason, message)
}

/// The message about another writer, which has come since the synced secret was created.
fn also_written(output: &Output) -> String {
    format!(
        "{output} names this Secret as one that another program writes, and the two will overwrite each other: \
         let it name another Secret, or delete this synced secret."
    )
}

/// The message about unreadable uses. For a temporary gap it omits the error: each change of that error would
/// change every synced secret.
fn unknown(gap: &Gap) -> String {
    match gap.is_for_good() {
        true => explanation(&format!("it is not known whether anything uses it: {gap}"), &gap.remedy()),
        false => format!(
            "It is not known whether anything uses it: {} can't be read now. The service keeps trying.",
            gap.what
        ),
    }
}
