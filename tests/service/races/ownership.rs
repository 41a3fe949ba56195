//! What is somebody else's stays as it is.

use super::*;

/// A key of somebody else's Secret under the name `a` stays, and so it does when our `a` is deleted.
async fn stays_through_a_deletion(world: &mut World, key: &str, value: &str) {
    stays(2, "theirs has its key", async || holds(world, "a", key, value).await).await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    stays(1, "theirs has its key", async || holds(world, "a", key, value).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_secret_of_a_foreign_secretsync_keeps_its_keys() {
    let Some(mut world) = world(secret_store()).await else { return };
    world.seed("v", "value").await;
    world.seed("w", "theirs").await;
    let model = create("model", vec![existing("theirs", "w")]);
    world.client.create_synced_secret(model).await.unwrap();
    let (class, stranger) = a_strangers_like(&world, "model", "a").await;
    world.classes().create(&kubectl(), &class).await.unwrap();

    // Theirs comes between the look whether the name is free and the first write.
    let first =
        FaultRule::new(Fault::latency(Duration::from_millis(1_000))).verb("patch").resource(PAIR[1]).times(1);
    world.cluster().faults().add(first);
    let writes = || world.cluster().requests().of("patch", PAIR[1]);
    let before = writes();
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.clone().create_synced_secret(asked).await.unwrap();
    until_so("our first write is under way", async || writes() > before).await;
    world.syncs().create(&kubectl(), &stranger).await.unwrap();

    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    until_so("the extension made theirs", async || holds(&world, "a", "theirs", "theirs").await).await;
    stays_through_a_deletion(&mut world, "theirs", "theirs").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_secretsync_in_place_of_ours_keeps_its_secret_through_a_start_and_a_deletion() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let (class, stranger) = a_strangers_like(&world, "a", "a").await;
    world.stop_service().await;
    world.syncs().delete("a", &DeleteParams::default()).await.unwrap();
    until_so("the Secret went with its SecretSync", async || world.edge("a").await.is_none()).await;
    world.classes().create(&kubectl(), &class).await.unwrap();
    world.syncs().create(&kubectl(), &stranger).await.unwrap();
    until_so("the extension made theirs", async || holds(&world, "a", "k", "value").await).await;

    world.start_service().await;
    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    stays_through_a_deletion(&mut world, "k", "value").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_switch_while_the_extensions_kinds_are_not_served_leaves_no_second_writer() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    world.stop_service().await;
    serves_no_pairs(&world, &["get", "list", "watch", "patch", "delete"]);
    world.start_service_with(SyncEngine::Direct).await;
    stays(2, "nobody switched what can't be seen", async || {
        !world.actions("a").await.iter().any(|action| action == "EngineSwitched")
    })
    .await;
    world.cluster().faults().clear();

    until_so("it is switched", async || {
        world.actions("a").await.iter().any(|action| action == "EngineSwitched")
    })
    .await;
    world.until_state("a", State::Synced).await;
    assert!(world.syncs().get_opt("a").await.unwrap().is_none(), "the extension still writes, too");
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;
}
