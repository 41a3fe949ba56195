//! Carries out the steps of the plan for one synced secret at a time.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use super::{
    Reads, Reconciler,
    creation::{self, Creation},
    fights::Fight,
    observe,
    plan::{self, Step, plan},
    queue::{Lane, Outcome, Work},
};
use crate::{
    edge::{Desired, EdgeError, Gap, Observed, Seen, Written},
    model::{
        self, ConditionType, Origin, Reason, Reference, ReferenceStatus, State, SyncEngine, VaultValue,
        VaultVersion,
    },
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
    /// The caller for whom it was looked at had no turn at the vault: nothing is known that could be told. The next look is the service's own.
    Unread,
    /// Waiting may be enough.
    Soon(Option<Duration>),
    /// Waiting for so long is part of the plan.
    After(Duration),
    /// Somebody must mend something; whether they have is looked at again and again, at a growing pause.
    Later,
}

/// Why the Secret was written, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// Something was asked for.
    Synced,
    /// Somebody had changed it.
    DriftRepaired,
    /// The vault was looked at, and the edge holds what it has as far as the watch knows: nobody has looked there.
    Compared,
}

/// What a write needs of the vault: bytes and version for each reference, and what to record of them.
struct Values {
    values: Vec<(Zeroizing<Vec<u8>>, VaultVersion)>,
    statuses: Vec<ReferenceStatus>,
}

