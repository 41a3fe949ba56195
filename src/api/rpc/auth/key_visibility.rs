//! Whether a list or a watch shows the keys of a synced secret.

use super::authorizer::Authorizer;
use crate::{
    access::AccessControl,
    model::{Caller, Origin, Permission, Resource, SyncedSecret, Verb},
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
        let is_allowed_by_rules = || {
            let permission = Permission::synced_secret(Verb::Get, Some(secret.id.clone()));
            self.access.denied_by_rule(&self.caller, &permission).is_none()
        };
        secret.origin == Origin::Managed || self.may_get_all && is_allowed_by_rules()
    }
}
