//! The server's life: health, reflection, limits, deadlines, the end.

use tokio::net::UnixStream;
use tonic::{
    Code,
    transport::{Certificate, ClientTlsConfig, Endpoint, Uri},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};
use tonic_types::StatusExt;

use super::*;
use crate::{api::Tls, proto::*};

const CONTRACT: &str = "iotoperations.secrets.v1.SecretService";

fn sync(seconds: i64) -> SyncSyncedSecretRequest {
    // The reconciler does not run: such a call waits to its end.
    let wait = Some(prost_types::Duration { seconds, nanos: 0 });
    SyncSyncedSecretRequest { name: "syncedSecrets/a".into(), wait }
}

async fn health(channel: Channel, service: &str) -> Result<i32, Code> {
    let request = HealthCheckRequest { service: service.into() };
    let answer = HealthClient::new(channel).check(request).await;
    answer.map(|answer| answer.into_inner().status).map_err(|status| status.code())
}

#[tokio::test]
async fn health_follows_readiness_and_shutdown() {
    let running = serve(|_| ()).await;
    let channel = running.channel().await;
    let (serving, not_serving) = (1, 2);
    let mut watched = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest { service: CONTRACT.into() })
        .await
        .unwrap()
        .into_inner();
    let mut next = async || watched.message().await.unwrap().map(|answer| answer.status);
    while next().await != Some(serving) {}
    assert_eq!(health(channel.clone(), "").await, Ok(serving));
    assert_eq!(health(channel.clone(), CONTRACT).await, Ok(serving));
    assert_eq!(health(channel.clone(), "nobody").await, Err(Code::NotFound));
    running.ready.send_replace(false);
    assert_eq!(next().await, Some(not_serving));
    assert_eq!(health(channel.clone(), "").await, Ok(not_serving));
    running.ready.send_replace(true);
    assert_eq!(next().await, Some(serving));
    running.stop.cancel();
    assert_eq!(next().await, Some(not_serving));
    assert_eq!(next().await, None);
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn reflection_in_both_versions_serves_the_contract_health_and_the_error_details() {
    let running = serve(|_| ()).await;
    let channel = running.channel().await;
    macro_rules! ask {
        ($version:ident, $ask:expr) => {{
            let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel.clone());
            let request =
                $version::ServerReflectionRequest { host: String::new(), message_request: Some($ask) };
            let answer = client.server_reflection_info(futures::stream::iter([request])).await.unwrap();
            answer.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
        }};
    }
    macro_rules! check {
        ($version:ident) => {{
            use $version::{
                server_reflection_request::MessageRequest as Permission,
                server_reflection_response::MessageResponse as Answer,
            };
            let Answer::ListServicesResponse(listed) =
                ask!($version, Permission::ListServices(String::new()))
            else {
                panic!("no list")
            };
            let names: Vec<_> = listed.service.into_iter().map(|service| service.name).collect();
            assert!(
                names.contains(&CONTRACT.into()) && names.contains(&"grpc.health.v1.Health".into()),
                "{names:?}"
            );
            let symbols = [
                CONTRACT,
                "google.rpc.ErrorInfo",
                "google.rpc.BadRequest",
                "google.protobuf.FieldMask",
                "google.protobuf.Duration",
            ];
            for symbol in symbols {
                let answer = ask!($version, Permission::FileContainingSymbol(symbol.into()));
                assert!(matches!(answer, Answer::FileDescriptorResponse(_)), "{symbol}: {answer:?}");
            }
            for file in ["google/rpc/error_details.proto", "google/protobuf/timestamp.proto"] {
                let answer = ask!($version, Permission::FileByFilename(file.into()));
                assert!(matches!(answer, Answer::FileDescriptorResponse(_)), "{file}: {answer:?}");
            }
        }};
    }
    check!(v1);
    check!(v1alpha);
}

#[tokio::test]
async fn reflection_can_be_disabled() {
    let running = serve(|options| options.reflection = false).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(running.channel().await);
    let request = futures::stream::empty::<v1::ServerReflectionRequest>();
    assert_eq!(client.server_reflection_info(request).await.unwrap_err().code(), Code::Unimplemented);
}

