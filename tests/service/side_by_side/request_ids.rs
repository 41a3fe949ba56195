//! One request id is one call.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_while_the_first_is_still_checking_gets_the_same_answer() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretGet));
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretGetDeleted));
    let request_id = || Uuid::new_v4().to_string();

    let wanted = CreateSyncedSecretRequest {
        request_id: request_id(),
        ..create("a", vec![existing("k", "v"), created("new", "fresh", "x")])
    };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (one, other) = tokio::join!(first.create_synced_secret(wanted.clone()), async {
        sleep(Duration::from_millis(200)).await;
        second.create_synced_secret(wanted.clone()).await
    });
    let (one, other) = (one.unwrap().into_inner(), other.unwrap().into_inner());
    assert_eq!((one.uid, one.generation), (other.uid, other.generation));
    assert_eq!(versions(&mut world, "fresh").await, 1);

    let changed = UpdateSyncedSecretRequest {
        request_id: request_id(),
        ..with_references("a", vec![existing("k", "v"), created("newer", "fresher", "y")])
    };
    let (one, other) = tokio::join!(first.update_synced_secret(changed.clone()), async {
        sleep(Duration::from_millis(200)).await;
        second.update_synced_secret(changed.clone()).await
    });
    assert_eq!(one.unwrap().into_inner().generation, other.unwrap().into_inner().generation);
    assert_eq!(versions(&mut world, "fresher").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_added_once_by_two_overlapping_calls_of_one_request_id() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretSet));
    let added =
        AddVaultSecretVersionRequest { request_id: Uuid::new_v4().to_string(), ..add_version("v", "newer") };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (one, other) =
        tokio::join!(first.add_vault_secret_version(added.clone()), second.add_vault_secret_version(added));
    assert_eq!(one.unwrap().into_inner().name, other.unwrap().into_inner().name);
    assert_eq!(versions(&mut world, "v").await, 2);
}

#[tokio::test]
async fn adopting_a_managed_synced_secret_is_idempotent_and_cannot_change_it() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.seed("other", "value").await;
    let adopt = AdoptSyncedSecretRequest {
        name: name("a"),
        references: vec![existing("k", "v")],
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let first = world.client.adopt_synced_secret(adopt.clone()).await.unwrap().into_inner();
    let other = AdoptSyncedSecretRequest {
        references: vec![existing("k", "other")],
        request_id: String::new(),
        ..adopt.clone()
    };
    let refusal = world.client.adopt_synced_secret(other).await.unwrap_err();
    assert_eq!(refusal.code(), Code::AlreadyExists, "{refusal:?}");
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    let again = world.client.adopt_synced_secret(adopt).await.unwrap().into_inner();
    assert_eq!(first.uid, again.uid);
}

#[tokio::test]
async fn a_repeated_deletion_of_a_missing_synced_secret_deletes_nothing() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let gone = secret_service::proto::DeleteSyncedSecretRequest {
        allow_missing: true,
        request_id: Uuid::new_v4().to_string(),
        ..delete("a")
    };
    world.client.delete_synced_secret(gone.clone()).await.unwrap();
    world.create("a", vec![existing("k", "v")]).await;
    world.client.delete_synced_secret(gone).await.unwrap();
    assert_eq!(world.get("a").await.state(), State::Synced);
}
