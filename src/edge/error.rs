//! Why the Kubernetes API did not do what was asked, in the terms of who must mend it.

use std::time::Duration;

use crate::{model::Reason, quote::Quote};

/// An error of the edge. No message holds a value: the API names fields and keys, and we quote no bodies.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// The kubeconfig or the pod's account can't be used.
    #[error("the cluster's configuration can't be used: {0}")]
    Configuration(Quote),
    /// Something of this name is there and is not ours.
    #[error("a Kubernetes {kind} {name:?} that this service does not manage is in the way")]
    Conflict {
        /// `Secret`, or a kind of the Secret Store extension.
        kind: String,
        /// Its name.
        name: String,
    },
    /// What is ours is being deleted and something holds it back.
    #[error("the Kubernetes {kind} {name:?} is being deleted and a finalizer holds it back")]
    Terminating {
        /// `Secret`, or a kind of the Secret Store extension.
        kind: String,
        /// Its name.
        name: String,
    },
    /// The engine needs a setting that nobody has made.
    #[error("the Secret Store engine needs {setting}")]
    SettingMissing {
        /// The field of the configuration.
        setting: &'static str,
    },
    /// Another process acts for the instance; nothing was written.
    #[error("another process acts for the instance: {holder:?} holds its Lease")]
    NotLeading {
        /// Who holds the Lease.
        holder: String,
    },
    /// It changed between our look and our write.
    #[error("the Kubernetes Secret changed meanwhile: {0}")]
    Changed(Quote),
    /// The service's account lacks a right.
    #[error("the Kubernetes API refuses: {0}")]
    Forbidden(Quote),
    /// The service's credentials are not accepted.
    #[error("the Kubernetes API does not accept the service's credentials: {0}")]
    Unauthenticated(Quote),
    /// The namespace isn't there.
    #[error("the namespace {0:?} is not there")]
    NamespaceMissing(String),
    /// The custom resources of the Secret Store extension are not installed, or not in the version that is
    /// written here.
    #[error("the cluster does not serve the kind {kind} of the Secret Store extension")]
    NotServed {
        /// The kind.
        kind: String,
    },
    /// Nothing of that name.
    #[error("the Kubernetes API has no such resource: {0}")]
    NotFound(Quote),
    /// The API server asks us to slow down.
    #[error("the Kubernetes API is overloaded")]
    Throttled(Option<Duration>),
    /// The values together are too large.
    #[error("the values together are larger than a Kubernetes Secret can be")]
    TooLarge,
    /// The API server does not accept the Secret as it is.
    #[error("the Kubernetes API refuses the Secret: {0}")]
    Rejected(Quote),
    /// The API server can't be reached or fails.
    #[error("the Kubernetes API can't be reached: {0}")]
    Unreachable(Quote),
    /// No answer in time.
    #[error("the Kubernetes API did not answer within {}", humantime::format_duration(*.0))]
    Timeout(Duration),
}

impl EdgeError {
    /// A Secret that is not ours stands under this name.
    pub fn conflict(name: impl ToString) -> Self {
        Self::Conflict { kind: "Secret".to_owned(), name: name.to_string() }
    }

    /// Our Secret of this name is being deleted and something holds it back.
    pub(super) fn terminating(name: impl ToString) -> Self {
        Self::Terminating { kind: "Secret".to_owned(), name: name.to_string() }
    }

