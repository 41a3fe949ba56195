//! What uses a synced secret: it shows, it is filtered by, and it stands in the way of a deletion and of a change.

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;
use secret_service::{
    doubles::kube::{Fault, FaultRule, Phase},
    edge::UsageOptions,
    model::UsageRules,
    proto::{
        Condition, DeleteSyncedSecretRequest, GetSyncedSecretRequest, ListAuditEventsRequest,
        ListSecretUsagesRequest, ListSyncedSecretsRequest, SecretUsage, SyncedSecret, SyncedSecretFilter,
        SyncedSecretView, UpdateSyncedSecretRequest, WatchSyncedSecretsRequest, condition::Status,
        synced_secret::State, synced_secret_filter::UsedBy, watch_synced_secrets_response::Type,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use crate::support::{Options, PATIENCE, Site, World, needs_the_double, requests::*, users};

const PROFILE: &str = "AssetEndpointProfile.deviceregistry.microsoft.com";
const DATAFLOW: &str = "DataflowEndpoint.connectivity.iotoperations.azure.com";
const USERNAME: &str = "spec.authentication.usernamePasswordCredentials.usernameSecretName";

// === given ===

/// A service on a cluster with the kinds of AIO, and synced secrets with the keys `username` and `password`.
async fn made(ids: &[&str]) -> World {
    let site = Site::start().await;
    users::install(&site.kube).await;
    made_on(site, ids, options()).await
}

async fn made_on(site: Site, ids: &[&str], options: Options) -> World {
    let mut world = World::start_on(site, options).await;
    world.seed("v", "value").await;
    for id in ids {
        let references = vec![existing("username", "v"), existing("password", "v")];
        world.client.create_synced_secret(create(id, references)).await.unwrap();
    }
    world
}

fn options() -> Options {
    with_rules(&[])
}

fn with_rules(lines: &[String]) -> Options {
    let rules = UsageRules::with(lines.iter().map(|line| line.parse().unwrap()));
    let interval = Duration::from_millis(200);
    Options { usages: UsageOptions { rules, interval }, ..Options::default() }
}

/// What an asset endpoint profile says.
fn naming(username: &str) -> Value {
    json!({ "authentication": { "usernamePasswordCredentials": { "usernameSecretName": username } } })
}

async fn usages(world: &mut World, id: &str) -> Vec<SecretUsage> {
    let request = ListSecretUsagesRequest { parent: name(id), page_size: 1_000, ..Default::default() };
    world.client.list_secret_usages(request).await.unwrap().into_inner().usages
}

async fn until_usages(
    world: &mut World,
    id: &str,
    wanted: impl Fn(&[SecretUsage]) -> bool,
) -> Vec<SecretUsage> {
    let begun = Instant::now();
    loop {
        let usages = usages(world, id).await;
        if wanted(&usages) {
            return usages;
        }
        assert!(begun.elapsed() < PATIENCE, "{id} never came to be used as wanted: {usages:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn in_use(secret: &SyncedSecret) -> Option<&Condition> {
    secret.conditions.iter().find(|condition| condition.r#type == "InUse")
}

fn is_in_use(secret: &SyncedSecret, reason: &str) -> bool {
    in_use(secret).is_some_and(|condition| condition.reason == reason)
}

async fn ids(world: &mut World, used_by: UsedBy) -> Vec<String> {
    let filter = Some(SyncedSecretFilter { used_by: Some(used_by), ..Default::default() });
    let request = ListSyncedSecretsRequest { filter, ..Default::default() };
    let page = world.client.list_synced_secrets(request).await.unwrap().into_inner();
    assert_eq!(page.total_size as usize, page.synced_secrets.len());
    page.synced_secrets
        .iter()
        .map(|secret| secret.name.trim_start_matches("syncedSecrets/").to_owned())
        .collect()
}

async fn audited(world: &mut World, id: &str, action: &str) -> Option<String> {
    let request = ListAuditEventsRequest { resource: name(id), page_size: 100, ..Default::default() };
    let events = world.client.list_audit_events(request).await.unwrap().into_inner().audit_events;
    events.into_iter().find(|event| event.action == action).map(|event| event.detail)
}

/// An asset endpoint profile that uses a synced secret, which is known.
async fn used(world: &mut World, profile: &str, id: &str) {
    world.applies(PROFILE, profile, naming(&format!("{id}/username"))).await;
    until_usages(world, id, |usages| usages.iter().any(|usage| usage.resource == profile)).await;
    world.until(id, |secret| is_in_use(secret, "Used")).await;
}

fn fault(verb: &str, resource: &str, fault: Fault) -> FaultRule {
    FaultRule {
        verb: Some(verb.to_owned()),
        resource: Some(resource.to_owned()),
        namespace: None,
        name: None,
        count: None,
        phase: Phase::Before,
        fault,
    }
}

fn refused(code: u16) -> Fault {
    Fault::Status { code, reason: String::new(), retry_after: None }
}

// === the uses ===

#[tokio::test]
async fn a_use_shows_within_a_second_blocks_the_deletion_and_releases_it() {
    let mut world = made(&["edp1secrets"]).await;
    assert!(is_in_use(&world.get("edp1secrets").await, "NotUsed"));

    world.applies(PROFILE, "opc-plc-1", naming("edp1secrets/username")).await;
    let applied = Instant::now();
    let shown = until_usages(&mut world, "edp1secrets", |usages| !usages.is_empty()).await;
    let secret = world.until("edp1secrets", |secret| is_in_use(secret, "Used")).await;
    assert!(applied.elapsed() < Duration::from_secs(1), "{:?}", applied.elapsed());
    let wanted = SecretUsage {
        api_version: "deviceregistry.microsoft.com/v1".to_owned(),
        kind: "AssetEndpointProfile".to_owned(),
        namespace: world.namespace.clone(),
        resource: "opc-plc-1".to_owned(),
        field: USERNAME.to_owned(),
        key: "username".to_owned(),
        synced_secret: name("edp1secrets"),
        ..Default::default()
    };
    assert_eq!(shown, [wanted]);
    assert_eq!((in_use(&secret).unwrap().status(), &secret.usages), (Status::True, &shown));
    assert_eq!(in_use(&secret).unwrap().message, "Used by AssetEndpointProfile opc-plc-1.");

    for validate_only in [true, false] {
        let request = DeleteSyncedSecretRequest { validate_only, ..delete("edp1secrets") };
        let refused = told(&world.client.delete_synced_secret(request).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::FailedPrecondition, "SYNCED_SECRET_IN_USE")
        );
        let violations = refused.details.precondition_failure().unwrap().violations.clone();
        assert_eq!(violations.len(), 1);
        assert_eq!((violations[0].r#type.as_str(), violations[0].description.as_str()), ("IN_USE", USERNAME));
        assert_eq!(violations[0].subject, format!("{PROFILE}/opc-plc-1"));
        assert!(refused.message.contains("`force`"), "{}", refused.message);
    }
    assert!(world.edge("edp1secrets").await.is_some());

    world.withdraws(PROFILE, "opc-plc-1").await;
    until_usages_end(&mut world, "edp1secrets").await;
    world.client.delete_synced_secret(delete("edp1secrets")).await.unwrap();
    assert!(world.edge("edp1secrets").await.is_none());
}

async fn until_usages_end(world: &mut World, id: &str) {
    until_usages(world, id, <[_]>::is_empty).await;
    world.until(id, |secret| is_in_use(secret, "NotUsed")).await;
}

#[tokio::test]
async fn every_row_of_the_table_is_found_in_a_resource_of_its_kind() {
    let mut world = made(&[]).await;
    let table = include_str!("../../src/model/usage/rules.txt");
    let rows = table.lines().filter(|line| !line.starts_with('#') && line.contains(' '));
    let mut wanted = Vec::new();
    for (place, row) in rows.enumerate() {
        let words: Vec<_> = row.split(' ').collect();
        let mut spec = json!(format!("row-{place}{}", if words[2] == "SECRET" { "" } else { "/k" }));
        for part in words[1].split('.').skip(1).collect::<Vec<_>>().into_iter().rev() {
            spec = match part.strip_suffix("[*]") {
                Some(list) => json!({ list: [spec] }),
                None if part == "*" => json!({ "onvif-0": spec }),
                None => json!({ part: spec }),
            };
        }
        world.applies(words[0], &format!("resource-{place}"), spec).await;
        let field = words[1].replace("[*]", "[0]").replace('*', "onvif-0");
        wanted.push((name(&format!("row-{place}")), format!("resource-{place}"), field, false));
    }
    for kind in [
        "ConnectorTemplate.iotoperations.azure.com",
        "Instance.iotoperations.azure.com",
        "RegistryEndpoint.connectivity.iotoperations.azure.com",
    ] {
        let guess = format!("guess-{}", kind.split('.').next().unwrap().to_lowercase());
        world.applies(kind, &guess, json!({ "pull": [{ "secretRef": guess }] })).await;
        wanted.push((name(&guess), guess, "spec.pull[0].secretRef".to_owned(), true));
    }
    assert!(wanted.len() > 20);
    wanted.sort();
    let all = until_usages(&mut world, "-", |usages| usages.len() >= wanted.len()).await;
    assert!(all.iter().all(|usage| usage.secret_missing), "a broken reference is listed, too");
    let found =
        all.into_iter().map(|usage| (usage.synced_secret, usage.resource, usage.field, usage.guessed));
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn what_a_use_lacks_is_said_until_it_is_there() {
    let mut world = made(&["a"]).await;
    world.applies(PROFILE, "good", naming("a/username")).await;
    world.applies(PROFILE, "no-key", naming("a/token")).await;
    world.applies(PROFILE, "no-secret", naming("b/username")).await;
    world.applies(PROFILE, "no-name", naming("No_Secret/username")).await;
    let kafka = json!({ "kafkaSettings": { "authentication": { "saslSettings": { "secretRef": "a" } } } });
    world.applies(DATAFLOW, "whole", kafka).await;
    let lacks = |usages: &[SecretUsage]| -> Vec<(String, bool, bool)> {
        let one = |usage: &SecretUsage| (usage.resource.clone(), usage.key_missing, usage.secret_missing);
        usages.iter().map(one).collect()
    };
    let all = until_usages(&mut world, "-", |usages| usages.len() == 5).await;
    let wanted = [
        ("no-name", false, true),
        ("good", false, false),
        ("no-key", true, false),
        ("whole", false, false),
        ("no-secret", false, true),
    ];
    assert_eq!(lacks(&all), wanted.map(|(name, key, secret)| (name.to_owned(), key, secret)));
    assert_eq!(usages(&mut world, "b").await.len(), 1, "also where there is no such synced secret");
    let request = ListSecretUsagesRequest { parent: name("c"), ..Default::default() };
    assert_eq!(world.client.list_secret_usages(request).await.unwrap_err().code(), Code::NotFound);

    let created = create("b", vec![existing("username", "v")]);
    let created = world.client.create_synced_secret(created).await.unwrap().into_inner();
    assert!(is_in_use(&created, "Used"), "{created:?}");
    until_usages(&mut world, "b", |usages| usages.iter().all(|usage| !usage.secret_missing)).await;
    let wanted = SyncedSecret {
        references: vec![existing("username", "v"), existing("password", "v"), existing("token", "v")],
        name: name("a"),
        ..Default::default()
    };
    world.client.update_synced_secret(update(wanted, &["references"])).await.unwrap();
    until_usages(&mut world, "a", |usages| usages.iter().all(|usage| !usage.key_missing)).await;
}

#[tokio::test]
async fn a_list_is_filtered_by_what_uses_and_shows_it_in_the_full_view() {
    let mut world = made(&["a", "b", "c"]).await;
    used(&mut world, "one", "a").await;
    used(&mut world, "two", "b").await;
    let kafka = json!({ "kafkaSettings": { "authentication": { "saslSettings": { "secretRef": "b" } } } });
    world.applies(DATAFLOW, "eventhub", kafka).await;
    until_usages(&mut world, "b", |usages| usages.len() == 2).await;
    world.until("b", |secret| in_use(secret).unwrap().message.contains("eventhub")).await;

    let by = |kind: &str, resource: &str| UsedBy {
        kind: kind.to_owned(),
        resource: resource.to_owned(),
        unused: false,
    };
    assert_eq!(ids(&mut world, by("AssetEndpointProfile", "")).await, ["a", "b"]);
    assert_eq!(ids(&mut world, by("AssetEndpointProfile", "two")).await, ["b"]);
    assert_eq!(ids(&mut world, by("DataflowEndpoint", "")).await, ["b"]);
    assert_eq!(ids(&mut world, by("", "one")).await, ["a"]);
    assert_eq!(ids(&mut world, by("", "")).await, ["a", "b"]);
    assert!(ids(&mut world, by("Device", "")).await.is_empty());
    assert_eq!(ids(&mut world, UsedBy { unused: true, ..Default::default() }).await, ["c"]);

    let both = UsedBy { unused: true, ..by("Device", "") };
    let filter = Some(SyncedSecretFilter { used_by: Some(both), ..Default::default() });
    let wrong = ListSyncedSecretsRequest { filter, ..Default::default() };
    assert_eq!(told(&world.client.list_synced_secrets(wrong).await.unwrap_err()).fields, ["filter.used_by"]);

    let full = ListSyncedSecretsRequest { view: SyncedSecretView::Full.into(), ..Default::default() };
    let full = world.client.list_synced_secrets(full).await.unwrap().into_inner().synced_secrets;
    assert_eq!(full.iter().map(|secret| secret.usages.len()).collect::<Vec<_>>(), [1, 2, 0]);
    let basic =
        world.client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap().into_inner();
    assert!(basic.synced_secrets.iter().all(|secret| secret.usages.is_empty()));
    let basic = GetSyncedSecretRequest { view: SyncedSecretView::Basic.into(), ..get("b") };
    assert!(world.client.get_synced_secret(basic).await.unwrap().into_inner().usages.is_empty());
}

#[tokio::test]
async fn uses_come_in_pages_that_neither_skip_nor_repeat() {
    let mut world = made(&[]).await;
    for number in 0..7 {
        world.applies(PROFILE, &format!("p-{number}"), naming(&format!("s-{}/username", number % 3))).await;
    }
    let all = until_usages(&mut world, "-", |usages| usages.len() == 7).await;
    let (mut paged, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = ListSecretUsagesRequest { parent: name("-"), page_size: 2, page_token };
        let page = world.client.list_secret_usages(request).await.unwrap().into_inner();
        paged.extend(page.usages);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // Somebody makes another one: it comes later, or before what was shown.
        world.applies(PROFILE, "p-0", naming("s-0/username")).await;
    }
    assert_eq!(paged, all);
    let first = ListSecretUsagesRequest { parent: name("-"), page_size: 2, ..Default::default() };
    let token = world.client.list_secret_usages(first).await.unwrap().into_inner().next_page_token;
    let foreign = ListSecretUsagesRequest { parent: name("s-0"), page_size: 2, page_token: token };
    assert_eq!(told(&world.client.list_secret_usages(foreign).await.unwrap_err()).fields, ["page_token"]);
}

#[tokio::test]
async fn a_watcher_is_told_when_a_secret_comes_into_use_and_out_of_it() {
    let mut world = made(&["a"]).await;
    let unused = Some(UsedBy { unused: true, ..Default::default() });
    let filter = Some(SyncedSecretFilter { used_by: unused, ..Default::default() });
    let request = WatchSyncedSecretsRequest { filter, ..Default::default() };
    let mut stream = world.client.watch_synced_secrets(request).await.unwrap().into_inner();
    let mut next = async || {
        let told = timeout(PATIENCE, stream.message()).await.expect("the watch tells something");
        told.unwrap().expect("the watch goes on").r#type()
    };
    assert_eq!((next().await, next().await), (Type::Added, Type::Bookmark));
    let etag = world.get("a").await.etag;
    used(&mut world, "p", "a").await;
    assert_eq!(next().await, Type::Deleted);
    world.withdraws(PROFILE, "p").await;
    assert_eq!(next().await, Type::Added);
    assert_eq!(world.get("a").await.etag, etag, "what uses it is not what is asked for");
}

// === deletions and changes ===

#[tokio::test]
async fn a_forced_deletion_goes_through_and_the_history_names_the_uses() {
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());
    let detail = audited(&mut world, "a", "DeleteSyncedSecret").await.unwrap();
    assert!(
        detail.contains("Forced") && detail.contains(&format!("AssetEndpointProfile p ({USERNAME})")),
        "{detail}"
    );
    assert!(usages(&mut world, "a").await[0].secret_missing);
}

#[tokio::test]
async fn a_use_that_appears_before_the_removal_holds_the_deletion_back_until_it_is_gone() {
    if !needs_the_double("a use in the race window") {
        return;
    }
    let mut world = made(&["a"]).await;
    // The last look before the removal fails for a while: time for somebody.
    world.cluster().faults().add(fault("list", "devices", refused(503)));
    let request = DeleteSyncedSecretRequest { wait: None, ..delete("a") };
    let accepted = world.client.delete_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(accepted.state(), State::Deleting);
    world.applies(PROFILE, "late", naming("a/username")).await;
    world.cluster().faults().clear();

    let held = world.until("a", |secret| synced_reason(secret) == "Used").await;
    assert_eq!(held.state(), State::Deleting);
    assert!(is_in_use(&world.until("a", |secret| is_in_use(secret, "Used")).await, "Used"));
    assert!(world.edge("a").await.is_some());
    let detail = audited(&mut world, "a", "DeletionHeld").await.unwrap();
    assert!(detail.contains("AssetEndpointProfile late"), "{detail}");
    // A restart changes nothing of it.
    world.restart().await;
    sleep(Duration::from_millis(300)).await;
    assert!(world.edge("a").await.is_some());

    world.withdraws(PROFILE, "late").await;
    world.until_gone("a").await;
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_deletion_that_is_held_back_can_be_forced() {
    if !needs_the_double("forcing a deletion that is held back") {
        return;
    }
    let mut world = made(&["a"]).await;
    // A watch that has silently died: the call knows nothing of the use, the last look does.
    let silent = Fault::WatchSilent;
    world.cluster().faults().add(fault("watch", "assetendpointprofiles", silent));
    world.applies(PROFILE, "unseen", naming("a/username")).await;
    let held = world.client.delete_synced_secret(delete("a")).await.unwrap().into_inner();
    assert_eq!((held.state(), synced_reason(&held)), (State::Deleting, "Used"), "{held:?}");
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn that_a_deletion_was_forced_outlives_a_restart() {
    if !needs_the_double("a forced deletion across a restart") {
        return;
    }
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    world.cluster().faults().add(fault("delete", "secrets", refused(503)));
    let request = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    world.restart().await;
    assert!(world.edge("a").await.is_some());
    world.cluster().faults().clear();
    world.until_gone("a").await;
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_use_that_appears_in_the_moment_of_the_removal_is_reported() {
    if !needs_the_double("a use in the moment of the removal") {
        return;
    }
    let mut world = made(&["a"]).await;
    world.cluster().faults().add(fault("delete", "secrets", Fault::Delay { millis: 1_500 }));
    let mut client = world.client.clone();
    let deletion = tokio::spawn(async move { client.delete_synced_secret(delete("a")).await });
    while world.cluster().requests().of("delete", "secrets") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    world.applies(PROFILE, "late", naming("a/username")).await;
    deletion.await.unwrap().unwrap();
    let detail = audited(&mut world, "a", "UsedWhileDeleted").await.unwrap();
    assert!(detail.contains("AssetEndpointProfile late"), "{detail}");
}

#[tokio::test]
async fn an_update_that_drops_or_renames_a_key_in_use_is_refused() {
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    let with = |references| SyncedSecret { name: name("a"), references, ..Default::default() };
    for references in
        [vec![existing("password", "v")], vec![existing("user", "v"), existing("password", "v")]]
    {
        for validate_only in [true, false] {
            let request = update(with(references.clone()), &["references"]);
            let request = UpdateSyncedSecretRequest { validate_only, ..request };
            let refused = told(&world.client.update_synced_secret(request).await.unwrap_err());
            assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "KEY_IN_USE"));
            let violation = &refused.details.precondition_failure().unwrap().violations[0];
            assert_eq!(
                (violation.subject.as_str(), violation.description.as_str()),
                (&*format!("{PROFILE}/p"), USERNAME)
            );
        }
    }
    let unused = update(with(vec![existing("username", "v")]), &["references"]);
    world.client.update_synced_secret(unused).await.unwrap();
    world.withdraws(PROFILE, "p").await;
    until_usages_end(&mut world, "a").await;
    let renamed = update(with(vec![existing("user", "v")]), &["references"]);
    world.client.update_synced_secret(renamed).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap().keys().collect::<Vec<_>>(), ["user"]);
}

// === bad luck ===

#[tokio::test]
async fn a_restart_remembers_the_uses_and_notices_what_changed_meanwhile() {
    let mut world = made(&["a", "b"]).await;
    used(&mut world, "p", "a").await;
    world.stop_service().await;
    world.withdraws(PROFILE, "p").await;
    world.applies(PROFILE, "q", naming("b/username")).await;
    world.start_service().await;
    world.until("a", |secret| is_in_use(secret, "NotUsed")).await;
    world.until("b", |secret| is_in_use(secret, "Used")).await;
    let refused = world.client.delete_synced_secret(delete("b")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "SYNCED_SECRET_IN_USE");
}

#[tokio::test]
async fn a_watch_that_breaks_misses_nothing() {
    if !needs_the_double("a watch over uses that breaks") {
        return;
    }
    let mut world = made(&["a", "b"]).await;
    for (number, broken) in [Fault::WatchDrop, Fault::WatchExpired, refused(500)].into_iter().enumerate() {
        let verb = if matches!(broken, Fault::Status { .. }) { "list" } else { "watch" };
        world
            .cluster()
            .faults()
            .add(FaultRule { count: Some(2), ..fault(verb, "assetendpointprofiles", broken) });
        world
            .cluster()
            .faults()
            .add(FaultRule { count: Some(1), ..fault("watch", "assetendpointprofiles", Fault::WatchDrop) });
        let profile = format!("p-{number}");
        used(&mut world, &profile, "a").await;
        world.cluster().faults().clear();
        world.withdraws(PROFILE, &profile).await;
        until_usages_end(&mut world, "a").await;
    }
    assert!(is_in_use(&world.get("b").await, "NotUsed"), "what is known holds meanwhile");
}

#[tokio::test]
async fn a_kind_that_the_service_may_not_look_at_makes_uses_unknown_and_says_what_to_do() {
    let site = Site::start().await;
    users::install(&site.kube).await;
    let group = format!("t{}.example.com", uuid::Uuid::new_v4().simple());
    users::define(&site.kube, &users::definition(&group, "camera", "v1")).await;
    // A real cluster forbids what no role grants.
    if site.is_double() {
        site.cluster().faults().add(fault("list", "cameras", refused(403)));
    }
    let rule = format!("Camera.{group} spec.passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a", "b"], with_rules(&[rule])).await;
    let unknown = world.until("a", |secret| is_in_use(secret, "Unknown")).await;
    let condition = in_use(&unknown).unwrap();
    assert_eq!(condition.status(), Status::Unknown);
    for word in [&*format!("Camera.{group}"), "list and watch", "deploy/role.yaml"] {
        assert!(condition.message.contains(word), "{}", condition.message);
    }
    let unused = || UsedBy { unused: true, ..Default::default() };
    assert!(ids(&mut world, unused()).await.is_empty(), "nobody knows that it is unused");
    let refused = told(&world.client.delete_synced_secret(delete("a")).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "USAGES_UNKNOWN"));
    used(&mut world, "p", "b").await;
    let refused = told(&world.client.delete_synced_secret(delete("b")).await.unwrap_err());
    assert_eq!(refused.reason, "SYNCED_SECRET_IN_USE", "what is known is named");
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());

    // The right is given.
    if world.is_double() {
        world.cluster().faults().clear();
    }
    world.allows(&group).await;
    world.withdraws(PROFILE, "p").await;
    world.until("b", |secret| is_in_use(secret, "NotUsed")).await;
    assert_eq!(ids(&mut world, unused()).await, ["b"]);
    world.client.delete_synced_secret(delete("b")).await.unwrap();
}

#[tokio::test]
async fn kinds_that_come_and_go_are_followed_by_rules_of_the_configuration() {
    let site = Site::start().await;
    let group = format!("t{}.example.com", uuid::Uuid::new_v4().simple());
    site.allows(&group).await;
    let rule = format!("Camera.{group} spec.users[*].passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a"], with_rules(&[rule])).await;
    let (kind, cameras) = (format!("Camera.{group}"), users::definition(&group, "camera", "v1"));
    for _ in 0..2 {
        assert!(usages(&mut world, "a").await.is_empty());
        users::define(&world.kube, &cameras).await;
        world.applies(&kind, "front", json!({ "users": [{}, { "passwordSecretName": "a/password" }] })).await;
        let shown = until_usages(&mut world, "a", |usages| !usages.is_empty()).await;
        assert_eq!(
            (shown[0].field.as_str(), shown[0].key.as_str()),
            ("spec.users[1].passwordSecretName", "password")
        );
        users::undefine(&world.kube, &cameras).await;
        until_usages_end(&mut world, "a").await;
    }
    world.client.delete_synced_secret(delete("a")).await.unwrap();
}

#[tokio::test]
async fn a_kind_is_looked_at_in_the_version_that_its_group_prefers_whichever_that_is() {
    let site = Site::start().await;
    let group = format!("t{}.example.com", uuid::Uuid::new_v4().simple());
    site.allows(&group).await;
    let mut cameras = users::definition(&group, "camera", "v1");
    let newer = CustomResourceDefinitionVersion {
        name: "v2".to_owned(),
        storage: false,
        ..cameras.spec.versions[0].clone()
    };
    cameras.spec.versions.push(newer);
    users::define(&site.kube, &cameras).await;
    let rule = format!("Camera.{group} spec.passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a"], with_rules(&[rule])).await;
    world.applies(&format!("Camera.{group}"), "front", json!({ "passwordSecretName": "a/password" })).await;
    for (v2_is_served, wanted) in [(true, "v2"), (false, "v1"), (true, "v2")] {
        cameras.spec.versions[1].served = v2_is_served;
        users::define(&world.kube, &cameras).await;
        let wanted = format!("{group}/{wanted}");
        until_usages(&mut world, "a", |usages| usages.iter().any(|usage| usage.api_version == wanted)).await;
        assert!(is_in_use(&world.get("a").await, "Used"), "it is in use all the while");
    }
    users::undefine(&world.kube, &cameras).await;
}
