//! Key Vault's error answers: status, code, message, inner code.

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use super::wire;

/// An error answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) code: Cow<'static, str>,
    pub(super) message: String,
    pub(super) inner: Option<Cow<'static, str>>,
    pub(super) retry_after: Option<Duration>,
}

/// The body of an error answer.
#[derive(Serialize)]
struct Body<'a> {
    error: Content<'a>,
}

#[derive(Serialize)]
struct Content<'a> {
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    innererror: Option<Inner<'a>>,
}

#[derive(Serialize)]
struct Inner<'a> {
    code: &'a str,
}

impl Refusal {
    /// The request is malformed.
    pub(super) fn bad_parameter(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "BadParameter", message)
    }

    /// No token, or one that isn't accepted.
    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "Unauthorized", message)
    }

    /// No secret, or no version of it, under that name.
    pub(super) fn secret_not_found(name: &str, version: Option<&str>) -> Self {
        Self::not_found("SecretNotFound", "secret", name, version)
    }

    /// No certificate, or no version of it, under that name.
    pub(super) fn certificate_not_found(name: &str, version: Option<&str>) -> Self {
        Self::not_found("CertificateNotFound", "certificate", name, version)
    }

    fn not_found(code: &'static str, kind: &str, name: &str, version: Option<&str>) -> Self {
        let version = version.map(|version| format!("/{version}")).unwrap_or_default();
        Self::new(
            StatusCode::NOT_FOUND,
            code,
            format!(
                "A {kind} with (name/id) {name}{version} was not found in this key vault. If you recently deleted \
                 this {kind} you may be able to recover it using the correct recovery command. For help resolving \
                 this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
            ),
        )
    }

    /// No deleted secret of that name.
    pub(super) fn deleted_secret_not_found(name: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "SecretNotFound", format!("Deleted Secret not found: {name}"))
    }

    /// The version may not be read.
    pub(super) fn secret_disabled() -> Self {
        Self::new(StatusCode::FORBIDDEN, "Forbidden", "Operation get is not allowed on a disabled secret.")
            .with_inner("SecretDisabled")
    }

    /// The secret belongs to a certificate.
    pub(super) fn managed(operation: &str) -> Self {
        let message = format!(
            "Operation \"{operation}\" is not allowed on this secret, since it is associated with a certificate. \
             Perform the operation on the corresponding certificate."
        );
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner("SecretManagedByKeyVault")
    }

    /// A deleted secret has the name.
    pub(super) fn deleted_but_recoverable(name: &str) -> Self {
        let message = format!(
            "Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this \
             state, the secret can only be recovered or purged."
        );
        Self::conflict(message).with_inner("ObjectIsDeletedButRecoverable")
    }

    /// The vault hasn't finished deleting or purging.
    pub(super) fn being_deleted() -> Self {
        Self::conflict("Secret is currently being deleted.").with_inner("ObjectIsBeingDeleted")
    }

    /// The vault hasn't finished recovering.
    pub(super) fn being_recovered() -> Self {
        Self::conflict("Secret is currently being recovered.").with_inner("ObjectIsBeingRecovered")
    }

    /// The secret to create exists already.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// The caller's identity lacks the right.
    pub(super) fn forbidden_by_rbac(action: &str) -> Self {
        let message = format!(
            "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or \
             role definitions were changed recently, please observe propagation time.\r\n\
             Action: 'Microsoft.KeyVault/vaults/{}'\r\nAssignment: (not found)\r\nVault: double",
            action
        );
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner("ForbiddenByRbac")
    }

    /// The vault's firewall doesn't let the caller's network in.
    pub(super) fn forbidden_by_firewall() -> Self {
        let message = "Client address is not authorized and caller is not a trusted service.\r\n\
                       Client address: 127.0.0.1\r\nVault: double";
        Self::new(StatusCode::FORBIDDEN, "Forbidden", message).with_inner("ForbiddenByFirewall")
    }

    /// Too many requests.
    pub(super) fn throttled(retry_after: Option<Duration>) -> Self {
        let message = "Request was not processed because too many requests were received. \
                       Reason: VaultRequestTypeLimitReached";
        Self { retry_after, ..Self::new(StatusCode::TOO_MANY_REQUESTS, "Throttled", message) }
    }

    /// The path doesn't have this method.
    pub(super) fn method_not_allowed(method: &Method, path: &str) -> Self {
        let message = format!("{method} is not allowed on /{path}.");
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    }

    /// There is no such operation.
    pub(super) fn no_such_path(path: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", format!("There is nothing at /{path}."))
    }

    /// The body is too large.
    pub(super) fn too_large() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "The request body is too large.")
    }

    /// The double itself failed.
    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", message)
    }

    /// Any other error.
    pub(super) fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        Self { status, code: code.into(), message: message.into(), inner: None, retry_after: None }
    }

    fn with_inner(self, code: &'static str) -> Self {
        Self { inner: Some(code.into()), ..self }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let innererror = self.inner.as_deref().map(|code| Inner { code });
        let content = Content { code: &self.code, message: &self.message, innererror };
        let mut response = wire::json(self.status, &Body { error: content });
        if let Some(retry_after) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after.as_secs()));
        }
        response
    }
}
