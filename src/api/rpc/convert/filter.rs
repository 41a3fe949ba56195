//! Filters of synced secrets.

use super::{Violations, in_collection};
use crate::{
    model::{Filter, Origin, State, UsedBy},
    proto,
    secrets::Error,
};

/// Which synced secrets.
pub(in crate::api::rpc) fn filter(wire: proto::SyncedSecretFilter) -> Result<Filter, Error> {
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
        (_, _, true) => Err("must set either unused or the other fields, not both"),
        (kind, resource, false) => Ok(UsedBy::Resource { kind, resource }),
    }
}

fn state(wire: i32) -> Result<State, &'static str> {
    use proto::synced_secret::State as WireState;
    match WireState::try_from(wire) {
        Ok(WireState::Pending) => Ok(State::Pending),
        Ok(WireState::Synced) => Ok(State::Synced),
        Ok(WireState::Degraded) => Ok(State::Degraded),
        Ok(WireState::Failed) => Ok(State::Failed),
        Ok(WireState::Deleting) => Ok(State::Deleting),
        Ok(WireState::Unspecified) => Err("must be a state; leave the list empty for all states"),
        Err(_) => Err("is not a state that this release knows"),
    }
}

fn origin(wire: i32) -> Result<Option<Origin>, &'static str> {
    use proto::synced_secret::Origin as WireOrigin;
    match WireOrigin::try_from(wire) {
        Ok(WireOrigin::Unspecified) => Ok(None),
        Ok(WireOrigin::Managed) => Ok(Some(Origin::Managed)),
        Ok(WireOrigin::Unmanaged) => Ok(Some(Origin::Unmanaged)),
        Err(_) => Err("is not an origin that this release knows"),
    }
}
