//! Carries out the steps of the plan for one synced secret at a time.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{
    Reads, Reconciler, Wake,
    creation::{self, Creation},
    observe,
    plan::{Step, plan},
    queue::Outcome,
};
use crate::{
    edge::{Desired, EdgeError, Gap, Observed, Seen, Written},
    model::{self, Origin, Reason, Reference, ReferenceStatus, SyncEngine, VaultValue, VaultVersion},
    store::{NewAuditEvent, Record, StoreError},
    vault::{Priority, VaultError},
};

/// A problem of one reference: its place, the reason and the words.
pub(super) type Problem = (usize, Reason, String);

/// Why an attempt did not bring the edge to what is recorded.
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) message: String,
    pub(super) problems: Vec<Problem>,
    pub(super) retry: Retry,
}

/// When trying again makes sense.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Retry {
    /// Waiting may be enough.
    Soon(Option<Duration>),
    /// A person must mend something; the next rotation check looks again.
    Later,
}

/// What a write needs of the vault: bytes and version for each reference, and what to record of them.
struct Values {
    values: Vec<(Zeroizing<Vec<u8>>, VaultVersion)>,
    statuses: Vec<ReferenceStatus>,
}

impl Failure {
    /// The failure that the problems of references amount to; none where there are none.
    pub(super) fn of_references(
        references: &[Reference],
        problems: Vec<Problem>,
        retry: Retry,
    ) -> Option<Self> {
        let (place, reason, message) = problems.first()?;
        let (reason, message) = (*reason, format!("Key {}: {message}", references[*place].key));
        Some(Self { reason, message, problems, retry })
    }
}

impl Reconciler {
    /// Works until told to stop.
    pub(super) async fn work(self, stop: CancellationToken) {
        loop {
            let (uid, wake) = tokio::select! {
                work = self.0.queue.pop() => work,
                () = stop.cancelled() => return,
            };
            let outcome = self.look_after(uid, wake).await.unwrap_or_else(|error| {
                tracing::error!(%uid, %error, "the database failed; trying again");
                Outcome::Retry(None)
            });
            self.0.queue.finish(uid, outcome);
        }
    }

    #[tracing::instrument(level = "debug", skip(self, wake))]
    async fn look_after(&self, uid: Uuid, wake: Wake) -> Result<Outcome, StoreError> {
        let Some(record) = self.0.store.view().get_by_uid(uid) else {
            return Ok(Outcome::Done);
        };
        if record.secret.origin == Origin::Unmanaged {
            return Ok(Outcome::Done);
        }
        if let Some(engine) = self.other_engine(&record) {
            return self.switch(&record, engine).await;
        }
        if record.engine == SyncEngine::SecretStore {
            return self.by_extension(&record, wake).await;
        }
        let seen = self.0.index.get(record.secret.id.as_str());
        match plan(&record, &seen, self.is_creating(uid), wake.refetch.is_some()) {
            Step::Nothing => Ok(Outcome::Done),
            Step::Remove => self.remove(&record).await,
            Step::FindCreated => self.find_created(&record).await,
            Step::Look => self.look(&record, seen).await,
            Step::Write => self.write(&record, seen, wake.refetch, "Synced").await,
        }
    }

