//! The whole service, built from its settings: what `dev`, `serve`, the tests and the benchmarks run.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use super::{
    identity,
    lock::{Lock, LockError},
};
use crate::{
    access::{self, AccessControl},
    api::{self, Server, ServerError},
    edge::{self, Edge, EdgeError, Election, Index, Leadership, Usages},
    explain::Explain,
    model::Admission,
    quote::Quote,
    reconcile::{self, Reconciler},
    secrets::{self, Secrets},
    store::{self, Store, StoreError, StoreFault},
    vault::{self, Vault, VaultError},
};

/// How often readiness is checked. Changes of the watch on the cluster are noticed immediately.
const READINESS_INTERVAL: Duration = Duration::from_secs(3);
/// How long the database may take to answer a readiness check.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// Every step of the shutdown gets at least this long, even past the deadline.
const MIN_SHUTDOWN_STEP: Duration = Duration::from_secs(1);

/// The options of every part of the service.
pub struct Settings {
    /// The database file; its directory must exist.
    pub database: PathBuf,
    /// The instance that the database belongs to.
    pub instance: store::Instance,
    /// When and where to back up the database; `None` for no backups.
    pub backups: Option<store::Schedule>,
    /// The Key Vault.
    pub vault: vault::Options,
    /// The cluster.
    pub edge: edge::Options,
    /// The Lease that elects the leader.
    pub lease: edge::LeaseOptions,
    /// Usage tracking.
    pub usages: edge::UsageOptions,
    /// The reconciler.
    pub reconcile: reconcile::Options,
    /// Which synced secrets callers may create or adopt.
    pub admission: Admission,
    /// The use cases.
    pub secrets: secrets::Options,
    /// Authentication and authorization.
    pub access: access::Options,
    /// The gRPC server. Its `drain` limits the whole shutdown, not the calls alone.
    pub server: api::Options,
}

/// A service that holds its database and its sockets. It does nothing until [`Service::run`].
pub struct Service {
    store: Store,
    backups: Option<store::Schedule>,
    index: Index,
    reconciler: Reconciler,
    secrets: Secrets,
    access: AccessControl,
    server: Server,
    election: Election,
    ready: watch::Sender<bool>,
    drain: Duration,
    _lock: Lock,
}

/// Why the service could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process uses the same database.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The database can't be opened.
    #[error("{}: {error}", .path.display())]
    Store {
        /// The database file.
        path: PathBuf,
        /// Why not.
        error: StoreError,
    },
    /// The Key Vault client can't be created.
    #[error("{}", .0.explained())]
    Vault(VaultError),
    /// The Kubernetes client can't be created.
    #[error("{}", .0.explained())]
    Edge(EdgeError),
    /// The server can't listen.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why a running service stopped by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database file is no longer the one that was opened.
    #[error(
        "the database file was removed or replaced; restart the service to use the file that is there now"
    )]
    DatabaseReplaced,
    /// A part of the service stopped by itself.
    #[error("the {0} stopped unexpectedly; see the log")]
    PartEnded(&'static str),
    /// A part of the service panicked.
    #[error("a part of the service panicked: {}", Quote::error(.0))]
    PartPanicked(#[from] JoinError),
}

/// The parts that run concurrently.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Server,
    Reconciler,
    Readiness,
    Backups,
}

type Parts = JoinSet<Result<Part, RunError>>;

// === impl Service ===

