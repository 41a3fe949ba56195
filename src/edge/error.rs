//! Errors of the Kubernetes API, by who has to fix them.

use std::time::Duration;

use super::refusal::{Refusal, intercepted};
use crate::{explain::Explain, model::Reason, quote::Quote};

/// An error of the edge. No message contains a secret value: the API names fields and keys, and we never
/// quote bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The kubeconfig or the pod's service account is unusable.
    #[error("the cluster configuration is invalid: {0}")]
    Configuration(Quote),
    /// An object of this name exists, and this service does not manage it.
    #[error("the Kubernetes {kind} {name:?} exists and is not managed by this service")]
    Conflict {
        /// `Secret`, or a kind of the Secret Store extension.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Our object is being deleted, but a finalizer blocks the deletion.
    #[error("the Kubernetes {kind} {name:?} is being deleted, but a finalizer blocks the deletion")]
    Terminating {
        /// `Secret`, or a kind of the Secret Store extension.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The engine needs a setting that is missing.
    #[error("the Secret Store engine needs {setting}")]
    SettingMissing {
        /// The field of the configuration.
        setting: &'static str,
    },
    /// The engine can't tell the extension where the vault is.
    #[error("the Secret Store engine needs secret_store.cloud_env_file for a vault of a custom cloud")]
    CloudUnknown,
    /// Which class the instance was set up with is not certain.
    #[error("it is not clear which SecretProviderClass is the instance's default: {0}")]
    DefaultClass(String),
    /// Another process is the leader for the instance; nothing was written.
    #[error("another process is the leader for the instance: {holder:?} holds the Lease")]
    NotLeader {
        /// Who holds the Lease.
        holder: String,
    },
    /// It changed between our read and our write.
    #[error("the Kubernetes Secret was changed concurrently: {0}")]
    Changed(Quote),
    /// The service account lacks a permission.
    #[error("the Kubernetes API denied access: {0}")]
    Forbidden(Quote),
    /// The service's credentials are not accepted.
    #[error("the Kubernetes API does not accept the service's credentials: {0}")]
    Unauthenticated(Quote),
    /// The namespace does not exist.
    #[error("the namespace {0:?} does not exist")]
    NamespaceMissing(String),
    /// The namespace is being deleted, so nothing can be created in it.
    #[error("the namespace {0:?} is being deleted")]
    NamespaceTerminating(String),
    /// A proxy or a web page has answered instead of the API server.
    #[error("the Kubernetes API is unreachable: {0}")]
    Intercepted(Quote),
    /// The custom resources of the Secret Store extension are not installed, or not in the version that this
    /// service writes.
    #[error("the cluster does not serve the kind {kind} of the Secret Store extension")]
    NotServed {
        /// The kind.
        kind: String,
    },
    /// No object of that name exists.
    #[error("the Kubernetes API found no such resource: {0}")]
    NotFound(Quote),
    /// The API server asks us to slow down.
    #[error("the Kubernetes API is overloaded")]
    Throttled(Option<Duration>),
    /// The values together exceed the size limit of a Secret.
    #[error("the values together exceed the size limit of a Kubernetes Secret")]
    TooLarge,
    /// The API server does not accept the Secret as it is.
    #[error("the Kubernetes API rejected the Secret: {0}")]
    Rejected(Quote),
    /// The API server is unreachable or fails.
    #[error("the Kubernetes API is unreachable: {0}")]
    Unreachable(Quote),
    /// No answer in time.
    #[error("the Kubernetes API did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

impl EdgeError {
    /// A Secret of this name exists that this service does not manage.
    pub fn conflict(name: impl ToString) -> Self {
        Self::Conflict { kind: "Secret".to_owned(), name: name.to_string() }
    }

    /// Our Secret of this name is being deleted, but a finalizer blocks the deletion.
    pub(super) fn terminating(name: impl ToString) -> Self {
        Self::Terminating { kind: "Secret".to_owned(), name: name.to_string() }
    }

    /// What an error of the client means.
    pub(super) fn of(error: &kube::Error, namespace: &str) -> Self {
        let status = match error {
            kube::Error::Api(status) => status,
            // Our own error, from the fence.
            kube::Error::Service(inner) if inner.is::<Self>() => {
                return inner.downcast_ref::<Self>().expect("its type was just checked").clone();
            }
            error => return Self::Unreachable(Quote::cause(error)),
        };
        if let Some(cause) = intercepted(status.code, &status.message) {
            return Self::Intercepted(cause.into());
        }
        let message = Quote::from(&status.message);
        let refusal = Refusal::of(&status.message);
        match status.code {
            401 => Self::Unauthenticated(message),
            403 if refusal == Some(Refusal::NamespaceTerminating) => {
                Self::NamespaceTerminating(namespace.to_owned())
            }
            403 => Self::Forbidden(message),
            404 if status.message.contains("namespaces \"") => Self::NamespaceMissing(namespace.to_owned()),
            404 => Self::NotFound(message),
            409 => Self::Changed(message),
            // The apply named the object by its uid, and another object has the name now.
            422 if status.message.contains("metadata.uid: Invalid value") => Self::Changed(message),
            413 => Self::TooLarge,
            422 | 500 if refusal == Some(Refusal::TooLarge) => Self::TooLarge,
            400 | 405 | 415 | 422 => Self::Rejected(message),
            429 => Self::Throttled(retry_after(status)),
            _ => Self::Unreachable(format!("status {}: {message}", status.code).into()),
        }
    }

    /// Whether a retry may succeed without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Changed(_)
                | Self::Terminating { .. }
                | Self::Throttled(_)
                | Self::NotLeader { .. }
                | Self::Intercepted(_)
                | Self::Unreachable(_)
                | Self::Timeout(_)
        )
    }

    /// The reason in conditions.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Conflict { .. } => Reason::EdgeConflict,
            Self::Forbidden(_) | Self::Unauthenticated(_) => Reason::EdgeForbidden,
            Self::TooLarge => Reason::TooLarge,
            Self::SettingMissing { .. } | Self::CloudUnknown | Self::DefaultClass(_) => {
                Reason::SettingsMissing
            }
            Self::NotServed { .. } => Reason::ExtensionFailed,
            Self::Rejected(_) | Self::NamespaceMissing(_) | Self::NotFound(_) | Self::Terminating { .. } => {
                Reason::EdgeRejected
            }
            Self::NamespaceTerminating(_) => Reason::NamespaceTerminating,
            Self::Changed(_) => Reason::Pending,
            Self::NotLeader { .. } => Reason::StandingBy,
            Self::Configuration(_)
            | Self::Throttled(_)
            | Self::Intercepted(_)
            | Self::Unreachable(_)
            | Self::Timeout(_) => Reason::EdgeUnreachable,
        }
    }
}

