//! One look at a synced secret in the Secret Store engine: gives the extension what is to do, and records what it made of it.
//!
//! The extension acts when a SecretSync changes and at a poll of its own. It does not notice what happens to the Secret, and what
//! fails it tries again ever more rarely: so each time that something is to happen, `forceSynchronization` gets a new word.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Reads, Reconciler,
    fights::Fight,
    observe,
    pair_plan::{Step, is_awaited, is_held, step},
    patience::{self, Waiting},
    queue::{Outcome, Work},
    worker::{Failure, Retry, edge_failure, event, explain, held_back, rotated, vault_retry},
};
use crate::{
    edge::{
        EdgeError, Seen, Written,
        secret_store::{
            Access, Halt, Known, Made, Pair, SecretProviderClass, SyncSeen, Trouble, Verdict, verdict,
        },
    },
    model::{
        AuditAction, Condition, ConditionType, Reason, Reference, ReferenceStatus, State, Status,
        SyncedSecret, VaultSecretVersion,
    },
    store::{Handed, Record, StoreError},
};

/// What stood in the status before is not an answer, and a watch may be behind another for a moment.
const MOMENT: Duration = Duration::from_secs(2);
/// A watch that is behind for longer may stay so.
const LONG: Duration = Duration::from_secs(10);
/// How soon to look again whether the extension has noticed that it is to stop.
pub(super) const SOON: Duration = Duration::from_millis(500);
/// What the extension fails it is told to try again after a pause that doubles with each failure, up to this: whatever was wrong, the
/// extension finds it mended within a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(50);

/// Why the pair is written.
#[derive(Clone, Copy, PartialEq)]
enum Why {
    /// There is something new for the extension to do.
    News,
    /// Somebody changed the pair or the Secret.
    Drift,
    /// The extension has left it, or something of it, alone and is told so often again.
    Silence(u32),
    /// The extension has failed at it so often.
    Failed(u32),
}

impl Reconciler {
    /// Looks after a synced secret of this engine.
    pub(super) async fn by_extension(&self, record: &Record, work: Work) -> Result<Outcome, StoreError> {
        let creating = self.is_creating(record.secret.uid);
        match self.pair_step(record, self.access().ok().as_ref(), creating, work.reads.is_some()) {
            Step::Nothing if record.secret.state != State::Synced && !creating => {
                self.wait_for_lists(record).await
            }
            Step::Nothing => Ok(Outcome::Done),
            Step::Remove => self.remove(record).await,
            Step::FindCreated => self.find_created(record, &work).await,
            Step::Hand => self.hand(record, &work, Why::News).await,
            Step::Repair => self.repair(record).await,
            Step::CatchUp(behind) => self.catch_up(record, behind).await,
            Step::Judge => self.judge(record, &work).await,
        }
    }

