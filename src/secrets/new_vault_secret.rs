//! Stores new secrets in the vault: a call never creates one twice and never overwrites another call's
//! secret.

use std::sync::Arc;

use secrecy::SecretString;

use super::{Cause, Problem, Secrets};
use crate::{
    model::{NewVaultSecret, VaultSecretName, VaultSecretVersion, VaultValue},
    reconcile::ownership::{self, Ownership},
    vault::{Priority, VaultError},
};

/// While this exists, no other call of this process creates these vault secrets.
pub(super) struct Reservation {
    secrets: Secrets,
    names: Vec<String>,
}

/// A vault secret that a call created, or found as its own.
pub(super) struct Stored {
    pub(super) version: VaultSecretVersion,
    /// The value, if this call stored it.
    pub(super) value: Option<VaultValue>,
    /// Why the service could not verify that no other client created it first. It is stored all the same.
    pub(super) unverified: Option<Arc<VaultError>>,
}

impl Secrets {
    /// Reserves the names of new vault secrets.
    pub(super) fn reserve<'a>(
        &self,
        names: impl Iterator<Item = (String, &'a VaultSecretName)>,
    ) -> Result<Reservation, Vec<Problem>> {
        let mut reservation = Reservation { secrets: self.clone(), names: Vec::new() };
        let mut reserved = self.0.reserved.lock();
        let mut problems = Vec::new();
        for (field, name) in names {
            match reserved.insert(name.folded()) {
                true => reservation.names.push(name.folded()),
                false => problems.push(Problem::new(field, Cause::BeingCreated(name.clone()))),
            }
        }
        drop(reserved);
        if problems.is_empty() { Ok(reservation) } else { Err(problems) }
    }

    /// Stores a new vault secret with a tag. If it was stored with that tag before, returns that one.
    pub(super) async fn store_new(
        &self,
        name: &VaultSecretName,
        mut new: NewVaultSecret,
        tag: &str,
        may_be_stored: bool,
    ) -> Result<Stored, Cause> {
        if may_be_stored {
            match self.find_creation(name, tag).await.map_err(Cause::Vault)? {
                Ownership::Ours(version) => return Ok(Stored { version, value: None, unverified: None }),
                Ownership::Taken => return Err(Cause::VaultSecretExists(name.clone())),
                Ownership::Free => {}
            }
        }
        new.tags.insert(ownership::TAG.to_owned(), tag.to_owned());
        let version = self
            .vault()
            .set(name, &new, Priority::Interactive)
            .await
            .map_err(|error| Cause::Vault(Arc::new(error)))?;
        let unverified = match self.find_creation(name, tag).await {
            Ok(Ownership::Taken) => return Err(Cause::VaultSecretExists(name.clone())),
            Ok(Ownership::Ours(_) | Ownership::Free) => None,
            Err(error) => Some(error),
        };
        let value = std::mem::replace(&mut new.value, SecretString::from(""));
        // Another update may arrive in the same second.
        let read_time = version.secret.update_time.unwrap_or_default();
        let value = VaultValue { value, read_time, version: version.clone() };
        Ok(Stored { version, value: Some(value), unverified })
    }

    async fn find_creation(&self, name: &VaultSecretName, tag: &str) -> Result<Ownership, Arc<VaultError>> {
        ownership::probe(self.vault(), name, tag, Priority::Interactive).await.map_err(Arc::new)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut reserved = self.secrets.0.reserved.lock();
        for name in &self.names {
            reserved.remove(name);
        }
    }
}

/// Whether a failed write may still have reached the vault.
pub(super) fn may_have_been_stored(cause: &Cause) -> bool {
    match cause {
        Cause::Vault(error) => {
            matches!(
                **error,
                VaultError::Timeout { .. } | VaultError::Unreachable { .. } | VaultError::Malformed { .. }
            )
        }
        Cause::Unverified { .. } | Cause::Recovering(_) => true,
        _ => false,
    }
}
