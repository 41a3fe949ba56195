//! The stand-in for Azure Key Vault's Secret Store extension: a controller that makes Kubernetes Secrets of SecretSyncs.
//!
//! It is a client on the wire of whatever cluster its kubeconfig names and of whatever vault its classes name, and behaves as the real
//! one, [secrets-store-sync-controller] with Azure's provider, was seen to behave. Where it differs: its README.
//!
//! One worker looks at one SecretSync at a time: when its generation changes, when the poll interval is over, and again after a
//! failure, with a pause that doubles. It does nothing where what it would write has the hash of what it wrote last, whatever became of
//! the Secret meanwhile.
//!
//! [secrets-store-sync-controller]: https://github.com/kubernetes-sigs/secrets-store-sync-controller

mod azure;
mod conditions;
mod controller;
pub mod definitions;
mod digest;
mod failure;
mod install;
mod objects;
mod pem;
mod provider;
mod queue;
mod reconcile;
mod resources;
mod secret;

use std::{
    collections::BTreeMap,
    io,
    num::NonZeroU32,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::{
    Client, Config,
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;
use url::Url;

use azure::Azure;
use controller::Controller;
use doubles_common::Credential;
pub use install::{enable, install};
use reconcile::Reconciler;

/// The name under which its fields stand in `managedFields`.
pub const FIELD_MANAGER: &str = "secrets-store-sync-controller";
/// The label of the Secrets that it makes; empty.
pub const LABEL: &str = "secrets-store.sync.x-k8s.io";

/// A cluster that says nothing for so long has gone.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Where it works, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster, and as whom.
    pub kubeconfig: PathBuf,
    /// The namespaces whose SecretSyncs it looks at; all where absent.
    pub namespaces: Option<Vec<String>>,
    /// The vaults.
    pub vault: VaultAccess,
    /// Whether a Secret is written although some of its items can't be fetched (`enablePartialSecretSync`).
    pub partial_sync: bool,
    /// How often it looks at every SecretSync (`rotationPollIntervalInSeconds`); zero for never.
    pub rotation_poll_interval: Duration,
    /// How slow its hash is: the iterations of PBKDF2.
    pub hash_iterations: NonZeroU32,
    /// The `provider` of the classes that it serves.
    pub provider: String,
    /// The pause after a failure.
    pub back_off: BackOff,
}

/// Which vaults there are, and as whom it comes to them.
#[derive(Clone, Debug)]
pub struct VaultAccess {
    /// By `keyvaultName`, in lower case: where the vault is.
    pub vaults: BTreeMap<String, Url>,
    /// Where tokens come from.
    pub authority_host: Url,
    /// As whom, whatever identity the class names.
    pub credential: Credential,
    /// Certificates (PEM) to trust, and no others.
    pub ca_file: PathBuf,
}

/// A pause that doubles with each failure in a row.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The pause after the first failure.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
}

/// A running stand-in. Dropped, it stops at once.
pub struct Extension {
    stopping: CancellationToken,
    polls: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Why it can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The kubeconfig.
    #[error("the Secret Store extension's kubeconfig: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// The client of the cluster.
    #[error("the Secret Store extension's client of the cluster: {0}")]
    Cluster(#[from] kube::Error),
    /// The certificates to trust.
    #[error("the Secret Store extension can't read {}: {error}", path.display())]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        error: io::Error,
    },
    /// The client of the vaults.
    #[error("the Secret Store extension's client of the vault: {0}")]
    Vault(#[from] reqwest::Error),
}

// === impl Options ===

impl Options {
    /// As the extension is installed: partial sync, a poll each hour, a slow hash, Azure's provider, all namespaces.
    pub fn new(kubeconfig: &Path, vault: VaultAccess) -> Self {
        Self {
            kubeconfig: kubeconfig.to_owned(),
            namespaces: None,
            vault,
            partial_sync: true,
            rotation_poll_interval: Duration::from_secs(3_600),
            hash_iterations: digest::ITERATIONS,
            provider: "azure".to_owned(),
            back_off: BackOff::default(),
        }
    }
}

// === impl BackOff ===

impl Default for BackOff {
    /// That of controller-runtime: 13 tries in the first 25 seconds, then one in 16 minutes at last.
    fn default() -> Self {
        Self { base: Duration::from_millis(5), cap: Duration::from_secs(1_000) }
    }
}

// === impl Extension ===

impl Extension {
    /// Starts it. Where its custom resources aren't installed yet, it waits for them.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let client = client(&options.kubeconfig).await?;
        let azure = Azure::connect(&options.vault)?;
        let (polls, asked) = mpsc::channel(1);
        let stopping = CancellationToken::new();
        let controller = Controller::new(client.clone(), Reconciler::new(client, azure, &options), &options);
        let stop = stopping.clone();
        let task = tokio::spawn(async move {
            // Stopped between any two steps, it goes on from there when it is started again.
            stop.run_until_cancelled(controller.run(asked)).await;
        });
        Ok(Self { stopping, polls, task })
    }

    /// Looks at every SecretSync that it knows, as when the poll interval is over; returns when it has.
    pub async fn poll(&self) {
        let (done, seen) = oneshot::channel();
        if self.polls.send(done).await.is_ok() {
            // It was stopped meanwhile: then there is nothing to wait for.
            let _ = seen.await;
        }
    }

    /// Stops it.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the stand-in of the Secret Store extension ended with an error");
        }
    }
}

impl Drop for Extension {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

async fn client(kubeconfig: &Path) -> Result<Client, StartError> {
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A failure is to be seen, and tried again by the controller's own measure.
    config.default_retry = false;
    // The watch renews itself within this.
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config)?)
}
