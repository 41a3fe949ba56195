//! The client of the Kubernetes API, made anew when the kubeconfig or a certificate that it names has changed.
//!
//! The SDK reads the token files of a kubeconfig again by itself, and in a pod the account's token and the cluster's authority; the
//! rest it reads once.

use std::{
    env,
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use aws_lc_rs::digest::{Context, SHA256};
use http::Method;
use kube::{
    Client, Config,
    client::Body,
    config::{ExecInteractiveMode, KubeConfigOptions, Kubeconfig},
};
use tokio::time::Instant;
use tower::{BoxError, service_fn};

use super::{EdgeError, Leadership, Options, SILENT};
use crate::{fence::Fenced, quote::Quote};

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// A client that follows its files.
pub(super) async fn connect(options: &Options) -> Result<Client, EdgeError> {
    let (files, client) = (Files::of(options), made(options).await?);
    let held = Held { client, digest: files.digest(), files, looked: Instant::now(), told: None };
    let following = Arc::new(Following { options: options.clone(), held: Mutex::new(held) });
    let send = service_fn(move |request: http::Request<Body>| {
        let following = following.clone();
        async move { following.current().await.send(request).await }
    });
    Ok(Client::new(send, options.namespace.clone()))
}

/// A client whose writes go through only while this process acts for the instance, and are given up, by the API server too, before
/// another process may act.
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
                Err(Fenced::NotBegun) => Err(leadership.refusal().into()),
                Err(cut @ Fenced::Cut) => Err(EdgeError::Unreachable(Quote::error(&cut)).into()),
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

struct Following {
    options: Options,
    held: Mutex<Held>,
}

struct Held {
    client: Client,
    files: Files,
    digest: [u8; 32],
    looked: Instant,
    /// Why the files can't be used, as the log has it.
    told: Option<EdgeError>,
}

/// What a client was made from.
struct Files {
    kubeconfigs: Vec<PathBuf>,
    /// The certificates and keys that they name.
    named: Vec<PathBuf>,
}

// === impl Following ===

impl Following {
    /// The client for the next request.
    async fn current(&self) -> Client {
        match self.changed() {
            Some(files) => self.make_anew(files).await,
            None => self.held().client.clone(),
        }
    }

    /// What to make the client from, where it is time to look and the files hold something else than before.
    fn changed(&self) -> Option<Files> {
        let mut held = self.held();
        if held.looked.elapsed() < LOOK_EVERY {
            return None;
        }
        held.looked = Instant::now();
        let is_same = held.files.digest() == held.digest;
        (!is_same).then(|| Files::of(&self.options))
    }

    /// Takes what the files say now. Where that can't be used, what they said before still counts, and they are looked at again.
    async fn make_anew(&self, files: Files) -> Client {
        let digest = files.digest();
        let made = made(&self.options).await;
        let mut held = self.held();
        match made {
            Ok(client) => {
                tracing::info!(files = %files, "the kubeconfig has changed and is used now");
                *held = Held { client, files, digest, looked: held.looked, told: None };
            }
            Err(error) if held.told.as_ref() != Some(&error) => {
                tracing::warn!(files = %files, %error, "the kubeconfig has changed and can't be used; what it said before still counts. Mend it");
                held.told = Some(error);
            }
            Err(_) => {}
        }
        held.client.clone()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A client of what the files say now.
async fn made(options: &Options) -> Result<Client, EdgeError> {
    let mut config = configuration(options).await?;
    config.read_timeout = Some(SILENT.max(options.timeout));
    config.connect_timeout = Some(options.timeout.min(Duration::from_secs(5)));
    config.default_retry = false;
    let made = match config.auth_info.exec {
        None => Client::try_from(config),
        // Runs the plugin and waits for it.
        Some(_) => {
            let ran = tokio::task::spawn_blocking(move || Client::try_from(config)).await;
            ran.map_err(|died| EdgeError::Configuration(Quote::error(&died)))?
        }
    };
    made.map_err(|error| EdgeError::Configuration(Quote::error(&error)))
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
mod tests {
    use super::*;

    fn request(method: Method, uri: &str) -> http::Request<Body> {
        http::Request::builder().method(method).uri(uri).body(Body::empty()).unwrap()
    }

    #[test]
    fn what_changes_nothing_needs_nobody_to_act() {
        for (method, uri, changes) in [
            (Method::GET, "/api/v1/namespaces/a/secrets?watch=true", false),
            (Method::POST, "/api/v1/namespaces/a/secrets?", true),
            (Method::POST, "/api/v1/namespaces/a/secrets?&dryRun=All", false),
            (Method::PATCH, "/api/v1/namespaces/a/secrets/s?&dryRun=All&fieldManager=m", false),
            (Method::PATCH, "/api/v1/namespaces/a/secrets/s?&fieldManager=dryRun%3DAll", true),
            (Method::DELETE, "/api/v1/namespaces/a/secrets/s", true),
            (Method::PUT, "/api/v1/namespaces/a/secrets/s", true),
        ] {
            assert_eq!(writes(&request(method, uri)), changes, "{uri}");
        }
    }

    #[test]
    fn a_write_tells_the_api_server_how_long_it_may_take() {
        let timed = |uri: &str| within(request(Method::PATCH, uri), Some(Duration::from_millis(4_200)));
        let path = "https://10.0.0.1:6443/api/v1/namespaces/a/secrets/s";
        for (uri, expected) in [
            (path.to_owned(), format!("{path}?timeout=4200ms")),
            (format!("{path}?"), format!("{path}?timeout=4200ms")),
            (format!("{path}?fieldManager=m"), format!("{path}?fieldManager=m&timeout=4200ms")),
        ] {
            assert_eq!(timed(&uri).uri().to_string(), expected);
        }
        assert_eq!(within(request(Method::PATCH, path), None).uri().to_string(), path);
    }
}
