//! The vault secrets that a call may reference. They are authorized before the vault is read, and checked
//! again when the call is carried out, because the synced secret may have changed in between.

use std::collections::BTreeSet;

use super::{Adoption, Changes, Error, NewReference, Secrets};
use crate::model::{Reference, SyncedSecret, VaultSecretName};

/// The vault secrets that the caller of an update or an adoption is authorized to reference.
#[derive(Clone, Debug, Default)]
pub struct Referable(BTreeSet<VaultSecretName>);

// === impl Referable ===

impl Referable {
    /// Refuses references that were not authorized and that are not `held`: the synced secret has changed
    /// since.
    pub(super) fn check<'a>(
        &self,
        secret: &SyncedSecret,
        references: impl IntoIterator<Item = &'a Reference>,
        held: &[Reference],
    ) -> Result<(), Error> {
        let is_known = |reference: &Reference| {
            reference.create_pending || self.0.contains(&reference.vault_secret) || is_held(reference, held)
        };
        match references.into_iter().all(is_known) {
            true => Ok(()),
            false => Err(Error::Stale(secret.name())),
        }
    }

    /// Adds a vault secret.
    pub fn add(&mut self, name: VaultSecretName) {
        self.0.insert(name);
    }

    /// The vault secrets.
    pub fn names(&self) -> impl Iterator<Item = &VaultSecretName> {
        self.0.iter()
    }
}

impl FromIterator<VaultSecretName> for Referable {
    fn from_iter<I: IntoIterator<Item = VaultSecretName>>(names: I) -> Self {
        Self(names.into_iter().collect())
    }
}

impl Secrets {
    /// The vault secrets that an update newly references, and those that the synced secret already references
    /// the same way.
    pub fn referred_by_update(&self, changes: &Changes) -> (Referable, Referable) {
        let record = self.0.store.view().get(&changes.id);
        let held = record.as_ref().map(|record| record.secret.references.as_slice()).unwrap_or_default();
        let given = changes.references.iter().flatten().chain(&changes.set_references);
        let existing = given.filter(|new| new.create.is_none());
        // Without an encoding, a reference keeps the one that it has.
        let stays = |new: &&NewReference| {
            let reference = new.keeping_part(held);
            match new.encoding_given {
                true => is_held(&reference, held),
                false => held.iter().any(|held| !held.create_pending && held.has_same_source(&reference)),
            }
        };
        let (held, anew): (Vec<_>, Vec<_>) = existing.partition(stays);
        let names = |references: Vec<&NewReference>| {
            references.into_iter().map(|new| new.reference.vault_secret.clone()).collect()
        };
        (names(anew), names(held))
    }

    /// The vault secrets that an adoption names, and those that the adopted object is known to reference.
    pub fn referred_by_adoption(&self, adoption: &Adoption) -> Referable {
        let record = self.0.store.view().get(&adoption.id);
        let held = record.iter().flat_map(|record| &record.secret.references);
        let given = adoption.references.iter().map(|new| &new.reference);
        given.chain(held).map(|reference| reference.vault_secret.clone()).collect()
    }
}

/// Whether a synced secret already has a reference. A pending one does not count: the secret with that name
/// in the vault may be someone else's.
fn is_held(reference: &Reference, held: &[Reference]) -> bool {
    held.iter().any(|held| !held.create_pending && held.has_same_spec(reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unrequested_reference_is_stale_unless_the_synced_secret_already_has_it() {
        let secret = SyncedSecret::example("edp1");
        let held = &secret.references;
        let check = |names: &[&str], references: &[Reference], held: &[Reference]| {
            let names = names.iter().map(|name| name.parse().unwrap());
            Referable::from_iter(names).check(&secret, references, held)
        };
        assert!(check(&[], held, held).is_ok());
        assert!(check(&["EDP1-user"], held, &[]).is_ok());
        // Another call has removed it meanwhile.
        assert!(matches!(check(&["other"], held, &[]), Err(Error::Stale(_))));
        let under_another_key = [Reference { key: "other".parse().unwrap(), ..held[0].clone() }];
        assert!(check(&[], &under_another_key, held).is_err());
        let new = [Reference { create_pending: true, ..held[0].clone() }];
        assert!(check(&[], &new, &[]).is_ok(), "the call brings its value");
        assert!(check(&[], held, &new).is_err(), "whose value it is that stands there is not known");
    }
}
