//! Maps errors of the Azure SDK to [`VaultError`]. Their texts can contain bodies, so only codes and causes
//! are kept.

use std::time::Duration;

use azure_core::{
    Error,
    error::ErrorKind,
    http::{
        RawResponse,
        headers::{HeaderName, Headers, RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS},
    },
    time::{OffsetDateTime, parse_rfc7231},
};
use serde_json::Value;

use super::{
    VaultError,
    credential_error::{connection_cause, find_code, find_source, map_credential_error, proxy_cause},
    rate_limiter::MAX_PAUSE,
    transport::{Intercepted, ResponseTooLarge},
};
use crate::{
    fence::FenceError,
    model::{VaultSecretName, VaultVersion},
    quote::Quote,
};

const DATE: HeaderName = HeaderName::from_static("date");
/// The operation that stores a value.
pub(super) const CREATE: &str = "create secrets";

/// The request that failed, for error messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operation<'a> {
    /// The operation, as in "refuses to …": `read values`.
    pub(super) operation: &'static str,
    /// The secret that was requested, if any.
    pub(super) name: Option<&'a VaultSecretName>,
    /// The version that was requested, if any.
    pub(super) version: Option<&'a VaultVersion>,
}

/// Maps an error of the SDK.
pub(super) fn map_error(error: &Error, operation: Operation<'_>) -> VaultError {
    if find_source::<ResponseTooLarge>(error).is_some() {
        return VaultError::Malformed(Quote::error(&ResponseTooLarge));
    }
    if let Some(intercepted) = find_source::<Intercepted>(error) {
        return VaultError::Intercepted(Quote::error(intercepted));
    }
    match find_source::<FenceError>(error) {
        Some(FenceError::NotStarted) => return VaultError::NotLeader,
        Some(cut @ FenceError::Cancelled) => return VaultError::Unreachable(Quote::error(cut)),
        None => {}
    }
    match error.kind() {
        ErrorKind::HttpResponse { status, raw_response: Some(response), .. } => {
            ErrorResponse::new((*status).into(), response).map_error(operation)
        }
        ErrorKind::HttpResponse { status, raw_response: None, .. } => {
            VaultError::Malformed(format!("status {status} without content").into())
        }
        ErrorKind::Credential => map_credential_error(error),
        ErrorKind::Connection | ErrorKind::Io => match proxy_cause(error) {
            Some(cause) => VaultError::Intercepted(cause.into()),
            None => VaultError::Unreachable(connection_cause(error)),
        },
        // serde's errors quote the input, which may be a value.
        ErrorKind::DataConversion => VaultError::Malformed("unexpected content".into()),
        // The SDK uses this kind if the challenge's resource does not match the vault's domain.
        ErrorKind::Other => VaultError::Malformed(Quote::error(error)),
    }
}

/// The `Date` header of a response.
pub(super) fn date(headers: &Headers) -> Option<OffsetDateTime> {
    parse_rfc7231(headers.get_optional_str(&DATE)?).ok()
}

/// A response with an error status.
struct ErrorResponse<'a> {
    status: u16,
    headers: &'a Headers,
    /// Whether the body has the form of a Key Vault error: JSON with an object `error`. A gateway's or proxy's
    /// page has not.
    is_of_key_vault: bool,
    /// Error codes from general to specific, for example `Forbidden`, `ForbiddenByRbac`. Other vaults than
    /// Azure's use codes of their own: the status decides, and a code only refines it.
    codes: Vec<String>,
    message: String,
}

// === impl ErrorResponse ===

impl<'a> ErrorResponse<'a> {
    fn new(status: u16, response: &'a RawResponse) -> Self {
        // Read field by field: what an emulator writes in another form hides nothing else.
        let body = response.body().json::<Value>().unwrap_or_default();
        let error = body.get("error").filter(|error| error.is_object());
        let text = |error: &Value, field: &str| error.get(field).and_then(Value::as_str).map(str::to_owned);
        let chain = std::iter::successors(error, |error| error.get("innererror"));
        let codes = chain.filter_map(|error| text(error, "code")).filter(|code| is_code(code)).collect();
        let message = error.and_then(|error| text(error, "message")).unwrap_or_default();
        Self { status, headers: response.headers(), is_of_key_vault: error.is_some(), codes, message }
    }

