//! Routes requests to endpoints; a request to the vault passes challenge, throttling, api-version and fault before its
//! operation.

use std::sync::{Arc, atomic::Ordering};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header},
    middleware,
    response::{IntoResponse, Response},
    routing,
};
use zeroize::Zeroizing;

use super::{
    apply::Faulted,
    control, entra,
    hosts::{self, Cloud},
    identity::TokenProblem,
    operation::{Operation, Target},
    query::Query,
    reads,
    refusal::Refusal,
    shared::{Shared, challenge, host_of},
};

/// The maximum size of a request body: enough for the longest value with each byte escaped, and for a backup.
const MAX_BODY: usize = 8 << 20;

/// A request to the vault with its whole body.
struct VaultRequest {
    method: Method,
    uri: Uri,
    authorization: Option<String>,
    host: String,
    body: Zeroizing<Vec<u8>>,
}

/// All endpoints, each at its hosts.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    let entra = Router::new()
        .route("/{tenant}/oauth2/v2.0/token", routing::post(entra::token))
        .route("/{tenant}/v2.0/.well-known/openid-configuration", routing::get(entra::openid_configuration))
        .route("/common/discovery/instance", routing::get(entra::instance_discovery))
        .route_layer(middleware::from_fn(hosts::not_at_a_vault));
    let machine = Router::new()
        .route("/metadata/identity/oauth2/token", routing::get(entra::instance_metadata))
        .route("/msi/token", routing::get(entra::app_service))
        .nest("/.double", control::router(Arc::clone(&shared)))
        .route_layer(middleware::from_fn(hosts::only_on_this_machine));
    let vault = Router::new().fallback(vault).layer(middleware::from_fn(hosts::not_at_the_authority));
    entra
        .merge(machine)
        .fallback_service(vault.with_state(Arc::clone(&shared)))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(shared)
}

/// All requests to the vault.
async fn vault(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let latency = shared.settings().latency();
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let mut response = match VaultRequest::read(&shared, request).await {
        Ok(request) => request.answer(&shared).await.unwrap_or_else(Refusal::into_response),
        Err(refusal) => refusal.into_response(),
    };
    for (name, value) in VAULT_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    if let Ok(id) = HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()) {
        response.headers_mut().insert("x-ms-request-id", id);
    }
    response
}

