//! Rebuilds records from the edge after the database was lost or restored to an earlier state.
//!
//! It writes nothing to the edge. The rebuilt synced secrets are PENDING, and are then reconciled like new
//! ones.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{EnqueueOptions, Reconciler, last_reason::LastReason};
use crate::{
    backoff::Backoff,
    edge::{Edge, EdgeError, Recovered, engine::object_kind},
    explain::Explain,
    model::{Admission, AuditAction, Origin, State, SyncEngine, SyncedSecret, SyncedSecretId, mapping},
    store::{EdgeRecord, NewAuditEvent, RebuildCause, Record, Store, StoreError, Transaction},
};

/// How often to check for a requested rebuild.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// The pauses between attempts that fail.
const BACKOFF: Backoff = Backoff::doubling(POLL_INTERVAL, Duration::from_secs(30));
/// Synced secrets in one transaction.
const BATCH: usize = 200;
/// Objects left alone that the audit names; the log names all.
const NAMED: usize = 20;

/// An object at the edge that the database does not have.
#[derive(Debug)]
pub enum Finding {
    /// A synced secret that is not recorded.
    Unknown {
        /// The record to insert.
        record: Box<Record>,
        /// How it is listed until then.
        mirror: Box<SyncedSecret>,
        /// The recorded synced secret that it replaces: it has the same name, but no longer exists.
        instead_of: Option<Arc<Record>>,
    },
    /// A later generation of a recorded synced secret, and the generation that was recorded.
    Newer(i64, Box<Record>),
    /// An object that can't be recorded as a synced secret.
    Left {
        /// How it is listed.
        mirror: Box<SyncedSecret>,
        /// The engine that writes it.
        engine: SyncEngine,
        /// Why not: a clause.
        why: String,
    },
}

/// Why the database was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The edge can't be read.
    #[error("{}", .0.explained())]
    Edge(#[from] EdgeError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The source of a rebuild.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The cluster.
    pub edge: &'a Edge,
    /// The vault of this service.
    pub vault: &'a Url,
    /// The admission rules.
    pub admission: &'a Admission,
    /// Whether the cluster certainly no longer serves SecretSyncs.
    pub are_kinds_gone: bool,
    /// Whether the database is certainly behind the edge.
    pub is_behind: bool,
}

/// All findings.
#[derive(Debug)]
pub struct Findings {
    /// One for each object that differs from the database.
    pub all: Vec<Finding>,
    /// False if something could not be read yet: the rebuild is not complete.
    pub is_complete: bool,
}

/// Finds what a rebuild would record. Without a database, that is everything.
pub async fn find(store: Option<&Store>, source: Source<'_>) -> Result<Findings, RebuildError> {
    let Source { edge, vault, admission, are_kinds_gone, is_behind } = source;
    let recovered = edge.recover(vault, admission, are_kinds_gone).await?;
    let mut all = Vec::new();
    for object in recovered.objects {
        all.extend(finding(store, object, is_behind).await?);
    }
    Ok(Findings { all, is_complete: recovered.is_complete })
}

/// Records the findings, and the end of the rebuild if they are complete. An incomplete attempt without news
/// writes no audit event, because it may be repeated many times.
pub async fn record(store: &Store, findings: &Findings, cause: RebuildCause) -> Result<(), StoreError> {
    if !findings.is_complete && !findings.all.iter().any(Finding::is_news) {
        return Ok(());
    }
    let mut transaction = store.begin().await?;
    if !findings.all.is_empty() {
        transaction.audit(summary(&findings.all, cause)).await?;
    }
    for batch in findings.all.chunks(BATCH) {
        for finding in batch {
            finding.record(&mut transaction).await?;
        }
        transaction.commit().await?;
        transaction = store.begin().await?;
    }
    if findings.is_complete {
        transaction.rebuilt(cause).await?;
    }
    transaction.commit().await
}

