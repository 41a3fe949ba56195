//! Resumes "Create new" after its call was interrupted.

use super::{
    Reconciler,
    failure::{explain, vault_retry},
    ownership::{self, Ownership},
    queue::{Requeue, Work},
};
use crate::{
    edge::engine::{Failure, Retry},
    model::{Reason, Reference},
    store::{Record, StoreError},
    vault::Priority,
};

impl Reconciler {
    /// Finds out which values an interrupted "Create new" has stored: the vault holds them with our tag.
    pub(super) async fn resume_create(&self, record: &Record, work: &Work) -> Result<Requeue, StoreError> {
        let mut stored: Vec<Reference> = Vec::new();
        let mut problems = Vec::new();
        let mut retry = Retry::Later;
        for (place, reference) in pending(record) {
            let tag = ownership::tag_of(record.secret.uid, reference);
            let found = ownership::probe(&self.0.vault, &reference.vault_secret, &tag, Priority::Background);
            let Some(found) = work.unless_superseded(found).await else { return Ok(Requeue::Now) };
            match found {
                Ok(Ownership::Ours(_)) => stored.push(reference.clone()),
                Ok(Ownership::Free | Ownership::Taken) => {
                    problems.push((place, Reason::ValueNotStored, not_stored(reference)));
                }
                Err(error) => {
                    retry = vault_retry(&error, retry);
                    problems.push((place, error.condition_reason(), explain(&error)));
                }
            }
        }
        if !stored.is_empty() {
            let mut transaction = self.0.store.begin().await?;
            let Some(mut current) = transaction.current(record.secret.uid) else {
                return Ok(Requeue::Never);
            };
            let is_stored = |held: &&mut Reference| stored.iter().any(|stored| held.creates_the_same(stored));
            for reference in current.secret.references.iter_mut().filter(is_stored) {
                reference.create_pending = false;
            }
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        match problems.first().cloned() {
            None => Ok(Requeue::Now),
            Some((_, reason, message)) => {
                self.record_failure(record, Failure { reason, message, problems, retry }).await
            }
        }
    }
}

fn pending(record: &Record) -> impl Iterator<Item = (usize, &Reference)> {
    record.secret.references.iter().enumerate().filter(|(_, reference)| reference.create_pending)
}

fn not_stored(reference: &Reference) -> String {
    format!(
        "The value for the new vault secret {:?} was not stored. Call CreateSyncedSecret again with the same request_id \
         and value, or UpdateSyncedSecret with references[].create; or delete the synced secret.",
        reference.vault_secret.as_str()
    )
}