    /// After a crash in the middle of "Create new": what the vault holds with our tag was stored, the rest was not.
    pub(super) async fn find_created(&self, record: &Record) -> Result<Outcome, StoreError> {
        let mut stored = Vec::new();
        let mut problems = Vec::new();
        let mut retry = Retry::Later;
        for (place, reference) in pending(record) {
            let tag = record.secret.uid.to_string();
            match creation::find(&self.0.vault, &reference.vault_secret, &tag, Priority::Background).await {
                Ok(Creation::Ours(_)) => stored.push(reference.key.clone()),
                Ok(Creation::Free | Creation::Taken) => {
                    problems.push((place, Reason::ValueNotStored, not_stored(reference)));
                }
                Err(error) => {
                    retry = vault_retry(&error, retry);
                    problems.push((place, error.condition_reason(), explain(&error)));
                }
            }
        }
        if !stored.is_empty() {
            let mut transaction = self.0.store.begin().await?;
            let Some(mut current) = transaction.current(record.secret.uid) else {
                return Ok(Outcome::Done);
            };
            for reference in current.secret.references.iter_mut().filter(|held| stored.contains(&held.key)) {
                reference.create_pending = false;
            }
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        match problems.first().cloned() {
            None => Ok(Outcome::Again),
            Some((_, reason, message)) => {
                self.record_failure(record, Failure { reason, message, problems, retry }).await
            }
        }
    }

    /// The Secret is not the one that was written last. If it holds the same, remember it; else put it right.
    async fn look(&self, record: &Record, seen: Seen) -> Result<Outcome, StoreError> {
        match self.0.edge.observe(&record.secret, record.edge.uid.as_deref()).await {
            Ok(Observed::Ours { written, content }) if Some(self.digest(&content)) == record.edge.digest => {
                self.0.index.note(record.secret.id.as_str(), Some(written.clone()));
                let mut transaction = self.0.store.begin().await?;
                let Some(mut current) = transaction.current(record.secret.uid) else {
                    return Ok(Outcome::Done);
                };
                current.edge.uid = Some(written.uid);
                current.edge.resource_version = Some(written.resource_version);
                transaction.update(current).await?;
                transaction.commit().await?;
                Ok(Outcome::Done)
            }
            Ok(Observed::Foreign) => {
                let error = EdgeError::conflict(&record.secret.id);
                self.record_failure(record, edge_failure(&error)).await
            }
            Ok(Observed::Ours { .. } | Observed::Absent) => {
                self.write(record, seen, None, "DriftRepaired").await
            }
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// Reads all values and brings the Secret to them in one write. Where one can't be read, the edge stays as it is.
    async fn write(
        &self,
        record: &Record,
        seen: Seen,
        reads: Option<Arc<Reads>>,
        action: &'static str,
    ) -> Result<Outcome, StoreError> {
        let reads = reads
            .filter(|reads| reads.is_fresh())
            .unwrap_or_else(|| Arc::new(Reads::new(self.0.vault.clone(), Priority::Background)));
        let values = match read_values(&record.secret.references, &reads).await {
            Ok(values) => values,
            Err(failure) => return self.record_failure(record, failure).await,
        };
        drop(reads);
        let desired = Desired { secret: &record.secret, vault: self.0.vault.uri(), values: values.values };
        if !desired.fits() {
            return self.record_failure(record, edge_failure(&EdgeError::TooLarge)).await;
        }
        let digest = self.digest(&desired.content());
        let written = match held(record, &seen, &digest) {
            Some(written) => written,
            None => match self.apply(&desired, record.edge.uid.as_deref()).await {
                Ok(written) => written,
                Err(error) => return self.record_failure(record, edge_failure(&error)).await,
            },
        };
        drop(desired);
        self.record_success(record, values.statuses, written, digest, action).await
    }

    async fn apply(&self, desired: &Desired<'_>, edge_uid: Option<&str>) -> Result<Written, EdgeError> {
        let written = match self.0.edge.apply(desired, edge_uid).await {
            // The Secret that we knew is gone or was replaced: look at what is there now.
            Err(EdgeError::Changed(_)) if edge_uid.is_some() => self.0.edge.apply(desired, None).await?,
            other => other?,
        };
        self.0.index.note(desired.secret.id.as_str(), Some(written.clone()));
        Ok(written)
    }

    async fn record_success(
        &self,
        attempted: &Record,
        statuses: Vec<ReferenceStatus>,
        written: Written,
        digest: Vec<u8>,
        action: &'static str,
    ) -> Result<Outcome, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Outcome::Done);
        };
        let rotated = rotated(attempted, &statuses);
        let changed = current.edge.digest.as_deref() != Some(digest.as_slice()) || action == "DriftRepaired";
        observe::synced(&mut current, attempted, statuses, written, digest);
        let stale = current.secret.generation != attempted.secret.generation;
        transaction.update(current).await?;
        if changed {
            let event = match rotated {
                Some(keys) => event("Rotated", attempted, &format!("New versions under {keys}.")),
                None => event(action, attempted, "The edge holds what the references say."),
            };
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(if stale { Outcome::Again } else { Outcome::Done })
    }

    pub(super) async fn record_failure(
        &self,
        attempted: &Record,
        failure: Failure,
    ) -> Result<Outcome, StoreError> {
        let Failure { reason, message, problems, retry } = failure;
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Outcome::Done);
        };
        let before =
            (current.secret.state, current.secret.conditions.first().map(|condition| condition.reason));
        observe::failed(&mut current, attempted, reason, message.clone(), &problems);
        let now = (current.secret.state, current.secret.conditions.first().map(|condition| condition.reason));
        let outdated = observe::is_outdated(attempted, &current.secret);
        transaction.update(current).await?;
        if now != before {
            tracing::warn!(synced_secret = %attempted.secret.id, reason = reason.as_str(), "{message}");
            let event = NewAuditEvent {
                outcome: model::Outcome(reason.as_str().to_owned()),
                ..event("SyncFailed", attempted, &message)
            };
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(match retry {
            _ if outdated => Outcome::Again,
            Retry::Soon(at_least) => Outcome::Retry(at_least),
            Retry::Later => Outcome::Done,
        })
    }

    fn digest(&self, content: &crate::edge::Content) -> Vec<u8> {
        self.0.store.signer().sign("edge content", content.as_bytes()).to_vec()
    }
}