    /// What an error of the client means.
    pub(super) fn of(error: &kube::Error, namespace: &str) -> Self {
        let status = match error {
            kube::Error::Api(status) => status,
            // Our own: the fence's.
            kube::Error::Service(inner) if inner.is::<Self>() => {
                return inner.downcast_ref::<Self>().expect("it was just looked at").clone();
            }
            error => return Self::Unreachable(Quote::cause(error)),
        };
        let message = Quote::from(&status.message);
        match status.code {
            401 => Self::Unauthenticated(message),
            403 => Self::Forbidden(message),
            404 if status.message.contains("namespaces \"") => Self::NamespaceMissing(namespace.to_owned()),
            404 => Self::NotFound(message),
            409 => Self::Changed(message),
            // An apply to another object than the one that it names by its uid.
            422 if status.message.contains("metadata.uid: Invalid value") => Self::Changed(message),
            413 => Self::TooLarge,
            422 if status.message.contains("Too long") => Self::TooLarge,
            400 | 405 | 415 | 422 => Self::Rejected(message),
            429 => Self::Throttled(retry_after(status)),
            _ => Self::Unreachable(format!("status {}: {message}", status.code).into()),
        }
    }

    /// Whether waiting may be enough.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Changed(_)
                | Self::Terminating { .. }
                | Self::Throttled(_)
                | Self::NotLeading { .. }
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
            Self::SettingMissing { .. } => Reason::SettingsMissing,
            Self::NotServed { .. } => Reason::ExtensionFailed,
            Self::Rejected(_) | Self::NamespaceMissing(_) | Self::NotFound(_) | Self::Terminating { .. } => {
                Reason::EdgeRejected
            }
            Self::Changed(_) => Reason::Pending,
            Self::NotLeading { .. } => Reason::StandingBy,
            Self::Configuration(_) | Self::Throttled(_) | Self::Unreachable(_) | Self::Timeout(_) => {
                Reason::EdgeUnreachable
            }
        }
    }

    /// What happened, and what to do next.
    pub fn explained(&self) -> String {
        format!("{self}. {}", self.remedy())
    }

    /// What a person should do next, in one sentence.
    pub fn remedy(&self) -> String {
        match self {
            Self::Configuration(_) => {
                "Name a kubeconfig file that is valid, or run in a pod with a service account.".to_owned()
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
            Self::Terminating { .. } => {
                "Remove the finalizer, or wait for who set it; the service goes on by itself.".to_owned()
            }
            Self::NotLeading { .. } => {
                "Call that process, or wait until it has ended: this one takes over then, by itself."
                    .to_owned()
            }
            Self::Changed(_) => "Try again; the service does so by itself.".to_owned(),
            Self::Forbidden(_) => format!(
                "Give the service's account the verbs {} on secrets in its namespace, in the Secret Store engine on \
                 secretsyncs and secretproviderclasses too, and {} on leases, as deploy/manifests has them.",
                super::REQUIRED_VERBS.join(", "),
                super::LEASE_VERBS.join(", ")
            ),
            Self::Unauthenticated(_) => {
                "Renew the credentials in the kubeconfig or of the pod's account.".to_owned()
            }
            Self::NamespaceMissing(namespace) => {
                format!("Create the namespace {namespace:?}, or configure the one of the instance.")
            }
            Self::NotServed { .. } => {
                "Install the Secret Store extension in the cluster, or set sync.engine to direct.".to_owned()
            }
            Self::NotFound(_) => "Check that the cluster serves the resource.".to_owned(),
            Self::TooLarge => "Spread the references over several synced secrets.".to_owned(),
            Self::Rejected(said) if said.contains("immutable") => IMMUTABLE.to_owned(),
            Self::Rejected(_) => {
                "Mend what the message names: the API server will not accept it as it is.".to_owned()
            }
            Self::Throttled(_) | Self::Unreachable(_) | Self::Timeout(_) => {
                "Try again later; the service goes on by itself when the cluster answers.".to_owned()
            }
        }
    }
}

fn retry_after(status: &kube::core::Status) -> Option<Duration> {
    let seconds = status.details.as_ref()?.retry_after_seconds;
    (seconds > 0).then(|| Duration::from_secs(u64::from(seconds)))
}

/// What to do about a Secret that can't be changed.
pub(super) const IMMUTABLE: &str = "What it names can't be changed in a Kubernetes Secret that is there: delete the Secret, and it is made anew.";
