//! Brings a soft-deleted vault secret back, with all its versions.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use super::{
    Call, Cause, Error, ListedVaultSecret, Secrets,
    vault_secrets::{answered, field, latest, resource},
};
use crate::{
    backoff::Backoff,
    model::{AuditAction, VaultSecret, VaultSecretName, VaultSecretVersion},
    vault::{Priority, VaultError},
};

/// The pauses between the reads of a secret that the vault is recovering.
const RECOVERY_POLLS: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(2));
/// The service stops waiting for the recovery this long before the caller's deadline.
const ANSWER_BEFORE_DEADLINE: Duration = Duration::from_millis(500);

impl Secrets {
    /// Recovers a deleted vault secret, waits until it is there, and re-syncs the synced secrets that refer
    /// to it.
    pub async fn recover_vault_secret(
        &self,
        call: Call,
        name: VaultSecretName,
        validate_only: bool,
    ) -> Result<ListedVaultSecret, Error> {
        self.run_to_completion(call, async move |this, call| {
            this.recover_in_vault(call, name, validate_only).await
        })
        .await
    }

    async fn recover_in_vault(
        &self,
        call: Call,
        name: VaultSecretName,
        validate_only: bool,
    ) -> Result<ListedVaultSecret, Error> {
        let again = self.recorded(&call).await?;
        if let Some(Some(response)) = &again {
            return Ok(self.listed(answered(name, response)?.secret));
        }
        let live = self.latest_version(&name).await?;
        // A retry of a call that recovered it finds it live.
        if live.is_some() && again.is_none() {
            return Err(Cause::NotDeleted(name).into());
        }
        let deleted = match validate_only && live.is_none() {
            true => self.vault().deleted(&name, Priority::Interactive).await?.is_some(),
            false => true,
        };
        if !deleted {
            return Err(VaultError::NotFound { name, unseen_in: None }.into());
        }
        // The vault shows nothing else of a deleted secret.
        if validate_only {
            return Ok(self.listed(VaultSecret::new(name)));
        }
        let (action, resource) = (AuditAction::RecoverVaultSecret, resource(&name));
        self.begin_vault_write(&call, action.clone(), &resource, again.is_none(), None).await?;
        let recovered = match live {
            Some(live) => Ok(live),
            None => self.recover_and_wait(&name, call.deadline - ANSWER_BEFORE_DEADLINE).await,
        };
        // The recovery is repeated: the error is only that of the last attempt.
        let recovered = self.end_vault_write(&call, action, &resource, false, recovered).await;
        let recovered = recovered.map_err(|cause| field("name", cause))?;
        self.sync_users_of(&name);
        Ok(self.listed(recovered.secret))
    }

    /// The vault recovers asynchronously, and before that it may still be deleting.
    async fn recover_and_wait(
        &self,
        name: &VaultSecretName,
        until: Instant,
    ) -> Result<VaultSecretVersion, Cause> {
        let vault = |error| Cause::Vault(Arc::new(error));
        let mut is_accepted = false;
        for pause in RECOVERY_POLLS.pauses() {
            let refused = match is_accepted {
                true => None,
                false => self.vault().recover(name, Priority::Interactive).await.err(),
            };
            match refused {
                None => is_accepted = true,
                // The vault is still deleting it, or recovers it for somebody else or for an earlier attempt.
                Some(VaultError::SoftDeleted { being_deleted: true, .. }) => {}
                // It may be there meanwhile.
                Some(missing @ VaultError::NotFound { .. }) => {
                    return self.latest_version(name).await.map_err(vault)?.ok_or_else(|| vault(missing));
                }
                Some(error) => return Err(vault(error)),
            }
            if let Some(latest) = self.latest_version(name).await.map_err(vault)? {
                return Ok(latest);
            }
            if Instant::now() + pause >= until {
                break;
            }
            sleep(pause).await;
        }
        Err(Cause::Recovering(name.clone()))
    }

    /// The latest version of a vault secret; `None` where it has none.
    async fn latest_version(&self, name: &VaultSecretName) -> Result<Option<VaultSecretVersion>, VaultError> {
        Ok(latest(&self.versions(name).await?).cloned())
    }
}
