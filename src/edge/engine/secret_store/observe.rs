//! What the extension has done with a SecretSync, and what to do about it.

use std::time::Duration;

use super::{
    CachedSync, SecretState, SecretStore, SyncFailure, SyncOutcome,
    failure::failure_of,
    patience::{Patience, Waiting},
    sync_outcome,
};
use crate::{
    backoff::Backoff,
    edge::{
        EdgeError, Written,
        engine::{Aspect, Attempt, Drift, Failure, Observation, Retry, Target, VaultState},
    },
    model::{CertificateFacts, Delegation, Reason, State},
};

/// How far one watch may lag behind another. A status that is newer than the write by less than this may be
/// outdated.
pub(super) const WATCH_LAG: Duration = Duration::from_secs(2);
/// A watch that lags for longer may never catch up.
const LONG_WATCH_LAG: Duration = Duration::from_secs(10);
/// The pauses before the extension is triggered again. Under a minute, so that a fix is noticed in time.
const BACKOFF: Backoff = Backoff::doubling(WATCH_LAG.saturating_mul(2), Duration::from_secs(50));

impl SecretStore {
    pub(in crate::edge::engine) async fn observe(
        &self,
        target: &Target<'_>,
        aspect: Aspect,
    ) -> Result<Observation, EdgeError> {
        match aspect {
            Aspect::Lists => self.0.edge.can_list_pairs().await.map(|()| Observation::Wait(WATCH_LAG)),
            Aspect::OwnWrite(behind) => self.find_own_write(target, behind).await,
            Aspect::Answer | Aspect::Secret => self.evaluate(target).await,
        }
    }

    /// The watch has not shown our own write. If the object was deleted before the write was noted, no event
    /// will come, so finally ask the API server.
    async fn find_own_write(&self, target: &Target<'_>, behind: Duration) -> Result<Observation, EdgeError> {
        let id = &target.secret.id;
        let Some(delegation) = target.delegation.filter(|_| behind >= LONG_WATCH_LAG) else {
            return Ok(Observation::Wait(WATCH_LAG));
        };
        let (sync_uid, class_uid) = (delegation.sync_uid.as_deref(), delegation.class_uid.as_deref());
        if self.0.edge.has_pair(id, sync_uid, class_uid).await? {
            return Ok(Observation::Wait(LONG_WATCH_LAG));
        }
        self.0.pairs.forget(id.as_str());
        Ok(Observation::Again)
    }

    async fn evaluate(&self, target: &Target<'_>) -> Result<Observation, EdgeError> {
        let Some(delegation) = target.delegation else { return Ok(Observation::Again) };
        let CachedSync::Present(sync) = self.0.pairs.sync(target.secret.id.as_str()) else {
            return Ok(Observation::Wait(WATCH_LAG));
        };
        let waited = self.delegated_at(delegation).elapsed();
        Ok(match sync_outcome(sync.status.as_ref(), &delegation.hash_before) {
            SyncOutcome::Synced => self.confirm(target, delegation, waited).await?,
            SyncOutcome::Unanswered => match self.0.options.patience.checked_sub(waited) {
                Some(left) if !left.is_zero() => Observation::Wait(left),
                _ => Observation::Unanswered(waited),
            },
            // The failure may belong to the write before.
            SyncOutcome::Failed(_) if waited < WATCH_LAG && delegation.open => {
                Observation::Wait(WATCH_LAG - waited)
            }
            SyncOutcome::Failed(failed) => {
                let pause = self.again_after(delegation.failures);
                if waited >= pause && target.secret.state != State::Synced {
                    Observation::Retry(Attempt::Failed(delegation.failures + 1))
                } else {
                    self.evaluate_failure(target, failed, pause.saturating_sub(waited)).await?
                }
            }
        })
    }

