//! Records again what the edge holds and the database does not know: after it was lost, or put back to an
//! earlier state.
//!
//! Nothing at the edge is touched. What is recorded so is PENDING, and then looked at like all that was just
//! asked for.

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

/// How often to check whether a rebuild is requested.
const POLL_INTERVAL: Duration = Duration::from_secs(3);
/// The pauses between attempts that fail.
const BACKOFF: Backoff = Backoff::doubling(POLL_INTERVAL, Duration::from_secs(30));
/// Synced secrets in one transaction.
const BATCH: usize = 200;
/// Objects that are left alone and named in the audit; the log names all.
const NAMED: usize = 20;

/// What the edge holds and the database does not know.
#[derive(Debug)]
pub enum Finding {
    /// A synced secret.
    Unknown {
        /// As it is recorded.
        record: Box<Record>,
        /// How it is listed until then.
        mirror: Box<SyncedSecret>,
        /// The synced secret whose name it has, and which is no longer there.
        instead_of: Option<Arc<Record>>,
    },
    /// A later generation of a synced secret than the database has, which was read at this one.
    Newer(i64, Box<Record>),
    /// What can't be recorded as a synced secret.
    Left {
        /// How it is listed.
        mirror: Box<SyncedSecret>,
        /// Who writes it.
        engine: SyncEngine,
        /// Why not: a part of a sentence.
        why: String,
    },
}

/// Why the database was not rebuilt.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The edge can't be read.
    #[error("{0}. {remedy}", remedy = .0.remedy())]
    Edge(#[from] EdgeError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a database is rebuilt from.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The cluster.
    pub edge: &'a Edge,
    /// The vault of this service.
    pub vault: &'a Url,
    /// What synced secrets may be.
    pub admission: &'a Admission,
    /// Whether the cluster is known to serve no SecretSyncs any more.
    pub are_kinds_gone: bool,
    /// Whether the database is known to be of an earlier time than what the edge holds.
    pub is_behind: bool,
}

/// All that was found.
#[derive(Debug)]
pub struct Findings {
    /// Each object that is news.
    pub all: Vec<Finding>,
    /// False where something could not be read yet: the rebuild is not done.
    pub is_complete: bool,
}

/// Looks for what a rebuild would record; without a database, for all.
pub async fn find(store: Option<&Store>, source: Source<'_>) -> Result<Findings, RebuildError> {
    let Source { edge, vault, admission, are_kinds_gone, is_behind } = source;
    let recovered = edge.recover(vault, admission, are_kinds_gone).await?;
    let mut all = Vec::new();
    for object in recovered.objects {
        all.extend(finding(store, object, is_behind).await?);
    }
    Ok(Findings { all, is_complete: recovered.is_complete })
}

/// Records what was found, and that the rebuild is done where it is. An attempt that records nothing and is
/// not the last says nothing either: it may be made again and again.
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

