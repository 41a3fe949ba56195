//! Vault secrets: list, read and create; what the writes to the vault share.

use std::collections::HashSet;

use jiff::Timestamp;

use super::{Call, Cause, Error, Secrets, new_vault_secret::may_have_been_stored};
use crate::{
    model::{
        AuditAction, NewVaultSecret, Outcome, SyncedSecretId, VaultSecret, VaultSecretName,
        VaultSecretVersion,
    },
    store::NewAuditEvent,
    vault::{Priority, VaultError},
};

/// Selects vault secrets.
#[derive(Clone, Debug, Default)]
pub struct VaultFilter {
    /// Part of the name, compared without case.
    pub name_contains: String,
    /// Only those that no synced secret refers to.
    pub unsynced_only: bool,
}

/// A place in a list of the vault: a page, and which of its entries were returned.
///
/// The vault makes the page anew when it is read again, so a count of entries would repeat one for each that
/// was added before them, and lose one for each that was deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultCursor {
    /// The vault's continuation token; absent for the first page.
    pub page: Option<String>,
    /// Entries of that page that were returned already, or that the filter left out: the last [`MAX_SHOWN`].
    pub shown: Vec<EntryDigest>,
}

/// A digest of what identifies an entry of a list.
pub type EntryDigest = [u8; 16];

/// Entries of a page that a [`VaultCursor`] remembers. Azure's vaults have 25 a page; where others have more
/// than this, entries that are added before those count as returned.
pub const MAX_SHOWN: usize = 256;

/// An entry of a list of the vault.
trait Entry {
    /// What identifies it in the list.
    fn id(&self) -> String;
}

impl Entry for VaultSecret {
    fn id(&self) -> String {
        self.name.folded()
    }
}

impl Entry for VaultSecretVersion {
    fn id(&self) -> String {
        self.version.to_string()
    }
}

/// A page of vault secrets or versions.
pub struct VaultSecretPage<T> {
    /// In the vault's order.
    pub items: Vec<T>,
    /// Where the next page begins; absent at the end.
    pub next: Option<VaultCursor>,
}

/// A vault secret and the synced secrets that reference it.
pub struct ListedVaultSecret {
    /// The secret.
    pub secret: VaultSecret,
    /// In the order of their ids.
    pub synced_secrets: Vec<SyncedSecretId>,
}

impl Secrets {
    /// A page of the vault's secrets. Without a filter, reads no more pages of the vault than it returns.
    pub async fn list_vault_secrets(
        &self,
        filter: &VaultFilter,
        from: VaultCursor,
        limit: usize,
    ) -> Result<VaultSecretPage<ListedVaultSecret>, Error> {
        let users = self.0.store.view().by_vault_secret();
        let wanted = filter.name_contains.to_ascii_lowercase();
        let list = |secret: VaultSecret| {
            let synced_secrets = users.get(&secret.name).cloned().unwrap_or_default();
            let matches = secret.name.folded().contains(&wanted)
                && (!filter.unsynced_only || synced_secrets.is_empty());
            matches.then_some(ListedVaultSecret { secret, synced_secrets })
        };
        let vault = self.vault();
        let page = |from: Option<String>| async move {
            vault.list_page(from.as_deref(), Priority::Interactive).await
        };
        Ok(gather(page, list, from, limit).await?)
    }

    /// A vault secret, described by its latest version. Reads no value.
    pub async fn get_vault_secret(&self, name: &VaultSecretName) -> Result<ListedVaultSecret, Error> {
        let versions = self.versions(name).await?;
        let Some(latest) = latest(&versions) else { return Err(self.missing(name).await) };
        Ok(self.listed(latest.secret.clone()))
    }

    /// A vault secret, and the synced secrets that reference it.
    pub(super) fn listed(&self, secret: VaultSecret) -> ListedVaultSecret {
        let users = self.0.store.view().users_of(&secret.name);
        ListedVaultSecret {
            secret,
            synced_secrets: users.iter().map(|user| user.secret.id.clone()).collect(),
        }
    }

    /// A page of a vault secret's versions.
    pub async fn list_vault_secret_versions(
        &self,
        name: &VaultSecretName,
        from: VaultCursor,
        limit: usize,
    ) -> Result<VaultSecretPage<VaultSecretVersion>, Error> {
        let first = from == VaultCursor::default();
        let vault = self.vault();
        let page = |from: Option<String>| async move {
            vault.versions_page(name, from.as_deref(), Priority::Interactive).await
        };
        match gather(page, Some, from, limit).await {
            Ok(page) if first && page.items.is_empty() => Err(self.missing(name).await),
            // Azure's vaults have no versions of an unknown name; other vaults don't find it.
            Err(VaultError::NotFound { .. }) => Err(self.missing(name).await),
            page => Ok(page?),
        }
    }

