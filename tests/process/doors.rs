//! What a flood takes of the process: the Unix socket has a reserve of its own, and the address of the metrics little room.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use super::process::{Process, command, configuration, free_port};
use crate::support::{PATIENCE, Site, requests::*};

#[path = "../service/doors/wire.rs"]
#[allow(dead_code, reason = "the service tier uses all of it")]
mod wire;

use wire::{HEALTH_CHECK, Http2, SERVICE, framed, tcp};

async fn serve(site: &Site, flags: &[&str]) -> Process {
    Process::serve_as(site, &configuration(site, 0), flags).await
}

/// Whether the command line, run on a Unix socket, ends well.
async fn succeeds(arguments: &[&str], socket: &str) -> bool {
    let address = format!("unix:{socket}");
    let arguments = [arguments, &["--address", &address, "--timeout", "5s"]].concat();
    let output = tokio::process::Command::from(command(&arguments)).output();
    let output = timeout(PATIENCE, output).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    output.status.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unix_socket_answers_when_all_connections_and_calls_are_in_use() {
    let site = Site::start().await;
    let socket = site.directory().join("api.sock").display().to_string();
    let limits = ["--limits-connections=4", "--limits-concurrent-calls=4", "--limits-calls-per-caller=4"];
    let open = ["--limits-open-calls=4", "--limits-open-calls-per-address=4", "--limits-receive-timeout=1m"];
    let unix = ["--server-unix-socket", &socket];
    let process = serve(&site, &[&unix[..], &limits[..], &open[..]].concat()).await;
    let (mut connections, mut watches, mut held) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..4 {
        let connection = Http2::connect(process.address(), 2).await;
        let watch = format!("{SERVICE}/WatchSyncedSecrets");
        let watch = connection.begin(&watch, None, framed(0, 0), true).await.head().await;
        watches.push(watch.expect("the connection is open").expect("a watch that has begun takes no call"));
        connections.push(connection);
    }
    for path in [HEALTH_CHECK, &format!("{SERVICE}/GetVault")] {
        for connection in &connections {
            held.push(connection.begin(path, None, Bytes::new(), false).await);
        }
    }
    for call in &mut held {
        assert!(call.is_waiting().await, "the calls are all taken");
    }
    let mut refused = tcp(process.address(), 2).await;
    let ended = timeout(PATIENCE, refused.read(&mut [0; 64])).await.expect("it is refused at once");
    assert!(matches!(ended, Ok(0) | Err(_)), "the connections are all taken");

    assert!(succeeds(&["health"], &socket).await);
    assert!(succeeds(&["secrets", "list"], &socket).await);
}

/// A request for metrics that ends in the middle of its headers.
async fn stalled(address: SocketAddr, place: u8) -> TcpStream {
    let mut stream = tcp(address, place).await;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    stream
}

async fn is_ended(stream: &mut TcpStream, within: Duration) -> bool {
    let ended = async { while stream.read(&mut [0; 1024]).await.is_ok_and(|bytes| bytes > 0) {} };
    timeout(within, ended).await.is_ok()
}

/// A service, and where it serves metrics.
async fn serve_metrics(site: &Site, limit: &str) -> (Process, SocketAddr) {
    let metrics = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let process = serve(site, &["--server-metrics-listen", &metrics.to_string(), limit]).await;
    (process, metrics)
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_metrics_requests_are_evicted_and_the_page_is_served() {
    let site = Site::start().await;
    let (_process, metrics) = serve_metrics(&site, "--limits-metrics-timeout=1m").await;
    let mut streams = Vec::new();
    for _ in 0..40 {
        streams.push(stalled(metrics, 2).await);
    }
    let mut ended = 0;
    for stream in &mut streams {
        ended += usize::from(is_ended(stream, Duration::from_millis(200)).await);
    }
    assert_eq!(ended, 32, "one address has eight of them");

    let url = format!("http://{metrics}/metrics");
    let page = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    let page = page.text().await.unwrap();
    let counted = "secret_service_limits_hit_total{limit=\"metrics_connections\"} 32";
    assert!(page.lines().any(|line| line == counted), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_metrics_request_times_out() {
    let site = Site::start().await;
    let (_process, metrics) = serve_metrics(&site, "--limits-metrics-timeout=1s").await;
    assert!(is_ended(&mut stalled(metrics, 2).await, PATIENCE).await);
    // Nor does one that asks and does not read keep its connection.
    let mut silent = tcp(metrics, 2).await;
    assert!(is_ended(&mut silent, PATIENCE).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_low_file_limit_bounds_the_connections_and_is_never_exhausted() {
    const FILES: usize = 256;
    let site = Site::start().await;
    site.seed("v", "value").await;
    // More than fit.
    let limits =
        ["connections", "open-connections", "open-connections-per-address", "connections-per-caller"];
    let limits = limits.map(|limit| format!("--limits-{limit}=1000"));
    let limits = limits.each_ref().map(String::as_str);
    let mut process = Process::serve_limited(&site, &configuration(&site, 0), &limits, FILES).await;
    process.client.create_synced_secret(create("before", vec![existing("k", "v")])).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..2 * FILES {
        held.push(tcp(process.address(), 2).await);
    }
    process.client.create_synced_secret(create("meanwhile", vec![existing("k", "v")])).await.unwrap();
    assert!(Http2::connect(process.address(), 3).await.is_open().await, "a new one comes in");
    let open = std::fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count();
    assert!(open < FILES, "{open} files are open");
    let said = std::fs::read_to_string(super::process::log(&site)).unwrap();
    assert!(said.contains("may not open enough files"), "{said}");
    assert!(!said.contains("failed to accept a connection"), "{said}");

    drop(held);
    process.client.create_synced_secret(create("after", vec![existing("k", "v")])).await.unwrap();
    assert!(process.terminate().await.success());
}