/// Compares one object with the database. The object of a recorded or deleted synced secret is no finding:
/// its changes are drift.
async fn finding(
    store: Option<&Store>,
    recovered: Recovered,
    is_behind: bool,
) -> Result<Option<Finding>, StoreError> {
    let Recovered { label, engine, edge_uid, specification, mirror } = recovered;
    let view = store.map(Store::view);
    let known = view.and_then(|view| view.get_by_uid(label?));
    if known.is_none()
        && let (Some(uid), Some(store)) = (label, store)
        && store.deleted(uid).await?.is_some()
    {
        return Ok(None);
    }
    let taken =
        view.and_then(|view| view.get(&mirror.id)).filter(|taken| taken.secret.origin == Origin::Managed);
    let specification = match &taken {
        Some(taken) if known.is_none() && !is_behind => {
            Err(format!("its name is that of another synced secret, {}", taken.secret.uid))
        }
        _ => specification,
    };
    let mirror = Box::new(mirror);
    Ok(match (known, specification) {
        (Some(_), Err(_)) => None,
        (None, Err(why)) => Some(Finding::Left { mirror, engine, why }),
        (known, Ok(specification)) => {
            let mut record = Record::new(specification, engine);
            record.edge = EdgeRecord { uid: edge_uid, ..EdgeRecord::default() };
            match known {
                Some(known) => newer(&known, record),
                None => Some(Finding::Unknown { record: Box::new(record), mirror, instead_of: taken }),
            }
        }
    })
}

fn newer(known: &Arc<Record>, mut found: Record) -> Option<Finding> {
    let is_newer = known.secret.id == found.secret.id
        && known.secret.state != State::Deleting
        && known.secret.generation < found.secret.generation;
    found.secret.create_time = known.secret.create_time;
    found.secret.users.clone_from(&known.secret.users);
    (found.sync_requests, found.synced_requests) = (known.sync_requests, known.synced_requests);
    is_newer.then(|| Finding::Newer(known.secret.generation, Box::new(found)))
}

fn summary(findings: &[Finding], cause: RebuildCause) -> NewAuditEvent {
    let left: Vec<&SyncedSecretId> = findings
        .iter()
        .filter_map(|finding| match finding {
            Finding::Left { mirror, .. } => Some(&mirror.id),
            _ => None,
        })
        .collect();
    let begins = match cause {
        RebuildCause::New => {
            "The database was new: the audit and its chain start with this event, without any earlier events."
        }
        RebuildCause::Requested(_) => "A rebuild was requested.",
        RebuildCause::Behind => "The database was behind the edge.",
    };
    let recorded = findings.len() - left.len();
    let mut detail = format!("{begins} {recorded} synced secrets were recorded from the edge");
    if !left.is_empty() {
        let named = left.iter().take(NAMED).map(|id| id.as_str()).collect::<Vec<_>>().join(", ");
        let more = left.len().saturating_sub(NAMED);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        detail += &format!("; left alone: {named}{more}");
    }
    NewAuditEvent::by_service(AuditAction::RebuildFromEdge, "", format!("{detail}."))
}

// === impl Finding ===

impl Finding {
    /// Whether it is, or should be, recorded.
    pub fn is_news(&self) -> bool {
        !matches!(self, Self::Left { .. })
    }

    /// How it is listed while it has no record.
    pub(super) fn unrecorded(self) -> Option<(SyncedSecretId, (SyncedSecret, SyncEngine))> {
        let (mirror, engine) = match self {
            Self::Unknown { record, mirror, .. } => (mirror, record.engine),
            Self::Left { mirror, engine, .. } => (mirror, engine),
            Self::Newer(..) => return None,
        };
        Some((mirror.id.clone(), (*mirror, engine)))
    }

