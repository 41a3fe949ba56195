//! Federated tokens: which are accepted instead of a secret, and how the issuer's keys are fetched.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, routing::get};
use axum_server::tls_rustls::RustlsConfig;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use doubles_common::tls::Authority;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use parking_lot::Mutex;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

use super::World;
use crate::{
    Assertion, AssertionVerifier, FEDERATED_AUDIENCE, FederatedIdentity, FederatedVerifier, Rejected,
};

const SUBJECT: &str = "system:serviceaccount:plant:secret-service";

/// An issuer as a server, with the keys that it publishes and the number of requests for them.
struct Issuer {
    uri: Url,
    authority: Authority,
    published: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    _directory: TempDir,
}

/// A key of an issuer.
struct Key {
    id: &'static str,
    signing: EncodingKey,
    public_pem: String,
}

impl Issuer {
    fn start() -> Self {
        Self::that_says(str::to_owned)
    }

    /// An issuer whose discovery document has this `issuer`.
    fn that_says(name: impl Fn(&str) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(directory.path()).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let base = format!("https://{}", listener.local_addr().unwrap());
        let discovery = json!({"issuer": name(&base), "jwks_uri": format!("{base}/openid/v1/jwks")});
        let (published, asked) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
        let keys = {
            let (published, asked) = (published.clone(), asked.clone());
            move || async move {
                asked.fetch_add(1, Ordering::Relaxed);
                Json(json!({"keys": *published.lock()}))
            }
        };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(move || async move { Json(discovery) }))
            .route("/openid/v1/jwks", get(keys));
        let tls = RustlsConfig::from_config(authority.server(&[]).unwrap());
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio::spawn(server.serve(app.into_make_service()));
        Self { uri: Url::parse(&base).unwrap(), authority, published, asked, _directory: directory }
    }

    fn publish(&self, key: &Key) {
        let mut jwk = Jwk::from_encoding_key(&key.signing, Algorithm::RS256).unwrap();
        jwk.common.key_id = Some(key.id.to_owned());
        self.published.lock().push(serde_json::to_value(jwk).unwrap());
    }

    fn verifier(&self) -> FederatedVerifier {
        let identity = FederatedIdentity::service_account(self.uri.clone(), "plant", "secret-service");
        FederatedVerifier::new(&identity, self.authority.pem().as_bytes()).unwrap()
    }

    /// The claims of a valid token, with some changed.
    fn claims(&self, changed: &Value) -> Value {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.uri.as_str().trim_end_matches('/'), "sub": SUBJECT, "aud": [FEDERATED_AUDIENCE],
            "iat": now, "nbf": now, "exp": now + 600,
        });
        for (name, value) in changed.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }
}

impl Key {
    fn new(id: &'static str) -> Self {
        let key = KeyPair::generate_for(&PKCS_RSA_SHA256).unwrap();
        let signing = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
        Self { id, signing, public_pem: key.public_key_pem() }
    }

    fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::RS256) };
        jsonwebtoken::encode(&header, claims, &self.signing).unwrap()
    }
}

async fn verify(verifier: &FederatedVerifier, token: &str) -> Result<(), Rejected> {
    let assertion = Assertion { token, client_id: "client", audiences: &[], now: Timestamp::now() };
    verifier.verify(&assertion).await
}

#[tokio::test]
async fn only_a_valid_token_of_that_account_for_that_audience_is_accepted() {
    let (issuer, key) = (Issuer::start(), Key::new("one"));
    issuer.publish(&key);
    let verifier = issuer.verifier();
    let now = Timestamp::now().as_second();
    for (changed, verdict) in [
        (json!({}), Ok(())),
        (json!({"aud": FEDERATED_AUDIENCE}), Ok(())),
        (json!({"aud": ["x", FEDERATED_AUDIENCE]}), Ok(())),
        (json!({"aud": ["https://kubernetes.default.svc"]}), Err(Rejected::Audience)),
        (json!({"aud": []}), Err(Rejected::Audience)),
        (json!({"iss": "https://elsewhere"}), Err(Rejected::Issuer)),
        (json!({"iss": issuer.uri.as_str()}), Err(Rejected::Issuer)),
        (json!({"sub": "system:serviceaccount:plant:default"}), Err(Rejected::Subject)),
        (json!({"sub": "system:serviceaccount:other:secret-service"}), Err(Rejected::Subject)),
        (json!({"exp": now - 1}), Err(Rejected::Time)),
        (json!({"nbf": now + 3_600}), Err(Rejected::Time)),
        (json!({"sub": null}), Err(Rejected::Signature)),
        (json!({"aud": null}), Err(Rejected::Signature)),
        (json!({"exp": null}), Err(Rejected::Signature)),
    ] {
        let token = key.sign(&issuer.claims(&changed));
        assert_eq!(verify(&verifier, &token).await, verdict, "{changed}");
    }
    assert_eq!(verify(&verifier, "no token").await, Err(Rejected::Signature));
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 1, "keys are kept");
}

