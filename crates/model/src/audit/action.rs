//! What an event of the audit says was done.

use std::{convert::Infallible, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($doc:literal $action:ident,)+) => {
        /// What was done. Databases and exports hold its text; one that this release does not know stays as it is.
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum AuditAction {
            $(#[doc = $doc] $action,)+
            /// Of another release.
            Other(String),
        }

        impl AuditAction {
            /// All that this release records, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$action,)+];

            /// The text in the database, in exports and on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$action => stringify!($action),)+
                    Self::Other(text) => text,
                }
            }

            /// What it means, in one sentence; empty for one of another release.
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
    "A synced secret that could not be created is gone again, because the vault refused the value of a new vault secret."
    CreateSyncedSecretUndone,
    "A caller changed a synced secret."
    UpdateSyncedSecret,
    "A synced secret is as it was before an update, because the vault refused the value of a new vault secret."
    UpdateSyncedSecretUndone,
    "A caller deleted a synced secret: it is marked, and the service removes it from the edge."
    DeleteSyncedSecret,
    "A caller asked for a synced secret to be synced now."
    SyncSyncedSecret,
    "A caller took over a Kubernetes Secret or a SecretSync that another tool had made."
    AdoptSyncedSecret,
    "A caller created a vault secret: one event before the vault is written (`ACCEPTED`), one with the result."
    CreateVaultSecret,
    "A caller added a version to a vault secret: one event before the vault is written (`ACCEPTED`), one with the result."
    AddVaultSecretVersion,
    "A caller asked to read a synced secret. Recorded only where that was refused."
    GetSyncedSecret,
    "A caller asked to list synced secrets. Recorded only where that was refused."
    ListSyncedSecrets,
    "A caller asked to watch synced secrets. Recorded only where that was refused."
    WatchSyncedSecrets,
    "A caller asked to see which resources use a synced secret. Recorded only where that was refused."
    ListSecretUsages,
    "A caller asked to see the state of the vault and the instance. Recorded only where that was refused."
    GetVault,
    "A caller asked to list vault secrets. Recorded only where that was refused."
    ListVaultSecrets,
    "A caller asked to read a vault secret. Recorded only where that was refused."
    GetVaultSecret,
    "A caller asked to list the versions of a vault secret. Recorded only where that was refused."
    ListVaultSecretVersions,
    "A caller asked to read the audit. Recorded only where that was refused."
    ListAuditEvents,
    "The service wrote a synced secret to the edge, as it was asked for."
    Synced,
    "The service wrote newer versions from the vault to the edge."
    Rotated,
    "The service put back what somebody had changed at the edge."
    DriftRepaired,
    "A synced secret can't be synced; the detail says why. Recorded when the state or the reason changes, not for each attempt."
    SyncFailed,
    "The service removed a deleted synced secret from the edge; the vault secrets stay."
    Removed,
    "A deletion waits, because resources use the synced secret."
    DeletionHeld,
    "A synced secret was removed from the edge although resources used it, because the deletion was forced."
    UsedWhileDeleted,
    "The service removed an object of its own from the edge that no synced secret stands behind any more."
    OrphanRemoved,
    "A synced secret was handed over to the other engine."
    EngineSwitched,
    "A new or restored database was filled with what the edge holds; the detail counts what was found."
    RebuildFromEdge,
    "A synced secret was recorded again from what the edge holds of it."
    RebuildSyncedSecret,
    "A backup became the database."
    DatabaseRestored,
    "The oldest events were removed, because of their age or to make room."
    AuditPruned,
    "A trigger that keeps events from being changed or removed was missing at a start, and is back."
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
