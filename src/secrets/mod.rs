//! The use cases behind the RPCs: record the intent, write to the vault, wake the reconciler and wait for it.

mod add_vault_secret_version;
mod admission;
mod adopt;
mod audit;
mod check;
mod check_resource;
mod create;
mod delete;
mod denials;
mod edit;
mod encoding;
mod error;
mod in_flight;
mod instance;
mod list;
mod manifest;
mod new_vault_secret;
mod recover_vault_secret;
mod referable;
mod shared_check;
mod statistics;
mod sync;
mod update;
mod update_vault_secret;
mod usages;
mod vault_secrets;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{sync::Semaphore, time::Instant};
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use adopt::Adoption;
pub use check_resource::{CheckedResource, CheckedUsage, KeysShown};
pub use delete::Deletion;
pub use denials::{Denial, DenialOptions};
pub use error::{Cause, Error, Problem};
pub use instance::{VaultStatus, check_vault, probe_writes};
pub use list::{Listed, PlacedEvent, Span, WatchEvent, Watcher};
pub use manifest::{MANIFEST_BYTES, Manifest};
pub use referable::Referable;
pub use statistics::Statistics;
pub use update::Changes;
pub use usages::ListedUsage;
pub use vault_secrets::{
    EntryDigest, ListedVaultSecret, MAX_SHOWN, VaultCursor, VaultFilter, VaultSecretPage,
};

// Re-exported for the API, so that it depends on this module alone.
use crate::{
    edge::Edge,
    model::{
        Admission, AuditAction, Encoding, NewVaultSecret, Origin, Outcome, Reference, SecretType,
        SyncedSecret, SyncedSecretId,
    },
    quote::Quote,
    reconcile::Reconciler,
    store::{NewAuditEvent, Record, Store},
    vault::Vault,
};
pub use crate::{
    edge::{
        EdgeError, Gap,
        engine::{Choice, Need, NeedKind, Setup, check_setup},
        is_reserved,
    },
    reconcile::ownership::TAG as RESERVED_TAG,
    store::{
        AuditFilter, BackupStatus, DiskUsage, FeedPlace, HistoryDigest, Request, Signer, StoreError,
        StoreFault,
    },
    vault::VaultError,
};

use denials::Denials;
use in_flight::InFlight;
use shared_check::SharedCheck;

/// Maximum time that a call waits for the edge.
pub const MAX_WAIT: Duration = Duration::from_secs(60);

/// The use cases of the service, for one of its callers.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>, Vault);

struct Inner {
    store: Store,
    edge: Edge,
    reconciler: Reconciler,
    admission: Admission,
    /// Running mutations: they continue when the caller disconnects, and shutdown waits for them.
    tasks: TaskTracker,
    /// Names of vault secrets that calls are creating right now, in lower case.
    reserved: Mutex<HashSet<String>>,
    in_flight: InFlight,
    denials: Denials,
    options: Options,
    vault_checks: SharedCheck<Arc<VaultStatus>>,
    /// Manifests are read one at a time, since each may cost a core and memory for a moment.
    manifests: Arc<Semaphore>,
}

/// Options of the use cases.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Auditing of denied calls.
    pub denials: DenialOptions,
    /// How long callers of GetVault share the result of one check.
    pub vault_check_lifetime: Duration,
}

/// Who calls, until when, and under which id.
#[derive(Clone, Debug)]
pub struct Call {
    /// For the audit.
    pub actor: String,
    /// When it began: an earlier observation does not answer it.
    pub begun: Instant,
    /// When the caller no longer waits.
    pub deadline: Instant,
    /// The caller's `request_id`, if any.
    pub request: Option<Request>,
}

/// A synced secret to create.
#[derive(Debug)]
pub struct NewSyncedSecret {
    /// Its id.
    pub id: SyncedSecretId,
    /// For people.
    pub description: String,
    /// Type of the Kubernetes Secret.
    pub secret_type: SecretType,
    /// At least one; keys are unique.
    pub references: Vec<NewReference>,
    /// Labels of the Kubernetes Secret.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// A reference to create, and the vault secret to create for it.
#[derive(Debug)]
pub struct NewReference {
    /// The reference.
    pub reference: Reference,
    /// The vault secret that "Create new" stores first.
    pub create: Option<NewVaultSecret>,
    /// Whether the caller named the encoding; otherwise the tag of the vault secret does.
    pub encoding_given: bool,
    /// Whether the caller named the part; otherwise a reference that the synced secret has keeps its part.
    pub part_given: bool,
    /// The encoding that the tag of the vault secret names, once it is known.
    pub tagged: Option<Encoding>,
}

/// How a mutation is carried out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Mode {
    /// Check everything, change nothing.
    pub validate_only: bool,
    /// How long to wait for the edge.
    pub wait: Duration,
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { denials: DenialOptions::default(), vault_check_lifetime: Duration::from_secs(10) }
    }
}

// === impl Secrets ===

impl Secrets {
    /// Builds the use cases from their parts.
    pub fn new(
        store: Store,
        vault: Vault,
        edge: Edge,
        reconciler: Reconciler,
        admission: Admission,
        options: Options,
    ) -> Self {
        let (tasks, reserved) = (TaskTracker::new(), Mutex::default());
        let (denials, vault_checks) = (Denials::new(options.denials), SharedCheck::default());
        let in_flight = InFlight::default();
        let inner = Inner {
            store,
            edge,
            reconciler,
            admission,
            tasks,
            reserved,
            in_flight,
            denials,
            options,
            vault_checks,
            manifests: Arc::new(Semaphore::new(1)),
        };
        Self(Arc::new(inner), vault)
    }