impl Service {
    /// Opens the database and the sockets. Sends nothing to the vault and the cluster yet: either may be
    /// unreachable.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_with(settings, store::Options::default()).await
    }

    /// The same with options for the store.
    pub async fn start_with(settings: Settings, store: store::Options) -> Result<Self, StartError> {
        let Settings {
            database,
            instance,
            backups,
            vault,
            edge,
            lease,
            usages,
            reconcile,
            admission,
            secrets,
            access,
            server,
        } = settings;
        let lock = Lock::for_file(&database)?;
        let leadership = Leadership::new();
        let vault = Vault::connect_behind(&vault, leadership.fence().clone()).map_err(StartError::Vault)?;
        let edge = Edge::connect_behind(&edge, leadership).await.map_err(StartError::Edge)?;
        let drain = server.drain;
        let server = Server::bind(server).await?;
        let of_store = |error| StartError::Store { path: database.clone(), error };
        let store = Store::open_with(&database, store).await.map_err(of_store)?;
        store.belong_to(&instance).await.map_err(of_store)?;

        let identity =
            lease.identity.unwrap_or_else(|| identity::holder_identity(&database, &store.signer()));
        let position = Box::new({
            let store = store.clone();
            move || store.view().place().to_string()
        });
        let election = edge.election(&lease.name, identity, position);
        let index = Index::new();
        let seen = (index.clone(), Usages::new(edge.clone(), usages));
        let reconciler = Reconciler::new(store.clone(), vault.clone(), edge.clone(), seen, reconcile);
        let access = AccessControl::new(edge.clone(), access);
        let secrets = Secrets::new(store.clone(), vault, edge, reconciler.clone(), admission, secrets);
        let ready = watch::Sender::new(false);
        Ok(Self {
            store,
            backups,
            index,
            reconciler,
            secrets,
            access,
            server,
            election,
            ready,
            drain,
            _lock: lock,
        })
    }

    /// The TCP addresses that it listens on, with their actual ports.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// The address of the metrics endpoint.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.server.metrics_address()
    }

    /// Readiness: the database answers and the cluster is watched. The vault may be unreachable.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The use cases, for tests that call them without a socket.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Runs until `stop` is cancelled or a part fails. Then drains the work in flight and closes the
    /// database.
    pub async fn run(self, stop: CancellationToken) -> Result<(), RunError> {
        let Self {
            store,
            backups,
            index,
            reconciler,
            secrets,
            access,
            server,
            election,
            ready,
            drain,
            _lock,
        } = self;
        // The server stops before the rest: a call that is draining may still need the reconciler.
        let (stop_server, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let release_lease = CancellationToken::new();
        let mut election = AbortOnDropHandle::new(tokio::spawn(election.run(release_lease.clone())));
        let mut parts = Parts::new();
        let serving = server.run(secrets.clone(), access, ready.subscribe(), stop_server.clone());
        parts.spawn(async move { Ok(serving.await.map(|()| Part::Server)?) });
        let reconciling = reconciler.run(stop_rest.clone());
        parts.spawn(async move {
            reconciling.await;
            Ok(Part::Reconciler)
        });
        parts.spawn(watch_readiness(store.clone(), index, ready, stop_rest.clone()));
        if let Some(schedule) = backups {
            let backing_up = store.clone().keep_backups(schedule, stop_rest.clone());
            parts.spawn(async move {
                backing_up.await;
                Ok(Part::Backups)
            });
        }

        let mut result = tokio::select! {
            () = stop.cancelled() => Ok(()),
            ended = parts.join_next() => Err(unexpected_end(ended)),
            ended = &mut election => Err(ended.map_or_else(RunError::PartPanicked, |()| RunError::PartEnded("election"))),
        };
        stop_server.cancel();
        let deadline = Instant::now() + drain;
        if result.is_ok() {
            result = until_server_ended(&mut parts).await;
        }
        // One deadline for all steps: whoever stops the process knows `drain`, not its steps.
        let goes_on = "the next start continues with what is recorded";
        let mut is_drained = wait_until(deadline, secrets.drain(), "calls", goes_on).await;
        stop_rest.cancel();
        is_drained &= wait_until(deadline, all_ended(&mut parts), "syncs", goes_on).await;
        parts.shutdown().await;
        // A write that was cut off may still take effect. Then the Lease is kept until it expires.
        match is_drained {
            true => release_lease.cancel(),
            false => election.abort(),
        }
        wait_until(
            deadline,
            async { drop(election.await) },
            "requests for the Lease",
            "it expires by itself",
        )
        .await;
        wait_until(
            deadline,
            store.close(),
            "uses of the database",
            "the next start reads its write-ahead log",
        )
        .await;
        result
    }
}

/// Waits for work in flight until the deadline, and at least for [`MIN_SHUTDOWN_STEP`]. Returns whether it
/// finished.
async fn wait_until(deadline: Instant, end: impl Future<Output = ()>, what: &str, consequence: &str) -> bool {
    let ended = tokio::time::timeout_at(deadline.max(Instant::now() + MIN_SHUTDOWN_STEP), end).await.is_ok();
    if !ended {
        tracing::warn!("{what} were still in flight at shutdown; {consequence}");
    }
    ended
}

/// The error of a part that stopped without being asked to.
fn unexpected_end(ended: Option<Result<Result<Part, RunError>, JoinError>>) -> RunError {
    match ended {
        Some(Ok(Ok(part))) => RunError::PartEnded(part.name()),
        Some(Ok(Err(error))) => error,
        Some(Err(died)) => RunError::PartPanicked(died),
        None => RunError::PartEnded("service"),
    }
}

async fn until_server_ended(parts: &mut Parts) -> Result<(), RunError> {
    match parts.join_next().await.transpose()?.transpose()? {
        Some(Part::Server) | None => Ok(()),
        Some(part) => Err(RunError::PartEnded(part.name())),
    }
}

async fn all_ended(parts: &mut Parts) {
    while parts.join_next().await.is_some() {}
}

async fn watch_readiness(
    store: Store,
    index: Index,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
) -> Result<Part, RunError> {
    let (mut edge, mut fault, mut unfilled) = (index.healthy(), store.fault(), store.unfilled());
    loop {
        let answers = store.answers(DATABASE_TIMEOUT).await;
        let stands = *fault.borrow_and_update();
        if stands == Some(StoreFault::Lost) {
            return Err(RunError::DatabaseReplaced);
        }
        let database = answers && stands.is_none();
        let watched = *edge.borrow_and_update() == Some(true);
        // A lost database that is not rebuilt yet does not know what exists.
        let database = database && !*unfilled.borrow_and_update();
        if ready
            .send_if_modified(|ready| std::mem::replace(ready, database && watched) != (database && watched))
        {
            tracing::info!(ready = database && watched, database, edge = watched, "readiness has changed");
        }
        tokio::select! {
            _ = edge.changed() => {}
            _ = fault.changed() => {}
            _ = unfilled.changed() => {}
            () = tokio::time::sleep(READINESS_INTERVAL) => {}
            () = stop.cancelled() => return Ok(Part::Readiness),
        }
    }
}

// === impl Part ===

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Reconciler => "reconciler",
            Self::Readiness => "readiness check",
            Self::Backups => "backup schedule",
        }
    }
}
