//! What the cluster shows of the Secret Store extension and of its settings, asked afresh.

use std::sync::Arc;

use k8s_openapi::api::core::v1::ServiceAccount;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::{SecretProviderClass, SecretSync};
use crate::{
    edge::{Edge, EdgeError},
    quote::Quote,
};

/// Names the identity that a service account is federated with, by the convention of Azure Workload Identity.
const CLIENT_ID: &str = "azure.workload.identity/client-id";

/// A service account, as far as Azure Workload Identity knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FederatedAccount {
    /// The identity that it is annotated with.
    pub client_id: Option<String>,
}

impl Edge {
    /// Whether the custom resources of the Secret Store extension are served.
    pub async fn has_secret_store(&self) -> Result<bool, EdgeError> {
        Ok(self.missing_store_resources().await?.is_empty())
    }

    /// The extension's resources that are not served in the version in which they are written here, as
    /// `PLURAL.GROUP/VERSION`.
    pub async fn missing_store_resources(&self) -> Result<Vec<String>, EdgeError> {
        let (syncs, classes) = tokio::try_join!(
            self.missing_resource::<SecretSync>(),
            self.missing_resource::<SecretProviderClass>()
        )?;
        Ok(syncs.into_iter().chain(classes).collect())
    }

    /// Whether the API server says that it serves none of the extension's kinds in any version. One that is
    /// merely not served in the version that is written here is stored all the same.
    pub async fn lacks_store_kinds(&self) -> Result<bool, EdgeError> {
        let (syncs, classes) =
            tokio::try_join!(self.serves::<SecretSync>(), self.serves::<SecretProviderClass>())?;
        Ok(!syncs && !classes)
    }

    /// All classes of the namespace, including those of other tools.
    pub async fn list_classes(&self) -> Result<Vec<Arc<SecretProviderClass>>, EdgeError> {
        self.list_all().await
    }

    /// All SecretSyncs of the namespace, including those of other tools.
    pub async fn list_syncs(&self) -> Result<Vec<Arc<SecretSync>>, EdgeError> {
        self.list_all().await
    }

    /// A service account of the namespace; none if it doesn't exist.
    pub async fn service_account(&self, name: &str) -> Result<Option<FederatedAccount>, EdgeError> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &self.namespace);
        let found = self.find(&accounts, name).await?;
        Ok(found.map(|account| FederatedAccount {
            client_id: account
                .metadata
                .annotations
                .and_then(|mut all| Some(Quote::from(all.remove(CLIENT_ID)?).to_string())),
        }))
    }

    /// Whether a kind is served in any version. Only a whole answer says that it isn't: a 404 may be of an
    /// API server that does not serve it at the moment.
    async fn serves<K: Resource<DynamicType = ()>>(&self) -> Result<bool, EdgeError> {
        let (group, plural) = (K::group(&()), K::plural(&()));
        let groups = self.call(self.client.list_api_groups()).await?.groups;
        let group = groups.into_iter().find(|found| found.name == group);
        for version in group.map(|group| group.versions).unwrap_or_default() {
            let served = self.call(self.client.list_api_group_resources(&version.group_version)).await?;
            if served.resources.iter().any(|resource| resource.name == plural) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn missing_resource<K: Resource<DynamicType = ()>>(&self) -> Result<Option<String>, EdgeError> {
        let (plural, version) = (K::plural(&()), K::api_version(&()));
        match self.call(self.client.list_api_group_resources(&version)).await {
            Ok(served) if served.resources.iter().any(|resource| resource.name == plural) => Ok(None),
            Ok(_) | Err(EdgeError::NotFound(_)) => Ok(Some(format!("{plural}.{version}"))),
            Err(error) => Err(error),
        }
    }

    async fn list_all<K>(&self) -> Result<Vec<Arc<K>>, EdgeError>
    where
        K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        let mut all = Vec::new();
        let api: Api<K> = Api::namespaced(self.client.clone(), &self.namespace);
        self.each(&api, |object| all.push(Arc::new(object))).await?;
        Ok(all)
    }
}
