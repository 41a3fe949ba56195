//! Why a use case refused or failed. All problems are reported at once, each with its field.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    edge::{EdgeError, Gap},
    model::{CertificateError, EncodingError, Output, SecretKey, SyncedSecretId, Usage, VaultSecretName},
    store::StoreError,
    vault::VaultError,
};

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request has at least one problem; nothing was changed.
    #[error("{}", .0.first().map(|problem| problem.cause.to_string()).unwrap_or_default())]
    Refused(Vec<Problem>),
    /// The etag is not the current one.
    #[error("{0} was changed since you read it")]
    Stale(String),
    /// The request id was used for a request with other content.
    #[error("this request_id was used for another request")]
    RequestIdReused,
    /// The request id was used before the database was restored.
    #[error("this request_id was used before the database was restored from a backup")]
    RequestOfAnotherHistory,
    /// The same request is being carried out right now.
    #[error("the same request is being carried out right now")]
    InProgress,
    /// The resume token points before the oldest change that is kept, or the database was restored since.
    #[error(
        "the changes after this resume token are no longer kept, or the database was restored to an earlier \
         state"
    )]
    TooOld,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// A defect of this service.
    #[error("the service failed")]
    Internal,
}

/// One problem with a request.
#[derive(Clone, Debug)]
pub struct Problem {
    /// Path of the field in the request, in proto names; empty if the problem concerns the whole request.
    pub field: String,
    /// What is wrong.
    pub cause: Cause,
}

/// What is wrong.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Cause {
    /// The field violates a rule, which the text states.
    #[error("{0}")]
    Invalid(String),
    /// There is no such synced secret.
    #[error("there is no synced secret {:?}", .0.as_str())]
    NoSyncedSecret(SyncedSecretId),
    /// It is unknown whether this synced secret exists: the database was lost and is still being rebuilt.
    #[error(
        "the database is being rebuilt from the edge, so a synced secret that it does not hold yet may \
         still exist"
    )]
    Rebuilding,
    /// The id is taken.
    #[error("a synced secret {:?} exists", .0.as_str())]
    SyncedSecretExists(SyncedSecretId),
    /// Another tool created it.
    #[error("the synced secret {:?} was created by another tool", .0.as_str())]
    Unmanaged(SyncedSecretId),
    /// The Secret has an owner at the edge, which would keep writing it.
    #[error("the Kubernetes Secret {:?} is owned by {owner}", .id.as_str())]
    Owned {
        /// The Secret.
        id: SyncedSecretId,
        /// Kind and name.
        owner: String,
    },
    /// The name is reserved.
    #[error("the name {:?} is reserved: it belongs to {owner}", .id.as_str())]
    Reserved {
        /// The name.
        id: SyncedSecretId,
        /// Who owns the name.
        owner: String,
    },
    /// Another program writes the Secret of this name.
    #[error("another program writes the Kubernetes Secret {:?} for {output}", .id.as_str())]
    Output {
        /// The Secret.
        id: SyncedSecretId,
        /// The resource that says so.
        output: Box<Output>,
    },
    /// It is being removed from the edge.
    #[error("the synced secret {:?} is being deleted", .0.as_str())]
    Deleting(SyncedSecretId),
    /// A resource uses it.
    #[error("the synced secret {:?} is used by {usage}", .id.as_str())]
    InUse {
        /// The synced secret.
        id: SyncedSecretId,
        /// What uses it.
        usage: Arc<Usage>,
    },
    /// A resource uses one of its keys.
    #[error("the key {:?} of the synced secret {:?} is used by {usage}", .key.as_str(), .id.as_str())]
    KeyInUse {
        /// The synced secret.
        id: SyncedSecretId,
        /// The key.
        key: SecretKey,
        /// What uses it.
        usage: Arc<Usage>,
    },
    /// It has no reference with this key.
    #[error("the synced secret {:?} has no reference with the key {:?}", .id.as_str(), .key.as_str())]
    NoReference {
        /// The synced secret.
        id: SyncedSecretId,
        /// The key.
        key: SecretKey,
    },
    /// It is unknown which resources use it.
    #[error("it is not known which resources use the synced secrets: {gap}")]
    UsagesUnknown {
        /// What could not be checked.
        gap: Gap,
        /// Whether the call offers `force`.
        may_force: bool,
    },
    /// It is unknown which Secrets the edge has.
    #[error("it is not known which Secrets the edge has, because they can't be listed and watched now")]
    SecretsUnknown,
    /// The vault already has a secret with that name.
    #[error("the vault already has a secret {:?}", .0.as_str())]
    VaultSecretExists(VaultSecretName),
    /// Another call is creating it.
    #[error("another call is creating the vault secret {:?} right now", .0.as_str())]
    BeingCreated(VaultSecretName),
    /// It is stored, but the service could not verify that no other client created it first.
    #[error("the vault secret {:?} is stored, but it is unknown whether another client created it first: \
        {error}", .name.as_str())]
    Unverified {
        /// The vault secret.
        name: VaultSecretName,
        /// Why it could not be verified.
        error: Arc<VaultError>,
    },
    /// There is nothing to recover: the vault secret is not deleted.
    #[error("the vault secret {:?} is not deleted", .0.as_str())]
    NotDeleted(VaultSecretName),
    /// The vault has not finished recovering the vault secret.
    #[error("the vault is still recovering the secret {:?}", .0.as_str())]
    Recovering(VaultSecretName),
    /// The version has expired.
    #[error("the version of {:?} that would be synced expired at {at}", .name.as_str())]
    Expired {
        /// The vault secret.
        name: VaultSecretName,
        /// When it expired.
        at: Timestamp,
    },
    /// The value is not in the encoding that the reference names.
    #[error("{error} in {:?}, which key {:?} asks for", .name.as_str(), .key.as_str())]
    NotEncoded {
        /// The key of the reference.
        key: SecretKey,
        /// The vault secret.
        name: VaultSecretName,
        /// The encoding.
        #[source]
        error: EncodingError,
    },
    /// The value does not have the part of a certificate that the reference takes.
    #[error("the key {:?} takes a part of a certificate out of the value of {:?}, but {error}", .key.as_str(), .name.as_str())]
    NotCertificate {
        /// The key of the reference.
        key: SecretKey,
        /// The vault secret.
        name: VaultSecretName,
        /// What it lacks.
        #[source]
        error: CertificateError,
    },
    /// The vault refused or failed.
    #[error(transparent)]
    Vault(Arc<VaultError>),
    /// The edge refused or failed.
    #[error(transparent)]
    Edge(EdgeError),
}

