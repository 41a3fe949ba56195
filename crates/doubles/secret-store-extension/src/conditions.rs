//! The two conditions of a SecretSync, as secrets-store-sync-controller names them, and what it makes of them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether the Secret was made: moves until it is, and never after.
pub(super) const CREATED: &str = "SecretCreated";
/// Whether the Secret is as it should be: moves once it was made.
pub(super) const UPDATED: &str = "SecretUpdated";

/// What the custom resource bears in a message.
const LONGEST_MESSAGE: usize = 32_768;

/// Why a condition is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    SyncStarting,
    NoUpdatesAttemptedYet,
    CreateSuccessful,
    SecretUpToDate,
    ProviderError,
    RemoteSecretStoreFetchFailed,
    SecretProviderClassMisconfigured,
    InvalidClusterSecretLabelError,
    InvalidClusterSecretAnnotationError,
    ControllerSyncError,
    ControllerPatchError,
    /// Of the extension, and not of the controller that it is made from.
    PartialSync,
}

// === impl Reason ===

impl Reason {
    /// Those that make the controller write although the hash is equal.
    const FAILURES: [Self; 8] = [
        Self::ProviderError,
        Self::RemoteSecretStoreFetchFailed,
        Self::SecretProviderClassMisconfigured,
        Self::InvalidClusterSecretLabelError,
        Self::InvalidClusterSecretAnnotationError,
        Self::ControllerSyncError,
        Self::ControllerPatchError,
        Self::PartialSync,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::SyncStarting => "SyncStarting",
            Self::NoUpdatesAttemptedYet => "NoUpdatesAttemptedYet",
            Self::CreateSuccessful => "CreateSuccessful",
            Self::SecretUpToDate => "SecretUpToDate",
            Self::ProviderError => "ProviderError",
            Self::RemoteSecretStoreFetchFailed => "RemoteSecretStoreFetchFailed",
            Self::SecretProviderClassMisconfigured => "SecretProviderClassMisconfigured",
            Self::InvalidClusterSecretLabelError => "InvalidClusterSecretLabelError",
            Self::InvalidClusterSecretAnnotationError => "InvalidClusterSecretAnnotationError",
            Self::ControllerSyncError => "ControllerSyncError",
            Self::ControllerPatchError => "ControllerPatchError",
            Self::PartialSync => "PartialSync",
        }
    }
}

/// The conditions of a SecretSync that nobody has looked at.
pub(super) fn begin(conditions: &mut Vec<Condition>) {
    set(conditions, CREATED, "Unknown", Reason::SyncStarting, String::new());
    set(conditions, UPDATED, "Unknown", Reason::NoUpdatesAttemptedYet, String::new());
}

/// Sets a condition. Its time is when its status last changed; `observedGeneration` is never set, as upstream doesn't.
pub(super) fn set(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: Reason,
    mut message: String,
) {
    message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
    let stands = conditions.iter().position(|condition| condition.type_ == kind);
    let unmoved = stands.map(|at| &conditions[at]).filter(|condition| condition.status == status);
    let condition = Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        last_transition_time: unmoved
            .map_or_else(|| Time::from(Timestamp::now()), |condition| condition.last_transition_time.clone()),
        observed_generation: None,
    };
    match stands {
        Some(at) => conditions[at] = condition,
        None => conditions.push(condition),
    }
}

/// Whether one of them says that the last attempt failed.
pub(super) fn tell_of_failure(conditions: &[Condition]) -> bool {
    conditions
        .iter()
        .any(|condition| Reason::FAILURES.iter().any(|reason| reason.as_str() == condition.reason))
}
