//! The endpoints that issue tokens: Entra's token endpoint with its discovery documents, and a machine's managed identity.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode, Uri},
    response::Response,
};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use super::{
    apply::Faulted,
    assertion::{Assertion, Rejected},
    hosts::{AUTHORITY_HOST, Cloud},
    operation::Operation,
    requests::Issued,
    shared::{Shared, host_of},
    wire,
};

/// What an assertion's type must be.
const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// Scopes that clients add for users; an application gets nothing for them.
const RESERVED_SCOPES: [&str; 3] = ["openid", "profile", "offline_access"];
/// The names under which clients know the public cloud's authority.
const PUBLIC_ALIASES: [&str; 4] =
    [AUTHORITY_HOST, "login.windows.net", "login.microsoft.com", "sts.windows.net"];

/// An error of the token endpoint, in Entra's form.
#[derive(Debug)]
struct EntraError {
    status: StatusCode,
    error: &'static str,
    code: u32,
    message: String,
}

/// The fields of a form or a query.
type Fields = HashMap<String, String>;

/// `POST /TENANT/oauth2/v2.0/token`.
pub(super) async fn token(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let host = host_of(&shared, &uri, &headers);
    faulted(&shared, &host, async {
        let fields: Fields = url::form_urlencoded::parse(&body).into_owned().collect();
        match grant(&shared, &host, &tenant, &fields).await {
            Ok(resource) => entra_token(&shared, &host, &resource),
            Err(error) => error.into_response(&host, shared.clock.now()),
        }
    })
    .await
}

/// `GET /metadata/identity/oauth2/token`: the machine's identity. Off by default: like the instance metadata service, it
/// gives tokens to anybody on the machine.
pub(super) async fn instance_metadata(
    State(shared): State<Arc<Shared>>,
    Query(fields): Query<Fields>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if !shared.settings().instance_metadata {
        return managed_error(
            StatusCode::NOT_FOUND,
            "not_found",
            "The instance metadata service is switched off.",
        );
    }
    if headers.get("metadata").is_none_or(|value| value != "true") {
        return managed_error(
            StatusCode::BAD_REQUEST,
            "invalid_request",
            "Required metadata header not specified",
        );
    }
    managed_token(&shared, &host_of(&shared, &uri, &headers), &fields).await
}

/// `GET /msi/token`: the identity of an App Service, for callers that know the identity header.
pub(super) async fn app_service(
    State(shared): State<Arc<Shared>>,
    Query(fields): Query<Fields>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let header = headers.get("x-identity-header").and_then(|value| value.to_str().ok());
    if !header.is_some_and(|secret| shared.identity.is_secret(secret)) {
        return managed_error(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "X-IDENTITY-HEADER is missing or not IDENTITY_HEADER.",
        );
    }
    managed_token(&shared, &host_of(&shared, &uri, &headers), &fields).await
}

/// `GET /common/discovery/instance`: confirms that this host is an authority.
pub(super) async fn instance_discovery(
    State(shared): State<Arc<Shared>>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let host = host_of(&shared, &uri, &headers);
    let tenant = shared.tenant();
    let (cache, aliases) = if host == AUTHORITY_HOST {
        ("login.windows.net", PUBLIC_ALIASES.to_vec())
    } else {
        (host.as_str(), vec![host.as_str()])
    };
    let document = json!({
        "tenant_discovery_endpoint": format!("https://{host}/{tenant}/v2.0/.well-known/openid-configuration"),
        "api-version": "1.1",
        "metadata": [{ "preferred_network": host, "preferred_cache": cache, "aliases": aliases }],
    });
    wire::json(StatusCode::OK, &document)
}