#[tokio::test]
async fn a_signature_is_accepted_only_with_a_published_key_and_entras_algorithm() {
    let (issuer, key, stranger) = (Issuer::start(), Key::new("one"), Key::new("one"));
    issuer.publish(&key);
    let (verifier, claims) = (issuer.verifier(), issuer.claims(&json!({})));
    let with = |algorithm, signing: &EncodingKey, id: Option<&str>| {
        let header = Header { kid: id.map(str::to_owned), ..Header::new(algorithm) };
        jsonwebtoken::encode(&header, &claims, signing).unwrap()
    };
    let coded = |text: &Value| BASE64_URL_SAFE_NO_PAD.encode(text.to_string());
    let unsigned = format!("{}.{}.", coded(&json!({"alg": "none", "kid": "one"})), coded(&claims));
    // Signed with the public key as if it were a shared secret.
    let confused = EncodingKey::from_secret(key.public_pem.as_bytes());
    let good = key.sign(&claims);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let other = coded(&issuer.claims(&json!({"jti": "other"})));
    for (what, token) in [
        ("alg none", unsigned),
        ("HS256", with(Algorithm::HS256, &confused, Some("one"))),
        ("PS256", with(Algorithm::PS256, &key.signing, Some("one"))),
        ("no key id", with(Algorithm::RS256, &key.signing, None)),
        ("an unknown key id", with(Algorithm::RS256, &key.signing, Some("two"))),
        ("another key of that id", stranger.sign(&claims)),
        ("other claims", format!("{header}.{other}.{signature}")),
    ] {
        assert_eq!(verify(&verifier, &token).await, Err(Rejected::Signature), "{what}");
    }
    assert_eq!(verify(&verifier, &good).await, Ok(()));
}

#[tokio::test]
async fn a_new_key_of_the_issuer_is_fetched_when_a_token_first_uses_it() {
    let (issuer, old, new) = (Issuer::start(), Key::new("old"), Key::new("new"));
    issuer.publish(&old);
    let (verifier, claims) = (issuer.verifier(), issuer.claims(&json!({})));
    assert_eq!(verify(&verifier, &old.sign(&claims)).await, Ok(()));
    assert_eq!(verify(&verifier, &new.sign(&claims)).await, Err(Rejected::Signature));
    issuer.publish(&new);
    assert_eq!(verify(&verifier, &new.sign(&claims)).await, Ok(()));
    issuer.published.lock().remove(0);
    assert_eq!(verify(&verifier, &Key::new("third").sign(&claims)).await, Err(Rejected::Signature));
    assert_eq!(verify(&verifier, &old.sign(&claims)).await, Err(Rejected::Signature), "it is withdrawn");
    let asked = issuer.asked.load(Ordering::Relaxed);
    let foreign = Key::new("foreign").sign(&issuer.claims(&json!({"iss": "https://elsewhere"})));
    assert_eq!(verify(&verifier, &foreign).await, Err(Rejected::Issuer));
    assert_eq!(issuer.asked.load(Ordering::Relaxed), asked, "a foreign token costs the issuer nothing");
}

#[tokio::test]
async fn keys_are_fetched_only_from_the_issuer_itself_with_a_trusted_certificate() {
    let (key, impostor) = (Key::new("one"), Issuer::that_says(|_| "https://elsewhere".to_owned()));
    impostor.publish(&key);
    let token = key.sign(&impostor.claims(&json!({})));
    assert_eq!(verify(&impostor.verifier(), &token).await, Err(Rejected::Signature));

    let (issuer, other) = (Issuer::start(), Issuer::start());
    issuer.publish(&key);
    let identity = FederatedIdentity::service_account(issuer.uri.clone(), "plant", "secret-service");
    let verifier = FederatedVerifier::new(&identity, other.authority.pem().as_bytes()).unwrap();
    let token = key.sign(&issuer.claims(&json!({})));
    assert_eq!(verify(&verifier, &token).await, Err(Rejected::Signature));
    assert_eq!(issuer.asked.load(Ordering::Relaxed), 0);
    assert_eq!(verify(&issuer.verifier(), &token).await, Ok(()));
}

#[tokio::test]
async fn the_token_endpoint_refuses_a_federated_token_with_entras_code_for_what_is_wrong() {
    let (world, issuer, key) = (World::start().await, Issuer::start(), Key::new("one"));
    issuer.publish(&key);
    let client_id = &world.double.credential().client_id;
    let ask = async |changed: Value| {
        let token = key.sign(&issuer.claims(&changed));
        let answer = world
            .token_request(&[
                ("grant_type", "client_credentials"),
                ("client_id", client_id),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", &token),
                ("scope", "https://vault.azure.net/.default"),
            ])
            .await;
        assert!(!answer.body["error_description"].to_string().contains(&token));
        (answer.status.as_u16(), answer.body["error_codes"].clone())
    };
    assert_eq!(ask(json!({})).await, (401, json!([700_027])), "nobody is registered");
    world.double.identity().register(Arc::new(Issuer::start().verifier()));
    world.double.identity().register(Arc::new(issuer.verifier()));
    world.double.identity().register(Arc::new(Issuer::start().verifier()));
    for (changed, code) in [
        (json!({"iss": "https://elsewhere"}), 700_211),
        (json!({"aud": "x"}), 700_212),
        (json!({"sub": "x"}), 700_213),
        (json!({"exp": 1}), 700_024),
    ] {
        assert_eq!(ask(changed).await, (401, json!([code])));
    }
    assert_eq!(ask(json!({})).await.0, 200);

    // The double's clock decides.
    let lasting = json!({"exp": Timestamp::now().as_second() + 600});
    world.double.clock().advance(Duration::from_secs(601));
    assert_eq!(ask(lasting).await, (401, json!([700_024])));
}
