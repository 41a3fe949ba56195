//! One worker at a time acts on a synced secret.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_read_does_not_undo_an_acknowledged_deletion() {
    needs!(the_double, the_direct_engine);
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.seed("slow", "value").await;
    for other in 0..16 {
        world.create(&format!("other-{other}"), vec![existing("k", "v")]).await;
    }
    world.create("a", vec![existing("k", "slow")]).await;
    // Enough slow work that a key waits in one line while it is asked for in another.
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretGet).named("v"));
    world.vault.faults().add(FaultRule::new(delay(4)).on(Operation::SecretGet).named("slow"));
    for other in 0..16 {
        merge(&world, &format!("other-{other}"), json!({ "stringData": { "k": "edited" } })).await;
    }
    let before = world.vault.requests().of(Operation::SecretGet);
    asked(&world, Operation::SecretGet, before + 1).await;
    merge(&world, "a", json!({ "stringData": { "k": "edited" } })).await;
    sleep(Duration::from_millis(100)).await;
    let asking = secret_service::proto::SyncSyncedSecretRequest { wait: None, ..sync("a") };
    world.client.sync_synced_secret(asking.clone()).await.unwrap();
    sleep(Duration::from_millis(1_300)).await;
    world.client.sync_synced_secret(asking).await.unwrap();
    merge(&world, "a", json!({ "metadata": { "annotations": { "touched": "yes" } } })).await;

    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    for _ in 0..60 {
        assert!(world.edge("a").await.is_none(), "the Secret of a deleted synced secret is back");
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_write_that_lands_after_its_deletion_is_removed_again() {
    needs!(the_direct_engine);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let uid = world.get("a").await.uid;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;

    // What an API server does with a request that its client has given up.
    let late = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "a", "labels": { UID_LABEL: uid } },
        "stringData": { "k": "value" },
    });
    world
        .secrets()
        .patch("a", &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(late.clone()))
        .await
        .unwrap();
    let begun = Instant::now();
    while world.edge("a").await.is_some() {
        assert!(begun.elapsed() < PATIENCE, "an orphan stays");
        sleep(Duration::from_millis(20)).await;
    }

    // Somebody else's copy of it is theirs.
    world.secrets().patch("a", &PatchParams::apply("somebody"), &Patch::Apply(late)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(world.edge("a").await.is_some(), "somebody else's Secret is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_vault_blocks_neither_deletions_nor_unrelated_synced_secrets() {
    needs!(the_direct_engine);
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(60), ..Options::default() }).await;
    world.seed("v", "value").await;
    for id in 0..12 {
        world.create(&format!("s-{id}"), vec![existing("k", "v")]).await;
    }
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretGet));
    let before = world.vault.requests().of(Operation::SecretGet);
    for id in 0..12 {
        merge(&world, &format!("s-{id}"), json!({ "stringData": { "k": "edited" } })).await;
    }
    asked(&world, Operation::SecretGet, before + 8).await;

    let begun = Instant::now();
    for id in 0..12 {
        world.client.delete_synced_secret(delete(&format!("s-{id}"))).await.unwrap();
        world.until_gone(&format!("s-{id}")).await;
    }
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "deletions waited for the vault: {:?}",
        begun.elapsed()
    );
}