#[tokio::test]
async fn calls_beyond_the_limit_are_refused_with_a_retry_delay_and_health_still_answers() {
    let running = serve(|options| options.limits.concurrent_calls = 1).await;
    running.house.insert(secret("a")).await;
    let channel = running.channel().await;
    let mut client = SecretServiceClient::new(channel.clone());
    let slow = tokio::spawn({
        let mut client = client.clone();
        async move { client.sync_synced_secret(sync(2)).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let request = GetSyncedSecretRequest { name: "syncedSecrets/a".into(), view: 0 };
    let refused = client.get_synced_secret(request.clone()).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "TOO_MANY_CALLS"));
    assert!(refused.get_details_retry_info().unwrap().retry_delay.is_some());
    assert!(health(channel, "").await.is_ok());
    slow.await.unwrap().unwrap();
    client.get_synced_secret(request).await.unwrap();
}

#[tokio::test]
async fn a_call_past_its_deadline_learns_that_recorded_work_continues() {
    let running = serve(|options| options.limits.call_timeout = Duration::from_millis(300)).await;
    running.house.insert(secret("a")).await;
    let mut client = running.client().await;
    let held = running.house.store.begin().await.unwrap();
    let late = client.sync_synced_secret(sync(0)).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(late.message().contains("changes continue"), "{late}");

    let mut request = tonic::Request::new(sync(0));
    request.metadata_mut().insert("grpc-timeout", "200m".parse().unwrap());
    let began = std::time::Instant::now();
    let late = client.sync_synced_secret(request).await.unwrap_err();
    assert_eq!((late.code(), reason(&late).as_str()), (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"));
    assert!(began.elapsed() < Duration::from_millis(280));
    drop(held);
    running.house.secrets.drain().await;
    let events = running.house.store.audit_events(&Default::default(), 10).await.unwrap();
    assert_eq!(events.len(), 2, "both went on");
}

#[tokio::test]
async fn a_wait_ends_before_the_callers_deadline_with_the_current_state() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let mut request = tonic::Request::new(sync(10));
    request.metadata_mut().insert("grpc-timeout", "600m".parse().unwrap());
    let answer = running.client().await.sync_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(answer.state, synced_secret::State::Pending as i32);
}

#[tokio::test]
async fn a_call_in_flight_completes_during_a_shutdown() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let mut client = running.client().await;
    let slow = tokio::spawn(async move { client.sync_synced_secret(sync(1)).await });
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop.cancel();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(tokio::net::TcpStream::connect(running.address).await.is_err(), "no new connections");
    slow.await.unwrap().unwrap();
    running.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_hanging_call_delays_the_shutdown_no_longer_than_the_drain_timeout() {
    let running = serve(|options| options.drain = Duration::from_millis(300)).await;
    running.house.insert(secret("a")).await;
    let mut client = running.client().await;
    let slow = tokio::spawn(async move { client.sync_synced_secret(sync(20)).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let began = std::time::Instant::now();
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(3));
    slow.abort();
}

#[tokio::test]
async fn a_callers_request_id_is_returned_and_every_call_has_one() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let mut id = async |id: Option<&str>| {
        let mut request = tonic::Request::new(ListSyncedSecretsRequest::default());
        if let Some(id) = id {
            request.metadata_mut().insert("x-request-id", id.parse().unwrap());
        }
        let answer = client.list_synced_secrets(request).await.unwrap();
        answer.metadata().get("x-request-id").unwrap().to_str().unwrap().to_owned()
    };
    assert_eq!(id(Some("run-7")).await, "run-7");
    assert_eq!(id(None).await.len(), 36);
    assert_eq!(id(Some("not an id")).await.len(), 36);
}

#[tokio::test]
async fn tls_and_unix_sockets_serve_the_same_api() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (cert_pem, key_pem) = (made.cert.pem(), made.signing_key.serialize_pem());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("api.sock");
    let tls = files(directory.path(), &cert_pem, &key_pem);
    let running = serve(|options| {
        options.tls = Some(tls);
        options.listen.push(Listen::Unix(path.clone()));
    })
    .await;
    let config =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(cert_pem)).domain_name("localhost");
    let endpoint = Endpoint::from_shared(format!("https://{}", running.address)).unwrap();
    let tls = endpoint.tls_config(config).unwrap().connect().await.unwrap();
    let socket = path.clone();
    let unix = Endpoint::from_static("http://unix");
    let unix = unix.connect_with_connector(tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(hyper_util::rt::TokioIo::new) }
    }));
    for channel in [tls, unix.await.unwrap()] {
        SecretServiceClient::new(channel)
            .list_synced_secrets(ListSyncedSecretsRequest::default())
            .await
            .unwrap();
    }
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn the_error_names_what_prevents_a_start() {
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let fails = async |change: &dyn Fn(&mut Options)| {
        let mut options = options();
        change(&mut options);
        Server::bind(options).await.err().unwrap().to_string()
    };
    let error = fails(&|options| options.listen = vec![Listen::Tcp(address)]).await;
    assert!(error.contains(&address.to_string()), "{error}");
    let error = fails(&|options| options.listen.clear()).await;
    assert!(error.contains("no address"), "{error}");
    let error = fails(&|options| options.allowed_origins = vec!["*".into()]).await;
    assert!(error.contains("\"*\""), "{error}");
    let directory = tempfile::tempdir().unwrap();
    let tls = files(directory.path(), "x", "y");
    let error = fails(&|options| options.tls = Some(tls.clone())).await;
    assert!(error.contains("TLS"), "{error}");
    std::fs::remove_file(&tls.key_file).unwrap();
    let error = fails(&|options| options.tls = Some(tls.clone())).await;
    assert!(error.contains("key.pem"), "{error}");
}

fn files(directory: &std::path::Path, cert_pem: &str, key_pem: &str) -> Tls {
    let (cert_file, key_file) = (directory.join("cert.pem"), directory.join("key.pem"));
    std::fs::write(&cert_file, cert_pem).unwrap();
    std::fs::write(&key_file, key_pem).unwrap();
    Tls { cert_file, key_file, client_ca_file: None, client_crl_file: None, revocation: Default::default() }
}