/// Reads and decodes the values of all references; every problem is named.
async fn read_values(references: &[Reference], reads: &Reads) -> Result<Values, Failure> {
    let read = |reference: &Reference| {
        let (name, version) = (reference.vault_secret.clone(), reference.version.clone());
        async move { reads.get(&name, version.as_ref()).await }
    };
    let (mut values, mut statuses, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    let mut retry = Retry::Later;
    for (place, (reference, read)) in
        references.iter().zip(join_all(references.iter().map(read)).await).enumerate()
    {
        match read.map(|value| decode(reference, &value)) {
            Ok(Ok((bytes, status))) => {
                values.push((
                    bytes,
                    status.synced_version.clone().expect("a value that was read has a version"),
                ));
                statuses.push(status);
            }
            Ok(Err(message)) => problems.push((place, Reason::InvalidEncoding, message)),
            Err(error) => {
                retry = vault_retry(&error, retry);
                problems.push((place, error.condition_reason(), explain(&error)));
            }
        }
    }
    match Failure::of_references(references, problems, retry) {
        None => Ok(Values { values, statuses }),
        Some(failure) => Err(failure),
    }
}

fn decode(
    reference: &Reference,
    value: &VaultValue,
) -> Result<(Zeroizing<Vec<u8>>, ReferenceStatus), String> {
    let bytes = reference.encoding.decode(&value.value).map_err(|error| {
        format!(
            "{error}. Store it in that encoding, or change the reference's encoding with UpdateSyncedSecret."
        )
    })?;
    Ok((bytes, observe::status_of(value)))
}

/// What the edge holds already, where that is just what it should.
fn held(record: &Record, seen: &Seen, digest: &[u8]) -> Option<Written> {
    let Seen::There(there) = seen else { return None };
    let same = record.edge.digest.as_deref() == Some(digest)
        && record.edge.uid.as_ref() == Some(&there.uid)
        && record.edge.resource_version.as_ref() == Some(&there.resource_version);
    same.then(|| there.clone())
}

/// The keys whose version is another than before.
pub(super) fn rotated(before: &Record, statuses: &[ReferenceStatus]) -> Option<String> {
    let keys: Vec<_> = before
        .secret
        .references
        .iter()
        .zip(statuses)
        .filter(|(reference, status)| {
            reference.status.synced_version.is_some()
                && reference.status.synced_version != status.synced_version
        })
        .map(|(reference, _)| reference.key.as_str())
        .collect();
    (!keys.is_empty()).then(|| keys.join(", "))
}

fn pending(record: &Record) -> impl Iterator<Item = (usize, &Reference)> {
    record.secret.references.iter().enumerate().filter(|(_, reference)| reference.create_pending)
}

fn not_stored(reference: &Reference) -> String {
    format!(
        "The value for the new vault secret {:?} was not stored. Call CreateSyncedSecret again with the same request_id \
         and value, or UpdateSyncedSecret with references[].create; or delete the synced secret.",
        reference.vault_secret.as_str()
    )
}

pub(super) fn edge_failure(error: &EdgeError) -> Failure {
    let retry = match error {
        EdgeError::Throttled(after) => Retry::Soon(*after),
        error if error.is_transient() => Retry::Soon(None),
        _ => Retry::Later,
    };
    let message = sentence(&error.to_string(), &error.remedy());
    Failure { reason: error.reason(), message, problems: Vec::new(), retry }
}

/// What is to be removed may be in use, for all that can be seen.
pub(super) fn unseen_failure(gap: &Gap) -> Failure {
    let message = sentence(&format!("what uses it can't be seen: {gap}"), &gap.remedy());
    match &gap.error {
        Some(error) => Failure { message, ..edge_failure(error) },
        None => Failure { reason: Reason::Pending, message, problems: Vec::new(), retry: Retry::Soon(None) },
    }
}

/// The sooner of two: one reference that may mend itself is worth a try.
pub(super) fn vault_retry(error: &VaultError, other: Retry) -> Retry {
    match (error.is_transient(), other) {
        (false, other) => other,
        (true, Retry::Soon(at_least)) => Retry::Soon(at_least.max(error.retry_after())),
        (true, Retry::Later) => Retry::Soon(error.retry_after()),
    }
}

pub(super) fn explain(error: &VaultError) -> String {
    sentence(&error.to_string(), &error.remedy())
}

/// What happened, then what to do next.
fn sentence(what: &str, next: &str) -> String {
    let mut characters = what.chars();
    let first = characters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}. {next}", characters.as_str().trim_end_matches('.'))
}

pub(super) fn event(action: &'static str, record: &Record, detail: &str) -> NewAuditEvent {
    NewAuditEvent {
        actor: "sync".to_owned(),
        action,
        resource: record.secret.name(),
        outcome: model::Outcome::ok(),
        detail: detail.to_owned(),
        request_id: String::new(),
    }
}
