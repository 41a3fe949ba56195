//! What lists and watches are asked for: page sizes, filters, views.

use super::{Violations, in_collection, quoted, time};
use crate::{
    model::{Filter, Origin, State, UsedBy},
    proto,
    secrets::{AuditFilter, Error, VaultFilter},
};

const DEFAULT_PAGE: usize = 100;
const LARGEST_PAGE: usize = 1_000;

/// AIP-158: 0 is the default, too large is the largest, negative is wrong.
pub(crate) fn page_size(wire: i32) -> Result<usize, Error> {
    match usize::try_from(wire) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => {
            Err(Error::invalid("page_size", "it is 0 or more; 0 means 100, and no page has more than 1000"))
        }
    }
}

/// Which synced secrets.
pub(crate) fn filter(wire: proto::SyncedSecretFilter) -> Result<Filter, Error> {
    let mut violations = Violations::default();
    let mut states = Vec::with_capacity(wire.states.len());
    for (place, wire) in wire.states.into_iter().enumerate() {
        states.extend(violations.take(format!("filter.states[{place}]"), state(wire)));
    }
    let origin = violations.take("filter.origin", origin(wire.origin)).flatten();
    let vault_secret = match wire.vault_secret.as_str() {
        "" => None,
        name => violations.take("filter.vault_secret", in_collection("vaultSecrets", name)),
    };
    let used_by = wire.used_by.and_then(|wire| violations.take("filter.used_by", used_by(wire)));
    let (name_contains, labels) = (wire.name_contains, wire.labels);
    violations.finish(Some(Filter { states, origin, name_contains, vault_secret, labels, used_by }))
}

fn used_by(wire: proto::synced_secret_filter::UsedBy) -> Result<UsedBy, &'static str> {
    let given = |text: String| (!text.is_empty()).then_some(text);
    match (given(wire.kind), given(wire.resource), wire.unused) {
        (None, None, true) => Ok(UsedBy::Nothing),
        (_, _, true) => {
            Err("what nothing uses, no kind and no resource uses: set either unused or the others")
        }
        (kind, resource, false) => Ok(UsedBy::Resource { kind, resource }),
    }
}

/// Whether the view is the full one, which a request gets that names none where `by_default`.
pub(crate) fn is_full(wire: i32, by_default: bool) -> Result<bool, Error> {
    use proto::SyncedSecretView as View;
    match View::try_from(wire) {
        Ok(View::Unspecified) => Ok(by_default),
        Ok(view) => Ok(view == View::Full),
        Err(_) => Err(Error::invalid("view", "it is not a view that this release knows")),
    }
}

/// Which vault secrets.
pub(crate) fn vault_filter(wire: &proto::ListVaultSecretsRequest) -> VaultFilter {
    VaultFilter { name_contains: wire.name_contains.clone(), unsynced_only: wire.unsynced_only }
}

/// Which events; where they begin comes with the page token.
pub(crate) fn audit_filter(wire: &proto::ListAuditEventsRequest) -> Result<AuditFilter, Error> {
    let mut violations = Violations::default();
    let resource = violations.take("resource", resource_name(&wire.resource)).unwrap_or_default();
    let since = wire.since_time.and_then(|since| violations.take("since_time", time(since)));
    violations.finish(Some(AuditFilter { before: None, resource, since }))
}

/// The name of anything that has a history.
fn resource_name(name: &str) -> Result<String, String> {
    match name {
        "" | "vault" => Ok(name.to_owned()),
        _ if name.starts_with("syncedSecrets/") || name.starts_with("vaultSecrets/") => Ok(name.to_owned()),
        _ => {
            let shown = quoted(name);
            let bare = shown.trim_matches('"');
            Err(format!("{shown} is not a resource name: use syncedSecrets/{bare} or vaultSecrets/{bare}"))
        }
    }
}

fn state(wire: i32) -> Result<State, &'static str> {
    use proto::synced_secret::State as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::Pending) => Ok(State::Pending),
        Ok(Wire::Synced) => Ok(State::Synced),
        Ok(Wire::Degraded) => Ok(State::Degraded),
        Ok(Wire::Failed) => Ok(State::Failed),
        Ok(Wire::Deleting) => Ok(State::Deleting),
        Ok(Wire::Unspecified) => Err("name a state, or leave the list empty for all of them"),
        Err(_) => Err("it is not a state that this release knows"),
    }
}

fn origin(wire: i32) -> Result<Option<Origin>, &'static str> {
    use proto::synced_secret::Origin as Wire;
    match Wire::try_from(wire) {
        Ok(Wire::Unspecified) => Ok(None),
        Ok(Wire::Managed) => Ok(Some(Origin::Managed)),
        Ok(Wire::Unmanaged) => Ok(Some(Origin::Unmanaged)),
        Err(_) => Err("it is not an origin that this release knows"),
    }
}
