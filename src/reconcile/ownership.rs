//! Whether a new vault secret was stored, by whom, and who was first.
//!
//! The vault has no create-only write: a PUT on a name that exists adds a version. So every secret that we
//! create carries a tag with what it was created for; the versions tell who was first; and where someone else
//! was, their value becomes the latest again and ours is disabled.

use uuid::Uuid;

use crate::{
    model::{NewVaultSecret, Reference, VaultSecretName, VaultSecretVersion},
    vault::{Priority, Vault, VaultError},
};

/// The tag on a vault secret that tells what it was created for: [`tag_of`] a reference, or a request id.
pub const TAG: &str = "secret-service";

/// What the vault holds under the name of a new secret.
#[derive(Debug)]
pub enum Ownership {
    /// Nothing.
    Free,
    /// The value that was to be stored for this purpose.
    Ours(VaultSecretVersion),
    /// A secret of someone else, with their value as the latest.
    Taken,
}

/// Tells the value of one call apart from that of another which asks for the same vault secret, also where
/// the write of a call that was cut off arrives late. Of the first generation, and of what an earlier release
/// recorded, it is the uid alone.
pub fn tag_of(uid: Uuid, reference: &Reference) -> String {
    match reference.create_generation {
        0 | 1 => uid.to_string(),
        generation => format!("{uid}/{generation}"),
    }
}

/// Finds out what stands under a name, and gives the name back where we came second.
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
    // Times have whole seconds: who stands beside us in the same one counts as the first.
    let first = versions
        .iter()
        .filter(|version| !is_ours(version) && version.secret.create_time <= ours.secret.create_time)
        .max_by_key(|version| version.secret.create_time);
    match first {
        None => Ok(Ownership::Ours(ours.clone())),
        // Given back before.
        Some(_) if !ours.secret.enabled => Ok(Ownership::Taken),
        Some(first) => {
            give_back(vault, ours, first, priority).await?;
            Ok(Ownership::Taken)
        }
    }
}

/// Makes the value of who was first the latest again, unless somebody has stored another one since, then
/// disables ours. A version gets no newer by being found again: done twice, it stores once.
async fn give_back(
    vault: &Vault,
    ours: &VaultSecretVersion,
    first: &VaultSecretVersion,
    priority: Priority,
) -> Result<(), VaultError> {
    // Times have whole seconds: only the vault itself knows which is the latest.
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
        };
        vault.set(&first.secret.name, &again, priority).await?;
    }
    vault.set_enabled(&ours.secret.name, &ours.version, false, priority).await
}
