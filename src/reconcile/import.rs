//! Imports the SecretSyncs of other tools as UNMANAGED records, so that callers can list, watch and filter
//! them like managed ones. Also imports objects with our label whose synced secret is not in the database.
//!
//! Level-triggered: compares all of them whenever a watch reports a change.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Reconciler,
    last_reason::LastReason,
    rebuild::{self, Finding, RebuildError},
};
use crate::{
    edge::{Labelled, engine::Listed},
    model::{ConditionType, Origin, Reason, SyncEngine, SyncedSecret, SyncedSecretId},
    store::{Record, StoreError, Transaction},
};

/// Changes within this time are imported together.
const DEBOUNCE: Duration = Duration::from_millis(100);
/// The pause after the database failed.
const RETRY_PAUSE: Duration = Duration::from_secs(2);
/// Changes in one transaction.
const BATCH: usize = 200;

/// A difference between the records and the edge.
///
/// It is computed outside of any transaction, so the transaction that applies it checks the record again.
enum Difference {
    Gone(Uuid),
    New(SyncedSecret, SyncEngine),
    Changed(SyncedSecret),
}

/// The objects of other tools at the edge, with the engine that writes them.
type Others = HashMap<SyncedSecretId, (SyncedSecret, SyncEngine)>;

/// The objects with our label but without a record that were examined: their uid in Kubernetes, and the
/// label.
type Examined = HashSet<(String, Uuid)>;

