//! Conditions: what holds, why, and what a person should do next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One observation with its stable reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: Status,
    /// Why, for programs.
    pub reason: Reason,
    /// What happened and what to do next, for people. Never a value.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

/// Whether a condition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody could tell.
    Unknown,
}

macro_rules! documented {
    ($(#[$outer:meta])* $name:ident { $($doc:literal $variant:ident,)+ }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum $name { $(#[doc = $doc] $variant,)+ }

        impl $name {
            /// Every variant, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant),)+ }
            }

            /// What it means, in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

documented! {
    /// What a condition is about.
    ConditionType {
        "Synced secret: the edge holds what the references say."
        Synced,
        "Synced secret: an AIO resource names it."
        InUse,
        "Synced secret: a version that the edge holds has expired or soon will."
        Expiring,
        "Synced secret and vault: what the edge holds was compared with the vault within the last three rotation checks."
        Compared,
        "Vault: it answers."
        Reachable,
        "Vault: the service may list secrets."
        CanList,
        "Vault: the service may read values."
        CanGet,
        "Vault: the service may create secrets."
        CanCreate,
        "Instance: the settings that syncing needs are in place."
        SecureSettings,
        "Instance: the Secret Store extension is installed, and as far as can be seen it acts."
        SecretStoreInstalled,
        "Instance: it is known how new synced secrets reach the edge; the message says how, and why so."
        EngineChosen,
        "Instance: this process acts for it. Another one may, beside which this one serves reads alone; the message says who."
        Leader,
    }
}

documented! {
    /// Why a condition is as it is. Stable: programs decide by it.
    Reason {
        "The edge holds what the references say."
        Synced,
        "Accepted; the edge does not hold it yet."
        Pending,
        "The value of a new vault secret was not stored: the call that brought it ended too early. Call again with it."
        ValueNotStored,
        "The vault has no secret of this name."
        VaultSecretNotFound,
        "The vault secret, or the pinned version, is disabled."
        VaultSecretDisabled,
        "The vault secret has no such version."
        VaultVersionNotFound,
        "The service's identity lacks the right in the vault."
        VaultForbidden,
        "The vault's firewall refuses the service's network."
        VaultFirewall,
        "The vault can't be reached."
        VaultUnreachable,
        "The vault throttles."
        VaultThrottled,
        "The service can't get a token for the vault."
        VaultUnauthenticated,
        "The vault refused the request for another reason."
        VaultRejected,
        "The value is not in the encoding that the reference names."
        InvalidEncoding,
        "A Secret of this name at the edge is not managed here."
        EdgeConflict,
        "Another manager puts its own content back into the Secret again and again."
        EdgeContested,
        "The database was restored from a backup, and the edge no longer holds it: it waits for a person, who syncs it or deletes it."
        NotAtEdgeAfterRestore,
        "The service's account lacks the right at the edge."
        EdgeForbidden,
        "The Kubernetes API can't be reached."
        EdgeUnreachable,
        "The Kubernetes API refused the Secret."
        EdgeRejected,
        "The values together exceed what a Kubernetes Secret can hold."
        TooLarge,
        "The sync engine does not act on the resource."
        EngineNotResponding,
        "The Secret Store extension failed; the message has its own reason and words."
        ExtensionFailed,
        "The Secret Store extension synced some references and left others behind: old and new values stand side by side."
        PartiallySynced,
        "A setting that the engine needs is missing."
        SettingsMissing,
        "What another tool asks the Secret Store extension for is something that no reference can ask for."
        NotAdoptable,
        "The edge holds it with the label of a synced secret that the database does not know."
        NotRecorded,
        "At least one resource names it. A deletion waits until none does, or is forced."
        Used,
        "No resource names it."
        NotUsed,
        "The vault has a newer version; the edge keeps the last complete set until another reference can be read."
        HeldBack,
        "Compared with the vault within the last three rotation checks."
        Compared,
        "Not compared with the vault for longer than three rotation checks: the edge may hold older versions."
        NotCompared,
        "Nobody could tell."
        Unknown,
        "A version that the edge holds expires within 30 days."
        ExpiresSoon,
        "A version that the edge holds has expired."
        Expired,
        "Nothing expires soon."
        NotExpiring,
        "It answered."
        Reached,
        "The right is there."
        Allowed,
        "The right was not tried: the service does not need it, or only a write would tell."
        NotChecked,
        "What is needed is in place."
        Ready,
        "Something that is needed is missing."
        NotReady,
        "It is installed."
        Installed,
        "It is not installed."
        NotInstalled,
        "The configuration says so."
        Configured,
        "The configuration leaves it open; what the cluster serves decided."
        Detected,
        "This process holds the Lease of the instance."
        Leading,
        "Another process holds the Lease of the instance and acts for it; this one writes nothing."
        StandingBy,
    }
}

// === impl Condition ===

impl Condition {
    /// A condition that changed just now.
    pub fn new(kind: ConditionType, status: Status, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status, reason, message: message.into(), last_transition_time: Timestamp::now() }
    }

    /// Keeps the time of the last transition where the status is the one of `before`.
    pub fn since(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.kind == self.kind && before.status == self.status)
        {
            self.last_transition_time = before.last_transition_time;
        }
        self
    }
}
