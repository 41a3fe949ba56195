//! The use cases: what each RPC means. Records intent, does the vault's half, wakes the reconciler and waits for it.

mod admission;
mod adopt;
mod check;
mod create;
mod delete;
mod denials;
mod error;
mod history;
mod in_flight;
mod instance;
mod list;
mod looks;
mod new_vault_secret;
mod referable;
mod standing;
mod sync;
mod update;
mod usages;
mod vault_secrets;

use std::{collections::HashSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

pub use adopt::Adoption;
pub use delete::Deletion;
pub use denials::{Denial, DenialOptions};
pub use error::{Cause, Error, Problem};
pub use instance::{VaultStatus, check_vault, probe_writes};
pub use list::{Listed, Span, Told, WatchEvent, Watcher};
pub use referable::Referable;
pub use standing::Standing;
pub use update::Changes;
pub use usages::ListedUsage;
pub use vault_secrets::{ListedVaultSecret, VaultCursor, VaultFilter, VaultSecretPage};

// What the API needs of the rooms below, so that it knows no other room than this one.
use crate::{
    edge::Edge,
    model::{
        Admission, AuditAction, NewVaultSecret, Origin, Outcome, Reference, SecretType, SyncedSecret,
        SyncedSecretId,
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
    store::{AuditFilter, BackupStanding, FeedPlace, History, Request, Room, Signer, StoreError, StoreFault},
    vault::VaultError,
};

use denials::Denials;
use in_flight::InFlight;
use looks::Looks;

/// The longest that a call waits for the edge.
pub const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// The use cases of the service, for one of its callers.
#[derive(Clone)]
pub struct Secrets(Arc<Inner>, Vault);

struct Inner {
    store: Store,
    edge: Edge,
    reconciler: Reconciler,
    admission: Admission,
    /// Mutations under way: they go on when the caller hangs up, and are waited for at the end.
    tasks: TaskTracker,
    /// Vault secrets that calls are creating right now, folded.
    reserved: Mutex<HashSet<String>>,
    in_flight: InFlight,
    denials: Denials,
    options: Options,
    looks: Looks<Arc<VaultStatus>>,
}

/// How the use cases work.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Calls that are not let in.
    pub denials: DenialOptions,
    /// How long what GetVault found is told to others too.
    pub vault_look_life: Duration,
}

/// Who calls, until when, and under which id.
#[derive(Clone, Debug)]
pub struct Call {
    /// For the audit.
    pub actor: String,
    /// When it began: what was observed before does not answer it.
    pub begun: Instant,
    /// When the caller no longer waits.
    pub deadline: Instant,
    /// The caller's `request_id`, where there is one.
    pub request: Option<Request>,
}

/// A synced secret to be.
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

/// A reference to be, and the vault secret to create for it.
#[derive(Debug)]
pub struct NewReference {
    /// The reference.
    pub reference: Reference,
    /// The value that "Create new" stores first.
    pub create: Option<NewVaultSecret>,
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
        Self { denials: DenialOptions::default(), vault_look_life: Duration::from_secs(10) }
    }
}

// === impl Secrets ===

impl Secrets {
    /// The use cases over these parts.
    pub fn new(
        store: Store,
        vault: Vault,
        edge: Edge,
        reconciler: Reconciler,
        admission: Admission,
        options: Options,
    ) -> Self {
        let (tasks, reserved) = (TaskTracker::new(), Mutex::default());
        let (denials, looks) = (Denials::new(options.denials), Looks::default());
        let in_flight = InFlight::default();
        let inner =
            Inner { store, edge, reconciler, admission, tasks, reserved, in_flight, denials, options, looks };
        Self(Arc::new(inner), vault)
    }

    /// The use cases for a caller: what they need of the vault waits for its own requests, and for nobody else's.
    pub fn of(&self, caller: &str) -> Self {
        Self(self.0.clone(), self.1.of(caller))
    }

    /// The vault, as this caller's.
    fn vault(&self) -> &Vault {
        &self.1
    }

    /// What the database takes.
    pub fn room(&self) -> Room {
        self.0.store.room()
    }

    /// How the scheduled backups went; `None` where none are to be made.
    pub fn backups(&self) -> Option<BackupStanding> {
        self.0.store.backup_standing()
    }

    /// Signs for the API: resume tokens, fingerprints.
    pub fn signer(&self) -> Signer {
        self.0.store.signer()
    }

    /// What the clock of the database shows: what lives for a time grows old by it, however this machine's clock is set.
    pub fn clock(&self) -> jiff::Timestamp {
        self.0.store.clock()
    }

    /// By how much this machine's clock is ahead of each peer's that has told its own.
    pub fn skews(&self) -> Vec<(&'static str, jiff::SignedDuration)> {
        let clocks = [("vault", self.vault().clock()), ("cluster", self.0.edge.clock())];
        clocks.into_iter().filter_map(|(peer, clock)| Some((peer, clock.skew()?))).collect()
    }

    /// Signs page tokens: those of a database before it was restored are none.
    pub fn page_signer(&self) -> Signer {
        self.0.store.page_signer()
    }

    /// Waits for the mutations under way, and records what was counted only.
    pub async fn drain(&self) {
        self.settle_denials().await;
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Runs a mutation to its end, also when the caller hangs up in the middle. The same call again waits for its turn. A process that does
    /// not act for the instance refuses it.
    async fn to_the_end<T, F>(
        &self,
        call: Call,
        mutation: impl FnOnce(Self, Call) -> F + Send + 'static,
    ) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        // Before anything else: what this process would record, another one that acts for the instance would never hear of.
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
            tracing::error!(error = %Quote::error(&error), "a call has died");
            Err(Error::Internal)
        })
    }

    /// What new vault secrets of a call carry, so that a retry of the call knows them again, and nobody else's call of the same id does.
    fn tag(&self, call: &Call) -> String {
        let Some(request) = &call.request else { return Uuid::new_v4().to_string() };
        let content = [request.caller.as_bytes(), &[0], request.id.as_bytes()].concat();
        let digest = self.signer().sign("tag of a call", &content);
        Uuid::from_bytes(std::array::from_fn(|byte| digest[byte])).to_string()
    }

    fn find(&self, id: &SyncedSecretId) -> Result<Arc<Record>, Error> {
        self.0.store.view().get(id).ok_or_else(|| self.absent(id))
    }

    /// That a name is not recorded is no answer while a lost database is still to be rebuilt.
    fn absent(&self, id: &SyncedSecretId) -> Error {
        match self.0.reconciler.is_rebuilding() {
            true => Cause::Rebuilding.into(),
            false => Cause::NoSyncedSecret(id.clone()).into(),
        }
    }

    /// A synced secret of ours.
    fn find_managed(&self, id: &SyncedSecretId) -> Result<Arc<Record>, Error> {
        let record = self.find(id)?;
        match record.secret.origin {
            Origin::Managed => Ok(record),
            Origin::Unmanaged => Err(Cause::Unmanaged(id.clone()).into()),
        }
    }

    /// The synced secret as it is now; as it was last known where it is gone.
    fn latest(&self, last_known: SyncedSecret) -> SyncedSecret {
        self.0.store.view().get_by_uid(last_known.uid).map_or(last_known, |record| record.secret.clone())
    }
}

// === impl NewReference ===

impl NewReference {
    /// The reference as the call records it that makes this generation.
    fn recorded_with(&self, generation: i64) -> Reference {
        let create_generation = if self.create.is_some() { generation } else { 0 };
        Reference { create_generation, ..self.reference.clone() }
    }
}

// === impl Call ===

impl Call {
    /// An audit event of this call that went well.
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
