//! Tests of the verifier, against an issuer on the wire.

#[path = "../../../tests/support/issuer.rs"]
#[allow(dead_code)]
mod issuer;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{EncodingKey, encode};
use serde_json::json;

use self::issuer::{CLIENT, SigningKey, now};
use super::*;

/// Between two fetches in these tests, unless they don't wait for a second one.
const PAUSE: Duration = Duration::from_millis(50);

fn options(issuer: &issuer::Issuer) -> IssuerOptions {
    IssuerOptions {
        ca_file: Some(issuer.ca_file()),
        ..IssuerOptions::new(issuer.url().to_owned(), vec!["other".to_owned(), CLIENT.to_owned()])
    }
}

/// Fetches whenever there is a reason.
fn eager(issuer: &issuer::Issuer) -> IssuerOptions {
    IssuerOptions { fetch_pause: PAUSE, ..options(issuer) }
}

fn problem<T: std::fmt::Debug>(found: Result<T, AccessError>) -> TokenProblem {
    match found.unwrap_err() {
        AccessError::IssuerTokenRejected(problem) => problem,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn tokens_of_every_algorithm_are_accepted_with_the_key_that_they_name() {
    use Algorithm::*;
    let (rsa, p384) = (SigningKey::new("rsa", RS256), SigningKey::new("p384", ES384));
    let issuer = issuer::Issuer::start();
    issuer.add(p384.clone());
    issuer.add(rsa.clone());
    let verifier = Issuer::new(IssuerOptions { fetch_pause: Duration::ZERO, ..options(&issuer) });
    let claims = issuer.claims("ada", &["line-1"]);
    for algorithm in [RS256, RS384, RS512, PS256, PS384, PS512] {
        let header = Header { kid: Some("rsa".to_owned()), ..Header::new(algorithm) };
        let ada = verifier.identity(&rsa.sign_as(&header, &claims)).await.unwrap();
        assert_eq!(ada.name, "oidc:ada", "{algorithm:?}");
    }
    assert_eq!(verifier.identity(&p384.sign(&claims)).await.unwrap().groups[0], "oidc:line-1");
    // Neither its name nor the only key.
    let nameless = p384.sign_as(&Header::new(ES384), &claims);
    assert_eq!(verifier.identity(&nameless).await.unwrap().name, "oidc:ada");
    assert_eq!(issuer.fetches(), 1);
    // Another key signs in the name of this one.
    let header = Header { kid: Some("rsa".to_owned()), ..Header::new(RS256) };
    let forged = SigningKey::new("x", RS256).sign_as(&header, &claims);
    assert_eq!(problem(verifier.identity(&forged).await), TokenProblem::Signature);
    let altered = p384.sign(&issuer.claims("eve", &[]));
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let (mine, hers) = (parts(&nameless), parts(&altered));
    let mixed = format!("{}.{}.{}", hers[0], hers[1], mine[2]);
    assert_eq!(problem(verifier.identity(&mixed).await), TokenProblem::Signature);
}

#[tokio::test]
async fn no_token_is_accepted_without_a_signature_or_with_the_public_key_as_secret() {
    let issuer = issuer::Issuer::with_key(SigningKey::new("rsa", Algorithm::RS256));
    let verifier = Issuer::new(options(&issuer));
    let claims = issuer.claims("ada", &[]);
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    for signature in ["", "c2lnbmF0dXJl"] {
        let unsigned =
            format!("{}.{}.{signature}", part(json!({ "alg": "none", "kid": "rsa" })), part(claims.clone()));
        assert!(verifier.is_addressed_by(&unsigned));
        assert_eq!(problem(verifier.identity(&unsigned).await), TokenProblem::Malformed);
    }
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        let header = Header { kid: Some("rsa".to_owned()), ..Header::new(algorithm) };
        let secret = EncodingKey::from_secret(issuer.key().public_pem.as_bytes());
        let forged = encode(&header, &claims, &secret).unwrap();
        assert_eq!(problem(verifier.identity(&forged).await), TokenProblem::Algorithm);
    }
    let header = Header {
        crit: Some(vec!["b64".to_owned()]),
        kid: Some("rsa".to_owned()),
        ..Header::new(Algorithm::RS256)
    };
    let critical = issuer.key().sign_as(&header, &claims);
    assert_eq!(problem(verifier.identity(&critical).await), TokenProblem::Malformed);
    assert_eq!(issuer.fetches(), 0, "none of them needs a key");
}

#[tokio::test]
async fn audience_and_times_are_checked_with_a_leeway_of_a_minute() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(options(&issuer));
    let now = now();
    let audiences = TokenProblem::Audience(vec!["other".to_owned(), CLIENT.to_owned()]);
    for (changes, expected) in [
        (json!({ "aud": "somebody" }), audiences.clone()),
        (json!({ "aud": ["a", "b"] }), audiences.clone()),
        (json!({ "aud": [] }), audiences),
        (json!({ "aud": null }), TokenProblem::Missing("aud".to_owned())),
        (json!({ "exp": now - 70 }), TokenProblem::Expired),
        (json!({ "exp": null }), TokenProblem::Missing("exp".to_owned())),
        (json!({ "exp": "later" }), TokenProblem::Missing("exp".to_owned())),
        (json!({ "nbf": now + 120 }), TokenProblem::NotYetValid),
        (json!({ "nbf": "soon" }), TokenProblem::Missing("nbf".to_owned())),
        (json!({ "iat": now + 120 }), TokenProblem::NotYetValid),
    ] {
        let token = issuer.sign(&issuer.claims_but("ada", changes.clone()));
        assert_eq!(problem(verifier.identity(&token).await), expected, "{changes}");
    }
    for good in [
        json!({ "aud": ["a", CLIENT] }),
        json!({ "exp": now - 30 }),
        json!({ "nbf": now + 30, "iat": now + 30 }),
        json!({ "nbf": null, "iat": null }),
    ] {
        let token = issuer.sign(&issuer.claims_but("ada", good.clone()));
        verifier.identity(&token).await.unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    let other = issuer.sign(&issuer.claims_but("ada", json!({ "iss": format!("{}/", issuer.url()) })));
    assert_eq!(problem(verifier.identity(&other).await), TokenProblem::Issuer(issuer.url().to_owned()));
}

#[tokio::test]
async fn tokens_of_the_same_host_stay_here_and_only_those_of_the_issuer_are_accepted() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(options(&issuer));
    let of = |name: &str| issuer.sign(&issuer.claims_but("ada", json!({ "iss": name })));
    for near in [format!("{}/", issuer.url()), "https://LOCALHOST/other".to_owned()] {
        assert!(verifier.is_addressed_by(&of(&near)), "{near}");
        let found = problem(verifier.identity(&of(&near)).await);
        assert_eq!(found, TokenProblem::Issuer(issuer.url().to_owned()), "{near}");
    }
    for other in ["https://kubernetes.default.svc.cluster.local", "kubernetes/serviceaccount", ""] {
        assert!(!verifier.is_addressed_by(&of(other)), "{other}");
    }
}

