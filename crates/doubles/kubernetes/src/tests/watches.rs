//! Watches, with the kube client and as plain requests.

use std::{pin::pin, time::Duration};

use futures::{AsyncBufReadExt, StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    api::{WatchEvent, WatchParams},
    runtime::watcher,
};
use serde_json::{Value, json};

use super::{Fixture, path, secret};

async fn lines(fixture: &Fixture, query: &str) -> impl futures::Stream<Item = Value> + use<> {
    let request = http::Request::get(format!("{}?watch=1&{query}", path(""))).body(Vec::new()).unwrap();
    let lines = fixture.client().await.request_stream(request).await.unwrap().lines();
    lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap())
}

fn seen(event: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&event["type"]), text(&event["object"]["metadata"]["name"]))
}

#[tokio::test]
async fn a_watch_reports_changes_after_its_resource_version() {
    let fixture = Fixture::start().await;
    let (_, first) = fixture.post(&path(""), &secret("a", "one")).await;
    let version = first["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let secrets = fixture.secrets().await;
    let mut events = pin!(secrets.watch(&WatchParams::default(), &version).await.unwrap());
    fixture.post(&path(""), &secret("b", "one")).await;
    fixture.apply(&path("a"), "fieldManager=x&force=true", &secret("a", "two")).await;
    fixture.delete(&path("b"), "").await;
    let mut told = Vec::new();
    while told.len() < 3 {
        told.push(match events.try_next().await.unwrap().unwrap() {
            WatchEvent::Added(object) => ("ADDED", object.metadata.name.unwrap()),
            WatchEvent::Modified(object) => ("MODIFIED", object.metadata.name.unwrap()),
            WatchEvent::Deleted(object) => ("DELETED", object.metadata.name.unwrap()),
            other => panic!("{other:?}"),
        });
    }
    let expected = [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")];
    assert_eq!(told, expected.map(|(kind, name)| (kind, name.to_owned())));
}

#[tokio::test]
async fn the_kube_watcher_works_in_both_strategies() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = pin!(watcher(fixture.secrets().await, config));
        let mut initial = Vec::new();
        loop {
            match events.try_next().await.unwrap().unwrap() {
                watcher::Event::Init => {}
                watcher::Event::InitApply(object) => initial.push(object.metadata.name.unwrap()),
                watcher::Event::InitDone => break,
                _ => panic!("nothing changed yet"),
            }
        }
        assert_eq!(initial, ["a"]);
        fixture.post(&path(""), &secret("b", "one")).await;
        let event: watcher::Event<Secret> = events.try_next().await.unwrap().unwrap();
        assert!(
            matches!(event, watcher::Event::Apply(object) if object.metadata.name.as_deref() == Some("b"))
        );
        fixture.delete(&path("b"), "").await;
    }
}

#[tokio::test]
async fn initial_events_end_with_a_marked_bookmark() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    let query =
        "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&resourceVersion=";
    let events: Vec<Value> = lines(&fixture, query).await.take(2).collect().await;
    assert_eq!(seen(&events[0]), ("ADDED".to_owned(), "a".to_owned()));
    assert_eq!(events[1]["type"], "BOOKMARK");
    assert_eq!(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    let (code, _) = fixture.get(&format!("{}?watch=1&sendInitialEvents=true", path(""))).await;
    assert_eq!(code, 422);
}

#[tokio::test]
async fn an_object_that_stops_matching_is_deleted_for_the_watch() {
    let fixture = Fixture::start().await;
    let (_, list) = fixture.get(&path("")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let events = lines(&fixture, &format!("labelSelector=on&resourceVersion={version}")).await;
    fixture.post(&path(""), &secret("a", "one")).await;
    for labels in [json!({ "on": "1" }), json!({ "on": "2" }), json!({ "on": null })] {
        let patch = json!({ "metadata": { "labels": labels } }).to_string();
        fixture.raw("PATCH", &path("a"), "application/merge-patch+json", &patch).await;
    }
    let kinds: Vec<_> = events.take(3).map(|event| seen(&event).0).collect().await;
    assert_eq!(kinds, ["ADDED", "MODIFIED", "DELETED"]);
}

#[tokio::test]
async fn a_watch_from_before_the_history_gets_410() {
    let fixture = Fixture::start().await;
    let (_, list) = fixture.get(&path("")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let fixture = fixture.restart().await;
    let events: Vec<Value> = lines(&fixture, &format!("resourceVersion={version}")).await.collect().await;
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["type"], &events[0]["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert_eq!(events[0]["object"]["reason"], "Expired");
}

#[tokio::test]
async fn a_watch_ends_after_its_timeout() {
    let fixture = Fixture::start().await;
    let all = lines(&fixture, "timeoutSeconds=1").await.collect::<Vec<_>>();
    tokio::time::timeout(Duration::from_secs(5), all).await.unwrap();
}