impl Action {
    /// The word in the audit.
    fn as_str(self) -> &'static str {
        match self {
            Self::Synced | Self::Compared => "Synced",
            Self::DriftRepaired => "DriftRepaired",
        }
    }
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
    /// Works through a lane until told to stop.
    pub(super) async fn work(self, lane: Lane, stop: CancellationToken) {
        tokio::select! {
            () = self.until_settled() => {}
            () = stop.cancelled() => return,
        }
        loop {
            let work = tokio::select! {
                work = self.next_work(lane) => work,
                () = stop.cancelled() => return,
            };
            let uid = work.uid;
            let outcome = match self.look_after(work).await {
                Ok(outcome) => outcome,
                // What was looked at has been changed by a call meanwhile.
                Err(StoreError::Stale) => Outcome::Retry(None),
                Err(error) => {
                    tracing::error!(%uid, %error, "the database failed; trying again");
                    Outcome::Retry(None)
                }
            };
            self.0.queue.finish(uid, outcome);
        }
    }

    /// Waits for work of a lane, and for the end of whoever else acts for the instance.
    async fn next_work(&self, lane: Lane) -> Work {
        loop {
            self.until_acting().await;
            let work = self.0.queue.pop(lane).await;
            if !self.stands_by() {
                return work;
            }
            self.0.queue.finish(work.uid, Outcome::Again);
        }
    }

    #[tracing::instrument(level = "debug", skip_all, fields(uid = %work.uid))]
    async fn look_after(&self, work: Work) -> Result<Outcome, StoreError> {
        let uid = work.uid;
        let Some(record) = self.0.store.view().get_by_uid(uid) else {
            return self.remove_orphan(uid).await;
        };
        if record.secret.origin == Origin::Unmanaged || self.waits_for_a_person(&record) {
            return Ok(Outcome::Done);
        }
        if let Some(pause) = self.pause_of_fight(&record, &work) {
            return Ok(Outcome::After(pause));
        }
        if let Some(engine) = self.other_engine(&record) {
            return self.switch(&record, engine).await;
        }
        if record.engine == SyncEngine::SecretStore {
            return self.by_extension(&record, work).await;
        }
        if self.shows_a_pair(&record)
            && let Some(outcome) = self.remove_left_pair(&record).await?
        {
            return Ok(outcome);
        }
        let seen = self.0.index.get(record.secret.id.as_str());
        match plan(&record, &seen, self.is_creating(uid), work.reads.is_some()) {
            Step::Nothing => Ok(Outcome::Done),
            Step::Remove => self.remove(&record).await,
            Step::FindCreated => self.find_created(&record, &work).await,
            Step::Look => self.look(&record, seen, &work).await,
            Step::Write => self.write(&record, seen, &work, Action::Synced).await,
        }
    }

    /// The reads to answer a record with: the shared ones, where they are not older than what was asked for.
    pub(super) fn reads_for(&self, record: &Record, shared: Option<Arc<Reads>>) -> Arc<Reads> {
        shared
            .filter(|reads| reads.answer(record.asked))
            .unwrap_or_else(|| Arc::new(Reads::new(self.0.vault.clone(), Priority::Background)))
    }

    /// After a crash in the middle of "Create new": what the vault holds with our tag was stored, the rest was not.
    pub(super) async fn find_created(&self, record: &Record, work: &Work) -> Result<Outcome, StoreError> {
        let mut stored: Vec<Reference> = Vec::new();
        let mut problems = Vec::new();
        let mut retry = Retry::Later;
        for (place, reference) in pending(record) {
            let tag = creation::tag_of(record.secret.uid, reference);
            let found = creation::find(&self.0.vault, &reference.vault_secret, &tag, Priority::Background);
            let Some(found) = work.unless_superseded(found).await else { return Ok(Outcome::Again) };
            match found {
                Ok(Creation::Ours(_)) => stored.push(reference.clone()),
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
            let is_stored = |held: &&mut Reference| stored.iter().any(|stored| held.creates_the_same(stored));
            for reference in current.secret.references.iter_mut().filter(is_stored) {
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
    async fn look(&self, record: &Record, seen: Seen, work: &Work) -> Result<Outcome, StoreError> {
        match self.0.edge.observe(&record.secret, record.edge.uid.as_deref()).await {
            Ok(Observed::Ours { written, content, .. })
                if Some(self.digest(&content)) == record.edge.digest =>
            {
                self.0.index.note(record.secret.id.as_str(), &seen, &written);
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
            Ok(Observed::Ours { other_manager, .. }) => {
                self.repair_drift(record, seen, work, other_manager.as_deref()).await
            }
            Ok(Observed::Absent) => self.repair_drift(record, seen, work, None).await,
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// Puts back what somebody changed; at a growing pause where they do it again and again.
    async fn repair_drift(
        &self,
        record: &Record,
        seen: Seen,
        work: &Work,
        other: Option<&str>,
    ) -> Result<Outcome, StoreError> {
        let uid = record.secret.uid;
        match self.0.fights.of(uid) {
            Some(fight) if !fight.pause.is_zero() => self.record_fight(record, &fight, other).await,
            _ => self.write(record, seen, work, Action::DriftRepaired).await,
        }
    }

    /// How long a fight about a synced secret keeps the service from repairing it; nothing where somebody asks for it.
    fn pause_of_fight(&self, record: &Record, work: &Work) -> Option<Duration> {
        let is_told = record.secret.condition(ConditionType::Synced)?.reason == Reason::EdgeContested;
        let is_asked = work.reads.is_some()
            || record.sync_requests != record.synced_requests
            || record.secret.state == State::Deleting;
        let fight = self.0.fights.of(record.secret.uid).filter(|_| is_told && !is_asked)?;
        Some(fight.pause).filter(|pause| !pause.is_zero())
    }

    pub(super) async fn record_fight(
        &self,
        record: &Record,
        fight: &Fight,
        other: Option<&str>,
    ) -> Result<Outcome, StoreError> {
        let who = other.map_or_else(|| "Somebody".to_owned(), |other| format!("The manager {other:?}"));
        let message = format!(
            "{who} puts other content into the Secret or deletes it each time the service repairs it: {} repairs so far. The \
             service goes on, at a growing pause. Keep that manager from writing this Secret, or delete the synced secret.",
            fight.repairs
        );
        let failure = Failure {
            reason: Reason::EdgeContested,
            message,
            problems: Vec::new(),
            retry: Retry::After(fight.pause),
        };
        self.record_failure(record, failure).await
    }

    /// Reads all values and brings the Secret to them in one write. Where one can't be read, the edge stays as it is.
    async fn write(
        &self,
        record: &Record,
        seen: Seen,
        work: &Work,
        action: Action,
    ) -> Result<Outcome, StoreError> {
        // A Secret that is not the remembered one may be somebody else's: then no value is read for it.
        if matches!(&seen, Seen::There(there) if Some(&there.uid) != record.edge.uid.as_ref())
            && let Err(error) = self.0.edge.check_ours(&record.secret, record.edge.uid.as_deref()).await
        {
            return self.record_failure(record, edge_failure(&error)).await;
        }
        let reads = self.reads_for(record, work.reads.clone());
        let values = work.unless_superseded(read_values(&record.secret.references, &reads)).await;
        let Some(values) = values else { return Ok(Outcome::Again) };
        let values = match values {
            Ok(values) => values,
            Err(failure) => return self.record_failure(record, failure).await,
        };
        drop(reads);
        self.0.comparisons.note(record.followed());
        let desired = Desired { secret: &record.secret, vault: self.0.vault.uri(), values: values.values };
        if !desired.fits() {
            return self.record_failure(record, edge_failure(&EdgeError::TooLarge)).await;
        }
        let digest = self.digest(&desired.content());
        // Memory answers nobody who asked: for them the API server is asked what the edge holds, by the write itself.
        let held = if plan::is_unsettled(record) { None } else { held(record, &seen, &digest) };
        let is_from_memory = held.is_some();
        let written = match held {
            Some(written) => written,
            None => match self.apply(&desired, &seen, record.edge.uid.as_deref()).await {
                Ok(written) => written,
                Err(error) => return self.record_failure(record, edge_failure(&error)).await,
            },
        };
        drop(desired);
        let action = if is_from_memory { Action::Compared } else { action };
        self.record_success(record, values.statuses, written, digest, action).await
    }

    async fn apply(
        &self,
        desired: &Desired<'_>,
        seen: &Seen,
        edge_uid: Option<&str>,
    ) -> Result<Written, EdgeError> {
        let written = self.0.edge.apply(desired, edge_uid).await?;
        self.0.index.note(desired.secret.id.as_str(), seen, &written);
        Ok(written)
    }

    async fn record_success(
        &self,
        attempted: &Record,
        statuses: Vec<ReferenceStatus>,
        written: Written,
        digest: Vec<u8>,
        action: Action,
    ) -> Result<Outcome, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Outcome::Done);
        };
        let rotated = rotated(attempted, &statuses);
        if action == Action::DriftRepaired {
            self.0.fights.repaired(attempted.secret.uid);
        }
        // Of a fight the audit has one row, and not one for each repair.
        let is_repair = action == Action::DriftRepaired && self.0.fights.of(attempted.secret.uid).is_none();
        let changed = current.edge.digest.as_deref() != Some(digest.as_slice()) || is_repair;
        let last_look = current.secret.sync_time;
        observe::synced(&mut current, attempted, statuses, written, digest);
        if action == Action::Compared {
            current.secret.sync_time = last_look;
        }
        let stale = current.secret.generation != attempted.secret.generation;
        transaction.update(current).await?;
        if changed {
            let event = match rotated {
                Some(keys) => event("Rotated", attempted, &format!("New versions under {keys}.")),
                None => event(action.as_str(), attempted, "The edge holds what the references say."),
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
        // Another process acts for the instance by now: what it makes of this synced secret is not for this one to tell.
        if self.stands_by() {
            return Ok(Outcome::Retry(None));
        }
        let Failure { reason, message, problems, retry } = failure;
        let next = match retry {
            Retry::Unread => return Ok(Outcome::Retry(None)),
            Retry::Soon(at_least) => Outcome::Retry(at_least),
            Retry::After(pause) => Outcome::After(pause),
            Retry::Later => Outcome::Retry(None),
        };
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else {
            return Ok(Outcome::Done);
        };
        // A call has begun to store what this look found missing. It wakes the next look when it ends.
        if current.secret.state != State::Deleting
            && current.secret.references.iter().any(|reference| reference.create_pending)
            && self.is_creating(attempted.secret.uid)
        {
            return Ok(Outcome::Done);
        }
        let before = (
            current.secret.state,
            current.secret.condition(ConditionType::Synced).map(|condition| condition.reason),
        );
        observe::failed(&mut current, attempted, reason, message.clone(), &problems);
        let now = (
            current.secret.state,
            current.secret.condition(ConditionType::Synced).map(|condition| condition.reason),
        );
        let outdated = observe::is_outdated(attempted, &current.secret);
        transaction.update(current).await?;
        let fight = self.0.fights.of(attempted.secret.uid).filter(|_| reason == Reason::EdgeContested);
        if now != before && fight.as_ref().is_none_or(|fight| fight.is_new) {
            if fight.is_some() {
                self.0.fights.told(attempted.secret.uid);
            }
            tracing::warn!(synced_secret = %attempted.secret.id, reason = reason.as_str(), "{message}");
            let event = NewAuditEvent {
                outcome: model::Outcome(reason.as_str().to_owned()),
                ..event("SyncFailed", attempted, &message)
            };
            transaction.audit(event).await?;
        }
        transaction.commit().await?;
        Ok(if outdated { Outcome::Again } else { next })
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
    let (mut read_versions, mut retry) = (Vec::new(), Retry::Later);
    for (place, (reference, read)) in
        references.iter().zip(join_all(references.iter().map(read)).await).enumerate()
    {
        match read.map(|value| decode(reference, &value)) {
            Ok(Ok((bytes, status))) => {
                let version = status.synced_version.clone().expect("a value that was read has a version");
                read_versions.push((place, version.clone()));
                values.push((bytes, version));
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
        Some(failure) => Err(held_back(failure, references, &read_versions)),
    }
}

/// Adds the references that could be read to a failure, where the edge holds another version of them: it keeps that one until
/// the others can be read, too.
pub(super) fn held_back(
    mut failure: Failure,
    references: &[Reference],
    read: &[(usize, VaultVersion)],
) -> Failure {
    let Some(cause) = failure.problems.first().map(|(place, ..)| &references[*place].key) else {
        return failure;
    };
    let message = |held: &VaultVersion, version: &VaultVersion| {
        format!(
            "The vault has version {version}, and the edge keeps {held} until key {cause} can be read: a Secret is never \
             half new."
        )
    };
    let problem = |(place, version): &(usize, VaultVersion)| {
        let held = references[*place].status.synced_version.as_ref()?;
        (held != version).then(|| (*place, Reason::HeldBack, message(held, version)))
    };
    let problems: Vec<Problem> = read.iter().filter_map(problem).collect();
    failure.problems.extend(problems);
    failure
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
        _ if matches!(error, VaultError::QueueFull) => Retry::Unread,
        (_, Retry::Unread) => Retry::Unread,
        (false, other) => other,
        (true, Retry::Soon(at_least)) => Retry::Soon(at_least.max(error.retry_after())),
        (true, Retry::After(_) | Retry::Later) => Retry::Soon(error.retry_after()),
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
    NewAuditEvent::by_service(action, record.secret.name(), detail)
}
