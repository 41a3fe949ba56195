//! The checks before an intent is recorded: the vault and the edge must accept the request now.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use zeroize::Zeroizing;

use super::{Cause, Error, NewReference, Problem, Secrets};
use crate::{
    edge::{
        EdgeError,
        engine::{Objection, VaultState, reads_values},
    },
    model::{
        EncodingError, Reference, SecretType, SyncEngine, SyncedSecret, SyncedSecretId, VaultSecretName,
        VaultVersion, limits,
    },
    reconcile::SharedReads,
    vault::{Priority, VaultError},
};

impl Secrets {
    /// All problems of the references that are not `held` yet. The values that it reads stay in `reads` for
    /// the sync.
    pub(super) async fn check_references(
        &self,
        engine: SyncEngine,
        references: &[NewReference],
        held: &[Reference],
        reads: &SharedReads,
    ) -> Vec<Problem> {
        let mut checks = Vec::with_capacity(references.len());
        for (place, new) in references.iter().enumerate() {
            let is_held = new.create.is_none() && held.iter().any(|held| held.has_same_spec(&new.reference));
            if !is_held {
                checks.push(self.check_reference(engine, place, new, reads));
            }
        }
        join_all(checks).await.into_iter().flatten().collect()
    }

    async fn check_reference(
        &self,
        engine: SyncEngine,
        place: usize,
        new: &NewReference,
        reads: &SharedReads,
    ) -> Option<Problem> {
        let cause = match &new.create {
            Some(_) => self.check_new(&new.reference.vault_secret).await,
            None => check_existing(engine, new, reads).await,
        };
        cause.err().map(|cause| Problem::new(format!("references[{place}].{}", field_of(new, &cause)), cause))
    }

    /// Dry run: asks the API server whether it would accept the objects of a synced secret.
    pub(super) async fn try_apply(
        &self,
        engine: SyncEngine,
        secret: &SyncedSecret,
        references: &[NewReference],
        reads: &SharedReads,
        edge_uid: Option<&str>,
    ) -> Result<(), Error> {
        let engine = self.0.reconciler.engine_of(engine);
        let values = match engine.reads_values() {
            true => values(&secret.secret_type, references, reads).await?,
            false => Vec::new(),
        };
        let state = VaultState { values, ..VaultState::default() };
        Ok(engine.dry_run(secret, state, edge_uid).await?)
    }

    /// Whether the name of a new synced secret is free at the edge.
    pub(super) async fn check_name(&self, engine: SyncEngine, id: &SyncedSecretId) -> Result<(), EdgeError> {
        self.0.reconciler.engine_of(engine).check_name(id).await
    }

    /// Problems that only this engine has with the synced secret.
    pub(super) fn check_engine(&self, engine: SyncEngine, secret: &SyncedSecret) -> Vec<Problem> {
        let problem = |objection| match objection {
            Objection::Field(violation) => Problem::new(violation.field, Cause::Invalid(violation.message)),
            Objection::Engine(error) => Problem::new("", Cause::Edge(error)),
        };
        self.0.reconciler.engine_of(engine).check(secret).into_iter().map(problem).collect()
    }

    /// What the API server asks of a Secret of this type: known before any value is.
    pub(super) fn check_keys_of_type(&self, secret: &SyncedSecret) -> Result<(), Error> {
        let has = |key: &str| secret.references.iter().any(|reference| reference.key.as_str() == key);
        match secret.secret_type.missing_keys(has) {
            None => Ok(()),
            Some(missing) => Err(Error::invalid(
                "references",
                format!("a Secret of the type {} needs {missing}", secret.secret_type),
            )),
        }
    }

    /// Whether a vault secret can be created: the name is neither taken nor soft-deleted.
    pub(super) async fn check_new(&self, name: &VaultSecretName) -> Result<(), Cause> {
        let vault = self.vault();
        let (versions, deleted) = tokio::join!(
            vault.versions_page(name, None, Priority::Interactive),
            vault.deleted(name, Priority::Interactive)
        );
        match versions {
            Ok(page) if !page.items.is_empty() => return Err(Cause::VaultSecretExists(name.clone())),
            Ok(_) | Err(VaultError::NotFound { .. }) => {}
            Err(error) => return Err(Cause::Vault(Arc::new(error))),
        }
        match deleted {
            // Without permission to read deleted secrets, only the write itself can tell.
            Ok(None) | Err(VaultError::Forbidden { .. }) => Ok(()),
            Ok(Some(_)) => {
                let error = VaultError::SoftDeleted { name: name.clone(), being_deleted: false };
                Err(Cause::Vault(Arc::new(error)))
            }
            Err(error) => Err(Cause::Vault(Arc::new(error))),
        }
    }
}

