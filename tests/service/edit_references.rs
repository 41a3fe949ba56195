//! Changes to single references: what others change at the same time stays.

use std::time::Duration;

use jiff::Timestamp;
use key_vault_double::{Fault, FaultRule, OnOperation, Operation};
use secret_service::{
    model::NotBefore,
    proto::{secret_reference::Encoding, synced_secret::State, *},
};
use tokio::{task::JoinHandle, time::sleep};
use tonic::Code;
use uuid::Uuid;

use crate::{
    access,
    support::{Options, World, callers::AUDIENCE, engine, requests::*, until_so},
};

/// A change to single references of `a`, which waits for the edge.
fn edit(set_references: Vec<SecretReference>, remove_keys: &[&str]) -> UpdateSyncedSecretRequest {
    UpdateSyncedSecretRequest {
        set_references,
        remove_keys: remove_keys.iter().map(ToString::to_string).collect(),
        update_mask: None,
        ..update(SyncedSecret { name: name("a"), ..Default::default() }, &[])
    }
}

fn with_id(request: UpdateSyncedSecretRequest) -> UpdateSyncedSecretRequest {
    UpdateSyncedSecretRequest { request_id: Uuid::new_v4().to_string(), ..request }
}

fn keys(secret: &SyncedSecret) -> Vec<&str> {
    secret.references.iter().map(|reference| reference.key.as_str()).collect()
}

/// A world with the synced secret `a` of the vault secret `v` under the key `k`.
async fn world() -> World {
    World::start().await.with_synced(&["a"], "value").await
}

async fn edited(world: &World, request: UpdateSyncedSecretRequest) -> Answer<SyncedSecret> {
    world.client.clone().update_synced_secret(request).await
}

fn begins(world: &World, request: UpdateSyncedSecretRequest) -> JoinHandle<Answer<SyncedSecret>> {
    let mut client = world.client.clone();
    tokio::spawn(async move { client.update_synced_secret(request).await })
}

/// The vault takes a while to store this secret, once.
fn slow(world: &World, vault_secret: &str) {
    let latency = Fault::latency(Duration::from_secs(2));
    world.vault.faults().add(FaultRule::new(latency).on(Operation::SecretSet).named(vault_secret).times(1));
}

async fn until_stored(world: &World, times: u64) {
    let wanted = world.vault.requests().of(Operation::SecretSet) + times;
    until_so("the vault is asked to store it", async || {
        world.vault.requests().of(Operation::SecretSet) >= wanted
    })
    .await;
}

async fn versions(world: &World, vault_secret: &str) -> usize {
    let request = ListVaultSecretVersionsRequest { parent: vault_name(vault_secret), ..Default::default() };
    world.client.clone().list_vault_secret_versions(request).await.unwrap().into_inner().versions.len()
}

#[tokio::test]
async fn references_are_added_replaced_and_removed_and_all_others_stay() {
    let mut world = world().await;
    world.seed("w", "other").await;
    let added = edited(&world, edit(vec![existing("l", "w"), created("m", "fresh", "new")], &[])).await;
    let added = added.unwrap().into_inner();
    assert_eq!((added.state(), keys(&added)), (State::Synced, vec!["k", "l", "m"]), "{added:#?}");
    let edge = world.edge("a").await.unwrap();
    assert_eq!((&*edge["k"], &*edge["l"], &*edge["m"]), ("value", "other", "new"));

    let changed = edited(&world, edit(vec![existing("k", "w")], &["m"])).await.unwrap().into_inner();
    assert_eq!((changed.state(), keys(&changed)), (State::Synced, vec!["k", "l"]), "{changed:#?}");
    assert_eq!(changed.generation, 3);
    let edge = world.edge("a").await.unwrap();
    assert_eq!((&*edge["k"], edge.len()), ("other", 2));
    assert_eq!(world.somebody.reads("fresh").await, "new", "the vault keeps it");

    let audit = ListAuditEventsRequest { resource: name("a"), ..Default::default() };
    let audit = world.client.list_audit_events(audit).await.unwrap().into_inner().audit_events;
    let details: Vec<_> = audit
        .iter()
        .filter(|event| event.action == "UpdateSyncedSecret")
        .map(|event| event.detail.as_str())
        .collect();
    assert_eq!(details, ["References: k=w, l=w.", "References: k=v, l=w, m=fresh."]);
}

