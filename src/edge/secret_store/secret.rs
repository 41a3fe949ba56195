//! The Kubernetes Secret that the extension makes: who owns it and whose fields are in it. Never a value.

use serde_json::{Map, Value, json};

use super::{EXTENSION, handover::without_keys};
use crate::{
    edge::{
        Edge, EdgeError,
        manifest::labels,
        secrets::{Written, data_keys, written},
    },
    model::{SyncedSecret, SyncedSecretId},
};

/// What stands under the name of a SecretSync.
#[derive(Debug, PartialEq, Eq)]
pub enum Made {
    /// No Secret.
    Nothing,
    /// The Secret of this SecretSync, as the extension made it.
    Whole(Written),
    /// The Secret of this SecretSync, and someone else has written keys or labels of it.
    Edited,
    /// A Secret that this SecretSync has not made.
    Foreign,
}

impl Edge {
    /// Looks at the Secret of the SecretSync of a synced secret.
    pub async fn made(&self, asked: &SyncedSecret) -> Result<Made, EdgeError> {
        let id = &asked.id;
        let syncs = self.syncs();
        let (secret, sync) = tokio::try_join!(
            self.call(self.secrets.get_metadata_opt(id.as_str())),
            self.call(syncs.get_metadata_opt(id.as_str())),
        )?;
        let Some(secret) = secret else { return Ok(Made::Nothing) };
        let metadata = secret.metadata;
        let owners = metadata.owner_references.as_deref().unwrap_or_default();
        let sync_uid = sync.and_then(|sync| sync.metadata.uid);
        if !owners.iter().any(|owner| Some(&owner.uid) == sync_uid.as_ref()) {
            return Ok(Made::Foreign);
        }
        let has_foreign_keys = data_keys(&metadata, |manager| manager != EXTENSION).next().is_some();
        let held = metadata.labels.as_ref();
        let has_other_labels =
            labels(asked).iter().any(|(label, value)| held.and_then(|held| held.get(label)) != Some(value));
        Ok(if has_foreign_keys || has_other_labels { Made::Edited } else { Made::Whole(written(&metadata)) })
    }

    /// Takes the keys and labels of a Secret out of the hands of everybody but the extension, which never takes anything by force. The values
    /// stay until the extension writes its own; keys that the synced secret does not have go.
    pub async fn release_keys(
        &self,
        id: &SyncedSecretId,
        is_key: impl Fn(&str) -> bool,
    ) -> Result<(), EdgeError> {
        let Some(secret) = self.call(self.secrets.get_metadata_opt(id.as_str())).await? else {
            return Ok(());
        };
        let metadata = secret.metadata;
        let foreign: Map<String, Value> = data_keys(&metadata, |manager| manager != EXTENSION)
            .filter(|key| !is_key(key))
            .map(|key| (key, Value::Null))
            .collect();
        let mut patch = json!({
            "metadata": { "resourceVersion": metadata.resource_version, "managedFields": without_keys(&metadata) },
        });
        if !foreign.is_empty() {
            patch["data"] = Value::Object(foreign);
        }
        self.patch_secret(id, patch).await.map(|_| ())
    }
}
