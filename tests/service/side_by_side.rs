//! Calls beside calls, and calls beside the reconciler and others at the edge and in the vault: what one was answered stands,
//! and no state is told that nobody looked at.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use key_vault_double::{Action, Operation, Rule};
use kube::{
    ResourceExt,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use kubernetes_double::{Fault, FaultRule};
use secret_service::{
    edge::{FIELD_MANAGER, UID_LABEL},
    proto::{
        AddVaultSecretVersionRequest, AdoptSyncedSecretRequest, CreateSyncedSecretRequest,
        CreateVaultSecretRequest, DeleteSyncedSecretRequest, GetVaultRequest, ListAuditEventsRequest,
        ListVaultSecretVersionsRequest, SyncSyncedSecretRequest, SyncedSecret, UpdateSyncedSecretRequest,
        synced_secret::State,
    },
};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::Code;
use uuid::Uuid;

use crate::support::{
    Options, PATIENCE, World, needs_the_direct_engine, needs_the_double, requests::*, written,
};

fn delay(seconds: u64) -> Action {
    Action::Delay { duration: Duration::from_secs(seconds) }
}

fn unavailable() -> Fault {
    Fault::Status { code: 503, reason: "ServiceUnavailable".to_owned(), retry_after: None }
}

async fn merge(world: &World, id: &str, patch: serde_json::Value) {
    world.secrets().patch(id, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

/// Waits until the vault was asked so often.
async fn asked(world: &World, operation: Operation, times: u64) {
    let begun = Instant::now();
    while world.vault.requests().of(operation) < times {
        assert!(begun.elapsed() < PATIENCE, "the vault is never asked");
        sleep(Duration::from_millis(5)).await;
    }
}

async fn versions(world: &mut World, vault_secret: &str) -> usize {
    let request = ListVaultSecretVersionsRequest { parent: vault_name(vault_secret), ..Default::default() };
    world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions.len()
}

fn with_description(id: &str, description: &str) -> UpdateSyncedSecretRequest {
    let wanted =
        SyncedSecret { name: name(id), description: description.to_owned(), ..SyncedSecret::default() };
    update(wanted, &["description"])
}

fn with_references(
    id: &str,
    references: Vec<secret_service::proto::SecretReference>,
) -> UpdateSyncedSecretRequest {
    let wanted = SyncedSecret { name: name(id), references, ..SyncedSecret::default() };
    update(wanted, &["references"])
}

async fn actions(world: &mut World, id: &str) -> Vec<String> {
    let request = ListAuditEventsRequest { resource: name(id), page_size: 500, ..Default::default() };
    let events = world.client.list_audit_events(request).await.unwrap().into_inner().audit_events;
    events.into_iter().map(|event| event.action).collect()
}

// === one worker ===

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_was_answered_is_not_undone_by_a_look_that_was_slow() {
    if !needs_the_double("a_deletion_that_was_answered…")
        || !needs_the_direct_engine("a_deletion_that_was_answered…")
    {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.seed("slow", "value").await;
    for other in 0..16 {
        world
            .client
            .create_synced_secret(create(&format!("other-{other}"), vec![existing("k", "v")]))
            .await
            .unwrap();
    }
    world.client.create_synced_secret(create("a", vec![existing("k", "slow")])).await.unwrap();
    // Enough slow work that a key waits in one line while it is asked for in another.
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretGet).named("v"));
    world.vault.faults().add(Rule::new(delay(4)).on(Operation::SecretGet).named("slow"));
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
    if !needs_the_direct_engine("a_write_that_lands_after_its_deletion…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let made = world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let uid = made.into_inner().uid;
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
async fn a_vault_that_hangs_holds_neither_deletions_nor_those_who_need_none_of_it() {
    if !needs_the_direct_engine("a_vault_that_hangs…") {
        return;
    }
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(60), ..Options::default() }).await;
    world.seed("v", "value").await;
    for id in 0..12 {
        world
            .client
            .create_synced_secret(create(&format!("s-{id}"), vec![existing("k", "v")]))
            .await
            .unwrap();
    }
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretGet));
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

// === what was answered stands ===

/// While a call stores the new vault secret `fresh`, for two seconds, another one does something; then the vault refuses the first.
async fn refused_beside<T>(
    world: &World,
    refused: impl Future<Output = Result<tonic::Response<SyncedSecret>, tonic::Status>> + Send + 'static,
    beside: impl Future<Output = T>,
) -> (tonic::Status, T) {
    let before = world.vault.requests().of(Operation::SecretSet);
    world.vault.faults().add(Rule::new(delay(2)).on(Operation::SecretSet).named("fresh").times(1));
    let call = tokio::spawn(refused);
    asked(world, Operation::SecretSet, before + 1).await;
    let answer = beside.await;
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    (call.await.unwrap().unwrap_err(), answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_update_takes_nothing_back_of_what_another_was_answered() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
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
async fn a_refused_create_takes_nothing_back_of_what_another_was_answered() {
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
async fn a_refused_call_that_nobody_came_after_leaves_nothing() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let made =
        world.client.create_synced_secret(create("b", vec![existing("k", "v")])).await.unwrap().into_inner();
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
async fn who_changes_the_description_while_a_value_is_being_stored_waits_for_it_and_so_does_the_other() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let before = world.vault.requests().of(Operation::SecretSet);
    world.vault.faults().add(Rule::new(delay(2)).on(Operation::SecretSet));
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

#[tokio::test(flavor = "multi_thread")]
async fn an_update_without_an_etag_is_made_on_whatever_another_one_has_made_of_it() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.seed("slow", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        world.vault.faults().add(Rule::new(delay(1)).on(read).named("slow"));
    }
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (slow, fast) =
        tokio::join!(first.update_synced_secret(with_references("a", vec![existing("k", "slow")])), async {
            sleep(Duration::from_millis(300)).await;
            second.update_synced_secret(with_description("a", "pump")).await
        });
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
async fn a_deletion_that_was_answered_is_not_undone_by_an_update_that_was_still_checking() {
    if !needs_the_double("a_deletion_that_was_answered…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.seed("slow", "value").await;
    let made =
        world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap().into_inner();
    world.cluster().faults().add(FaultRule::new(unavailable()).verb("delete").resource(written()));
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        world.vault.faults().add(Rule::new(delay(1)).on(read).named("slow"));
    }
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (slow, deletion) =
        tokio::join!(first.update_synced_secret(with_references("a", vec![existing("k", "slow")])), async {
            sleep(Duration::from_millis(300)).await;
            second.delete_synced_secret(DeleteSyncedSecretRequest { wait: None, ..delete("a") }).await
        });
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

// === one request id, one call ===

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_while_the_first_is_still_checking_gets_the_same_answer() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretGet));
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretGetDeleted));
    let request_id = || Uuid::new_v4().to_string();

    let wanted = CreateSyncedSecretRequest {
        request_id: request_id(),
        ..create("a", vec![existing("k", "v"), created("new", "fresh", "x")])
    };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (one, other) = tokio::join!(first.create_synced_secret(wanted.clone()), async {
        sleep(Duration::from_millis(200)).await;
        second.create_synced_secret(wanted.clone()).await
    });
    let (one, other) = (one.unwrap().into_inner(), other.unwrap().into_inner());
    assert_eq!((one.uid, one.generation), (other.uid, other.generation));
    assert_eq!(versions(&mut world, "fresh").await, 1);

    let changed = UpdateSyncedSecretRequest {
        request_id: request_id(),
        ..with_references("a", vec![existing("k", "v"), created("newer", "fresher", "y")])
    };
    let (one, other) = tokio::join!(first.update_synced_secret(changed.clone()), async {
        sleep(Duration::from_millis(200)).await;
        second.update_synced_secret(changed.clone()).await
    });
    assert_eq!(one.unwrap().into_inner().generation, other.unwrap().into_inner().generation);
    assert_eq!(versions(&mut world, "fresher").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_is_added_once_by_two_overlapping_calls_of_one_request_id() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretSet));
    let added =
        AddVaultSecretVersionRequest { request_id: Uuid::new_v4().to_string(), ..add_version("v", "newer") };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (one, other) =
        tokio::join!(first.add_vault_secret_version(added.clone()), second.add_vault_secret_version(added));
    assert_eq!(one.unwrap().into_inner().name, other.unwrap().into_inner().name);
    assert_eq!(versions(&mut world, "v").await, 2);
}

