//! Rotation: references that follow the latest version follow it, at the lower of two costs.

use std::time::Duration;

use key_vault_double::{Fault, FaultRule, OnOperation, Operation, VaultFault};
use secret_service::proto::{
    ListVaultSecretVersionsRequest, NewVaultSecret, SecretReference, SyncedSecret, synced_secret::State,
};

use crate::support::{Options, World, requests::*};

fn often() -> Options {
    Options { interval: Duration::from_millis(300), ..Options::default() }
}

fn unavailable() -> Fault {
    Fault::status(503, "Unavailable")
}

#[tokio::test]
async fn a_version_added_through_the_service_reaches_all_followers() {
    let mut world = World::start().await;
    world.seed("shared", "old").await;
    for id in ["a", "b"] {
        world.create(id, vec![existing("k", "shared")]).await;
    }
    world.client.add_vault_secret_version(add_version("shared", "new")).await.unwrap();
    for id in ["a", "b"] {
        let told = world.client.sync_synced_secret(sync(id)).await.unwrap().into_inner();
        assert_eq!(told.state(), State::Synced);
        assert_eq!(world.edge(id).await.unwrap()["k"], "new");
    }
}

#[tokio::test]
async fn a_version_added_by_another_client_is_found_by_the_rotation_check() {
    let mut world = World::start_with(often()).await;
    world.seed("theirs", "old").await;
    let made = world.create("a", vec![existing("k", "theirs")]).await;

    world.somebody.sets("theirs", "new").await;

    let before = made.references[0].synced_version.clone();
    let secret = world.until("a", |secret| secret.references[0].synced_version != before).await;
    assert_eq!(secret.state(), State::Synced);
    assert_eq!(secret.generation, 1, "rotation changes nothing of what is asked for");
    assert_eq!(secret.etag, made.etag);
    assert_eq!(world.edge("a").await.unwrap()["k"], "new");
}

#[tokio::test]
async fn a_pinned_reference_keeps_its_version() {
    let mut world = World::start_with(often()).await;
    world.seed("a", "old").await;
    let first = world.create("follows", vec![existing("k", "a")]).await;
    let mut pinned = existing("k", "a");
    pinned.version = first.references[0].synced_version.clone();
    world.create("pinned", vec![pinned]).await;

    world.somebody.sets("a", "new").await;

    let before = first.references[0].synced_version.clone();
    world.until("follows", |secret| secret.references[0].synced_version != before).await;
    world.client.sync_synced_secret(sync("pinned")).await.unwrap();
    assert_eq!(world.edge("pinned").await.unwrap()["k"], "old");
}

#[tokio::test]
async fn a_check_without_changes_lists_and_reads_no_value() {
    let mut world = World::start_with(often()).await;
    for number in 0..30 {
        world.seed(&format!("s-{number}"), "v").await;
        world.create(&format!("x-{number}"), vec![existing("k", &format!("s-{number}"))]).await;
    }
    // A value that was read within the second of its last change may be read once more.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = world.vault.requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = world.vault.requests();
    let (values, lists) = (Operation::SecretGet, Operation::SecretList);
    assert_eq!(after.of(values), before.of(values), "no value is read where nothing changed");
    assert!(after.of(lists) > before.of(lists), "the list is looked at");
}

#[tokio::test]
async fn a_list_that_costs_more_than_single_requests_is_not_repeated() {
    let mut world = World::start().await;
    // Two pages.
    for number in 0..30 {
        world.seed(&format!("s-{number}"), "v").await;
    }
    world.create("a", vec![existing("k", "s-7")]).await;
    let before = world.vault.requests().of(Operation::SecretList);
    world.options.interval = Duration::from_millis(300);
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let lists = world.vault.requests().of(Operation::SecretList) - before;
    assert!(lists <= 1, "{lists} pages to compare one secret");

    world.somebody.sets("s-7", "new").await;
    let old = world.get("a").await.references[0].synced_version.clone();
    world.until("a", |secret| secret.references[0].synced_version != old).await;
}

