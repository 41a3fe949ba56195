//! What was answered OK stands.

use super::*;

/// While a call stores the new vault secret `fresh`, for two seconds, another one does something; then the vault refuses the first.
async fn refused_beside<T>(
    world: &World,
    refused: impl Future<Output = Result<tonic::Response<SyncedSecret>, tonic::Status>> + Send + 'static,
    beside: impl Future<Output = T>,
) -> (tonic::Status, T) {
    let before = world.vault.requests().of(Operation::SecretSet);
    world.vault.faults().add(FaultRule::new(delay(2)).on(Operation::SecretSet).named("fresh").times(1));
    let call = tokio::spawn(refused);
    asked(world, Operation::SecretSet, before + 1).await;
    let answer = beside.await;
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    (call.await.unwrap().unwrap_err(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_reverts_nothing_acknowledged_to_another_caller() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let changed = with_references("a", vec![existing("k", "v"), created("new", "fresh", "x")]);
    let labelled = UpdateSyncedSecretRequest { wait: None, ..with_description("a", "theirs") };

    let (refusal, answer) = refused_beside(
        &world,
        async move { first.update_synced_secret(changed).await },
        second.update_synced_secret(labelled),
    )
    .await;

    assert_eq!(told(&refusal).reason, "VAULT_SECRET_SOFT_DELETED", "{refusal:?}");
    let answer = answer.unwrap().into_inner();
    let now = world.get("a").await;
    assert_eq!(now.description, "theirs", "an answered update is gone");
    assert_eq!((answer.generation, &answer.references.len()), (now.generation, &now.references.len()));
    let now = world.until("a", |secret| synced_reason(secret) == "ValueNotStored").await;
    assert_eq!(now.state(), State::Degraded);
    // The way out that the condition names.
    world.client.update_synced_secret(with_references("a", vec![existing("k", "v")])).await.unwrap();
    assert_eq!(world.get("a").await.state(), State::Synced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_create_reverts_nothing_acknowledged_to_another_caller() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    // It needs none of the value that the first call stores, and does not wait for it.
    let (refusal, answer) = refused_beside(
        &world,
        async move { first.create_synced_secret(create("a", vec![created("new", "fresh", "x")])).await },
        async move { second.update_synced_secret(with_references("a", vec![existing("k", "v")])).await },
    )
    .await;

    assert_eq!(told(&refusal).reason, "VAULT_SECRET_SOFT_DELETED", "{refusal:?}");
    let answer = answer.unwrap().into_inner();
    let now = world.until_state("a", State::Synced).await;
    assert_eq!((answer.uid, answer.generation), (now.uid, now.generation));
    assert_eq!(world.edge("a").await.unwrap(), BTreeMap::from([("k".to_owned(), "value".to_owned())]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_without_a_later_call_leaves_nothing() {
    let mut world = World::start().await.with_synced(&["b"], "value").await;
    let made = world.get("b").await;
    let mut first = world.client.clone();
    let request_id = Uuid::new_v4().to_string();
    let changed = UpdateSyncedSecretRequest {
        request_id: request_id.clone(),
        ..with_references("b", vec![existing("k", "v"), created("new", "fresh", "x")])
    };
    let again = changed.clone();
    let mut second = world.client.clone();
    let (refusal, seen) = refused_beside(
        &world,
        async move { first.update_synced_secret(changed).await },
        second.get_synced_secret(get("b")),
    )
    .await;
    assert_eq!(refusal.code(), Code::FailedPrecondition, "{refusal:?}");
    let now = world.until_state("b", State::Synced).await;
    assert_eq!(now.references.len(), 1);
    let seen = seen.unwrap().into_inner();
    assert!(seen.generation > made.generation && seen.references.len() == 2, "{seen:?}");
    assert!(now.generation > seen.generation, "a generation is never used twice");
    let refusal = world.client.update_synced_secret(again).await.unwrap_err();
    assert_eq!(
        refusal.code(),
        Code::FailedPrecondition,
        "the request is not taken for answered: {refusal:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_one_synced_secret_wait_for_each_other_while_a_value_is_stored() {
    let world = World::start().await.with_synced(&["a"], "value").await;
    let before = world.vault.requests().of(Operation::SecretSet);
    world.vault.faults().add(FaultRule::new(delay(2)).on(Operation::SecretSet));
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let changed = with_references("a", vec![existing("k", "v"), created("new", "fresh", "x")]);
    let storing = tokio::spawn(async move { first.update_synced_secret(changed).await });
    asked(&world, Operation::SecretSet, before + 1).await;

    let described = second.update_synced_secret(with_description("a", "pump")).await.unwrap().into_inner();
    assert_eq!((described.state(), synced_reason(&described)), (State::Synced, "Synced"), "{described:?}");
    let stored = storing.await.unwrap().unwrap().into_inner();
    assert_eq!(stored.state(), State::Synced, "it waited: {stored:?}");
    let edge = world.edge("a").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["new"].as_str()), ("value", "x"));
}

/// What an update of `a` answers that takes a while to read the vault secret `slow`, and a call that begins meanwhile.
async fn beside_a_slow_update<T>(world: &World, call: impl Future<Output = T>) -> (Answer<SyncedSecret>, T) {
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        world.vault.faults().add(FaultRule::new(delay(1)).on(read).named("slow"));
    }
    let mut first = world.client.clone();
    tokio::join!(first.update_synced_secret(with_references("a", vec![existing("k", "slow")])), async {
        sleep(Duration::from_millis(300)).await;
        call.await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_without_an_etag_applies_to_the_latest_state() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.seed("slow", "value").await;
    let mut second = world.client.clone();
    let (slow, fast) =
        beside_a_slow_update(&world, second.update_synced_secret(with_description("a", "pump"))).await;
    fast.unwrap();
    let told = slow.unwrap().into_inner();
    assert_eq!(told.description, "pump");
    assert_eq!(told.references[0].vault_secret, vault_name("slow"));

    let seen = world.get("a").await;
    world.client.update_synced_secret(with_description("a", "valve")).await.unwrap();
    let stale = SyncedSecret { description: "mine".to_owned(), ..seen };
    let refusal = world.client.update_synced_secret(update(stale, &["description"])).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Aborted, "who names an etag means it: {refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_update_does_not_undo_an_acknowledged_deletion() {
    needs!(the_double);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.seed("slow", "value").await;
    let made = world.get("a").await;
    world.cluster().faults().add(FaultRule::new(unavailable()).verb("delete").resource(written()));
    let mut second = world.client.clone();
    let request = DeleteSyncedSecretRequest { wait: None, ..delete("a") };
    let (slow, deletion) = beside_a_slow_update(&world, second.delete_synced_secret(request)).await;
    let deletion = deletion.unwrap().into_inner();
    assert_eq!(deletion.state(), State::Deleting);
    assert!(deletion.generation > made.generation, "who read it before has read something older");
    assert_eq!(told(&slow.unwrap_err()).reason, "SYNCED_SECRET_DELETING");
    assert_eq!(world.get("a").await.state(), State::Deleting);
    let taken = world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await;
    assert_eq!(told(&taken.unwrap_err()).reason, "SYNCED_SECRET_DELETING", "its name is free soon");
    let adoption = AdoptSyncedSecretRequest { name: name("a"), ..Default::default() };
    let adopted = world.client.adopt_synced_secret(adoption).await;
    assert_eq!(told(&adopted.unwrap_err()).reason, "SYNCED_SECRET_DELETING");

    world.cluster().faults().clear();
    world.until_gone("a").await;
    assert!(world.edge("a").await.is_none());
}
