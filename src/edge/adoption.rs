//! Kubernetes Secrets that others made, before they are taken over.

use std::collections::BTreeSet;

use super::{
    Edge, EdgeError,
    secrets::{data_keys, wiped},
};
use crate::model::SyncedSecretId;

/// A Secret that another tool made.
#[derive(Debug)]
pub struct Adoptable {
    /// The uid that Kubernetes gave it.
    pub uid: String,
    /// Its type.
    pub secret_type: String,
    /// Its keys.
    pub keys: BTreeSet<String>,
    /// Who owns it and would go on writing it, for example `ExternalSecret pump-7`.
    pub owner: Option<String>,
}

impl Edge {
    /// Looks at a Secret that may be taken over; `None` where there is none.
    ///
    /// Whoever may read has its type and its keys from the Secret itself, and wipes its values at once. Whoever may not knows the keys
    /// from `managedFields`, and takes the type for `Opaque`: if it is another, the extension is refused by the API server.
    pub async fn adoptable(
        &self,
        id: &SyncedSecretId,
        may_read: bool,
    ) -> Result<Option<Adoptable>, EdgeError> {
        let Some(found) = self.call(self.secrets.get_metadata_opt(id.as_str())).await? else {
            return Ok(None);
        };
        let owners = found.metadata.owner_references.iter().flatten();
        let owner = owners.into_iter().next().map(|owner| format!("{} {}", owner.kind, owner.name));
        let uid = found.metadata.uid.clone().unwrap_or_default();
        if !may_read {
            let keys = data_keys(&found.metadata, |_| true).collect();
            return Ok(Some(Adoptable { uid, secret_type: "Opaque".to_owned(), keys, owner }));
        }
        let Some(secret) = self.call(self.secrets.get_opt(id.as_str())).await?.map(wiped) else {
            return Ok(None);
        };
        let keys = secret.data.into_iter().flatten().map(|(key, _)| key).collect();
        let secret_type = secret.type_.unwrap_or_default();
        Ok(Some(Adoptable { uid, secret_type, keys, owner }))
    }
}
