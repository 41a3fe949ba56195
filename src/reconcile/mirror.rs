//! Mirrors the SecretSyncs of others into the records, as UNMANAGED, so that they are listed, watched and filtered like our own.
//!
//! Level-triggered: whenever a watch tells of a change, all are compared.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Reconciler;
use crate::{
    edge::secret_store::as_synced_secret,
    model::{Origin, SyncEngine, SyncedSecret, SyncedSecretId},
    store::{Record, StoreError, Transaction},
};

/// Changes that come together are taken in together.
const TOGETHER: Duration = Duration::from_millis(100);
/// The pause after the database failed.
const AGAIN: Duration = Duration::from_secs(2);
/// Changes in one transaction.
const BATCH: usize = 200;

/// A difference between what is recorded and what stands at the edge.
///
/// It was found outside of any transaction: whoever records it looks again at what is recorded by then.
enum Difference {
    Gone(Uuid),
    New(SyncedSecret),
    Changed(SyncedSecret),
}

impl Reconciler {
    /// Mirrors until told to stop.
    pub(super) async fn mirror(self, stop: CancellationToken) {
        let mut changed = self.0.pairs.changed();
        loop {
            tokio::select! {
                () = self.until_acting() => {}
                () = stop.cancelled() => return,
            }
            if let Err(error) = self.take_in_others().await {
                tracing::error!(%error, "what others made could not be recorded; trying again");
                sleep(AGAIN).await;
                changed.mark_changed();
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = changed.changed() => sleep(TOGETHER).await,
            }
        }
    }

    async fn take_in_others(&self) -> Result<(), StoreError> {
        if !self.0.pairs.is_complete() {
            return Ok(());
        }
        for batch in self.differences().chunks(BATCH) {
            let mut transaction = self.0.store.begin().await?;
            for difference in batch {
                self.take_in(&mut transaction, difference).await?;
            }
            transaction.commit().await?;
        }
        Ok(())
    }

    /// What was adopted since the comparison is no longer a mirror of anything and stays as it is.
    async fn take_in(
        &self,
        transaction: &mut Transaction,
        difference: &Difference,
    ) -> Result<(), StoreError> {
        match difference {
            Difference::Gone(uid) => transaction.remove_unmanaged(*uid).await.map(|_| ()),
            Difference::New(secret) => {
                let mut record = Record::new(secret.clone(), SyncEngine::SecretStore);
                self.note_use(&mut record.secret);
                match transaction.insert(record).await {
                    // Its name has been taken since: the next comparison sees by whom.
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
                let secret = brought_up_to_date(&current.secret, seen.clone());
                transaction.change(read, Record { secret, ..current }).await
            }
        }
    }

    /// Removals come first: a SecretSync that was made anew has the same name and another uid.
    fn differences(&self) -> Vec<Difference> {
        let records = self.0.store.view().snapshot().records;
        let records: HashMap<&SyncedSecretId, &Arc<Record>> =
            records.iter().map(|record| (&record.secret.id, record)).collect();
        let (mut gone, mut others) = (Vec::new(), Vec::new());
        let syncs = self.0.pairs.syncs();
        let seen = syncs.iter().filter_map(|sync| {
            let class = self.0.pairs.class(&sync.spec.secret_provider_class_name);
            as_synced_secret(sync, class.as_deref(), &self.0.options.secret_store.vault_name)
        });
        let seen: HashMap<SyncedSecretId, SyncedSecret> =
            seen.map(|secret| (secret.id.clone(), secret)).collect();
        for record in records.values().filter(|record| record.secret.origin == Origin::Unmanaged) {
            if seen.get(&record.secret.id).is_none_or(|secret| secret.uid != record.secret.uid) {
                gone.push(Difference::Gone(record.secret.uid));
            }
        }
        for (id, secret) in seen {
            match records.get(&id) {
                Some(record) if record.secret.origin == Origin::Managed => {}
                Some(record) if record.secret.uid == secret.uid => {
                    if brought_up_to_date(&record.secret, secret.clone()) != record.secret {
                        others.push(Difference::Changed(secret));
                    }
                }
                _ => others.push(Difference::New(secret)),
            }
        }
        gone.extend(others);
        gone
    }
}

/// What is recorded, with what was seen now; what the edge does not tell stays.
fn brought_up_to_date(recorded: &SyncedSecret, seen: SyncedSecret) -> SyncedSecret {
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
