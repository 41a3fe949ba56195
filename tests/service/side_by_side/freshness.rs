//! A state is reported only after somebody has looked.

use super::*;

#[tokio::test]
async fn sync_now_does_not_report_synced_while_the_api_server_is_unavailable() {
    needs!(the_double);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let before = world.get("a").await.sync_time;
    world.cluster().faults().add(FaultRule::new(unavailable()));

    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeUnreachable"), "{told:?}");
    assert_eq!(told.sync_time, before, "nobody has looked since");
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn sync_now_without_a_wait_does_not_return_an_older_observation() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let asked = secret_service::proto::SyncSyncedSecretRequest { wait: None, ..sync("a") };
    let told = world.client.sync_synced_secret(asked).await.unwrap().into_inner();
    assert_ne!(told.state(), State::Synced, "nobody can have looked yet");
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn sync_now_returns_after_its_read_even_if_nothing_changed() {
    needs!(the_direct_engine);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.somebody.enables("v", false).await;
    for _ in 0..3 {
        let begun = Instant::now();
        let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
        assert_eq!(synced_reason(&told), "VaultSecretDisabled");
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited for a change: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn sync_now_detects_a_missing_secret_although_the_watch_is_silent() {
    needs!(the_double);
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secrets"));
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();

    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert_eq!(world.edge("a").await.unwrap()["k"], "value", "SYNCED, and nothing is there");
}

#[tokio::test]
async fn references_follow_the_latest_version_even_if_the_vault_cannot_be_listed() {
    let world = World::start_with(Options { interval: Duration::from_secs(1), ..Options::default() })
        .await
        .with_synced(&["a"], "one")
        .await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretList));
    sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets("v", "two").await;
    let begun = Instant::now();
    while world.edge("a").await.unwrap()["k"] != "two" {
        assert!(begun.elapsed() < PATIENCE, "rotation has ended");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_stale_comparison_with_the_vault_is_reported_with_its_age() {
    let mut world = World::start_with(Options { interval: Duration::from_secs(1), ..Options::default() })
        .await
        .with_synced(&["a"], "one")
        .await;
    let compared = |secret: &SyncedSecret| {
        let held = condition_of(&secret.conditions, "Compared");
        held.map(|condition| condition.reason.clone())
    };
    assert_eq!(compared(&world.get("a").await), None, "nothing to say while all is well");
    let gone = Fault::status(503, "Unavailable");
    world.vault.faults().add(FaultRule::new(gone));

    let old = world.until("a", |secret| compared(secret).as_deref() == Some("NotCompared")).await;
    let condition = condition_of(&old.conditions, "Compared").unwrap();
    assert!(condition.message.starts_with("Last compared with the vault at 20"), "{}", condition.message);
    let vault = world.client.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    let condition = condition_of(&vault.conditions, "Compared").unwrap();
    assert_eq!(condition.reason, "NotCompared", "{condition:?}");
    world.vault.faults().clear();
    world.until("a", |secret| compared(secret).as_deref() == Some("Compared")).await;
}

#[tokio::test]
async fn a_reference_blocked_by_another_one_reports_it() {
    let mut world = World::start().await;
    world.seed("user", "u1").await;
    world.seed("pass", "p1").await;
    let references = vec![existing("username", "user"), existing("password", "pass")];
    world.create("pair", references).await;
    sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets("user", "u2").await;
    world.somebody.enables("pass", false).await;
    let told = world.client.sync_synced_secret(sync("pair")).await.unwrap().into_inner();
    let reasons: Vec<_> = told
        .references
        .iter()
        .map(|held| held.problem.as_ref().map(|problem| problem.reason.as_str()))
        .collect();
    assert_eq!(reasons, [Some("HeldBack"), Some("VaultSecretDisabled")]);
    assert_eq!(synced_reason(&told), "VaultSecretDisabled");
}
