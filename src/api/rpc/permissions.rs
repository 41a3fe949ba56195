//! What each method of the contract needs to be allowed: verbs on virtual resources, and the names that its request has in it.
//!
//! A name that is not valid asks for all of the collection: the request is refused for it anyway, by who may know that.

use super::convert;
use crate::{
    model::{
        Permission,
        Resource::{SyncedSecrets, VaultSecrets},
        SyncedSecretId, VaultSecretName,
        Verb::{self, Adopt, Create, Delete, Get, List, Sync, Update, Watch},
        limits,
    },
    proto,
};

/// A request of the contract.
pub(crate) trait Asking {
    /// The RPC.
    const METHOD: &'static str;

    /// All that it asks for.
    fn asks(&self) -> Vec<Permission>;
}

macro_rules! asking {
    ($($request:ident, $method:literal: |$this:ident| $asks:expr;)+) => {$(
        impl Asking for proto::$request {
            const METHOD: &'static str = $method;

            fn asks(&self) -> Vec<Permission> {
                let $this = self;
                $asks
            }
        }
    )+};
}

asking! {
    GetSyncedSecretRequest, "GetSyncedSecret": |this| vec![synced_secret(Get, &this.name)];
    ListSyncedSecretsRequest, "ListSyncedSecrets": |_this| vec![Permission::all(List, SyncedSecrets)];
    WatchSyncedSecretsRequest, "WatchSyncedSecrets": |_this| vec![Permission::all(Watch, SyncedSecrets)];
    CreateSyncedSecretRequest, "CreateSyncedSecret": |this| {
        let id = this.synced_secret_id.parse::<SyncedSecretId>().ok();
        let references = this.synced_secret.iter().flat_map(|secret| &secret.references);
        with_references(Permission::synced_secret(Create, id), references, Permission::reference)
    };
    UpdateSyncedSecretRequest, "UpdateSyncedSecret": |this| {
        let secret = this.synced_secret.as_ref();
        let update = synced_secret(Update, secret.map_or("", |secret| &secret.name));
        // Which of them are new to the synced secret is known once the update is read: those are asked for then.
        with_references(update, secret.iter().flat_map(|secret| &secret.references), Permission::naming)
    };
    DeleteSyncedSecretRequest, "DeleteSyncedSecret": |this| vec![synced_secret(Delete, &this.name)];
    SyncSyncedSecretRequest, "SyncSyncedSecret": |this| vec![synced_secret(Sync, &this.name)];
    AdoptSyncedSecretRequest, "AdoptSyncedSecret": |this| {
        let mut asks = with_references(synced_secret(Adopt, &this.name), &this.references, Permission::reference);
        // An adoption tells the keys of what it takes over, also where it is refused.
        asks.insert(1, synced_secret(Get, &this.name));
        asks
    };
    ListSecretUsagesRequest, "ListSecretUsages": |this| match convert::synced_secret_or_all("parent", &this.parent) {
        Ok(Some(id)) => vec![Permission::synced_secret(Get, Some(id))],
        _ => vec![Permission::all(List, SyncedSecrets)],
    };
    GetVaultRequest, "GetVault": |_this| vec![Permission::all(Get, VaultSecrets)];
    ListVaultSecretsRequest, "ListVaultSecrets": |_this| vec![Permission::all(List, VaultSecrets)];
    GetVaultSecretRequest, "GetVaultSecret": |this| vec![vault_secret(Get, &this.name)];
    ListVaultSecretVersionsRequest, "ListVaultSecretVersions": |this| vec![vault_secret(Get, &this.parent)];
    CreateVaultSecretRequest, "CreateVaultSecret": |this| {
        vec![Permission::vault_secret(Create, this.vault_secret_id.parse::<VaultSecretName>().ok())]
    };
    AddVaultSecretVersionRequest, "AddVaultSecretVersion": |this| vec![vault_secret(Update, &this.parent)];
    // The history is of both.
    ListAuditEventsRequest, "ListAuditEvents": |_this| vec![Permission::all(List, SyncedSecrets), Permission::all(List, VaultSecrets)];
}

fn synced_secret(verb: Verb, name: &str) -> Permission {
    Permission::synced_secret(verb, convert::synced_secret_name("name", name).ok())
}

fn vault_secret(verb: Verb, name: &str) -> Permission {
    Permission::vault_secret(verb, convert::vault_secret_name("name", name).ok())
}

/// Who refers to a vault secret asks for its value; who brings the value of a new one creates it, and is given nothing that it did not
/// have. Each reference asks for itself: one that creates a vault secret is no leave for another one of the same name.
fn with_references<'a>(
    first: Permission,
    references: impl IntoIterator<Item = &'a proto::SecretReference>,
    existing: fn(Option<VaultSecretName>) -> Permission,
) -> Vec<Permission> {
    let of_reference = |reference: &proto::SecretReference| {
        let name = convert::vault_secret_name("vault_secret", &reference.vault_secret).ok();
        match reference.create {
            Some(_) => Permission::vault_secret(Create, name),
            None => existing(name),
        }
    };
    // More than that are refused as they are.
    let references = references.into_iter().take(limits::REFERENCES);
    std::iter::once(first).chain(references.map(of_reference)).collect()
}
