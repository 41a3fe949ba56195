//! The two conditions of a SecretSync and how secrets-store-sync-controller sets them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Whether the Secret was created: set until it is, and never afterwards.
pub(super) const CREATED: &str = "SecretCreated";
/// Whether the Secret is up to date: set once it was created.
pub(super) const UPDATED: &str = "SecretUpdated";

/// The maximum length of a message in the custom resource.
const LONGEST_MESSAGE: usize = 32_768;

/// The reason of a condition.
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
    /// From the extension, not from the upstream controller.
    PartialSync,
}

// === impl Reason ===

impl Reason {
    /// The reasons that make the controller write although the hash is equal.
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

/// The conditions of a SecretSync before its first reconciliation.
pub(super) fn begin(conditions: &mut Vec<Condition>) {
    set(conditions, CREATED, "Unknown", Reason::SyncStarting, String::new());
    set(conditions, UPDATED, "Unknown", Reason::NoUpdatesAttemptedYet, String::new());
}

/// Sets a condition. Its time is that of the last change of its status; like upstream, never sets `observedGeneration`.
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

/// Whether a condition says that the last attempt failed.
pub(super) fn tell_of_failure(conditions: &[Condition]) -> bool {
    conditions
        .iter()
        .any(|condition| Reason::FAILURES.iter().any(|reason| reason.as_str() == condition.reason))
}