/// `GET /TENANT/v2.0/.well-known/openid-configuration`: the token endpoint of a known tenant.
pub(super) async fn openid_configuration(
    State(shared): State<Arc<Shared>>,
    Path(tenant): Path<String>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let host = host_of(&shared, &uri, &headers);
    if tenant != shared.tenant() {
        return EntraError::unknown_tenant(&tenant).into_response(&host, shared.clock.now());
    }
    let base = format!("https://{host}/{tenant}");
    let document = json!({
        "issuer": format!("{base}/v2.0"),
        "token_endpoint": format!("{base}/oauth2/v2.0/token"),
        "authorization_endpoint": format!("{base}/oauth2/v2.0/authorize"),
        "device_authorization_endpoint": format!("{base}/oauth2/v2.0/devicecode"),
        "jwks_uri": format!("{base}/discovery/v2.0/keys"),
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_types_supported": ["code"],
        "scopes_supported": RESERVED_SCOPES,
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    wire::json(StatusCode::OK, &document)
}

/// Checks a grant; answers the resource that the token is for.
async fn grant(shared: &Shared, host: &str, tenant: &str, fields: &Fields) -> Result<String, EntraError> {
    let field = |name: &'static str| {
        fields.get(name).filter(|value| !value.is_empty()).ok_or_else(|| EntraError::missing(name))
    };
    let credential = shared.identity.credential();
    if tenant != credential.tenant_id {
        return Err(EntraError::unknown_tenant(tenant));
    }
    if field("grant_type")? != "client_credentials" {
        return Err(EntraError::unsupported_grant());
    }
    let client_id = field("client_id")?;
    let resource = resource_of_scope(host, field("scope")?)?;
    if *client_id != credential.client_id {
        let shows_something = fields.contains_key("client_secret") || fields.contains_key("client_assertion");
        return match shared.settings().any_application && shows_something {
            true => Ok(resource),
            false => Err(EntraError::unknown_client(client_id)),
        };
    }
    if let Some(token) = fields.get("client_assertion") {
        let issuer = format!("https://{host}/{tenant}");
        let audiences = [
            format!("{issuer}/oauth2/v2.0/token"),
            format!("{issuer}/v2.0"),
            format!("{issuer}/oauth2/token"),
        ];
        let assertion = Assertion { token, client_id, audiences: &audiences, now: shared.clock.now() };
        let is_jwt = fields.get("client_assertion_type").is_some_and(|kind| kind == JWT_BEARER);
        let vouched =
            if is_jwt { shared.identity.vouched(&assertion).await } else { Err(Rejected::Signature) };
        return vouched.map(|()| resource).map_err(EntraError::bad_assertion);
    }
    if !fields.contains_key("client_secret") {
        return Err(EntraError::no_secret());
    }
    if !shared.identity.is_secret(field("client_secret")?) {
        return Err(EntraError::bad_secret(client_id));
    }
    Ok(resource)
}

/// The resource in a scope, where it is Key Vault's in the cloud of this host, or this host's.
fn resource_of_scope(host: &str, scope: &str) -> Result<String, EntraError> {
    let mut scopes = scope.split_whitespace().filter(|scope| !RESERVED_SCOPES.contains(scope));
    let resource = scopes.next().and_then(|scope| scope.strip_suffix("/.default"));
    match (resource, scopes.next()) {
        (Some(resource), None) if is_vault(host, resource) => Ok(resource.to_owned()),
        (Some(resource), None) => Err(EntraError::unknown_resource(resource)),
        _ => Err(EntraError::invalid_scope(scope)),
    }
}

/// Whether a resource is Key Vault's in the cloud of this host, with or without a slash at its end. On loopback it is that of
/// any cloud, or this host's.
fn is_vault(host: &str, resource: &str) -> bool {
    let resource = resource.trim_end_matches('/');
    let of = Cloud::of_resource(resource);
    match Cloud::of_authority(host) {
        Some(cloud) => of == Some(cloud),
        None => of.is_some() || resource.strip_prefix("https://") == Some(host),
    }
}

/// Issues a token, and remembers that.
fn issue(shared: &Shared, host: &str, resource: &str, lifetime: Duration) -> SecretString {
    let authority = format!("https://{host}/{}", shared.tenant());
    shared.issued.lock().insert(Issued { authority, resource: resource.to_owned() });
    shared.identity.issue(host, resource, shared.clock.now(), lifetime)
}

fn entra_token(shared: &Shared, host: &str, resource: &str) -> Response {
    let lifetime = shared.settings().token_lifetime();
    let token = issue(shared, host, resource, lifetime);
    let answer = json!({
        "token_type": "Bearer",
        "expires_in": lifetime.as_secs(),
        "ext_expires_in": lifetime.as_secs(),
        "access_token": token.expose_secret(),
    });
    wire::json(StatusCode::OK, &answer)
}

async fn managed_token(shared: &Arc<Shared>, host: &str, fields: &Fields) -> Response {
    faulted(shared, host, async {
        let credential = shared.identity.credential();
        let Some(resource) = fields.get("resource").filter(|resource| is_vault(host, resource)) else {
            return managed_error(
                StatusCode::BAD_REQUEST,
                "invalid_resource",
                "AADSTS500011: unknown resource.",
            );
        };
        if !fields.contains_key("api-version") {
            return managed_error(StatusCode::BAD_REQUEST, "invalid_request", "api-version is missing.");
        }
        if fields.get("client_id").is_some_and(|client_id| *client_id != credential.client_id) {
            return managed_error(StatusCode::BAD_REQUEST, "invalid_request", "Identity not found");
        }
        let (now, lifetime) = (shared.clock.now(), shared.settings().token_lifetime());
        let token = issue(shared, host, resource, lifetime);
        let answer = json!({
            "access_token": token.expose_secret(),
            "client_id": credential.client_id,
            "expires_in": lifetime.as_secs().to_string(),
            "expires_on": (now + lifetime).as_second().to_string(),
            "ext_expires_in": lifetime.as_secs().to_string(),
            "not_before": now.as_second().to_string(),
            "resource": resource,
            "token_type": "Bearer",
        });
        wire::json(StatusCode::OK, &answer)
    })
    .await
}

/// Issues a token, with the fault that applies to it.
async fn faulted(shared: &Arc<Shared>, host: &str, issue: impl Future<Output = Response>) -> Response {
    shared.counters.count(Operation::Token);
    let operation = Operation::Token;
    let rule = shared.faults.take(&(operation, ""), |_| true);
    Faulted { rule, operation, host, here: "", shared }.around(issue).await
}

fn managed_error(status: StatusCode, error: &str, message: &str) -> Response {
    wire::json(status, &json!({ "error": error, "error_description": message }))
}

// === impl EntraError ===

impl EntraError {
    fn missing(field: &str) -> Self {
        let message = format!("The request body must contain the following parameter: '{field}'.");
        Self::bad_request("invalid_request", 900_144, message)
    }

    fn unknown_tenant(tenant: &str) -> Self {
        let message =
            format!("Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID.");
        Self::bad_request("invalid_request", 90_002, message)
    }

    fn unsupported_grant() -> Self {
        let message = "The app requested an unsupported grant type.".to_owned();
        Self::bad_request("unsupported_grant_type", 70_003, message)
    }

    fn unknown_client(client_id: &str) -> Self {
        let message =
            format!("Application with identifier '{client_id}' was not found in the directory 'double'.");
        Self::bad_request("unauthorized_client", 700_016, message)
    }

    fn invalid_scope(scope: &str) -> Self {
        let message = format!("The provided value for the input parameter 'scope' is not valid: {scope}.");
        Self::bad_request("invalid_scope", 70_011, message)
    }

    fn unknown_resource(resource: &str) -> Self {
        let message =
            format!("The resource principal named {resource} was not found in the tenant named double.");
        Self::bad_request("invalid_resource", 500_011, message)
    }

    fn no_secret() -> Self {
        let message = "The request body must contain the following parameter: \
                       'client_assertion' or 'client_secret'."
            .to_owned();
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code: 7_000_218, message }
    }

    fn bad_secret(client_id: &str) -> Self {
        let message = format!(
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, \
             not the client secret ID, for a secret added to app '{client_id}'."
        );
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code: 7_000_215, message }
    }

    fn bad_assertion(rejected: Rejected) -> Self {
        let no_record =
            |of| format!("No matching federated identity record found for presented assertion {of}.");
        let (code, message) = match rejected {
            Rejected::Signature => (
                700_027,
                "The certificate with identifier used to sign the client assertion is not registered on \
                 application."
                    .to_owned(),
            ),
            Rejected::Issuer => (700_211, no_record("issuer")),
            Rejected::Audience => (700_212, no_record("audience")),
            Rejected::Subject => (700_213, no_record("subject")),
            Rejected::Time => (700_024, "Client assertion is not within its valid time range.".to_owned()),
        };
        Self { status: StatusCode::UNAUTHORIZED, error: "invalid_client", code, message }
    }

    fn bad_request(error: &'static str, code: u32, message: String) -> Self {
        Self { status: StatusCode::BAD_REQUEST, error, code, message }
    }

    fn into_response(self, host: &str, now: Timestamp) -> Response {
        let Self { status, error, code, message } = self;
        let (trace, correlation) = (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().to_string());
        let timestamp = now.strftime("%Y-%m-%d %H:%M:%SZ").to_string();
        let body = json!({
            "error": error,
            "error_description": format!(
                "AADSTS{code}: {message} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
            ),
            "error_codes": [code],
            "timestamp": timestamp,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": format!("https://{host}/error?code={code}"),
        });
        wire::json(status, &body)
    }
}
