//! Invariant 12: what callers are told was looked at.

use super::*;

impl<'a> History<'a> {
    /// 12: who waits and is told SYNCED is told what was looked at meanwhile.
    pub(super) fn synced_means_observed(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            if !matches!(call.what, What::Sync { .. } | What::Create { .. } | What::Update { .. }) {
                continue;
            }
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_told =
                    secret.state() == State::Synced && secret.generation == secret.synced_generation;
                if !is_told || !waited_enough(attempt, end) || self.is_replay(call, attempt) {
                    continue;
                }
                let is_sync = matches!(call.what, What::Sync { .. });
                let dark =
                    self.inner.blackouts.iter().any(|(begun, ended)| *begun < attempt.begin && end < *ended);
                if is_sync && dark && self.end.is_direct {
                    found.push(format!(
                        "12: SYNCED means observed: call {} was told SYNCED at {:?}, but the cluster answered nothing meanwhile",
                        call.number, end.time
                    ));
                }
                // A change may be carried out with values that were read a little before it: only "Sync now" reads anew.
                let age = if is_sync { Duration::ZERO } else { FRESH };
                let read = Moment { time: attempt.begin.time.saturating_sub(age), ..attempt.begin };
                if let Some(why) = self.was_never_so(secret, attempt.begin, read, end) {
                    found.push(format!(
                        "12: SYNCED means observed: call {} was told SYNCED at {:?}, but {why}",
                        call.number, end.time
                    ));
                }
            }
        }
    }

    /// Whether another attempt of the call may have done its work before this one began.
    fn is_replay(&self, call: &Call, attempt: &Attempt) -> bool {
        !matches!(call.what, What::Sync { .. })
            && call.attempts.iter().any(|other| other.begin < attempt.begin)
    }

    fn was_never_so(
        &self,
        secret: &SyncedSecret,
        begin: Moment,
        read: Moment,
        end: Moment,
    ) -> Option<String> {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        let states = self.edge.get(id).map(|states| within(states, begin, end)).unwrap_or_default();
        let mut why = "the edge had no such Secret".to_owned();
        for state in states.iter().filter(|state| !state.removed) {
            let wrong = secret.references.iter().find_map(|reference| {
                let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
                let held =
                    state.data.get(&reference.key).map(|held| String::from_utf8_lossy(held).into_owned());
                let values: Vec<_> = self
                    .latest
                    .get(&name)
                    .map(|latest| within(latest, read, end))
                    .unwrap_or_default()
                    .into_iter()
                    .flatten()
                    .map(|(value, _)| value.clone())
                    .collect();
                let is_held = held.as_ref().is_some_and(|held| values.contains(held));
                (!is_held).then(|| {
                    format!("the edge held {held:?} under {} and the vault {values:?}", reference.key)
                })
            });
            match wrong {
                None => return None,
                Some(wrong) => why = wrong,
            }
        }
        Some(why)
    }

    /// 12: who waits is not told before its time that it is on its way, nor that it failed while it was under way.
    pub(super) fn waiting_calls_learn_the_outcome(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            let Some(mark) = written(call, "description").filter(|mark| !mark.is_empty()) else { continue };
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_own = self.first_generation(&secret.uid, &mark) == Some(secret.generation);
                let is_replay =
                    self.is_replay(call, attempt) || self.is_deleted_meanwhile(secret, attempt, end);
                if !is_own || !waited_enough(attempt, end) || is_replay {
                    continue;
                }
                if secret.state() == State::Pending {
                    found.push(format!(
                        "12: a waiting call learns the outcome: call {} was told PENDING after {:?} of {:?}",
                        call.number,
                        end.time - attempt.begin.time,
                        attempt.wait
                    ));
                }
            }
        }
    }

    /// Whether a call to delete it may have worked while an attempt was under way.
    fn is_deleted_meanwhile(&self, secret: &SyncedSecret, attempt: &Attempt, end: Moment) -> bool {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        self.calls(id)
            .filter(|call| is_delete(call) && call.may_have_worked())
            .any(|delete| delete.begin() < end && delete.end().is_none_or(|deleted| deleted > attempt.begin))
    }

    /// The generation in which a synced secret first had a description, as a watcher saw it.
    fn first_generation(&self, uid: &str, description: &str) -> Option<i64> {
        let seen = self.end.watchers.first()?.changes.iter().map(|(_, _, secret)| secret);
        let own = seen.filter(|secret| secret.uid == uid && secret.description == description);
        own.map(|secret| secret.generation).min()
    }

    /// 12: nobody is told that a value was not stored while a call is storing it.
    pub(super) fn a_value_being_stored_is_not_missing(&self, found: &mut Vec<String>) {
        for call in &self.inner.calls {
            for attempt in &call.attempts {
                let (Some(Outcome::Ok(Answer::Synced(secret))), Some(end)) = (&attempt.outcome, attempt.end)
                else {
                    continue;
                };
                let is_told = synced_reason(secret) == "ValueNotStored" && secret.state() == State::Failed;
                let asked = (attempt.begin, end);
                if is_told && let Some(other) = self.who_is_storing(call, secret, asked) {
                    found.push(format!(
                        "12: a value being stored is not missing: call {} was told ValueNotStored while call {} was storing the value",
                        call.number, other.number
                    ));
                }
            }
        }
    }

    /// The call that was at the service for sure when another one asked, and stored a value after that was answered, for which a synced secret waited.
    fn who_is_storing(
        &self,
        call: &Call,
        secret: &SyncedSecret,
        (asked, at): (Moment, Moment),
    ) -> Option<&'a Call> {
        let id = secret.name.trim_start_matches("syncedSecrets/");
        // A change that is not recorded yet may bring another vault secret under the same uid.
        let refers = |name: &str| {
            let mut names = secret.references.iter().map(|reference| reference.vault_secret.as_str());
            names.any(|held| held.trim_start_matches("vaultSecrets/") == name)
        };
        let later = self.inner.vault.iter().filter(|(moment, _)| *moment > at);
        let stored: Vec<_> = later
            .filter_map(|(moment, change)| match change {
                VaultChange::Version(version)
                    if version.tag.as_ref() == Some(&secret.uid) && refers(&version.name) =>
                {
                    Some((*moment, version))
                }
                _ => None,
            })
            .collect();
        let stores = |other: &&Call| {
            let spans = |stored: Moment| {
                other.attempts.iter().any(|attempt| {
                    attempt.begin.time + self.inner.travel < asked.time
                        && attempt.end.is_none_or(|end| end > stored)
                })
            };
            stored
                .iter()
                .any(|(moment, version)| creates(other, &version.name, &version.value) && spans(*moment))
        };
        self.calls(id).filter(|other| other.number != call.number).find(stores)
    }
}
