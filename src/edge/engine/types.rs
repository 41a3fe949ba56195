//! The types that the reconciler and the engines exchange.

use std::{sync::Arc, time::Duration};

use zeroize::Zeroizing;

use crate::{
    edge::{CachedSecret, EdgeError, Written, engine::secret_store::Violation},
    explain::{Explain, explanation},
    model::{
        CertificateFacts, ContentError, Delegation, EdgeRecord, Part, Reason, Reference, ReferenceStatus,
        State, SyncedSecret, ValueError, VaultVersion,
    },
};

/// Makes a keyed digest of content; the first argument keeps different uses apart.
pub type Digest = Arc<dyn Fn(&str, &[u8]) -> Vec<u8> + Send + Sync>;

/// A synced secret as desired, and the recorded state of its objects at the edge.
pub struct Target<'a> {
    /// The desired state.
    pub secret: &'a SyncedSecret,
    /// The Secret as it was last written or read.
    pub edge: &'a EdgeRecord,
    /// The last sync that was delegated to the extension.
    pub delegation: Option<&'a Delegation>,
    /// Number of "Sync now" requests.
    pub sync_requests: i64,
    /// The number of the last "Sync now" request that an attempt answered.
    pub synced_requests: i64,
    /// The uid of another tool's SecretSync that is being adopted.
    pub adopted: Option<&'a str>,
    /// The Secret as the watch showed it when this reconciliation began.
    pub cached: CachedSecret,
}

/// Why a synced secret is reconciled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trigger {
    /// A call is storing new vault secrets of it right now.
    pub creating: bool,
    /// The vault may have new versions: read it again.
    pub refetch: bool,
}

/// The next step for a synced secret.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing to do, or a call is still working on it.
    Nothing,
    /// Remove it from the edge, then from the database.
    Remove,
    /// Resume an interrupted "Create new": find out which values the vault holds.
    ResumeCreate,
    /// Read the vault and write the edge.
    Apply,
    /// Repair drift.
    Repair,
    /// Read the state of the edge.
    Observe(Aspect),
}

/// What [`crate::edge::engine::Engine::observe`] should find out.
#[derive(Debug, PartialEq, Eq)]
pub enum Aspect {
    /// Whether the Secret has the right content, although its uid or version is not the recorded one.
    Secret,
    /// Why the extension's resources could not be listed yet.
    Lists,
    /// Whether the objects that we wrote still exist. The watch has not shown them for this long.
    OwnWrite(Duration),
    /// Whether the extension has written the Secret.
    Answer,
}

/// Why the edge is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The desired state or the vault has changed.
    New,
    /// Another manager changed what was written.
    Drift,
    /// The extension has not reacted. Counts the writes for that reason.
    Unanswered(u32),
    /// The extension has failed. Counts the failures.
    Failed(u32),
}

/// The state of the vault for all references.
#[derive(Default)]
pub struct VaultState {
    /// The status to record for each reference once the edge holds it.
    pub statuses: Vec<ReferenceStatus>,
    /// The bytes and the version of each reference; empty for an engine that reads no values.
    pub values: Vec<(Zeroizing<Vec<u8>>, VaultVersion)>,
}

/// How the state of the vault compares with what was written.
#[derive(Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It must be written, for this reason.
    Differs(Attempt),
    /// The edge already holds it.
    Same,
    /// It was already written, and the extension has not finished yet.
    Awaited,
}

/// The result of a write.
pub enum Applied {
    /// The Secret has the desired content.
    Synced(Synced),
    /// The SecretSync was written; the extension must write the Secret.
    Delegated(Delegated),
    /// The name belongs to another tool's Secret; nothing was written.
    Conflict,
    /// The write failed after it had repaired a part.
    Interrupted {
        /// Why it failed.
        error: EdgeError,
        /// The audit detail about that part. No later observation finds it again.
        repaired: String,
    },
}

/// A Secret with the desired content.
pub struct Synced {
    /// Its uid and version.
    pub written: Written,
    /// The digest of its content.
    pub digest: Vec<u8>,
    /// The statuses of the references to record.
    pub statuses: Vec<ReferenceStatus>,
    /// Whether the watch showed it as synced already, so that nothing was written.
    pub is_from_cache: bool,
}

/// A write that the extension has to carry out.
pub struct Delegated {
    /// To be recorded.
    pub delegation: Delegation,
    /// The digest of what was written.
    pub digest: Vec<u8>,
    /// For the audit: what another manager had changed.
    pub repaired: Option<String>,
    /// When to reconcile again if the watch shows no answer before.
    pub requeue_after: Duration,
}

/// What the engine has found at the edge.
pub enum Observation {
    /// Not known yet. Reconcile again after this time.
    Wait(Duration),
    /// Something has changed: plan again.
    Again,
    /// The Secret has the content that was written, and this is its current uid and version.
    Unchanged(Written),
    /// The extension has written the Secret: its uid and version, and the certificates of the references, as far as they were
    /// read.
    Confirmed(Written, Vec<Option<CertificateFacts>>),
    /// Another manager changed what was written.
    Drifted(Drift),
    /// The name belongs to another tool's Secret.
    Conflict,
    /// The extension has not answered for this long; see [`crate::edge::engine::Engine::evaluate_silence`].
    Unanswered(Duration),
    /// The extension is working on other SecretSyncs: the message of the condition, and when to reconcile
    /// again.
    Busy(String, Duration),
    /// Read the vault and write again.
    Retry(Attempt),
    /// Write the same content again.
    Resend(VaultState, Attempt),
    /// The extension reported a failure.
    Failed(Failure),
}