async fn check_existing(engine: SyncEngine, new: &NewReference, reads: &SharedReads) -> Result<(), Cause> {
    let reference = &new.reference;
    let (name, version) = (&reference.vault_secret, reference.version.as_ref());
    if !reads_values(engine) {
        // The encoding can't be checked: this engine never reads the value.
        let description = reads.describe(name, version).await.map_err(Cause::Vault)?;
        return not_expired(
            name,
            description.versions.first().and_then(|version| version.secret.expire_time),
            description.time,
        );
    }
    let value = reads.get(name, version).await.map_err(Cause::Vault)?;
    not_expired(name, value.version.secret.expire_time, value.read_time)?;
    match reference.encoding.decode(&value.value) {
        Ok(_) => Ok(()),
        Err(error) => Err(not_encoded(reference, error)),
    }
}

/// By the vault's clock: this machine's may be wrong.
fn not_expired(name: &VaultSecretName, expire_time: Option<Timestamp>, now: Timestamp) -> Result<(), Cause> {
    match expire_time.filter(|at| *at <= now) {
        Some(at) => Err(Cause::Expired { name: name.clone(), at }),
        None => Ok(()),
    }
}

/// Checks that the values to store can be synced, as far as the engine sees them.
pub(super) async fn check_values(
    engine: SyncEngine,
    secret_type: &SecretType,
    references: &[NewReference],
    reads: &SharedReads,
) -> Result<(), Error> {
    if reads_values(engine) {
        return values(secret_type, references, reads).await.map(drop);
    }
    for (place, NewReference { reference, create, .. }) in references.iter().enumerate() {
        if let Some(create) = create {
            let decoded = reference.encoding.decode(&create.value);
            let bytes = decoded.map_err(|error| not_encoded(reference, error))?;
            check_content(secret_type, place, reference, &bytes)?;
        }
    }
    Ok(())
}

/// The bytes that the edge will get; an error if they exceed the limit of a Secret.
async fn values(
    secret_type: &SecretType,
    references: &[NewReference],
    reads: &SharedReads,
) -> Result<Vec<(Zeroizing<Vec<u8>>, VaultVersion)>, Error> {
    let mut values = Vec::with_capacity(references.len());
    for (place, NewReference { reference, create, .. }) in references.iter().enumerate() {
        let not_encoded = |error| not_encoded(reference, error);
        let name = &reference.vault_secret;
        let (bytes, version) = match create {
            Some(create) => {
                let placeholder = "0".repeat(32).parse().expect("32 hex digits are a version");
                (reference.encoding.decode(&create.value).map_err(not_encoded)?, placeholder)
            }
            None => {
                let value = reads.get(name, reference.version.as_ref()).await.map_err(Cause::Vault)?;
                let bytes = reference.encoding.decode(&value.value).map_err(not_encoded)?;
                (bytes, value.version.version.clone())
            }
        };
        check_content(secret_type, place, reference, &bytes)?;
        values.push((bytes, version));
    }
    match values.iter().map(|(bytes, _)| bytes.len()).sum::<usize>() <= limits::SECRET_BYTES {
        true => Ok(values),
        false => Err(Error::invalid(
            "references",
            format!(
                "the values together exceed {} bytes, the limit of a Kubernetes Secret; split them across \
                 several synced secrets",
                limits::SECRET_BYTES
            ),
        )),
    }
}

/// Whether the API server takes these bytes in a Secret of this type.
fn check_content(
    secret_type: &SecretType,
    place: usize,
    reference: &Reference,
    bytes: &[u8],
) -> Result<(), Error> {
    let checked = secret_type.check_content(reference.key.as_str(), bytes);
    checked.map_err(|error| Error::invalid(format!("references[{place}]"), error))
}

fn not_encoded(reference: &Reference, error: EncodingError) -> Cause {
    Cause::NotEncoded { key: reference.key.clone(), name: reference.vault_secret.clone(), error }
}

/// The field of a reference that a problem concerns.
fn field_of(new: &NewReference, cause: &Cause) -> &'static str {
    match cause {
        Cause::Vault(error) if matches!(**error, VaultError::VersionNotFound { .. }) => "version",
        Cause::Vault(error)
            if matches!(**error, VaultError::Disabled { .. }) && new.reference.version.is_some() =>
        {
            "version"
        }
        Cause::NotEncoded { .. } => "encoding",
        _ => "vault_secret",
    }
}
