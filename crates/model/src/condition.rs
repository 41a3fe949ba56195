//! Conditions: what holds, why, and what to do next.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One observation with its stable reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Its type.
    pub kind: ConditionType,
    /// Whether it holds.
    pub status: Status,
    /// The reason, for programs.
    pub reason: Reason,
    /// What happened and what to do next, for people. Never contains a value of a secret.
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
    /// It could not be determined.
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

            /// Its meaning in one sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }
        }
    };
}

documented! {
    /// The type of a condition.
    ConditionType {
        "Synced secret: the edge is in sync with the references."
        Synced,
        "Synced secret: an AIO resource uses it."
        InUse,
        "Synced secret: a version at the edge has expired or will expire soon."
        Expiring,
        "Synced secret and vault: the edge was compared with the vault within the last three rotation checks."
        Compared,
        "Vault: it answers."
        Reachable,
        "Vault: the service may list secrets."
        CanList,
        "Vault: the service may read values."
        CanGet,
        "Vault: the service may create secrets."
        CanCreate,
        "Instance: the settings that syncing requires are in place."
        SecureSettings,
        "Instance: the Secret Store extension is installed and, as far as the service can see, working."
        SecretStoreInstalled,
        "Instance: the engine for new synced secrets is known; the message names it and says why."
        EngineChosen,
        "Instance: this process is the leader. A process that is not the leader only serves reads; the \
         message names the leader."
        Leader,
        "CheckResource: the secret that a field of a manifest names can be used as the field needs it."
        Usable,
        "Synced secret: a version is not valid yet. It is at the edge all the same, or the direct engine holds it \
         back until it is (sync.not_before). Absent if there never was such a version."
        NotYetValid,
        "Synced secret: the references have the encodings that the tags of their vault secrets named when the \
         references were made. Only where one has another."
        Encoded,
    }
}

documented! {
    /// The reason of a condition. Stable: programs rely on it.
    Reason {
        "The edge holds what the references say."
        Synced,
        "Accepted; the edge does not hold it yet."
        Pending,
        "The value of a new vault secret was not stored, because the call ended too early. Send the value \
         again."
        ValueNotStored,
        "The vault has no secret of this name."
        VaultSecretNotFound,
        "The vault secret, or the pinned version, is disabled."
        VaultSecretDisabled,
        "The vault secret does not have this version."
        VaultVersionNotFound,
        "The service's identity lacks a permission in the vault."
        VaultForbidden,
        "The vault's firewall blocks the service's network."
        VaultFirewall,
        "The vault can't be reached."
        VaultUnreachable,
        "The vault throttles requests."
        VaultThrottled,
        "The service can't get a token for the vault."
        VaultUnauthenticated,
        "The vault refused the request for another reason."
        VaultRejected,
        "The value does not have the encoding of the reference."
        InvalidEncoding,
        "The value does not have the part of a certificate that the reference takes."
        InvalidCertificate,
        "A Secret with this name at the edge is not managed by this service."
        EdgeConflict,
        "Another field manager keeps overwriting the Secret."
        EdgeContested,
        "The database was restored from a backup, and the edge no longer holds the Secret. Sync or delete it."
        NotAtEdgeAfterRestore,
        "The service account lacks a permission at the edge."
        EdgeForbidden,
        "The Kubernetes API can't be reached."
        EdgeUnreachable,
        "The Kubernetes API refused the Secret."
        EdgeRejected,
        "The values together exceed the size limit of a Kubernetes Secret."
        TooLarge,
        "The sync engine does not respond to the resource."
        EngineNotResponding,
        "The Secret Store extension failed; the message quotes its reason and message."
        ExtensionFailed,
        "The Secret Store extension synced only some references: the Secret mixes old and new values."
        PartiallySynced,
        "A setting that the engine requires is missing."
        SettingsMissing,
        "The SecretSync of another tool uses an option that references don't support."
        NotAdoptable,
        "The edge holds an object with the uid label of a synced secret that the database does not know."
        NotRecorded,
        "At least one resource uses it. A deletion waits until none does, or must be forced."
        Used,
        "No resource uses it."
        NotUsed,
        "The vault has a version that the edge does not hold, but another reference can't be synced; the message \
         names it. The edge keeps the last complete set of values."
        HeldBack,
        "Compared with the vault within the last three rotation checks."
        Compared,
        "Not compared with the vault during the last three rotation checks: the edge may hold older versions."
        NotCompared,
        "It could not be determined."
        Unknown,
        "A version at the edge expires within 30 days."
        ExpiresSoon,
        "A version at the edge has expired."
        Expired,
        "Nothing expires soon."
        NotExpiring,
        "It answered."
        Reached,
        "The permission is granted."
        Allowed,
        "The permission was not checked: the service does not need it, or only a write can tell."
        NotChecked,
        "All requirements are met."
        Ready,
        "A requirement is not met."
        NotReady,
        "It is installed."
        Installed,
        "It is not installed."
        NotInstalled,
        "The configuration sets it."
        Configured,
        "The configuration does not set it; it was detected from the cluster."
        Detected,
        "This process holds the Lease of the instance."
        Leading,
        "Another process holds the Lease of the instance; this one writes nothing."
        StandingBy,
        "The vault secret was deleted, and can be recovered."
        VaultSecretDeleted,
        "The namespace of the instance is being deleted."
        NamespaceTerminating,
        "CheckResource: the edge has no Secret of this name."
        SecretMissing,
        "CheckResource: the Secret has not all keys that the field needs."
        KeyMissing,
        "CheckResource: the edge does not hold the value that the reference says: none yet, or an older one."
        NotSynced,
        "CheckResource: the synced secret is being deleted."
        BeingDeleted,
        "CheckResource: the keys of the Secret are not known to the service, or not for this caller."
        KeysUnknown,
        "CheckResource: the field holds no name that a Secret, or a key of one, can have."
        NameInvalid,
        "CheckResource: the resource is in another namespace than the instance, where other Secrets are."
        OtherNamespace,
        "CheckResource: another program would write a Secret that is a synced secret."
        WrittenByAnother,
        "A version is not valid yet (not-before date); the message says from when."
        NotYetValid,
        "Every version at the edge is valid."
        Valid,
        "A reference has another encoding than the tag `file-encoding` of its vault secret named."
        EncodingDiffersFromTag,
    }
}

// === impl Condition ===

impl Condition {
    /// A condition that changed just now.
    pub fn new(kind: ConditionType, status: Status, reason: Reason, message: impl Into<String>) -> Self {
        Self { kind, status, reason, message: message.into(), last_transition_time: Timestamp::now() }
    }

    /// Keeps the transition time of `before` if the status is the same.
    pub fn since(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.kind == self.kind && before.status == self.status)
        {
            self.last_transition_time = before.last_transition_time;
        }
        self
    }
}
