//! Fault rules.

use std::time::{Duration, Instant};

use futures::{AsyncBufReadExt, StreamExt};
use kube::api::PostParams;
use serde_json::json;

use super::{Fixture, path, secret};
use crate::{ClusterFault, Fault, FaultRule, OnResource, Phase};

#[tokio::test]
async fn an_error_status_is_answered_as_many_times_as_its_rule_says() {
    let fixture = Fixture::start().await;
    let fault = Fault::retry_after(503, "ServiceUnavailable", Duration::from_secs(7));
    fixture.cluster.faults().add(FaultRule::new(fault).verb("get").named("a").times(1));
    let (code, status) = fixture.get(&path("a")).await;
    assert_eq!((code, &status["details"]["retryAfterSeconds"]), (503, &json!(7)));
    assert_eq!(fixture.get(&path("a")).await.0, 404);
}

#[tokio::test]
async fn an_answer_can_be_lost_after_the_write() {
    let fixture = Fixture::start().await;
    let rule = FaultRule::new(Fault::Reset).verb("create").resource("secrets").times(1).after();
    fixture.cluster.faults().add(rule);
    let object = serde_json::from_value(secret("a", "one")).unwrap();
    assert!(fixture.secrets().await.create(&PostParams::default(), &object).await.is_err());
    assert_eq!(fixture.get(&path("a")).await.0, 200);
}

#[tokio::test]
async fn answers_can_be_late_or_never_come() {
    let fixture = Fixture::start().await;
    fixture.cluster.faults().add(FaultRule::new(Fault::latency(Duration::from_millis(100))));
    let begun = Instant::now();
    fixture.get(&path("")).await;
    assert!(begun.elapsed() >= Duration::from_millis(100));
    fixture.cluster.faults().replace(vec![FaultRule::new(Fault::Hang)]);
    let client = fixture.secrets().await;
    assert!(tokio::time::timeout(Duration::from_millis(200), client.get("a")).await.is_err());
    fixture.cluster.stop().await;
}

#[tokio::test]
async fn open_watches_fall_silent_expire_and_drop() {
    let fixture = Fixture::start().await;
    let (_, list) = fixture.get(&path("")).await;
    let version = list["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let uri = format!("{}?watch=1&resourceVersion={version}", path(""));
    let open = async || {
        let request = http::Request::get(&uri).body(Vec::new()).unwrap();
        fixture.client().await.request_stream(request).await.unwrap().lines()
    };
    let faults = fixture.cluster.faults();
    let mut events = open().await;
    faults.add(FaultRule::new(ClusterFault::WatchSilent));
    fixture.post(&path(""), &secret("a", "one")).await;
    assert!(tokio::time::timeout(Duration::from_millis(200), events.next()).await.is_err());
    faults.clear();
    assert!(events.next().await.unwrap().unwrap().contains("ADDED"));
    faults.add(FaultRule::new(ClusterFault::WatchDrop).times(1));
    assert!(events.next().await.is_none());
    let mut events = open().await;
    assert!(events.next().await.unwrap().unwrap().contains("ADDED"));
    faults.add(FaultRule::new(ClusterFault::WatchExpired).times(1));
    assert!(events.next().await.unwrap().unwrap().contains("\"code\":410"));
    assert!(events.next().await.is_none());
    // The version from before is now too old for every watch.
    assert!(open().await.next().await.unwrap().unwrap().contains("\"code\":410"));
}

#[tokio::test]
async fn bodies_can_be_truncated_malformed_or_of_another_type() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    for phase in [Phase::Before, Phase::After] {
        for fault in [Fault::TruncatedBody, Fault::MalformedJson, Fault::HtmlPage] {
            fixture.cluster.faults().add(FaultRule { phase, ..FaultRule::new(fault).times(1) });
            let (code, body) = fixture.get(&path("a")).await;
            assert!(code == 200 && body.is_string(), "{phase:?}: not JSON: {body}");
        }
        fixture.cluster.faults().add(FaultRule { phase, ..FaultRule::new(Fault::ResetMidBody).times(1) });
        let broken = fixture.secrets().await.get("a").await;
        assert!(broken.is_err(), "{phase:?}: {broken:?}");
    }
    assert_eq!(fixture.get(&path("a")).await.1["metadata"]["name"], "a");
}

#[tokio::test]
async fn a_truncated_watch_does_not_wait_for_the_end_of_the_watch() {
    let fixture = Fixture::start().await;
    fixture.cluster.faults().add(FaultRule::new(Fault::TruncatedBody).verb("watch").after());
    let uri = format!("{}?watch=1&timeoutSeconds=60", path(""));
    let answer = tokio::time::timeout(Duration::from_secs(10), fixture.get(&uri)).await;
    assert!(answer.is_ok_and(|(code, body)| code == 200 && body.is_string()));
}

#[tokio::test]
async fn fault_rules_can_be_listed_added_replaced_and_removed_over_the_wire_by_the_admin() {
    let fixture = Fixture::start().await;
    let gone = json!({ "match": { "verb": "list" }, "fault": { "kind": "namespaceGone" } });
    let (code, replaced) = fixture.put("/.double/faults", &json!([gone])).await;
    assert_eq!((code, &replaced[0]["fault"]["kind"]), (200, &json!("namespaceGone")), "{replaced}");
    assert_eq!(fixture.get(&path("")).await.1["details"]["kind"], "namespaces");

    let hang =
        json!({ "match": { "verb": "get", "resource": "secrets" }, "times": 1, "fault": { "kind": "hang" } });
    let (code, added) = fixture.post("/.double/faults", &hang).await;
    assert_eq!((code, &added["match"], &added["times"]), (200, &hang["match"], &json!(1)));
    let listed = fixture.get("/.double/faults").await.1;
    assert_eq!((listed.as_array().unwrap().len(), &listed[1]), (2, &added));

    let own = format!("/.double/faults/{}", added["id"]);
    assert_eq!(fixture.delete(&own, "").await.0, 204);
    assert_eq!(fixture.delete(&own, "").await.0, 404);
    assert_eq!(fixture.delete("/.double/faults", "").await.0, 204);
    assert_eq!(fixture.get(&path("")).await.0, 200);

    let unknown = json!({ "fault": { "kind": "forbiddenByRbac" } });
    assert_eq!(fixture.post("/.double/faults", &unknown).await.0, 422, "a fault of the vault's");
    assert_eq!(fixture.get("/.double/nothing").await.0, 404);
}