impl Problem {
    /// A problem with a field.
    pub fn new(field: impl Into<String>, cause: Cause) -> Self {
        Self { field: field.into(), cause }
    }

    /// A field that violates a rule.
    pub fn invalid(field: impl Into<String>, rule: impl ToString) -> Self {
        Self::new(field, Cause::Invalid(rule.to_string()))
    }
}

impl Error {
    /// One field violates a rule.
    pub fn invalid(field: impl Into<String>, rule: impl ToString) -> Self {
        Self::Refused(vec![Problem::invalid(field, rule)])
    }

    /// The same error, for a request that carries references, labels and type inside of `field`.
    pub(super) fn within(self, field: &str) -> Self {
        let Self::Refused(mut problems) = self else { return self };
        for problem in &mut problems {
            let is_within = ["labels", "secret_type"].contains(&problem.field.as_str());
            if is_within || problem.field.starts_with("references") {
                problem.field = format!("{field}.{}", problem.field);
            }
        }
        Self::Refused(problems)
    }

    /// An error if there are problems.
    pub fn refuse(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self::Refused(problems)) }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::Refused(vec![Problem::new("", cause)])
    }
}

impl From<VaultError> for Error {
    fn from(error: VaultError) -> Self {
        Cause::Vault(Arc::new(error)).into()
    }
}

impl From<EdgeError> for Error {
    fn from(error: EdgeError) -> Self {
        Cause::Edge(error).into()
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::RequestIdReused => Self::RequestIdReused,
            StoreError::RequestOfAnotherHistory => Self::RequestOfAnotherHistory,
            StoreError::RequestRecorded => Self::InProgress,
            other => Self::Store(other),
        }
    }
}
