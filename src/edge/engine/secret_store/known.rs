//! Identifies the objects of a synced secret by their recorded uids.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use uuid::Uuid;

use super::SecretSync;
use crate::edge::manifest::{carries_uid, is_merged};

/// The uids by which the objects of a synced secret are recognized. Labels and owner references are only
/// hints: the extension merges them into any existing object.
#[derive(Clone, Copy, Debug)]
pub struct KnownUids<'a> {
    /// The uid of the synced secret, which the label contains.
    pub uid: Uuid,
    /// The uid of the Secret.
    pub secret: Option<&'a str>,
    /// The uid of the SecretSync.
    pub sync: Option<&'a str>,
    /// The uid of the class.
    pub class: Option<&'a str>,
    /// Whether the pair was written by a release that did not record its uids: then only the label remains.
    pub trusts_label: bool,
    /// Whether the extension's kinds are permanently gone, and all SecretSyncs and classes with them.
    pub are_kinds_gone: bool,
}

// === impl KnownUids ===

impl<'a> KnownUids<'a> {
    /// For a synced secret that has nothing at the edge yet.
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
