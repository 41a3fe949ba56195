//! What the reconciler and an engine tell each other.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::{
    edge::{EdgeError, Seen, Written, engine::secret_store::Violation},
    explain::Explain,
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

/// Why a synced secret is reconciled.
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
    /// Nothing to do, or a call is still working on it.
    Nothing,
    /// Remove it from the edge, then forget it.
    Remove,
    /// Find out whether the vault holds what "Create new" was to store.
    FindCreated,
    /// Read the vault and write the edge.
    Apply,
    /// Repair drift.
    Repair,
    /// Look at the edge.
    Observe(Look),
}

/// What [`crate::edge::engine::Engine::observe`] is to find out.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Whether the Secret still holds what it should, although it is not the one that was written.
    Secret,
    /// Why the extension's resources could not be listed yet.
    Lists,
    /// Whether our own write still exists. The watch has not shown it for this long.
    OwnWrite(Duration),
    /// Whether the extension has written the Secret.
    Answer,
}

/// Why the edge is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// Something new was asked for, or the vault has something new.
    New,
    /// Somebody changed what was written.
    Drift,
    /// The extension has not reacted. The number of writes for that reason.
    Unanswered(u32),
    /// The extension has failed. The number of failures.
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

/// How the state of the vault compares with what was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// Write it, for this reason.
    Differs(Attempt),
    /// The edge holds it.
    Same,
    /// It was written already, and the extension has not finished it yet.
    Awaited,
}

/// The result of a write.
pub enum Applied {
    /// The Secret holds what it should.
    Synced(Synced),
    /// The extension has to act now.
    Delegated(Delegated),
    /// A Secret of somebody else stands under the name; nothing was written.
    Conflict,
    /// The write failed after it had repaired a part.
    Interrupted {
        /// Why it failed.
        error: EdgeError,
        /// The audit detail about that part. No later look finds it again.
        repaired: String,
    },
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

/// A write that the extension has to carry out.
pub struct Delegated {
    /// To be recorded.
    pub handed: Handed,
    /// Of what was written.
    pub digest: Vec<u8>,
    /// For the audit: what somebody else had changed.
    pub repaired: Option<String>,
    /// When to look again if the watch shows no answer before.
    pub look_again: Duration,
}

/// What the engine has found at the edge.
pub enum Observation {
    /// Not known yet. Look again after this time.
    Wait(Duration),
    /// Something has changed: plan again.
    Again,
    /// The Secret holds what was written, and this is its identity now.
    Unchanged(Written),
    /// The extension has written the Secret, and this is its identity.
    Confirmed(Written),
    /// Somebody changed what was written.
    Drifted(Drift),
    /// A Secret of somebody else stands under the name.
    Conflict,
    /// The extension has not answered for this long; see [`crate::edge::engine::Engine::evaluate_silence`].
    Unanswered(Duration),
    /// The extension is working on other SecretSyncs: the message for the condition, and when to look again.
    Busy(String, Duration),
    /// Read the vault and write again.
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

/// Whether a Secret can be released now.
pub enum Preparation {
    /// Its writer has not stopped yet. Check again after this time.
    Wait(Duration),
    /// It can. If the uid of the Secret is given, record it before the release.
    Ready(Option<String>),
}

/// A Secret that the other engine can write.
pub struct Released {
    /// The Secret, where there is one.
    pub secret: Option<Written>,
    /// Whether the next engine must write it once, even if it is SYNCED.
    pub must_rewrite: bool,
}

/// Why an engine can't sync a synced secret.
pub enum Objection {
    /// A field has a value that the engine does not take.
    Field(Violation),
    /// The engine is not set up.
    Engine(EdgeError),
}

/// A problem with one reference: its index, the reason and the message.
pub type Problem = (usize, Reason, String);

/// Why a reconciliation failed.
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
    /// The reads of a waiting caller were refused because too many wait for the vault: there is nothing to
    /// report. Retry with own reads.
    Unread,
    /// It may recover by itself. Retry with back-off, and not before this time.
    Soon(Option<Duration>),
    /// After this time, as planned.
    After(Duration),
    /// A person must fix something. Retry with back-off until they have.
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
            // Its call is still storing them.
            true => Step::Nothing,
            false => Step::FindCreated,
        })
    }
}

// === impl Failure ===

impl Failure {
    /// One failure for the problems of several references. None if there are no problems.
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
        Self { reason: error.reason(), message: error.explained(), problems: Vec::new(), retry }
    }
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
