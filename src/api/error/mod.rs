//! Errors on the wire: a gRPC status with details for programs and a message for people.

pub(crate) mod catalogue;
pub(crate) mod mapping;

use std::collections::HashMap;

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, PreconditionViolation, StatusExt};

use mapping::ErrorMapping;

use crate::{
    access::AccessError,
    explain::{capitalized, explanation, truncated},
    secrets::{Cause, Error, Problem},
};

/// The domain of every error reason.
pub const DOMAIN: &str = "secret-service.iotoperations";
/// Bytes of all violations, before base64: details are sent in a header, and clients accept 8 KiB of headers.
const MAX_VIOLATION_BYTES: usize = 3_500;
/// Longer messages are truncated.
const MAX_MESSAGE_CHARS: usize = 1_000;

/// The status of an error in a call about a resource; `resource` is empty if the call is about none.
pub(crate) fn status(error: &Error, resource: &str) -> Status {
    let mapping = ErrorMapping::of(error);
    if let Error::Store(cause) = error {
        tracing::error!(%cause, reason = mapping.reason, "a call failed because of the database");
    }
    let no_problems = Vec::new();
    let problems = if let Error::Refused(problems) = error { problems } else { &no_problems };
    let message = message(error, problems, &mapping);
    let mut details = details(&mapping, resource);
    let violations = match error {
        Error::RequestIdReused | Error::RequestOfAnotherHistory => {
            vec![("request_id".to_owned(), error.to_string())]
        }
        _ => violations(problems),
    };
    if !violations.is_empty() {
        let violations = violations.into_iter().map(|(field, text)| FieldViolation::new(field, text));
        details.set_bad_request(violations.collect::<Vec<_>>());
    }
    add_preconditions(&mut details, problems, resource);
    if matches!(mapping.code, Code::NotFound | Code::AlreadyExists) {
        let name = mapping.resource.as_deref().unwrap_or(resource);
        details.set_resource_info(kind_of(name), name, "", &message);
    }
    Status::with_error_details(mapping.code, message, details)
}

/// For `map_err`: the status of an error in a call about a resource.
pub(crate) fn about(resource: impl Into<String>) -> impl FnOnce(Error) -> Status {
    let resource = resource.into();
    move |error| status(&error, &resource)
}

/// For `map_err`: the status of an error in a call about no single resource.
pub(crate) fn plain(error: Error) -> Status {
    status(&error, "")
}

/// The status of a call that is denied.
pub(crate) fn access_denied(error: &AccessError, mapping: &ErrorMapping) -> Status {
    let message = explanation(&error.to_string(), &mapping.remedy);
    Status::with_error_details(mapping.code, message, details(mapping, ""))
}

/// The reason and the message of the status of a denied call.
pub(crate) fn access_refusal(error: &AccessError) -> (&'static str, String) {
    let mapping = ErrorMapping::of_access_error(error);
    (mapping.reason, explanation(&error.to_string(), &mapping.remedy))
}

/// A status of the server itself, with the same details as that of any other error.
pub(crate) fn server_status(
    code: Code,
    reason: &'static str,
    message: &str,
    retry: Option<std::time::Duration>,
) -> Status {
    let mapping = ErrorMapping { code, reason, remedy: String::new(), resource: None, holder: None, retry };
    Status::with_error_details(code, message, details(&mapping, ""))
}

fn details(mapping: &ErrorMapping, resource: &str) -> ErrorDetails {
    let name = mapping.resource.as_deref().unwrap_or(resource);
    let resource = Some(name).filter(|name| !name.is_empty()).map(|name| ("resource", name));
    let holder = mapping.holder.as_deref().map(|holder| ("holder", holder));
    let entries = resource.into_iter().chain(holder);
    let metadata: HashMap<_, _> = entries.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    let mut details = ErrorDetails::with_error_info(mapping.reason, DOMAIN, metadata);
    if mapping.retry.is_some() {
        details.set_retry_info(mapping.retry);
    }
    details
}

/// What happened, and what to do.
fn message(error: &Error, problems: &[Problem], mapping: &ErrorMapping) -> String {
    let decisive = problems.iter().find(|problem| ErrorMapping::of_cause(&problem.cause) == *mapping);
    let happened = match decisive {
        Some(problem) if mapping.code == Code::InvalidArgument && !problem.field.is_empty() => {
            format!("{}: {}", problem.field, problem.cause)
        }
        Some(problem) => capitalized(&problem.cause.to_string()),
        None => capitalized(&error.to_string()),
    };
    let more = match problems.len() {
        0 | 1 => String::new(),
        all => format!(" ({} more in the details)", all - 1),
    };
    let happened = truncated(happened.trim_end_matches('.'), MAX_MESSAGE_CHARS);
    format!("{happened}{more}. {}", mapping.remedy)
}

/// The problems with fields, as many as fit.
fn violations(problems: &[Problem]) -> Vec<(String, String)> {
    let (mut violations, mut bytes) = (Vec::new(), 0);
    let with_field = problems.iter().filter(|problem| !problem.field.is_empty());
    let all = with_field.clone().count();
    for problem in with_field {
        let violation = (problem.field.clone(), capitalized(&problem.cause.to_string()));
        bytes += violation.0.len() + violation.1.len();
        if bytes > MAX_VIOLATION_BYTES && !violations.is_empty() {
            let rest = all - violations.len();
            violations.push((problem.field.clone(), format!("This and {} more do not fit here.", rest - 1)));
            break;
        }
        violations.push((violation.0, truncated(&violation.1, MAX_MESSAGE_CHARS)));
    }
    violations
}

fn add_preconditions(details: &mut ErrorDetails, problems: &[Problem], resource: &str) {
    let mut bytes = 0;
    // With fields, they repeat the violations, so they get less space.
    let room = if problems.iter().all(|problem| problem.field.is_empty()) {
        MAX_VIOLATION_BYTES
    } else {
        MAX_VIOLATION_BYTES / 3
    };
    let failed =
        problems.iter().filter_map(|problem| precondition(problem, resource)).take_while(|violation| {
            let first = bytes == 0;
            bytes += violation.r#type.len() + violation.subject.len() + violation.description.len();
            first || bytes < room
        });
    let failed: Vec<_> = failed.collect();
    if !failed.is_empty() {
        details.set_precondition_failure(failed);
    }
}

/// A precondition of the call that does not hold; of a usage, the resource and the field in it.
fn precondition(problem: &Problem, resource: &str) -> Option<PreconditionViolation> {
    let mapping = ErrorMapping::of_cause(&problem.cause);
    if mapping.code != Code::FailedPrecondition {
        return None;
    }
    Some(match &problem.cause {
        Cause::InUse { usage, .. } | Cause::KeyInUse { usage, .. } => {
            PreconditionViolation::new("IN_USE", usage.subject(), &*usage.field)
        }
        cause => {
            let subject = mapping.resource.unwrap_or_else(|| resource.to_owned());
            let text = truncated(&capitalized(&cause.to_string()), MAX_MESSAGE_CHARS);
            PreconditionViolation::new(mapping.reason, subject, text)
        }
    })
}

fn kind_of(name: &str) -> &'static str {
    match name {
        name if name.starts_with("syncedSecrets/") => "secret-service.iotoperations/SyncedSecret",
        name if name.contains("/versions/") => "secret-service.iotoperations/VaultSecretVersion",
        name if name.starts_with("vaultSecrets/") => "secret-service.iotoperations/VaultSecret",
        _ => "secret-service.iotoperations/Vault",
    }
}

/// The canonical name of a code, as the specification of gRPC spells it.
pub fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests;
