//! Tokens of an OpenID Connect issuer: who they let in, and that the cluster decides what for.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    access::{self, IssuerOptions},
    proto::*,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{REMEMBERED, locked, world_with};
use crate::support::{
    Options, PATIENCE, World,
    callers::{AUDIENCE, BOTH, LOOKING, client},
    issuer::{CLIENT, Issuer, SigningKey, now},
    requests::*,
};

/// How the service verifies tokens of this issuer.
fn trusting(issuer: &Issuer) -> IssuerOptions {
    IssuerOptions {
        ca_file: Some(issuer.ca_file()),
        ..IssuerOptions::new(issuer.url().to_owned(), vec![CLIENT.to_owned()])
    }
}

/// A locked world that trusts an issuer, too, where `oidc:ada` and `oidc:line-1` may look.
async fn world(issuer: &Issuer, change: impl FnOnce(&mut access::TokenOptions)) -> World {
    ruled_world(issuer, &[], change).await
}

/// The same, with rules for names.
async fn ruled_world(
    issuer: &Issuer,
    rules: &[&str],
    change: impl FnOnce(&mut access::TokenOptions),
) -> World {
    let mut options = Options { access: locked(), ..Options::default() };
    options.access.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let tokens = options.access.tokens.as_mut().unwrap();
    tokens.issuer = Some(trusting(issuer));
    change(tokens);
    let world = world_with(options).await;
    for subject in ["oidc:ada", "oidc:line-1"] {
        world.grant(subject, &BOTH, &LOOKING, &[]).await;
    }
    world
}

async fn list_as(world: &World, token: &str) -> Result<(), Told> {
    let answer =
        world.caller(Some(token)).await.list_synced_secrets(ListSyncedSecretsRequest::default()).await;
    answer.map(|_| ()).map_err(|status| told(&status))
}

async fn let_in(world: &World, token: &str) {
    list_as(world, token).await.unwrap_or_else(|told| panic!("{}", told.message));
}

/// How a token is refused.
async fn refused(world: &World, token: &str) -> (Code, String, String) {
    let told = list_as(world, token).await.expect_err("it is let in");
    assert!(!told.message.contains(token) && !told.message.contains("canary"), "{}", told.message);
    (told.code, told.reason, told.message)
}

#[tokio::test]
async fn a_token_of_the_issuer_is_allowed_what_the_cluster_grants_its_user_or_group() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |_| {}).await;
    let before = world.cluster().requests().of("create", "tokenreviews");
    let_in(&world, &issuer.token("ada", &[])).await;
    let_in(&world, &issuer.token("grace", &["line-1"])).await;
    assert_eq!(world.cluster().requests().of("create", "tokenreviews"), before, "nobody else sees the token");
    let (code, reason, message) = refused(&world, &issuer.token("eve", &["line-2"])).await;
    assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    assert!(message.contains("\"oidc:eve\"") && !message.contains("too many groups"), "{message}");
    // The audit names her as the cluster does.
    let mut viewer = world.caller(Some(&issuer.token("ada", &[]))).await;
    let events =
        viewer.list_audit_events(ListAuditEventsRequest::default()).await.unwrap().into_inner().audit_events;
    assert!(events.iter().any(|event| event.actor == "oidc:eve"), "{events:?}");
}

#[tokio::test]
async fn a_user_of_the_issuer_is_told_who_they_are_until_when_and_that_groups_are_missing() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |_| {}).await;
    let whoami = async |token: &str| {
        let caller = world.caller(Some(token)).await.get_caller(GetCallerRequest::default()).await;
        caller.unwrap().into_inner()
    };
    let exp = now() + 500;
    let grace =
        whoami(&issuer.sign(&issuer.claims_but("grace", json!({ "groups": ["line-1"], "exp": exp })))).await;
    assert_eq!((&*grace.user, grace.authentication()), ("oidc:grace", caller::Authentication::OpenidConnect));
    assert_eq!(grace.groups, ["oidc:line-1", "system:authenticated"]);
    assert_eq!((grace.expire_time.unwrap().seconds as u64, grace.groups_incomplete), (exp, false));
    let ada = whoami(&issuer.sign(&issuer.claims_but("ada", json!({ "groups": null })))).await;
    assert!(ada.groups_incomplete);
    let viewer = whoami(&world.token("viewer", AUDIENCE).await).await;
    assert_eq!(viewer.authentication(), caller::Authentication::ClusterToken);
}

#[tokio::test]
async fn a_token_of_the_cluster_is_still_reviewed_by_the_cluster() {
    let issuer = Issuer::start();
    let world = world(&issuer, |_| {}).await;
    let_in(&world, &world.token("viewer", AUDIENCE).await).await;
    // Of another issuer: the cluster's affair, which doesn't know it.
    let other = issuer.sign(&issuer.claims_but("ada", json!({ "iss": "https://elsewhere.example" })));
    let (code, reason, message) = refused(&world, &other).await;
    assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
    assert!(message.contains("kubectl create token"), "{message}");
    assert_eq!(issuer.fetches(), 0);
}

