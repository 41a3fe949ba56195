//! A retry with the same `request_id` is the same request (AIP-155).

use secret_service::proto::{
    AddVaultSecretVersionRequest, CreateSyncedSecretRequest, CreateVaultSecretRequest,
    DeleteSyncedSecretRequest, ListVaultSecretVersionsRequest, SyncedSecret, UpdateSyncedSecretRequest,
};
use tonic::Code;
use uuid::Uuid;

use crate::support::{World, requests::*};

async fn versions(world: &mut World, vault_secret: &str) -> usize {
    let request = ListVaultSecretVersionsRequest { parent: vault_name(vault_secret), ..Default::default() };
    world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions.len()
}

fn id() -> String {
    Uuid::new_v4().to_string()
}

#[tokio::test]
async fn a_repeated_create_returns_the_same_response_and_creates_nothing_twice() {
    let mut world = World::start().await;
    let request =
        CreateSyncedSecretRequest { request_id: id(), ..create("a", vec![created("k", "fresh", "v")]) };

    let first = world.client.create_synced_secret(request.clone()).await.unwrap().into_inner();
    world.restart().await;
    let again = world.client.create_synced_secret(request.clone()).await.unwrap().into_inner();

    assert_eq!((first.uid, first.generation), (again.uid, again.generation));
    assert_eq!(versions(&mut world, "fresh").await, 1);
}

#[tokio::test]
async fn a_request_id_with_other_content_is_refused_even_if_only_a_value_differs() {
    let mut world = World::start().await;
    let request =
        CreateSyncedSecretRequest { request_id: id(), ..create("a", vec![created("k", "fresh", "v")]) };
    world.client.create_synced_secret(request.clone()).await.unwrap();

    let mut other = request.clone();
    other.synced_secret.as_mut().unwrap().references[0].create.as_mut().unwrap().value = "w".to_owned();
    let told = told(&world.client.create_synced_secret(other).await.unwrap_err());
    assert_eq!((told.code, told.fields), (Code::InvalidArgument, vec!["request_id".to_owned()]));

    let waits_less = CreateSyncedSecretRequest { wait: None, ..request };
    world.client.create_synced_secret(waits_less).await.unwrap();
}

#[tokio::test]
async fn ten_callers_with_one_request_id_create_once() {
    let mut world = World::start().await;
    let request =
        CreateSyncedSecretRequest { request_id: id(), ..create("a", vec![created("k", "fresh", "v")]) };
    let calls = (0..10).map(|_| {
        let (mut client, request) = (world.client.clone(), request.clone());
        async move { client.create_synced_secret(request).await }
    });
    let answers = futures::future::join_all(calls).await;

    let codes: Vec<_> = answers
        .iter()
        .map(|answer| answer.as_ref().map_or_else(|status| status.code(), |_| Code::Ok))
        .collect();
    assert!(codes.contains(&Code::Ok), "{codes:?}");
    assert!(codes.iter().all(|code| *code == Code::Ok), "{codes:?}");
    assert_eq!(versions(&mut world, "fresh").await, 1);
    world.client.create_synced_secret(request).await.unwrap();
}

#[tokio::test]
async fn repeated_updates_deletes_and_vault_writes_are_recognized() {
    let mut world = World::start().await;
    let made = CreateVaultSecretRequest {
        vault_secret_id: "v".to_owned(),
        secret: Some(new("1")),
        request_id: id(),
        ..Default::default()
    };
    world.client.create_vault_secret(made.clone()).await.unwrap();
    world.client.create_vault_secret(made).await.unwrap();
    assert_eq!(versions(&mut world, "v").await, 1);

    let added = AddVaultSecretVersionRequest { request_id: id(), ..add_version("v", "2") };
    let first = world.client.add_vault_secret_version(added.clone()).await.unwrap().into_inner();
    let again = world.client.add_vault_secret_version(added).await.unwrap().into_inner();
    assert_eq!(first.name, again.name);
    assert_eq!(versions(&mut world, "v").await, 2);

    let secret = world.create("a", vec![existing("k", "v")]).await;
    let wanted = SyncedSecret { description: "x".to_owned(), ..secret };
    let changed = UpdateSyncedSecretRequest { request_id: id(), ..update(wanted, &["description"]) };
    let first = world.client.update_synced_secret(changed.clone()).await.unwrap().into_inner();
    let again = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert_eq!((first.generation, again.generation), (2, 2));

    let gone = DeleteSyncedSecretRequest { request_id: id(), ..delete("a") };
    world.client.delete_synced_secret(gone.clone()).await.unwrap();
    world.client.delete_synced_secret(gone).await.unwrap();
}

#[tokio::test]
async fn a_refused_request_can_be_retried_after_its_cause_is_fixed() {
    let mut world = World::start().await;
    let request = CreateSyncedSecretRequest { request_id: id(), ..create("a", vec![existing("k", "later")]) };
    assert_eq!(world.client.create_synced_secret(request.clone()).await.unwrap_err().code(), Code::NotFound);
    world.seed("later", "v").await;
    world.client.create_synced_secret(request).await.unwrap();
}
