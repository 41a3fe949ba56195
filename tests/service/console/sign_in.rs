//! What the page knows before anybody has signed in, and where it may connect to sign in.

use std::time::Duration;

use secret_service::{
    access::{self, IssuerOptions},
    api::{PublicClient, TokenKind},
};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::*;
use crate::{
    access::locked,
    support::{
        callers::AUDIENCE,
        issuer::{CLIENT, Issuer},
    },
};

fn public_client() -> PublicClient {
    let scopes = ["openid", "profile"].map(str::to_owned).to_vec();
    PublicClient { client_id: CLIENT.to_owned(), scopes, token: TokenKind::Id }
}

/// A world where people sign in at an issuer.
async fn with_issuer(issuer: &Issuer, change: impl FnOnce(&mut access::TokenOptions)) -> World {
    with_console(|options| {
        options.access = locked();
        options.console = Some(ConsoleOptions { client: Some(public_client()) });
        let tokens = options.access.tokens.as_mut().unwrap();
        tokens.issuer = Some(IssuerOptions {
            ca_file: Some(issuer.ca_file()),
            fetch_pause: Duration::from_millis(50),
            ..IssuerOptions::new(issuer.url().to_owned(), vec![CLIENT.to_owned()])
        });
        change(tokens);
    })
    .await
}

async fn settings(world: &World) -> Value {
    let [client, _] = both();
    let answer = read(client.get(url(world, "/console.json"))).await;
    assert_eq!(answer.header("content-type"), "application/json");
    serde_json::from_slice(&answer.body).unwrap()
}

/// Where the page may connect.
async fn connectable(world: &World) -> String {
    let [client, _] = both();
    let page = open(&client, world, "/").await;
    page.header("content-security-policy").rsplit_once("; connect-src ").unwrap().1.to_owned()
}

fn origin(issuer: &Issuer) -> String {
    issuer.url().strip_suffix("/tenant/v2.0").unwrap().to_owned()
}

#[tokio::test]
async fn callers_on_this_machine_need_nothing() {
    let world = with_console(|_| ()).await;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        settings(&world).await,
        json!({ "version": version, "authentication": { "kinds": ["anonymous"] } })
    );
    assert_eq!(connectable(&world).await, "'self'");
}

#[tokio::test]
async fn tokens_of_the_cluster_come_with_their_audience() {
    let world = with_console(|options| options.access = locked()).await;
    let expected = json!({ "kinds": ["token"], "token": { "audience": AUDIENCE } });
    assert_eq!(settings(&world).await["authentication"], expected);
}

#[tokio::test]
async fn people_sign_in_at_the_issuer_and_the_page_may_connect_to_it() {
    let issuer = Issuer::start();
    let world = with_issuer(&issuer, |tokens| tokens.of_cluster = false).await;
    let expected = json!({
        "kinds": ["oidc"],
        "oidc": { "issuer": issuer.url(), "client_id": CLIENT, "scopes": ["openid", "profile"], "token": "id" }
    });
    assert_eq!(settings(&world).await["authentication"], expected);
    assert_eq!(connectable(&world).await, format!("'self' {}", origin(&issuer)));
}

#[tokio::test]
async fn an_issuer_without_a_client_for_the_page_is_no_way_to_sign_in() {
    let issuer = Issuer::start();
    let world = with_console(|options| {
        options.access = locked();
        let issuer = IssuerOptions::new(issuer.url().to_owned(), vec![CLIENT.to_owned()]);
        options.access.tokens.as_mut().unwrap().issuer = Some(issuer);
    })
    .await;
    assert_eq!(settings(&world).await["authentication"]["kinds"], json!(["token"]));
    assert_eq!(connectable(&world).await, "'self'");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn the_page_may_connect_to_a_token_endpoint_elsewhere_from_the_first_load() {
    let issuer = Issuer::start();
    issuer.discover(json!({ "token_endpoint": "https://tokens.example:8443/oauth2/token" }));
    let world = with_issuer(&issuer, |_| ()).await;
    let both = format!("'self' {} https://tokens.example:8443", origin(&issuer));
    for _ in 0..3 {
        assert_eq!(connectable(&world).await, both);
    }
    assert_eq!(issuer.fetches(), 1, "the keys are fetched with it, once for all");
}

#[tokio::test]
async fn the_page_may_connect_to_the_token_endpoint_of_an_issuer_without_usable_keys() {
    let issuer = Issuer::start();
    issuer.discover(json!({ "token_endpoint": "https://tokens.example/" }));
    issuer.list(r#"{ "keys": [] }"#);
    let world = with_issuer(&issuer, |_| ()).await;
    assert_eq!(connectable(&world).await, format!("'self' {} https://tokens.example", origin(&issuer)));
}

#[tokio::test]
async fn an_issuer_adds_nothing_but_an_origin_to_the_policy() {
    for endpoint in [
        "https://a;script-src'unsafe-inline'/",
        "http://tokens.example/",
        "javascript:alert(1)",
        "https://*/",
        "x",
    ] {
        let issuer = Issuer::start();
        issuer.discover(json!({ "token_endpoint": endpoint }));
        let world = with_issuer(&issuer, |_| ()).await;
        assert_eq!(connectable(&world).await, format!("'self' {}", origin(&issuer)), "{endpoint}");
    }
}

#[tokio::test]
async fn the_page_waits_a_moment_for_a_silent_issuer_and_changes_its_tag_with_the_policy() {
    let issuer = Issuer::start();
    issuer.discover(json!({ "token_endpoint": "https://tokens.example/" }));
    issuer.slow_down(Duration::from_secs(4));
    let world = with_issuer(&issuer, |_| ()).await;
    let [client, _] = both();
    let begun = Instant::now();
    let first = open(&client, &world, "/").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert!(!first.header("content-security-policy").contains("tokens.example"));
    issuer.slow_down(Duration::ZERO);
    crate::support::until_so("the policy names the endpoint", async || {
        connectable(&world).await.contains("https://tokens.example")
    })
    .await;
    // A browser that keeps the headers of its copy would keep the old policy.
    let again = read(client.get(url(&world, "/")).header("if-none-match", first.header("etag"))).await;
    assert_eq!(again.status, StatusCode::OK);
}
