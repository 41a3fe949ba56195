//! The checks before an intent is recorded: the vault and the edge must accept the request now.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;

use zeroize::Zeroizing;

use super::{Cause, Error, NewReference, Problem, Secrets};
use crate::{
    edge::{
        EdgeError,
        engine::{Objection, VaultState, extension_objection, reads_values},
    },
    model::{
        Contents, Reference, SecretType, SyncEngine, SyncedSecret, SyncedSecretId, ValueError, VaultSecret,
        VaultSecretName, VaultVersion, limits,
    },
    reconcile::{SharedReads, content},
    vault::{Priority, VaultError},
};

impl Secrets {
    /// All problems of the references that are not `held` yet. The values that it reads stay in `reads` for
    /// the sync.
    pub(super) async fn check_references(
        &self,
        engine: SyncEngine,
        (secret_type, references): (&SecretType, &[NewReference]),
        held: &[Reference],
        reads: &SharedReads,
    ) -> Vec<Problem> {
        let contents = contents(secret_type, references);
        let mut checks = Vec::with_capacity(references.len());
        for (place, new) in references.iter().enumerate() {
            let is_held = new.create.is_none() && held.iter().any(|held| held.has_same_spec(&new.reference));
            if !is_held {
                checks.push(self.check_reference(engine, (contents, place, new), reads));
            }
        }
        join_all(checks).await.into_iter().flatten().collect()
    }

    async fn check_reference(
        &self,
        engine: SyncEngine,
        (contents, place, new): (Contents<'_>, usize, &NewReference),
        reads: &SharedReads,
    ) -> Option<Problem> {
        let cause = match &new.create {
            Some(_) => self.check_new(&new.reference.vault_secret).await,
            None => check_existing(engine, (contents, new), reads).await,
        };
        cause.err().map(|cause| Problem::new(format!("references[{place}]{}", field_of(new, &cause)), cause))
    }

    /// Dry run: asks the API server whether it would accept the objects of a synced secret with these
    /// references, of which it holds some.
    pub(super) async fn try_apply(
        &self,
        engine: SyncEngine,
        secret: &SyncedSecret,
        references: (&[NewReference], &[Reference]),
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
        match secret.missing_keys() {
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

async fn check_existing(
    engine: SyncEngine,
    (contents, new): (Contents<'_>, &NewReference),
    reads: &SharedReads,
) -> Result<(), Cause> {
    let reference = &new.reference;
    let (name, version) = (&reference.vault_secret, reference.version.as_ref());
    if !reads_values(engine) {
        // The encoding can't be checked: this engine never reads the value.
        let description = reads.describe(name, version).await.map_err(Cause::Vault)?;
        let latest = description.versions.first();
        not_expired(name, latest.and_then(|version| version.secret.expire_time), description.time)?;
        return latest.map_or(Ok(()), |version| check_of_extension(reference, &version.secret));
    }
    let value = reads.get(name, version).await.map_err(Cause::Vault)?;
    not_expired(name, value.version.secret.expire_time, value.read_time)?;
    let is_pfx = value.version.secret.is_pfx();
    match content(contents, reference, &value.value, is_pfx).await {
        Ok(_) => Ok(()),
        Err(error) => Err(unusable(reference, error)),
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
    (references, held): (&[NewReference], &[Reference]),
    reads: &SharedReads,
) -> Result<(), Error> {
    if reads_values(engine) {
        return values(secret_type, (references, held), reads).await.map(drop);
    }
    let contents = contents(secret_type, references);
    for (place, NewReference { reference, create, .. }) in references.iter().enumerate() {
        if let Some(create) = create {
            let content = content(contents, reference, &create.value, false).await;
            content.map_err(|error| refused(place, reference, error))?;
        }
    }
    Ok(())
}

/// The bytes that the edge will get; an error if they exceed the limit of a Secret. What is wrong with a
/// reference that is `held` already, or that another call is just storing, is no reason to refuse the others:
/// it counts as empty.
async fn values(
    secret_type: &SecretType,
    (references, held): (&[NewReference], &[Reference]),
    reads: &SharedReads,
) -> Result<Vec<(Zeroizing<Vec<u8>>, VaultVersion)>, Error> {
    let placeholder = || "0".repeat(32).parse().expect("32 hex digits are a version");
    let mut values = Vec::with_capacity(references.len());
    let contents = contents(secret_type, references);
    for (place, NewReference { reference, create, .. }) in references.iter().enumerate() {
        let read = match create {
            Some(create) => {
                let content = content(contents, reference, &create.value, false).await;
                content.map(|bytes| (bytes, placeholder())).map_err(|error| refused(place, reference, error))
            }
            None => existing_value(contents, (place, reference), reads).await,
        };
        let is_held = create.is_none() && held.iter().any(|held| held.has_same_spec(reference));
        values.push(match read {
            Err(_) if is_held => (Zeroizing::default(), placeholder()),
            read => read?,
        });
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

async fn existing_value(
    contents: Contents<'_>,
    (place, reference): (usize, &Reference),
    reads: &SharedReads,
) -> Result<(Zeroizing<Vec<u8>>, VaultVersion), Error> {
    let value = reads.get(&reference.vault_secret, reference.version.as_ref()).await.map_err(Cause::Vault)?;
    let is_pfx = value.version.secret.is_pfx();
    let content = content(contents, reference, &value.value, is_pfx).await;
    let bytes = content.map_err(|error| refused(place, reference, error))?;
    Ok((bytes, value.version.version.clone()))
}

/// How references become the keys of a Secret of this type.
fn contents<'a>(secret_type: &'a SecretType, references: &[NewReference]) -> Contents<'a> {
    Contents::of(secret_type, references.iter().map(|new| &new.reference.key))
}

/// What the Secret Store extension can't take out of this vault secret.
fn check_of_extension(reference: &Reference, secret: &VaultSecret) -> Result<(), Cause> {
    match extension_objection(reference, secret) {
        Some(why) => Err(Cause::Invalid(why)),
        None => Ok(()),
    }
}

/// The problem of a value with its reference, which is at this place.
fn refused(place: usize, reference: &Reference, error: ValueError) -> Error {
    match error {
        ValueError::Content(error) => Error::invalid(format!("references[{place}]"), error),
        error => unusable(reference, error).into(),
    }
}

fn unusable(reference: &Reference, error: ValueError) -> Cause {
    let (key, name) = (reference.key.clone(), reference.vault_secret.clone());
    match error {
        ValueError::Encoding(error) => Cause::NotEncoded { key, name, error },
        ValueError::Certificate(error) => Cause::NotCertificate { key, name, error },
        ValueError::Content(error) => Cause::Invalid(error.to_string()),
    }
}

/// The field of a reference that a problem concerns.
fn field_of(new: &NewReference, cause: &Cause) -> &'static str {
    match cause {
        Cause::Vault(error) if matches!(**error, VaultError::VersionNotFound { .. }) => ".version",
        Cause::Vault(error)
            if matches!(**error, VaultError::Disabled { .. }) && new.reference.version.is_some() =>
        {
            ".version"
        }
        Cause::NotEncoded { .. } => ".encoding",
        Cause::NotCertificate { .. } => ".part",
        // The value, wherever it is wrong.
        Cause::Invalid(_) => "",
        _ => ".vault_secret",
    }
}
