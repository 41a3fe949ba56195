//! What a command says of what came of it: no success where the edge does not hold it yet, nothing left out or lost in silence.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    access,
    edge::secret_store::{SecretProviderClass, SecretSync},
};
use serde::Deserialize;
use serde_json::Value;

use super::{json, line, pipe, say, type_into};
use crate::support::{Options, Site, World, callers, written};

const PORTAL: &str = include_str!("../../../examples/made-by-the-portal.yaml");

/// A world with the two synced secrets that the portal made.
async fn with_what_the_portal_made() -> World {
    let mut site = Site::start().await;
    site.install_extension().await;
    for name in ["opc-username", "opc-password", "eventhub-connection"] {
        site.seed(name, "1").await;
    }
    let portal = PostParams { field_manager: Some("portal".to_owned()), ..PostParams::default() };
    // The vault of the test has no such version, and the namespace may be another.
    let yaml = PORTAL
        .replace("objectVersion: 0123456789abcdef0123456789abcdef", "")
        .replace("namespace: azure-iot-operations", &format!("namespace: {}", site.namespace));
    for document in serde_yaml_ng::Deserializer::from_str(&yaml) {
        let object = Value::deserialize(document).unwrap();
        match object["kind"].as_str().unwrap() {
            "SecretProviderClass" => {
                let class: SecretProviderClass = serde_json::from_value(object).unwrap();
                site.classes().create(&portal, &class).await.unwrap();
            }
            _ => {
                let sync: SecretSync = serde_json::from_value(object).unwrap();
                site.syncs().create(&portal, &sync).await.unwrap();
            }
        }
    }
    let mut world = World::start_on(site, Options::default()).await;
    for name in ["edp1secrets", "kafka1secrets"] {
        until_listed(&mut world, name).await;
    }
    world
}

