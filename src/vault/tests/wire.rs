//! A server on loopback that challenges, gives tokens, and answers as a test says.

use std::{
    net::{Ipv4Addr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use axum_server::tls_rustls::RustlsConfig;
use doubles_common::tls::Authority;
use parking_lot::Mutex;
use secrecy::SecretString;
use serde_json::json;
use url::Url;

use crate::vault::{Cloud, Credential, Options, Vault};

/// The value of every secret, and what no error may hold.
pub const VALUE: &str = "canary-value";
pub const TOKEN: &str = "canary-token";
pub const CLIENT_SECRET: &str = "canary-client-secret";
pub const TENANT: &str = "11111111-2222-3333-4444-555555555555";
pub const OTHER_TENANT: &str = "99999999-2222-3333-4444-555555555555";

/// A request to the vault or to the token endpoint.
#[derive(Clone, Debug)]
pub struct RecordedRequest {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// The token that it carried; absent for the first request, which asks to be challenged.
    pub token: Option<String>,
    pub body: String,
}

type Answer = dyn Fn(&RecordedRequest) -> Response + Send + Sync;

struct Shared {
    uri: Url,
    requests: Mutex<Vec<RecordedRequest>>,
    vault: Box<Answer>,
    tokens: Box<Answer>,
}

pub struct Wire {
    shared: Arc<Shared>,
    handle: axum_server::Handle<std::net::SocketAddr>,
    directory: tempfile::TempDir,
}

impl Wire {
    /// A vault that answers so to requests with a token.
    pub fn start(vault: impl Fn(&RecordedRequest) -> Response + Send + Sync + 'static) -> Self {
        Self::with_tokens(vault, |_| token(TOKEN))
    }

    /// The same, with a token endpoint of its own.
    pub fn with_tokens(
        vault: impl Fn(&RecordedRequest) -> Response + Send + Sync + 'static,
        tokens: impl Fn(&RecordedRequest) -> Response + Send + Sync + 'static,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tls = Authority::load_or_create(directory.path()).unwrap().server(&["localhost"]).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let uri =
            Url::parse(&format!("https://localhost:{}/", listener.local_addr().unwrap().port())).unwrap();
        let shared =
            Shared { uri, requests: Mutex::default(), vault: Box::new(vault), tokens: Box::new(tokens) };
        let shared = Arc::new(shared);
        let handle = axum_server::Handle::new();
        let app = Router::new().fallback(answer).with_state(shared.clone());
        let server = axum_server::from_tcp_rustls(listener, RustlsConfig::from_config(tls)).unwrap();
        tokio::spawn(server.handle(handle.clone()).serve(app.into_make_service()));
        Self { shared, handle, directory }
    }

    pub fn uri(&self) -> &Url {
        &self.shared.uri
    }

    pub fn options(&self) -> Options {
        Options {
            uri: self.uri().clone(),
            credential: Credential::ClientSecret {
                tenant_id: TENANT.to_owned(),
                client_id: "client".to_owned(),
                secret: SecretString::from(CLIENT_SECRET),
            },
            cloud: Cloud::Custom { authority_host: self.uri().clone() },
            api_version: None,
            verify_challenge: false,
            ca_file: Some(self.directory.path().join("ca.pem")),
            timeout: Duration::from_secs(5),
            concurrency: 4,
            waiting: 2_048,
            requests_per_10s: None,
        }
    }

    pub fn vault(&self) -> Vault {
        Vault::connect(&self.options()).unwrap()
    }

    /// A file of the test.
    pub fn file(&self, name: &str, content: &str) -> std::path::PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// What came to the vault with a token.
    pub fn authenticated(&self) -> Vec<RecordedRequest> {
        self.requests().into_iter().filter(|request| request.token.is_some()).collect()
    }

    /// Everything that came.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.shared.requests.lock().clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.handle.shutdown();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let token = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let request = RecordedRequest {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        token: token.and_then(|token| token.strip_prefix("Bearer ")).map(str::to_owned),
        body: String::from_utf8(to_bytes(body, usize::MAX).await.unwrap().to_vec()).unwrap(),
    };
    shared.requests.lock().push(request.clone());
    if request.path.ends_with("/oauth2/v2.0/token") {
        return (shared.tokens)(&request);
    }
    match request.token {
        Some(_) => (shared.vault)(&request),
        None => challenge(&shared.uri),
    }
}

/// What a vault answers to who has no token, or none that it accepts.
pub fn challenge(authority: &Url) -> Response {
    let challenge =
        format!("Bearer authorization=\"{authority}{OTHER_TENANT}\", resource=\"https://vault.azure.net\"");
    let body = json!({"error": {"code": "Unauthorized", "message": format!("AKV10000: no {TOKEN}")}});
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], body.to_string()).into_response()
}

pub fn token(token: &str) -> Response {
    axum::Json(
        json!({"access_token": token, "expires_in": 3600, "ext_expires_in": 3600, "token_type": "Bearer"}),
    )
    .into_response()
}

pub fn error(status: u16, code: &str, inner: &str) -> Response {
    let inner = (!inner.is_empty()).then(|| json!({"code": inner}));
    let message = format!("something with {VALUE} and {TOKEN} in it");
    let body = json!({"error": {"code": code, "message": message, "innererror": inner}});
    (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
}

pub fn page(items: &[serde_json::Value], next: Option<&str>) -> Response {
    axum::Json(json!({"value": items, "nextLink": next})).into_response()
}

/// A body of which the first bytes come, and then the connection breaks.
pub fn broken(start: &'static str) -> Response {
    let pieces = futures::stream::iter([Ok(start), Err(std::io::Error::other("broken"))]);
    Body::from_stream(pieces).into_response()
}

/// A body that does not end.
pub fn endless() -> Response {
    let piece = "x".repeat(64 * 1024);
    Body::from_stream(futures::stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone())))
        .into_response()
}
