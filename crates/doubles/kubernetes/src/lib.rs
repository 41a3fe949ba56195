//! The Kubernetes API double: a server on loopback with enough of the API for `kubectl`, client libraries and the
//! service.
//!
//! The README lists the deliberate differences from the real one.

mod auth;
mod checks;
mod control;
mod controllers;
mod crd;
mod decode;
mod delete;
mod discovery;
mod faults;
pub mod fields;
mod garbage;
mod journal;
mod kubeconfig;
mod lifecycle;
mod names;
mod object;
mod openapi;
mod patch;
mod protobuf;
mod read;
mod request;
mod resources;
mod reviews;
mod routes;
mod schema;
mod secret_content;
mod selectors;
mod status;
mod store;
mod table;
#[cfg(test)]
mod tests;
mod validation;
mod view;
mod watch;
mod write;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};

use axum_server::tls_rustls::{RustlsConfig, from_tcp_rustls};
use doubles_common::{
    disk::{Disk, DiskError},
    tls::{Authority, TlsError},
};
use parking_lot::Mutex;
use tokio::{sync::Notify, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use url::Url;

pub use doubles_common::faults::{AnyFault, Fault, FaultRule, FaultRules, Phase};

pub use self::{
    auth::{Policy, Rule, User},
    faults::{ClusterFault, OnResource, RequestInfo, ResourceMatch},
    store::Happened,
};
use self::{
    resources::{Builtin, Registry, Served},
    store::Store,
};

/// Where a cluster stores its state and listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Holds the state, the admin's token and the kubeconfig.
    pub directory: PathBuf,
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// The default namespace of the kubeconfig; it exists from the start, like `default` and `kube-system`.
    pub namespace: String,
}

/// A running API server.
pub struct Cluster {
    url: Url,
    kubeconfig: PathBuf,
    server: Arc<Server>,
    handle: axum_server::Handle<SocketAddr>,
    tasks: Vec<JoinHandle<()>>,
}

/// Why a cluster can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its state.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its port or its files.
    #[error("the Kubernetes double: {0}")]
    Io(#[from] io::Error),
}

/// The number of requests by verb and resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts(BTreeMap<(String, String), u64>);

/// The state that all requests share.
struct Server {
    store: Store,
    registry: Registry,
    policy: Policy,
    faults: Arc<FaultRules<ResourceMatch>>,
    counts: Mutex<RequestCounts>,
    /// Wakes the controllers.
    work: Notify,
    closing: CancellationToken,
    address: SocketAddr,
    ca_pem: String,
}

// === impl Cluster ===

impl Cluster {
    /// Starts a cluster with the state in its directory. It is serving when this returns.
    pub async fn start(options: Options, authority: &Authority) -> Result<Self, StartError> {
        std::fs::create_dir_all(&options.directory)?;
        let disk = Disk::open(&options.directory, "kubernetes").await?;
        Self::start_on(disk, options, authority).await
    }

    /// Starts a cluster that keeps its objects in memory only, so that it runs entirely on the caller's runtime.
    pub async fn start_in_memory(options: Options, authority: &Authority) -> Result<Self, StartError> {
        std::fs::create_dir_all(&options.directory)?;
        Self::start_on(Disk::nowhere()?, options, authority).await
    }