#[tokio::test]
async fn without_tokens_of_the_cluster_only_those_of_the_issuer_are_accepted() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |tokens| tokens.of_cluster = false).await;
    let_in(&world, &issuer.token("ada", &[])).await;
    let (code, reason, message) = refused(&world, &world.token("viewer", AUDIENCE).await).await;
    assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "TOKENS_NOT_ACCEPTED"));
    assert!(message.contains("Sign in"), "{message}");
}

#[tokio::test]
async fn a_token_that_is_not_right_is_refused_with_the_reason_and_never_repeated() {
    needs!(the_double);
    let issuer = Issuer::start();
    // A signature that fits no key causes a fetch, for there may be a new one.
    let world = world(&issuer, |tokens| tokens.issuer.as_mut().unwrap().fetch_pause = Duration::ZERO).await;
    let sign = |changes: Value| issuer.sign(&issuer.claims_but("canary-ada", changes));
    let stranger = SigningKey::new("first", Algorithm::ES256);
    let unsigned = sign(json!({}));
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", unsigned.split('.').nth(1).unwrap());
    let shared = jsonwebtoken::EncodingKey::from_secret(issuer.key().public_pem.as_bytes());
    let shared =
        jsonwebtoken::encode(&Header::default(), &issuer.claims("canary-ada", &[]), &shared).unwrap();
    for (token, words) in [
        (sign(json!({ "aud": "canary" })), "it is not for \"secret-console\""),
        (sign(json!({ "exp": now() - 100 })), "it has expired"),
        (sign(json!({ "nbf": now() + 100 })), "it is not valid yet"),
        (sign(json!({ "sub": null, "name": "canary" })), "it has no valid claim \"sub\""),
        (stranger.sign(&issuer.claims("canary-ada", &[])), "its signature is wrong"),
        (sign(json!({ "iss": format!("{}/", issuer.url()) })), "its issuer (claim \"iss\") is not exactly"),
        (unsigned, "it is not a signed JSON web token"),
        (shared, "it is signed with an algorithm other than"),
    ] {
        for _ in 0..2 {
            let (code, reason, message) = refused(&world, &token).await;
            assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"), "{message}");
            assert!(message.contains(words), "{words}: {message}");
        }
    }
}

#[tokio::test]
async fn made_up_keys_stay_within_the_budget_of_unknown_tokens_and_ask_the_issuer_once() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |tokens| tokens.life = PATIENCE).await;
    let good = issuer.token("ada", &[]);
    let_in(&world, &good).await;
    let begun = Instant::now();
    let channel = world.channel().await;
    let mut reasons = std::collections::BTreeMap::<String, usize>::new();
    for number in 0..200 {
        let header = Header { kid: Some(format!("made-up-{number}")), ..Header::new(Algorithm::ES256) };
        let token = issuer.key().sign_as(&header, &issuer.claims("ada", &[]));
        let mut stranger = client(channel.clone(), Some(&token));
        let refused = stranger.get_vault(GetVaultRequest::default()).await.unwrap_err();
        *reasons.entry(told(&refused).reason).or_default() += 1;
    }
    assert!(reasons["TOO_MANY_UNKNOWN_TOKENS"] > 50 && reasons["ACCESS_UNDECIDED"] > 0, "{reasons:?}");
    let most = 1 + begun.elapsed().as_secs() as usize / 10;
    assert!(issuer.fetches() <= 1 + most, "{} fetches", issuer.fetches());
    let_in(&world, &good).await;
}

#[tokio::test]
async fn a_new_key_of_the_issuer_works_and_a_withdrawn_one_stops() {
    needs!(the_double);
    let issuer = Issuer::start();
    let quick = Duration::from_millis(100);
    let world = world(&issuer, |tokens| {
        let trusted = tokens.issuer.as_mut().unwrap();
        (trusted.fetch_pause, trusted.key_life) = (quick, quick);
    })
    .await;
    let old = issuer.token("ada", &[]);
    let_in(&world, &old).await;
    sleep(quick).await;
    issuer.replace(SigningKey::new("second", Algorithm::RS256));
    let_in(&world, &issuer.token("ada", &[])).await;
    sleep(REMEMBERED).await;
    let (code, _, message) = refused(&world, &old).await;
    assert_eq!(code, Code::Unauthenticated);
    assert!(message.contains("a key that the issuer does not list"), "{message}");
}

