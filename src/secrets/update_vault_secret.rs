//! Changes attributes of a version of a vault secret. The value stays.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Call, Cause, Error, Problem, Secrets,
    vault_secrets::{answered, field, misordered, resource},
};
use crate::{
    model::{AuditAction, VaultSecretName, VaultSecretUpdate, VaultSecretVersion, VaultVersion, limits},
    reconcile::ownership,
    vault::{Priority, VaultError},
};

/// What a call is about to change. Recorded before the change: the latest version of a retry may be another
/// one, which somebody added since.
#[derive(Serialize, Deserialize)]
struct Intent {
    changes: VaultVersion,
    /// When the version was changed last before.
    #[serde(default)]
    update_time: Option<Timestamp>,
}

impl Secrets {
    /// Changes attributes of a version, or of the latest one, and re-syncs the synced secrets that follow it.
    pub async fn update_vault_secret(
        &self,
        call: Call,
        name: VaultSecretName,
        version: Option<VaultVersion>,
        update: VaultSecretUpdate,
        validate_only: bool,
    ) -> Result<VaultSecretVersion, Error> {
        self.run_to_completion(call, async move |this, call| {
            this.update_in_vault(call, name, version, update, validate_only).await
        })
        .await
    }

    async fn update_in_vault(
        &self,
        call: Call,
        name: VaultSecretName,
        version: Option<VaultVersion>,
        update: VaultSecretUpdate,
        validate_only: bool,
    ) -> Result<VaultSecretVersion, Error> {
        let again = self.recorded(&call).await?;
        let intent = match &again {
            Some(Some(response)) => match serde_json::from_slice::<Intent>(response) {
                Ok(intent) => Some(intent),
                Err(_) => return answered(name, response),
            },
            _ => None,
        };
        let meant = intent.as_ref().map(|intent| &intent.changes);
        let held = self.version_to_change(&name, meant.or(version.as_ref())).await?;
        let update = complete(update, &held)?;
        if validate_only {
            return Ok(preview(held, update));
        }
        let (action, resource) = (AuditAction::UpdateVaultSecret, resource(&name));
        let is_carried_out = intent.is_some() && preview(held.clone(), update.clone()) == held;
        // Whoever changed it since an earlier attempt was answered that it is so.
        if !is_carried_out && intent.is_some_and(|intent| intent.update_time != held.secret.update_time) {
            return Err(Error::Stale(resource));
        }
        let changed = match is_carried_out {
            true => Ok(held),
            false => {
                let intent = Intent { changes: held.version.clone(), update_time: held.secret.update_time };
                let intent = serde_json::to_vec(&intent).map_err(|_| Error::Internal)?;
                let first_time = again.is_none();
                self.begin_vault_write(&call, action.clone(), &resource, first_time, Some(&intent)).await?;
                let changed = self.vault().update(&name, &held.version, &update, Priority::Interactive).await;
                changed.map_err(|error| Cause::Vault(Arc::new(error)))
            }
        };
        // The vault's client repeats an update: the error is only that of the last attempt.
        let changed = self
            .end_vault_write(&call, action, &resource, false, changed)
            .await
            .map_err(|cause| field("vault_secret", cause))?;
        self.sync_users_of(&name);
        Ok(changed)
    }

    /// The version that a call means.
    async fn version_to_change(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
    ) -> Result<VaultSecretVersion, Error> {
        let versions = self.versions(name).await?;
        if versions.is_empty() {
            return Err(self.missing(name).await);
        }
        if let Some(version) = version {
            let missing = || VaultError::VersionNotFound { name: name.clone(), version: version.clone() };
            let held = versions.into_iter().find(|held| held.version == *version);
            return held.ok_or_else(|| field("version", Cause::Vault(Arc::new(missing()))));
        }
        let last = versions.iter().map(|held| held.secret.create_time).max().flatten();
        let mut latest: Vec<_> =
            versions.into_iter().filter(|held| held.secret.create_time == last).collect();
        if latest.len() > 1 {
            // Times have whole seconds: only the vault itself knows which of them is the latest.
            let read = self.vault().get(name, None, Priority::Interactive).await;
            let version = read.map(|read| read.version.version).map_err(|_| {
                Error::invalid("version", "is required: several versions were added within the same second")
            })?;
            latest.retain(|held| held.version == version);
        }
        latest.pop().ok_or_else(|| {
            Error::invalid(
                "version",
                "is required: versions are being added at this moment; retry with one of them",
            )
        })
    }

    /// Lets the synced secrets that refer to a vault secret read it again.
    pub(super) fn sync_users_of(&self, name: &VaultSecretName) {
        let reads = self.0.reconciler.shared_reads(self.vault());
        for user in self.0.store.view().users_of(name) {
            let options =
                crate::reconcile::EnqueueOptions { refetch: Some(reads.clone()), interactive: true };
            self.0.reconciler.enqueue(user.secret.uid, options);
        }
    }
}

/// The update with what it must not drop, if it fits the version.
fn complete(mut update: VaultSecretUpdate, held: &VaultSecretVersion) -> Result<VaultSecretUpdate, Error> {
    let secret = &held.secret;
    if secret.managed {
        return Err(VaultError::Managed { name: secret.name.clone() }.into());
    }
    let mut problems = Vec::new();
    let not_before = update.not_before_time.or(secret.not_before_time);
    let expire = update.expire_time.or(secret.expire_time);
    if (update.not_before_time.is_some() || update.expire_time.is_some())
        && let Some(rule) = misordered(not_before, expire)
    {
        let field = if update.expire_time.is_some() { "expire_time" } else { "not_before_time" };
        problems.push(Problem::invalid(format!("vault_secret.{field}"), rule));
    }
    if let Some(tags) = &mut update.tags {
        // A tag tells whose a version is: it stays what it is.
        let own = secret.tags.get(ownership::TAG);
        match tags.get(ownership::TAG) {
            Some(given) if Some(given) != own => problems.push(Problem::invalid(
                "vault_secret.tags",
                format!("must not change the tag {:?}, which this service sets", ownership::TAG),
            )),
            _ => tags.extend(own.map(|own| (ownership::TAG.to_owned(), own.clone()))),
        }
        if tags.len() > limits::TAGS + 1 {
            problems.push(Problem::invalid(
                "vault_secret.tags",
                format!("must have at most {} tags, one of them this service's", limits::TAGS + 1),
            ));
        }
    }
    Error::refuse(problems)?;
    Ok(update)
}

/// The version as the update would make it, for `validate_only`.
fn preview(mut held: VaultSecretVersion, update: VaultSecretUpdate) -> VaultSecretVersion {
    let secret = &mut held.secret;
    secret.enabled = update.enabled.unwrap_or(secret.enabled);
    // The vault keeps whole seconds.
    let whole = |time: Timestamp| Timestamp::from_second(time.as_second()).unwrap_or(time);
    secret.not_before_time = update.not_before_time.map(whole).or(secret.not_before_time);
    secret.expire_time = update.expire_time.map(whole).or(secret.expire_time);
    if let Some(content_type) = update.content_type {
        secret.content_type = content_type;
    }
    if let Some(tags) = update.tags {
        secret.tags = tags;
    }
    held
}
