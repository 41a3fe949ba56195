//! Values of "Create new" that did not reach the vault.

use super::*;

#[tokio::test]
async fn an_update_that_brings_the_missing_value_stores_it_although_it_changes_nothing_else() {
    needs!(the_double);
    let mut world = World::start().await;
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretSet));
    let mut client = world.client.clone();
    let cut_off = tokio::spawn(async move {
        client.create_synced_secret(create("a", vec![created("k", "fresh", "x")])).await
    });
    asked(&world, Operation::SecretSet, 1).await;
    world.vault.faults().clear();
    world.until("a", |_| true).await;
    cut_off.await.unwrap().unwrap_err();
    let told = world.until("a", |secret| secret.state() == State::Failed).await;
    assert_eq!(synced_reason(&told), "ValueNotStored");
    world.restart().await;

    let told = world
        .client
        .update_synced_secret(with_references("a", vec![created("k", "fresh", "x")]))
        .await
        .unwrap();
    assert_eq!(told.into_inner().state(), State::Synced);
    assert_eq!(world.edge("a").await.unwrap()["k"], "x");
}

/// A call that was cut off and whose value was found missing since.
async fn cut_off(world: &mut World) -> CreateSyncedSecretRequest {
    let request = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![created("k", "fresh", "x")])
    };
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretSet));
    world.client.create_synced_secret(request.clone()).await.unwrap_err();
    world.until("a", |secret| synced_reason(secret) == "ValueNotStored").await;
    world.vault.faults().clear();
    request
}

/// The same call again, which takes its time to store the value: nobody is told meanwhile that it failed.
async fn stores_again(world: &mut World, request: CreateSyncedSecretRequest) {
    world.vault.faults().add(FaultRule::new(delay(3)).on(Operation::SecretSet).times(1));
    let before = world.vault.requests().of(Operation::SecretSet);
    let mut client = world.client.clone();
    let again = tokio::spawn(async move { client.create_synced_secret(request).await });
    asked(world, Operation::SecretSet, before + 1).await;
    while !again.is_finished() {
        let told = world.get("a").await;
        assert!(told.state() != State::Failed, "{told:?}");
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(again.await.unwrap().unwrap().into_inner().state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_a_retry_stores_is_not_reported_as_missing() {
    needs!(the_double);
    let mut world = World::start().await;
    let request = cut_off(&mut world).await;
    stores_again(&mut world, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_call_stores_its_own_value_and_not_that_of_another_call() {
    needs!(the_double);
    let mut world = World::start().await;
    let first = cut_off(&mut world).await;
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretSet));
    let wanted = SyncedSecret {
        name: name("a"),
        references: vec![created("k", "fresh", "second")],
        ..Default::default()
    };
    let second = UpdateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..update(wanted, &["references"])
    };
    world.client.update_synced_secret(second.clone()).await.unwrap_err();
    world.vault.faults().clear();

    let told = world.client.create_synced_secret(first).await.unwrap().into_inner();
    assert_ne!(told.state(), State::Synced, "the value that is asked for by now is not stored: {told:?}");
    let stored = world.client.update_synced_secret(second).await.unwrap().into_inner();
    assert_eq!(stored.state(), State::Synced);
    assert_eq!(world.somebody.reads("fresh").await, "second");
    assert_eq!(
        versions(&mut world, "fresh").await,
        1,
        "the value that nobody asks for any more is not stored"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_reported_missing_is_no_longer_reported_after_its_call_is_retried() {
    needs!(the_double);
    let mut world = World::start().await;
    let request = cut_off(&mut world).await;
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretListVersions).times(1));
    let before = world.vault.requests().of(Operation::SecretListVersions);
    world.client.sync_synced_secret(SyncSyncedSecretRequest { wait: None, ..sync("a") }).await.unwrap();
    asked(&world, Operation::SecretListVersions, before + 1).await;
    stores_again(&mut world, request).await;
}

#[tokio::test]
async fn a_creation_with_an_uncertain_race_does_not_count_as_won() {
    let mut world = World::start().await;
    // The checks before, and the one after the write: that one fails.
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretSet).named("fresh").times(1));
    let before = world.vault.requests().of(Operation::SecretSet);
    let mut client = world.client.clone();
    let call = tokio::spawn(async move {
        client.create_synced_secret(create("a", vec![created("k", "fresh", "ours")])).await
    });
    asked(&world, Operation::SecretSet, before + 1).await;
    world.somebody.sets("fresh", "theirs").await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretListVersions));
    let answer = call.await.unwrap().unwrap().into_inner();
    assert_ne!(answer.state(), State::Synced, "nobody knows who was first: {answer:?}");
    world.vault.faults().clear();
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    let told = world.until("a", |secret| synced_reason(secret) == "ValueNotStored").await;
    assert_eq!(told.state(), State::Failed);
    assert_eq!(world.somebody.reads("fresh").await, "theirs", "theirs is the latest again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_finds_a_vault_secret_with_an_undecided_race() {
    let mut world = World::start().await;
    world.vault.faults().add(FaultRule::new(delay(1)).on(Operation::SecretSet).named("fresh").times(1));
    let before = world.vault.requests().of(Operation::SecretSet);
    let request = CreateVaultSecretRequest {
        vault_secret_id: "fresh".to_owned(),
        secret: Some(new("x")),
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let (mut client, first) = (world.client.clone(), request.clone());
    let call = tokio::spawn(async move { client.create_vault_secret(first).await });
    asked(&world, Operation::SecretSet, before + 1).await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretListVersions));
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "CREATION_UNVERIFIED", "{refusal:?}");

    world.vault.faults().clear();
    world.client.create_vault_secret(request).await.unwrap();
    assert_eq!(versions(&mut world, "fresh").await, 1, "it was stored the first time");
}