#[tokio::test]
async fn while_the_issuer_is_down_its_known_keys_count_and_a_service_without_keys_asks_to_retry() {
    needs!(the_double);
    let issuer = Issuer::start();
    issuer.set_down(true);
    let quick = Duration::from_millis(100);
    let world = world(&issuer, |tokens| {
        let trusted = tokens.issuer.as_mut().unwrap();
        (trusted.fetch_pause, trusted.key_life) = (quick, quick);
    })
    .await;
    let token = issuer.token("ada", &[]);
    let (code, reason, message) = refused(&world, &token).await;
    assert_eq!((code, reason.as_str()), (Code::Unavailable, "ACCESS_UNDECIDED"));
    assert!(message.contains("the OpenID Connect issuer did not answer"), "{message}");
    issuer.set_down(false);
    sleep(quick).await;
    let_in(&world, &token).await;
    issuer.set_down(true);
    sleep(REMEMBERED).await;
    let_in(&world, &token).await;
    let_in(&world, &issuer.token("ada", &["line-2"])).await;
    // The cluster, too, must answer.
    world
        .cluster()
        .faults()
        .add(FaultRule::new(Fault::status(500, "InternalError")).resource("subjectaccessreviews"));
    let (code, ..) = refused(&world, &issuer.token("grace", &["line-1"])).await;
    assert_eq!(code, Code::Unavailable);
}

#[tokio::test]
async fn a_verified_token_ends_with_its_expiry_and_so_does_a_watch() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |tokens| tokens.life = PATIENCE).await;
    // The leeway for the clock is a minute.
    let token = issuer.sign(&issuer.claims_but("ada", json!({ "exp": now() - 58 })));
    let_in(&world, &token).await;
    let mut caller = world.caller(Some(&token)).await;
    let mut watch =
        caller.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.unwrap().into_inner();
    watch.message().await.unwrap().expect("the initial state ends with a bookmark");
    sleep(Duration::from_secs(4)).await;
    let ended = tokio::time::timeout(PATIENCE, watch.message()).await.expect("it ends").unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    let (code, _, message) = refused(&world, &token).await;
    assert_eq!(code, Code::Unauthenticated);
    assert!(message.contains("it has expired"), "{message}");
}

#[tokio::test]
async fn a_token_with_too_many_groups_has_none_and_the_refusal_says_so() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |_| {}).await;
    let overage = json!({
        "groups": null, "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "https://graph.microsoft.com/v1.0/users/x/getMemberObjects" } }
    });
    let (code, reason, message) =
        refused(&world, &issuer.sign(&issuer.claims_but("grace", overage.clone()))).await;
    assert_eq!((code, reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    for words in ["the token has too many groups to list them", "put fewer groups into the token"] {
        assert!(message.contains(words), "{message}");
    }
    // What is granted to the user counts.
    let_in(&world, &issuer.sign(&issuer.claims_but("ada", overage))).await;
}

#[tokio::test]
async fn a_token_without_groups_escapes_no_rule_for_a_group_and_rules_for_others_do_not_matter() {
    needs!(the_double);
    let issuer = Issuer::start();
    let rules = ["deny group:contractors vaultSecrets/prod-*", "allow oidc:bob vaultSecrets/x"];
    let world = ruled_world(&issuer, &rules, |tokens| {
        tokens.issuer.as_mut().unwrap().groups.prefix = "group:".to_owned();
    })
    .await;
    for name in ["prod-password", "test-password"] {
        world.seed(name, "canary-rule").await;
    }
    let get = async |token: &str, name: &str| {
        let mut caller = world.caller(Some(token)).await;
        let answer = caller.get_vault_secret(GetVaultSecretRequest { name: vault_name(name) }).await;
        answer.map(|_| ()).map_err(|status| told(&status))
    };
    let silent = issuer.sign(&issuer.claims_but("ada", json!({ "groups": null })));
    for token in [issuer.token("ada", &["contractors"]), silent.clone()] {
        let refused = get(&token, "prod-password").await.expect_err("the rule denies it");
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "NAME_NOT_ALLOWED"));
        assert!(!refused.message.contains("too many groups"), "{}", refused.message);
    }
    get(&silent, "test-password").await.unwrap_or_else(|told| panic!("{}", told.message));
    get(&issuer.token("ada", &[]), "prod-password").await.unwrap_or_else(|told| panic!("{}", told.message));
}

#[tokio::test]
async fn nobody_of_the_issuer_gets_the_name_of_somebody_else() {
    needs!(the_double);
    let issuer = Issuer::start();
    let world = world(&issuer, |tokens| {
        let trusted = tokens.issuer.as_mut().unwrap();
        trusted.username.prefix.clear();
        trusted.groups.prefix.clear();
    })
    .await;
    for name in
        [world.user("editor"), "system:admin".to_owned(), "sync".to_owned(), "anonymous@127.0.0.1".to_owned()]
    {
        let (code, reason, message) = refused(&world, &issuer.token(&name, &[])).await;
        assert_eq!((code, reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"), "{message}");
    }
    // A group of the cluster doesn't count.
    let (code, ..) = refused(&world, &issuer.token("eve", &["system:masters"])).await;
    assert_eq!(code, Code::PermissionDenied);
}
