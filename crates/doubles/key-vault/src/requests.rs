//! Counts the requests.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

use serde::Serialize;

use super::operation::Operation;

/// The number of requests since the double started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RequestCounts {
    /// Requests by operation, including those that were refused or got a fault, but not those without a valid token.
    pub operations: BTreeMap<Operation, u64>,
    /// Requests that were answered with the 401 challenge.
    pub challenges: u64,
    /// Requests that were answered 429.
    pub throttled: u64,
}

/// Where a token was issued, and what for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issued {
    /// `https://HOST/TENANT`, by the host that the client reached.
    pub authority: String,
    /// The resource, as the client wrote it, without `/.default`.
    pub resource: String,
}

/// The counters behind [`RequestCounts`].
#[derive(Default)]
pub(super) struct Counters {
    operations: [AtomicU64; Operation::ALL.len()],
    pub(super) challenges: AtomicU64,
    pub(super) throttled: AtomicU64,
}

// === impl RequestCounts ===

impl RequestCounts {
    /// Requests for one operation.
    pub fn of(&self, operation: Operation) -> u64 {
        self.operations.get(&operation).copied().unwrap_or_default()
    }

    /// Requests to the vault: all operations except `Token`, plus the challenges.
    pub fn vault(&self) -> u64 {
        self.operations.values().sum::<u64>() - self.of(Operation::Token) + self.challenges
    }
}

// === impl Counters ===

impl Counters {
    /// Counts a request for an operation.
    pub(super) fn count(&self, operation: Operation) {
        self.operations[operation as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The current counts.
    pub(super) fn snapshot(&self) -> RequestCounts {
        RequestCounts {
            operations: Operation::ALL
                .into_iter()
                .map(|operation| (operation, self.operations[operation as usize].load(Ordering::Relaxed)))
                .collect(),
            challenges: self.challenges.load(Ordering::Relaxed),
            throttled: self.throttled.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_its_own_counter() {
        let counters = Counters::default();
        for operation in Operation::ALL {
            counters.count(operation);
        }
        assert!(Operation::ALL.into_iter().all(|operation| counters.snapshot().of(operation) == 1));
    }
}
