//! Our service as it is released, in a process of its own, and the thousand creations that it is given.

use std::collections::HashSet;

use futures::{StreamExt, TryStreamExt};
use secret_service::proto::{
    CreateSyncedSecretRequest, SyncedSecret, WatchSyncedSecretsRequest, WatchSyncedSecretsResponse,
    synced_secret::{Origin, State},
    watch_synced_secrets_response::Type,
};
use tonic::Streaming;

use crate::{
    ground::{KEYS, SECRETS, synced_secret, vault_secret},
    process::{Process, configuration},
    support::{Site, requests},
};

/// Calls in flight.
const IN_FLIGHT: usize = 64;
/// The product's defaults, where the configuration that tests share has others.
const DEFAULTS: [&str; 4] = ["--vault-timeout", "10s", "--kubernetes-timeout", "10s"];

/// Starts it on a site with its defaults but for these flags, and waits until it answers.
pub async fn start(site: &Site, flags: &[&str]) -> Process {
    Process::serve_as(site, &configuration(site, 0), &[&DEFAULTS, flags].concat()).await
}

/// Creates all synced secrets, and waits until a watch has told that every one is synced.
pub async fn create_all(ours: &Process) {
    let synced = tokio::spawn(until_all(watch(ours).await, |secret| secret.state() == State::Synced));
    futures::stream::iter(0..SECRETS)
        .map(|number| {
            let mut client = ours.client.clone();
            async move { client.create_synced_secret(creation(number)).await.map(drop) }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await
        .expect("it creates them");
    synced.await.expect("the watch goes on until all are synced");
}

/// Stops it and waits for its end.
pub async fn stop(ours: Process) {
    let status = ours.terminate().await;
    assert!(status.success(), "it ended badly: {status}");
}

/// A call that doesn't wait for the edge.
fn creation(number: usize) -> CreateSyncedSecretRequest {
    let references = KEYS.map(|key| requests::existing(key, &vault_secret(number, key)));
    CreateSyncedSecretRequest { wait: None, ..requests::create(&synced_secret(number), references.into()) }
}

/// Waits until a watch has told of all.
pub async fn all_recorded(ours: &Process) {
    until_all(watch(ours).await, |secret| secret.origin() == Origin::Managed).await;
}

/// Waits until a watch has told that all are synced.
pub async fn all_synced(ours: &Process) {
    until_all(watch(ours).await, |secret| secret.state() == State::Synced).await;
}

/// Takes the database away, while it is stopped.
pub fn lose_database(site: &Site) {
    for end in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(site.directory().join(format!("serve.db{end}")));
    }
}

async fn watch(ours: &Process) -> Streaming<WatchSyncedSecretsResponse> {
    let watch = ours.client.clone().watch_synced_secrets(WatchSyncedSecretsRequest::default()).await;
    watch.expect("it lets us watch").into_inner()
}

async fn until_all(mut watch: Streaming<WatchSyncedSecretsResponse>, is_so: impl Fn(&SyncedSecret) -> bool) {
    let mut all = HashSet::new();
    while all.len() < SECRETS {
        let event = watch.message().await.expect("the watch goes on").expect("the watch goes on");
        if event.r#type() == Type::Bookmark {
            continue;
        }
        let secret = event.synced_secret.expect("it comes with every change");
        if is_so(&secret) {
            all.insert(secret.name);
        }
    }
}
