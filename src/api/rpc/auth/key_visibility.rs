//! Whether a list or a watch shows the keys of a synced secret.

use super::authorizer::Authorizer;
use crate::{
    access::AccessControl,
    model::{Caller, Origin, Permission, Resource, SyncedSecret, SyncedSecretId, Verb},
};

/// Whether a caller sees the keys of synced secrets that another tool made: only if it may get them.
#[derive(Clone)]
pub(crate) struct KeyVisibility {
    access: AccessControl,
    caller: Caller,
    /// Whether the cluster lets the caller get all synced secrets.
    may_get_all: bool,
}

// === impl KeyVisibility ===

impl KeyVisibility {
    /// Asks the cluster once for all that a list shows.
    pub(crate) async fn of(authorizer: &Authorizer, caller: &Caller) -> Self {
        let all = Permission::all(Verb::Get, Resource::SyncedSecrets);
        let may_get_all = authorizer.is_allowed(caller, &all).await;
        Self { access: authorizer.access().clone(), caller: caller.clone(), may_get_all }
    }

    /// Whether the caller sees the keys of a synced secret.
    pub(crate) fn has_keys_of(&self, secret: &SyncedSecret) -> bool {
        secret.origin == Origin::Managed || self.may_get(&secret.id)
    }

    /// Whether the caller may get a synced secret of this name, as it may get all others.
    pub(crate) fn may_get(&self, id: &SyncedSecretId) -> bool {
        let permission = Permission::synced_secret(Verb::Get, Some(id.clone()));
        self.may_get_all && self.access.denied_by_rule(&self.caller, &permission).is_none()
    }
}
