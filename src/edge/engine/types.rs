//! What the reconciler and an engine tell each other.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::{
    edge::{EdgeError, Seen, Written, engine::secret_store::Violation},
    model::{EdgeRecord, Handed, Reason, Reference, ReferenceStatus, State, SyncedSecret, VaultVersion},
};

/// Makes a keyed digest of content; the first argument keeps different uses apart.
pub type Digest = Arc<dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync>;

/// A synced secret as it is asked for, and what is remembered of it at the edge.
pub struct Target<'a> {
    /// What is asked for.
    pub secret: &'a SyncedSecret,
    /// What was last written to, or seen at, the edge.
    pub edge: &'a EdgeRecord,
    /// What the extension was last given to do.
    pub handed: Option<&'a Handed>,
    /// How often "Sync now" was asked for.
    pub sync_requests: i64,
    /// The "Sync now" that the last attempt answered.
    pub synced_requests: i64,
    /// The uid of a SecretSync of somebody else that is to become ours.
    pub adopted: Option<&'a str>,
    /// What the watch showed of its Secret when this look began.
    pub seen: Seen,
}

/// Why a synced secret is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trigger {
    /// A call is storing new vault secrets of it right now.
    pub creating: bool,
    /// The vault may have something new.
    pub refetch: bool,
}

/// The next step for a synced secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// All is as it should be, or somebody else is at it.
    Nothing,
    /// Remove it from the edge, then forget it.
    Remove,
    /// Find out whether the vault holds what "Create new" was to store.
    FindCreated,
    /// Ask the vault what there is, and write.
    Apply,
    /// Put back what somebody changed.
    Repair,
    /// Look at the edge.
    Observe(Look),
}

/// What [`crate::edge::engine::Engine::observe`] is to find out.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Whether the Secret, which is not the one that was written, still holds what it should.
    Secret,
    /// Why the extension's resources are not listed yet.
    Lists,
    /// Whether our own write, which the watch has not shown for so long, is still there.
    OwnWrite(Duration),
    /// What the extension has made of what it was given.
    Answer,
}

/// Why the edge is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// There is something new.
    New,
    /// Somebody changed what was written.
    Drift,
    /// The extension has left it alone; so often it was told again because of that.
    Unanswered(u32),
    /// The extension has failed at it so often.
    Failed(u32),
}

/// What the vault has for all references.
#[derive(Default)]
pub struct VaultState {
    /// What to record of each reference once the edge holds it.
    pub statuses: Vec<ReferenceStatus>,
    /// The bytes and version of each reference; empty for an engine that reads no values.
    pub values: Vec<(Zeroizing<Vec<u8>>, VaultVersion)>,
}

/// What the vault has, compared with what was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Write it, for this reason.
    Differs(Attempt),
    /// The edge holds it.
    Same,
    /// It was written, and whether the extension has done it is not known yet.
    Awaited,
}

/// What a write brought.
pub enum Applied {
    /// The Secret holds what it should.
    Synced(Synced),
    /// The extension was told what to do.
    Delegated(Delegated),
    /// A Secret of somebody else stands under the name; nothing was written.
    Conflict,
}

/// A Secret that holds what it should.
pub struct Synced {
    /// What identifies it.
    pub written: Written,
    /// Of its content.
    pub digest: Vec<u8>,
    /// What to record of the references.
    pub statuses: Vec<ReferenceStatus>,
    /// Whether that is known from the watch, and nothing was written.
    pub is_from_memory: bool,
}

/// What the extension was told.
pub struct Delegated {
    /// What there is to remember of it.
    pub handed: Handed,
    /// Of what was written.
    pub digest: Vec<u8>,
    /// For the audit: what somebody else had changed.
    pub repaired: Option<String>,
    /// Look again after this, if the watch does not tell of an answer before.
    pub look_again: Duration,
}

/// What a look at the edge means.
pub enum Observation {
    /// Nothing can be said yet; look again after this.
    Wait(Duration),
    /// Something has changed: plan again.
    Again,
    /// The Secret holds what was written, and is this one by now.
    Unchanged(Written),
    /// The extension has done what it was told; the Secret is this one.
    Confirmed(Written),
    /// Somebody changed what was written.
    Drifted(Drift),
    /// A Secret of somebody else stands under the name.
    Conflict,
    /// The extension has not answered for so long; see [`crate::edge::engine::Engine::judge_silence`].
    Unanswered(Duration),
    /// The extension is at work on others: the message says so. Look again after this.
    Busy(String, Duration),
    /// Ask the vault again, and write.
    Retry(Attempt),
    /// Write the same again.
    Resend(VaultState, Attempt),
    /// It failed.
    Failed(Failure),
}

