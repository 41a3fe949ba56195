//! The client of the Kubernetes API, made anew when the kubeconfig or a certificate that it names has changed.
//!
//! The SDK reads the token files of a kubeconfig again by itself, and in a pod the account's token and the cluster's authority; the
//! rest it reads once.

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
    /// Whether this machine's clock was set since. The SDK reads a pod's token again when that clock says so: after it was set back, it would
    /// show the old one for as long.
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
mod tests {
    use std::{path::Path, sync::Arc};

    use base64::{Engine, engine::general_purpose::STANDARD};
    use rcgen::{CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
    use rustls::{RootCertStore, ServerConfig, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        sync::watch,
        time::timeout,
    };
    use tokio_rustls::TlsAcceptor;
    use x509_parser::prelude::{FromDer, X509Certificate};

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

    const VERSION: &str = r#"{"major":"1","minor":"36","gitVersion":"v1.36.0","gitCommit":"","gitTreeState":"","buildDate":"",
        "goVersion":"","compiler":"","platform":""}"#;

    type Issuer = CertifiedIssuer<'static, KeyPair>;

    fn authority() -> Issuer {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A certificate of a name, and its key.
    fn identity(authority: &Issuer, name: &str) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, authority).unwrap(), key)
    }

    /// An API server that lets in whoever shows a certificate of the authority; its port, and the name in the last one that was shown.
    async fn serve(authority: &Issuer) -> (u16, watch::Receiver<String>) {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder(roots.into()).build().unwrap();
        let (certificate, key) = identity(authority, "server");
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = ServerConfig::builder()
            .with_client_cert_verifier(verifier)
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let (acceptor, shown) = (TlsAcceptor::from(Arc::new(config)), watch::Sender::new(String::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, last) = (listener.local_addr().unwrap().port(), shown.subscribe());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let certificate = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
                let (_, certificate) = X509Certificate::from_der(&certificate).unwrap();
                let name = certificate.subject().iter_common_name().next().unwrap().as_str().unwrap();
                shown.send_replace(name.to_owned());
                let _ = stream.read(&mut [0; 4_096]).await;
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    VERSION.len()
                );
                let _ = stream.write_all((head + VERSION).as_bytes()).await;
                let _ = stream.shutdown().await;
            }
        });
        (port, last)
    }

    fn write_kubeconfig(file: &Path, port: u16, authority: &Issuer, user: &serde_json::Value) {
        let cluster = serde_json::json!({
            "server": format!("https://localhost:{port}"), "certificate-authority-data": STANDARD.encode(authority.pem()),
        });
        let text = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{ "name": "u", "user": user }],
            "contexts": [{ "name": "c", "context": { "cluster": "c", "user": "u" } }],
            "clusters": [{ "name": "c", "cluster": cluster }],
        });
        std::fs::write(file, text.to_string()).unwrap();
    }

    async fn until_shown(client: &Client, shown: &watch::Receiver<String>, name: &str) {
        let asks = async {
            loop {
                let _ = client.apiserver_version().await;
                if *shown.borrow() == name {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(3 * LOOK_EVERY, asks)
            .await
            .unwrap_or_else(|_| panic!("{name} is never shown: {}", *shown.borrow()));
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_clock_was_set_the_client_is_made_anew_and_not_because_time_passes() {
        let file = tempfile::NamedTempFile::new().unwrap();
        write_kubeconfig(file.path(), 1, &authority(), &serde_json::json!({ "token": "t" }));
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let kubeconfig = Some(file.path().to_owned());
        let timeout = Duration::from_secs(5);
        let files = ClusterFiles(Options { kubeconfig, context: None, namespace: "x".into(), timeout });
        let mut made = files.made().unwrap();
        assert!(files.reload(&made).unwrap().is_none(), "nothing has changed");
        let (hour, (wall, monotonic)) = (SignedDuration::from_hours(1), made.at);
        for set in [wall + hour, wall - hour] {
            made.at = (set, monotonic);
            assert!(files.reload(&made).unwrap().is_some(), "{set}");
        }
        tokio::time::advance(Duration::from_secs(3_600)).await;
        made.at = (wall - hour, monotonic);
        assert!(files.reload(&made).unwrap().is_none(), "an hour has passed by both clocks");
    }

    #[tokio::test]
    async fn a_client_certificate_that_is_renewed_in_the_kubeconfig_or_in_its_file_is_shown_within_seconds() {
        let (authority, directory) = (authority(), tempfile::tempdir().unwrap());
        let file = |name: &str| directory.path().join(name);
        let inline = |name: &str| {
            let (certificate, key) = identity(&authority, name);
            serde_json::json!({
                "client-certificate-data": STANDARD.encode(certificate.pem()),
                "client-key-data": STANDARD.encode(key.serialize_pem()),
            })
        };
        let write_named = |name: &str| {
            let (certificate, key) = identity(&authority, name);
            std::fs::write(file("client.pem"), certificate.pem()).unwrap();
            std::fs::write(file("client.key"), key.serialize_pem()).unwrap();
        };
        let named =
            serde_json::json!({ "client-certificate": file("client.pem"), "client-key": file("client.key") });
        let connected = async |name: &str, user: &serde_json::Value| {
            let (port, shown) = serve(&authority).await;
            write_kubeconfig(&file(name), port, &authority, user);
            let (kubeconfig, timeout) = (Some(file(name)), Duration::from_secs(5));
            let options = Options { kubeconfig, context: None, namespace: "x".into(), timeout };
            (connect(&options, PeerClock::default()).await.unwrap(), port, shown)
        };
        write_named("old");
        let (by_data, port, shown_data) = connected("inline", &inline("old")).await;
        let (by_file, _, shown_file) = connected("named", &named).await;
        until_shown(&by_data, &shown_data, "old").await;
        until_shown(&by_file, &shown_file, "old").await;

        write_kubeconfig(&file("inline"), port, &authority, &inline("new"));
        write_named("new");
        tokio::join!(until_shown(&by_data, &shown_data, "new"), until_shown(&by_file, &shown_file, "new"));
    }
}
