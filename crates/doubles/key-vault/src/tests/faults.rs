//! Every fault, and the control endpoints.

use std::time::{Duration, Instant};

use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::{Answer, World};
use crate::{Fault, FaultRule, OnOperation, Operation, VaultFault};

#[tokio::test]
async fn an_error_status_is_answered_as_many_times_as_its_rule_says() {
    let world = World::start().await;
    let fault = Fault::retry_after(503, "ServiceUnavailable", Duration::from_secs(3));
    world.double.faults().add(FaultRule::new(fault).on(Operation::SecretList).times(2));
    assert_eq!(world.set("a", "v").await.status, 200);
    for _ in 0..2 {
        let answer = world.get("secrets").await;
        assert_eq!(answer.error(), (503, "ServiceUnavailable", ""));
        assert_eq!(answer.header("retry-after"), "3");
    }
    assert_eq!(world.get("secrets").await.status, 200);
    assert_eq!(world.double.requests().of(Operation::SecretList), 3);
}

#[tokio::test]
async fn a_fault_before_the_write_prevents_it_and_a_fault_after_it_loses_only_the_answer() {
    let world = World::start().await;
    let rule = || FaultRule::new(Fault::status(500, "InternalServerError")).on(Operation::SecretSet).times(1);
    world.double.faults().add(rule());
    assert_eq!(world.set("a", "v").await.status, 500);
    assert_eq!(world.get("secrets/a").await.status, 404);
    world.double.faults().add(rule().after());
    assert_eq!(world.set("a", "v").await.status, 500);
    assert_eq!(world.get("secrets/a").await.body["value"], "v");
}

#[tokio::test]
async fn a_403_says_whether_the_role_or_the_firewall_is_why() {
    let world = World::start().await;
    world.double.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).named("A").times(1));
    let answer = world.get("secrets/a").await;
    assert_eq!(answer.error(), (403, "Forbidden", "ForbiddenByRbac"));
    assert!(answer.message().contains("vaults/secrets/getSecret/action"));
    world.double.faults().add(FaultRule::new(VaultFault::ForbiddenByFirewall));
    assert_eq!(world.get("secrets").await.error(), (403, "Forbidden", "ForbiddenByFirewall"));
    world.double.faults().clear();
    assert_eq!(world.get("secrets").await.status, 200);
}

#[tokio::test]
async fn a_hanging_request_lasts_until_the_client_gives_up_or_the_double_stops() {
    let world = World::start().await;
    world.double.faults().add(FaultRule::new(Fault::Hang).after());
    let request = || world.request(Method::PUT, "secrets/a").json(&json!({"value": "v"}));
    let given_up = request().timeout(Duration::from_millis(100)).send().await.unwrap_err();
    assert!(given_up.is_timeout());
    world.double.faults().clear();
    assert_eq!(world.get("secrets/a").await.body["value"], "v");

    world.double.faults().add(FaultRule::new(Fault::Hang));
    let hanging = tokio::spawn(request().send());
    while world.double.requests().of(Operation::SecretSet) < 2 {
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    world.double.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5));
    let _ = hanging.await.unwrap();
}

#[tokio::test]
async fn a_client_that_gives_up_does_not_undo_a_write() {
    let world = World::start().await;
    let delay = Fault::latency(Duration::from_secs(60));
    world.double.faults().add(FaultRule::new(delay).on(Operation::SecretSet).after());
    let request = world.request(Method::PUT, "secrets/a").json(&json!({"value": "v"}));
    assert!(request.timeout(Duration::from_millis(200)).send().await.unwrap_err().is_timeout());
    assert_eq!(world.get("secrets/a").await.body["value"], "v");
}