#[tokio::test]
async fn labels_and_references_change_together() {
    let world = world().await;
    world.seed("w", "other").await;
    let labels = [("line".to_owned(), "4".to_owned())].into();
    let wanted = SyncedSecret { name: name("a"), labels, ..Default::default() };
    let changed =
        UpdateSyncedSecretRequest { set_references: vec![existing("l", "w")], ..update(wanted, &["labels"]) };
    let changed = edited(&world, changed).await.unwrap().into_inner();
    assert_eq!((changed.labels["line"].as_str(), keys(&changed)), ("4", vec!["k", "l"]));
}

#[tokio::test]
async fn what_does_not_fit_is_told_with_its_field_and_changes_nothing() {
    let mut world = world().await;
    let before = world.get("a").await;
    let all = SyncedSecret { name: name("a"), references: vec![existing("k", "v")], ..Default::default() };
    let both = |paths: &[&str]| UpdateSyncedSecretRequest {
        remove_keys: vec!["k".to_owned()],
        ..update(all.clone(), paths)
    };
    let unmasked = UpdateSyncedSecretRequest { update_mask: None, ..both(&[]) };
    let twice = vec![existing("l", "v"), existing("l", "v")];
    let created_twice = vec![created("l", "fresh", "1"), created("m", "FRESH", "2")];
    let wrong = SecretReference { encoding: Encoding::Hex.into(), ..created("l", "fresh", "no hex") };
    for (request, code, fields) in [
        (both(&["references"]), Code::InvalidArgument, &["update_mask"][..]),
        (both(&["*"]), Code::InvalidArgument, &["update_mask"]),
        (unmasked, Code::InvalidArgument, &["synced_secret.references"]),
        (edit(twice, &[]), Code::InvalidArgument, &["set_references[1].key"]),
        (edit(created_twice, &[]), Code::InvalidArgument, &["set_references[1].vault_secret"]),
        (edit(vec![wrong], &[]), Code::InvalidArgument, &["set_references[0].encoding"]),
        (edit(vec![existing("a b", "v")], &[]), Code::InvalidArgument, &["set_references[0].key"]),
        (edit(vec![existing("k", "v")], &["k"]), Code::InvalidArgument, &["remove_keys[0]"]),
        (edit(vec![], &["a b", "k", "k"]), Code::InvalidArgument, &["remove_keys[0]", "remove_keys[2]"]),
        (edit(vec![], &["k"]), Code::InvalidArgument, &["remove_keys"]),
        (edit(vec![], &["x", "k", "y"]), Code::NotFound, &["remove_keys[0]", "remove_keys[2]"]),
        (edit(vec![], &[]), Code::InvalidArgument, &["update_mask"]),
        (
            edit(vec![existing("l", "v"), existing("m", "nowhere")], &[]),
            Code::NotFound,
            &["set_references[1].vault_secret"],
        ),
        (
            edit(vec![created("l", "v", "taken")], &[]),
            Code::AlreadyExists,
            &["set_references[0].vault_secret"],
        ),
    ] {
        let shown = format!("{request:?}");
        let refused = told(&edited(&world, request).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.fields),
            (code, fields.iter().map(ToString::to_string).collect()),
            "{shown}"
        );
    }
    let last = told(&edited(&world, edit(vec![], &["k"])).await.unwrap_err());
    assert!(last.message.contains("delete the synced secret"), "{}", last.message);
    let missing = told(&edited(&world, edit(vec![], &["x"])).await.unwrap_err());
    assert_eq!(missing.reason, "REFERENCE_NOT_FOUND");
    let of_none = UpdateSyncedSecretRequest {
        synced_secret: Some(SyncedSecret { name: name("none"), ..Default::default() }),
        ..edit(vec![existing("l", "v")], &[])
    };
    assert_eq!(edited(&world, of_none).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(world.get("a").await.generation, before.generation);
}

