//! A version of a vault secret that is not valid yet.

use std::time::Duration;

use jiff::Timestamp;
use secret_service::{
    model::NotBefore,
    proto::{Condition, SyncedSecret, condition::Status, synced_secret::State},
};

use crate::support::{Options, World, kubectl, requests::*, until_so};

fn holds() -> Options {
    Options { not_before: NotBefore::Hold, ..Options::default() }
}

fn often(options: Options) -> Options {
    Options { interval: Duration::from_millis(500), ..options }
}

fn in_seconds(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds).unwrap()
}

fn not_yet_valid(secret: &SyncedSecret) -> Option<&Condition> {
    condition_of(&secret.conditions, "NotYetValid")
}

fn problem(secret: &SyncedSecret, place: usize) -> (&str, &str) {
    let problem = secret.references[place].problem.as_ref().unwrap_or_else(|| panic!("{secret:#?}"));
    (&problem.reason, &problem.message)
}

async fn pair(options: Options) -> World {
    let mut world = World::start_with(options).await;
    world.seed("user", "u1").await;
    world.seed("pass", "p1").await;
    let made = world.create("a", vec![existing("username", "user"), existing("password", "pass")]).await;
    assert_eq!(made.state(), State::Synced, "{made:#?}");
    assert!(not_yet_valid(&made).is_none(), "{made:#?}");
    // Times of the vault have whole seconds.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world
}

async fn edge(world: &World) -> (String, String) {
    let data = world.edge("a").await.unwrap();
    (data["username"].clone(), data["password"].clone())
}

fn both(username: &str, password: &str) -> (String, String) {
    (username.to_owned(), password.to_owned())
}

/// The synced secret once it says that a version is early, which is synced all the same.
async fn told_early(world: &mut World) -> SyncedSecret {
    let told = world.until("a", |secret| not_yet_valid(secret).is_some()).await;
    let condition = not_yet_valid(&told).unwrap();
    assert_eq!(
        (told.state(), condition.status(), condition.reason.as_str()),
        (State::Synced, Status::True, "NotYetValid")
    );
    told
}

