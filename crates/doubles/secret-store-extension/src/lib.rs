//! The double of Azure Key Vault's Secret Store extension: a controller that creates Kubernetes Secrets for
//! SecretSyncs.
//!
//! It is a client of any cluster (by its kubeconfig) and of the vaults that its classes name. It behaves as the real
//! one, [secrets-store-sync-controller] with Azure's provider, was observed to behave. The README lists the differences.
//!
//! One worker reconciles one SecretSync at a time: when its generation changes, at each poll, and after a failure with
//! exponential back-off. It writes nothing if the hash of the content equals that of its last write, even if somebody
//! has changed the Secret meanwhile.
//!
//! [secrets-store-sync-controller]: https://github.com/kubernetes-sigs/secrets-store-sync-controller

mod azure;
mod certificate;
mod cloud;
mod conditions;
mod controller;
pub mod definitions;
mod digest;
mod encoding;
mod failure;
mod install;
mod key;
mod objects;
mod pem;
mod pfx;
mod provider;
mod queue;
mod reconcile;
mod resources;
mod secret;
#[cfg(test)]
mod tests;
mod tls;

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

/// Its field manager.
pub const FIELD_MANAGER: &str = "secrets-store-sync-controller";
/// The label of its Secrets; its value is empty.
pub const LABEL: &str = "secrets-store.sync.x-k8s.io";

/// A cluster that sends nothing for this long is considered gone.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// Its cluster, vaults and behaviour.
#[derive(Clone, Debug)]
pub struct Options {
    /// The cluster and the credentials for it.
    pub kubeconfig: PathBuf,
    /// The namespaces whose SecretSyncs it reconciles; absent for all.
    pub namespaces: Option<Vec<String>>,
    /// The vaults.
    pub vault: VaultAccess,
    /// Whether a Secret is written even if some of its items can't be fetched (`enablePartialSecretSync`).
    pub partial_sync: bool,
    /// The interval at which it reconciles every SecretSync (`rotationPollIntervalInSeconds`); zero for never.
    pub rotation_poll_interval: Duration,
    /// The PBKDF2 iterations of its hash.
    pub hash_iterations: NonZeroU32,
    /// The `provider` of its classes.
    pub provider: String,
    /// The back-off after a failure.
    pub back_off: BackOff,
}

/// The vaults and the credentials for them.
#[derive(Clone, Debug)]
pub struct VaultAccess {
    /// The URL of each vault of the public cloud, by `keyvaultName` in lower case.
    pub vaults: BTreeMap<String, Url>,
    /// The authority that issues tokens for them.
    pub authority_host: Url,
    /// The credential, whatever identity the class names.
    pub credential: Credential,
    /// The only certificates (PEM) to trust.
    pub ca_file: PathBuf,
    /// The proxy through which all other vaults are reached, and their authorities, by their own names in the cloud of the class.
    /// If absent, no other vault is found.
    pub proxy: Option<Url>,
}

/// Exponential back-off: the pause doubles with each consecutive failure.
#[derive(Clone, Copy, Debug)]
pub struct BackOff {
    /// The pause after the first failure.
    pub base: Duration,
    /// The longest pause.
    pub cap: Duration,
}

/// A running controller. Dropped, it stops at once.
pub struct Extension {
    stopping: CancellationToken,
    polls: mpsc::Sender<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Why it doesn't start.
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
    /// The defaults of the extension: partial sync, a poll each hour, a slow hash, Azure's provider, all namespaces.
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
    /// The default of controller-runtime: 13 attempts in the first 25 seconds, at last one in 16 minutes.
    fn default() -> Self {
        Self { base: Duration::from_millis(5), cap: Duration::from_secs(1_000) }
    }
}

// === impl Extension ===

impl Extension {
    /// Starts it. It waits for its custom resources if they aren't installed yet.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let client = client(&options.kubeconfig).await?;
        let azure = Azure::connect(&options.vault)?;
        let (polls, requests) = mpsc::channel(1);
        let stopping = CancellationToken::new();
        let controller = Controller::new(client.clone(), Reconciler::new(client, azure, &options), &options);
        let stop = stopping.clone();
        let task = tokio::spawn(async move {
            // It can stop between any two steps, and continues from there after a restart.
            stop.run_until_cancelled(controller.run(requests)).await;
        });
        Ok(Self { stopping, polls, task })
    }

    /// Reconciles every known SecretSync, like the periodic poll; returns when done.
    pub async fn poll(&self) {
        let (done, seen) = oneshot::channel();
        if self.polls.send(done).await.is_ok() {
            // An error means that it was stopped meanwhile.
            let _ = seen.await;
        }
    }

    /// Stops it.
    pub async fn stop(mut self) {
        self.stopping.cancel();
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "the double of the Secret Store extension ended with an error");
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
    // The controller must see failures, and retry by its own back-off.
    config.default_retry = false;
    // A watch is renewed within this time.
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(Client::try_from(config)?)
}
