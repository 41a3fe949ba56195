//! Reading from the vault: lists, versions and values.

use std::collections::HashSet;

use azure_core::http::{headers::Headers, pager::PagerOptions};
use azure_security_keyvault_secrets::models::{
    Secret, SecretClientGetSecretOptions, SecretClientListSecretPropertiesOptions,
    SecretClientListSecretPropertiesVersionsOptions,
};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::time::Instant;

use super::{
    super::{
        Page, Priority, VaultError, convert,
        paging::{List, PAGE_SIZE, first_page},
        rate_limiter::Owner,
        sdk_error::{Operation, date},
    },
    IDEMPOTENT_ATTEMPTS, Inner, Vault, parse_and_wipe,
};
use crate::model::{VaultSecret, VaultSecretName, VaultSecretVersion, VaultValue, VaultVersion};

/// Maximum pages of versions of one secret. Nobody has 25,000 versions; a vault that says so is broken.
const MAX_PAGES: usize = 1_000;

// === impl Vault ===

impl Vault {
    /// Lists a page of secrets.
    pub async fn list_page(
        &self,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecret>, VaultError> {
        let list = List::secrets(&self.inner.uri);
        let from = list.continuation(from)?;
        let operation = Operation { operation: "list secrets", name: None, version: None };
        let (items, next) = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), IDEMPOTENT_ATTEMPTS, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options =
                    SecretClientListSecretPropertiesOptions { maxresults: Some(PAGE_SIZE), method_options };
                first_page(self.inner.sdk.list_secret_properties(Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::secret).collect::<Result<_, _>>()?, next })
    }

    /// Lists a page of versions of a secret. For an unknown name the vault returns an empty page.
    pub async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        self.inner.versions_page(name, from, &self.owner(priority), self.inner.deadline()).await
    }

    /// Lists all versions of a secret.
    pub async fn versions_all(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<Vec<VaultSecretVersion>, VaultError> {
        let mut versions = Vec::new();
        let mut seen = HashSet::new();
        let mut from: Option<String> = None;
        loop {
            let page = self.versions_page(name, from.as_deref(), priority).await?;
            versions.extend(page.items);
            let Some(next) = page.next else { return Ok(versions) };
            if seen.len() >= MAX_PAGES || !seen.insert(next.clone()) {
                return Err(VaultError::Malformed("its pages form a loop".into()));
            }
            from = Some(next);
        }
    }

    /// The version that [`Vault::get`] would read, without its value. Needs a request for every 25 versions.
    ///
    /// Returns several if the latest is ambiguous: times have whole seconds, and the list has no order within
    /// a second.
    pub async fn describe(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
        priority: Priority,
    ) -> Result<Vec<VaultSecretVersion>, VaultError> {
        let mut versions = self.versions_all(name, priority).await?;
        let is_known = !versions.is_empty();
        let last = versions.iter().filter_map(|listed| listed.secret.create_time).max();
        versions.retain(|listed| match version {
            Some(version) => listed.version == *version,
            None => listed.secret.create_time == last,
        });
        match version {
            Some(version) if is_known && versions.is_empty() => {
                Err(VaultError::VersionNotFound { name: name.clone(), version: version.clone() })
            }
            _ if versions.is_empty() => Err(VaultError::NotFound { name: name.clone(), unseen_in: None }),
            version if versions.iter().all(|listed| !listed.secret.enabled) => {
                Err(VaultError::Disabled { name: name.clone(), version: version.cloned() })
            }
            _ => Ok(versions),
        }
    }

    /// Reads the value of a version, or of the latest one.
    pub async fn get(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
        priority: Priority,
    ) -> Result<VaultValue, VaultError> {
        let deadline = self.inner.deadline();
        let operation = Operation { operation: "read values", name: Some(name), version };
        let read = self
            .inner
            .call(operation, &self.owner(priority), deadline, IDEMPOTENT_ATTEMPTS, || async {
                let secret_version = version.map(|version| version.as_str().to_owned());
                let options = SecretClientGetSecretOptions { secret_version, ..Default::default() };
                let answer = self.inner.sdk.get_secret(name.as_str(), Some(options)).await?;
                let (_, headers, body) = answer.deconstruct();
                Ok((headers, parse_and_wipe(body)?))
            })
            .await;
        match read {
            Ok((headers, secret)) => value(&headers, secret),
            Err(missing @ VaultError::VersionNotFound { .. }) => {
                Err(self.inner.distinguish_not_found(name, missing, &self.owner(priority), deadline).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Says of a secret that a read has not found whether it was deleted and can be recovered. Without the right to see
    /// deleted secrets, says that. Any other error stays as it is.
    pub async fn explain_missing(&self, error: VaultError, priority: Priority) -> VaultError {
        let VaultError::NotFound { name, unseen_in: None } = error else { return error };
        let vault = || {
            let host = self.inner.uri.host_str().unwrap_or_default();
            host.split('.').next().unwrap_or_default().to_owned()
        };
        match self.deleted(&name, priority).await {
            Ok(Some(_)) => VaultError::Deleted { name, vault: vault() },
            Err(VaultError::Forbidden { .. }) => VaultError::NotFound { name, unseen_in: Some(vault()) },
            Ok(None) | Err(_) => VaultError::NotFound { name, unseen_in: None },
        }
    }

    /// The name of a deleted secret in the vault's spelling; `None` if there is none.
    pub async fn deleted(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<Option<VaultSecretName>, VaultError> {
        let operation = Operation { operation: "see deleted secrets", name: Some(name), version: None };
        let found = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), IDEMPOTENT_ATTEMPTS, || async {
                self.inner.sdk.get_deleted_secret(name.as_str(), None).await?.into_model()
            })
            .await;
        match found {
            Ok(deleted) => convert::name_of(&deleted).map(Some),
            Err(VaultError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

// === impl Inner ===

impl Inner {
    async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        owner: &Owner,
        deadline: Instant,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        let list = List::versions(&self.uri, name);
        let from = list.continuation(from)?;
        let operation = Operation { operation: "list secrets", name: Some(name), version: None };
        let (items, next) = self
            .call(operation, owner, deadline, IDEMPOTENT_ATTEMPTS, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options = SecretClientListSecretPropertiesVersionsOptions {
                    maxresults: Some(PAGE_SIZE),
                    method_options,
                };
                first_page(self.sdk.list_secret_properties_versions(name.as_str(), Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::version).collect::<Result<_, _>>()?, next })
    }

    /// The vault returns the same error for a missing version and a missing secret. The list of versions
    /// shows which it was.
    pub(super) async fn distinguish_not_found(
        &self,
        name: &VaultSecretName,
        missing: VaultError,
        owner: &Owner,
        deadline: Instant,
    ) -> VaultError {
        match self.versions_page(name, None, owner, deadline).await {
            Ok(page) if page.items.is_empty() => VaultError::NotFound { name: name.clone(), unseen_in: None },
            Err(error @ VaultError::NotFound { .. }) => error,
            // Without the right to list, keep the error.
            Ok(_) | Err(_) => missing,
        }
    }
}

fn value(headers: &Headers, mut secret: Secret) -> Result<VaultValue, VaultError> {
    let value = secret.value.take().map(SecretString::from);
    let value = value.ok_or_else(|| VaultError::Malformed("a secret without a value".into()))?;
    let read_time = convert::time(date(headers)).unwrap_or_else(Timestamp::now);
    Ok(VaultValue { value, version: convert::version_of(secret)?, read_time })
}