#[tokio::test]
async fn a_token_of_another_type_proves_nothing() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(options(&issuer));
    let of = |kind: Option<&str>| {
        let kid = Some(issuer.key().id);
        let header = Header { typ: kind.map(str::to_owned), kid, ..Header::new(Algorithm::ES256) };
        issuer.key().sign_as(&header, &issuer.claims("ada", &[]))
    };
    for good in [None, Some("JWT"), Some("at+jwt"), Some("application/AT+JWT")] {
        verifier.identity(&of(good)).await.unwrap_or_else(|error| panic!("{good:?}: {error}"));
    }
    for bad in ["logout+jwt", "dpop+jwt", ""] {
        assert_eq!(problem(verifier.identity(&of(Some(bad))).await), TokenProblem::Type, "{bad}");
    }
}

#[tokio::test]
async fn a_new_key_is_fetched_for_the_first_token_that_names_it_and_a_withdrawn_one_ends() {
    let issuer = issuer::Issuer::start();
    let first = issuer.key();
    let verifier = Issuer::new(IssuerOptions { key_life: PAUSE * 6, ..eager(&issuer) });
    verifier.identity(&issuer.token("ada", &[])).await.unwrap();
    tokio::time::sleep(PAUSE).await;
    issuer.replace(SigningKey::new("second", Algorithm::ES256));
    verifier.identity(&issuer.token("ada", &[])).await.unwrap();
    assert_eq!(issuer.fetches(), 2);
    let withdrawn = first.sign(&issuer.claims("ada", &[]));
    let early = verifier.identity(&withdrawn).await;
    assert!(matches!(early, Err(AccessError::KeyNotFetched { wait }) if wait <= PAUSE), "{early:?}");
    tokio::time::sleep(PAUSE).await;
    assert_eq!(problem(verifier.identity(&withdrawn).await), TokenProblem::UnknownKey);
    // Long after it was time to renew the keys, the old ones don't count once more.
    let second = issuer.key();
    issuer.replace(SigningKey::new("third", Algorithm::ES256));
    tokio::time::sleep(PAUSE * 13).await;
    let withdrawn = second.sign(&issuer.claims("ada", &[]));
    assert_eq!(problem(verifier.identity(&withdrawn).await), TokenProblem::UnknownKey);
}

