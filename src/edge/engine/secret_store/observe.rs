//! What the extension has done with a SecretSync, and what to do about it.

use std::time::Duration;

use super::{
    SecretState, SecretStore, SyncFailure, SyncOutcome, SyncSeen,
    patience::{Patience, Waiting},
    removal::SUSPENSION_POLL,
    sync_outcome,
};
use crate::{
    backoff::Backoff,
    edge::{
        EdgeError,
        engine::{Attempt, Drift, Failure, Look, Observation, Retry, Target, VaultState},
    },
    model::{Handed, Reason, Reference, State},
};

/// How far one watch may lag behind another. A status that is younger than the write by less than this may be
/// an old one.
pub(super) const WATCH_LAG: Duration = Duration::from_secs(2);
/// A watch that lags for longer may never catch up.
const LONG_WATCH_LAG: Duration = Duration::from_secs(10);
/// The pauses before the extension is told to retry. Under a minute, so that a fix is found in time.
const BACKOFF: Backoff = Backoff::doubling(Duration::from_secs(4), Duration::from_secs(50));

impl SecretStore {
    pub(in crate::edge::engine) async fn observe(
        &self,
        target: &Target<'_>,
        look: Look,
    ) -> Result<Observation, EdgeError> {
        match look {
            Look::Lists => self.0.edge.can_list_pairs().await.map(|()| Observation::Wait(WATCH_LAG)),
            Look::OwnWrite(behind) => self.find_own_write(target, behind).await,
            Look::Answer | Look::Secret => self.evaluate(target).await,
        }
    }

    /// The watch has not shown our own write. If the object was deleted before the write was noted, no event
    /// will come, so finally ask the API server.
    async fn find_own_write(&self, target: &Target<'_>, behind: Duration) -> Result<Observation, EdgeError> {
        let id = &target.secret.id;
        let Some(handed) = target.handed.filter(|_| behind >= LONG_WATCH_LAG) else {
            return Ok(Observation::Wait(WATCH_LAG));
        };
        let (sync_uid, class_uid) = (handed.sync_uid.as_deref(), handed.class_uid.as_deref());
        if self.0.edge.has_pair(id, sync_uid, class_uid).await? {
            return Ok(Observation::Wait(LONG_WATCH_LAG));
        }
        self.0.pairs.forget(id.as_str());
        Ok(Observation::Again)
    }

    async fn evaluate(&self, target: &Target<'_>) -> Result<Observation, EdgeError> {
        let Some(handed) = target.handed else { return Ok(Observation::Again) };
        let SyncSeen::There(sync) = self.0.pairs.sync(target.secret.id.as_str()) else {
            return Ok(Observation::Wait(WATCH_LAG));
        };
        let waited = self.handed_at(handed).elapsed();
        Ok(match sync_outcome(sync.status.as_ref(), &handed.hash_before) {
            SyncOutcome::Synced => self.confirm(target, handed, waited).await?,
            SyncOutcome::Unanswered => match self.0.options.patience.checked_sub(waited) {
                Some(left) if !left.is_zero() => Observation::Wait(left),
                _ => Observation::Unanswered(waited),
            },
            // The failure may belong to the write before.
            SyncOutcome::Failed(_) if waited < WATCH_LAG && handed.open => {
                Observation::Wait(WATCH_LAG - waited)
            }
            SyncOutcome::Failed(failed) => {
                let pause = self.again_after(handed.failures);
                if waited >= pause && target.secret.state != State::Synced {
                    Observation::Retry(Attempt::Failed(handed.failures + 1))
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
        delegated: impl Iterator<Item = &'a Handed> + Clone,
    ) -> Observation {
        let Some(handed) = target.handed else { return Observation::Again };
        let (patience, handed_at) = (self.0.options.patience, self.handed_at(handed));
        let is_later = |other: &Handed| {
            !other.open && self.handed_at(other).saturating_duration_since(handed_at) > patience
        };
        let waiting = Waiting {
            patience,
            waited,
            nudges: handed.nudges,
            quiet: self.0.pairs.quiet_for(),
            is_overtaken: delegated.clone().any(is_later),
        };
        match waiting.decide() {
            Patience::Wait(pause) => Observation::Wait(pause),
            Patience::Busy(pause) => {
                let waiting = delegated.filter(|other| other.open).count();
                let message = format!(
                    "The Secret Store extension is busy with other SecretSyncs; {waiting} synced secrets wait for it. No action is needed."
                );
                Observation::Busy(message, pause)
            }
            Patience::Dead(pause) => Observation::Failed(silence(pause)),
            Patience::Nudge => {
                let state = VaultState { statuses: handed.statuses.clone(), values: Vec::new() };
                Observation::Resend(state, Attempt::Unanswered(handed.nudges + 1))
            }
        }
    }

    /// How long to wait before telling the extension to retry after this many failures. Not longer than until
    /// the next rotation check, and not before its failure was seen.
    fn again_after(&self, failures: u32) -> Duration {
        BACKOFF.pause(failures).min(self.0.shortest_check).max(2 * WATCH_LAG)
    }

    /// The extension reports success. Believe it if the Secret exists and nobody else has written to it.
    async fn confirm(
        &self,
        target: &Target<'_>,
        handed: &Handed,
        waited: Duration,
    ) -> Result<Observation, EdgeError> {
        // An extension that sets no label of its own is told to write once more, and then believed.
        let wants_mark = !handed.open || handed.nudges == 0;
        let name = target.secret.id.as_str();
        let seen = self.0.index.get(name);
        Ok(match self.0.edge.secret_state(target.secret, target.known(), wants_mark).await? {
            SecretState::Intact(written) => {
                self.0.index.note(name, &seen, &written);
                Observation::Confirmed(written)
            }
            // The extension's own watch may lag.
            SecretState::Missing if waited < WATCH_LAG => Observation::Wait(WATCH_LAG - waited),
            SecretState::Missing => Observation::Drifted(Drift::default()),
            SecretState::Edited => edited(),
            SecretState::Foreign => Observation::Conflict,
        })
    }

    /// The extension has failed. It is told to retry after `again_in`.
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

/// Somebody changed keys of the Secret. The extension never forces, so the keys must be released first.
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

/// Assigns a failure of the extension to the references that it names. After a partial sync, each has its own
/// reason.
fn failure_of(target: &Target<'_>, failed: SyncFailure, again_in: Duration) -> Failure {
    let problem = |(place, reference): (usize, &Reference)| {
        let (key, vault_secret) = (reference.key.as_str(), reference.vault_secret.as_str());
        let mut objects = failed.objects.iter();
        let left = objects.find(|left| left.path == key || left.path.eq_ignore_ascii_case(vault_secret));
        match left {
            Some(left) => Some((place, left.reason, left.message.clone())),
            None => (failed.objects.is_empty() && failed.is_about(vault_secret))
                .then(|| (place, failed.reason, failed.message.clone())),
        }
    };
    let problems = target.secret.references.iter().enumerate().filter_map(problem).collect();
    let retry = Retry::After(again_in.max(SUSPENSION_POLL));
    Failure { reason: failed.reason, message: failed.message, problems, retry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_extension_fails_it_is_told_again_at_a_growing_pause_and_within_a_minute_for_ever() {
        let pauses = [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| BACKOFF.pause(failures).as_secs());
        assert_eq!(pauses, [4, 8, 16, 32, 50, 50, 50]);
    }
}
