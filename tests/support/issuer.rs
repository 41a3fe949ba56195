//! An OpenID Connect issuer on loopback, over TLS: its discovery document, its keys, and tokens that it signs as a test says.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use axum_server::tls_rustls::RustlsConfig;
use doubles_common::tls::Authority;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header, encode,
    jwk::{Jwk, PublicKeyUse},
};
use parking_lot::Mutex;
use serde_json::{Value, json};

/// Whom its tokens are for.
pub const CLIENT: &str = "secret-console";

/// The issuer.
pub struct Issuer {
    shared: Arc<Shared>,
    handle: axum_server::Handle<SocketAddr>,
    directory: tempfile::TempDir,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<SigningKey>>,
    /// Fields of the discovery document that replace the right ones.
    discovery: Mutex<Value>,
    /// In place of the key set.
    key_set: Mutex<Option<String>>,
    /// Where the discovery document leads to another place.
    redirects: AtomicBool,
    is_down: AtomicBool,
    /// How many milliseconds an answer takes.
    delay: AtomicU64,
    fetches: AtomicUsize,
}

/// A key with its name.
#[derive(Clone)]
pub struct SigningKey {
    pub id: String,
    pub algorithm: Algorithm,
    key: EncodingKey,
    /// The same in PEM, the public part of it.
    pub public_pem: String,
}

// === impl SigningKey ===

impl SigningKey {
    pub fn new(id: &str, algorithm: Algorithm) -> Self {
        let kind = match algorithm {
            Algorithm::ES256 => &rcgen::PKCS_ECDSA_P256_SHA256,
            Algorithm::ES384 => &rcgen::PKCS_ECDSA_P384_SHA384,
            _ => &rcgen::PKCS_RSA_SHA256,
        };
        let made = rcgen::KeyPair::generate_for(kind).unwrap();
        let pem = made.serialize_pem();
        let key = match algorithm {
            Algorithm::ES256 | Algorithm::ES384 => EncodingKey::from_ec_pem(pem.as_bytes()),
            _ => EncodingKey::from_rsa_pem(pem.as_bytes()),
        };
        Self { id: id.to_owned(), algorithm, key: key.unwrap(), public_pem: made.public_key_pem() }
    }

    /// A token that it signs, and that names it.
    pub fn sign(&self, claims: &Value) -> String {
        self.sign_as(&Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) }, claims)
    }

    /// The same with another header.
    pub fn sign_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }

    /// Its public part, as a key set has it: without its algorithm, as Entra's are.
    fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        jwk.common.key_id = Some(self.id.clone());
        jwk.common.key_algorithm = None;
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        jwk
    }
}

// === impl Issuer ===

impl Issuer {
    /// An issuer with one key for ES256, `first`.
    pub fn start() -> Self {
        Self::with_key(SigningKey::new("first", Algorithm::ES256))
    }

    pub fn with_key(key: SigningKey) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tls = Authority::load_or_create(directory.path()).unwrap().server(&["localhost"]).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("https://localhost:{}/tenant/v2.0", listener.local_addr().unwrap().port());
        let shared = Arc::new(Shared {
            url,
            keys: Mutex::new(vec![key]),
            discovery: Mutex::new(json!({})),
            key_set: Mutex::default(),
            redirects: AtomicBool::default(),
            is_down: AtomicBool::default(),
            delay: AtomicU64::default(),
            fetches: AtomicUsize::default(),
        });
        let handle = axum_server::Handle::new();
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(tls)).unwrap();
        tokio::spawn(server.handle(handle.clone()).serve(app.into_make_service()));
        Self { shared, handle, directory }
    }

    /// What its tokens call it.
    pub fn url(&self) -> &str {
        &self.shared.url
    }

    /// The CA of its TLS.
    pub fn ca_file(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// The claims of a token that is valid for five minutes.
    pub fn claims(&self, user: &str, groups: &[&str]) -> Value {
        let now = now();
        json!({
            "iss": self.url(), "aud": CLIENT, "sub": user, "groups": groups,
            "iat": now, "nbf": now, "exp": now + 300
        })
    }

    /// The same claims, some of them replaced; null leaves one out.
    pub fn claims_but(&self, user: &str, changes: Value) -> Value {
        let mut claims = self.claims(user, &[]);
        let fields = claims.as_object_mut().unwrap();
        fields.extend(changes.as_object().unwrap().clone());
        fields.retain(|_, value| !value.is_null());
        claims
    }

    /// A valid token.
    pub fn token(&self, user: &str, groups: &[&str]) -> String {
        self.sign(&self.claims(user, groups))
    }

    /// A token with these claims, by its last key.
    pub fn sign(&self, claims: &Value) -> String {
        self.key().sign(claims)
    }

    /// Its last key.
    pub fn key(&self) -> SigningKey {
        self.shared.keys.lock().last().unwrap().clone()
    }

    /// Lists another key, too.
    pub fn add(&self, key: SigningKey) {
        self.shared.keys.lock().push(key);
    }

    /// Lists this key only.
    pub fn replace(&self, key: SigningKey) {
        *self.shared.keys.lock() = vec![key];
    }

    /// Replaces fields of the discovery document.
    pub fn discover(&self, fields: Value) {
        *self.shared.discovery.lock() = fields;
    }

    /// Answers this in place of the key set.
    pub fn list(&self, key_set: &str) {
        *self.shared.key_set.lock() = Some(key_set.to_owned());
    }

    /// Leads to another place instead of answering.
    pub fn redirect(&self) {
        self.shared.redirects.store(true, Ordering::SeqCst);
    }

    /// Answers with an error from now on, or no longer.
    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Takes this time for every answer from now on.
    pub fn slow_down(&self, delay: Duration) {
        self.shared.delay.store(delay.as_millis() as u64, Ordering::SeqCst);
    }

    /// How often somebody has come for the keys: each time begins with the discovery document.
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::SeqCst)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

/// Now, in seconds since 1970-01-01 UTC.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri) -> Response {
    let is_discovery = uri.path() == "/tenant/v2.0/.well-known/openid-configuration";
    if is_discovery {
        shared.fetches.fetch_add(1, Ordering::SeqCst);
    }
    tokio::time::sleep(Duration::from_millis(shared.delay.load(Ordering::SeqCst))).await;
    if shared.is_down.load(Ordering::SeqCst) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    if shared.redirects.load(Ordering::SeqCst) {
        return (StatusCode::FOUND, [(header::LOCATION, format!("{}/elsewhere", shared.url))])
            .into_response();
    }
    match uri.path() {
        _ if is_discovery => {
            let mut document = json!({
                "issuer": shared.url, "jwks_uri": format!("{}/keys", shared.url),
                "response_types_supported": ["code"], "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"]
            });
            document.as_object_mut().unwrap().extend(shared.discovery.lock().as_object().unwrap().clone());
            Json(document).into_response()
        }
        "/tenant/v2.0/keys" => match shared.key_set.lock().clone() {
            Some(text) => text.into_response(),
            None => {
                let keys: Vec<Jwk> = shared.keys.lock().iter().map(SigningKey::jwk).collect();
                Json(json!({ "keys": keys })).into_response()
            }
        },
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