#[tokio::test]
async fn a_dry_run_shows_the_references_as_they_would_be_and_changes_nothing() {
    let mut world = world().await;
    world.seed("w", "other").await;
    let dry = |request| UpdateSyncedSecretRequest { validate_only: true, ..request };
    let request = edit(vec![existing("l", "w"), created("m", "fresh", "new")], &["k"]);
    let would_be = edited(&world, dry(request)).await.unwrap().into_inner();
    assert_eq!(keys(&would_be), ["l", "m"]);
    assert_eq!(edited(&world, dry(edit(vec![], &["k"]))).await.unwrap_err().code(), Code::InvalidArgument);
    assert_eq!(edited(&world, dry(edit(vec![], &["x"]))).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(keys(&world.get("a").await), ["k"]);
    let fresh = GetVaultSecretRequest { name: vault_name("fresh") };
    assert_eq!(world.client.get_vault_secret(fresh).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn an_etag_still_refuses_a_change_of_another_state() {
    let mut world = world().await;
    let read = world.get("a").await;
    let with_etag = |etag: &str| UpdateSyncedSecretRequest {
        synced_secret: Some(SyncedSecret { name: name("a"), etag: etag.to_owned(), ..Default::default() }),
        ..edit(vec![existing("l", "v")], &[])
    };
    edited(&world, with_description("a", "meanwhile")).await.unwrap();
    let stale = told(&edited(&world, with_etag(&read.etag)).await.unwrap_err());
    assert_eq!((stale.code, stale.reason.as_str()), (Code::Aborted, "CHANGED_MEANWHILE"));
    let current = world.get("a").await.etag;
    edited(&world, with_etag(&current)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_appends_at_the_same_time_none_is_lost() {
    let mut world = world().await;
    let names: Vec<_> = (0..16).map(|number| format!("e{number}")).collect();
    let appends = names.iter().enumerate().map(|(number, key)| {
        let reference = match number % 2 {
            0 => created(key, key, key),
            _ => existing(key, "v"),
        };
        begins(&world, UpdateSyncedSecretRequest { wait: None, ..edit(vec![reference], &[]) })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap().unwrap();
    }
    let all = world.until_state("a", State::Synced).await;
    assert_eq!(all.references.len(), 17, "{all:#?}");
    let edge = world.edge("a").await.unwrap();
    assert!(
        names
            .iter()
            .enumerate()
            .all(|(number, key)| { edge[key] == if number % 2 == 0 { key.as_str() } else { "value" } })
    );
    assert_eq!(all.generation, 17);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_append_beside_a_removal_of_the_same_key_ends_as_one_after_the_other() {
    let mut world = world().await;
    for _ in 0..10 {
        let append = begins(&world, edit(vec![existing("x", "v")], &[]));
        let removal = begins(&world, edit(vec![], &["x"]));
        append.await.unwrap().unwrap();
        let is_removed = match removal.await.unwrap() {
            Ok(_) => true,
            Err(refused) => {
                assert_eq!(told(&refused).reason, "REFERENCE_NOT_FOUND", "{refused:?}");
                false
            }
        };
        let left = world.get("a").await;
        assert_eq!(keys(&left), if is_removed { vec!["k"] } else { vec!["k", "x"] });
        if !is_removed {
            edited(&world, edit(vec![], &["x"])).await.unwrap();
        }
    }
    // Of two that remove the same one, only one does.
    edited(&world, edit(vec![existing("x", "v")], &[])).await.unwrap();
    let both = [begins(&world, edit(vec![], &["x"])), begins(&world, edit(vec![], &["x"]))];
    let mut removed = 0;
    for one in both {
        removed += usize::from(one.await.unwrap().is_ok());
    }
    assert_eq!(removed, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_reference_stays_also_if_two_are_removed_at_the_same_time() {
    let mut world = world().await;
    edited(&world, edit(vec![existing("x", "v")], &[])).await.unwrap();
    let both = [begins(&world, edit(vec![], &["x"])), begins(&world, edit(vec![], &["k"]))];
    let mut refused = Vec::new();
    for one in both {
        refused.extend(one.await.unwrap().err());
    }
    assert_eq!(refused.len(), 1);
    assert_eq!(told(&refused[0]).fields, ["remove_keys"]);
    assert_eq!(world.get("a").await.references.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_another_append_is_just_storing_is_no_obstacle() {
    let mut world = world().await;
    slow(&world, "first");
    let first = begins(&world, edit(vec![created("x", "first", "1")], &[]));
    until_stored(&world, 1).await;
    let dry = UpdateSyncedSecretRequest { validate_only: true, ..edit(vec![existing("z", "v")], &[]) };
    edited(&world, dry).await.unwrap();
    let second = edited(&world, edit(vec![created("y", "second", "2")], &[])).await.unwrap().into_inner();
    assert_eq!(keys(&second), ["k", "x", "y"]);
    first.await.unwrap().unwrap();
    world.until_state("a", State::Synced).await;
    let edge = world.edge("a").await.unwrap();
    assert_eq!((&*edge["x"], &*edge["y"]), ("1", "2"));
}

#[tokio::test]
async fn an_entry_that_is_broken_does_not_hinder_another_one() {
    let mut world = world().await;
    world.seed("w", "other").await;
    edited(&world, edit(vec![existing("l", "w")], &[])).await.unwrap();
    world.somebody.enables("w", false).await;
    let added = edited(&world, edit(vec![created("m", "fresh", "new")], &[])).await.unwrap().into_inner();
    assert_eq!(keys(&added), ["k", "l", "m"]);
    let removed = edited(&world, edit(vec![], &["l"])).await.unwrap().into_inner();
    assert_eq!(keys(&removed), ["k", "m"]);
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["m"], "new");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_append_takes_back_its_own_entry_and_nothing_that_others_built_on() {
    let mut world = world().await;
    world.seed("w", "other").await;
    slow(&world, "fresh");
    let refused = begins(&world, edit(vec![created("x", "fresh", "1"), existing("k", "w")], &[]));
    until_stored(&world, 1).await;
    edited(&world, UpdateSyncedSecretRequest { wait: None, ..edit(vec![existing("y", "v")], &[]) })
        .await
        .unwrap();
    // The vault will refuse the value.
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    let refused = told(&refused.await.unwrap().unwrap_err());
    assert_eq!(
        (refused.code, refused.fields.as_slice()),
        (Code::FailedPrecondition, &["set_references[0].create".to_owned()][..])
    );

    let left = world.until_state("a", State::Synced).await;
    assert_eq!(keys(&left), ["k", "y"]);
    // Somebody else has changed it since, and was told so with this in it.
    assert_eq!(left.references[0].vault_secret, vault_name("w"));
    assert_eq!(
        world.actions("a").await.iter().filter(|action| *action == "UpdateSyncedSecretUndone").count(),
        1
    );
    assert_eq!(world.edge("a").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_confirms_what_another_one_is_storing_is_not_taken_back_with_it() {
    let mut world = world().await;
    world.seed("w", "other").await;
    slow(&world, "fresh");
    let refused = begins(&world, edit(vec![created("x", "fresh", "1"), existing("k", "w")], &[]));
    until_stored(&world, 1).await;
    let same = UpdateSyncedSecretRequest { wait: None, ..edit(vec![existing("k", "w")], &[]) };
    let confirmed = edited(&world, same).await.unwrap().into_inner();
    assert_eq!((confirmed.references[0].vault_secret.as_str(), confirmed.generation), ("vaultSecrets/w", 3));
    world.somebody.sets("fresh", "theirs").await;
    world.somebody.deletes("fresh").await;
    refused.await.unwrap().unwrap_err();
    let left = world.until_state("a", State::Synced).await;
    assert_eq!((keys(&left), left.references[0].vault_secret.as_str()), (vec!["k"], "vaultSecrets/w"));
    assert_eq!(world.edge("a").await.unwrap()["k"], "other");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_of_a_call_changes_nothing_again() {
    let mut world = world().await;
    slow(&world, "fresh");
    let request = with_id(edit(vec![created("x", "fresh", "1")], &[]));
    let (one, other) = (begins(&world, request.clone()), begins(&world, request.clone()));
    let (one, other) = (one.await.unwrap().unwrap().into_inner(), other.await.unwrap().unwrap().into_inner());
    assert_eq!((one.generation, other.generation), (2, 2));
    assert_eq!(versions(&world, "fresh").await, 1);

    // Somebody removes it: a late retry does not bring it back.
    let removal = with_id(edit(vec![], &["x"]));
    edited(&world, removal.clone()).await.unwrap();
    edited(&world, request.clone()).await.unwrap();
    assert_eq!(keys(&world.get("a").await), ["k"]);
    // Nor does a late retry of the removal remove what was added since.
    edited(&world, edit(vec![existing("x", "v")], &[])).await.unwrap();
    edited(&world, removal).await.unwrap();
    assert_eq!(keys(&world.get("a").await), ["k", "x"]);

    let reused = UpdateSyncedSecretRequest { remove_keys: vec!["k".to_owned()], ..request };
    assert_eq!(told(&edited(&world, reused).await.unwrap_err()).reason, "REQUEST_ID_REUSED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_was_cut_off_after_its_intent_is_completed_by_its_retry() {
    let mut world = world().await;
    let request = with_id(edit(vec![created("x", "fresh", "1")], &[]));
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretSet));
    let cut_off = begins(&world, request.clone());
    until_stored(&world, 1).await;
    world.kill_service().await;
    cut_off.await.unwrap().unwrap_err();
    world.vault.faults().clear();
    world.start_service().await;

    let between = UpdateSyncedSecretRequest { wait: None, ..edit(vec![created("y", "other", "2")], &[]) };
    edited(&world, between).await.unwrap();
    edited(&world, request).await.unwrap();
    let all = world.until_state("a", State::Synced).await;
    assert_eq!(keys(&all), ["k", "x", "y"]);
    let edge = world.edge("a").await.unwrap();
    assert_eq!((&*edge["x"], &*edge["y"]), ("1", "2"));
    assert_eq!(versions(&world, "fresh").await, 1);
}

#[tokio::test]
async fn an_entry_that_is_held_back_until_it_is_valid_stays_when_others_change() {
    let options = Options { not_before: NotBefore::Hold, ..Options::default() };
    let mut world = World::start_with(options).await.with_synced(&["a"], "value").await;
    world.seed("w", "other").await;
    let at = Timestamp::from_second(Timestamp::now().as_second() + 6).unwrap();
    world.somebody.sets_from("early", "later", at).await;
    let held = UpdateSyncedSecretRequest { wait: None, ..edit(vec![existing("early", "early")], &[]) };
    edited(&world, held).await.unwrap();
    let appended = UpdateSyncedSecretRequest { wait: None, ..edit(vec![existing("l", "w")], &["k"]) };
    edited(&world, appended).await.unwrap();
    let all = world
        .until("a", |secret| {
            secret.state() == State::Synced && secret.references.iter().all(|one| one.problem.is_none())
        })
        .await;
    assert_eq!(keys(&all), ["early", "l"]);
    until_so("the edge has both", async || world.edge("a").await.is_some_and(|edge| edge.len() == 2)).await;
    if engine() == secret_service::model::SyncEngine::Direct {
        assert!(Timestamp::now() >= at, "it is not synced before its time: {all:#?}");
    }
}

#[tokio::test]
async fn a_new_reference_needs_the_right_to_refer_and_those_that_stay_need_none() {
    let world = access::world(|_| {}).await;
    for name in ["prod", "other"] {
        world.seed(name, "value").await;
    }
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    editor.create_synced_secret(create("a", vec![existing("k", "prod")])).await.unwrap();
    world.account("changer", &["syncedsecrets"], &["update"], &[]).await;
    let mut changer = world.caller(Some(&world.token("changer", AUDIENCE).await)).await;

    // Those in a list that the mask leaves out don't distract from those that are used.
    let ignored = vec![existing("x", "prod"); 100];
    let ignored = SyncedSecret { name: name("a"), references: ignored, ..Default::default() };
    let behind = |set_references| UpdateSyncedSecretRequest {
        set_references,
        ..update(ignored.clone(), &["description"])
    };
    for request in [
        edit(vec![existing("l", "other")], &[]),
        edit(vec![existing("l", "prod")], &[]),
        edit(vec![created("l", "fresh", "x")], &[]),
        behind(vec![existing("l", "other")]),
        behind(vec![created("l", "fresh", "x")]),
    ] {
        for validate_only in [true, false] {
            let request = UpdateSyncedSecretRequest { validate_only, ..request.clone() };
            let refused = told(&changer.update_synced_secret(request).await.unwrap_err());
            assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
        }
    }
    changer.update_synced_secret(edit(vec![existing("k", "prod")], &[])).await.unwrap();
    world.account("changer", &["vaultsecrets"], &["reference"], &["other"]).await;
    sleep(Duration::from_secs(1)).await;
    changer.update_synced_secret(edit(vec![existing("l", "other")], &[])).await.unwrap();
    let left = changer.update_synced_secret(edit(vec![], &["k"])).await.unwrap().into_inner();
    assert_eq!(keys(&left), ["l"]);
}
