//! A state is reported only after somebody has looked.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn sync_time_does_not_advance_while_the_edge_is_unreadable() {
    let options = Options { interval: Duration::from_millis(500), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    let before = world.get("a").await.sync_time;
    takes_down(&world);
    until_asked(&world, Operation::SecretList, 5).await;
    assert_eq!(world.get("a").await.sync_time, before, "nobody has looked at the edge since");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_is_synced_only_when_the_edge_holds_its_values() {
    let Some(mut world) = world_while_the_extension_reads_v().await else { return };
    slow(&world, Operation::SecretGet, "w", Duration::from_secs(3));
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(holds(&world, "a", "k", "other").await, "SYNCED, and the edge holds what was asked for before");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_value_is_not_reported_as_synced_when_the_extension_fails_to_update_it() {
    let Some(mut world) = world_while_the_extension_reads_v().await else { return };
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet).named("w"));
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert_ne!(told.state(), State::Synced, "{told:?}");
    world.until("a", |secret| matches!(secret.state(), State::Degraded | State::Failed)).await;
    stays(2, "not SYNCED", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await.unwrap();
        now.get_ref().state() != State::Synced
    })
    .await;
}

/// `a` is asked for, and the extension reads `v` for it, slowly; `w` is there, too.
async fn world_while_the_extension_reads_v() -> Option<World> {
    let world = world(secret_store()).await?;
    world.seed("v", "value").await;
    world.seed("w", "other").await;
    slow(&world, Operation::SecretGet, "v", Duration::from_secs(2));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    let mut client = world.client.clone();
    let call = tokio::spawn(async move { client.create_synced_secret(asked).await });
    until_asked(&world, Operation::SecretGet, 1).await;
    call.await.unwrap().unwrap();
    Some(world)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_read_counts_as_compared() {
    let begun = Instant::now();
    let options = Options { interval: Duration::from_millis(500), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    world.seed("w", "value").await;
    // Knowledge younger than ten seconds never counts as old, and what was never compared is as old as the process.
    sleep(Duration::from_secs(11).saturating_sub(begun.elapsed())).await;
    let slowly = FaultRule::new(Fault::latency(Duration::from_secs(2)));
    world.vault.faults().add(slowly.on(Operation::SecretList));
    // A check has begun that does not know of `b`.
    until_asked(&world, Operation::SecretList, 1).await;
    world.create("b", vec![existing("k", "w")]).await;
    stays(3, "`b` was just read from the vault", async || {
        let now = world.client.clone().get_synced_secret(get("b")).await.unwrap().into_inner();
        now.conditions.iter().all(|condition| condition.reason != "NotCompared")
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_does_not_revert_a_sync_now_and_the_next_one_reads_the_edge() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    makes_a_secret(&world, "a", "k", "theirs").await;
    world.start_service().await;
    world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    // An adoption is slow to check what the vault holds; somebody else asks for a sync meanwhile, whose look takes longer still.
    slow(&world, Operation::SecretGet, "v", Duration::from_secs(1));
    let (mut adopter, mut syncer) = (world.client.clone(), world.client.clone());
    let adopt = AdoptSyncedSecretRequest { name: name("a"), ..Default::default() };
    let adoption = tokio::spawn(async move { adopter.adopt_synced_secret(adopt).await });
    until_asked(&world, Operation::SecretGet, 1).await;
    let look =
        FaultRule::new(Fault::latency(Duration::from_millis(2_000))).verb("get").resource("secrets").times(1);
    world.cluster().faults().add(look);
    syncer.sync_synced_secret(sync("a")).await.unwrap();
    adoption.await.unwrap().unwrap();
    world.until_state("a", State::Synced).await;

    takes_down(&world);
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeUnreachable"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_to_another_vault_secret_does_not_wait_for_a_hanging_one() {
    let options = Options { vault_timeout: Duration::from_secs(15), ..direct() };
    let Some(mut world) = world_with_one(options).await else { return };
    world.seed("w", "other").await;
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretGet).named("v"));
    let edit = json!({ "stringData": { "k": "edited" } });
    let before = world.vault.requests().of(Operation::SecretGet);
    world.secrets().patch("a", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    until_so("a look hangs", async || world.vault.requests().of(Operation::SecretGet) > before).await;

    let begun = Instant::now();
    let changed = with_references("a", vec![existing("k", "w")]);
    let told = world.client.update_synced_secret(changed).await.unwrap().into_inner();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited for {:?}", begun.elapsed());
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(holds(&world, "a", "k", "other").await, "SYNCED, and the edge lacks it");
}
