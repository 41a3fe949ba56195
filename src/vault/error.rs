//! Errors of the vault, each with a remedy for the person who can fix it.

use std::time::Duration;

use crate::{
    explain::Explain,
    model::{Reason, VaultSecretName, VaultVersion},
    quote::Quote,
};

/// An error of the vault. No message contains a value, a token or a body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The configuration is not usable.
    #[error("the vault configuration is not usable: {0}")]
    Configuration(Quote),
    /// No such secret.
    #[error("the vault has no secret {:?}{}", .name.as_str(), or_deleted(.unseen_in.as_deref()))]
    NotFound {
        /// The requested name.
        name: VaultSecretName,
        /// The vault's name, if the secret may have been deleted: the identity may not see deleted secrets.
        unseen_in: Option<String>,
    },
    /// The requested secret was deleted, and can be recovered.
    #[error("the vault secret {:?} was deleted", .name.as_str())]
    Deleted {
        /// The requested name.
        name: VaultSecretName,
        /// The vault's name, for the command that recovers it.
        vault: String,
    },
    /// No such version of a secret.
    #[error("the vault secret {:?} has no version {version}", .name.as_str())]
    VersionNotFound {
        /// The secret.
        name: VaultSecretName,
        /// The requested version.
        version: VaultVersion,
    },
    /// The version is disabled.
    #[error("the vault secret {:?}{} is disabled", .name.as_str(), of_version(.version.as_ref()))]
    Disabled {
        /// The secret.
        name: VaultSecretName,
        /// The requested version; `None` for the latest.
        version: Option<VaultVersion>,
    },
    /// The name is taken by a deleted secret that can be recovered.
    #[error("the name is taken by the deleted vault secret {:?}", .name.as_str())]
    SoftDeleted {
        /// Its name.
        name: VaultSecretName,
        /// Whether the vault is still deleting, recovering or purging it.
        being_deleted: bool,
    },
    /// The vault manages the secret as part of a certificate.
    #[error("the vault manages the secret {:?} as part of a certificate", .name.as_str())]
    Managed {
        /// Its name.
        name: VaultSecretName,
    },
    /// The identity lacks the right.
    #[error("the vault refuses to {operation}: the service's identity lacks the right ({code})")]
    Forbidden {
        /// The operation: `list secrets`, `read values`, `create secrets` …
        operation: &'static str,
        /// The vault's inner error code, for example `ForbiddenByRbac`.
        code: String,
    },
    /// The vault's firewall blocks our network.
    #[error("the vault's firewall blocks the network of this service")]
    Firewall,
    /// There is no token, or the vault does not accept it.
    #[error("the service can't authenticate to the vault: {0}")]
    Unauthenticated(Quote),
    /// The vault throttles us.
    #[error("the vault throttles requests")]
    Throttled {
        /// The minimum time to wait, if the vault gave one.
        retry_after: Option<Duration>,
    },
    /// The queue of requests is full, for one caller or for all, or the request did not get its turn in time.
    #[error("too many requests are waiting for the vault, of this caller or of all callers")]
    QueueFull,
    /// The vault rejects the request.
    #[error("the vault rejected the request: {code} (status {status})")]
    Rejected {
        /// HTTP status.
        status: u16,
        /// The vault's error code.
        code: String,
    },
    /// The vault can't be reached, or it fails.
    #[error("the vault can't be reached: {0}")]
    Unreachable(Quote),
    /// A proxy or a web page has answered instead of the vault.
    #[error("the vault can't be reached: {0}")]
    Intercepted(Quote),
    /// Nothing was sent, because another process is or may be the leader.
    #[error("nothing was written to the vault: this process is not the leader of the instance")]
    NotLeader,
    /// No answer in time.
    #[error("the vault did not answer within {}", humantime::format_duration(*.after))]
    Timeout {
        /// The deadline.
        after: Duration,
    },
    /// The response is not one of Key Vault.
    #[error("unexpected answer from the vault: {0}")]
    Malformed(Quote),
}

fn of_version(version: Option<&VaultVersion>) -> String {
    version.map(|version| format!(" in version {version}")).unwrap_or_default()
}

fn or_deleted(unseen_in: Option<&str>) -> &'static str {
    match unseen_in {
        Some(_) => ", or it was deleted: the service's identity may not see deleted secrets",
        None => "",
    }
}

/// How a person recovers a deleted secret.
fn recovery(name: &VaultSecretName, vault: &str) -> String {
    format!("`az keyvault secret recover --vault-name {vault} --name {}`", name.as_str())
}