    fn map_error(&self, operation: Operation<'_>) -> VaultError {
        match (self.status, operation.name) {
            (401, _) => {
                let code = find_code(&self.message, "AKV").or_else(|| find_code(&self.message, "AADSTS"));
                let code = code.unwrap_or_else(|| self.code());
                VaultError::Unauthenticated(format!("the vault does not accept the token ({code})").into())
            }
            (403, Some(name)) if self.has("SecretDisabled") => {
                VaultError::Disabled { name: name.clone(), version: operation.version.cloned() }
            }
            (403, Some(name)) if self.has("SecretManagedByKeyVault") => {
                VaultError::Managed { name: name.clone() }
            }
            (403, _) if self.is_firewall() => VaultError::Firewall,
            (403, _) if self.is_of_key_vault => {
                VaultError::Forbidden { operation: operation.operation, code: self.code() }
            }
            // A gateway's 404 must not look like a missing secret. And where the name is of no account, in a
            // list of all secrets and in a write, it is the vault that is missing.
            (404, Some(name)) if self.is_of_key_vault && operation.operation != CREATE => {
                let name = name.clone();
                match operation.version.cloned() {
                    Some(version) => VaultError::VersionNotFound { name, version },
                    None => VaultError::NotFound { name, unseen_in: None },
                }
            }
            (409, Some(name)) if self.has("ObjectIsDeletedButRecoverable") => {
                VaultError::SoftDeleted { name: name.clone(), being_deleted: false }
            }
            // ObjectIsBeingDeleted, …Recovered, …Purged
            (409, Some(name)) if self.codes.iter().any(|code| code.starts_with("ObjectIsBeing")) => {
                VaultError::SoftDeleted { name: name.clone(), being_deleted: true }
            }
            (429, _) => VaultError::Throttled { retry_after: retry_after(self.headers) },
            (408 | 500.., _) => {
                VaultError::Unreachable(format!("it failed with status {}", self.status).into())
            }
            (403 | 404, _) => VaultError::Malformed(
                format!("status {}, and no Key Vault's words for it", self.status).into(),
            ),
            (400.., _) => VaultError::Rejected { status: self.status, code: self.code() },
            _ => VaultError::Malformed(format!("unexpected status {}", self.status).into()),
        }
    }

    fn has(&self, code: &str) -> bool {
        self.codes.iter().any(|held| held == code)
    }

    /// Whether a firewall refused: `ForbiddenByFirewall`, `ForbiddenByConnection` (no private endpoint), or
    /// an error of virtual networks.
    fn is_firewall(&self) -> bool {
        self.codes.iter().any(|code| {
            matches!(code.as_str(), "ForbiddenByFirewall" | "ForbiddenByConnection")
                || code.to_ascii_lowercase().contains("vnet")
        })
    }

    /// The most specific code.
    fn code(&self) -> String {
        self.codes.last().cloned().unwrap_or_else(|| "no code".to_owned())
    }
}

/// The retry delay that the vault asks for: seconds or a date, or milliseconds in Azure's own headers.
fn retry_after(headers: &Headers) -> Option<Duration> {
    let milliseconds = |name: &HeaderName| {
        let text = headers.get_optional_str(name)?;
        text.trim().parse().ok().map(Duration::from_millis)
    };
    let standard = || {
        let text = headers.get_optional_str(&RETRY_AFTER)?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        // Prefer the vault's clock, so that a wrong local clock does no harm.
        let now = date(headers).unwrap_or_else(OffsetDateTime::now_utc);
        Some((parse_rfc7231(text).ok()? - now).try_into().unwrap_or_default())
    };
    let delay =
        milliseconds(&X_MS_RETRY_AFTER_MS).or_else(|| milliseconds(&RETRY_AFTER_MS)).or_else(standard);
    delay.map(|pause| pause.min(MAX_PAUSE))
}

