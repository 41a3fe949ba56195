//! How the process ends: at once where nobody waits for anything, and where somebody does, with a word.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use key_vault_double::{Fault, FaultRule, OnOperation, Operation};
use rustls::{ClientConfig, RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};
use secret_service::proto::{
    ListSyncedSecretsRequest, WatchSyncedSecretsRequest, secret_service_client::SecretServiceClient,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
    time::{Instant, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};

use super::process::{Process, command, configuration, log, said_at_start, terminate};
use crate::support::{PATIENCE, Site, requests::*, until_so};

/// How HTTP/2 begins, and settings that say nothing.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// The head of a first record of TLS, whose rest does not come.
const HALF_A_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01];

/// A `serve` behind TLS with a certificate of this test's.
async fn serve_with_tls(site: &Site, drain: &str) -> (Child, SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: &str| {
        let path = site.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let certificate = file("server.pem", &made.cert.pem());
    let key = file("server.key", &made.signing_key.serialize_pem());
    let config = file("serve.toml", &configuration(site, 0));
    let flags =
        ["--server-drain", drain, "--server-tls-cert-file", &certificate, "--server-tls-key-file", &key];
    let child = Command::from(command(&["serve", "--config", &config]))
        .args(flags)
        .stderr(std::fs::File::create(log(site)).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until_so("it starts", async || said_at_start(site, "addresses").is_some()).await;
    (child, said_at_start(site, "addresses").unwrap().parse().unwrap(), made.cert.pem())
}

async fn secured(address: SocketAddr, certificate: &str) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()).unwrap();
    let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_delay_the_shutdown() {
    let site = Site::start().await;
    let (mut child, address, certificate) = serve_with_tls(&site, "15s").await;
    let silent = TcpStream::connect(address).await.unwrap();
    let mut half = TcpStream::connect(address).await.unwrap();
    half.write_all(HALF_A_HELLO).await.unwrap();
    let secured_and_silent = secured(address, &certificate).await;
    // Answers nothing any more, as if its machine were gone.
    let mut gone = secured(address, &certificate).await;
    gone.write_all(PREFACE).await.unwrap();
    gone.flush().await.unwrap();
    assert!(gone.read(&mut [0; 64]).await.unwrap() > 0, "its settings are answered");
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&certificate));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", address.port())).unwrap();
    let channel = endpoint.tls_config(tls).unwrap().connect().await.unwrap();
    let mut idle = SecretServiceClient::new(channel);
    idle.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();

    let told = Instant::now();
    assert!(terminate(&mut child).await.success());
    let took = told.elapsed();
    assert!(took < Duration::from_secs(5), "it ended after {took:?}");
    drop((silent, half, secured_and_silent, gone, idle));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_and_a_watch_ended_by_the_shutdown_learn_the_reason() {
    let site = Site::start().await;
    site.seed("v", "value").await;
    site.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretGet));
    let flags = ["--server-drain", "2s", "--vault-timeout", "30s"];
    let mut process = Process::serve_as(&site, &configuration(&site, 0), &flags).await;
    let mut watch =
        process.client.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().expect("it begins with a bookmark");
    let mut client = process.client.clone();
    let call = tokio::spawn(async move {
        let ended = client.create_synced_secret(create("a", vec![existing("k", "v")])).await;
        (ended, Instant::now())
    });
    until_so("the call waits for the vault", async || site.vault.requests().of(Operation::SecretGet) > 0)
        .await;

    let told_to_end = Instant::now();
    let ending = tokio::spawn(process.terminate());
    let ended = timeout(PATIENCE, watch.message()).await.expect("the watch ends").unwrap_err();
    assert_eq!((ended.code(), told(&ended).reason.as_str()), (Code::Unavailable, "STOPPING"), "{ended:?}");
    assert!(told_to_end.elapsed() < Duration::from_secs(1), "a watch is not drained");
    let (ended, at) = call.await.unwrap();
    let told = told(&ended.unwrap_err());
    assert_eq!((told.code, told.reason.as_str()), (Code::Unavailable, "STOPPING"), "{}", told.message);
    assert!(told.details.retry_info().is_some());
    let waited = at - told_to_end;
    assert!(waited >= Duration::from_millis(1_900), "it had all of the drain: {waited:?}");
    assert!(ending.await.unwrap().success());
    assert!(told_to_end.elapsed() < Duration::from_secs(6), "{:?}", told_to_end.elapsed());
}