impl VaultError {
    /// Whether a retry may succeed.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::SoftDeleted { being_deleted, .. } => *being_deleted,
            Self::Throttled { .. }
            | Self::QueueFull
            | Self::Intercepted(_)
            | Self::Unreachable(_)
            | Self::NotLeader
            | Self::Timeout { .. }
            | Self::Malformed(_)
            | Self::Unauthenticated(_) => true,
            _ => false,
        }
    }

    /// How long to wait before a retry, if the vault says so.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after } => *retry_after,
            _ => None,
        }
    }

    /// The reason for conditions.
    pub fn condition_reason(&self) -> Reason {
        match self {
            Self::NotFound { .. } | Self::SoftDeleted { .. } => Reason::VaultSecretNotFound,
            Self::Deleted { .. } => Reason::VaultSecretDeleted,
            Self::VersionNotFound { .. } => Reason::VaultVersionNotFound,
            Self::Disabled { .. } => Reason::VaultSecretDisabled,
            Self::Forbidden { .. } => Reason::VaultForbidden,
            Self::Managed { .. } => Reason::VaultRejected,
            Self::Firewall => Reason::VaultFirewall,
            Self::Unauthenticated(_) => Reason::VaultUnauthenticated,
            Self::Throttled { .. } | Self::QueueFull => Reason::VaultThrottled,
            Self::Rejected { .. } => Reason::VaultRejected,
            Self::NotLeader => Reason::StandingBy,
            Self::Configuration(_)
            | Self::Intercepted(_)
            | Self::Unreachable(_)
            | Self::Timeout { .. }
            | Self::Malformed(_) => Reason::VaultUnreachable,
        }
    }
}

impl Explain for VaultError {
    fn remedy(&self) -> String {
        match self {
            Self::Configuration(_) => {
                "Fix the sections vault, credential and cloud of the configuration.".to_owned()
            }
            Self::NotFound { name, unseen_in: None } => {
                format!(
                    "Create {name:?} with CreateVaultSecret, or find the right name with ListVaultSecrets."
                )
            }
            Self::NotFound { name, unseen_in: Some(vault) } => {
                format!(
                    "If it was deleted, recover it with {}; otherwise create it with CreateVaultSecret, or find the right name with \
                     ListVaultSecrets. With the role {} the service sees which it is.",
                    recovery(name, vault),
                    role("see deleted secrets")
                )
            }
            Self::Deleted { name, vault } => {
                format!(
                    "Recover it with `secret-service vault recover {}` or {}; the service then syncs it by itself.",
                    name.as_str(),
                    recovery(name, vault)
                )
            }
            Self::VersionNotFound { name, .. } => {
                format!("Find the versions of {name:?} with ListVaultSecretVersions, or follow the latest.")
            }
            Self::Disabled { .. } => "Enable it in the vault, or reference another version.".to_owned(),
            Self::SoftDeleted { being_deleted: true, .. } => "Retry when the vault has finished.".to_owned(),
            Self::SoftDeleted { .. } => {
                "Recover it with RecoverVaultSecret, purge it in the vault, or choose another name."
                    .to_owned()
            }
            Self::Managed { .. } => "Change the certificate in the vault instead.".to_owned(),
            Self::Forbidden { operation, .. } => {
                format!(
                    "Assign the role {} to the service's identity; a role assignment takes a few minutes to \
                     take effect, and the service retries by itself.",
                    role(operation)
                )
            }
            Self::Firewall => {
                "Allow this network in the vault's firewall, or use a private endpoint.".to_owned()
            }
            Self::Unauthenticated(_) => {
                "Check the credential in the configuration: kind, client ID, tenant, and secret or file."
                    .to_owned()
            }
            Self::Throttled { .. } => "Retry later; the service slows down automatically.".to_owned(),
            Self::QueueFull => {
                "Retry when some of your calls have completed, or ask the operator to raise vault.waiting."
                    .to_owned()
            }
            Self::Rejected { .. } => {
                "Fix what the code names; the vault will not accept the request unchanged.".to_owned()
            }
            Self::NotLeader => {
                "Retry later, or call the process that holds the Lease of the instance.".to_owned()
            }
            Self::Unreachable(_) | Self::Timeout { .. } => {
                "Retry later; if it persists, check the network, the proxy and vault.uri.".to_owned()
            }
            Self::Intercepted(_) => {
                "Check the proxy: HTTPS_PROXY with its credentials and NO_PROXY of the service, that the proxy passes the vault and \
                 the token authority, and that vault.uri is a Key Vault."
                    .to_owned()
            }
            Self::Malformed(_) => {
                "Check that vault.uri is a Key Vault, and that no proxy answers in its place.".to_owned()
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
