//! The client of the API server: what it writes, and that it takes up renewed credentials.

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
fn reads_and_dry_runs_are_no_writes() {
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

/// An API server that lets in whoever shows a certificate of the authority; its port, and the name in the
/// last one that was shown.
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
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", VERSION.len());
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
    timeout(3 * RELOAD_INTERVAL, asks)
        .await
        .unwrap_or_else(|_| panic!("{name} is never shown: {}", *shown.borrow()));
}

#[tokio::test(start_paused = true)]
async fn setting_the_clock_rebuilds_the_client_and_passing_time_does_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    write_kubeconfig(file.path(), 1, &authority(), &serde_json::json!({ "token": "t" }));
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let kubeconfig = Some(file.path().to_owned());
    let timeout = Duration::from_secs(5);
    let files = ClusterFiles(Options { kubeconfig, context: None, namespace: "x".into(), timeout });
    let mut loaded = files.load().unwrap();
    assert!(files.reload(&loaded).unwrap().is_none(), "nothing has changed");
    let (hour, (wall, monotonic)) = (SignedDuration::from_hours(1), loaded.built_at);
    for set in [wall + hour, wall - hour] {
        loaded.built_at = (set, monotonic);
        assert!(files.reload(&loaded).unwrap().is_some(), "{set}");
    }
    tokio::time::advance(Duration::from_secs(3_600)).await;
    loaded.built_at = (wall - hour, monotonic);
    assert!(files.reload(&loaded).unwrap().is_none(), "an hour has passed by both clocks");
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
