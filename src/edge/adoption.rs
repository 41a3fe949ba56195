//! Reads Secrets and SecretSyncs of other tools before an adoption. Asks the API server each time, and reads
//! no values if the service may not read them.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{
    Edge, EdgeError,
    engine::direct::secret::{data_keys, wiped},
    is_reserved,
    manifest::{annotated_generation, uid_label},
    secret_store::{ForeignKey, LABEL_PREFIX, SecretSync, foreign_keys},
    table::Printed,
};
use crate::{model::SyncedSecretId, quote::Quote};

/// A Secret that another tool made.
#[derive(Debug)]
pub struct Adoptable {
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// Its type.
    pub secret_type: String,
    /// Its keys.
    pub keys: BTreeSet<String>,
    /// The labels that are neither ours nor the extension's.
    pub labels: BTreeMap<String, String>,
    /// The number of further keys. No entry in `managedFields` names them, so their names are unknown.
    pub unknown_keys: usize,
    /// Whether its content is immutable, as far as that is known without reading it.
    pub immutable: bool,
    /// Its owner, which would continue to write it, for example `ExternalSecret pump-7`.
    pub owner: Option<String>,
    /// The uid of a synced secret that it carries as our label, as it is written there.
    pub label: Option<String>,
    /// The generation of it that it notes.
    pub generation: Option<i64>,
}

/// A SecretSync that another tool made.
#[derive(Debug)]
pub struct AdoptableSync {
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// The type of its Secret.
    pub secret_type: String,
    /// All that it asks for.
    pub keys: Vec<ForeignKey>,
    /// The labels that it gives its Secret and that are neither ours nor the extension's.
    pub labels: BTreeMap<String, String>,
    /// Its owner, which would continue to write it, for example `AKVSync pump-7`.
    pub owner: Option<String>,
    /// The Secret of that name, if it exists.
    pub secret: Option<SyncedInto>,
    /// See [`Adoptable::label`].
    pub label: Option<String>,
    /// See [`Adoptable::generation`].
    pub generation: Option<i64>,
}

/// The Secret under the name of a SecretSync.
#[derive(Debug)]
pub struct SyncedInto {
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// All its keys, no matter who wrote them.
    pub keys: BTreeSet<String>,
    /// Its labels that are neither ours nor the extension's.
    pub labels: BTreeMap<String, String>,
    /// Whether the SecretSync owns it.
    pub is_owned: bool,
}

impl Edge {
    /// Reads a Secret that may be adopted; `None` if there is none.
    ///
    /// With `may_read`, the type and the keys come from the Secret itself, and its values are wiped at once.
    /// Without it, the keys come from `managedFields`, and their number and the type come from the API
    /// server's Table output.
    pub async fn adoptable(
        &self,
        id: &SyncedSecretId,
        may_read: bool,
    ) -> Result<Option<Adoptable>, EdgeError> {
        let Some(found) = self.find(&self.secrets, id.as_str()).await? else {
            return Ok(None);
        };
        let metadata = found.metadata;
        let labels = labels_of_others(metadata.labels.iter().flatten());
        let owner = owner_of(&metadata);
        let uid = metadata.uid.clone().unwrap_or_default();
        let (label, generation) = (uid_label(&metadata).map(str::to_owned), annotated_generation(&metadata));
        if !may_read {
            let Some(Printed { secret_type, keys: count, .. }) = self.printed(id.as_str()).await? else {
                return Ok(None);
            };
            let keys: BTreeSet<String> = data_keys(&metadata, |_| true).collect();
            let unknown_keys = count.saturating_sub(keys.len());
            let immutable = names_immutable(&metadata);
            return Ok(Some(Adoptable {
                uid,
                secret_type,
                keys,
                labels,
                unknown_keys,
                immutable,
                owner,
                label,
                generation,
            }));
        }
        let Some(secret) = self.call(self.secrets.get_opt(id.as_str())).await?.map(wiped) else {
            return Ok(None);
        };
        let keys = secret.data.into_iter().flatten().map(|(key, _)| key).collect();
        let secret_type = secret.type_.unwrap_or_default();
        let immutable = secret.immutable == Some(true);
        Ok(Some(Adoptable {
            uid,
            secret_type,
            keys,
            labels,
            unknown_keys: 0,
            immutable,
            owner,
            label,
            generation,
        }))
    }

    /// Reads a SecretSync that may be adopted; `None` if there is none. `vault_name` is the vault of this
    /// service.
    pub async fn adoptable_sync(
        &self,
        id: &SyncedSecretId,
        vault_name: &str,
    ) -> Result<Option<AdoptableSync>, EdgeError> {
        let Some(sync) = self.call(self.syncs().get_opt(id.as_str())).await? else { return Ok(None) };
        let class = &sync.spec.secret_provider_class_name;
        let (classes, secrets) = (self.classes(), &self.secrets);
        let (class, secret) =
            tokio::try_join!(self.call(classes.get_opt(class)), self.find(secrets, id.as_str()))?;
        Ok(Some(AdoptableSync {
            uid: sync.metadata.uid.clone().unwrap_or_default(),
            secret_type: sync.spec.secret_object.r#type.clone(),
            keys: foreign_keys(&sync, class.as_ref(), vault_name),
            labels: labels_of_others(&sync.spec.secret_object.labels),
            owner: owner_of(&sync.metadata),
            secret: secret.map(|secret| synced_into(&secret.metadata, &sync)),
            label: uid_label(&sync.metadata).map(str::to_owned),
            generation: annotated_generation(&sync.metadata),
        }))
    }
}

/// Kind and name of the first owner of an object. What an AKVSync made has one, whatever the version of its
/// API.
pub(super) fn owner_of(metadata: &ObjectMeta) -> Option<String> {
    let owner = metadata.owner_references.as_ref()?.first()?;
    Some(Quote::from(format!("{} {}", owner.kind, owner.name)).to_string())
}

fn synced_into(secret: &ObjectMeta, sync: &SecretSync) -> SyncedInto {
    let mut owners = secret.owner_references.iter().flatten();
    SyncedInto {
        uid: secret.uid.clone().unwrap_or_default(),
        keys: data_keys(secret, |_| true).collect(),
        labels: labels_of_others(secret.labels.iter().flatten()),
        is_owned: owners.any(|owner| Some(&owner.uid) == sync.metadata.uid.as_ref()),
    }
}

/// The labels that neither this service nor the extension sets. Both overwrite their own labels anyway.
fn labels_of_others<'a>(
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> BTreeMap<String, String> {
    let others = labels.into_iter().filter(|(key, _)| !is_reserved(key) && !key.starts_with(LABEL_PREFIX));
    others.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Whether anybody has set `immutable`. The metadata does not show the value.
fn names_immutable(metadata: &ObjectMeta) -> bool {
    let mut entries = metadata.managed_fields.iter().flatten();
    entries.any(|entry| entry.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:immutable").is_some()))
}
