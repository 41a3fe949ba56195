//! What a rebuild cannot record is listed UNMANAGED with the reason.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_cannot_be_read_in_full_is_listed_with_the_reason_and_can_be_adopted() {
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let uid = world.get("a").await.uid;
    world.stop_service().await;
    let damage =
        json!({ "metadata": { "annotations": { "secret-service.iotoperations/references": "[]" } } });
    let us = PatchParams { field_manager: Some("secret-service".to_owned()), ..PatchParams::default() };
    match world.options.engine {
        SyncEngine::Direct => {
            world.secrets().patch("a", &us, &Patch::Merge(damage)).await.map(drop).unwrap();
        }
        SyncEngine::SecretStore => {
            world.syncs().patch("a", &us, &Patch::Merge(damage)).await.map(drop).unwrap();
        }
    }
    world.remove_database();
    world.start_service().await;

    is_listed(&mut world, "a", "secret-service.iotoperations/references").await;
    let refused = world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists, "{refused:?}");
    world.restart().await;
    is_listed(&mut world, "a", "secret-service.iotoperations/references").await;

    world.client.adopt_synced_secret(adopt("a", vec![existing("k", "v")])).await.unwrap();
    let adopted = world.until_state("a", State::Synced).await;
    assert_eq!((adopted.uid, all(&mut world).await.len()), (uid, 1));
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    assert_eq!(world.edge("a").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_of_another_vault_is_left_alone_and_reported() {
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    world.stop_service().await;
    let other = json!({ "metadata": { "annotations": { "secret-service.iotoperations/vault": "https://other.vault.azure.net/" } } });
    let us = PatchParams { field_manager: Some("secret-service".to_owned()), ..PatchParams::default() };
    match world.options.engine {
        SyncEngine::Direct => world.secrets().patch("a", &us, &Patch::Merge(other)).await.map(drop).unwrap(),
        SyncEngine::SecretStore => {
            world.syncs().patch("a", &us, &Patch::Merge(other)).await.map(drop).unwrap()
        }
    }
    world.remove_database();
    world.start_service().await;
    is_listed(&mut world, "a", "https://other.vault.azure.net/").await;
    let events = audit(&mut world).await;
    assert!(events.iter().any(|event| event.detail.contains("left alone: a")), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_secret_of_ours_is_not_a_synced_secret() {
    needs!(the_direct_engine);
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let made = world.secrets().get("a").await.unwrap();
    let metadata = ObjectMeta {
        name: Some("copy".to_owned()),
        labels: made.metadata.labels,
        annotations: made.metadata.annotations,
        ..ObjectMeta::default()
    };
    let data = Some([("k".to_owned(), ByteString(b"theirs".to_vec()))].into());
    let copy = Secret { metadata, data, ..Secret::default() };
    let theirs = PostParams { field_manager: Some("kubectl".to_owned()), ..PostParams::default() };
    world.secrets().create(&theirs, &copy).await.unwrap();
    world.lose_database().await;

    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("copy").await.unwrap()["k"], "theirs");
    let listed: Vec<_> = all(&mut world).await.into_iter().map(|secret| secret.name).collect();
    assert_eq!(listed, [name("a")], "the uid is one that the database knows");
    let refused =
        world.client.adopt_synced_secret(adopt("copy", vec![existing("k", "v")])).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("remove the label"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unrecorded_entry_disappears_with_its_secret() {
    needs!(the_direct_engine);
    let mut world = World::start_with(Options { rebuild: false, ..Options::default() })
        .await
        .with_synced(&["a"], "x")
        .await;
    world.lose_database().await;
    is_listed(&mut world, "a", "`secret-service rebuild`").await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    world.until_gone("a").await;
}
