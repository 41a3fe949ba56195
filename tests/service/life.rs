//! Health, reflection, the end of life, and what no part of it may hold: a value.

use std::time::Duration;

use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource};
use secret_service::proto::{ListAuditEventsRequest, ListSyncedSecretsRequest};
use tonic::Code;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{PATIENCE, World, requests::*, search::files_with};

async fn health(world: &World, service: &str) -> ServingStatus {
    let mut client = HealthClient::new(world.channel().await);
    let request = HealthCheckRequest { service: service.to_owned() };
    client.check(request).await.unwrap().into_inner().status()
}

async fn until_health(world: &World, wanted: ServingStatus) {
    let begun = tokio::time::Instant::now();
    while health(world, "").await != wanted {
        assert!(begun.elapsed() < PATIENCE, "never {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_service_is_ready_once_the_edge_is_readable_whatever_the_state_of_the_vault() {
    needs!(the_double);
    let world = World::start().await;
    world.vault.faults().add(FaultRule::new(Fault::Hang));
    until_health(&world, ServingStatus::Serving).await;
    assert_eq!(health(&world, "iotoperations.secrets.v1.SecretService").await, ServingStatus::Serving);

    let away = Fault::status(503, "ServiceUnavailable");
    world.cluster().faults().add(FaultRule::new(away).resource("secrets"));
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchDrop).verb("watch").resource("secrets"));
    until_health(&world, ServingStatus::NotServing).await;
    world.cluster().faults().clear();
    until_health(&world, ServingStatus::Serving).await;
}

#[tokio::test]
async fn running_calls_complete_during_a_shutdown() {
    let mut world = World::start().await;
    let slow = Fault::latency(Duration::from_millis(800));
    world.vault.faults().add(FaultRule::new(slow));
    let call = {
        let mut client = world.client.clone();
        tokio::spawn(async move {
            client
                .create_vault_secret(secret_service::proto::CreateVaultSecretRequest {
                    vault_secret_id: "late".to_owned(),
                    secret: Some(new("v")),
                    ..Default::default()
                })
                .await
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.stop_service().await;
    call.await.unwrap().expect("it was finished");
}

#[tokio::test]
async fn a_thousand_concurrent_callers_get_an_answer_or_a_retry_delay() {
    let world = World::start().await.with_synced(&["a"], "x").await;
    let calls = (0..1_000).map(|_| {
        let mut client = world.client.clone();
        async move { client.list_synced_secrets(ListSyncedSecretsRequest::default()).await }
    });
    for answer in futures::future::join_all(calls).await {
        if let Err(status) = answer {
            assert_eq!(status.code(), Code::ResourceExhausted);
            assert!(told(&status).details.retry_info().is_some());
        }
    }
}

#[tokio::test]
async fn no_value_is_found_in_any_file_or_answer() {
    let mut world = World::start().await;
    let (one, two) = ("canary-7f3a91-one", "canary-7f3a91-two");
    let made = world.create("a", vec![created("k", "fresh", one)]).await;
    world.client.add_vault_secret_version(add_version("fresh", two)).await.unwrap();
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap()["k"], two);
    assert!(!format!("{made:?}").contains("canary"));
    let audit = world.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap();
    assert!(!format!("{audit:?}").contains("canary"));

    let (files, found) = files_with(b"canary", world.directory());
    assert!(files > 5, "the search looked at the databases");
    assert!(found.is_empty(), "a value stands in {found:?}");
}