#[tokio::test]
async fn keys_of_the_same_name_are_all_tried_and_one_that_was_replaced_is_fetched() {
    let issuer = issuer::Issuer::start();
    issuer.add(SigningKey::new("first", Algorithm::ES256));
    let verifier = Issuer::new(eager(&issuer));
    verifier.identity(&issuer.token("ada", &[])).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
    tokio::time::sleep(PAUSE).await;
    issuer.replace(SigningKey::new("first", Algorithm::ES256));
    verifier.identity(&issuer.token("ada", &[])).await.unwrap();
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn an_issuer_that_lists_no_usable_key_has_withdrawn_the_known_ones() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(IssuerOptions { key_life: PAUSE, ..eager(&issuer) });
    let token = issuer.token("ada", &[]);
    verifier.identity(&token).await.unwrap();
    issuer.list("{\"keys\": []}");
    tokio::time::sleep(PAUSE * 3).await;
    assert_eq!(problem(verifier.identity(&token).await), TokenProblem::UnknownKey);
}

#[tokio::test]
async fn nobody_waits_long_for_an_issuer_and_no_further_caller_while_its_last_keys_are_valid() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(IssuerOptions { key_life: PAUSE, ..eager(&issuer) });
    let token = issuer.token("ada", &[]);
    verifier.identity(&token).await.unwrap();
    issuer.slow_down(Duration::from_secs(60));
    tokio::time::sleep(PAUSE * 3).await;
    let begun = Instant::now();
    verifier.identity(&token).await.unwrap();
    assert!((2..=4).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
    let header = Header { kid: Some("new".to_owned()), ..Header::new(Algorithm::ES256) };
    let unknown = issuer.key().sign_as(&header, &issuer.claims("ada", &[]));
    // Until the fetch fails, and after that.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(4) {
        let this = Instant::now();
        verifier.identity(&token).await.unwrap();
        assert_eq!(verifier.identity(&unknown).await, Err(AccessError::IssuerSilent));
        assert!(this.elapsed() < Duration::from_secs(1), "{:?}", this.elapsed());
        tokio::time::sleep(PAUSE).await;
    }
    assert!(issuer.fetches() > 2, "it goes on trying");
}

#[tokio::test]
async fn any_number_of_unknown_keys_causes_one_fetch_in_the_pause() {
    let issuer = issuer::Issuer::start();
    let verifier = Issuer::new(options(&issuer));
    let made_up = |number: usize| {
        let header = Header { kid: Some(format!("made-up-{number}")), ..Header::new(Algorithm::ES256) };
        issuer.key().sign_as(&header, &issuer.claims("ada", &[]))
    };
    let tokens: Vec<_> = (0..100).map(made_up).collect();
    let verified = futures::future::join_all(tokens.iter().map(|token| verifier.identity(token))).await;
    for found in verified {
        assert_eq!(problem(found), TokenProblem::UnknownKey);
    }
    assert_eq!(issuer.fetches(), 1, "all of them share it");
    verifier.identity(&issuer.token("ada", &[])).await.unwrap();
}

