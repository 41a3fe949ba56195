//! The errors of the API, `Status` objects with the real server's messages.

use axum::{body::Body, http::StatusCode, response::Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::fields::{Conflict, Conflicts};

/// A failed request, as its `Status` reports it.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    pub code: u16,
    pub reason: String,
    pub message: String,
    pub details: Option<Box<Details>>,
}

/// The `details` of a `Status`.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u32>,
}

/// One of several causes.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cause {
    pub reason: String,
    pub message: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub field: String,
}

/// The subject of an error: the resource (or, in `Invalid`, the kind), its group and the object.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub group: &'a str,
    pub resource: &'a str,
    pub name: &'a str,
}

// === impl ApiError ===

impl ApiError {
    pub fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self { code, reason: reason.to_owned(), message: message.into(), details: None }
    }

    fn about(mut self, subject: Subject<'_>) -> Self {
        self.details = Some(Box::new(Details {
            name: subject.name.to_owned(),
            group: subject.group.to_owned(),
            kind: subject.resource.to_owned(),
            ..Details::default()
        }));
        self
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub fn forbidden(subject: Subject<'_>, message: &str) -> Self {
        let what = subject.qualified();
        let message = match subject.name {
            "" => format!("{what} is forbidden: {message}"),
            name => format!("{what} {name:?} is forbidden: {message}"),
        };
        Self::new(403, "Forbidden", message).about(subject)
    }

    /// No such object.
    pub fn not_found(subject: Subject<'_>) -> Self {
        Self::new(404, "NotFound", format!("{} {:?} not found", subject.qualified(), subject.name))
            .about(subject)
    }

    /// No such resource or path.
    pub fn no_such_resource() -> Self {
        let mut error = Self::new(404, "NotFound", "the server could not find the requested resource");
        error.details = Some(Box::default());
        error
    }

    pub fn method_not_allowed() -> Self {
        let mut error = Self::new(
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        );
        error.details = Some(Box::default());
        error
    }

    pub fn not_acceptable(offered: &str) -> Self {
        Self::new(406, "NotAcceptable", format!("only the following media types are accepted: {offered}"))
    }

    pub fn already_exists(subject: Subject<'_>) -> Self {
        let message = format!("{} {:?} already exists", subject.qualified(), subject.name);
        Self::new(409, "AlreadyExists", message).about(subject)
    }

    pub fn conflict(subject: Subject<'_>, message: &str) -> Self {
        let what = subject.qualified();
        let message = format!("Operation cannot be fulfilled on {what} {:?}: {message}", subject.name);
        Self::new(409, "Conflict", message).about(subject)
    }

    /// Optimistic concurrency: the object has changed since it was read.
    pub fn modified(subject: Subject<'_>) -> Self {
        Self::conflict(
            subject,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Fields that other managers own.
    pub fn field_conflicts(conflicts: &Conflicts) -> Self {
        let cause =
            |conflict: &Conflict| Cause::new("FieldManagerConflict", conflict.message(), &conflict.field);
        let mut error = Self::new(409, "Conflict", conflicts.to_string());
        error.details =
            Some(Box::new(Details { causes: conflicts.0.iter().map(cause).collect(), ..Details::default() }));
        error
    }

    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub fn unsupported_media_type(offered: &str) -> Self {
        Self::new(
            415,
            "UnsupportedMediaType",
            format!(
                "the body of the request was in an unknown format - accepted media types include: {offered}"
            ),
        )
    }

    /// Validation errors; `subject.resource` is the kind.
    pub fn invalid(subject: Subject<'_>, causes: Vec<Cause>) -> Self {
        let one = |cause: &Cause| format!("{}: {}", cause.field, cause.message);
        let list = match causes.as_slice() {
            [only] => one(only),
            causes => format!("[{}]", causes.iter().map(one).collect::<Vec<_>>().join(", ")),
        };
        let message = format!("{} {:?} is invalid: {list}", subject.qualified(), subject.name);
        let mut error = Self::new(422, "Invalid", message).about(subject);
        if let Some(details) = &mut error.details {
            details.causes = causes;
        }
        error
    }

    /// An invalid option of a request; `options` is the kind of the options.
    pub fn invalid_options(options: &str, cause: Cause) -> Self {
        Self::invalid(Subject { group: "meta.k8s.io", resource: options, name: "" }, vec![cause])
    }

    pub fn internal(message: &str) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// A resourceVersion in the future.
    pub fn too_large_resource_version(requested: u64, current: u64) -> Self {
        let message = format!("Too large resource version: {requested}, current: {current}");
        let mut error = Self::new(504, "Timeout", format!("Timeout: {message}"));
        error.details = Some(Box::new(Details {
            causes: vec![Cause::new("ResourceVersionTooLarge", "Too large resource version", "")],
            retry_after_seconds: Some(1),
            ..Details::default()
        }));
        error
    }

    /// Adds `retryAfterSeconds` and `Retry-After`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.details.get_or_insert_default().retry_after_seconds = Some(seconds);
        self
    }

    /// Adds one cause.
    pub fn because(mut self, cause: Cause) -> Self {
        self.details.get_or_insert_default().causes.push(cause);
        self
    }

    /// The `Status` object.
    pub fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if let Some(details) = &self.details {
            status["details"] = json!(details);
        }
        status["code"] = json!(self.code);
        status
    }

    pub fn into_response(self) -> Response {
        let mut response = Response::builder()
            .status(StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR))
            .header("content-type", "application/json");
        if let Some(seconds) = self.details.as_ref().and_then(|details| details.retry_after_seconds) {
            response = response.header("retry-after", seconds);
        }
        response.body(Body::from(self.status().to_string())).expect("the parts of a Status are valid headers")
    }
}

// === impl Cause ===

impl Cause {
    pub fn new(reason: &str, message: impl Into<String>, field: impl Into<String>) -> Self {
        Self { reason: reason.to_owned(), message: message.into(), field: field.into() }
    }

    /// An invalid value. The message quotes `shown`, which must not be a secret value.
    pub fn invalid(field: impl Into<String>, shown: &str, rule: &str) -> Self {
        Self::new("FieldValueInvalid", format!("Invalid value: {shown:?}: {rule}"), field)
    }

    /// The same, of a list or an object.
    pub fn invalid_json(field: impl Into<String>, shown: &Value, rule: &str) -> Self {
        Self::new("FieldValueInvalid", format!("Invalid value: {shown}: {rule}"), field)
    }

    pub fn required(field: impl Into<String>, rule: &str) -> Self {
        let message = match rule {
            "" => "Required value".to_owned(),
            rule => format!("Required value: {rule}"),
        };
        Self::new("FieldValueRequired", message, field)
    }

    /// A value that is not one of the supported ones.
    pub fn not_supported(field: &str, shown: &str, supported: &[&str]) -> Self {
        let supported: Vec<_> = supported.iter().map(|value| format!("{value:?}")).collect();
        let message = format!("Unsupported value: {shown}: supported values: {}", supported.join(", "));
        Self::new("FieldValueNotSupported", message, field)
    }

    pub fn too_long(field: impl Into<String>, bytes: usize) -> Self {
        Self::new("FieldValueTooLong", format!("Too long: may not be more than {bytes} bytes"), field)
    }

    pub fn forbidden(field: impl Into<String>, rule: &str) -> Self {
        Self::new("FieldValueForbidden", format!("Forbidden: {rule}"), field)
    }
}

// === impl Subject ===

impl Subject<'_> {
    fn qualified(&self) -> String {
        match self.group {
            "" => self.resource.to_owned(),
            group => format!("{}.{group}", self.resource),
        }
    }
}