    /// The extension has not answered. It may be busy with other SecretSyncs, or not running.
    pub(in crate::edge::engine) fn evaluate_silence<'a>(
        &self,
        target: &Target<'_>,
        waited: Duration,
        delegations: impl Iterator<Item = &'a Delegation> + Clone,
    ) -> Observation {
        let Some(delegation) = target.delegation else { return Observation::Again };
        let (patience, delegated_at) = (self.0.options.patience, self.delegated_at(delegation));
        let is_later = |other: &Delegation| {
            !other.open && self.delegated_at(other).saturating_duration_since(delegated_at) > patience
        };
        let waiting = Waiting {
            patience,
            waited,
            nudges: delegation.nudges,
            quiet: self.0.pairs.quiet_for(),
            is_overtaken: delegations.clone().any(is_later),
        };
        match waiting.decide() {
            Patience::Wait(pause) => Observation::Wait(pause),
            Patience::Busy(pause) => {
                let waiting = delegations.filter(|other| other.open).count();
                let message = format!(
                    "The Secret Store extension is busy with other SecretSyncs; {waiting} synced secrets wait for it. No action is needed."
                );
                Observation::Busy(message, pause)
            }
            Patience::Dead(pause) => Observation::Failed(silence(pause)),
            Patience::Nudge => {
                let state = VaultState { statuses: delegation.statuses.clone(), values: Vec::new() };
                Observation::Resend(state, Attempt::Unanswered(delegation.nudges + 1))
            }
        }
    }

    /// The pause before triggering the extension again after this many failures. Not longer than the interval
    /// of the rotation check, and long enough for the watch to show its failure.
    fn again_after(&self, failures: u32) -> Duration {
        BACKOFF.pause(failures).min(self.0.shortest_check).max(2 * WATCH_LAG)
    }

    /// The extension reports success. Confirms it if the Secret exists and no other manager has written it.
    async fn confirm(
        &self,
        target: &Target<'_>,
        delegation: &Delegation,
        waited: Duration,
    ) -> Result<Observation, EdgeError> {
        // An extension that sets none of its labels is triggered once more; after that, the label is not
        // required.
        let needs_mark = !delegation.open || delegation.nudges == 0;
        let name = target.secret.id.as_str();
        let seen = self.0.index.get(name);
        Ok(match self.0.edge.secret_state(target.secret, target.known(), needs_mark).await? {
            SecretState::Intact(written) => {
                self.0.index.note(name, &seen, &written);
                let certificates = self.certificates(target, &written).await;
                Observation::Confirmed(written, certificates)
            }
            // The extension's own watch may lag.
            SecretState::Missing if waited < WATCH_LAG => Observation::Wait(WATCH_LAG - waited),
            SecretState::Missing => Observation::Drifted(Drift::default()),
            SecretState::Edited => edited(),
            SecretState::Foreign => Observation::Conflict,
        })
    }

    /// What is to tell of the certificates in a Secret that was confirmed. To know less of them makes it no less written.
    async fn certificates(&self, target: &Target<'_>, written: &Written) -> Vec<Option<CertificateFacts>> {
        if !self.0.options.read_certificates {
            return Vec::new();
        }
        let read = self.0.edge.certificates(target.secret, written).await;
        read.unwrap_or_else(|error| {
            let id = target.secret.id.as_str();
            tracing::warn!(synced_secret = id, %error, "its certificates can't be read");
            Vec::new()
        })
    }

    /// The extension has failed. It is triggered again after `again_in`.
    async fn evaluate_failure(
        &self,
        target: &Target<'_>,
        failed: SyncFailure,
        again_in: Duration,
    ) -> Result<Observation, EdgeError> {
        Ok(match self.0.edge.secret_state(target.secret, target.known(), true).await {
            Ok(SecretState::Foreign) => Observation::Conflict,
            Ok(SecretState::Edited) if failed.reason == Reason::EdgeConflict => edited(),
            _ => Observation::Failed(failure_of(target, failed, again_in)),
        })
    }
}

/// Another manager changed keys of the Secret. The extension never forces conflicts, so the keys must be
/// released first.
fn edited() -> Observation {
    Observation::Drifted(Drift { manager: None, must_release: true })
}

fn silence(pause: Duration) -> Failure {
    let message = "The Secret Store extension does not act on the SecretSync. Check that its controller runs in the namespace \
                   azure-secret-store and watches this namespace, and that its provider `azure` is installed.";
    Failure {
        reason: Reason::EngineNotResponding,
        message: message.to_owned(),
        problems: Vec::new(),
        retry: Retry::Soon(Some(pause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_extension_is_triggered_again_at_a_growing_pause_below_a_minute() {
        let pauses = [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| BACKOFF.pause(failures).as_secs());
        assert_eq!(pauses, [4, 8, 16, 32, 50, 50, 50]);
    }
}