#[tokio::test]
async fn the_last_keys_stay_valid_while_the_issuer_is_down_but_not_for_ever() {
    let issuer = issuer::Issuer::start();
    let limits = IssuerOptions { key_life: PAUSE, longest_outage: PAUSE * 20, ..eager(&issuer) };
    let verifier = Issuer::new(limits);
    issuer.set_down(true);
    let token = issuer.token("ada", &[]);
    assert_eq!(verifier.identity(&token).await, Err(AccessError::IssuerSilent), "no keys yet");
    issuer.set_down(false);
    tokio::time::sleep(PAUSE).await;
    verifier.identity(&token).await.unwrap();
    issuer.set_down(true);
    tokio::time::sleep(PAUSE * 4).await;
    verifier.identity(&token).await.unwrap_or_else(|error| panic!("the last keys count: {error}"));
    let header = Header { kid: Some("new".to_owned()), ..Header::new(Algorithm::ES256) };
    let unknown = issuer.key().sign_as(&header, &issuer.claims("ada", &[]));
    assert_eq!(verifier.identity(&unknown).await, Err(AccessError::IssuerSilent), "nobody knows its key");
    tokio::time::sleep(PAUSE * 20).await;
    assert_eq!(verifier.identity(&token).await, Err(AccessError::IssuerSilent), "the outage is too long");
    issuer.set_down(false);
    tokio::time::sleep(PAUSE).await;
    verifier.identity(&token).await.unwrap();
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_spoil_the_fetch_for_others() {
    let issuer = issuer::Issuer::start();
    issuer.slow_down(PAUSE * 6);
    let verifier = Issuer::new(options(&issuer));
    let token = issuer.token("ada", &[]);
    assert!(tokio::time::timeout(Duration::from_millis(200), verifier.identity(&token)).await.is_err());
    verifier.identity(&token).await.unwrap();
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn keys_come_from_this_issuer_over_its_tls_only() {
    let issuer = issuer::Issuer::start();
    let found = async |options: &IssuerOptions| check_issuer(options).await;
    assert_eq!(found(&options(&issuer)).await, Ok(1));
    let public = IssuerOptions { ca_file: None, ..options(&issuer) };
    assert!(matches!(found(&public).await, Err(FetchError::Unreachable { .. })), "an unknown CA");
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("ca.pem");
    std::fs::write(&empty, "").unwrap();
    for file in [empty, directory.path().join("missing.pem")] {
        let unusable = IssuerOptions { ca_file: Some(file), ..options(&issuer) };
        assert!(matches!(found(&unusable).await, Err(FetchError::CaFile(_))));
    }
    let slashed = IssuerOptions { issuer: format!("{}/", issuer.url()), ..options(&issuer) };
    assert_eq!(found(&slashed).await, Err(FetchError::OtherIssuer(issuer.url().into())));

    issuer.discover(json!({ "jwks_uri": issuer.url().replace("https", "http") }));
    assert_eq!(found(&options(&issuer)).await, Err(FetchError::NotHttps));
    issuer.discover(json!({ "jwks_uri": format!("{}/nowhere", issuer.url()) }));
    let status = |status| Err(FetchError::Status { what: fetch::Document::KeySet, status });
    assert_eq!(found(&options(&issuer)).await, status(404));
    issuer.discover(json!({}));
    issuer.list(&format!("{{\"keys\": [\"{}\"]}}", "x".repeat(600_000)));
    assert_eq!(found(&options(&issuer)).await, Err(FetchError::TooLarge(fetch::Document::KeySet)));
    issuer.list("{\"keys\": \"canary\"}");
    let unreadable = found(&options(&issuer)).await.unwrap_err();
    assert!(matches!(unreadable, FetchError::Unreadable { .. }), "{unreadable}");
    assert!(!unreadable.to_string().contains("canary"), "{unreadable}");
    issuer.redirect();
    let status = Err(FetchError::Status { what: fetch::Document::Discovery, status: 302 });
    assert_eq!(found(&options(&issuer)).await, status);
}

#[test]
fn only_keys_for_signatures_are_taken_and_one_of_a_new_kind_spoils_none() {
    let ec = |extra: Value| {
        let mut key = json!({
            "kty": "EC", "crv": "P-256", "kid": "a",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"
        });
        key.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        Key::from_jwk(key)
    };
    for good in [
        json!({}),
        json!({ "use": "sig" }),
        json!({ "alg": "ES256" }),
        json!({ "issuer": "x", "x5c": ["MII"] }),
    ] {
        assert!(ec(good.clone()).is_some(), "{good}");
    }
    for bad in [
        json!({ "use": "enc" }),
        json!({ "alg": "ECDH-ES" }),
        json!({ "alg": "ES384" }),
        json!({ "crv": "P-521" }),
    ] {
        assert!(ec(bad.clone()).is_none(), "{bad}");
    }
    for bad in [
        json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "pub": "eA" }),
        json!("text"),
    ] {
        assert!(Key::from_jwk(bad.clone()).is_none(), "{bad}");
    }
}
