//! Why the vault did not do what was asked, in the terms of who must mend it.

use std::time::Duration;

use crate::{
    model::{Reason, VaultSecretName, VaultVersion},
    quote::Quote,
};

/// An error of the vault. No message holds a value, a token or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// What is configured can't be used.
    #[error("the vault's configuration can't be used: {0}")]
    Configuration(Quote),
    /// No such secret.
    #[error("the vault has no secret {:?}", .name.as_str())]
    NotFound {
        /// The name that was asked for.
        name: VaultSecretName,
    },
    /// No such version of a secret.
    #[error("the vault secret {:?} has no version {version}", .name.as_str())]
    VersionNotFound {
        /// The secret.
        name: VaultSecretName,
        /// The version that was asked for.
        version: VaultVersion,
    },
    /// The version may not be read.
    #[error("the vault secret {:?}{} is disabled", .name.as_str(), of_version(.version.as_ref()))]
    Disabled {
        /// The secret.
        name: VaultSecretName,
        /// The version that was asked for; absent for the latest.
        version: Option<VaultVersion>,
    },
    /// The name is taken by a deleted secret that can be recovered.
    #[error("the vault holds a deleted secret {:?}", .name.as_str())]
    SoftDeleted {
        /// Its name.
        name: VaultSecretName,
        /// True while the vault is still deleting (or recovering, or purging) it.
        being_deleted: bool,
    },
    /// The identity lacks the right.
    #[error("the vault refuses to {operation}: the service's identity lacks the right ({code})")]
    Forbidden {
        /// What was refused: `list secrets`, `read values`, `create secrets` …
        operation: &'static str,
        /// The vault's inner error code, for example `ForbiddenByRbac`.
        code: String,
    },
    /// The vault's firewall refuses the network that we come from.
    #[error("the vault's firewall refuses the network of this service")]
    Firewall,
    /// No token, or one that the vault does not accept.
    #[error("the service can't authenticate to the vault: {0}")]
    Unauthenticated(Quote),
    /// The vault asks us to slow down.
    #[error("the vault throttles its callers")]
    Throttled {
        /// How long to wait at least, where the vault says so.
        retry_after: Option<Duration>,
    },
    /// More requests of one caller, or of all, wait for their turn than may, or than had one in time.
    #[error("too many requests wait for the vault, of this caller or of all")]
    TooManyWait,
    /// The vault does not accept the request as it is.
    #[error("the vault refuses the request: {code} (status {status})")]
    Rejected {
        /// HTTP status.
        status: u16,
        /// The vault's error code.
        code: String,
    },
    /// The vault can't be reached, or fails.
    #[error("the vault can't be reached: {0}")]
    Unreachable(Quote),
    /// Nothing was sent: another process acts for the instance, or may.
    #[error("nothing was written to the vault: this process does not act for the instance")]
    NotLeading,
    /// No answer in time.
    #[error("the vault did not answer within {}", humantime::format_duration(*.after))]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The answer is not what Key Vault says.
    #[error("the vault's answer is not understood: {0}")]
    Malformed(Quote),
}

fn of_version(version: Option<&VaultVersion>) -> String {
    version.map(|version| format!(" in version {version}")).unwrap_or_default()
}

impl VaultError {
    /// Whether waiting may be enough.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::SoftDeleted { being_deleted, .. } => *being_deleted,
            Self::Throttled { .. }
            | Self::TooManyWait
            | Self::Unreachable(_)
            | Self::NotLeading
            | Self::Timeout { .. }
            | Self::Malformed(_)
            | Self::Unauthenticated(_) => true,
            _ => false,
        }
    }

    /// How long to wait before another try, where the vault says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// The reason in conditions.
    pub fn condition_reason(&self) -> Reason {
        match self {
            Self::NotFound { .. } | Self::SoftDeleted { .. } => Reason::VaultSecretNotFound,
            Self::VersionNotFound { .. } => Reason::VaultVersionNotFound,
            Self::Disabled { .. } => Reason::VaultSecretDisabled,
            Self::Forbidden { .. } => Reason::VaultForbidden,
            Self::Firewall => Reason::VaultFirewall,
            Self::Unauthenticated(_) => Reason::VaultUnauthenticated,
            Self::Throttled { .. } | Self::TooManyWait => Reason::VaultThrottled,
            Self::Rejected { .. } => Reason::VaultRejected,
            Self::NotLeading => Reason::StandingBy,
            Self::Configuration(_) | Self::Unreachable(_) | Self::Timeout { .. } | Self::Malformed(_) => {
                Reason::VaultUnreachable
            }
        }
    }

    /// What a person should do next, in one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::Configuration(_) => "Mend the vault's part of the configuration.".to_owned(),
            Self::NotFound { name } => {
                format!(
                    "Create it with CreateVaultSecret, or look with ListVaultSecrets for what {name:?} should be."
                )
            }
            Self::VersionNotFound { name, .. } => {
                format!(
                    "Look with ListVaultSecretVersions for the versions of {name:?}, or follow the latest."
                )
            }
            Self::Disabled { .. } => "Enable it in the vault, or refer to another version.".to_owned(),
            Self::SoftDeleted { being_deleted: true, .. } => {
                "Wait until the vault has finished, then try again.".to_owned()
            }
            Self::SoftDeleted { .. } => {
                "Recover or purge it in the vault, or choose another name.".to_owned()
            }
            Self::Forbidden { operation, .. } => {
                format!(
                    "Give the service's identity the role {}. A new role assignment takes some minutes to take effect; what waits \
                     for it is tried again by itself.",
                    role(operation)
                )
            }
            Self::Firewall => {
                "Allow this network in the vault's firewall, or reach the vault by a private endpoint."
                    .to_owned()
            }
            Self::Unauthenticated(_) => {
                "Check the credential in the configuration: its kind, client id, tenant and secret or file."
                    .to_owned()
            }
            Self::Throttled { .. } => "Try again later; the service slows down by itself.".to_owned(),
            Self::TooManyWait => {
                "Wait for some of your calls to end, or ask the operator for a higher vault.waiting."
                    .to_owned()
            }
            Self::Rejected { .. } => {
                "Mend what the code names: the vault will not accept it as it is.".to_owned()
            }
            Self::NotLeading => {
                "Try again later, or call the process that holds the Lease of the instance.".to_owned()
            }
            Self::Unreachable(_) | Self::Timeout { .. } => {
                "Try again later; if it stays so, check the network, the proxy and the vault's URI."
                    .to_owned()
            }
            Self::Malformed(_) => {
                "Check that the vault's URI is that of a Key Vault and that no proxy answers in its place."
                    .to_owned()
            }
        }
    }
}

/// The Azure role that grants an operation.
fn role(operation: &str) -> &'static str {
    match operation {
        "list secrets" | "see deleted secrets" => "Key Vault Reader or Key Vault Secrets User",
        "read values" => "Key Vault Secrets User",
        _ => "Key Vault Secrets Officer",
    }
}