    async fn start_on(disk: Disk, options: Options, authority: &Authority) -> Result<Self, StartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, options.port))?;
        let address = listener.local_addr()?;
        let tls = authority.server(&["localhost", "kubernetes", "kubernetes.default.svc"])?;
        let store = Store::open(disk).await?;
        let server = Arc::new(Server {
            registry: Registry::new(&store),
            store,
            policy: Policy::default(),
            faults: Arc::default(),
            counts: Mutex::default(),
            work: Notify::new(),
            closing: CancellationToken::new(),
            address,
            ca_pem: authority.pem(),
        });
        let token = kubeconfig::admin_token(&options.directory)?;
        let groups = vec![auth::MASTERS.to_owned()];
        server.policy.add_token(&token, User { username: "admin".to_owned(), uid: String::new(), groups });
        let url = Url::parse(&format!("https://{address}")).expect("an address makes a valid URL");
        let kubeconfig =
            kubeconfig::write(&options.directory, &url, &authority.pem(), &token, &options.namespace)?;
        for namespace in ["default", "kube-system", &options.namespace] {
            controllers::ensure_namespace(&server, namespace).await;
        }
        controllers::round(&server).await;

        let handle = axum_server::Handle::new();
        let serving = from_tcp_rustls(listener, RustlsConfig::from_config(tls))?.handle(handle.clone());
        let tasks = vec![
            tokio::spawn(controllers::run(server.clone())),
            tokio::spawn(serve(serving, server.clone())),
        ];
        Ok(Self { url, kubeconfig, server, handle, tasks })
    }

    /// The URL of the API.
    pub fn url(&self) -> Url {
        self.url.clone()
    }

    /// The kubeconfig of the admin.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The fault rules.
    pub fn faults(&self) -> &FaultRules<ResourceMatch> {
        &self.server.faults
    }

    /// The users and their rights.
    pub fn policy(&self) -> &Policy {
        &self.server.policy
    }

    /// Calls `tell` for each change at the moment it is made. The first witness stays.
    pub fn witness(&self, tell: impl Fn(Happened<'_>) + Send + Sync + 'static) {
        self.server.store.witness(Box::new(tell));
    }

    /// The requests so far.
    pub fn requests(&self) -> RequestCounts {
        self.server.counts.lock().clone()
    }

    /// Stops at once: open watches end, and all answered writes are on disk.
    pub async fn stop(self) {
        self.server.closing.cancel();
        self.handle.graceful_shutdown(Some(std::time::Duration::from_millis(200)));
        for task in self.tasks {
            // A panicked task has stopped, too.
            let _ = task.await;
        }
        self.server.store.close().await;
    }
}

async fn serve(
    serving: axum_server::Server<SocketAddr, axum_server::tls_rustls::RustlsAcceptor>,
    server: Arc<Server>,
) {
    let service = tower::service_fn(move |request| routes::serve(server.clone(), request));
    let connections = tower::service_fn(move |_: SocketAddr| {
        let service = service.clone();
        async move { Ok::<_, Infallible>(service) }
    });
    if let Err(error) = serving.serve(connections).await {
        tracing::error!(%error, "the Kubernetes double stopped serving");
    }
}

// === impl RequestCounts ===

impl RequestCounts {
    /// The number of requests with a verb for a resource (in the plural).
    pub fn of(&self, verb: &str, resource: &str) -> u64 {
        self.0.get(&(verb.to_owned(), resource.to_owned())).copied().unwrap_or(0)
    }

    /// The number of requests for all resources but one (in the plural).
    pub fn but(&self, resource: &str) -> u64 {
        self.0.iter().filter(|((_, of), _)| of != resource).map(|(_, count)| count).sum()
    }

    /// The resources that were requested with a verb.
    pub fn resources(&self, verb: &str) -> impl Iterator<Item = &str> {
        self.0.keys().filter(move |(requested, _)| requested == verb).map(|(_, resource)| resource.as_str())
    }

    /// The number of all requests.
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn count(&mut self, verb: &str, resource: &str) {
        *self.0.entry((verb.to_owned(), resource.to_owned())).or_default() += 1;
    }
}

// === impl Server ===

impl Server {
    /// Reacts to a change of a resource.
    fn changed(&self, served: &Served) {
        if served.builtin() == Some(Builtin::Crd) {
            self.registry.rebuild(&self.store);
        }
        if matches!(served.builtin(), Some(Builtin::Crd | Builtin::Namespace)) {
            self.work.notify_one();
        }
    }

    /// Reacts to a step in the deletion of an object or of its owner.
    fn deleted(&self, served: &Served) {
        self.changed(served);
        // Its dependents may have to be deleted.
        self.work.notify_one();
    }
}
