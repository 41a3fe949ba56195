//! The service as a whole, from its settings: what `dev`, `serve`, the tests and the benches run.

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
    model::Admission,
    quote::Quote,
    reconcile::{self, Reconciler},
    secrets::{self, Secrets},
    store::{self, Store, StoreError, StoreFault},
    vault::{self, Vault, VaultError},
};

/// How often readiness is looked at anew; a change of the watch over the edge is noticed at once.
const READINESS_EVERY: Duration = Duration::from_secs(3);
/// How long the database may take to answer before it counts as not answering.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// What takes longer than this when the time for the end is over is not waited for.
const MOMENT: Duration = Duration::from_secs(1);

/// All that one instance of the service needs to know.
pub struct Settings {
    /// The database file; its directory must exist.
    pub database: PathBuf,
    /// Whose synced secrets are recorded in it.
    pub instance: store::Instance,
    /// Backups of it, where any are to be made.
    pub backups: Option<store::Schedule>,
    /// The Key Vault.
    pub vault: vault::Options,
    /// The cluster.
    pub edge: edge::Options,
    /// The Lease whose holder acts for the instance.
    pub lease: edge::LeaseOptions,
    /// What uses synced secrets.
    pub usages: edge::UsageOptions,
    /// Syncing.
    pub reconcile: reconcile::Options,
    /// What synced secrets may be.
    pub admission: Admission,
    /// The use cases.
    pub secrets: secrets::Options,
    /// Who may call.
    pub access: access::Options,
    /// The gRPC server. Its `drain` is for all that is under way at the end, not for calls alone.
    pub server: api::Options,
}

/// A service that holds its database and its sockets, and does nothing until it runs.
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
    /// Another process works on the same database.
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
    /// The vault's client can't be made.
    #[error("{0}. {remedy}", remedy = .0.remedy())]
    Vault(VaultError),
    /// The cluster's client can't be made.
    #[error("{0}. {remedy}", remedy = .0.remedy())]
    Edge(EdgeError),
    /// The server can't listen.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Why a running service ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The server failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The database file is no longer the one that was opened.
    #[error("the database file was removed or replaced; the next start takes the one that is there then")]
    Lost,
    /// A part of the service ended by itself.
    #[error("the {0} has ended unasked; the log says why")]
    Ended(&'static str),
    /// A part of the service panicked.
    #[error("a part of the service has died: {}", Quote::error(.0))]
    Died(#[from] JoinError),
}

/// The parts that run side by side.
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
    /// Takes the database and the sockets. Neither the vault nor the cluster is asked for anything yet: either may be away.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        Self::start_with(settings, store::Options::default()).await
    }

    /// Takes the database and the sockets, with a store that works as the options say.
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
        let lock = Lock::beside(&database)?;
        let leadership = Leadership::new();
        let vault = Vault::connect_behind(&vault, leadership.fence().clone()).map_err(StartError::Vault)?;
        let edge = Edge::connect_behind(&edge, leadership).await.map_err(StartError::Edge)?;
        let drain = server.drain;
        let server = Server::bind(server).await?;
        let of_store = |error| StartError::Store { path: database.clone(), error };
        let store = Store::open_with(&database, store).await.map_err(of_store)?;
        store.belong_to(&instance).await.map_err(of_store)?;

        let identity = lease.identity.unwrap_or_else(|| identity::of(&database, &store.signer()));
        let place = Box::new({
            let store = store.clone();
            move || store.view().place().to_string()
        });
        let election = edge.election(&lease.name, identity, place);
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

    /// The TCP addresses that it listens on, with the ports that it got.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Where it serves metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.server.metrics_address()
    }

    /// Whether it can do its work: the database answers and the edge is watched. The vault may be away.
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// The use cases, for who calls them without a socket.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// Runs until told to stop, or until a part of it fails; ends what is under way and closes the database either way.
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
        // Callers first, then what works for them: a call that is being drained may still need the reconciler.
        let (stop_server, stop_rest) = (CancellationToken::new(), CancellationToken::new());
        let give_back = CancellationToken::new();
        let mut election = AbortOnDropHandle::new(tokio::spawn(election.run(give_back.clone())));
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
            ended = parts.join_next() => Err(unasked(ended)),
            ended = &mut election => Err(ended.map_or_else(RunError::Died, |()| RunError::Ended("election"))),
        };
        stop_server.cancel();
        let deadline = Instant::now() + drain;
        if result.is_ok() {
            result = until_server_ended(&mut parts).await;
        }
        // One time for all: whoever waits for the process to end knows `drain`, not what it consists of.
        let goes_on = "what is recorded goes on with the next start";
        let mut is_quiet = until(deadline, secrets.drain(), "calls", goes_on).await;
        stop_rest.cancel();
        is_quiet &= until(deadline, all_ended(&mut parts), "syncs", goes_on).await;
        parts.shutdown().await;
        // What was cut off may still take effect: then the Lease is kept until it expires.
        match is_quiet {
            true => give_back.cancel(),
            false => election.abort(),
        }
        until(deadline, async { drop(election.await) }, "requests about the Lease", "it expires by itself")
            .await;
        until(deadline, store.close(), "uses of the database", "the next start reads its write-ahead log")
            .await;
        result
    }
}

/// Waits for what is under way until the deadline, and a moment in any case.
///
/// Whether it has ended by then.
async fn until(deadline: Instant, end: impl Future<Output = ()>, what: &str, consequence: &str) -> bool {
    let ended = tokio::time::timeout_at(deadline.max(Instant::now() + MOMENT), end).await.is_ok();
    if !ended {
        tracing::warn!("{what} were still under way at the end; {consequence}");
    }
    ended
}

/// What it means that a part has ended that should not have.
fn unasked(ended: Option<Result<Result<Part, RunError>, JoinError>>) -> RunError {
    match ended {
        Some(Ok(Ok(part))) => RunError::Ended(part.name()),
        Some(Ok(Err(error))) => error,
        Some(Err(died)) => RunError::Died(died),
        None => RunError::Ended("service"),
    }
}

async fn until_server_ended(parts: &mut Parts) -> Result<(), RunError> {
    match parts.join_next().await.transpose()?.transpose()? {
        Some(Part::Server) | None => Ok(()),
        Some(part) => Err(RunError::Ended(part.name())),
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
            return Err(RunError::Lost);
        }
        let database = answers && stands.is_none();
        let watched = *edge.borrow_and_update() == Some(true);
        // A lost database that is not rebuilt yet knows nothing of what there is.
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
            () = tokio::time::sleep(READINESS_EVERY) => {}
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
            Self::Readiness => "watch over readiness",
            Self::Backups => "schedule of backups",
        }
    }
}
