//! Limits: connections, calls, watches, and clients that do not read.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};
use tonic::{Code, transport::Endpoint};

use super::*;
use crate::proto::{ListSyncedSecretsRequest, WatchSyncedSecretsRequest};

/// Longer than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

async fn lists(client: &mut SecretServiceClient<Channel>) -> Result<(), Status> {
    client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.map(|_| ())
}

#[tokio::test]
async fn a_client_that_does_not_read_its_answer_loses_the_connection() {
    let house = house().await;
    for number in 0..2_000 {
        let description = "long ".repeat(50);
        house.insert(SyncedSecret { description, ..secret(&format!("s{number:04}")) }).await;
    }
    let running =
        serve_house(house, |options| options.limits.send_timeout = Duration::from_millis(1_500)).await;
    let address = format!("http://{}", running.address);
    let narrow = Endpoint::from_shared(address).unwrap().initial_stream_window_size(65_535);
    let mut slow = SecretServiceClient::new(narrow.connect().await.unwrap());
    let mut watch =
        slow.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();

    let mut good = running.client().await;
    let mut quiet =
        good.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    while quiet.message().await.unwrap().unwrap().synced_secret.is_some() {}
    tokio::time::sleep(Duration::from_secs(5)).await;
    let told = async {
        while watch.message().await?.is_some() {}
        Ok::<(), Status>(())
    };
    timeout(PATIENCE, told).await.unwrap().expect_err("the connection was closed in the middle of the watch");
    lists(&mut good).await.unwrap();
    running.house.insert(secret("new")).await;
    let event = timeout(PATIENCE, quiet.message()).await.unwrap().unwrap().unwrap();
    assert_eq!(event.synced_secret.unwrap().name, "syncedSecrets/new", "a watch that is quiet is not slow");
}

#[tokio::test]
async fn idle_connections_are_evicted_and_active_ones_stay() {
    let running = serve(|options| options.limits.connections = 3).await;
    let mut busy = running.client().await;
    let mut watch =
        busy.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().unwrap();
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(running.address).await.unwrap());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut good = running.client().await;
    timeout(PATIENCE, lists(&mut good)).await.unwrap().unwrap();
    let mut first = silent.remove(0);
    let mut buffer = Vec::new();
    let ended = timeout(PATIENCE, first.read_to_end(&mut buffer)).await;
    assert!(ended.is_ok(), "the oldest silent connection was ended");
    running.house.insert(secret("new")).await;
    timeout(PATIENCE, watch.message()).await.unwrap().unwrap().expect("the busy connection goes on");
}

#[tokio::test]
async fn a_client_can_send_at_most_one_window_before_its_request_is_read() {
    let running = serve(|_| ()).await;
    let mut stream = TcpStream::connect(running.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
    assert_eq!(head[3], 4, "the first frame has the server's settings");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let window = settings.chunks(6).find(|setting| setting[..2] == [0, 4]).unwrap();
    assert_eq!(u32::from_be_bytes(window[2..].try_into().unwrap()), 64 * 1024);
}

#[tokio::test]
async fn one_caller_has_limited_watches_and_a_limited_call_rate() {
    let running = serve(|options| {
        options.limits.watches_per_caller = 1;
        options.limits.calls_per_second = std::num::NonZeroU32::new(20);
    })
    .await;
    let mut client = running.client().await;
    let watch = client.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap();
    let second = client.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap_err();
    assert_eq!(
        (second.code(), reason(&second).as_str()),
        (Code::ResourceExhausted, "TOO_MANY_WATCHES_OF_CALLER")
    );
    drop(watch);

    let mut refused = None;
    for _ in 0..200 {
        refused = lists(&mut client).await.err().or(refused);
    }
    let refused = refused.expect("200 calls are more than 20 a second on any machine");
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "CALLING_TOO_FAST"));
    use tonic_types::StatusExt;
    let wait = refused.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
    tokio::time::sleep(wait + Duration::from_millis(50)).await;
    lists(&mut client).await.unwrap();
}
