//! The client of the Kubernetes API, made anew when the kubeconfig or a certificate that it names has
//! changed.
//!
//! The SDK reads the token files of a kubeconfig again by itself, and in a pod the account's token and the
//! cluster's authority; the rest it reads once.

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
    watches::{SILENT, Watches},
};
use crate::{
    fence::FenceError,
    files::{Loader, Reloadable},
    peer_clock::PeerClock,
    quote::Quote,
};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// A clock that has gone wrong by more since the client was made was set.
const CLOCK_SET: SignedDuration = SignedDuration::from_secs(30);

/// A client that follows its files.
pub(super) async fn connect(options: &Options, clock: PeerClock) -> Result<Client, EdgeError> {
    let cluster = ClusterFiles(options.clone());
    let (made, cluster) = on_a_thread(move || (cluster.made(), cluster)).await?;
    let (followed, watches) = (Reloadable::new(cluster, made?, LOOK_EVERY), Watches::default());
    let patience = options.timeout;
    let send = service_fn(move |request: http::Request<Body>| {
        let (client, watches, clock) = (followed.current().client, watches.clone(), clock.clone());
        async move {
            let response = watches.send(client, request, patience).await?;
            if let Some(date) = response.headers().get(DATE).and_then(|date| date.to_str().ok()) {
                clock.record_date(date);
            }
            Ok::<_, BoxError>(response)
        }
    });
    Ok(Client::new(send, options.namespace.clone()))
}

/// A client whose writes go through only while this process acts for the instance, and are given up, by the
/// API server too, before another process may act.
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

/// Whether a request changes something.
fn writes(request: &http::Request<Body>) -> bool {
    let is_dry =
        || request.uri().query().is_some_and(|query| query.split('&').any(|part| part == "dryRun=All"));
    !matches!(*request.method(), Method::GET | Method::HEAD) && !is_dry()
}

/// The request, with the time that the API server may take for it.
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

/// The files that somebody renews where the API server does not accept us; none where the pod's own account
/// is used.
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
    /// When, by the clock that may be set and by the one that may not.
    at: (Timestamp, Instant),
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
        let at = (Timestamp::now(), Instant::now());
        Ok(Made { client: made(&self.0)?, files, digest, at })
    }
}

impl Loader for ClusterFiles {
    type Value = Made;
    type Error = EdgeError;

    fn reload(&self, before: &Made) -> Result<Option<Made>, EdgeError> {
        let is_same = before.files.digest() == before.digest && !before.is_clock_set();
        if is_same { Ok(None) } else { self.made().map(Some) }
    }

    fn log_reloaded(&self, made: &Made) {
        tracing::info!(files = %made.files, "the kubeconfig, or the clock, has changed; what the files say now is used");
    }

    fn log_unusable(&self, error: &EdgeError) {
        tracing::warn!(
            files = %Files::of(&self.0), %error,
            "the kubeconfig has changed and can't be used; what it said before still counts. Mend it"
        );
    }
}

// === impl Made ===

impl Made {
    /// Whether this machine's clock was set since. The SDK reads a pod's token again when that clock says so:
    /// after it was set back, it would show the old one for as long.
    fn is_clock_set(&self) -> bool {
        let (wall, monotonic) = self.at;
        let passed = SignedDuration::try_from(monotonic.elapsed()).unwrap_or(SignedDuration::MAX);
        (Timestamp::now().duration_since(wall) - passed).abs() > CLOCK_SET
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

#[cfg(test)]
mod tests;
