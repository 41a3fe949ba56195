//! Reads the vault for all references of a synced secret: the values, or only the versions, depending on
//! its engine.

use std::sync::Arc;

use futures::future::join_all;
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{
    Reconciler, SharedReads,
    content::content,
    failure::{explain, vault_retry},
    not_before::Hold,
    record_update,
};
use crate::{
    edge::engine::{Failure, Retry, VaultState, reads_values, unusable_value},
    model::{
        CertificateFacts, Contents, Reference, ReferenceStatus, ValueError, VaultSecretVersion, VaultVersion,
    },
    store::Record,
    vault::{Priority, VaultError},
};

/// What one reference has in the vault.
type Found = (ReferenceStatus, Option<(Zeroizing<Vec<u8>>, VaultVersion)>);

impl Reconciler {
    /// The shared reads if they are recent enough for the last call; new ones otherwise.
    fn reads_for(&self, record: &Record, shared: Option<Arc<SharedReads>>) -> Arc<SharedReads> {
        shared
            .filter(|reads| reads.may_answer(record.requested_at))
            .unwrap_or_else(|| Arc::new(SharedReads::new(self.0.vault.clone(), Priority::Background)))
    }

    /// Reads the vault for all references. The failure names the problem of every reference.
    pub(super) async fn vault_state(
        &self,
        record: &Record,
        shared: Option<Arc<SharedReads>>,
    ) -> Result<VaultState, Failure> {
        let reads = self.reads_for(record, shared);
        let references = &record.secret.references;
        let needs_values = reads_values(record.engine);
        let contents = record.secret.contents();
        let results =
            references.iter().map(|reference| read_or_describe((contents, reference), &reads, needs_values));
        let results = join_all(results).await;
        let state = match self.hold_of(record, &results) {
            None => collect(references, results)?,
            Some(hold) => keep(record, results, hold, &reads).await?,
        };
        self.0.comparisons.note(record.followed());
        Ok(state)
    }
}

impl Reconciler {
    /// What must wait of the versions that were found, if all were.
    fn hold_of(&self, record: &Record, results: &[Result<Found, Unusable>]) -> Option<Hold> {
        let found: Vec<_> =
            results.iter().map(|result| result.as_ref().ok().map(|(status, _)| status)).collect();
        let found: Option<Vec<&ReferenceStatus>> = found.into_iter().collect();
        self.versions_to_hold(record, &found?)
    }
}

/// Reads the versions that the edge has instead of the newer ones: they are what it keeps.
async fn keep(
    record: &Record,
    results: Vec<Result<Found, Unusable>>,
    hold: Hold,
    reads: &SharedReads,
) -> Result<VaultState, Failure> {
    if !hold.can_keep {
        return Err(hold.failure);
    }
    let (references, needs_values) = (&record.secret.references, reads_values(record.engine));
    let contents = record.secret.contents();
    let kept = references.iter().zip(results).map(|(reference, latest)| async move {
        let (latest, value) = latest?;
        match &reference.status.synced_version {
            Some(held) if Some(held) != latest.synced_version.as_ref() => {
                let pinned = Reference { version: Some(held.clone()), ..reference.clone() };
                let (kept, value) = read_or_describe((contents, &pinned), reads, needs_values).await?;
                // The rotation check compares the vault with the latest one's time.
                let ReferenceStatus { vault_update_time, settled, .. } = latest;
                Ok((ReferenceStatus { vault_update_time, settled, ..kept }, value))
            }
            _ => Ok((latest, value)),
        }
    });
    let mut state = collect(references, join_all(kept).await)?;
    hold.mark(references, &mut state.statuses);
    Ok(state)
}

/// Why a reference can't be synced.
enum Unusable {
    Vault(Arc<VaultError>),
    Value(ValueError),
}

async fn read_or_describe(
    (contents, reference): (Contents<'_>, &Reference),
    reads: &SharedReads,
    needs_value: bool,
) -> Result<Found, Unusable> {
    match needs_value {
        true => read((contents, reference), reads).await,
        false => describe(reference, reads).await,
    }
}

async fn read(
    (contents, reference): (Contents<'_>, &Reference),
    reads: &SharedReads,
) -> Result<Found, Unusable> {
    let value =
        reads.get(&reference.vault_secret, reference.version.as_ref()).await.map_err(Unusable::Vault)?;
    let is_pfx = value.version.secret.is_pfx();
    let bytes = content(contents, reference, &value.value, is_pfx).await.map_err(Unusable::Value)?;
    let status = record_update::status_of(&value);
    let version = status.synced_version.clone().expect("a value that was read has a version");
    Ok((status, Some((bytes, version))))
}

async fn describe(reference: &Reference, reads: &SharedReads) -> Result<Found, Unusable> {
    let description = reads.describe(&reference.vault_secret, reference.version.as_ref()).await;
    let description = description.map_err(Unusable::Vault)?;
    Ok((status(&description.versions, description.time, reference), None))
}

fn collect(references: &[Reference], results: Vec<Result<Found, Unusable>>) -> Result<VaultState, Failure> {
    let (mut state, mut problems, mut retry) = (VaultState::default(), Vec::new(), Retry::Later);
    let mut synced = Vec::new();
    for (place, result) in results.into_iter().enumerate() {
        match result {
            Ok((status, value)) => {
                synced.extend(status.synced_version.clone().map(|version| (place, version)));
                state.statuses.push(status);
                state.values.extend(value);
            }
            Err(Unusable::Value(error)) => {
                let (reason, message) = unusable_value(&references[place], &error);
                problems.push((place, reason, message));
            }
            Err(Unusable::Vault(error)) => {
                retry = vault_retry(&error, retry);
                problems.push((place, error.condition_reason(), explain(&error)));
            }
        }
    }
    match Failure::of_references(references, problems, retry) {
        None => {
            let contents: Vec<_> = state.values.iter().map(|(bytes, _)| bytes.as_slice()).collect();
            for (status, certificate) in state.statuses.iter_mut().zip(facts(&contents)) {
                status.certificate = certificate;
            }
            Ok(state)
        }
        Some(failure) => {
            Err(failure.holding_back(references, synced.iter().map(|(place, version)| (*place, version))))
        }
    }
}

/// What the certificates among these contents are. A parser that panics knows nothing of them.
fn facts(contents: &[&[u8]]) -> Vec<Option<CertificateFacts>> {
    std::panic::catch_unwind(|| crate::model::facts(contents, true)).unwrap_or_default()
}

/// The status of a reference after the sync. The vault's timestamps may not tell which of several versions
/// of one second is the latest. Then this picks a version that the edge does not hold yet: the extension
/// syncs, and it reads the real latest one. That happens once: if the versions were read after that second,
/// all of them existed when the extension was triggered.
fn status(versions: &[VaultSecretVersion], read_time: Timestamp, reference: &Reference) -> ReferenceStatus {
    let held = &reference.status;
    let is_held = |version: &&VaultSecretVersion| Some(&version.version) == held.synced_version.as_ref();
    let kept = versions.iter().find(is_held).filter(|_| held.settled);
    let another = versions.iter().find(|version| !is_held(version));
    let version = kept.or(another).or(versions.first()).expect("a look brings a version or an error");
    record_update::status_of_version(version, read_time)
}