/// What somebody changed.
#[derive(Debug, Default)]
pub struct Drift {
    /// Who, by the name in `managedFields`, where the look has shown it.
    pub manager: Option<String>,
    /// Whether keys must be released before the repair.
    pub must_release: bool,
}

/// What stands between a synced secret and its release to the other engine.
pub enum Preparation {
    /// Whoever writes the Secret has not stopped yet; go on after this.
    Wait(Duration),
    /// It can be released. The uid of its Secret, where it has become known, is to be recorded before.
    Ready(Option<String>),
}

/// A Secret in nobody's hands.
pub struct Released {
    /// The Secret, where there is one.
    pub secret: Option<Written>,
    /// Whether it is to be written once by its next engine, whatever its state says.
    pub must_rewrite: bool,
}

/// Something that an engine can't do for a synced secret.
pub enum Objection {
    /// A field has a value that the engine does not take.
    Field(Violation),
    /// The engine lacks something of its own.
    Engine(EdgeError),
}

/// A problem of one reference: its place, the reason and the words.
pub type Problem = (usize, Reason, String);

/// Why an attempt did not bring the edge to what is recorded.
pub struct Failure {
    /// For the condition.
    pub reason: Reason,
    /// What happened, and what to do next.
    pub message: String,
    /// Of single references.
    pub problems: Vec<Problem>,
    /// When to try again.
    pub retry: Retry,
}

/// When trying again makes sense.
#[derive(Clone, Copy, PartialEq)]
pub enum Retry {
    /// The caller for whom it was looked at had no turn at the vault: nothing is known that could be told. The next look is the service's own.
    Unread,
    /// Waiting may be enough.
    Soon(Option<Duration>),
    /// Waiting for so long is part of the plan.
    After(Duration),
    /// Somebody must mend something; whether they have is looked at again and again, at a growing pause.
    Later,
}

// === impl Target ===

impl Target<'_> {
    /// Whether what is remembered says by itself that something is left to do.
    pub fn is_unsettled(&self) -> bool {
        self.secret.state != State::Synced
            || self.secret.synced_generation != self.secret.generation
            || self.synced_requests != self.sync_requests
    }

    /// Whether the watch shows just the Secret that is remembered.
    pub(super) fn is_seen_as_written(&self) -> bool {
        let Seen::There(there) = &self.seen else { return false };
        Some(&there.uid) == self.edge.uid.as_ref()
            && Some(&there.resource_version) == self.edge.resource_version.as_ref()
    }

    /// The steps that come before all others, in any engine.
    pub(super) fn first_step(&self, trigger: Trigger) -> Option<Step> {
        if self.secret.state == State::Deleting {
            return Some(Step::Remove);
        }
        let is_pending = self.secret.references.iter().any(|reference| reference.create_pending);
        is_pending.then_some(match trigger.creating {
            // Its call is still at it.
            true => Step::Nothing,
            false => Step::FindCreated,
        })
    }
}

// === impl Failure ===

impl Failure {
    /// The failure that the problems of references amount to; none where there are none.
    pub fn of_references(references: &[Reference], problems: Vec<Problem>, retry: Retry) -> Option<Self> {
        let (place, reason, message) = problems.first()?;
        let (reason, message) = (*reason, format!("Key {}: {message}", references[*place].key));
        Some(Self { reason, message, problems, retry })
    }
}

impl From<&EdgeError> for Failure {
    fn from(error: &EdgeError) -> Self {
        let retry = match error {
            EdgeError::Throttled(after) => Retry::Soon(*after),
            error if error.is_transient() => Retry::Soon(None),
            _ => Retry::Later,
        };
        let message = sentence(&error.to_string(), &error.remedy());
        Self { reason: error.reason(), message, problems: Vec::new(), retry }
    }
}

/// What happened, then what to do next.
pub fn sentence(what: &str, next: &str) -> String {
    let mut characters = what.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}. {next}", characters.as_str().trim_end_matches('.'))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// What the reconciler would remember.
    #[derive(Clone)]
    pub(crate) struct Remembered {
        pub(crate) secret: SyncedSecret,
        pub(crate) edge: EdgeRecord,
        pub(crate) handed: Option<Handed>,
        pub(crate) sync_requests: i64,
    }

    impl Remembered {
        pub(crate) fn example() -> Self {
            let secret = SyncedSecret::example("edp1secrets");
            Self { secret, edge: EdgeRecord::default(), handed: None, sync_requests: 0 }
        }

        pub(crate) fn target(&self, seen: Seen) -> Target<'_> {
            Target {
                secret: &self.secret,
                edge: &self.edge,
                handed: self.handed.as_ref(),
                sync_requests: self.sync_requests,
                synced_requests: 0,
                adopted: None,
                seen,
            }
        }
    }
}
