//! The actions of audit events.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($doc:literal $action:ident,)+) => {
        /// The action of an audit event. Databases and exports hold its text; an unknown text is kept as it
        /// is.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum AuditAction {
            $(#[doc = $doc] $action,)+
            /// An action of another release.
            Other(String),
        }

        impl AuditAction {
            /// All actions that this release records, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$action,)+];

            /// The text in the database, in exports and on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$action => stringify!($action),)+
                    Self::Other(text) => text,
                }
            }

            /// Its meaning in one sentence; empty for an action of another release.
            pub fn meaning(&self) -> &'static str {
                match self {
                    $(Self::$action => $doc,)+
                    Self::Other(_) => "",
                }
            }
        }

        impl From<&str> for AuditAction {
            fn from(text: &str) -> Self {
                match text {
                    $(stringify!($action) => Self::$action,)+
                    other => Self::Other(other.to_owned()),
                }
            }
        }
    };
}

actions! {
    "A caller created a synced secret."
    CreateSyncedSecret,
    "A created synced secret was removed again, because the vault refused the value of a new vault secret."
    CreateSyncedSecretUndone,
    "A caller changed a synced secret."
    UpdateSyncedSecret,
    "An update of a synced secret was undone, because the vault refused the value of a new vault secret."
    UpdateSyncedSecretUndone,
    "A caller deleted a synced secret: the service removes it from the edge."
    DeleteSyncedSecret,
    "A caller requested a sync of a synced secret."
    SyncSyncedSecret,
    "A caller adopted a Kubernetes Secret or a SecretSync of another tool."
    AdoptSyncedSecret,
    "A caller created a vault secret: one event before the vault is written (`ACCEPTED`), one with the \
     result."
    CreateVaultSecret,
    "A caller added a version to a vault secret: one event before the vault is written (`ACCEPTED`), one \
     with the result."
    AddVaultSecretVersion,
    "A caller changed attributes of a vault secret's version: one event before the vault is written \
     (`ACCEPTED`), one with the result."
    UpdateVaultSecret,
    "A caller recovered a deleted vault secret: one event before the vault is written (`ACCEPTED`), one with \
     the result."
    RecoverVaultSecret,
    "A caller tried to read a synced secret. Recorded only if it was denied."
    GetSyncedSecret,
    "A caller tried to list synced secrets. Recorded only if it was denied."
    ListSyncedSecrets,
    "A caller tried to watch synced secrets. Recorded only if it was denied."
    WatchSyncedSecrets,
    "A caller tried to see which resources use a synced secret. Recorded only if it was denied."
    ListSecretUsages,
    "A caller tried to check which secrets the resources of a manifest name. Recorded only if it was denied."
    CheckResource,
    "A caller tried to list what synced secrets can be for. Recorded only if it was denied."
    ListSecretPurposes,
    "A caller tried to see the state of the vault and the instance. Recorded only if it was denied."
    GetVault,
    "A caller tried to list vault secrets. Recorded only if it was denied."
    ListVaultSecrets,
    "A caller tried to read a vault secret. Recorded only if it was denied."
    GetVaultSecret,
    "A caller tried to list the versions of a vault secret. Recorded only if it was denied."
    ListVaultSecretVersions,
    "A caller tried to read the audit. Recorded only if it was denied."
    ListAuditEvents,
    "A caller asked who they are and what they may do. Recorded only if it was denied."
    GetCaller,
    "The service wrote a synced secret to the edge as requested."
    Synced,
    "The service wrote newer versions from the vault to the edge."
    Rotated,
    "The service reverted a change that someone had made at the edge."
    DriftRepaired,
    "A synced secret can't be synced; the detail says why. Recorded when the state or the reason changes, \
     not for each attempt."
    SyncFailed,
    "The service removed a deleted synced secret from the edge; the vault secrets stay."
    Removed,
    "A deletion is on hold, because resources use the synced secret."
    DeletionHeld,
    "A synced secret was removed from the edge although resources used it, because the deletion was forced."
    UsedWhileDeleted,
    "The service removed one of its objects from the edge that no longer belongs to a synced secret."
    OrphanRemoved,
    "A synced secret was handed over to the other engine."
    EngineSwitched,
    "A new or restored database was rebuilt from the edge; the detail counts what was found."
    RebuildFromEdge,
    "A synced secret was rebuilt from the edge."
    RebuildSyncedSecret,
    "The database was restored from a backup."
    DatabaseRestored,
    "The oldest events were removed, because of their age or to free space."
    AuditPruned,
    "A database trigger that protects events from changes was missing at a start and was restored."
    AuditGuardRestored,
}

// === impl AuditAction ===

impl From<String> for AuditAction {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<AuditAction> for String {
    fn from(action: AuditAction) -> Self {
        match action {
            AuditAction::Other(text) => text,
            known => known.as_str().to_owned(),
        }
    }
}

impl FromStr for AuditAction {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl fmt::Display for AuditAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
