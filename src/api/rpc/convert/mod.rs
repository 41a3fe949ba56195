//! Wire to model and back. What is invalid ends here, with every violation at once, in the words of the proto.

mod answer;
mod lists;
pub(crate) mod synced_secret;

mod vault_secret;

use std::str::FromStr;

use jiff::Timestamp;

pub(crate) use answer::{
    audit_event, listed_vault_secret, secret_usage, synced_secret, vault, vault_secret_version,
    watch_response, withhold_keys,
};
pub(crate) use lists::{audit_filter, filter, is_full, page_size, vault_filter};
pub(crate) use synced_secret::{adoption, deletion, new_synced_secret};

pub(crate) use vault_secret::{create_vault_secret, new_version};

use crate::{
    model::{SyncedSecretId, VaultSecretName},
    secrets::{Error, Problem},
};

/// Everything that is wrong with a request, so far.
#[derive(Debug, Default)]
pub(crate) struct Violations(Vec<Problem>);

// === impl Violations ===

impl Violations {
    /// Notes what is wrong with a field; `rule` says how it should be.
    pub(crate) fn add(&mut self, field: impl Into<String>, rule: impl ToString) {
        self.0.push(Problem::invalid(field, rule));
    }

    /// The value where it is valid; else notes why not.
    pub(crate) fn take<T>(&mut self, field: impl Into<String>, value: Result<T, impl ToString>) -> Option<T> {
        value.map_err(|rule| self.add(field, rule)).ok()
    }

    /// The id in `syncedSecrets/{id}`.
    pub(crate) fn synced_secret(&mut self, field: &str, name: &str) -> Option<SyncedSecretId> {
        self.take(field, in_collection("syncedSecrets", name))
    }

    /// The value where nothing was wrong. `None` is only for values of which something was.
    pub(crate) fn finish<T>(self, value: Option<T>) -> Result<T, Error> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ if self.0.is_empty() => Err(Error::Internal),
            _ => Err(Error::Refused(self.0)),
        }
    }

    #[cfg(test)]
    pub(crate) fn into_problems(self) -> Vec<Problem> {
        self.0
    }
}

/// The id in `syncedSecrets/{id}`.
pub(crate) fn synced_secret_name(field: &str, name: &str) -> Result<SyncedSecretId, Error> {
    in_collection("syncedSecrets", name).map_err(|rule| Error::invalid(field, rule))
}

/// The id in `syncedSecrets/{id}`; nothing where it is `-`, which means all of them.
pub(crate) fn synced_secret_or_all(field: &str, name: &str) -> Result<Option<SyncedSecretId>, Error> {
    match name {
        "syncedSecrets/-" => Ok(None),
        name => synced_secret_name(field, name).map(Some),
    }
}

/// The name in `vaultSecrets/{name}`.
pub(crate) fn vault_secret_name(field: &str, name: &str) -> Result<VaultSecretName, Error> {
    in_collection("vaultSecrets", name).map_err(|rule| Error::invalid(field, rule))
}

/// The one vault has one name, which goes without saying.
pub(crate) fn vault_name(name: &str) -> Result<(), Error> {
    match name {
        "vault" | "" => Ok(()),
        _ => Err(Error::invalid("name", "the instance has one vault; use \"vault\"")),
    }
}

/// The id of a resource name. For a bare id, the rule shows the name that was meant.
pub(crate) fn in_collection<T>(collection: &str, name: &str) -> Result<T, String>
where
    T: FromStr<Err: ToString>,
{
    match name.strip_prefix(collection).and_then(|rest| rest.strip_prefix('/')) {
        Some(id) => id.parse().map_err(|error: T::Err| error.to_string()),
        None if name.is_empty() => Err(format!("it is required: use {collection}/{{id}}")),
        None if name.parse::<T>().is_ok() => Err(format!("use {collection}/{name}")),
        None => Err(format!("use {collection}/{{id}}")),
    }
}

/// A point in time that the calendar has.
fn time(wire: prost_types::Timestamp) -> Result<Timestamp, &'static str> {
    const RULE: &str = "a timestamp lies in the years 1 to 9999, with 0 to 999,999,999 nanoseconds";
    let years = -62_135_596_800..=253_402_300_799;
    match years.contains(&wire.seconds) && (0..1_000_000_000).contains(&wire.nanos) {
        true => Timestamp::new(wire.seconds, wire.nanos).map_err(|_| RULE),
        false => Err(RULE),
    }
}

/// A text of the caller in a message: short, and of printable characters.
pub(crate) fn quoted(text: &str) -> String {
    const LIMIT: usize = 64;
    let mut shown: String = text.chars().take(LIMIT).collect();
    if text.chars().nth(LIMIT).is_some() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests;