    /// Records it, unless another transaction has recorded it in the meantime.
    async fn record(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let (record, why) = match self {
            Self::Left { mirror, why, .. } => {
                tracing::warn!(synced_secret = %mirror.id, why, "an object with our label is left alone");
                return Ok(());
            }
            Self::Unknown { record, instead_of, .. } => {
                transaction.remove_imported(&record.secret.id).await?;
                if let Some(before) = instead_of {
                    match transaction.remove(before).await {
                        Err(StoreError::Stale) => return Ok(()),
                        removed => removed?,
                    }
                }
                match transaction.insert(record.as_ref().clone()).await {
                    Err(StoreError::AlreadyExists) => return Ok(()),
                    inserted => inserted?,
                }
                (record, "The database did not have it")
            }
            Self::Newer(read, record) => {
                match transaction.change(*read, record.as_ref().clone()).await {
                    Err(StoreError::Stale | StoreError::NotFound) => return Ok(()),
                    changed => changed?,
                }
                (record, "The database had an earlier generation")
            }
        };
        let secret = &record.secret;
        let object = object_kind(record.engine);
        let (references, generation) = (mapping(&secret.references), secret.generation);
        let detail = format!("{why}; generation {generation}, from its {object}. References: {references}.");
        transaction
            .audit(NewAuditEvent::by_service(AuditAction::RebuildSyncedSecret, secret.name(), detail))
            .await
    }
}

impl Reconciler {
    /// Rebuilds the database when that is necessary or requested, until `stop` is cancelled.
    pub(super) async fn rebuild(self, stop: CancellationToken) {
        let (mut failures, mut last_reason) = (0, LastReason::default());
        loop {
            match self.rebuild_if_requested().await {
                Ok(()) => {
                    failures = 0;
                    last_reason.clear();
                }
                Err(error) => {
                    // The cluster may be unreachable for a long time: log once.
                    if last_reason.is_news(&error) {
                        tracing::warn!(%error, "the database can't be rebuilt from the edge yet; trying again");
                    }
                    failures += 1;
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(BACKOFF.pause(failures)) => {}
            }
        }
    }

    async fn rebuild_if_requested(&self) -> Result<(), RebuildError> {
        match self.rebuild_cause().await? {
            Some(cause) => self.rebuild_because(cause).await,
            None => Ok(()),
        }
    }

    /// Rebuilds the database from the edge.
    pub(super) async fn rebuild_because(&self, cause: RebuildCause) -> Result<(), RebuildError> {
        let is_behind = cause == RebuildCause::Behind;
        let source = Source { is_behind, ..self.source(self.0.engines.are_kinds_gone().await) };
        let findings = find(Some(&self.0.store), source).await?;
        record(&self.0.store, &findings, cause).await?;
        let mut rebuilt = 0;
        for finding in &findings.all {
            if let Finding::Unknown { record, .. } | Finding::Newer(_, record) = finding {
                rebuilt += 1;
                // An operator who lost a database is waiting for all of them.
                self.enqueue(record.secret.uid, EnqueueOptions { refetch: None, interactive: true });
            }
        }
        if rebuilt > 0 {
            tracing::warn!(rebuilt, "the database was rebuilt from the edge");
        }
        // The import lists the objects that are left alone.
        self.0.unrecorded.send_replace(());
        match findings.is_complete {
            true => Ok(()),
            false => Err(EdgeError::NotServed { kind: "SecretSync".to_owned() }.into()),
        }
    }

    /// The source of its rebuilds.
    pub(super) fn source(&self, are_kinds_gone: bool) -> Source<'_> {
        let (edge, vault, admission) = (&self.0.edge, self.0.vault.uri(), &self.0.options.admission);
        Source { edge, vault, admission, are_kinds_gone, is_behind: false }
    }

    /// Why the database must be rebuilt now; none if it need not.
    pub(super) async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let cause = self.0.store.rebuild_cause().await?;
        Ok(cause.filter(|cause| *cause != RebuildCause::New || self.0.options.rebuild))
    }

    /// Whether the rebuild of a lost database is still outstanding: the edge may have synced secrets without
    /// a record.
    pub fn is_rebuilding(&self) -> bool {
        *self.0.store.unfilled().borrow()
    }
}