// === what is told was looked at ===

#[tokio::test]
async fn sync_now_does_not_say_synced_while_the_api_server_answers_nobody() {
    if !needs_the_double("sync_now_does_not_say_synced…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let made = world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let before = made.into_inner().sync_time;
    world.cluster().faults().add(FaultRule::new(unavailable()));

    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeUnreachable"), "{told:?}");
    assert_eq!(told.sync_time, before, "nobody has looked since");
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn sync_now_that_is_not_waited_for_does_not_answer_with_what_was_seen_before() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let asked = secret_service::proto::SyncSyncedSecretRequest { wait: None, ..sync("a") };
    let told = world.client.sync_synced_secret(asked).await.unwrap().into_inner();
    assert_ne!(told.state(), State::Synced, "nobody can have looked yet");
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn sync_now_answers_as_soon_as_it_has_looked_although_nothing_has_changed() {
    if !needs_the_direct_engine("sync_now_answers_as_soon…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    world.somebody.enables("v", false).await;
    for _ in 0..3 {
        let begun = Instant::now();
        let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
        assert_eq!(synced_reason(&told), "VaultSecretDisabled");
        assert!(begun.elapsed() < Duration::from_secs(5), "it waited for a change: {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn sync_now_finds_that_the_secret_is_gone_although_the_watch_is_silent() {
    if !needs_the_double("sync_now_finds…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    world.cluster().faults().add(FaultRule::new(Fault::WatchSilent).resource("secrets"));
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();

    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert_eq!(world.edge("a").await.unwrap()["k"], "value", "SYNCED, and nothing is there");
}

#[tokio::test]
async fn references_follow_the_latest_also_where_the_vault_can_not_be_listed() {
    let mut world =
        World::start_with(Options { interval: Duration::from_secs(1), ..Options::default() }).await;
    world.seed("v", "one").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    world.vault.faults().add(Rule::new(Action::ForbiddenByRbac).on(Operation::SecretList));
    sleep(Duration::from_millis(1_100)).await;
    world.somebody.sets("v", "two").await;
    let begun = Instant::now();
    while world.edge("a").await.unwrap()["k"] != "two" {
        assert!(begun.elapsed() < PATIENCE, "rotation has ended");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn knowledge_of_the_vault_that_is_old_says_so_and_how_old_it_is() {
    let mut world =
        World::start_with(Options { interval: Duration::from_secs(1), ..Options::default() }).await;
    world.seed("v", "one").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let compared = |secret: &SyncedSecret| {
        let held = secret.conditions.iter().find(|condition| condition.r#type == "Compared");
        held.map(|condition| condition.reason.clone())
    };
    assert_eq!(compared(&world.get("a").await), None, "nothing to say while all is well");
    let gone = Action::Status { status: 503, code: "Unavailable".to_owned(), inner: None, retry_after: None };
    world.vault.faults().add(Rule::new(gone));

    let old = world.until("a", |secret| compared(secret).as_deref() == Some("NotCompared")).await;
    let condition = old.conditions.iter().find(|condition| condition.r#type == "Compared").unwrap();
    assert!(condition.message.starts_with("Last compared with the vault at 20"), "{}", condition.message);
    let vault = world.client.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    let condition = vault.conditions.iter().find(|condition| condition.r#type == "Compared").unwrap();
    assert_eq!(condition.reason, "NotCompared", "{condition:?}");
    world.vault.faults().clear();
    world.until("a", |secret| compared(secret).as_deref() == Some("Compared")).await;
}

#[tokio::test]
async fn a_reference_that_a_sibling_holds_back_says_so() {
    let mut world = World::start().await;
    world.seed("user", "u1").await;
    world.seed("pass", "p1").await;
    let references = vec![existing("username", "user"), existing("password", "pass")];
    world.client.create_synced_secret(create("pair", references)).await.unwrap();
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

// === others ===

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_puts_its_own_back_is_named_and_answered_at_a_growing_pause() {
    if !needs_the_double("a_controller_that_puts_its_own_back…") || !needs_the_direct_engine("a_controller…")
    {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let secrets = world.secrets();
    let controller = tokio::spawn(async move {
        loop {
            let current = secrets.get("a").await.unwrap();
            let held = current.data.as_ref().and_then(|data| data.get("k").cloned());
            if held.is_some_and(|held| held.0 != b"theirs") {
                let patch = json!({ "stringData": { "k": "theirs" } });
                let as_them =
                    PatchParams { field_manager: Some("argocd-controller".into()), ..Default::default() };
                secrets.patch("a", &as_them, &Patch::Merge(patch)).await.unwrap();
            }
            sleep(Duration::from_millis(20)).await;
        }
    });

    let told = world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    assert_eq!(told.state(), State::Degraded);
    assert!(format!("{told:?}").contains("argocd-controller"), "{told:?}");
    // A person who asks is not made to wait for the pause.
    let begun = Instant::now();
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced, "{told:?}");
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    world.until("a", |secret| synced_reason(secret) == "EdgeContested").await;
    let before =
        (world.cluster().requests().of("patch", "secrets"), world.vault.requests().of(Operation::SecretGet));
    sleep(Duration::from_secs(5)).await;
    let after =
        (world.cluster().requests().of("patch", "secrets"), world.vault.requests().of(Operation::SecretGet));
    assert!(after.0 - before.0 <= 3 && after.1 - before.1 <= 1, "{before:?} {after:?}");
    let actions = actions(&mut world, "a").await;
    assert!(actions.len() <= 8, "{actions:?}");
    // The service goes on, more rarely.
    world.until("a", |secret| format!("{:?}", secret.conditions).contains("4 repairs so far")).await;
    controller.abort();

    // Nor does a deletion wait for the pause.
    let begun = Instant::now();
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_touch_that_leaves_the_content_of_a_secret_is_no_drift() {
    if !needs_the_double("a_touch_that_leaves…") || !needs_the_direct_engine("a_touch_that_leaves…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let (writes, looks) =
        (world.cluster().requests().of("patch", "secrets"), world.cluster().requests().of("get", "secrets"));
    let touch = json!({ "metadata": { "annotations": { "touched": "yes" } } });
    merge(&world, "a", touch).await;
    let begun = Instant::now();
    while world.cluster().requests().of("get", "secrets") == looks {
        assert!(begun.elapsed() < PATIENCE, "nobody looks");
        sleep(Duration::from_millis(20)).await;
    }
    sleep(Duration::from_secs(1)).await;
    let written = world.cluster().requests().of("patch", "secrets") - writes;
    assert_eq!(written, 1, "the touch alone");
    assert_eq!(world.get("a").await.state(), State::Synced);
    assert!(!actions(&mut world, "a").await.contains(&"DriftRepaired".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_somebody_makes_under_our_first_write_stays_theirs_although_the_cluster_fails() {
    if !needs_the_double("a_secret_that_somebody_makes…")
        || !needs_the_direct_engine("a_secret_that_somebody_makes…")
    {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let patches = || world.cluster().requests().of("patch", "secrets");
    let before = patches();
    let patch = |fault: Fault| FaultRule::new(fault).verb("patch").resource("secrets");
    world.cluster().faults().add(FaultRule { count: Some(1), ..patch(Fault::Delay { millis: 1_500 }) });
    world.cluster().faults().add(FaultRule { count: Some(1), ..patch(unavailable()) });
    let mut client = world.client.clone();
    let call =
        tokio::spawn(async move { client.create_synced_secret(create("a", vec![existing("k", "v")])).await });
    let begun = Instant::now();
    while patches() == before {
        assert!(begun.elapsed() < PATIENCE);
        sleep(Duration::from_millis(5)).await;
    }
    let theirs = Secret {
        metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() },
        string_data: Some(BTreeMap::from([("theirs".to_owned(), "x".to_owned())])),
        ..Secret::default()
    };
    world.secrets().create(&PostParams::default(), &theirs).await.unwrap();
    call.await.unwrap().unwrap();

    let told = world.until("a", |secret| synced_reason(secret) == "EdgeConflict").await;
    assert_eq!(told.state(), State::Failed);
    let only_theirs = BTreeMap::from([("theirs".to_owned(), "x".to_owned())]);
    assert_eq!(world.edge("a").await.unwrap(), only_theirs);
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    assert_eq!(world.edge("a").await.unwrap(), only_theirs);
    assert!(!world.secrets().get("a").await.unwrap().labels().contains_key(UID_LABEL));
}

#[tokio::test]
async fn an_adoption_of_what_is_ours_is_one_call_too_and_no_way_to_change_it() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    world.seed("other", "value").await;
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let adopt = AdoptSyncedSecretRequest {
        name: name("a"),
        references: vec![existing("k", "v")],
        request_id: Uuid::new_v4().to_string(),
        ..Default::default()
    };
    let first = world.client.adopt_synced_secret(adopt.clone()).await.unwrap().into_inner();
    let other = AdoptSyncedSecretRequest {
        references: vec![existing("k", "other")],
        request_id: String::new(),
        ..adopt.clone()
    };
    let refusal = world.client.adopt_synced_secret(other).await.unwrap_err();
    assert_eq!(refusal.code(), Code::AlreadyExists, "{refusal:?}");
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    let again = world.client.adopt_synced_secret(adopt).await.unwrap().into_inner();
    assert_eq!(first.uid, again.uid);
}

#[tokio::test]
async fn a_deletion_of_what_was_not_there_deletes_nothing_when_it_is_sent_again() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let gone = secret_service::proto::DeleteSyncedSecretRequest {
        allow_missing: true,
        request_id: Uuid::new_v4().to_string(),
        ..delete("a")
    };
    world.client.delete_synced_secret(gone.clone()).await.unwrap();
    world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    world.client.delete_synced_secret(gone).await.unwrap();
    assert_eq!(world.get("a").await.state(), State::Synced);
}

#[tokio::test]
async fn an_adopted_secret_has_each_condition_once() {
    if !needs_the_direct_engine("an_adopted_secret…") {
        return;
    }
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let secret = Secret {
        metadata: ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() },
        string_data: Some(BTreeMap::from([("k".to_owned(), "value".to_owned())])),
        ..Secret::default()
    };
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    let adopt = AdoptSyncedSecretRequest {
        name: name("a"),
        references: vec![existing("k", "v")],
        ..Default::default()
    };
    world.client.adopt_synced_secret(adopt).await.unwrap();
    world.until_state("a", State::Synced).await;
    world.client.update_synced_secret(with_description("a", "pump")).await.unwrap();
    let told = world.until_state("a", State::Synced).await;
    let mut kinds: Vec<_> = told.conditions.iter().map(|condition| condition.r#type.as_str()).collect();
    let all = kinds.len();
    kinds.sort_unstable();
    kinds.dedup();
    assert_eq!(kinds.len(), all, "{:?}", told.conditions);
    assert_eq!(synced_reason(&told), "Synced");
    assert!(world.secrets().get("a").await.unwrap().labels().contains_key(UID_LABEL));
}

#[tokio::test]
async fn an_update_that_brings_the_missing_value_stores_it_although_it_changes_nothing_else() {
    if !needs_the_double("an_update_that_brings_the_missing_value…") {
        return;
    }
    let mut world = World::start().await;
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretSet));
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
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretSet));
    world.client.create_synced_secret(request.clone()).await.unwrap_err();
    world.until("a", |secret| synced_reason(secret) == "ValueNotStored").await;
    world.vault.faults().clear();
    request
}

/// The same call again, which takes its time to store the value: nobody is told meanwhile that it failed.
async fn stores_again(world: &mut World, request: CreateSyncedSecretRequest) {
    world.vault.faults().add(Rule::new(delay(3)).on(Operation::SecretSet).times(1));
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
async fn what_the_same_call_stores_again_is_not_told_as_missing() {
    if !needs_the_double("what_the_same_call_stores_again…") {
        return;
    }
    let mut world = World::start().await;
    let request = cut_off(&mut world).await;
    stores_again(&mut world, request).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_made_again_stores_its_own_value_and_no_other_calls() {
    if !needs_the_double("a_call_that_is_made_again…") {
        return;
    }
    let mut world = World::start().await;
    let first = cut_off(&mut world).await;
    world.vault.faults().add(Rule::new(Action::Hang).on(Operation::SecretSet));
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
async fn what_was_found_missing_before_the_same_call_came_again_is_not_told_after_that() {
    if !needs_the_double("what_was_found_missing_before…") {
        return;
    }
    let mut world = World::start().await;
    let request = cut_off(&mut world).await;
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretListVersions).times(1));
    let before = world.vault.requests().of(Operation::SecretListVersions);
    world.client.sync_synced_secret(SyncSyncedSecretRequest { wait: None, ..sync("a") }).await.unwrap();
    asked(&world, Operation::SecretListVersions, before + 1).await;
    stores_again(&mut world, request).await;
}

#[tokio::test]
async fn a_creation_whose_race_can_not_be_judged_is_not_taken_for_won() {
    let mut world = World::start().await;
    // The checks before, and the one after the write: that one fails.
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretSet).named("fresh").times(1));
    let before = world.vault.requests().of(Operation::SecretSet);
    let mut client = world.client.clone();
    let call = tokio::spawn(async move {
        client.create_synced_secret(create("a", vec![created("k", "fresh", "ours")])).await
    });
    asked(&world, Operation::SecretSet, before + 1).await;
    world.somebody.sets("fresh", "theirs").await;
    world.vault.faults().add(Rule::new(Action::ForbiddenByRbac).on(Operation::SecretListVersions));
    let answer = call.await.unwrap().unwrap().into_inner();
    assert_ne!(answer.state(), State::Synced, "nobody knows who was first: {answer:?}");
    world.vault.faults().clear();
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    let told = world.until("a", |secret| synced_reason(secret) == "ValueNotStored").await;
    assert_eq!(told.state(), State::Failed);
    assert_eq!(world.somebody.reads("fresh").await, "theirs", "theirs is the latest again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_secret_whose_race_could_not_be_judged_is_found_by_the_same_call_again() {
    let mut world = World::start().await;
    world.vault.faults().add(Rule::new(delay(1)).on(Operation::SecretSet).named("fresh").times(1));
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
    world.vault.faults().add(Rule::new(Action::ForbiddenByRbac).on(Operation::SecretListVersions));
    let refusal = call.await.unwrap().unwrap_err();
    assert_eq!(told(&refusal).reason, "CREATION_UNVERIFIED", "{refusal:?}");

    world.vault.faults().clear();
    world.client.create_vault_secret(request).await.unwrap();
    assert_eq!(versions(&mut world, "fresh").await, 1, "it was stored the first time");
}
