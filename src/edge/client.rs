//! The client of the Kubernetes API. It is rebuilt when the kubeconfig, or a certificate that the kubeconfig
//! names, changes.
//!
//! The SDK itself reloads only token files and, in a pod, the service account's token and the cluster's CA.
//! It reads everything else once.

use std::{env, ffi::OsString, path::PathBuf, time::Duration};

use aws_lc_rs::digest::{Context, SHA256};
use http::{Method, header::DATE};
use jiff::{SignedDuration, Timestamp};
use kube::{
    Client, Config,
    client::Body,
    config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig},
};
use tokio::time::Instant;
use tower::{BoxError, service_fn};

use super::{
    EdgeError, Leadership, Options,
    watches::{READ_TIMEOUT, Watches},
};
use crate::{
    fence::FenceError,
    files::{Loader, Reloadable},
    peer_clock::PeerClock,
    quote::Quote,
};

/// How often the files are checked for changes.
const RELOAD_INTERVAL: Duration = Duration::from_secs(10);
/// If the wall clock and the monotonic clock differ by more than this since the client was built, somebody
/// set the wall clock.
const CLOCK_STEP: SignedDuration = SignedDuration::from_secs(30);

/// A client that reloads its files.
pub(super) async fn connect(options: &Options, clock: PeerClock) -> Result<Client, EdgeError> {
    let cluster = ClusterFiles(options.clone());
    let (loaded, cluster) = run_blocking(move || (cluster.load(), cluster)).await?;
    let (reloadable, watches) = (Reloadable::new(cluster, loaded?, RELOAD_INTERVAL), Watches::default());
    let deadline = options.timeout;
    let send = service_fn(move |request: http::Request<Body>| {
        let (client, watches, clock) = (reloadable.current().client, watches.clone(), clock.clone());
        async move {
            let response = watches.send(client, request, deadline).await?;
            if let Some(date) = response.headers().get(DATE).and_then(|date| date.to_str().ok()) {
                clock.record_date(date);
            }
            Ok::<_, BoxError>(response)
        }
    });
    Ok(Client::new(send, options.namespace.clone()))
}

/// A client that sends writes only while this process is the leader. Both the client and the API server give
/// a write up before another process can become the leader.
pub(super) fn fenced(client: Client, leadership: Leadership, namespace: &str) -> Client {
    let send = service_fn(move |request: http::Request<Body>| {
        let (client, leadership) = (client.clone(), leadership.clone());
        async move {
            if !writes(&request) {
                return client.send(request).await.map_err(BoxError::from);
            }
            let write = async |left| client.send(within(request, left)).await;
            match leadership.fence().guard(write).await {
                Ok(sent) => sent.map_err(BoxError::from),
                Err(FenceError::NotStarted) => Err(leadership.refusal().into()),
                Err(cut @ FenceError::Cancelled) => Err(EdgeError::Unreachable(Quote::error(&cut)).into()),
            }
        }
    });
    Client::new(send, namespace.to_owned())
}

/// Whether a request changes anything; a dry run does not.
fn writes(request: &http::Request<Body>) -> bool {
    let is_dry =
        || request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "dryRun=All"));
    !matches!(*request.method(), Method::GET | Method::HEAD) && !is_dry()
}

/// Adds the time that the API server may take for the request.
fn within(mut request: http::Request<Body>, left: Option<Duration>) -> http::Request<Body> {
    let Some(left) = left else { return request };
    let uri = request.uri();
    let joint = if uri.query().is_some_and(|query| !query.is_empty()) { '&' } else { '?' };
    let bare = uri.path_and_query().map_or("/", |bare| bare.as_str()).trim_end_matches('?');
    let mut parts = uri.clone().into_parts();
    let timed = format!("{bare}{joint}timeout={}ms", left.as_millis());
    parts.path_and_query = timed.parse().ok().or(parts.path_and_query);
    if let Ok(timed) = http::Uri::from_parts(parts) {
        *request.uri_mut() = timed;
    }
    request
}

/// The kubeconfig files whose credentials a person has to renew when the API server rejects them. Empty if
/// the pod's service account is used.
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

/// Loads a client from the kubeconfigs and the files that they name, or from the pod's service account.
struct ClusterFiles(Options);

/// A client, and the files that it was built from.
#[derive(Clone)]
struct LoadedClient {
    client: Client,
    files: Files,
    digest: [u8; 32],
    /// When it was built, by the wall clock and by the monotonic clock.
    built_at: (Timestamp, Instant),
}

/// The files that a client is built from.
#[derive(Clone)]
struct Files {
    kubeconfigs: Vec<PathBuf>,
    /// The certificates and keys that the kubeconfigs name.
    named: Vec<PathBuf>,
}

// === impl ClusterFiles ===

impl ClusterFiles {
    fn load(&self) -> Result<LoadedClient, EdgeError> {
        let files = Files::of(&self.0);
        let digest = files.digest();
        let built_at = (Timestamp::now(), Instant::now());
        Ok(LoadedClient { client: build_client(&self.0)?, files, digest, built_at })
    }
}

impl Loader for ClusterFiles {
    type Value = LoadedClient;
    type Error = EdgeError;

    fn reload(&self, before: &LoadedClient) -> Result<Option<LoadedClient>, EdgeError> {
        let is_same = before.files.digest() == before.digest && !before.is_clock_set();
        if is_same { Ok(None) } else { self.load().map(Some) }
    }

    fn log_reloaded(&self, loaded: &LoadedClient) {
        tracing::info!(
            files = %loaded.files,
            "the kubeconfig or the system clock changed; reloaded the Kubernetes client"
        );
    }

    fn log_unusable(&self, error: &EdgeError) {
        tracing::warn!(
            files = %Files::of(&self.0), %error,
            "the changed kubeconfig is invalid; the service keeps the previous one. Fix the kubeconfig"
        );
    }
}

// === impl LoadedClient ===

impl LoadedClient {
    /// Whether somebody has set this machine's clock since the client was built. The SDK reloads a pod's
    /// token by the wall clock: after the clock is set back, it would keep using an expired token for that
    /// long.
    fn is_clock_set(&self) -> bool {
        let (wall, monotonic) = self.built_at;
        let passed = SignedDuration::try_from(monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        (Timestamp::now().duration_since(wall) - passed).abs() > CLOCK_STEP
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

    /// A digest of the content of all files; a missing file counts as empty.
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

/// Builds a client from the files as they are now. Blocks: it reads the files, and runs the exec plugin that
/// they name.
fn build_client(options: &Options) -> Result<Client, EdgeError> {
    // This future only reads files, and needs no runtime.
    let mut config = futures::executor::block_on(configuration(options))?;
    config.read_timeout = Some(READ_TIMEOUT.max(options.timeout));
    config.connect_timeout = Some(options.timeout.min(Duration::from_secs(5)));
    config.default_retry = false;
    Client::try_from(config).map_err(|error| EdgeError::Configuration(Quote::error(&error)))
}

/// Runs something that may wait for a disk on a thread of its own.
async fn run_blocking<T: Send + 'static>(
    something: impl FnOnce() -> T + Send + 'static,
) -> Result<T, EdgeError> {
    let ran = tokio::task::spawn_blocking(something).await;
    ran.map_err(|panicked| EdgeError::Configuration(Quote::error(&panicked)))
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
        // There is no terminal to prompt on, and the plugin's stderr would go to our log unfiltered.
        plugin.interactive_mode = Some(ExecInteractiveMode::Never);
    }
    Ok(config)
}

#[cfg(test)]
mod tests;