    /// The use cases for one caller: its requests to the vault queue behind its own requests only.
    pub fn of(&self, caller: &str) -> Self {
        Self(self.0.clone(), self.1.of(caller))
    }

    /// The vault, with this caller's request queue.
    fn vault(&self) -> &Vault {
        &self.1
    }

    /// Disk space that the database uses.
    pub fn disk_usage(&self) -> DiskUsage {
        self.0.store.disk_usage()
    }

    /// Status of the scheduled backups; `None` if none are scheduled.
    pub fn backups(&self) -> Option<BackupStatus> {
        self.0.store.backup_status()
    }

    /// Signs for the API: resume tokens, fingerprints.
    pub fn signer(&self) -> Signer {
        self.0.store.signer()
    }

    /// The time by the database's clock: retention and expiry follow it, however this machine's clock is set.
    pub fn clock(&self) -> jiff::Timestamp {
        self.0.store.clock()
    }

    /// By how much this machine's clock is ahead of each peer's clock, as far as known.
    pub fn skews(&self) -> Vec<(&'static str, jiff::SignedDuration)> {
        let clocks = [("vault", self.vault().clock()), ("cluster", self.0.edge.clock())];
        clocks.into_iter().filter_map(|(peer, clock)| Some((peer, clock.skew()?))).collect()
    }

    /// Signs page tokens; tokens from before a restore become invalid.
    pub fn page_signer(&self) -> Signer {
        self.0.store.page_signer()
    }

    /// Waits for running mutations, and records the denials that were only counted so far.
    pub async fn drain(&self) {
        self.flush_denials().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs a mutation to completion, even if the caller disconnects. A retry waits for the first call.
    /// Refuses the call if this process is not the leader.
    async fn run_to_completion<T, F>(
        &self,
        call: Call,
        mutation: impl FnOnce(Self, Call) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        // First of all: the leader would never learn of what this process records.
        self.0.edge.leadership().check().await?;
        if !self.0.edge.leadership().has_caught_up().await {
            return Err(Cause::Rebuilding.into());
        }
        let this = self.of(&call.actor);
        let mutation = async move {
            let turn = this.0.in_flight.enter(&call).await?;
            let (store, request) = (this.0.store.clone(), call.request.clone());
            let answer = mutation(this, call).await;
            if let Some(turn) = &turn {
                turn.end(&answer);
            }
            let is_answered = answer.is_ok();
            if let Some(request) = request.filter(|_| cfg!(debug_assertions) && is_answered) {
                let recorded = store.recorded(&request).await;
                assert!(!matches!(recorded, Ok(None)), "an answer of {} is not recorded", request.method);
            }
            answer
        };
        self.0.tasks.spawn(mutation).await.unwrap_or_else(|error| {
            tracing::error!(error = %Quote::error(&error), "a call panicked");
            Err(Error::Internal)
        })
    }

    /// The tag that new vault secrets of a call carry. A retry of the call recognizes them by it; another
    /// caller's call with the same id does not.
    fn tag(&self, call: &Call) -> String {
        let Some(request) = &call.request else { return Uuid::new_v4().to_string() };
        let content = [request.caller.as_bytes(), &[0], request.id.as_bytes()].concat();
        let digest = self.signer().sign("tag of a call", &content);
        Uuid::from_bytes(std::array::from_fn(|byte| digest[byte])).to_string()
    }

    fn find(&self, id: &SyncedSecretId) -> Result<Arc<Record>, Error> {
        self.0.store.view().get(id).ok_or_else(|| self.absent(id))
    }

    /// The error for a name that is not recorded: `Rebuilding` while a lost database is still being rebuilt.
    fn absent(&self, id: &SyncedSecretId) -> Error {
        match self.0.reconciler.is_rebuilding() {
            true => Cause::Rebuilding.into(),
            false => Cause::NoSyncedSecret(id.clone()).into(),
        }
    }

    /// A synced secret that this service manages.
    fn find_managed(&self, id: &SyncedSecretId) -> Result<Arc<Record>, Error> {
        let record = self.find(id)?;
        match record.secret.origin {
            Origin::Managed => Ok(record),
            Origin::Unmanaged => Err(Cause::Unmanaged(id.clone()).into()),
        }
    }

    /// The current synced secret; `last_known` if it is gone.
    fn latest(&self, last_known: SyncedSecret) -> SyncedSecret {
        self.0.store.view().get_by_uid(last_known.uid).map_or(last_known, |record| record.secret.clone())
    }
}

// === impl NewReference ===

impl NewReference {
    /// A reference that is as it is.
    fn of(reference: Reference) -> Self {
        Self { reference, create: None, encoding_given: true, part_given: true, tagged: None }
    }

    /// The reference with the part that it keeps of those that the synced secret holds, where the caller names none.
    fn keeping_part(&self, held: &[Reference]) -> Reference {
        let kept = held.iter().find(|held| held.has_same_value(&self.reference));
        let kept = kept.filter(|_| !self.part_given && self.create.is_none());
        Reference { part: kept.map_or(self.reference.part, |kept| kept.part), ..self.reference.clone() }
    }

    /// The reference as the call that creates this generation records it.
    fn recorded_with(&self, generation: i64) -> Reference {
        let create_generation = if self.create.is_some() { generation } else { 0 };
        Reference { create_generation, ..self.reference.clone() }
    }
}

// === impl Call ===

impl Call {
    /// A successful audit event of this call.
    fn event(&self, action: AuditAction, resource: String, detail: impl Into<String>) -> NewAuditEvent {
        NewAuditEvent {
            actor: self.actor.clone(),
            action,
            resource,
            outcome: Outcome::ok(),
            detail: detail.into(),
            request_id: self.request.as_ref().map(|request| request.id.to_string()).unwrap_or_default(),
        }
    }
}
