//! Which uses show, where, and what they lack.

use secret_service::proto::{
    DeleteSyncedSecretRequest, GetSyncedSecretRequest, SyncedSecretView, WatchSyncedSecretsRequest,
    condition::Status, watch_synced_secrets_response::Type,
};
use tokio::time::timeout;
use tonic::Code;

use super::*;

const DATAFLOW: &str = "DataflowEndpoint.connectivity.iotoperations.azure.com";

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

#[tokio::test]
async fn every_row_of_the_table_is_found_in_a_resource_of_its_kind() {
    let mut world = made(&[]).await;
    let table = include_str!("../../../crates/model/src/usage/rules.txt");
    let rows = table.lines().filter(|line| !line.starts_with('#') && line.contains(' '));
    let mut wanted = Vec::new();
    for (place, row) in rows.enumerate() {
        let words: Vec<_> = row.split(' ').collect();
        if words[2] == "FIXED" {
            continue;
        }
        let mut spec = json!(format!("row-{place}{}", if words[2] == "SECRET/KEY" { "/k" } else { "" }));
        let mut parts = words[1].split('.').skip(1).collect::<Vec<_>>().into_iter().rev();
        if let Some(beside) = words.get(3).and_then(|word| word.strip_prefix('@')) {
            spec = json!({ parts.next().unwrap(): spec, beside: "k" });
        }
        for part in parts {
            spec = match part.strip_suffix("[*]") {
                Some(list) => json!({ list: [spec] }),
                None if part == "**" => json!({ "template": { "containers": [spec] } }),
                None if part == "*" => json!({ "onvif-0": spec }),
                None => json!({ part: spec }),
            };
        }
        world.applies(words[0], &format!("resource-{place}"), spec).await;
        if words[2] == "OUTPUT" {
            continue;
        }
        let field =
            words[1].replace("[*]", "[0]").replace("**", "template.containers[0]").replace('*', "onvif-0");
        wanted.push((name(&format!("row-{place}")), format!("resource-{place}"), field, false));
    }
    for kind in [
        "ConnectorTemplate.akri.iotoperations.azure.com",
        "Instance.iotoperations.azure.com",
        "RegistryEndpoint.connectivity.iotoperations.azure.com",
    ] {
        let guess = format!("guess-{}", kind.split('.').next().unwrap().to_lowercase());
        world.applies(kind, &guess, json!({ "pull": [{ "secretRef": guess }] })).await;
        wanted.push((name(&guess), guess, "spec.pull[0].secretRef".to_owned(), true));
    }
    assert!(wanted.len() > 45);
    wanted.sort();
    let all = until_usages(&mut world, "-", |usages| usages.len() >= wanted.len()).await;
    assert!(all.iter().all(|usage| usage.secret_missing), "a broken reference is listed, too");
    let found =
        all.into_iter().map(|usage| (usage.synced_secret, usage.resource, usage.field, usage.guessed));
    assert_eq!(found.collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn a_missing_secret_or_key_of_a_use_is_reported_until_it_exists() {
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
async fn a_list_is_filtered_by_use_and_shows_the_uses_in_the_full_view() {
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
async fn pages_of_uses_neither_skip_nor_repeat() {
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
async fn a_watcher_sees_when_a_secret_becomes_used_and_unused() {
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