/// A change that another manager made.
#[derive(Debug, Default)]
pub struct Drift {
    /// The manager's name in `managedFields`, if the observation showed it.
    pub manager: Option<String>,
    /// Whether keys must be released before the repair.
    pub must_release: bool,
}

/// Whether a Secret can be released now.
pub enum Preparation {
    /// Its writer has not stopped yet. Check again after this time.
    Wait(Duration),
    /// It can be released. If the uid of the Secret is given, record it before the release.
    Ready(Option<String>),
}

/// A Secret that the other engine can write.
pub struct Released {
    /// The Secret, if there is one.
    pub secret: Option<Written>,
    /// Whether the next engine must write it once, even if it is SYNCED.
    pub must_rewrite: bool,
}

/// Why an engine can't sync a synced secret.
pub enum Objection {
    /// The engine does not support the value of a field.
    Field(Violation),
    /// The engine is not set up.
    Engine(EdgeError),
}

/// A problem with one reference: its index, the reason and the message.
pub type Problem = (usize, Reason, String);

/// Why a reconciliation failed.
pub struct Failure {
    /// The reason of the condition.
    pub reason: Reason,
    /// What happened, and what to do next.
    pub message: String,
    /// The problems of single references.
    pub problems: Vec<Problem>,
    /// When to retry.
    pub retry: Retry,
}

/// When to retry.
#[derive(Clone, Copy, PartialEq)]
pub enum Retry {
    /// The reads of a waiting caller were rejected because the queue for the vault is full: there is nothing
    /// to report. Retry with new reads.
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
    /// Whether the record alone shows that work is left to do.
    pub fn is_unsettled(&self) -> bool {
        self.secret.state != State::Synced
            || self.secret.synced_generation != self.secret.generation
            || self.synced_requests != self.sync_requests
    }

    /// Whether the watch shows exactly the recorded uid and version.
    pub(super) fn is_cached_as_written(&self) -> bool {
        let CachedSecret::Present(there) = &self.cached else { return false };
        Some(&there.uid) == self.edge.uid.as_ref()
            && Some(&there.resource_version) == self.edge.resource_version.as_ref()
    }

    /// The steps that precede all others in both engines.
    pub(super) fn first_step(&self, trigger: Trigger) -> Option<Step> {
        if self.secret.state == State::Deleting {
            return Some(Step::Remove);
        }
        let is_pending = self.secret.references.iter().any(|reference| reference.create_pending);
        is_pending.then_some(match trigger.creating {
            // The call is still storing them.
            true => Step::Nothing,
            false => Step::ResumeCreate,
        })
    }
}

// === impl Failure ===

/// The message about a value that is not in the encoding of its reference: the same in both engines. Never shows the
/// value.
pub fn not_encoded(reference: &Reference) -> String {
    format!(
        "The value of the vault secret {:?} is not valid {}, the encoding of key {:?}. Store it in that encoding, or change the \
         reference's encoding with UpdateSyncedSecret.",
        reference.vault_secret.as_str(),
        reference.encoding.name(),
        reference.key.as_str()
    )
}

/// The message about a value that the API server refuses in a Secret of its type: the same in both engines. Never shows
/// the value.
pub fn refused_content(reference: &Reference, error: &ContentError) -> String {
    let happened =
        format!("{error}, and the value of the vault secret {:?} is none", reference.vault_secret.as_str());
    explanation(
        &happened,
        "Store such a value in the vault, or refer to another vault secret with UpdateSyncedSecret.",
    )
}

/// The message about a value without the part of a certificate that its reference takes: the same in both engines. Never
/// shows the value.
pub fn not_a_certificate(reference: &Reference, why: &str) -> String {
    let taken = match reference.part {
        Part::Whole => "certificate or private key",
        Part::Certificate => "certificate",
        Part::Chain => "chain of a certificate",
        Part::PrivateKey => "private key",
        Part::FullChain => "certificate with its chain",
        Part::Pfx => "PFX",
    };
    let happened = format!(
        "The key {:?} takes the {taken} of the vault secret {:?}, and {why}",
        reference.key.as_str(),
        reference.vault_secret.as_str()
    );
    explanation(
        &happened,
        "Store such a value in the vault, or change the reference with UpdateSyncedSecret.",
    )
}

/// The reason and the message about a value that can't be synced.
pub fn unusable_value(reference: &Reference, error: &ValueError) -> (Reason, String) {
    match error {
        ValueError::Encoding(_) => (Reason::InvalidEncoding, not_encoded(reference)),
        ValueError::Certificate(error) => {
            (Reason::InvalidCertificate, not_a_certificate(reference, &error.to_string()))
        }
        ValueError::Content(error) => (Reason::EdgeRejected, refused_content(reference, error)),
    }
}

impl Failure {
    /// Combines the problems of several references into one failure. None if there are no problems.
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

    /// What the reconciler would have recorded.
    #[derive(Clone)]
    pub(crate) struct TestRecord {
        pub(crate) secret: SyncedSecret,
        pub(crate) edge: EdgeRecord,
        pub(crate) delegation: Option<Delegation>,
        pub(crate) sync_requests: i64,
    }

    impl TestRecord {
        pub(crate) fn example() -> Self {
            let secret = SyncedSecret::example("edp1secrets");
            Self { secret, edge: EdgeRecord::default(), delegation: None, sync_requests: 0 }
        }

        pub(crate) fn target(&self, cached: CachedSecret) -> Target<'_> {
            Target {
                secret: &self.secret,
                edge: &self.edge,
                delegation: self.delegation.as_ref(),
                sync_requests: self.sync_requests,
                synced_requests: 0,
                adopted: None,
                cached,
            }
        }
    }
}
