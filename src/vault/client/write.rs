//! Writing to the vault: new secrets and versions, their attributes, and recovery.

use azure_core::http::RequestContent;
use azure_security_keyvault_secrets::models::{
    Secret, SecretClientUpdateSecretPropertiesOptions, SetSecretParameters,
};
use jiff::Timestamp;
use zeroize::Zeroize;

use super::{
    super::{
        Priority, VaultError, convert,
        sdk_error::{CREATE, Operation},
    },
    IDEMPOTENT_ATTEMPTS, Inner, Vault, parse_and_wipe,
};
use crate::model::{NewVaultSecret, VaultSecretName, VaultSecretUpdate, VaultSecretVersion, VaultVersion};

/// What a write said about the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWrite {
    /// When it was sent.
    pub time: Timestamp,
    /// The error, if the right was missing.
    pub refused: Option<VaultError>,
}

// === impl Vault ===

impl Vault {
    /// Stores a value, as a new secret or as a new version of an existing one. Sent only once: after
    /// `Unreachable`, `Timeout` or `Malformed` the value may or may not be stored.
    pub async fn set(
        &self,
        name: &VaultSecretName,
        new: &NewVaultSecret,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let stored = self.put(name, priority, || Ok(convert::set_request(new)?.into())).await;
        let stored = match stored {
            Err(VaultError::Rejected { status: 409, code }) => Err(self.conflict(name, code, priority).await),
            other => other,
        };
        self.inner.record_write_result(stored.as_ref().err());
        without_value(stored?)
    }

    /// What the last write said about the right to write; `None` before the first.
    pub fn last_write(&self) -> Option<LastWrite> {
        self.inner.last_write.read().clone()
    }

    /// Checks the right to store values, with a request that has no value. A vault rejects it because of the
    /// missing right, or else because of the missing value. A version is only returned by vaults that accept
    /// secrets without a value.
    pub async fn probe_set(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        without_value(self.put(name, priority, || SetSecretParameters::default().try_into()).await?)
    }

    /// Sends a request to store a secret, once.
    async fn put(
        &self,
        name: &VaultSecretName,
        priority: Priority,
        body: impl Fn() -> azure_core::Result<RequestContent<SetSecretParameters>>,
    ) -> Result<Secret, VaultError> {
        let operation = Operation { operation: CREATE, name: Some(name), version: None };
        let send = || async {
            let answer = self.inner.sdk.set_secret(name.as_str(), body()?, None).await?;
            parse_and_wipe(answer.into_body())
        };
        self.inner.call(operation, &self.owner(priority), self.inner.deadline(), 1, send).await
    }

    /// Why the vault refuses a name with 409 and a code that is not one of Azure's: the deleted secrets tell.
    async fn conflict(&self, name: &VaultSecretName, code: String, priority: Priority) -> VaultError {
        match self.deleted(name, priority).await {
            Ok(Some(_)) => VaultError::SoftDeleted { name: name.clone(), being_deleted: false },
            Ok(None) | Err(_) => VaultError::Rejected { status: 409, code },
        }
    }

    /// Changes attributes of a version.
    pub async fn update(
        &self,
        name: &VaultSecretName,
        version: &VaultVersion,
        update: &VaultSecretUpdate,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let deadline = self.inner.deadline();
        let operation = Operation { operation: "change secrets", name: Some(name), version: Some(version) };
        let changed = self
            .inner
            .call(operation, &self.owner(priority), deadline, IDEMPOTENT_ATTEMPTS, || async {
                let options = SecretClientUpdateSecretPropertiesOptions {
                    secret_version: Some(version.as_str().to_owned()),
                    ..Default::default()
                };
                let parameters = convert::update_request(update).try_into()?;
                let answer =
                    self.inner.sdk.update_secret_properties(name.as_str(), parameters, Some(options)).await?;
                parse_and_wipe(answer.into_body())
            })
            .await;
        match changed {
            Ok(changed) => without_value(changed),
            Err(missing @ VaultError::VersionNotFound { .. }) => {
                Err(self.inner.distinguish_not_found(name, missing, &self.owner(priority), deadline).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Enables or disables a version.
    pub async fn set_enabled(
        &self,
        name: &VaultSecretName,
        version: &VaultVersion,
        enabled: bool,
        priority: Priority,
    ) -> Result<(), VaultError> {
        let update = VaultSecretUpdate { enabled: Some(enabled), ..VaultSecretUpdate::default() };
        self.update(name, version, &update, priority).await.map(drop)
    }

    /// Begins to recover a deleted secret with all its versions. The vault goes on with it afterwards.
    pub async fn recover(&self, name: &VaultSecretName, priority: Priority) -> Result<(), VaultError> {
        let operation = Operation { operation: "recover secrets", name: Some(name), version: None };
        let recover = || async { self.inner.sdk.recover_deleted_secret(name.as_str(), None).await.map(drop) };
        let deadline = self.inner.deadline();
        self.inner.call(operation, &self.owner(priority), deadline, IDEMPOTENT_ATTEMPTS, recover).await
    }
}

// === impl Inner ===

impl Inner {
    /// Records what a write said about the right to write. The vault checks the right before the content, so
    /// most errors say nothing about it.
    fn record_write_result(&self, error: Option<&VaultError>) {
        let refused = match error {
            None | Some(VaultError::Rejected { .. } | VaultError::SoftDeleted { .. }) => None,
            Some(error @ VaultError::Forbidden { .. }) => Some(error.clone()),
            Some(_) => return,
        };
        let last = LastWrite { time: crate::model::now(), refused };
        *self.last_write.write() = Some(last);
    }
}

/// The stored version. The vault returns the value, too, which is wiped.
fn without_value(mut stored: Secret) -> Result<VaultSecretVersion, VaultError> {
    stored.value.zeroize();
    convert::version_of(stored)
}
