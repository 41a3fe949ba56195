//! Every operation and every error that a caller can provoke.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Answer, World};
use crate::Throttle;

#[tokio::test]
async fn a_set_secret_is_read_with_its_attributes_and_the_headers_of_key_vault() {
    let world = World::start().await;
    let body = json!({"value": "v", "contentType": "text/plain", "tags": {"a": "b"},
        "attributes": {"enabled": true, "nbf": 1_000, "exp": 2_000}});
    let set = world.send(Method::PUT, "secrets/Db-Password", Some(body)).await;
    assert_eq!(set.status, 200);

    let got = world.get("secrets/db-password").await;
    assert_eq!(got.body, set.body, "an expired secret is served, under the name as first spelled");
    let version = got.version().to_owned();
    assert!(version.len() == 32 && version.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(got.body["id"], format!("{}secrets/Db-Password/{version}", world.double.uri()));
    assert_eq!(got.body["value"], "v");
    assert_eq!(got.body["contentType"], "text/plain");
    assert_eq!(got.body["tags"], json!({"a": "b"}));
    let attributes = &got.body["attributes"];
    assert_eq!((&attributes["nbf"], &attributes["exp"]), (&json!(1_000), &json!(2_000)));
    assert_eq!(attributes["recoveryLevel"], "Recoverable+Purgeable");
    assert_eq!(attributes["recoverableDays"], 90);

    assert_eq!(got.header("content-type"), "application/json; charset=utf-8");
    assert_eq!(got.header("cache-control"), "no-cache");
    for name in ["date", "x-ms-request-id", "x-ms-keyvault-region", "x-ms-keyvault-service-version"] {
        assert!(!got.header(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn ids_and_links_contain_the_host_of_the_request() {
    let world = World::start().await;
    for name in ["a", "b"] {
        world.set(name, "v").await;
    }
    let port = world.double.uri().port().unwrap();
    let url = format!("https://localhost:{port}/secrets?api-version=7.4&maxresults=1");
    let page = Answer::of(world.http.get(url).bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!(page.body["value"][0]["id"], format!("https://localhost:{port}/secrets/a"));
    let next = page.body["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("https://localhost:{port}/secrets?api-version=7.4&$skiptoken=")));
}

#[tokio::test]
async fn both_versions_of_http_work() {
    let world = World::start().await;
    let one = super::client(&world.authority).http1_only().build().unwrap();
    let url = world.double.uri().join("secrets?api-version=7.6").unwrap();
    let version = |client: &reqwest::Client| {
        let request = client.get(url.clone()).bearer_auth(&world.token);
        async { request.send().await.unwrap().version() }
    };
    assert_eq!(version(&one).await, http::Version::HTTP_11);
    assert_eq!(version(&world.http).await, http::Version::HTTP_2);
}

#[tokio::test]
async fn a_second_set_adds_a_version_that_is_the_latest_even_within_the_same_second() {
    let world = World::start().await;
    let mut versions = Vec::new();
    for number in 0..30 {
        versions.push(world.set("a", &number.to_string()).await.version().to_owned());
    }
    assert_eq!(world.get("secrets/a/").await.body["value"], "29");
    assert_eq!(world.get(&format!("secrets/A/{}", versions[0])).await.body["value"], "0");

    let mut listed = Vec::new();
    let mut page = world.get("secrets/a/versions").await;
    loop {
        let items = page.body["value"].as_array().unwrap().clone();
        listed.extend(
            items.iter().map(|item| item["id"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()),
        );
        let Some(next) = page.body["nextLink"].as_str() else { break };
        assert_eq!(items.len(), 25);
        let request = world.http.get(next).bearer_auth(&world.token);
        page = Answer::of(request.send().await.unwrap()).await;
    }
    versions.sort();
    assert_eq!(listed, versions, "by id, which says nothing about age");
}

#[tokio::test]
async fn the_list_has_the_latest_versions_attributes_without_version_and_value() {
    let world = World::start().await;
    world.set("a", "1").await;
    let first = world.get("secrets").await.body["value"][0].clone();
    world.double.clock().advance(Duration::from_secs(60));
    let latest = world
        .send(Method::PUT, "secrets/a", Some(json!({"value": "2", "attributes": {"enabled": false}})))
        .await;

    let list = world.get("secrets").await;
    assert_eq!(list.body["nextLink"], Value::Null);
    let item = &list.body["value"][0];
    assert_eq!(item["id"], format!("{}secrets/a", world.double.uri()));
    assert_eq!(item["attributes"], latest.body["attributes"]);
    assert!(
        item["attributes"]["updated"].as_i64() >= first["attributes"]["updated"].as_i64().map(|at| at + 60)
    );
    assert!(item.get("value").is_none());
}

#[tokio::test]
async fn versions_of_an_unknown_name_are_an_empty_list() {
    let world = World::start().await;
    let list = world.get("secrets/nobody/versions").await;
    assert_eq!((list.status.as_u16(), &list.body), (200, &json!({"value": [], "nextLink": null})));
}

#[tokio::test]
async fn an_update_changes_only_the_fields_that_it_contains() {
    let world = World::start().await;
    let body = json!({"value": "v", "contentType": "old", "tags": {"a": "b"}, "attributes": {"exp": 2_000}});
    let set = world.send(Method::PUT, "secrets/a", Some(body)).await;
    world.double.clock().advance(Duration::from_secs(5));
    let path = format!("secrets/a/{}", set.version());
    let updated = world
        .send(Method::PATCH, &path, Some(json!({"contentType": "new", "attributes": {"enabled": false}})))
        .await;
    assert_eq!(updated.status, 200);
    assert!(updated.body.get("value").is_none());
    assert_eq!(updated.body["contentType"], "new");
    assert_eq!(updated.body["tags"], json!({"a": "b"}));
    assert_eq!(updated.body["attributes"]["exp"], 2_000);
    assert_eq!(updated.body["attributes"]["created"], set.body["attributes"]["created"]);
    assert_ne!(updated.body["attributes"]["updated"], set.body["attributes"]["updated"]);

    let refused = world.get("secrets/a").await;
    assert_eq!(refused.error(), (403, "Forbidden", "SecretDisabled"));
    let unknown = format!("secrets/a/{}", "0".repeat(32));
    assert_eq!(
        world.send(Method::PATCH, &unknown, Some(json!({}))).await.error(),
        (404, "SecretNotFound", "")
    );
}

#[tokio::test]
async fn missing_secrets_and_versions_are_not_found() {
    let world = World::start().await;
    world.set("a", "v").await;
    let missing = world.get("secrets/b").await;
    assert_eq!(missing.error(), (404, "SecretNotFound", ""));
    assert!(missing.message().starts_with("A secret with (name/id) b was not found in this key vault."));
    let version = world.get("secrets/a/00000000000000000000000000000000").await;
    assert!(version.message().contains("(name/id) a/00000000000000000000000000000000 was"));
    for answer in [
        world.delete("secrets/b").await,
        world.get("deletedsecrets/b").await,
        world.delete("deletedsecrets/b").await,
        world.send(Method::POST, "deletedsecrets/b/recover", None).await,
        world.send(Method::POST, "secrets/b/backup", None).await,
    ] {
        assert_eq!(answer.error(), (404, "SecretNotFound", ""));
    }
}

#[tokio::test]
async fn bad_requests_are_refused_and_change_nothing() {
    let world = World::start().await;
    let tags =
        |count: usize| (0..count).map(|tag| (tag.to_string(), json!("x"))).collect::<serde_json::Map<_, _>>();
    let bad = [
        json!({"value": "x".repeat(25_601)}),
        json!({"value": null}),
        json!({}),
        json!({"value": 7}),
        json!({"value": "v", "tags": tags(16)}),
        json!({"value": "v", "tags": {"a": "x".repeat(257)}}),
        json!({"value": "v", "tags": {"x".repeat(257): "a"}}),
        json!({"value": "v", "contentType": "x".repeat(256)}),
        json!({"value": "v", "attributes": {"exp": "tomorrow"}}),
    ];
    for body in bad {
        let answer = world.send(Method::PUT, "secrets/a", Some(body)).await;
        assert_eq!(answer.error(), (400, "BadParameter", ""));
    }
    assert_eq!(world.set("a_b", "v").await.message(), "The request URI contains an invalid name: a_b");
    assert_eq!(world.get("secrets?maxresults=26").await.error(), (400, "BadParameter", ""));
    assert_eq!(world.get("secrets?$skiptoken=forged").await.error(), (400, "BadParameter", ""));
    assert_eq!(world.get("secrets").await.body["value"], json!([]));

    let fits = json!({"value": "x".repeat(25_600), "tags": tags(15)});
    assert_eq!(world.send(Method::PUT, "secrets/a", Some(fits)).await.status, 200);
}

#[tokio::test]
async fn an_api_version_is_required_and_must_be_known() {
    let world = World::start().await;
    let status = async |query: &str| {
        let url = world.double.uri().join(&format!("secrets{query}")).unwrap();
        Answer::of(world.http.get(url).bearer_auth(&world.token).send().await.unwrap()).await
    };
    let known = ["2016-10-01", "7.0", "7.1", "7.2", "7.3", "7.4", "7.5", "7.6", "2025-07-01", "2026-04-01"];
    for version in known {
        assert_eq!(status(&format!("?api-version={version}")).await.status, 200, "{version}");
    }
    assert_eq!(status("").await.message(), "api-version must be specified");
    assert_eq!(status("?api-version=2015-06-01").await.error(), (400, "BadParameter", ""));
}

#[tokio::test]
async fn a_deleted_secret_can_be_seen_recovered_and_purged() {
    let world = World::start().await;
    world.set("Name", "1").await;
    world.set("Name", "2").await;
    let deleted = world.delete("secrets/name").await;
    assert_eq!(deleted.status, 200);
    assert_eq!(deleted.body["recoveryId"], format!("{}deletedsecrets/Name", world.double.uri()));
    let (date, purge) = (&deleted.body["deletedDate"], &deleted.body["scheduledPurgeDate"]);
    assert_eq!(purge.as_i64().unwrap() - date.as_i64().unwrap(), 90 * 24 * 3600);
    assert!(deleted.body.get("value").is_none());

    assert_eq!(world.get("secrets/name").await.error(), (404, "SecretNotFound", ""));
    assert_eq!(world.get("secrets").await.body["value"], json!([]));
    assert_eq!(world.get("deletedsecrets/NAME").await.body, deleted.body);
    let listed = world.get("deletedsecrets").await.body["value"][0].clone();
    assert_eq!(listed["id"], format!("{}secrets/Name", world.double.uri()));
    assert_eq!(listed["recoveryId"], deleted.body["recoveryId"]);
    let taken = world.set("NAME", "3").await;
    assert_eq!(taken.error(), (409, "Conflict", "ObjectIsDeletedButRecoverable"));

    let recovered = world.send(Method::POST, "deletedsecrets/name/recover", None).await;
    assert_eq!(recovered.status, 200);
    assert_eq!(world.get("secrets/name").await.body["value"], "2");
    assert_eq!(world.get("secrets/name/versions").await.body["value"].as_array().unwrap().len(), 2);

    world.delete("secrets/name").await;
    let purged = world.delete("deletedsecrets/name").await;
    assert_eq!((purged.status.as_u16(), &purged.body), (204, &Value::Null));
    assert_eq!(world.get("deletedsecrets/name").await.error(), (404, "SecretNotFound", ""));
    assert_eq!(world.set("name", "new").await.status, 200);
    assert_eq!(world.get("secrets/name/versions").await.body["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn during_a_transition_a_secret_is_neither_live_nor_deleted() {
    let mut world = World::start().await;
    let lasts = Duration::from_secs(600);
    world.double.configure(|settings| settings.transition_milliseconds = 600_000);
    world.set("a", "v").await;

    world.delete("secrets/a").await;
    assert_eq!(world.get("secrets/a").await.error(), (404, "SecretNotFound", ""));
    assert_eq!(world.get("deletedsecrets/a").await.error(), (404, "SecretNotFound", ""));
    assert_eq!(world.get("deletedsecrets").await.body["value"], json!([]));
    for answer in [
        world.set("a", "w").await,
        world.delete("deletedsecrets/a").await,
        world.send(Method::POST, "deletedsecrets/a/recover", None).await,
    ] {
        assert_eq!(answer.error(), (409, "Conflict", "ObjectIsBeingDeleted"));
    }

    world.double.clock().advance(lasts);
    assert_eq!(world.get("deletedsecrets/a").await.status, 200);
    world.send(Method::POST, "deletedsecrets/a/recover", None).await;
    assert_eq!(world.get("secrets/a").await.error(), (404, "SecretNotFound", ""));
    assert_eq!(world.set("a", "w").await.error(), (409, "Conflict", "ObjectIsBeingRecovered"));

    world.double.clock().advance(lasts);
    world.token = world.new_token().await;
    assert_eq!(world.get("secrets/a").await.body["value"], "v");
    world.delete("secrets/a").await;
    world.double.clock().advance(lasts);
    assert_eq!(world.delete("deletedsecrets/a").await.status, 204);
    assert_eq!(world.set("a", "w").await.error(), (409, "Conflict", "ObjectIsBeingDeleted"));
    world.double.clock().advance(lasts);
    assert_eq!(world.set("a", "w").await.status, 200);
}

#[tokio::test]
async fn a_backup_restores_all_versions_if_the_name_is_free_and_contains_no_value_in_the_clear() {
    let world = World::start().await;
    world.set("a", "canary-1").await;
    let latest = world.set("a", "canary-2").await;
    let backup = world.send(Method::POST, "secrets/a/backup", None).await;
    let blob = backup.body["value"].as_str().unwrap();
    let restore = || world.send(Method::POST, "secrets/restore", Some(json!({ "value": blob })));
    assert_eq!(restore().await.error(), (409, "Conflict", ""));

    world.delete("secrets/a").await;
    assert_eq!(restore().await.error(), (409, "Conflict", "ObjectIsDeletedButRecoverable"));
    world.delete("deletedsecrets/a").await;
    let restored = restore().await;
    assert_eq!((restored.status.as_u16(), restored.version()), (200, latest.version()));
    assert_eq!(world.get("secrets/a").await.body["value"], "canary-2");
    assert_eq!(world.get("secrets/a/versions").await.body["value"].as_array().unwrap().len(), 2);

    let damaged = json!({"value": blob.to_uppercase()});
    assert_eq!(
        world.send(Method::POST, "secrets/restore", Some(damaged)).await.error(),
        (400, "BadParameter", "")
    );
}

#[tokio::test]
async fn requests_over_the_rate_limit_are_throttled_and_counted() {
    let world = World::start().await;
    let throttle = Throttle { per_second: 0.001, burst: 2.0, retry_after_seconds: Some(7) };
    world.double.configure(|settings| settings.throttle = Some(throttle));
    for _ in 0..2 {
        assert_eq!(world.get("secrets").await.status, 200);
    }
    let refused = world.get("secrets").await;
    assert_eq!((refused.error(), refused.header("retry-after")), ((429, "Throttled", ""), "7"));
    world.double.configure(|settings| {
        settings.throttle = Some(Throttle { retry_after_seconds: None, ..throttle });
    });
    assert_eq!(world.get("secrets").await.header("retry-after"), "");
    assert_eq!(world.double.requests().throttled, 2);
}

#[tokio::test]
async fn requests_that_are_no_operation_are_refused() {
    let world = World::start().await;
    assert_eq!(world.get("keys/a").await.status, 404);
    assert_eq!(world.send(Method::POST, "secrets/a", None).await.status, 405);
    let oversize = world.send(Method::PUT, "secrets/a", Some(json!({"value": "x".repeat(9 << 20)}))).await;
    assert_eq!(oversize.status, 413);
}