    /// Waits for the first lists of the extension's resources: before them, nobody can tell what it has made of what it was given. Why
    /// they don't come is for whoever waits to know.
    async fn wait_for_lists(&self, record: &Record) -> Result<Outcome, StoreError> {
        if self.0.pairs.is_complete() {
            return Ok(Outcome::Done);
        }
        match self.0.edge.can_list_pairs().await {
            Ok(()) => Ok(Outcome::After(MOMENT)),
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// The watch is behind our own write. What went again before that was noted has no event any more, so the API server is asked at last.
    async fn catch_up(&self, record: &Record, behind: Duration) -> Result<Outcome, StoreError> {
        let id = &record.secret.id;
        let Some(handed) = record.handed.as_ref().filter(|_| behind >= LONG) else {
            return Ok(Outcome::After(MOMENT));
        };
        let (sync_uid, class_uid) = (handed.sync_uid.as_deref(), handed.class_uid.as_deref());
        match self.0.edge.has_pair(id, sync_uid, class_uid).await {
            Ok(true) => Ok(Outcome::After(LONG)),
            Ok(false) => {
                self.0.pairs.forget(id.as_str());
                Ok(Outcome::Again)
            }
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// Whether there is anything to do about a synced secret of this engine, whose extension has this access.
    pub(super) fn is_pair_unsettled(&self, record: &Record, access: Option<&Access>) -> bool {
        self.pair_step(record, access, false, false) != Step::Nothing
    }

    /// As whom the extension comes to the vault. Looks through all classes: ask once for many synced secrets.
    pub(super) fn access(&self) -> Result<Access, EdgeError> {
        // Asked first: a list that ends between the two questions is not one that lacks what is looked for.
        let is_complete = self.0.pairs.is_complete();
        match self.0.options.secret_store.access(&self.0.pairs.classes()) {
            Err(_) if !is_complete => {
                Err(EdgeError::Unreachable("its SecretProviderClasses are not listed yet".into()))
            }
            found => found,
        }
    }

    /// The pair of a synced secret, as it should be.
    pub fn pair(&self, secret: &SyncedSecret) -> Result<Pair, EdgeError> {
        Ok(Pair::of(secret, self.0.vault.uri(), &self.access()?))
    }

    fn pair_step(&self, record: &Record, access: Option<&Access>, creating: bool, refetch: bool) -> Step {
        let name = record.secret.id.as_str();
        let (sync, class, secret) =
            (self.0.pairs.sync(name), self.0.pairs.class(name), self.0.index.get(name));
        match step(record, &sync, class.as_deref(), &secret, creating, refetch) {
            Step::Nothing | Step::Judge
                if !creating && self.is_written_otherwise(record, access, &sync, class.as_deref()) =>
            {
                Step::Repair
            }
            step => step,
        }
    }

    /// Whether what was written is no longer what would be: the settings of the engine have changed since, or somebody changed at the edge
    /// what no generation tells of.
    fn is_written_otherwise(
        &self,
        record: &Record,
        access: Option<&Access>,
        sync: &SyncSeen,
        class: Option<&SecretProviderClass>,
    ) -> bool {
        let (Some(written), Some(access)) = (&record.edge.digest, access) else { return false };
        let pair = Pair::of(&record.secret, self.0.vault.uri(), access);
        let is_changed = match (sync, class, &record.handed) {
            (SyncSeen::There(sync), Some(class), Some(handed)) => {
                // A watch may be behind our own write.
                sync.metadata.generation >= Some(handed.sync_generation)
                    && class.metadata.generation >= Some(handed.class_generation)
                    && !pair.is_held_by(class, sync)
            }
            _ => false,
        };
        is_changed || *written != self.digest_of_pair(&pair)
    }

    fn digest_of_pair(&self, pair: &Pair) -> Vec<u8> {
        self.0.store.signer().sign("pair", &pair.content()).to_vec()
    }

    /// Gives the extension what is to do, where that is something new.
    async fn hand(&self, record: &Record, work: &Work, why: Why) -> Result<Outcome, StoreError> {
        let Some(described) = work.unless_superseded(self.describe(record, work.reads.clone())).await else {
            return Ok(Outcome::Again);
        };
        let statuses = match described {
            Ok(statuses) => statuses,
            Err(failure) => return self.record_failure(record, failure).await,
        };
        if is_held(record, &statuses) {
            return self.note(record, statuses).await;
        }
        if is_awaited(record, &statuses) && !self.is_in_trouble(record) {
            // Told again before it has answered, it would begin again, and the wait for it too.
            return Ok(Outcome::Again);
        }
        // What it has failed at counts for these versions alone.
        let why = if is_awaited(record, &statuses) { why } else { Why::News };
        self.write_pair(record, statuses, why).await
    }

    fn is_in_trouble(&self, record: &Record) -> bool {
        let SyncSeen::There(sync) = self.0.pairs.sync(record.secret.id.as_str()) else { return false };
        matches!(verdict(sync.status.as_ref(), ""), Verdict::Trouble(_))
    }

    /// The fight about a synced secret that keeps it from being repaired now.
    fn fight(&self, record: &Record) -> Option<Fight> {
        self.0.fights.of(record.secret.uid).filter(|fight| !fight.pause.is_zero())
    }

    async fn record_extension_fight(&self, record: &Record, fight: &Fight) -> Result<Outcome, StoreError> {
        let rival = self.0.edge.rival(&record.secret.id).await;
        self.record_fight(record, fight, rival.as_deref()).await
    }

    /// Puts back what somebody changed; at a growing pause where they do it again and again.
    async fn repair(&self, record: &Record) -> Result<Outcome, StoreError> {
        if let Some(fight) = self.fight(record) {
            return self.record_extension_fight(record, &fight).await;
        }
        let statuses = match record.handed.as_ref().filter(|handed| handed.open) {
            Some(handed) => handed.statuses.clone(),
            None => record.secret.references.iter().map(|reference| reference.status.clone()).collect(),
        };
        self.write_pair(record, statuses, Why::Drift).await
    }

    async fn write_pair(
        &self,
        record: &Record,
        statuses: Vec<ReferenceStatus>,
        why: Why,
    ) -> Result<Outcome, StoreError> {
        let pair = match self.pair(&record.secret) {
            Ok(pair) => pair,
            Err(error) => return self.record_failure(record, edge_failure(&error)).await,
        };
        match self.is_foreign(record).await {
            Ok(true) => return self.in_conflict(record).await,
            Ok(false) => {}
            Err(error) => return self.record_failure(record, edge_failure(&error)).await,
        }
        let force = Uuid::new_v4().simple().to_string();
        let written = match self.0.edge.apply_pair(&pair, known(record), &force).await {
            Ok(written) => written,
            Err(error) => return self.record_failure(record, edge_failure(&error)).await,
        };
        self.0.pairs.note(record.secret.id.as_str(), &written);
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Outcome::Done) };
        current.edge.digest = Some(self.digest_of_pair(&pair));
        current.handed = Some(Handed {
            generation: record.secret.generation,
            requests: record.sync_requests,
            time: Timestamp::now(),
            told: Some(self.0.started.elapsed()),
            sync_generation: written.sync_generation,
            class_generation: written.class_generation,
            hash_before: written.sync_hash,
            statuses,
            open: true,
            sync_uid: written.sync_uid,
            class_uid: written.class_uid,
            nudges: if let Why::Silence(nudges) = why { nudges } else { 0 },
            failures: if let Why::Failed(failures) = why { failures } else { 0 },
        });
        transaction.update(current).await?;
        if why == Why::Drift {
            self.0.fights.repaired(record.secret.uid);
        }
        // Of a fight the audit has one row, and not one for each repair.
        let is_fight = self.0.fights.of(record.secret.uid).is_some();
        if let Some(detail) = repaired(why, &written.taken_out).filter(|_| !is_fight) {
            transaction.audit(event(AuditAction::DriftRepaired, record, &detail)).await?;
        }
        transaction.commit().await?;
        // The watch tells of the answer; this is for when none comes.
        Ok(Outcome::After(MOMENT))
    }

    /// Whether a Secret of somebody else stands under the name. Only what the watch does not know as ours is looked at.
    async fn is_foreign(&self, record: &Record) -> Result<bool, EdgeError> {
        match self.0.index.get(record.secret.id.as_str()) {
            Seen::Gone => Ok(false),
            Seen::There(there) if Some(&there.uid) == record.edge.uid.as_ref() => Ok(false),
            _ => Ok(self.0.edge.made(&record.secret, known(record), true).await? == Made::Foreign),
        }
    }

    /// A Secret of somebody else has come under the name: that is told, and all of ours is taken out of it.
    async fn in_conflict(&self, record: &Record) -> Result<Outcome, StoreError> {
        let conflict = EdgeError::conflict(&record.secret.id);
        let outcome = self.record_failure(record, edge_failure(&conflict)).await?;
        match self.withdraw(record, known(record)).await {
            Ok(None) => Ok(outcome),
            Ok(Some(pause)) => Ok(Outcome::After(pause)),
            Err(error) => {
                tracing::debug!(%error, "the Secret of somebody else is not free of ours yet; trying again");
                Ok(Outcome::Retry(None))
            }
        }
    }

    /// Takes the pair away from under a Secret of somebody else, and out of that Secret what the extension merged into it: first the
    /// extension is kept from writing, then the Secret loses its owner, then the SecretSync goes. In another order the Secret would be
    /// garbage-collected. Says how long to wait for the extension, where it has to be.
    async fn withdraw(&self, record: &Record, known: Known<'_>) -> Result<Option<Duration>, EdgeError> {
        let (edge, id) = (&self.0.edge, &record.secret.id);
        match self.halt(record, known).await {
            Ok(Some(pause)) => return Ok(Some(pause)),
            // A SecretSync of somebody else is none of ours.
            Ok(None) | Err(EdgeError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        edge.give_back(id, known).await?;
        edge.drop_pair(id, known).await?;
        Ok(None)
    }

    /// Keeps the extension from writing a Secret. Says how long to wait until that is certain.
    pub(super) async fn halt(
        &self,
        record: &Record,
        known: Known<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        let force = Uuid::new_v4().simple().to_string();
        let halt = self.0.edge.halt(&record.secret.id, known, &force).await?;
        let mut halted = self.0.halted.lock();
        let told = *halted.entry(record.secret.uid).or_insert_with(Instant::now);
        if halt == Halt::Told && told.elapsed() < self.0.options.secret_store.patience {
            return Ok(Some(SOON));
        }
        // An extension that says nothing for so long does not run; when it does, it finds no class.
        halted.remove(&record.secret.uid);
        Ok(None)
    }

    /// Whether the extension's kinds are gone for good: the API server has said so whenever it was asked, for as long as the extension may
    /// be silent. Asked where they turned out not to be served; one answer alone may be of an API server that has just started.
    pub(super) async fn are_kinds_gone(&self) -> bool {
        let is_gone = self.0.edge.lacks_store_kinds().await == Ok(true);
        let mut gone_since = self.0.kinds_gone_since.lock();
        if !is_gone {
            *gone_since = None;
        } else if gone_since.is_none() {
            *gone_since = Some(Instant::now());
        }
        gone_since.is_some_and(|since| since.elapsed() >= self.0.options.secret_store.patience)
    }

    /// When the extension was given something to do; no earlier than this process began to wait for it.
    fn told(&self, handed: &Handed) -> Instant {
        self.0.started + handed.told.unwrap_or_default()
    }

    /// Removes the pair and what the extension made of it. Says how long to wait for the extension, where it has to be.
    pub(super) async fn remove_pair(&self, record: &Record) -> Result<Option<Duration>, EdgeError> {
        match self.remove_known(record, known(record)).await {
            Err(EdgeError::NotServed { .. }) if self.are_kinds_gone().await => {
                self.remove_known(record, Known { are_kinds_gone: true, ..known(record) }).await
            }
            removed => removed,
        }
    }

    async fn remove_known(&self, record: &Record, known: Known<'_>) -> Result<Option<Duration>, EdgeError> {
        let (edge, id) = (&self.0.edge, &record.secret.id);
        // An extension that is still at work would merge its owner into whatever comes under the name, and that would go with it.
        if record.handed.as_ref().is_none_or(|handed| handed.open) {
            match self.halt(record, known).await {
                Ok(Some(pause)) => return Ok(Some(pause)),
                Ok(None) | Err(EdgeError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if edge.made(&record.secret, known, true).await? == Made::Foreign {
            return self.withdraw(record, known).await;
        }
        edge.remove_pair(id, known).await?;
        // Somebody else may have been there in between, and the extension too.
        edge.give_back(id, known).await?;
        Ok(None)
    }

    /// Looks at what the extension has made of what it was given.
    async fn judge(&self, record: &Record, work: &Work) -> Result<Outcome, StoreError> {
        let Some(handed) = &record.handed else { return Ok(Outcome::Again) };
        let SyncSeen::There(sync) = self.0.pairs.sync(record.secret.id.as_str()) else {
            return Ok(Outcome::After(MOMENT));
        };
        let waited = self.told(handed).elapsed();
        match verdict(sync.status.as_ref(), &handed.hash_before) {
            Verdict::Done => self.confirm(record, handed, waited).await,
            Verdict::Silent => self.wait_for_extension(record, handed, waited).await,
            // It may be of what was given before.
            Verdict::Trouble(_) if waited < MOMENT && handed.open => Ok(Outcome::After(MOMENT - waited)),
            Verdict::Trouble(trouble) => {
                let pause = self.again_after(handed.failures);
                if waited >= pause && record.secret.state != State::Synced {
                    self.hand(record, work, Why::Failed(handed.failures + 1)).await
                } else {
                    self.in_trouble(record, trouble, pause.saturating_sub(waited)).await
                }
            }
        }
    }

    /// The extension has not said anything of what it was given.
    async fn wait_for_extension(
        &self,
        record: &Record,
        handed: &Handed,
        waited: Duration,
    ) -> Result<Outcome, StoreError> {
        let patience = self.0.options.secret_store.patience;
        let mut waiting = Waiting {
            patience,
            waited,
            nudges: handed.nudges,
            quiet: self.0.pairs.quiet_for(),
            is_overtaken: false,
        };
        let mut others = 0;
        if waited >= patience {
            let open = |other: &Arc<Record>| other.handed.as_ref().is_some_and(|handed| handed.open);
            let records = self.0.store.view().snapshot().records;
            others = records.iter().filter(|other| open(other)).count();
            let told = self.told(handed);
            let is_later =
                |other: &Handed| !other.open && self.told(other).saturating_duration_since(told) > patience;
            waiting.is_overtaken = records.iter().filter_map(|other| other.handed.as_ref()).any(is_later);
        }
        match waiting.step() {
            patience::Step::Wait(pause) => Ok(Outcome::After(pause)),
            patience::Step::Busy(pause) => self.record_busy(record, handed, others, pause).await,
            patience::Step::Dead(pause) => self.record_failure(record, silence(pause)).await,
            patience::Step::Nudge => {
                self.write_pair(record, handed.statuses.clone(), Why::Silence(handed.nudges + 1)).await
            }
        }
    }

    /// The extension is at work on others, and comes to this one too.
    async fn record_busy(
        &self,
        record: &Record,
        handed: &Handed,
        waiting: usize,
        pause: Duration,
    ) -> Result<Outcome, StoreError> {
        let message = format!(
            "The Secret Store extension is at work on others; {waiting} synced secrets wait for it. It comes to this one by itself."
        );
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Outcome::Done) };
        if current.handed.as_ref() != Some(handed) || observe::is_outdated(record, &current.secret) {
            return Ok(Outcome::Again);
        }
        if current.secret.state != State::Deleting {
            current.secret.state = State::Pending;
            let condition = Condition::new(ConditionType::Synced, Status::False, Reason::Pending, message);
            current.secret.set_condition(condition);
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        Ok(Outcome::Retry(Some(pause)))
    }

    /// How long after it was told the extension is told to try again what it has failed so often: at a growing pause, no longer than
    /// until the next check, and not before its trouble was looked at.
    fn again_after(&self, failures: u32) -> Duration {
        let next_check = self.0.options.interval.mul_f64(1.0 - self.0.options.jitter);
        again_after(failures).min(next_check).max(2 * MOMENT)
    }

    /// The extension says that all is well: so it is where the Secret is there and nobody else's hand is in it.
    async fn confirm(
        &self,
        record: &Record,
        handed: &Handed,
        waited: Duration,
    ) -> Result<Outcome, StoreError> {
        // An extension that sets no label of its own is told so once, and then believed.
        let wants_mark = !handed.open || handed.nudges == 0;
        let seen = self.0.index.get(record.secret.id.as_str());
        match self.0.edge.made(&record.secret, known(record), wants_mark).await {
            Ok(Made::Whole(written)) => self.record_done(record, handed, &seen, written).await,
            // Its watch may be behind.
            Ok(Made::Nothing) if waited < MOMENT => Ok(Outcome::After(MOMENT - waited)),
            Ok(Made::Nothing) => self.repair(record).await,
            Ok(Made::Edited) => self.take_back(record).await,
            Ok(Made::Foreign) => self.in_conflict(record).await,
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// Somebody wrote or removed keys of the Secret, and the extension takes nothing by force.
    async fn take_back(&self, record: &Record) -> Result<Outcome, StoreError> {
        // Asked first: what is released no longer says whose it was.
        if let Some(fight) = self.fight(record) {
            return self.record_extension_fight(record, &fight).await;
        }
        self.forget_what_was_told(record).await?;
        match self.0.edge.release_keys(&record.secret, known(record)).await {
            Ok(()) => match record.handed.as_ref().filter(|handed| handed.open) {
                Some(open) => {
                    self.0.fights.repaired(record.secret.uid);
                    self.write_pair(record, open.statuses.clone(), Why::Silence(open.nudges + 1)).await
                }
                None => self.repair(record).await,
            },
            Err(error) => self.record_failure(record, edge_failure(&error)).await,
        }
    }

    /// What is released looks as if the extension had written it: whoever is killed before it is told again begins with that.
    async fn forget_what_was_told(&self, record: &Record) -> Result<(), StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(()) };
        if current.handed != record.handed {
            return Ok(());
        }
        if let Some(handed) = &mut current.handed {
            handed.generation = 0;
            transaction.update(current).await?;
            transaction.commit().await?;
        }
        Ok(())
    }

    /// The extension has failed; it is told to try again after this.
    async fn in_trouble(
        &self,
        record: &Record,
        trouble: Trouble,
        again_in: Duration,
    ) -> Result<Outcome, StoreError> {
        match self.0.edge.made(&record.secret, known(record), true).await {
            Ok(Made::Foreign) => self.in_conflict(record).await,
            Ok(Made::Edited) if trouble.reason == Reason::EdgeConflict => self.take_back(record).await,
            _ => self.record_failure(record, of_trouble(record, trouble, again_in)).await,
        }
    }

    async fn record_done(
        &self,
        attempted: &Record,
        handed: &Handed,
        seen: &Seen,
        written: Written,
    ) -> Result<Outcome, StoreError> {
        self.0.index.note(attempted.secret.id.as_str(), seen, &written);
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(attempted.secret.uid) else { return Ok(Outcome::Done) };
        if current.handed.as_ref() != Some(handed) {
            return Ok(Outcome::Again);
        }
        if !handed.open && current.secret.state == State::Synced {
            // The extension wrote the Secret again by itself.
            current.edge.uid = Some(written.uid);
            current.edge.resource_version = Some(written.resource_version);
            transaction.update(current).await?;
            transaction.commit().await?;
            return Ok(Outcome::Done);
        }
        let rotated = rotated(attempted, &handed.statuses);
        let is_news = matches!(current.secret.state, State::Degraded | State::Failed)
            || current.secret.synced_generation != handed.generation;
        let digest = current.edge.digest.clone().unwrap_or_default();
        observe::synced(&mut current, attempted, handed.statuses.clone(), written, digest);
        current.handed = Some(Handed { open: false, ..handed.clone() });
        let stale = current.secret.generation != attempted.secret.generation;
        transaction.update(current).await?;
        if let Some(keys) = rotated {
            transaction
                .audit(event(AuditAction::Rotated, attempted, &format!("New versions under {keys}.")))
                .await?;
        } else if is_news {
            transaction
                .audit(event(AuditAction::Synced, attempted, "The edge holds what the references say."))
                .await?;
        }
        transaction.commit().await?;
        Ok(if stale { Outcome::Again } else { Outcome::Done })
    }

    /// What was looked at holds already what the vault has: remember when the vault was looked at.
    async fn note(&self, record: &Record, statuses: Vec<ReferenceStatus>) -> Result<Outcome, StoreError> {
        let mut transaction = self.0.store.begin().await?;
        let Some(mut current) = transaction.current(record.secret.uid) else { return Ok(Outcome::Done) };
        for (reference, status) in record.secret.references.iter().zip(statuses) {
            let held = current.secret.references.iter_mut().find(|held| held.asks_the_same(reference));
            if let Some(held) = held {
                held.status = status;
            }
        }
        transaction.update(current).await?;
        transaction.commit().await?;
        Ok(Outcome::Done)
    }

    /// What the vault has for all references, without their values; every problem is named.
    async fn describe(
        &self,
        record: &Record,
        reads: Option<Arc<Reads>>,
    ) -> Result<Vec<ReferenceStatus>, Failure> {
        let reads = self.reads_for(record, reads);
        let references = &record.secret.references;
        let looks = references
            .iter()
            .map(|reference| reads.describe(&reference.vault_secret, reference.version.as_ref()));
        let (mut statuses, mut problems, mut retry) = (Vec::new(), Vec::new(), Retry::Later);
        let mut seen = Vec::new();
        for (place, look) in futures::future::join_all(looks).await.into_iter().enumerate() {
            match look {
                Ok(look) => {
                    let status = status(&look.versions, look.time, &references[place]);
                    seen.extend(status.synced_version.clone().map(|version| (place, version)));
                    statuses.push(status);
                }
                Err(error) => {
                    retry = vault_retry(&error, retry);
                    problems.push((place, error.condition_reason(), explain(&error)));
                }
            }
        }
        match Failure::of_references(references, problems, retry) {
            None => {
                self.0.comparisons.note(record.followed());
                Ok(statuses)
            }
            Some(failure) => Err(held_back(failure, references, &seen)),
        }
    }
}

/// What a reference will hold. Where the vault does not tell which of several versions of one second came last, one that is not held
/// yet: that makes the extension sync, and it gets the right one. It does so once: what was seen when that second was over was handed
/// with all of them there, and the extension has had its choice.
fn status(versions: &[VaultSecretVersion], seen: Timestamp, reference: &Reference) -> ReferenceStatus {
    let held = &reference.status;
    let is_held = |version: &&VaultSecretVersion| Some(&version.version) == held.synced_version.as_ref();
    let kept = versions.iter().find(is_held).filter(|_| held.settled);
    let another = versions.iter().find(|version| !is_held(version));
    let version = kept.or(another).or(versions.first()).expect("a look brings a version or an error");
    observe::status_of_version(version, seen)
}

/// By which uids its things at the edge are known.
pub(super) fn known(record: &Record) -> Known<'_> {
    let handed = record.handed.as_ref();
    Known {
        uid: record.secret.uid,
        secret: record.edge.uid.as_deref(),
        sync: handed.and_then(|handed| handed.sync_uid.as_deref()).or(record.adopted.as_deref()),
        class: handed.and_then(|handed| handed.class_uid.as_deref()),
        trusts_label: handed.is_some_and(|handed| handed.sync_uid.is_none()),
        are_kinds_gone: false,
    }
}

/// What the audit says of what somebody else had done.
fn repaired(why: Why, taken_out: &[String]) -> Option<String> {
    let written =
        "Somebody changed what the Secret Store extension was given, or the Secret; both are written again.";
    match taken_out.is_empty() {
        true => (why == Why::Drift).then(|| written.to_owned()),
        false => Some(format!("{written} Taken out was what had been added: {}.", taken_out.join(", "))),
    }
}

fn silence(pause: Duration) -> Failure {
    let message = "The Secret Store extension does not act on the SecretSync. Look whether its controller runs in the namespace \
                   azure-secret-store, whether it watches this namespace, and whether its provider `azure` is installed.";
    Failure {
        reason: Reason::EngineNotResponding,
        message: message.to_owned(),
        problems: Vec::new(),
        retry: Retry::Soon(Some(pause)),
    }
}

/// After so many failures of the extension, how long to wait before it is told again.
fn again_after(failures: u32) -> Duration {
    (2 * MOMENT).saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST_PAUSE)
}

/// A failure of the extension, and which references it names: after a partial sync, each with its own reason.
fn of_trouble(record: &Record, trouble: Trouble, again_in: Duration) -> Failure {
    let problem = |(place, reference): (usize, &Reference)| {
        let (key, vault_secret) = (reference.key.as_str(), reference.vault_secret.as_str());
        let mut objects = trouble.objects.iter();
        let left = objects.find(|left| left.path == key || left.path.eq_ignore_ascii_case(vault_secret));
        match left {
            Some(left) => Some((place, left.reason, left.message.clone())),
            None => (trouble.objects.is_empty() && trouble.is_about(vault_secret))
                .then(|| (place, trouble.reason, trouble.message.clone())),
        }
    };
    let problems = record.secret.references.iter().enumerate().filter_map(problem).collect();
    let retry = Retry::After(again_in.max(SOON));
    Failure { reason: trouble.reason, message: trouble.message, problems, retry }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_extension_fails_it_is_told_again_at_a_growing_pause_and_within_a_minute_for_ever() {
        let pauses = [0, 1, 2, 3, 4, 5, u32::MAX].map(|failures| again_after(failures).as_secs());
        assert_eq!(pauses, [4, 8, 16, 32, 50, 50, 50]);
    }
}