#[tokio::test]
async fn without_list_rights_a_deleted_secret_is_reported_and_an_unreadable_one_is_not() {
    let mut world = World::start_with(often()).await.with_synced(&["a"], "value").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let faults = world.vault.faults();
    faults.add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretList));
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        faults.add(FaultRule::new(unavailable()).on(read));
    }
    let before = world.vault.requests();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = world.vault.requests();
    let asked = |operation| after.of(operation) > before.of(operation);
    assert!(asked(Operation::SecretGet) || asked(Operation::SecretListVersions), "it was asked for");
    assert_eq!(world.get("a").await.state(), State::Synced, "the edge holds what was last known");

    world.vault.faults().clear();
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretList));
    let old = world.get("a").await.references[0].synced_version.clone();
    world.somebody.sets("v", "new").await;
    world.until("a", |secret| secret.references[0].synced_version != old).await;
    world.somebody.deletes("v").await;
    let told = world.until("a", |secret| synced_reason(secret) == "VaultSecretDeleted").await;
    assert_eq!(told.state(), State::Degraded);
}

#[tokio::test]
async fn a_version_is_reported_as_expired_without_any_other_event() {
    let mut world = World::start_with(often()).await;
    let mut request = create("a", vec![created("k", "v", "value")]);
    let in_a_while = jiff::Timestamp::now().as_second() + 8;
    let create = request.synced_secret.as_mut().unwrap().references[0].create.as_mut().unwrap();
    create.expire_time = Some(prost_types::Timestamp { seconds: in_a_while, nanos: 0 });
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(expiring(&made), "ExpiresSoon", "{made:?}");
    let told = world.until("a", |secret| expiring(secret) == "Expired").await;
    assert_eq!((told.state(), told.generation), (State::Synced, made.generation));
}

/// Why its `Expiring` condition is as it is.
fn expiring(secret: &SyncedSecret) -> &str {
    let condition = condition_of(&secret.conditions, "Expiring");
    condition.map(|condition| condition.reason.as_str()).unwrap_or_default()
}

#[tokio::test]
async fn a_rotation_check_whose_list_fails_sends_no_other_requests() {
    let world = World::start_with(often()).await.with_synced(&["a"], "value").await;
    // A value that was read within the second of its last change may be read once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.vault.faults().add(FaultRule::new(unavailable()).on(Operation::SecretList));
    let before = world.vault.requests();
    tokio::time::sleep(Duration::from_secs(3)).await;
    let after = world.vault.requests();
    assert!(after.of(Operation::SecretList) > before.of(Operation::SecretList), "it was asked");
    for operation in [Operation::SecretGet, Operation::SecretListVersions] {
        assert_eq!(after.of(operation), before.of(operation), "{operation:?}");
    }
}

#[tokio::test]
async fn an_unreadable_reference_keeps_the_last_complete_set_at_the_edge() {
    let mut world = World::start().await;
    world.seed("user", "u1").await;
    world.seed("pass", "p1").await;
    let references = vec![existing("username", "user"), existing("password", "pass")];
    world.create("pair", references).await;

    // The vault tells which version came last to the second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets("user", "u2").await;
    world.somebody.sets("pass", "p2").await;
    world.somebody.enables("pass", false).await;
    let secret = world.client.sync_synced_secret(sync("pair")).await.unwrap().into_inner();

    assert_eq!(secret.state(), State::Degraded);
    assert_eq!(synced_reason(&secret), "VaultSecretDisabled");
    assert_eq!(secret.references[0].problem.as_ref().unwrap().reason, "HeldBack");
    assert_eq!(secret.references[1].problem.as_ref().unwrap().reason, "VaultSecretDisabled");
    let edge = world.edge("pair").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("u1", "p1"));

    world.somebody.enables("pass", true).await;
    let secret = world.client.sync_synced_secret(sync("pair")).await.unwrap().into_inner();
    assert_eq!(secret.state(), State::Synced);
    let edge = world.edge("pair").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("u2", "p2"));
}

#[tokio::test]
async fn a_version_that_is_not_yet_valid_is_synced_like_any_other() {
    let mut world = World::start().await;
    let tomorrow = prost_types::Timestamp { seconds: jiff::Timestamp::now().as_second() + 86_400, nanos: 0 };
    let value = NewVaultSecret { not_before_time: Some(tomorrow), ..new("early") };
    let reference = SecretReference { create: Some(value), ..existing("k", "later") };
    let made = world.create("a", vec![reference]).await;
    assert_eq!(made.state(), State::Synced);
    assert_eq!(world.edge("a").await.unwrap()["k"], "early");
    let versions = ListVaultSecretVersionsRequest { parent: vault_name("later"), ..Default::default() };
    let versions = world.client.list_vault_secret_versions(versions).await.unwrap().into_inner().versions;
    assert_eq!(versions[0].not_before_time, Some(tomorrow), "who asks the vault is told");
}