#[tokio::test]
async fn latency_delays_the_true_answer() {
    let world = World::start().await;
    let delay = Fault::latency(Duration::from_millis(60));
    world.double.faults().add(FaultRule::new(delay).on(Operation::SecretSet));
    let started = Instant::now();
    assert_eq!(world.set("a", "v").await.body["value"], "v");
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn latency_slows_the_vault_and_not_the_token_endpoint() {
    let world = World::start().await;
    world.double.configure(|settings| settings.latency_milliseconds = 60);
    let started = Instant::now();
    world.get("secrets").await;
    assert!(started.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn a_connection_breaks_within_the_body_over_both_versions_of_http() {
    let mut world = World::start().await;
    world.set("a", "v").await;
    world.double.faults().add(FaultRule::new(Fault::ResetMidBody).on(Operation::SecretGet).after());
    for client in [super::client(&world.authority).http1_only(), super::client(&world.authority)] {
        world.http = client.build().unwrap();
        let response = world.request(Method::GET, "secrets/a").send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());
    }
}

#[tokio::test]
async fn a_connection_breaks_without_an_answer_over_both_versions_of_http() {
    let mut world = World::start().await;
    world.double.faults().add(FaultRule::new(Fault::Reset).on(Operation::SecretSet).after());
    for client in [super::client(&world.authority).http1_only(), super::client(&world.authority)] {
        world.http = client.build().unwrap();
        let request = world.request(Method::PUT, "secrets/a").json(&json!({"value": "v"}));
        let error = request.send().await.unwrap_err();
        assert!(error.is_request() && !error.is_timeout(), "{error:?}");
        assert_eq!(world.get("secrets/a").await.body["value"], "v");
    }
}

#[tokio::test]
async fn bodies_can_be_truncated_malformed_or_html() {
    let world = World::start().await;
    world.set("a", "v").await;
    for (fault, kind) in [
        (Fault::TruncatedBody, "application/json; charset=utf-8"),
        (Fault::MalformedJson, "application/json; charset=utf-8"),
        (Fault::HtmlPage, "text/html; charset=utf-8"),
    ] {
        world.double.faults().add(FaultRule::new(fault).times(1).after());
        let response = world.request(Method::GET, "secrets/a").send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
        let bytes = response.bytes().await.unwrap();
        assert!(!bytes.is_empty() && serde_json::from_slice::<Value>(&bytes).is_err());
    }
}

#[tokio::test]
async fn next_links_can_loop_or_lead_to_another_host() {
    let world = World::start().await;
    world.set("a", "v").await;
    world.double.faults().add(FaultRule::new(VaultFault::PageLoop).times(2));
    let first = world.get("secrets").await;
    assert_eq!(first.body["value"].as_array().unwrap().len(), 1);
    let next = first.body["nextLink"].as_str().unwrap();
    let second = Answer::of(world.http.get(next).bearer_auth(&world.token).send().await.unwrap()).await;
    assert_eq!(second.body, first.body);

    let elsewhere = VaultFault::ForeignNextLink { authority: "vault.example.net".to_owned() };
    world.double.faults().add(FaultRule::new(elsewhere));
    let link = world.get("secrets").await.body["nextLink"].as_str().unwrap().to_owned();
    assert!(link.starts_with("https://vault.example.net/secrets?"));
}

#[tokio::test]
async fn a_token_can_be_made_to_have_expired() {
    let world = World::start().await;
    world.double.faults().add(FaultRule::new(VaultFault::ExpiredToken).times(1));
    let answer = world.get("secrets").await;
    assert_eq!(answer.error(), (401, "Unauthorized", ""));
    assert!(answer.header("www-authenticate").contains(&world.double.credential().tenant_id));
    assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn the_token_endpoint_fails_only_where_it_is_named() {
    let world = World::start().await;
    world.double.faults().add(FaultRule::new(Fault::status(500, "Any")));
    world.new_token().await;
    world.double.faults().add(FaultRule::new(Fault::status(503, "Down")).on(Operation::Token).times(1));
    assert_eq!(world.token_request(&[]).await.status, 503);
    world.new_token().await;
}

#[tokio::test]
async fn the_control_endpoints_require_the_client_secret() {
    let world = World::start().await;
    let credential = world.double.credential();
    let secret = credential.secret.expose_secret();
    let url = |path: &str| world.double.uri().join(&format!(".double/{path}")).unwrap();
    let call = async |method: Method, path: &str, body: Value| {
        let request = world.http.request(method, url(path)).header("x-double-key", secret).json(&body);
        Answer::of(request.send().await.unwrap()).await
    };
    assert_eq!(world.http.get(url("faults")).send().await.unwrap().status(), 401);
    let basic = world.http.get(url("faults")).basic_auth(&credential.client_id, Some(secret));
    assert_eq!(basic.send().await.unwrap().status(), 200);

    let rule = json!({"match": {"operation": "SecretList"}, "fault": {"kind": "forbiddenByRbac"}});
    let set = call(Method::PUT, "faults", json!([rule])).await;
    assert_eq!(set.body[0]["fault"]["kind"], "forbiddenByRbac");
    assert_eq!(world.get("secrets").await.status, 403);
    let added = call(Method::POST, "faults", json!({"fault": {"kind": "hang"}})).await;
    let id = added.body["id"].as_u64().unwrap();
    assert_eq!(call(Method::DELETE, &format!("faults/{id}"), Value::Null).await.status, 204);
    assert_eq!(call(Method::GET, "faults", Value::Null).await.body.as_array().unwrap().len(), 1);
    assert_eq!(call(Method::DELETE, "faults", Value::Null).await.status, 204);
    assert_eq!(world.get("secrets").await.status, 200);
    assert_eq!(call(Method::POST, "faults", json!({"fault": {"kind": "no such"}})).await.status, 422);

    let settings = json!({"throttle": {"perSecond": 1.0, "burst": 0.0}});
    assert_eq!(call(Method::PUT, "settings", settings).await.body["tokenLifetimeSeconds"], 3600);
    assert_eq!(world.get("secrets").await.status, 429);
    let counts = call(Method::GET, "requests", Value::Null).await;
    assert_eq!(counts.body["operations"]["SecretList"], 3);
    assert_eq!(call(Method::POST, "clock", json!({"advanceSeconds": 7200})).await.status, 204);
    assert_eq!(world.get("secrets").await.status, 401);
}