impl Reconciler {
    /// Imports until `stop` is cancelled.
    pub(super) async fn import(self, stop: CancellationToken) {
        let (mut changed, mut unrecorded) = (self.0.engines.changed(), self.0.unrecorded.subscribe());
        let (mut examined, mut last_reason) = (Examined::new(), LastReason::default());
        loop {
            tokio::select! {
                () = self.wait_while_standby() => {}
                () = stop.cancelled() => return,
            }
            match self.import_others(&mut examined).await {
                Ok(()) => last_reason.clear(),
                Err(error) => {
                    if last_reason.is_news(&error) {
                        tracing::error!(%error, "objects of other tools could not be imported; trying again");
                    }
                    sleep(RETRY_PAUSE).await;
                    changed.mark_changed();
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => sleep(DEBOUNCE).await,
                _ = unrecorded.changed() => sleep(DEBOUNCE).await,
            }
        }
    }

    async fn import_others(&self, examined: &mut Examined) -> Result<(), RebuildError> {
        // Read before the objects: a list that completes in the meantime must not count as complete.
        let listed = self.0.engines.listed();
        let unrecorded = self.unrecorded(examined).await;
        // If they can't be read, the imported ones stay, and the other objects are still imported.
        let mut others = unrecorded.as_ref().map_or_else(|_| self.imported_unrecorded(), Others::clone);
        if listed.are_syncs() {
            others.extend(self.syncs_of_others());
        }
        for batch in self.differences(others, listed).chunks(BATCH) {
            let mut transaction = self.0.store.begin().await?;
            for difference in batch {
                self.import_difference(&mut transaction, difference).await?;
            }
            transaction.commit().await?;
        }
        unrecorded.map(drop)
    }

    /// A record that was adopted since the comparison is managed now, and stays unchanged.
    async fn import_difference(
        &self,
        transaction: &mut Transaction,
        difference: &Difference,
    ) -> Result<(), StoreError> {
        match difference {
            Difference::Gone(uid) => transaction.remove_unmanaged(*uid).await.map(|_| ()),
            Difference::New(secret, engine) => {
                let mut record = Record::new(secret.clone(), *engine);
                self.note_use(&mut record.secret);
                match transaction.insert(record).await {
                    // Its name was taken in the meantime: the next comparison handles that.
                    Err(StoreError::AlreadyExists) => Ok(()),
                    done => done,
                }
            }
            Difference::Changed(seen) => {
                let current = transaction.current(seen.uid);
                let Some(current) = current.filter(|now| now.secret.origin == Origin::Unmanaged) else {
                    return Ok(());
                };
                let read = current.secret.generation;
                let secret = merged(&current.secret, seen.clone());
                transaction.change(read, Record { secret, ..current }).await
            }
        }
    }

    fn syncs_of_others(&self) -> Others {
        let syncs = self.0.engines.syncs_of_others().into_iter();
        syncs.map(|(secret, engine)| (secret.id.clone(), (secret, engine))).collect()
    }

    /// The objects with our label whose synced secret is neither recorded nor deleted. Examined objects are
    /// not read again.
    async fn unrecorded(&self, examined: &mut Examined) -> Result<Others, RebuildError> {
        let labelled = self.0.engines.labelled();
        let is_known = |one: &&Labelled| self.0.store.view().get_by_uid(one.label).is_some();
        let unknown: Examined =
            labelled.iter().filter(|one| !is_known(one)).map(|one| (one.uid.clone(), one.label)).collect();
        examined.retain(|one| unknown.contains(one));
        let there: HashSet<&str> = unknown.iter().map(|(uid, _)| uid.as_str()).collect();
        let mut unrecorded = self.imported_unrecorded();
        unrecorded.retain(|_, (mirror, _)| there.contains(mirror.uid.to_string().as_str()));
        // A pending rebuild will record these objects as managed.
        if self.rebuild_cause().await?.is_some() || unknown.is_subset(examined) {
            return Ok(unrecorded);
        }
        let findings =
            rebuild::find(Some(&self.0.store), self.source(self.0.engines.are_kinds_gone().await)).await?;
        unrecorded.extend(findings.all.into_iter().filter_map(Finding::unrecorded));
        if findings.is_complete {
            examined.extend(unknown);
        }
        Ok(unrecorded)
    }

    /// The ones that are imported already.
    fn imported_unrecorded(&self) -> Others {
        let records = self.0.store.view().snapshot().records;
        let unrecorded = records.iter().filter(|record| is_unrecorded(&record.secret));
        unrecorded.map(|one| (one.secret.id.clone(), (one.secret.clone(), one.engine))).collect()
    }

    /// Computes the differences, removals first: a recreated SecretSync has the same name and another uid.
    fn differences(&self, others: Others, listed: Listed) -> Vec<Difference> {
        let records = self.0.store.view().snapshot().records;
        let records: HashMap<&SyncedSecretId, &Arc<Record>> =
            records.iter().map(|record| (&record.secret.id, record)).collect();
        let (mut gone, mut rest) = (Vec::new(), Vec::new());
        for record in records.values().filter(|record| record.secret.origin == Origin::Unmanaged) {
            let secret = &record.secret;
            // An object may exist although its list is not complete yet.
            if listed.of(record.engine)
                && others.get(&secret.id).is_none_or(|(seen, _)| seen.uid != secret.uid)
            {
                gone.push(Difference::Gone(secret.uid));
            }
        }
        for (id, (secret, engine)) in others {
            match records.get(&id) {
                Some(record) if record.secret.origin == Origin::Managed => {}
                Some(record) if record.secret.uid == secret.uid => {
                    if merged(&record.secret, secret.clone()) != record.secret {
                        rest.push(Difference::Changed(secret));
                    }
                }
                _ => rest.push(Difference::New(secret, engine)),
            }
        }
        gone.extend(rest);
        gone
    }
}

fn is_unrecorded(secret: &SyncedSecret) -> bool {
    let reason = secret.condition(ConditionType::Synced).map(|condition| condition.reason);
    secret.origin == Origin::Unmanaged && reason == Some(Reason::NotRecorded)
}

/// Updates a record with the object at the edge. Fields that the object doesn't have stay.
fn merged(recorded: &SyncedSecret, seen: SyncedSecret) -> SyncedSecret {
    let mut now =
        SyncedSecret { conditions: recorded.conditions.clone(), users: recorded.users.clone(), ..seen };
    for condition in seen.conditions {
        now.set_condition(condition);
    }
    for (reference, held) in now.references.iter_mut().zip(&recorded.references) {
        let problem = reference.status.problem.take();
        reference.status.problem = problem.map(|problem| problem.since(held.status.problem.as_ref()));
    }
    now
}
