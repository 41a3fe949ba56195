//! The mapping of errors of the edge.

use tonic::Code;

use super::{ErrorMapping, RETRY_LATER, RETRY_SOON};
use crate::{explain::Explain, secrets::EdgeError};

impl ErrorMapping {
    pub(super) fn of_edge(error: &EdgeError) -> Self {
        use Code::*;
        let new = |code, reason| Self::new(code, reason, error.remedy());
        match error {
            EdgeError::Configuration(_) => new(FailedPrecondition, "EDGE_CONFIGURATION"),
            // A Secret of another tool has this id; the remedy is to adopt it.
            EdgeError::Conflict { name, .. } => {
                new(AlreadyExists, "EDGE_CONFLICT").about("syncedSecrets", name)
            }
            EdgeError::Terminating { name, .. } => {
                new(FailedPrecondition, "EDGE_TERMINATING").about("syncedSecrets", name)
            }
            EdgeError::SettingMissing { .. } => new(FailedPrecondition, "SETTING_MISSING"),
            EdgeError::CloudUnknown => new(FailedPrecondition, "CLOUD_UNKNOWN"),
            EdgeError::DefaultClass(_) => new(FailedPrecondition, "DEFAULT_CLASS_UNCLEAR"),
            // Another process may become the leader at any time; a retry at the shared address finds it.
            EdgeError::NotLeader { holder } => {
                Self { holder: Some(holder.clone()), ..new(Unavailable, "NOT_LEADER") }.retry(RETRY_LATER)
            }
            EdgeError::Changed(_) => new(Aborted, "EDGE_CHANGED").retry(RETRY_SOON),
            // The service lacks the permission, not the caller.
            EdgeError::Forbidden(_) => new(PermissionDenied, "EDGE_FORBIDDEN"),
            EdgeError::Unauthenticated(_) => new(Unavailable, "EDGE_UNAUTHENTICATED").retry(RETRY_LATER),
            EdgeError::NamespaceMissing(_) => new(FailedPrecondition, "EDGE_NAMESPACE_MISSING"),
            EdgeError::NamespaceTerminating(_) => new(FailedPrecondition, "EDGE_NAMESPACE_TERMINATING"),
            EdgeError::Intercepted(_) => new(Unavailable, "EDGE_UNREACHABLE").retry(RETRY_LATER),
            EdgeError::NotServed { .. } | EdgeError::NotFound(_) => {
                new(FailedPrecondition, "EDGE_RESOURCE_MISSING")
            }
            EdgeError::Throttled(after) => {
                new(ResourceExhausted, "EDGE_THROTTLED").retry(after.unwrap_or(RETRY_LATER))
            }
            EdgeError::TooLarge => new(InvalidArgument, "SECRET_TOO_LARGE"),
            EdgeError::Rejected(_) => new(InvalidArgument, "EDGE_REJECTED"),
            EdgeError::Unreachable(_) => new(Unavailable, "EDGE_UNREACHABLE").retry(RETRY_LATER),
            EdgeError::Timeout(_) => new(Unavailable, "EDGE_TIMEOUT").retry(RETRY_LATER),
        }
    }
}
