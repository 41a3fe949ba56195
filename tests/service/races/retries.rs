//! Failed writes and calls that are sent again.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_right_takes_effect_without_another_call() {
    let Some(mut world) = world(direct()).await else { return };
    world.seed("v", "value").await;
    world.cluster().faults().add(status(403, "Forbidden").verb("patch").resource("secrets"));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.create_synced_secret(asked).await.unwrap();
    let told = world.until_state("a", State::Failed).await;
    assert_eq!(synced_reason(&told), "EdgeForbidden", "{told:?}");
    stays(2, "FAILED", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.is_ok_and(|now| now.get_ref().state() == State::Failed)
    })
    .await;

    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_of_a_century_blocks_no_other_work() {
    let Some(mut world) = world(direct()).await else { return };
    world.seed("v", "value").await;
    let busy = Fault::retry_after(429, "TooManyRequests", Duration::from_secs(u32::MAX.into()));
    world.cluster().faults().add(FaultRule::new(busy).verb("patch").resource("secrets").times(1));
    let asked = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    world.client.create_synced_secret(asked).await.unwrap();
    world.until_state("a", State::Failed).await;

    let other = world.client.create_synced_secret(of_v("b")).await.unwrap().into_inner();
    assert_eq!(other.state(), State::Synced, "{other:?}");
    let asked = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(asked.state(), State::Synced, "whoever asks is not made to wait: {asked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_after_it_took_effect_is_retried_with_back_off() {
    let Some(world) = world_with_one(secret_store()).await else { return };
    let writes = || world.cluster().requests().of("patch", "secretsyncs");
    let broken = status(500, "InternalError").verb("patch").resource("secretsyncs").after();
    world.cluster().faults().add(broken);
    let before = writes();
    world
        .client
        .clone()
        .update_synced_secret(UpdateSyncedSecretRequest { wait: None, ..with_description("a", "x") })
        .await
        .unwrap();

    // The pause before the next one is at least four seconds, whatever the events that the write itself makes.
    until_so("it was tried six times", async || writes() >= before + 6).await;
    let before = writes();
    sleep(Duration::from_secs(6)).await;
    let tried = writes() - before;
    assert!(tried <= 2, "{tried} attempts in 6 s, after it had failed six times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_revert_its_record_leaves_it_to_the_reconciler() {
    let Some(world) = world(direct()).await else { return };
    slow(&world, Operation::SecretSet, "fresh", Duration::from_secs(1));
    let mut first = world.client.clone();
    let call = tokio::spawn(async move {
        first.create_synced_secret(create("a", vec![created("k", "fresh", "x")])).await
    });
    until_asked(&world, Operation::SecretSet, 1).await;
    // The vault will refuse the value, and somebody else holds the database when the call wants to take its record back.
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let path = world.directory().join("secret-service.db");
    let mut other = SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "DATABASE_BUSY", "{refusal:?}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();

    until_so("somebody has looked at what was recorded", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.map_or(true, |now| now.get_ref().state() != State::Pending)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_an_update_that_failed_during_another_does_not_return_ok() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    let (call, again) = slow_update(&world);
    until_asked(&world, Operation::SecretSet, 1).await;
    world
        .client
        .update_synced_secret(UpdateSyncedSecretRequest { wait: None, ..with_description("a", "theirs") })
        .await
        .unwrap();
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "VAULT_SECRET_SOFT_DELETED", "{refusal:?}");

    let again = world.client.update_synced_secret(again).await;
    assert!(again.is_err(), "one request id, two answers: {again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_create_stores_nothing_for_a_key_that_now_belongs_to_another_call() {
    let options = Options { vault_timeout: Duration::from_secs(2), ..direct() };
    let Some(mut world) = world(options).await else { return };
    // Stored or not: the caller can't tell.
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretSet).named("first"));
    let asked = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![created("k", "first", "one")])
    };
    world.client.create_synced_secret(asked.clone()).await.unwrap_err();
    world.vault.faults().clear();
    slow(&world, Operation::SecretSet, "second", Duration::from_secs(1));
    let changed = with_references("a", vec![created("k", "second", "two")]);
    let mut other = world.client.clone();
    let call = tokio::spawn(async move { other.update_synced_secret(changed).await });
    until_asked(&world, Operation::SecretSet, 1).await;

    // Whatever it is answered.
    let _ = world.client.create_synced_secret(asked).await;
    let changed = call.await.unwrap().unwrap().into_inner();
    assert_eq!(changed.state(), State::Synced, "{changed:?}");
    assert!(holds(&world, "a", "k", "two").await, "SYNCED, and the edge lacks it");
    let first = GetVaultSecretRequest { name: vault_name("first") };
    let first = world.client.get_vault_secret(first).await;
    let refusal = first.expect_err("the vault holds a secret to which nothing refers");
    assert_eq!(refusal.code(), Code::NotFound, "{refusal:?}");
}