async fn until_listed(world: &mut World, name: &str) {
    for _ in 0..1_200 {
        if say(world, &["secrets", "get", name]).await.code == Some(0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{name} is never listed");
}

async fn made_by_hand(world: &World, name: &str) {
    let mut secret = Secret::default();
    secret.metadata.name = Some(name.to_owned());
    secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn sync_all_syncs_managed_secrets_reports_skipped_ones_and_continues_after_a_failure() {
    let mut world = with_what_the_portal_made().await;
    for name in ["a", "b", "c"] {
        world.seed(name, "1").await;
        say(&world, &["secrets", "add", name, &format!("k={name}")]).await.ok();
    }
    let all = say(&world, &["secrets", "sync", "--all", "-o", "name"]).await;
    assert!(all.err.contains("skipped: edp1secrets, kafka1secrets (created by another tool"), "{all:?}");
    assert_eq!(all.ok(), "syncedSecrets/a\nsyncedSecrets/b\nsyncedSecrets/c\n");

    world.somebody.enables("a", false).await;
    world.somebody.sets("c", "2").await;
    let some = say(&world, &["secrets", "sync", "--all"]).await;
    assert!(some.out.contains("Degraded") && some.out.contains("Synced"), "{some:?}");
    let told = some.failed(9);
    assert!(told.contains("a is recorded, but degraded: "), "{told}");
    assert!(told.ends_with("error: 1 of 3 failed\n"), "{told}");
    world.until("c", |secret| secret.state == 2).await;
    assert_eq!(world.edge("c").await.unwrap()["k"], "2");

    // One that is refused does not hide one that the edge does not hold.
    let both = say(&world, &["secrets", "sync", "nowhere", "a", "b", "--wait", "2s"]).await.failed(3);
    assert!(both.contains("\"nowhere\"") && both.contains("a is recorded"), "{both}");
    assert!(both.ends_with("error: 2 of 3 failed\n"), "{both}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopt_waits_for_the_sync_and_fails_if_it_does_not_complete() {
    let world = World::start().await;
    world.seed("user", "operator").await;
    let adopt = |name: &'static str, more: &'static [&'static str]| {
        [&["secrets", "adopt", name, "--from", "username=user"], more].concat()
    };

    made_by_hand(&world, "waits").await;
    let validated = say(&world, &adopt("waits", &["--validate-only"])).await.ok();
    assert!(!validated.contains("Synced"), "{validated}");
    let adopted = say(&world, &adopt("waits", &[])).await.ok();
    assert!(adopted.contains("Synced"), "{adopted}");

    needs!(the_double);
    let refused = Fault::status(422, "Invalid");
    world.cluster().faults().add(FaultRule::new(refused).verb("patch").resource(written()));
    made_by_hand(&world, "fails").await;
    let failed = say(&world, &adopt("fails", &[])).await;
    assert!(failed.out.contains("fails"), "{failed:?}");
    let told = failed.failed(9);
    assert!(told.contains("fails is recorded, but ") && !told.contains("pending"), "{told}");

    world.cluster().faults().clear();
    world.cluster().faults().add(FaultRule::new(Fault::Hang).verb("patch").resource(written()));
    made_by_hand(&world, "hangs").await;
    let pending = say(&world, &adopt("hangs", &["--wait", "1s"])).await.failed(9);
    assert!(pending.contains("hangs is recorded, but pending: "), "{pending}");
    made_by_hand(&world, "unwaited").await;
    let unwaited = say(&world, &adopt("unwaited", &["--no-wait"])).await.ok();
    assert!(unwaited.contains("Pending"), "{unwaited}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_keeps_its_content_type_and_tags_and_drops_no_date_silently() {
    let world = World::start().await;
    let held = async || {
        let list = json(&world, &["vault", "list", "--contains", "v", "-o", "json"]).await;
        list["vaultSecrets"][0].clone()
    };
    let rotate = async |more: &[&str]| {
        // The vault counts seconds: of two versions in one, nobody can say which is the latest.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        let rotate = ["vault", "rotate", "v", "--value-file", "-"];
        pipe(&world, "new", &[rotate.as_slice(), more].concat()).await
    };
    let tags = |held: &Value| {
        let mut tags: Vec<_> = held["tags"].as_object().unwrap().keys().cloned().collect();
        tags.retain(|key| key != "secret-service");
        // A map of the wire has no order.
        tags.sort();
        tags
    };
    let create = ["vault", "create", "v", "--value-file", "-", "--content-type", "text/plain"];
    let more = ["--expires", "2031-01-02T03:04:05Z", "--not-before", "2026-01-01T00:00:00Z"];
    let tagged = ["--tag", "line=4", "--tag", "draft=yes"];
    pipe(&world, "old", &[create.as_slice(), &more, &tagged].concat()).await.ok();

    // What is kept, and what is told of what is not.
    let told = rotate(&[]).await;
    for words in ["expires at 2031-01-02T03:04:05Z", "2026-01-01T00:00:00Z", "--keep-dates", "--expires"] {
        assert!(told.err.contains(words), "{words}: {told:?}");
    }
    told.ok();
    assert_eq!(world.somebody.reads("v").await, "new");
    let now = held().await;
    assert_eq!(
        (now["contentType"].as_str(), tags(&now)),
        (Some("text/plain"), vec!["draft".into(), "line".into()])
    );
    assert_eq!(now.get("expireTime"), None, "{now}");

    // Flags change what is kept; what is set or kept is not told.
    let changed =
        rotate(&["--expires", "2032-01-01T00:00:00Z", "--tag", "line=5", "--remove-tag", "draft"]).await;
    assert_eq!(changed.err, "");
    changed.ok();
    let kept = rotate(&["--keep-dates", "--content-type", ""]).await;
    assert_eq!(kept.err, "");
    kept.ok();
    let now = held().await;
    assert_eq!((now["expireTime"].as_str(), tags(&now)), (Some("2032-01-01T00:00:00Z"), vec!["line".into()]));
    assert_eq!((now["tags"]["line"].as_str(), now.get("contentType")), (Some("5"), None));
    let wrong = rotate(&["--remove-tag", "draft"]).await.failed(2);
    assert!(wrong.contains("no such tag"), "{wrong}");

    // A time that is over is not kept: nothing could be synced.
    let past = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1);
    world.somebody.expires("v", past).await;
    let over = rotate(&["--keep-dates"]).await.failed(2);
    assert!(over.contains("expired at") && over.contains("--expires"), "{over}");
    rotate(&["--keep-nothing"]).await.ok();
    let now = held().await;
    assert_eq!((tags(&now), now.get("expireTime")), (vec![], None));
    rotate(&["--remove-tag", "a", "--keep-nothing"]).await.failed(2);
    let missing = say(&world, &["vault", "rotate", "nowhere", "--value-file", "-"]).await;
    missing.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_of_a_vault_secret_change_at_the_command_line_and_a_deleted_one_comes_back() {
    let world = World::start().await;
    let create = ["vault", "create", "v", "--value-file", "-", "--tag", "line=4", "--tag", "draft=yes"];
    pipe(&world, "old", &create).await.ok();
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();
    let update = async |more: &[&str]| say(&world, &[&["vault", "update", "v"], more].concat()).await;
    update(&["--tag", "line=5", "--remove-tag", "draft", "--content-type", "text/plain"]).await.ok();
    let held = async || {
        let listed = json(&world, &["vault", "list", "-o", "json"]).await;
        listed["vaultSecrets"][0].clone()
    };
    let now = held().await;
    assert_eq!((now["tags"]["line"].as_str(), now["contentType"].as_str()), (Some("5"), Some("text/plain")));
    assert_eq!(now["tags"].get("draft"), None, "{now}");

    // What is about to be disabled is told with who refers to it.
    let disabled = update(&["--disable"]).await;
    assert!(disabled.err.contains("warning: referred to by a:"), "{disabled:?}");
    disabled.ok();
    assert_eq!(held().await.get("enabled"), None);
    update(&["--enable"]).await.ok();
    assert_eq!(held().await["enabled"], true);
    update(&[]).await.failed(2);
    update(&["--remove-tag", "draft"]).await.failed(2);
    update(&["--version", &"0".repeat(32), "--disable"]).await.failed(3);

    say(&world, &["vault", "recover", "v"]).await.failed(5);
    world.somebody.deletes("v").await;
    say(&world, &["vault", "recover", "v"]).await.ok();
    assert_eq!(world.somebody.reads("v").await, "old");
    say(&world, &["vault", "recover", "nowhere"]).await.failed(3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_sends_an_etag_and_is_reported_only_when_confirmed() {
    let tokens = access::TokenOptions {
        audience: callers::AUDIENCE.to_owned(),
        life: Duration::from_secs(60),
        ..access::TokenOptions::default()
    };
    let access = access::Options { tokens: Some(tokens), ..access::Options::local_only() };
    let world = World::start_with(Options { access, ..Options::default() }).await;
    world.account("deleter", &["syncedsecrets"], &["delete"], &[]).await;
    let token = world.token("deleter", callers::AUDIENCE).await;
    world.seed("v", "1").await;
    for name in ["a", "b"] {
        say(&world, &["secrets", "add", name, "k=v"]).await.ok();
    }
    let seen = json(&world, &["secrets", "get", "a", "-o", "json"]).await;
    let etag = seen["etag"].as_str().unwrap();
    say(&world, &["secrets", "update", "a", "--description", "newer"]).await.ok();
    say(&world, &["secrets", "delete", "a", "--yes", "--etag", etag]).await.failed(8);
    assert!(world.edge("a").await.is_some());
    say(&world, &["secrets", "delete", "a", "b", "--yes", "--etag", etag]).await.failed(2);

    // Who may not look can't say that it is gone.
    let mut command = line(&world.address().to_string(), &["secrets", "delete", "a", "--yes"]);
    command.env("SECRET_SERVICE_TOKEN", &token);
    let blind = type_into(command, "").await;
    assert_eq!(blind.out, "a is being deleted\n");
    let told = blind.failed(9);
    assert!(told.contains("a is recorded, but its state is unknown: "), "{told}");
    assert!(world.edge("a").await.is_none());
    assert_eq!(say(&world, &["secrets", "delete", "b", "--yes"]).await.ok(), "b deleted\n");
}