impl Explain for EdgeError {
    fn remedy(&self) -> String {
        match self {
            Self::Configuration(_) => {
                "Set a valid kubeconfig file, or run in a pod with a service account.".to_owned()
            }
            Self::Conflict { kind, name } => {
                format!(
                    "Adopt it with AdoptSyncedSecret, delete the {kind} {name:?}, or choose another name."
                )
            }
            Self::SettingMissing { setting } => {
                format!(
                    "Set {setting}, or enable secret sync on the instance with `az iot ops secretsync enable`."
                )
            }
            Self::CloudUnknown => {
                "Mount the file that describes the cloud into the extension's provider and set secret_store.cloud_env_file to its \
                 path there, or set sync.engine to direct."
                    .to_owned()
            }
            Self::DefaultClass(_) => {
                "Correct defaultSecretProviderClassRef of the Instance, delete classes that nobody uses, or set \
                 secret_store.client_id and secret_store.tenant_id."
                    .to_owned()
            }
            Self::Terminating { .. } => {
                "Remove the finalizer, or wait until its controller does; the service then continues by \
                 itself."
                    .to_owned()
            }
            Self::NotLeader { .. } => {
                "Call the leader, or wait until this process becomes the leader.".to_owned()
            }
            Self::Changed(_) => "Retry; the service also retries by itself.".to_owned(),
            Self::Forbidden(_) => format!(
                "Grant the service account the verbs {} on secrets in its namespace (with the Secret Store \
                 engine also on secretsyncs and secretproviderclasses), and {} on leases, as deploy/manifests \
                 does.",
                super::REQUIRED_VERBS.join(", "),
                super::LEASE_VERBS.join(", ")
            ),
            Self::Unauthenticated(_) => {
                "Renew the credentials in the kubeconfig or of the pod's service account.".to_owned()
            }
            Self::NamespaceMissing(namespace) => {
                format!("Create the namespace {namespace:?}, or configure the namespace of the instance.")
            }
            Self::NamespaceTerminating(_) => Refusal::NamespaceTerminating.remedy().to_owned(),
            Self::Intercepted(_) => {
                "Check the proxy and the address of the API server: HTTPS_PROXY and NO_PROXY of the service, and the kubeconfig. The \
                 service continues by itself as soon as the cluster answers."
                    .to_owned()
            }
            Self::NotServed { .. } => {
                "Install the Secret Store extension in the cluster, or set sync.engine to direct.".to_owned()
            }
            Self::NotFound(_) => "Check that the cluster serves the resource.".to_owned(),
            Self::TooLarge => Refusal::TooLarge.remedy().to_owned(),
            Self::Rejected(said) => {
                let remedy = Refusal::of(said).map(Refusal::remedy);
                remedy.unwrap_or("Fix the field named above and retry.").to_owned()
            }
            Self::Throttled(_) | Self::Unreachable(_) | Self::Timeout(_) => {
                "Retry later; the service continues by itself as soon as the cluster answers.".to_owned()
            }
        }
    }
}

fn retry_after(status: &kube::core::Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}
