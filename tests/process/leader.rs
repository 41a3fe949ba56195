//! Two processes with two databases on one namespace: who holds the Lease, as callers, `check` and the metrics tell it, when one is told to stop
//! and when one is killed.

use std::time::Duration;

use secret_service::proto::secret_service_client::SecretServiceClient;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::Command,
    time::{Instant, sleep},
};
use tonic::transport::Channel;

use super::process::{Process, command, configuration, free_port};
use crate::support::{Site, requests::*};

const ROW: &str = "cluster.lease";

async fn change(client: &SecretServiceClient<Channel>, id: &str) -> Result<(), tonic::Status> {
    client.clone().create_vault_secret(create_vault_secret(id, "value")).await.map(drop)
}

/// Who holds the Lease, as a process says that stands by.
async fn holder(client: &SecretServiceClient<Channel>) -> String {
    let refused = told(&change(client, "refused").await.unwrap_err());
    assert_eq!(refused.reason, "NOT_LEADER", "{}", refused.message);
    refused.details.error_info().unwrap().metadata["holder"].clone()
}

async fn until_acting(client: &SecretServiceClient<Channel>, id: &str) -> Duration {
    let begun = Instant::now();
    while let Err(refused) = change(client, id).await {
        assert!(begun.elapsed() < Duration::from_secs(30), "it never takes over: {refused:?}");
        sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

/// What `check` found of who acts.
async fn checked(site: &Site) -> String {
    let file = site.directory().join("check.toml");
    std::fs::write(&file, configuration(site, 0)).unwrap();
    let mut check = Command::from(command(&["check", "-o", "json", "--config"]));
    let report: Value = serde_json::from_slice(&check.arg(&file).output().await.unwrap().stdout).unwrap();
    let row = report["checks"].as_array().unwrap().iter().find(|row| row["id"] == ROW).expect(ROW);
    assert_eq!(row["holds"], "yes", "{row}");
    row["found"].as_str().unwrap().to_owned()
}

async fn metric(port: u16, name: &str) -> String {
    let mut line = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    line.write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut page = String::new();
    line.read_to_string(&mut page).await.unwrap();
    let found = page.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
    found.unwrap_or_else(|| panic!("{name}: {page}")).to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_writes_and_the_other_takes_over_when_it_stops_or_is_killed() {
    let site = Site::start().await;
    assert!(checked(&site).await.starts_with("Nobody holds the Lease"));
    let config = configuration(&site, 0);
    let first = Process::serve_as(&site, &config, &[]).await;
    until_acting(&first.client, "of-the-first").await;

    let (other, port) = (site.directory().join("other.db"), free_port());
    let metrics = format!("127.0.0.1:{port}");
    let flags = ["--database-path", other.to_str().unwrap(), "--server-metrics-listen", &metrics];
    let second = Process::serve_as(&site, &config, &flags).await;
    let of_first = holder(&second.client).await;
    assert!(checked(&site).await.contains(&of_first));
    assert_eq!(metric(port, "secret_service_leader").await, "0");

    assert!(first.terminate().await.success());
    let took = until_acting(&second.client, "of-the-second").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(metric(port, "secret_service_leader").await, "1");
    assert_eq!(metric(port, "secret_service_lease_holder_changes_total").await, "1");

    let first = Process::serve_as(&site, &config, &[]).await;
    let of_second = holder(&first.client).await;
    assert_ne!(of_second, of_first);
    second.kill().await;
    let took = until_acting(&first.client, "of-the-first-again").await;
    assert!(Duration::from_secs(10) < took && took < Duration::from_secs(20), "{took:?}");

    // The same database, the same process as far as anybody can tell.
    first.kill().await;
    let again = Process::serve_as(&site, &config, &[]).await;
    let took = until_acting(&again.client, "again").await;
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert!(checked(&site).await.contains(&of_first));
}
