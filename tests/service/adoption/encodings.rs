//! The encodings of adopted references: as the tags of their vault secrets say.

use secret_service::proto::{
    CreateVaultSecretRequest, NewVaultSecret, SecretReference, secret_reference::Encoding,
};

use super::*;

/// The user is a file, and the password a plain value.
async fn world() -> World {
    let mut world = World::start_with(engine(SyncEngine::Direct)).await;
    let file = NewVaultSecret { data: b"operator".to_vec(), ..Default::default() };
    let file = CreateVaultSecretRequest { secret: Some(file), ..create_vault_secret("pump-user", "") };
    world.client.create_vault_secret(file).await.unwrap();
    world.seed("pump-pass", "7").await;
    world
}

#[tokio::test]
async fn a_secret_that_holds_a_file_keeps_its_bytes() {
    let mut world = world().await;
    make_by_hand(&world, "edp1", "Opaque", None).await;
    let adopted = world.client.adopt_synced_secret(adopt("edp1", both())).await.unwrap().into_inner();
    assert_eq!(adopted.references[0].encoding(), Encoding::Hex);
    world.until_state("edp1", State::Synced).await;
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "operator");
    // Once more, without a request id, and in other words.
    let again = world.client.adopt_synced_secret(adopt("edp1", both())).await.unwrap().into_inner();
    assert_eq!((again.uid.as_str(), again.generation), (adopted.uid.as_str(), adopted.generation));
    let mut raw = both();
    raw[0] = SecretReference { encoding: Encoding::Utf8.into(), ..raw[0].clone() };
    let refused = world.client.adopt_synced_secret(adopt("edp1", raw)).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}

#[tokio::test]
async fn a_secret_in_conflict_is_adopted_with_the_encodings_that_it_was_created_with() {
    let mut world = world().await;
    world.create("edp1", both()).await;
    world.stop_service().await;
    world.secrets().delete("edp1", &Default::default()).await.unwrap();
    make_by_hand(&world, "edp1", "Opaque", None).await;
    world.start_service().await;
    world.until_state("edp1", State::Degraded).await;
    let adopted = world.client.adopt_synced_secret(adopt("edp1", both())).await.unwrap().into_inner();
    assert_eq!(adopted.references[0].encoding(), Encoding::Hex);
    world.until_state("edp1", State::Synced).await;
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "operator");
}

#[tokio::test]
async fn an_adopted_reference_that_differs_from_its_tag_is_told() {
    let mut world = world().await;
    make_by_hand(&world, "edp1", "Opaque", None).await;
    let mut raw = both();
    raw[0] = SecretReference { encoding: Encoding::Utf8.into(), ..raw[0].clone() };
    let adopted = world.client.adopt_synced_secret(adopt("edp1", raw)).await.unwrap().into_inner();
    let warned = condition_of(&adopted.conditions, "Encoded");
    assert_eq!(warned.expect("it was told").reason, "EncodingDiffersFromTag");
}
