//! The client of the Kubernetes API, made anew when the kubeconfig or a certificate that it names has changed.
//!
//! The SDK reads the token files of a kubeconfig again by itself, and in a pod the account's token and the cluster's authority; the
//! rest it reads once.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use kube::{
    Client, Config,
    client::Body,
    config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig},
};
use tower::service_fn;

use super::{
    EdgeError, Options,
    watches::{SILENT, Watches},
};
use crate::{
    files::{Followed, Source},
    quote::Quote,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A client that follows its files.
pub(super) async fn connect(options: &Options) -> Result<Client, EdgeError> {
    let cluster = ClusterFiles(options.clone());
    let (made, cluster) = on_a_thread(move || (cluster.made(), cluster)).await?;
    let (followed, watches) = (Followed::new(cluster, made?, LOOK_EVERY), Watches::default());
    let patience = options.timeout;
    let send = service_fn(move |request: http::Request<Body>| {
        let (client, watches) = (followed.current().client, watches.clone());
        async move { watches.send(client, request, patience).await }
    });
    Ok(Client::new(send, options.namespace.clone()))
}

/// The files that somebody renews where the API server does not accept us; none where the pod's own account is used.
pub(super) fn kubeconfigs(options: &Options) -> Vec<PathBuf> {
    let named = |path: &PathBuf| vec![path.clone()];
    let of_environment = || {
        let list = env::var_os("KUBECONFIG").filter(|list: &OsString| !list.is_empty());
        let home = || env::home_dir().map(|home| home.join(".kube/config"));
        list.map_or_else(|| home().into_iter().collect(), |list| env::split_paths(&list).collect())
    };
    let files: Vec<PathBuf> = options.kubeconfig.as_ref().map_or_else(of_environment, named);
    files.into_iter().filter(|file| file.is_file()).collect()
}

/// The kubeconfigs and what they name, or what a pod has instead.
struct ClusterFiles(Options);

/// A client, and what it was made from.
#[derive(Clone)]
struct Made {
    client: Client,
    files: Files,
    digest: [u8; 32],
}

/// What a client was made from.
#[derive(Clone)]
struct Files {
    kubeconfigs: Vec<PathBuf>,
    /// The certificates and keys that they name.
    named: Vec<PathBuf>,
}

// === impl ClusterFiles ===

impl ClusterFiles {
    fn made(&self) -> Result<Made, EdgeError> {
        let files = Files::of(&self.0);
        let digest = files.digest();
        Ok(Made { client: made(&self.0)?, files, digest })
    }
}

impl Source for ClusterFiles {
    type Made = Made;
    type Problem = EdgeError;

    fn look(&self, before: &Made) -> Result<Option<Made>, EdgeError> {
        let is_same = before.files.digest() == before.digest;
        if is_same { Ok(None) } else { self.made().map(Some) }
    }

    fn tell_taken(&self, made: &Made) {
        tracing::info!(files = %made.files, "the kubeconfig has changed and is used now");
    }

    fn tell_unusable(&self, error: &EdgeError) {
        tracing::warn!(
            files = %Files::of(&self.0), %error,
            "the kubeconfig has changed and can't be used; what it said before still counts. Mend it"
        );
    }
}

// === impl Files ===

impl Files {
    fn of(options: &Options) -> Self {
        let kubeconfigs = kubeconfigs(options);
        let read = kubeconfigs.iter().filter_map(|file| Kubeconfig::read_from(file).ok());
        let named = read.flat_map(|read| {
            let clusters = read.clusters.into_iter().filter_map(|named| named.cluster?.certificate_authority);
            let users = read.auth_infos.into_iter().filter_map(|named| named.auth_info);
            let users = users.flat_map(|user| [user.client_certificate, user.client_key]).flatten();
            clusters.chain(users).map(PathBuf::from).collect::<Vec<_>>()
        });
        Self { named: named.collect(), kubeconfigs }
    }

    /// Of all that they hold; a file that is not there holds nothing.
    fn digest(&self) -> [u8; 32] {
        let mut all = Context::new(&SHA256);
        for file in self.kubeconfigs.iter().chain(&self.named) {
            let content = zeroize::Zeroizing::new(std::fs::read(file).unwrap_or_default());
            all.update(aws_lc_rs::digest::digest(&SHA256, &content).as_ref());
        }
        all.finish().as_ref().try_into().expect("SHA-256 has 32 bytes")
    }
}

impl std::fmt::Display for Files {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names = self.kubeconfigs.iter().map(|file| file.display().to_string());
        f.write_str(&names.collect::<Vec<_>>().join(", "))
    }
}

/// A client of what the files say now. Reads them, and runs the plugin that they name and waits for it.
fn made(options: &Options) -> Result<Client, EdgeError> {
    // It waits for files alone, and not by the runtime.
    let mut config = futures::executor::block_on(configuration(options))?;
    config.read_timeout = Some(SILENT.max(options.timeout));
    config.connect_timeout = Some(options.timeout.min(Duration::from_secs(5)));
    config.default_retry = false;
    Client::try_from(config).map_err(|error| EdgeError::Configuration(Quote::error(&error)))
}

/// Runs what may wait for a disk.
async fn on_a_thread<T: Send + 'static>(
    something: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EdgeError> {
    let ran = tokio::task::spawn_blocking(something).await;
    ran.map_err(|died| EdgeError::Configuration(Quote::error(&died)))
}

async fn configuration(options: &Options) -> Result<Config, EdgeError> {
    let unusable = |error: &(dyn std::error::Error + 'static)| EdgeError::Configuration(Quote::error(error));
    let choice = KubeConfigOptions { context: options.context.clone(), ..KubeConfigOptions::default() };
    let mut config = match (&options.kubeconfig, &options.context) {
        (Some(path), _) => {
            let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(&error))?;
            Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| unusable(&error))
        }
        (None, Some(_)) => Config::from_kubeconfig(&choice).await.map_err(|error| unusable(&error)),
        (None, None) => Config::infer().await.map_err(|error| unusable(&error)),
    }?;
    if let Some(plugin) = &mut config.auth_info.exec {
        // Nobody sits here whom it could ask; and what it complains of would go to our log as it is.
        plugin.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    Ok(config)
}