    /// Creates a secret in the vault; never overwrites one.
    pub async fn create_vault_secret(
        &self,
        call: Call,
        name: VaultSecretName,
        new: NewVaultSecret,
        validate_only: bool,
    ) -> Result<ListedVaultSecret, Error> {
        self.run_to_completion(call, async move |this, call| {
            this.create_in_vault(call, name, new, validate_only).await
        })
        .await
    }

    async fn create_in_vault(
        &self,
        call: Call,
        name: VaultSecretName,
        new: NewVaultSecret,
        validate_only: bool,
    ) -> Result<ListedVaultSecret, Error> {
        let again = self.recorded(&call).await?;
        if let Some(Some(response)) = &again {
            return Ok(self.listed(answered(name, response)?.secret));
        }
        let reserved = self.reserve(std::iter::once(("vault_secret_id".to_owned(), &name)));
        let _reserved = reserved.map_err(Error::Refused)?;
        if again.is_none() {
            self.check_new(&name).await.map_err(|cause| field("vault_secret_id", cause))?;
        }
        if validate_only {
            return Ok(preview(name, &new));
        }
        self.begin_vault_write(
            &call,
            AuditAction::CreateVaultSecret,
            &resource(&name),
            again.is_none(),
            None,
        )
        .await?;
        let stored = self.store_new(&name, new, &self.tag(&call), again.is_some()).await;
        let stored = stored.and_then(|stored| match stored.unverified {
            Some(error) => Err(Cause::Unverified { name: name.clone(), error }),
            None => Ok(stored.version),
        });
        let version = self
            .end_vault_write(&call, AuditAction::CreateVaultSecret, &resource(&name), again.is_none(), stored)
            .await
            .map_err(|cause| field("vault_secret_id", cause))?;
        Ok(self.listed(version.secret))
    }

    /// The record of a call, if it is a retry, with its response once it is known to have succeeded.
    pub(super) async fn recorded(&self, call: &Call) -> Result<Option<Option<Vec<u8>>>, Error> {
        let Some(request) = &call.request else { return Ok(None) };
        Ok(self.0.store.recorded(request).await?.map(|recorded| recorded.response))
    }

    /// Records that the vault is about to be written; with `intent`, what a retry must know of it.
    pub(super) async fn begin_vault_write(
        &self,
        call: &Call,
        action: AuditAction,
        resource: &str,
        first_time: bool,
        intent: Option<&[u8]>,
    ) -> Result<(), Error> {
        let mut transaction = self.0.store.begin().await?;
        if let Some(request) = call.request.as_ref().filter(|_| first_time) {
            transaction.begin_request(request, None, intent).await?;
        }
        let event = call.event(action, resource.to_owned(), "Accepted; about to write to the vault.");
        transaction.audit(NewAuditEvent { outcome: Outcome("ACCEPTED".to_owned()), ..event }).await?;
        Ok(transaction.commit().await?)
    }

    /// Records the result of a write to the vault. A refusal forgets the request only if `only_attempt`: it
    /// says nothing about attempts before it, which may have been carried out.
    pub(super) async fn end_vault_write(
        &self,
        call: &Call,
        action: AuditAction,
        resource: &str,
        only_attempt: bool,
        written: Result<VaultSecretVersion, Cause>,
    ) -> Result<VaultSecretVersion, Cause> {
        let recorded = self.record_vault_write(call, action, resource, only_attempt, &written).await;
        if let Err(error) = recorded {
            // A retry finds what was stored by its tag in the vault.
            tracing::error!(%error, resource, "failed to record the result of a vault write");
        }
        written
    }

    async fn record_vault_write(
        &self,
        call: &Call,
        action: AuditAction,
        resource: &str,
        only_attempt: bool,
        written: &Result<VaultSecretVersion, Cause>,
    ) -> Result<(), Error> {
        let event = match written {
            Ok(version) => call.event(action, resource.to_owned(), format!("Version {}.", version.version)),
            Err(cause) => {
                let event = call.event(action, resource.to_owned(), cause.to_string());
                NewAuditEvent { outcome: Outcome("FAILED".to_owned()), ..event }
            }
        };
        let mut transaction = self.0.store.begin().await?;
        transaction.audit(event).await?;
        match (&call.request, written) {
            (Some(request), Ok(version)) => {
                let response = serde_json::to_vec(version).map_err(|_| Error::Internal)?;
                transaction.answer_request(request, &response).await?;
            }
            (Some(request), Err(cause)) if only_attempt && !may_have_been_stored(cause) => {
                transaction.forget_request(request).await?;
            }
            _ => {}
        }
        Ok(transaction.commit().await?)
    }

    pub(super) async fn versions(
        &self,
        name: &VaultSecretName,
    ) -> Result<Vec<VaultSecretVersion>, VaultError> {
        match self.vault().versions_all(name, Priority::Interactive).await {
            Err(VaultError::NotFound { .. }) => Ok(Vec::new()),
            other => other,
        }
    }

