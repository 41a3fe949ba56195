//! Finds out whether a new vault secret was stored, and who created it first.
//!
//! The vault has no create-only write: a PUT on an existing name adds a version. So every secret that we
//! create carries a tag that names its purpose, and the versions show who was first. If that was another
//! creator, their value becomes the latest again and our version is disabled.

use uuid::Uuid;

use crate::{
    model::{NewVaultSecret, Reference, VaultSecretName, VaultSecretVersion},
    vault::{Priority, Vault, VaultError},
};

/// The tag on a vault secret that names its purpose: [`tag_of`] a reference, or a request id.
pub const TAG: &str = "secret-service";

/// The owner of a vault secret's name.
#[derive(Debug)]
pub enum Ownership {
    /// The name is free.
    Free,
    /// The value was stored for this purpose.
    Ours(VaultSecretVersion),
    /// The name belongs to another creator, with their value as the latest.
    Taken,
}

/// The tag of a reference. It distinguishes the values of two calls that create the same vault secret, even
/// if the write of an interrupted call arrives late. For the first generation, and for records of earlier
/// releases, it is the uid alone.
pub fn tag_of(uid: Uuid, reference: &Reference) -> String {
    match reference.create_generation {
        0 | 1 => uid.to_string(),
        generation => format!("{uid}/{generation}"),
    }
}

/// Finds out who owns a name, and gives it back if another creator was first.
pub async fn probe(
    vault: &Vault,
    name: &VaultSecretName,
    tag: &str,
    priority: Priority,
) -> Result<Ownership, VaultError> {
    let versions = match vault.versions_all(name, priority).await {
        Ok(versions) => versions,
        Err(VaultError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    let is_ours =
        |version: &&VaultSecretVersion| version.secret.tags.get(TAG).is_some_and(|held| held == tag);
    let Some(ours) = versions.iter().find(is_ours) else {
        return Ok(if versions.is_empty() { Ownership::Free } else { Ownership::Taken });
    };
    // Timestamps have whole seconds: another creator in the same second counts as the first.
    let first = versions
        .iter()
        .filter(|version| !is_ours(version) && version.secret.create_time <= ours.secret.create_time)
        .max_by_key(|version| version.secret.create_time);
    match first {
        None => Ok(Ownership::Ours(ours.clone())),
        // Already given back.
        Some(_) if !ours.secret.enabled => Ok(Ownership::Taken),
        Some(first) => {
            yield_to_first(vault, ours, first, priority).await?;
            Ok(Ownership::Taken)
        }
    }
}

/// Makes the first creator's value the latest again, unless a newer one was stored since, then disables ours.
/// Idempotent: a second run finds that ours is no longer the latest, and stores nothing.
async fn yield_to_first(
    vault: &Vault,
    ours: &VaultSecretVersion,
    first: &VaultSecretVersion,
    priority: Priority,
) -> Result<(), VaultError> {
    // Timestamps have whole seconds: only the vault itself knows which version is the latest.
    let latest = vault.get(&ours.secret.name, None, priority).await?.version.version;
    if latest == ours.version {
        tracing::warn!(vault_secret = %first.secret.name, "another creator was first; their value becomes the latest again");
        let theirs = vault.get(&first.secret.name, Some(&first.version), priority).await?;
        let again = NewVaultSecret {
            value: theirs.value,
            content_type: first.secret.content_type.clone(),
            not_before_time: first.secret.not_before_time,
            expire_time: first.secret.expire_time,
            tags: first.secret.tags.clone(),
            encoding: None,
            encoding_by_default: false,
        };
        vault.set(&first.secret.name, &again, priority).await?;
    }
    vault.set_enabled(&ours.secret.name, &ours.version, false, priority).await
}