#[tokio::test]
async fn with_warn_it_is_synced_and_a_condition_says_it_until_it_is_valid() {
    let mut world = pair(often(Options::default())).await;
    let at = in_seconds(6);
    world.somebody.sets_from("pass", "p2", at).await;
    let told = told_early(&mut world).await;
    let condition = not_yet_valid(&told).unwrap();
    for word in ["password", "\"pass\"", &at.to_string(), "sync.not_before"] {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
    assert!(told.references[1].problem.is_none(), "{told:#?}");
    assert_eq!(edge(&world).await, both("u1", "p2"));
    let over = world.until("a", |secret| not_yet_valid(secret).unwrap().reason == "Valid").await;
    assert_eq!(not_yet_valid(&over).unwrap().status(), Status::False);
    assert!(Timestamp::now() >= at, "{over:#?}");
}

#[tokio::test]
async fn with_hold_the_edge_keeps_the_last_set_and_gets_the_new_one_at_its_time_without_a_change_in_the_vault()
 {
    needs!(the_direct_engine);
    let mut world = pair(holds()).await;
    let at = in_seconds(7);
    world.somebody.sets("user", "u2").await;
    world.somebody.sets_from("pass", "p2", at).await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();

    assert_eq!(told.state(), State::Synced, "{told:#?}");
    let condition = not_yet_valid(&told).unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!((condition.status(), condition.reason.as_str()), (Status::True, "NotYetValid"));
    let (reason, message) = problem(&told, 1);
    assert_eq!(reason, "NotYetValid");
    assert!(message.contains(&at.to_string()) && message.contains("\"pass\""), "{message}");
    let (reason, message) = problem(&told, 0);
    assert_eq!(reason, "HeldBack");
    assert!(message.contains("\"password\"") && message.contains("NotYetValid"), "{message}");
    assert_eq!(edge(&world).await, both("u1", "p1"), "never a new name with an old password");
    let synced = condition_of(&told.conditions, "Synced").unwrap();
    assert!(synced.message.contains("held back until"), "{synced:?}");

    let last = world.until("a", |secret| secret.references.iter().all(|held| held.problem.is_none())).await;
    assert!(Timestamp::now() >= at, "{last:#?}");
    assert_eq!((last.state(), not_yet_valid(&last).unwrap().reason.as_str()), (State::Synced, "Valid"));
    until_so("both are new", async || edge(&world).await == both("u2", "p2")).await;
}

#[tokio::test]
async fn what_was_never_at_the_edge_is_held_back_with_its_time_and_synced_then() {
    needs!(the_direct_engine);
    let mut world = World::start_with(holds()).await;
    let at = in_seconds(5);
    world.somebody.sets_from("early", "value", at).await;
    let told = world
        .client
        .create_synced_secret(create("a", vec![existing("k", "early")]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Failed, "NotYetValid"), "{told:#?}");
    assert!(problem(&told, 0).1.contains(&at.to_string()), "{told:#?}");
    assert!(world.edge("a").await.is_none());
    let made = world.until_state("a", State::Synced).await;
    assert!(Timestamp::now() >= at, "{made:#?}");
    assert_eq!(world.edge("a").await.unwrap()["k"], "value");
}

#[tokio::test]
async fn what_is_held_back_stays_so_over_a_restart_and_is_repaired_with_what_the_edge_had() {
    needs!(the_direct_engine);
    let mut world = pair(holds()).await;
    let at = in_seconds(12);
    world.somebody.sets_from("pass", "p2", at).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.restart().await;
    assert_eq!(problem(&world.get("a").await, 1).0, "NotYetValid");

    let edit = serde_json::json!({ "stringData": { "password": "edited" } });
    world.secrets().patch("a", &kubectl(), &kube::api::Patch::Merge(edit)).await.unwrap();
    until_so("it is repaired", async || edge(&world).await == both("u1", "p1")).await;
    assert!(Timestamp::now() < at, "the machine is too slow for this test");

    until_so("its time has come", async || edge(&world).await == both("u1", "p2")).await;
    assert!(Timestamp::now() >= at);
    world.until("a", |secret| secret.references[1].problem.is_none()).await;
}

#[tokio::test]
async fn a_process_that_starts_meanwhile_wakes_at_the_time_without_any_other_event() {
    needs!(the_direct_engine);
    let mut world = pair(holds()).await;
    let at = in_seconds(8);
    world.somebody.sets_from("pass", "p2", at).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(edge(&world).await, both("u1", "p1"));
    world.restart().await;
    until_so("its time has come", async || edge(&world).await == both("u1", "p2")).await;
    assert!(Timestamp::now() >= at);
}

#[tokio::test]
async fn a_version_without_a_date_or_another_policy_ends_the_hold() {
    needs!(the_direct_engine);
    let mut world = pair(holds()).await;
    world.somebody.sets_from("pass", "p2", in_seconds(3_600)).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(edge(&world).await, both("u1", "p1"));
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets("pass", "p3").await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert!(told.references[1].problem.is_none(), "{told:#?}");
    assert_eq!(edge(&world).await, both("u1", "p3"));

    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets_from("pass", "p4", in_seconds(3_600)).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(edge(&world).await, both("u1", "p3"));
    world.stop_service().await;
    world.options.not_before = NotBefore::Warn;
    world.start_service().await;
    until_so("it is synced", async || edge(&world).await == both("u1", "p4")).await;
    let told = world.until("a", |secret| secret.references[1].problem.is_none()).await;
    assert_eq!(not_yet_valid(&told).unwrap().reason, "NotYetValid");
}

/// The extension reads the newest version by itself, so the service must not say that it holds one back.
#[tokio::test]
async fn in_the_secret_store_engine_hold_acts_as_warn_and_says_so_with_what_keeps_a_version_at_the_edge() {
    needs!(the_secret_store_engine);
    let mut world = pair(often(holds())).await;
    let at = in_seconds(3_600);
    world.somebody.sets_from("pass", "p2", at).await;
    let told = told_early(&mut world).await;
    let condition = not_yet_valid(&told).unwrap();
    let words = [
        "Key password",
        "\"pass\"",
        &at.to_string(),
        "as soon as it reads it",
        "sync.not_before = hold",
        "UpdateSyncedSecret",
        "sync.engine",
    ];
    for word in words {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
    let synced = condition_of(&told.conditions, "Synced").unwrap();
    assert!(!synced.message.contains("held back"), "{synced:?}");
    assert!(told.references.iter().all(|reference| reference.problem.is_none()), "{told:#?}");
    until_so("the extension took it", async || edge(&world).await == both("u1", "p2")).await;

    // What was never at the edge gets there, too.
    world.somebody.sets_from("early", "value", at).await;
    let made = world.create("b", vec![existing("k", "early")]).await;
    assert_eq!(made.state(), State::Synced, "{made:#?}");
    assert_eq!(world.edge("b").await.unwrap()["k"], "value");
}

/// The pair that the direct engine's hold would have kept is not pinned by the engine that takes over.
#[tokio::test]
async fn what_the_direct_engine_held_back_is_synced_once_the_secret_store_engine_takes_over() {
    needs!(the_direct_engine);
    let mut world = pair(holds()).await;
    world.somebody.sets_from("pass", "p2", in_seconds(3_600)).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(edge(&world).await, both("u1", "p1"));
    world.switch_engine(secret_service::model::SyncEngine::SecretStore).await;
    until_so("the extension took it", async || edge(&world).await == both("u1", "p2")).await;
    let told = world
        .until("a", |secret| not_yet_valid(secret).is_some_and(|told| told.message.contains("extension")))
        .await;
    assert!(told.references.iter().all(|reference| reference.problem.is_none()), "{told:#?}");
}