/// Whether a text looks like an error code, which is safe to show.
fn is_code(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use azure_core::http::StatusCode;

    use super::*;

    const NAME: &str = "pump-password";
    const VERSION: &str = "0123456789abcdef0123456789abcdef";

    fn response(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
        let mut all = Headers::new();
        for (name, value) in headers {
            all.insert(*name, (*value).to_owned());
        }
        let status = StatusCode::from(status);
        let raw_response = Some(Box::new(RawResponse::from_bytes(status, all, body.to_owned())));
        ErrorKind::HttpResponse { status, error_code: None, raw_response }.into_error()
    }

    fn body(code: &str, inner: &str) -> String {
        let inner =
            if inner.is_empty() { String::new() } else { format!(r#","innererror":{{"code":"{inner}"}}"#) };
        format!(r#"{{"error":{{"code":"{code}","message":"AKV10032: canary-value"{inner}}}}}"#)
    }

    fn mapped(error: &Error) -> VaultError {
        let (name, version) = (NAME.parse().unwrap(), VERSION.parse().unwrap());
        let explained = map_error(
            error,
            Operation { operation: "read values", name: Some(&name), version: Some(&version) },
        );
        assert!(!format!("{explained} {explained:?}").contains("canary"), "{explained:?}");
        explained
    }

    fn of_name() -> VaultSecretName {
        NAME.parse().unwrap()
    }

    #[test]
    fn every_code_of_key_vault_has_its_meaning() {
        let forbidden =
            |code: &str| VaultError::Forbidden { operation: "read values", code: code.to_owned() };
        let rejected = |status, code: &str| VaultError::Rejected { status, code: code.to_owned() };
        let version = || VERSION.parse().unwrap();
        let soft_deleted = |being_deleted| VaultError::SoftDeleted { name: of_name(), being_deleted };
        for (status, code, inner, meaning) in [
            (403, "Forbidden", "ForbiddenByRbac", forbidden("ForbiddenByRbac")),
            (403, "Forbidden", "AccessDenied", forbidden("AccessDenied")),
            (403, "Forbidden", "ForbiddenByPolicy", forbidden("ForbiddenByPolicy")),
            (403, "Forbidden", "", forbidden("Forbidden")),
            (403, "Forbidden", "ForbiddenByFirewall", VaultError::Firewall),
            (403, "Forbidden", "ForbiddenByConnection", VaultError::Firewall),
            (403, "VnetError", "", VaultError::Firewall),
            (
                403,
                "Forbidden",
                "SecretDisabled",
                VaultError::Disabled { name: of_name(), version: Some(version()) },
            ),
            (403, "Forbidden", "SecretManagedByKeyVault", VaultError::Managed { name: of_name() }),
            (404, "SecretNotFound", "", VaultError::VersionNotFound { name: of_name(), version: version() }),
            (409, "Conflict", "ObjectIsDeletedButRecoverable", soft_deleted(false)),
            (409, "Conflict", "ObjectIsBeingDeleted", soft_deleted(true)),
            (409, "Conflict", "ObjectIsBeingRecovered", soft_deleted(true)),
            (409, "Conflict", "ObjectIsBeingPurged", soft_deleted(true)),
            (409, "Conflict", "", rejected(409, "Conflict")),
            (400, "BadParameter", "", rejected(400, "BadParameter")),
            (413, "RequestTooLarge", "", rejected(413, "RequestTooLarge")),
            (429, "Throttled", "", VaultError::Throttled { retry_after: None }),
        ] {
            assert_eq!(
                mapped(&response(status, &[], &body(code, inner))),
                meaning,
                "{status} {code} {inner}"
            );
        }
        assert!(matches!(mapped(&response(503, &[], "")), VaultError::Unreachable(_)));
        assert!(matches!(mapped(&response(302, &[], "")), VaultError::Malformed(_)));
    }

    #[test]
    fn a_refused_token_reports_the_vaults_code() {
        let VaultError::Unauthenticated(why) = mapped(&response(401, &[], &body("Unauthorized", ""))) else {
            panic!()
        };
        assert!(why.contains("AKV10032"), "{why}");
    }

    #[test]
    fn a_body_that_is_no_key_vault_error_is_not_quoted() {
        for text in
            ["<html>canary", "", "[]", r#"{"error":"canary"}"#, r#"{"error":{"code":"canary value"}}"#]
        {
            let error = mapped(&response(404, &[], text));
            let expected = match text.contains("code") {
                true => VaultError::VersionNotFound { name: of_name(), version: VERSION.parse().unwrap() },
                false => VaultError::Malformed("status 404, and no Key Vault's words for it".into()),
            };
            assert_eq!(error, expected, "{text}");
            let rejected = VaultError::Rejected { status: 405, code: "no code".to_owned() };
            assert_eq!(mapped(&response(405, &[], text)), rejected, "{text}");
        }
    }

    #[test]
    fn a_proxy_in_the_way_is_not_taken_for_the_vault() {
        let page = ErrorKind::Other;
        let page = mapped(&Error::new(page, Intercepted::WebPage(403)));
        assert!(matches!(&page, VaultError::Intercepted(why) if why.contains("web page")), "{page:?}");
        for (said, cause) in [
            ("tunnel error: proxy authorization required", "asks for credentials"),
            ("tunnel error: unsuccessful", "refuses the connection"),
        ] {
            let io = std::io::Error::other(said);
            let error = mapped(&Error::new(ErrorKind::Connection, io));
            assert!(matches!(&error, VaultError::Intercepted(why) if why.contains(cause)), "{error:?}");
        }
    }

    #[test]
    fn retry_after_is_read_in_all_its_forms() {
        let throttled = |headers: &[(&'static str, &str)]| mapped(&response(429, headers, "")).retry_after();
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(throttled(&[("retry-after", "7")]), seconds(7));
        assert_eq!(throttled(&[("retry-after-ms", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(
            throttled(&[("x-ms-retry-after-ms", "50"), ("retry-after", "7")]),
            Some(Duration::from_millis(50))
        );
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(throttled(&[("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT"), date]), seconds(20));
        assert_eq!(throttled(&[("retry-after", "Sun, 06 Nov 1994 08:49:57 GMT")]), seconds(0));
        assert_eq!(throttled(&[("retry-after", "86400")]), Some(MAX_PAUSE));
        assert_eq!(throttled(&[("retry-after", "-1")]), None);
        assert_eq!(throttled(&[("retry-after", "soon")]), None);
        assert_eq!(throttled(&[]), None);
    }

    #[test]
    fn a_malformed_body_is_not_quoted() {
        let serde = serde_json::from_str::<Vec<u8>>(r#""canary""#).unwrap_err();
        assert!(serde.to_string().contains("canary"));
        assert!(matches!(mapped(&serde.into()), VaultError::Malformed(_)));
    }
}
