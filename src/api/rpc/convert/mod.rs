//! Resources on the wire and in the model. A request that is invalid ends here, with all its violations at
//! once, in the terms of the proto. What only one RPC needs is in its file.

mod filter;
mod response;
pub(super) mod synced_secret;
pub(super) mod vault_secret;

use std::str::FromStr;

use jiff::Timestamp;

pub(super) use filter::filter;
pub(super) use response::{
    checked_resource, condition, listed_vault_secret, secret_purpose, secret_usage, synced_secret, timestamp,
    vault_secret_version, withhold_keys,
};

use crate::{
    explain::truncated,
    model::{SyncedSecretId, VaultSecretName},
    secrets::{Error, Problem},
};

/// The violations found in a request so far.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<Problem>);

// === impl Violations ===

impl Violations {
    /// Adds a violation of a field; `rule` completes the sentence that begins with the field.
    pub(super) fn add(&mut self, field: impl Into<String>, rule: impl ToString) {
        self.0.push(Problem::invalid(field, rule));
    }

    /// The value if it is valid; otherwise adds the violation.
    pub(super) fn take<T>(&mut self, field: impl Into<String>, value: Result<T, impl ToString>) -> Option<T> {
        value.map_err(|rule| self.add(field, rule)).ok()
    }

    /// The id in `syncedSecrets/{id}`.
    pub(super) fn synced_secret(&mut self, field: &str, name: &str) -> Option<SyncedSecretId> {
        self.take(field, in_collection("syncedSecrets", name))
    }

    /// The value if there is no violation. Pass `None` only for a value that has one.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ if self.0.is_empty() => Err(Error::Internal),
            _ => Err(Error::Refused(self.0)),
        }
    }

    #[cfg(test)]
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

/// The id in `syncedSecrets/{id}`.
pub(super) fn synced_secret_name(field: &str, name: &str) -> Result<SyncedSecretId, Error> {
    in_collection("syncedSecrets", name).map_err(|rule| Error::invalid(field, rule))
}

/// The id in `syncedSecrets/{id}`; `None` for `syncedSecrets/-`, which means all of them.
pub(super) fn synced_secret_or_all(field: &str, name: &str) -> Result<Option<SyncedSecretId>, Error> {
    match name {
        "syncedSecrets/-" => Ok(None),
        name => synced_secret_name(field, name).map(Some),
    }
}

/// The name in `vaultSecrets/{name}`.
pub(super) fn vault_secret_name(field: &str, name: &str) -> Result<VaultSecretName, Error> {
    in_collection("vaultSecrets", name).map_err(|rule| Error::invalid(field, rule))
}

/// The id in a resource name. The rule for a bare id shows the resource name that was meant.
pub(super) fn in_collection<T>(collection: &str, name: &str) -> Result<T, String>
where
    T: FromStr<Err: ToString>,
{
    match name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')) {
        Some(id) => id.parse().map_err(|error: T::Err| error.to_string()),
        None if name.is_empty() => Err(format!("is required; use {collection}/{{id}}")),
        None if name.parse::<T>().is_ok() => Err(format!("must be a resource name; use {collection}/{name}")),
        None => Err(format!("must be a resource name; use {collection}/{{id}}")),
    }
}

/// An id of a new resource. The rule for a resource name shows the id that was meant.
pub(super) fn id<T>(collection: &str, text: &str) -> Result<T, String>
where
    T: FromStr<Err: ToString>,
{
    match text.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')) {
        Some(id) => Err(format!("must be an id, not a resource name; use {}", quoted(id))),
        None => text.parse().map_err(|error: T::Err| error.to_string()),
    }
}

/// A point in time from a request.
pub(super) fn time(wire: prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    const RULE: &str = "must lie in the years 1 to 9999, with 0 to 999,999,999 nanoseconds";
    let years = -62_135_596_800..=253_402_300_799;
    match years.contains(&wire.seconds) && (0..1_000_000_000).contains(&wire.nanos) {
        true => Timestamp::new(wire.seconds, wire.nanos).map_err(|_| RULE),
        false => Err(RULE),
    }
}

/// Text of a caller, shortened and escaped for a message.
pub(super) fn quoted(text: &str) -> String {
    const LIMIT: usize = 64;
    format!("{:?}", truncated(text, LIMIT))
}

#[cfg(test)]
mod tests;