/// What the object of a synced secret that is recorded or was deleted says is not news: what somebody did to
/// it is drift.
async fn finding(
    store: Option<&Store>,
    recovered: Recovered,
    is_behind: bool,
) -> Result<Option<Finding>, StoreError> {
    let Recovered { label, engine, edge_uid, asked, mirror } = recovered;
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
    let asked = match &taken {
        Some(taken) if known.is_none() && !is_behind => {
            Err(format!("its name is that of another synced secret, {}", taken.secret.uid))
        }
        _ => asked,
    };
    let mirror = Box::new(mirror);
    Ok(match (known, asked) {
        (Some(_), Err(_)) => None,
        (None, Err(why)) => Some(Finding::Left { mirror, engine, why }),
        (known, Ok(asked)) => {
            let mut record = Record::new(asked, engine);
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
            "The database was new: the audit and its chain begin anew with this event, and what was before is not in it."
        }
        RebuildCause::Asked(_) => "A rebuild was asked for.",
        RebuildCause::Behind => "The database was of an earlier time than what the edge holds.",
    };
    let recorded = findings.len() - left.len();
    let mut detail = format!("{begins} {recorded} synced secrets are recorded as the edge holds them");
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

    /// How it is listed while the database does not know it.
    pub(super) fn unrecorded(self) -> Option<(SyncedSecretId, (SyncedSecret, SyncEngine))> {
        let (mirror, engine) = match self {
            Self::Unknown { record, mirror, .. } => (mirror, record.engine),
            Self::Left { mirror, engine, .. } => (mirror, engine),
            Self::Newer(..) => return None,
        };
        Some((mirror.id.clone(), (*mirror, engine)))
    }

    /// Records it, unless the database has come to know of it otherwise.
    async fn record(&self, transaction: &mut Transaction) -> Result<(), StoreError> {
        let (record, why) = match self {
            Self::Left { mirror, why, .. } => {
                tracing::warn!(synced_secret = %mirror.id, why, "an object with a label of ours is left alone");
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
                (record, "The database did not know it")
            }
            Self::Newer(read, record) => {
                match transaction.change(*read, record.as_ref().clone()).await {
                    Err(StoreError::Stale | StoreError::NotFound) => return Ok(()),
                    changed => changed?,
                }
                (record, "The database knew an earlier generation")
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
    /// Rebuilds the database if that is configured, until told to stop.
    pub(super) async fn rebuild(self, stop: CancellationToken) {
        let (mut failures, mut last_reason) = (0, LastReason::default());
        loop {
            match self.rebuild_if_asked().await {
                Ok(()) => {
                    failures = 0;
                    last_reason.clear();
                }
                Err(error) => {
                    // The cluster may be away for long.
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

    async fn rebuild_if_asked(&self) -> Result<(), RebuildError> {
        match self.rebuild_cause().await? {
            Some(cause) => self.rebuild_because(cause).await,
            None => Ok(()),
        }
    }

    /// Records what the edge holds and the database does not know.
    pub(super) async fn rebuild_because(&self, cause: RebuildCause) -> Result<(), RebuildError> {
        let is_behind = cause == RebuildCause::Behind;
        let source = Source { is_behind, ..self.source(self.0.engines.are_kinds_gone().await) };
        let findings = find(Some(&self.0.store), source).await?;
        record(&self.0.store, &findings, cause).await?;
        let mut rebuilt = 0;
        for finding in &findings.all {
            if let Finding::Unknown { record, .. } | Finding::Newer(_, record) = finding {
                rebuilt += 1;
                // Whoever lost a database waits for all of it.
                self.enqueue(record.secret.uid, EnqueueOptions { refetch: None, interactive: true });
            }
        }
        if rebuilt > 0 {
            tracing::warn!(rebuilt, "the database was rebuilt from what the edge holds");
        }
        // What is left alone is listed.
        self.0.unrecorded.send_replace(());
        match findings.is_complete {
            true => Ok(()),
            false => Err(EdgeError::NotServed { kind: "SecretSync".to_owned() }.into()),
        }
    }

    /// Where its database is rebuilt from.
    pub(super) fn source(&self, are_kinds_gone: bool) -> Source<'_> {
        let (edge, vault, admission) = (&self.0.edge, self.0.vault.uri(), &self.0.options.admission);
        Source { edge, vault, admission, are_kinds_gone, is_behind: false }
    }

    /// Why the database is to be rebuilt now, where it is.
    pub(super) async fn rebuild_cause(&self) -> Result<Option<RebuildCause>, StoreError> {
        let cause = self.0.store.rebuild_cause().await?;
        Ok(cause.filter(|cause| *cause != RebuildCause::New || self.0.options.rebuild))
    }

    /// Whether what is not recorded may be at the edge all the same, because a lost database is still to be
    /// rebuilt.
    pub fn is_rebuilding(&self) -> bool {
        *self.0.store.unfilled().borrow()
    }
}
