//! Writes the SecretSync and its class.
//!
//! The extension acts when a SecretSync changes, and at its own poll. It does not notice changes of the
//! Secret, and retries failures more and more rarely. So each write sets `forceSynchronization` to a new
//! value.

use jiff::Timestamp;
use uuid::Uuid;

use super::{SecretState, SecretStore, observe::WATCH_LAG};
use crate::{
    edge::{
        CachedSecret, EdgeError,
        engine::{Applied, Attempt, Delegated, Target, VaultState},
    },
    model::{Delegation, SyncedSecretId},
};

const CHANGED: &str = "Somebody changed the SecretSync, its class or the Secret; all are written again.";

impl SecretStore {
    pub(in crate::edge::engine) async fn apply(
        &self,
        target: &Target<'_>,
        state: VaultState,
        attempt: Attempt,
    ) -> Result<Applied, EdgeError> {
        let pair = self.pair(target.secret)?;
        if self.is_foreign(target).await? {
            return Ok(Applied::Conflict);
        }
        let force = Uuid::new_v4().simple().to_string();
        let mut removed = Vec::new();
        let written = match self.0.edge.apply_pair(&pair, target.known(), &force, &mut removed).await {
            Err(error) if !removed.is_empty() => {
                return Ok(Applied::Interrupted { error, repaired: removed_detail(&removed) });
            }
            written => written?,
        };
        self.0.pairs.note(target.secret.id.as_str(), &written);
        let delegation = Delegation {
            generation: target.secret.generation,
            requests: target.sync_requests,
            time: Timestamp::now(),
            delegated_at: Some(self.0.started.elapsed()),
            sync_generation: written.sync_generation,
            class_generation: written.class_generation,
            hash_before: written.sync_hash,
            statuses: state.statuses,
            open: true,
            sync_uid: written.sync_uid,
            class_uid: written.class_uid,
            nudges: if let Attempt::Unanswered(nudges) = attempt { nudges } else { 0 },
            failures: if let Attempt::Failed(failures) = attempt { failures } else { 0 },
        };
        Ok(Applied::Delegated(Delegated {
            delegation,
            digest: self.digest_of(&pair),
            repaired: repaired(attempt, &removed),
            // The watch shows the answer. This is for the case that none comes.
            requeue_after: WATCH_LAG,
        }))
    }

    /// Whether somebody else's Secret has the name. Asks the API server only if the watch does not show our
    /// own.
    async fn is_foreign(&self, target: &Target<'_>) -> Result<bool, EdgeError> {
        match self.0.index.get(target.secret.id.as_str()) {
            CachedSecret::Absent => Ok(false),
            CachedSecret::Present(there) if Some(&there.uid) == target.edge.uid.as_ref() => Ok(false),
            _ => {
                Ok(self.0.edge.secret_state(target.secret, target.known(), true).await?
                    == SecretState::Foreign)
            }
        }
    }

    pub(in crate::edge::engine) async fn other_manager(&self, id: &SyncedSecretId) -> Option<String> {
        self.0.edge.last_writer(id).await
    }

    pub(in crate::edge::engine) async fn release_keys(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        self.0.edge.release_keys(target.secret, target.known()).await
    }
}

/// The audit detail about what somebody else had changed.
fn repaired(attempt: Attempt, removed: &[String]) -> Option<String> {
    match removed.is_empty() {
        true => (attempt == Attempt::Drift).then(|| CHANGED.to_owned()),
        false => Some(removed_detail(removed)),
    }
}

fn removed_detail(removed: &[String]) -> String {
    format!("{CHANGED} Removed what had been added: {}.", removed.join(", "))
}