/// The headers of every answer of the vault.
const VAULT_HEADERS: [(HeaderName, &str); 8] = [
    (header::CACHE_CONTROL, "no-cache"),
    (header::PRAGMA, "no-cache"),
    (header::EXPIRES, "-1"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000;includeSubDomains"),
    (HeaderName::from_static("x-ms-keyvault-region"), "local"),
    (HeaderName::from_static("x-ms-keyvault-service-version"), "1.9.0.0"),
    (
        HeaderName::from_static("x-ms-keyvault-network-info"),
        "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
    ),
];

// === impl VaultRequest ===

impl VaultRequest {
    /// Reads the whole body, even of requests that are refused later, so that the connection can be reused.
    async fn read(shared: &Shared, request: Request<Body>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, MAX_BODY).await.map_err(|_| Refusal::too_large())?;
        let authorization = parts.headers.get(header::AUTHORIZATION);
        Ok(Self {
            authorization: authorization.and_then(|value| value.to_str().ok()).map(str::to_owned),
            host: host_of(shared, &parts.uri, &parts.headers),
            method: parts.method,
            uri: parts.uri,
            body: Zeroizing::new(body.into()),
        })
    }

    async fn answer(self, shared: &Arc<Shared>) -> Result<Response, Refusal> {
        let cloud = Cloud::of_vault(&self.host);
        if let Err(problem) = shared.identity.check(self.authorization.as_deref(), cloud, shared.clock.now())
        {
            shared.counters.challenges.fetch_add(1, Ordering::Relaxed);
            return Ok(challenge(&shared.challenging(&self.host), shared.tenant(), problem.message()));
        }
        let target = Target::parse(&self.method, self.uri.path())?;
        shared.counters.count(target.operation);
        if let Some(throttle) = shared.settings().throttle
            && !shared.bucket.admits(&throttle, shared.clock.now())
        {
            shared.counters.throttled.fetch_add(1, Ordering::Relaxed);
            return Err(Refusal::throttled(throttle.retry_after()));
        }
        let query = Query::parse(self.uri.query().unwrap_or_default())?;
        let rule = shared.faults.take(&(target.operation, &target.name), |_| true);
        let (operation, host, uri) = (target.operation, self.host.clone(), self.uri.clone());
        let here = uri.path_and_query().map_or("/", |here| here.as_str());
        let faulted = Faulted { rule, operation, host: &host, here, shared };
        Ok(faulted.around(self.carry_out(shared, target, query)).await)
    }

    /// Carries out the operation. A write is completed even if its client is gone.
    async fn carry_out(self, shared: &Arc<Shared>, target: Target, query: Query) -> Response {
        let done = if target.operation.changes_the_vault() {
            let shared = Arc::clone(shared);
            let tracker = shared.changes.clone();
            let change = tracker.spawn(async move { self.change(&shared, &target).await });
            change.await.unwrap_or_else(|_| Err(Refusal::internal("The double failed.")))
        } else {
            self.answer_read(shared, &target, &query)
        };
        done.unwrap_or_else(Refusal::into_response)
    }

    fn answer_read(&self, shared: &Shared, target: &Target, query: &Query) -> Result<Response, Refusal> {
        let (host, name, now) = (&self.host, &target.name, shared.clock.now());
        match target.operation {
            Operation::SecretGet => {
                reads::get(&shared.vault.read(), host, name, target.version.as_deref(), now)
            }
            Operation::SecretList => reads::list(&shared.vault.read(), host, query, now),
            Operation::SecretListVersions => {
                reads::list_versions(&shared.vault.read(), host, name, query, now)
            }
            Operation::CertificateGet => {
                reads::get_certificate(&shared.vault.read(), host, name, target.version.as_deref(), now)
            }
            Operation::CertificateListVersions => {
                reads::list_certificate_versions(&shared.vault.read(), host, name, query, now)
            }
            Operation::SecretListDeleted => reads::list_deleted(&shared.vault.read(), host, query, now),
            Operation::SecretGetDeleted => reads::get_deleted(&shared.vault.read(), host, name, now),
            Operation::SecretBackup => shared.vault.backup(name, &shared.clock),
            _ => Err(Refusal::no_such_path(self.uri.path())),
        }
    }

    async fn change(&self, shared: &Shared, target: &Target) -> Result<Response, Refusal> {
        let (vault, clock, host, name) = (&shared.vault, &shared.clock, &self.host, &target.name);
        let lasts = shared.settings().transition();
        match target.operation {
            Operation::SecretSet => vault.set(host, name, &self.body, clock).await,
            Operation::SecretUpdate => {
                vault.update(host, name, target.version.as_deref(), &self.body, clock).await
            }
            Operation::SecretDelete => vault.delete(host, name, clock, lasts).await,
            Operation::SecretRecover => vault.recover(host, name, clock, lasts).await,
            Operation::SecretPurge => {
                vault.purge(name, clock, lasts).await?;
                Ok(StatusCode::NO_CONTENT.into_response())
            }
            Operation::SecretRestore => vault.restore(host, &self.body, clock).await,
            _ => Err(Refusal::no_such_path(self.uri.path())),
        }
    }
}

// === impl TokenProblem ===

impl TokenProblem {
    /// The description in the challenge.
    fn message(self) -> Option<&'static str> {
        match self {
            Self::Missing => None,
            Self::Invalid => Some("The token is not one of this authority."),
            Self::Expired => Some("The token has expired."),
            Self::Foreign => Some("Invalid audience or issuer: the token is of another cloud."),
        }
    }
}
