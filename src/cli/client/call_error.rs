//! Errors of calls, for people: what happened, what to do, and which fields are wrong.

use std::error::Error as _;

use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::table::plain;
use crate::{cli::CommandError, quote::chain};

/// The service's messages name RPCs and fields. People at the command line get the matching commands and
/// flags.
const COMMAND_NAMES: [(&str, &str); 20] = [
    ("ListSyncedSecrets", "`secrets list`"),
    ("GetSyncedSecret", "`secrets get`"),
    ("UpdateSyncedSecret", "`secrets update`"),
    ("DeleteSyncedSecret", "`secrets delete`"),
    ("CreateSyncedSecret", "`secrets create`"),
    ("SyncSyncedSecret", "`secrets sync`"),
    ("AdoptSyncedSecret", "`secrets adopt`"),
    ("ListVaultSecretVersions", "`vault versions`"),
    ("ListVaultSecrets", "`vault list`"),
    ("CreateVaultSecret", "`vault create`"),
    ("AddVaultSecretVersion", "`vault rotate`"),
    ("UpdateVaultSecret", "`vault update`"),
    ("RecoverVaultSecret", "`vault recover`"),
    ("ListAuditEvents", "`audit list`"),
    ("ListSecretUsages", "`secrets usages`"),
    ("CheckResource", "`secrets check-resource`"),
    ("ListSecretPurposes", "`secrets purposes`"),
    ("GetCaller", "`secrets whoami`"),
    ("`force`", "--force"),
    ("without `create`", "with --from"),
];

/// The error of a call.
#[derive(Debug)]
pub(super) struct CallError {
    status: Box<Status>,
    address: String,
}

impl CallError {
    pub fn new(status: Status, address: &str) -> Self {
        Self { status: Box::new(status), address: address.to_owned() }
    }

    pub fn code(&self) -> Code {
        self.status.code()
    }

    /// Whether it has this reason (`ErrorInfo.reason`).
    pub fn has_reason(&self, reason: &str) -> bool {
        self.status.get_error_details().error_info().is_some_and(|info| info.reason == reason)
    }

    /// Whether the service did not answer.
    pub fn is_unanswered(&self) -> bool {
        is_unanswered(&self.status)
    }

    /// What happened, in one line.
    pub fn what(&self) -> String {
        if self.is_unanswered() {
            return format!("no answer from the service at {}: {}", self.address, root_cause(&self.status));
        }
        let (what, _) = split_remedy(self.status.message());
        match what {
            "" => format!("the service returned {:?} without a message", self.code()),
            what => plain(what),
        }
    }

    /// What to do about it, if known.
    fn remedy(&self) -> Option<String> {
        if self.is_unanswered() {
            return Some(
                "Check that it is running (`secret-service dev` or `serve`), and check --address, --tls and \
                 --ca-file."
                    .to_owned(),
            );
        }
        let (_, remedy) = split_remedy(self.status.message());
        let named =
            COMMAND_NAMES.iter().fold(plain(remedy?), |text, (rpc, command)| text.replace(rpc, command));
        Some(named)
    }

    /// The details of the error: invalid fields, failed preconditions.
    fn details(&self) -> Vec<String> {
        let details = self.status.get_error_details();
        let fields = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        let fields = fields.iter().map(|one| format!("{}: {}", plain(&one.field), plain(&one.description)));
        let failed = details.precondition_failure().map(|failure| failure.violations.as_slice());
        // Leave out violations that repeat a field or the message.
        let is_news = |text: &&tonic_types::PreconditionViolation| {
            let text = text.description.as_str();
            let bad = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
            !text.is_empty()
                && !self.status.message().contains(text)
                && bad.iter().all(|field| field.description != text)
        };
        // The message names only the first of several usages, and their fields may all have the same name.
        let failed = failed.unwrap_or_default();
        let are_uses = failed.len() > 1 && failed.iter().all(|one| one.r#type == "IN_USE");
        let failed = failed.iter().filter(|one| are_uses || is_news(one));
        let failed = failed.map(|one| format!("{}: {}", plain(&one.subject), plain(&one.description)));
        fields.chain(failed).collect()
    }
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        let lines = std::iter::once(error.what()).chain(error.remedy()).chain(error.details());
        CommandError::with_details(lines, exit_code(error.code(), error.is_unanswered()))
    }
}

/// Whether the service did not answer: the connection failed or broke.
pub(super) fn is_unanswered(status: &Status) -> bool {
    status.source().is_some() && status.get_error_details().error_info().is_none()
}

/// The exit code for a status code. [`super::EXIT_CODES`] documents it.
fn exit_code(code: Code, is_unanswered: bool) -> u8 {
    match code {
        _ if is_unanswered => 7,
        Code::InvalidArgument => 2,
        Code::NotFound => 3,
        Code::AlreadyExists => 4,
        Code::FailedPrecondition => 5,
        Code::PermissionDenied | Code::Unauthenticated => 6,
        Code::Unavailable | Code::DeadlineExceeded | Code::ResourceExhausted => 7,
        Code::Aborted => 8,
        _ => 1,
    }
}

/// Splits a message into what happened and its last sentence, which is the remedy.
fn split_remedy(message: &str) -> (&str, Option<&str>) {
    match message.rsplit_once(". ") {
        Some((what, remedy)) => (what, Some(remedy)),
        None => (message.trim_end_matches('.'), None),
    }
}

/// The innermost cause: "Connection refused" of "transport error: tcp connect error: Connection refused".
fn root_cause(status: &Status) -> String {
    let cause = status.source().and_then(|source| chain(source).last());
    plain(&cause.map_or_else(|| status.message().to_owned(), ToString::to_string))
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    fn failure(code: Code, message: &str, details: ErrorDetails) -> String {
        let error = CallError::new(Status::with_error_details(code, message, details), "here:1");
        CommandError::from(error).to_string()
    }

    #[test]
    fn an_error_prints_the_cause_the_remedy_and_the_violations() {
        let mut details = ErrorDetails::with_error_info("R", "d", []);
        details.set_bad_request([FieldViolation::new("request_id", "It is no\nUUID")]);
        let told = failure(Code::InvalidArgument, "It is wrong. Look with ListVaultSecrets for it.", details);
        let lines: Vec<_> = told.lines().collect();
        let expected =
            ["error: It is wrong", "  Look with `vault list` for it.", "  request_id: It is no UUID"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_message_cannot_move_the_cursor() {
        let told = failure(Code::Internal, "bad\x1b[2Jthing", ErrorDetails::new());
        assert!(!told.contains('\x1b'), "{told:?}");
    }

    #[test]
    fn every_code_has_its_exit_code_and_none_is_success() {
        for code in 1..=16 {
            assert_ne!(exit_code(Code::from_i32(code), false), 0, "{code}");
        }
        assert_eq!(exit_code(Code::NotFound, false), 3);
        assert_eq!(exit_code(Code::Unknown, true), 7);
    }
}
