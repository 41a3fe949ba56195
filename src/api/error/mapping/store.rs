//! The mapping of errors of the database.

use tonic::Code;

use super::{ErrorMapping, RETRY_LATER, RETRY_SOON};
use crate::secrets::{Error, StoreError, StoreFault};

impl ErrorMapping {
    pub(super) fn of_store(error: &StoreError) -> Self {
        use Code::*;
        match error {
            // Lost races that the use cases did not handle: the caller looks again.
            StoreError::AlreadyExists
            | StoreError::NotFound
            | StoreError::Stale
            | StoreError::RequestRecorded => {
                Self::new(Aborted, "CHANGED_MEANWHILE", "Get it again, then retry.").retry(RETRY_SOON)
            }
            StoreError::RequestIdReused => Self::of(&Error::RequestIdReused),
            StoreError::RequestOfAnotherHistory => Self::of(&Error::RequestOfAnotherHistory),
            StoreError::Stopping => {
                Self::new(Unavailable, "STOPPING", "Retry when the service is back.").retry(RETRY_LATER)
            }
            error if error.is_busy() => Self::new(
                Unavailable,
                "DATABASE_BUSY",
                "Retry; if this continues, find the other process that locks the database.",
            )
            .retry(RETRY_SOON),
            StoreError::Corrupt { .. } => Self::of_fault(StoreFault::Corrupt),
            StoreError::Newer { .. } => Self::new(
                Internal,
                "DATABASE_NEWER",
                "Ask the operator to run the release that created the database, or to restore a backup of this release with \
                 `secret-service restore FILE`.",
            ),
            error => Self::of_fault(error.fault().unwrap_or(StoreFault::Disk)),
        }
    }

    /// Callers can do nothing about these; the log tells the operator what to look at.
    fn of_fault(fault: StoreFault) -> Self {
        use Code::*;
        match fault {
            StoreFault::Full => Self::new(
                ResourceExhausted,
                "DATABASE_FULL",
                "Free space on the disk of the database; recorded changes are safe.",
            )
            .retry(RETRY_LATER),
            StoreFault::ReadOnly => Self::new(
                Unavailable,
                "DATABASE_READ_ONLY",
                "Ask the operator to make the database file and its directory writable for the service; recorded changes are safe.",
            )
            .retry(RETRY_LATER),
            StoreFault::Lost => Self::new(
                Unavailable,
                "DATABASE_LOST",
                "Retry when the service has restarted with the current file.",
            )
            .retry(RETRY_LATER),
            StoreFault::Corrupt => Self::new(
                Internal,
                "DATABASE_CORRUPT",
                "Ask the operator to stop the service and restore a backup with `secret-service restore FILE`, or to move the damaged \
                 file away; the service then rebuilds the database from the edge when it starts; `secret-service rebuild --dry-run` shows the \
                 result.",
            ),
            StoreFault::Disk => Self::new(
                Internal,
                "DATABASE_FAILED",
                "Ask the operator to look at the service's log and to check the disk of the database.",
            ),
        }
    }
}
