//! Whose the objects under a name are: by the uids that are remembered.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use uuid::Uuid;

use super::SecretSync;
use crate::edge::manifest::{carries_uid, is_merged};

/// By which uids what stands at the edge is known as that of a synced secret. Labels and owners are hints
/// only: the extension merges them into whatever stands under the name.
#[derive(Clone, Copy, Debug)]
pub struct KnownUids<'a> {
    /// The synced secret's own, which the label holds.
    pub uid: Uuid,
    /// The Secret's.
    pub secret: Option<&'a str>,
    /// The SecretSync's.
    pub sync: Option<&'a str>,
    /// The class's.
    pub class: Option<&'a str>,
    /// Whether the pair was written before its uids were remembered: then there is nothing better than the
    /// label.
    pub trusts_label: bool,
    /// Whether the extension's kinds are gone for good, and all SecretSyncs and classes with them.
    pub are_kinds_gone: bool,
}

// === impl KnownUids ===

impl<'a> KnownUids<'a> {
    /// Of a synced secret that has nothing at the edge yet.
    pub(super) fn nothing(uid: Uuid) -> Self {
        Self { uid, secret: None, sync: None, class: None, trusts_label: false, are_kinds_gone: false }
    }

    /// The recorded uid of the SecretSync or the class.
    fn of<K: Resource<DynamicType = ()>>(&self) -> Option<&'a str> {
        if K::kind(&()) == SecretSync::kind(&()) { self.sync } else { self.class }
    }

    /// Whether the object has the recorded uid, or carries the label of our synced secret without being
    /// another tool's object into which our first write merged the label.
    pub(super) fn has<K: Resource<DynamicType = ()>>(&self, metadata: &ObjectMeta) -> bool {
        let remembered = self.of::<K>();
        let is_remembered = remembered.is_some() && metadata.uid.as_deref() == remembered;
        is_remembered
            || (carries_uid(metadata, self.uid) && (self.trusts_label || !is_merged(metadata, &["f:spec"])))
    }
}
