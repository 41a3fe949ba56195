//! AddVaultSecretVersion: what the new version keeps of the one before, and the sync of those who follow it.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Call, Cause, Error, Secrets,
    vault_secrets::{answered, field, latest, misordered, resource},
};
use crate::{
    model::{
        AuditAction, ENCODING_TAG, Encoding, NewVaultSecret, Origin, Reference, State, VaultSecret,
        VaultSecretName, VaultSecretVersion, limits, now,
    },
    reconcile::ownership,
    vault::Priority,
};

impl Secrets {
    /// Adds a version to a vault secret, and re-syncs the synced secrets that follow the latest version.
    pub async fn add_vault_secret_version(
        &self,
        call: Call,
        name: VaultSecretName,
        new: NewVaultSecret,
        keep_dates: bool,
    ) -> Result<VaultSecretVersion, Error> {
        self.run_to_completion(call, async move |this, call| {
            this.add_version(call, name, new, keep_dates).await
        })
        .await
    }

    async fn add_version(
        &self,
        call: Call,
        name: VaultSecretName,
        mut new: NewVaultSecret,
        keep_dates: bool,
    ) -> Result<VaultSecretVersion, Error> {
        let again = self.recorded(&call).await?;
        // A retry gets the recorded answer, whatever happened to the version since.
        if let Some(Some(response)) = &again {
            return answered(name, response);
        }
        let versions = self.versions(&name).await?;
        if versions.is_empty() {
            return Err(self.missing(&name).await);
        }
        let tag = self.tag(&call);
        let before = latest(&versions).map(|held| held.secret.clone());
        let stored = versions.into_iter().find(|version| {
            again.is_some() && version.secret.tags.get(ownership::TAG).is_some_and(|held| *held == tag)
        });
        let version = match stored {
            Some(version) => version,
            None => {
                let tagged = before.as_ref().and_then(|before| Encoding::of_tags(&before.tags));
                keep(&mut new, before, keep_dates)?;
                self.check_followers(&name, &new, tagged)?;
                self.begin_vault_write(
                    &call,
                    AuditAction::AddVaultSecretVersion,
                    &resource(&name),
                    again.is_none(),
                    None,
                )
                .await?;
                new.tags.insert(ownership::TAG.to_owned(), tag);
                let stored = self.vault().set(&name, &new, Priority::Interactive).await;
                let stored = stored.map_err(|error| Cause::Vault(Arc::new(error)));
                let (action, only_attempt) = (AuditAction::AddVaultSecretVersion, again.is_none());
                self.end_vault_write(&call, action, &resource(&name), only_attempt, stored)
                    .await
                    .map_err(|cause| field("parent", cause))?
            }
        };
        self.sync_users_of(&name);
        Ok(version)
    }

    /// Refuses a version in another encoding than the one before where the edge would get something else than
    /// the bytes: a synced secret decodes the latest version as its reference says.
    fn check_followers(
        &self,
        name: &VaultSecretName,
        new: &NewVaultSecret,
        tagged: Option<Encoding>,
    ) -> Result<(), Error> {
        let Some(encoding) = new.encoding.filter(|encoding| tagged != Some(*encoding)) else {
            return Ok(());
        };
        for user in self.0.store.view().users_of(name) {
            let secret = &user.secret;
            if secret.origin != Origin::Managed || secret.state == State::Deleting {
                continue;
            }
            let follows = |held: &&Reference| held.vault_secret == *name && held.version.is_none();
            let mut following = secret.references.iter().filter(follows);
            if let Some(held) = following.find(|held| held.encoding != encoding) {
                let rule = format!(
                    "must be {:?}: {} follows the latest version and decodes it so under the key {:?}; to change \
                     the encoding, first pin that reference to a version",
                    held.encoding.name(),
                    secret.name(),
                    held.key.as_str()
                );
                return Err(Error::invalid("secret.encoding", rule));
            }
        }
        Ok(())
    }
}

/// Stores bytes as the version before is stored, where the caller names no encoding.
fn encode_as_before(new: &mut NewVaultSecret, before: &VaultSecret) -> Result<(), Error> {
    let encoding = match before.tags.contains_key(ENCODING_TAG) {
        true => Encoding::of_tags(&before.tags),
        false => Some(Encoding::Utf8),
    };
    let data = new.encoding.and_then(|encoding| encoding.decode(&new.value).ok());
    let text = encoding.zip(data).and_then(|(encoding, data)| encoding.encode(&data));
    let (Some(encoding), Some(text)) = (encoding, text) else {
        let rule = format!(
            "is required: the tag {ENCODING_TAG:?} of the latest version names none, and the data is no text or the \
             tag is not known"
        );
        return Err(Error::invalid("secret.encoding", rule));
    };
    new.value = text;
    new.encoding = Some(encoding);
    new.tags.insert(ENCODING_TAG.to_owned(), encoding.name().to_owned());
    Ok(())
}

/// Gives a new version what it keeps of the one before: tags and content type where it has none, and on
/// request the times.
fn keep(new: &mut NewVaultSecret, before: Option<VaultSecret>, keep_dates: bool) -> Result<(), Error> {
    let Some(mut before) = before else { return Ok(()) };
    // This tag says which call stored a version.
    before.tags.remove(ownership::TAG);
    if new.encoding_by_default {
        encode_as_before(new, &before)?;
    }
    // What names the encoding of a new value says nothing of the other tags.
    let own = new.encoding.map(|encoding| encoding.name().to_owned());
    let is_own = |tags: &BTreeMap<String, String>| {
        own.is_some() && tags.len() == 1 && tags.get(ENCODING_TAG) == own.as_ref()
    };
    if new.tags.is_empty() || is_own(&new.tags) {
        before.tags.extend(std::mem::take(&mut new.tags));
        if before.tags.len() > limits::TAGS {
            return Err(Error::invalid(
                "secret.tags",
                format!(
                    "is required: the latest version has {} tags, and the service needs room for its own; name at most {}",
                    before.tags.len(),
                    limits::TAGS
                ),
            ));
        }
        new.tags = before.tags;
    }
    if let Some(encoding) = Encoding::of_tags(&new.tags)
        && let Err(error) = encoding.decode(&new.value)
    {
        let rule = format!(
            "must be as the tag {ENCODING_TAG:?} of the secret says, and {error}; name the tags to change it"
        );
        return Err(Error::invalid("secret.value", rule));
    }
    if new.content_type.is_empty() {
        new.content_type = before.content_type;
    }
    if keep_dates {
        new.not_before_time = new.not_before_time.or(before.not_before_time);
        if new.expire_time.is_none() && before.expire_time.is_some_and(|at| at <= now()) {
            return Err(Error::invalid(
                "keep_dates",
                "must be false, or secret.expire_time must be set: the latest version has expired",
            ));
        }
        new.expire_time = new.expire_time.or(before.expire_time);
        if let Some(rule) = misordered(new.not_before_time, new.expire_time) {
            return Err(Error::invalid("keep_dates", rule));
        }
    }
    Ok(())
}