    /// Why a name has no versions: not found, or soft-deleted.
    pub(super) async fn missing(&self, name: &VaultSecretName) -> Error {
        match self.vault().deleted(name, Priority::Interactive).await {
            Ok(Some(_)) => VaultError::SoftDeleted { name: name.clone(), being_deleted: false }.into(),
            _ => VaultError::NotFound { name: name.clone(), unseen_in: None }.into(),
        }
    }
}

/// The latest of the versions of a vault secret, by the vault's times, which have whole seconds.
pub(super) fn latest(versions: &[VaultSecretVersion]) -> Option<&VaultSecretVersion> {
    versions.iter().max_by_key(|held| (held.secret.create_time, held.secret.update_time))
}

/// Why a vault secret can't have these times; `None` if it can.
pub(super) fn misordered(not_before: Option<Timestamp>, expire: Option<Timestamp>) -> Option<String> {
    let (not_before, expire) = not_before.zip(expire).filter(|(not_before, expire)| not_before >= expire)?;
    Some(format!("must leave not_before_time before expire_time: {not_before} and {expire}"))
}

/// The recorded answer of a call. An earlier release recorded the version alone.
pub(super) fn answered(name: VaultSecretName, response: &[u8]) -> Result<VaultSecretVersion, Error> {
    if let Ok(version) = serde_json::from_slice(response) {
        return Ok(version);
    }
    let version = std::str::from_utf8(response).ok().and_then(|text| text.parse().ok());
    Ok(VaultSecretVersion { secret: VaultSecret::new(name), version: version.ok_or(Error::Internal)? })
}

/// Fills a page from pages of the vault.
async fn gather<T: Entry, U, F: Future<Output = Result<crate::vault::Page<T>, VaultError>>>(
    page: impl Fn(Option<String>) -> F,
    choose: impl Fn(T) -> Option<U>,
    from: VaultCursor,
    limit: usize,
) -> Result<VaultSecretPage<U>, VaultError> {
    let (mut items, mut at, mut seen) = (Vec::new(), from, HashSet::new());
    loop {
        let current = page(at.page.clone()).await?;
        let mut left = at.not_shown(current.items).into_iter().peekable();
        while let Some((entry, item)) = left.next() {
            at.show(entry);
            items.extend(choose(item));
            if items.len() == limit {
                let next = match (left.peek(), current.next) {
                    (Some(_), _) => Some(at),
                    (None, Some(next)) => Some(VaultCursor::beginning(next)),
                    (None, None) => None,
                };
                return Ok(VaultSecretPage { items, next });
            }
        }
        match current.next {
            Some(next) if seen.insert(next.clone()) => at = VaultCursor::beginning(next),
            Some(_) => return Err(VaultError::Malformed("its continuation links form a loop".into())),
            None => return Ok(VaultSecretPage { items, next: None }),
        }
    }
}

impl VaultCursor {
    fn beginning(page: String) -> Self {
        Self { page: Some(page), shown: Vec::new() }
    }

    fn show(&mut self, entry: EntryDigest) {
        if self.shown.len() == MAX_SHOWN {
            self.shown.remove(0);
        }
        self.shown.push(entry);
    }

    /// The entries of the page, as it is now, that were not returned yet.
    fn not_shown<T: Entry>(&self, items: Vec<T>) -> Vec<(EntryDigest, T)> {
        let shown: HashSet<_> = self.shown.iter().collect();
        let digested: Vec<_> = items.into_iter().map(|item| (digest_of(&item.id()), item)).collect();
        let forgotten = match self.shown.len() < MAX_SHOWN {
            true => 0,
            false => digested.iter().rposition(|(entry, _)| shown.contains(entry)).map_or(0, |last| last + 1),
        };
        digested.into_iter().skip(forgotten).filter(|(entry, _)| !shown.contains(entry)).collect()
    }
}

fn digest_of(id: &str) -> EntryDigest {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, id.as_bytes());
    *digest.as_ref().first_chunk().expect("SHA-256 has 32 bytes")
}

/// The vault secret that a call would create, for `validate_only`.
fn preview(name: VaultSecretName, new: &NewVaultSecret) -> ListedVaultSecret {
    let secret = VaultSecret {
        content_type: new.content_type.clone(),
        not_before_time: new.not_before_time,
        expire_time: new.expire_time,
        tags: new.tags.clone(),
        ..VaultSecret::new(name)
    };
    ListedVaultSecret { secret, synced_secrets: Vec::new() }
}

pub(super) fn resource(name: &VaultSecretName) -> String {
    format!("vaultSecrets/{name}")
}

pub(super) fn field(field: &str, cause: Cause) -> Error {
    Error::Refused(vec![super::Problem::new(field, cause)])
}
