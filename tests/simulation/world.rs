//! The world of a seed: the doubles, the gates before them, and one incarnation of the service after the other.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use doubles_common::tls::Authority;
use key_vault_double::KeyVault;
use kubernetes_double::Cluster;
use secrecy::{ExposeSecret, SecretString};
use secret_service::{
    access, api,
    cli::service::{Service, Settings},
    edge::{self, secret_store},
    proto::secret_service_client::SecretServiceClient,
    reconcile, secrets, store, vault,
};
use secret_store_extension_double::Extension;
use tempfile::TempDir;
use tokio::{
    runtime::Handle,
    sync::Notify,
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::{
    bystander,
    doubles::{self, Hand, Hands},
    gate::Gate,
    model::Ledger,
    partitions,
    plan::Plan,
};

pub const NAMESPACE: &str = "azure-iot-operations";
/// What the Secret Store extension calls the vault.
pub const VAULT: &str = "contoso-aio";
/// A killed service is started again after so long at least: by then, what it had begun has given up at the closed gates.
const DOWN: Duration = Duration::from_secs(15);

pub struct World {
    pub plan: Plan,
    pub ledger: Arc<Ledger>,
    pub vault: KeyVault,
    pub cluster: Cluster,
    /// Somebody else's way to the cluster, past the gates.
    pub kube: kube::Client,
    _extension: Option<Extension>,
    /// Callers come in here.
    pub front: Arc<Gate>,
    pub to_vault: Arc<Gate>,
    pub to_edge: Arc<Gate>,
    hands: Hands,
    state: Arc<Shared>,
    database: Handle,
    pub ca: PathBuf,
    directory: TempDir,
}

/// What the gates need to end the service.
struct Shared {
    running: Mutex<Option<Running>>,
    /// Pieces until the next kill; none where 0.
    until_kill: AtomicU64,
    /// No kill comes any more.
    spared: AtomicBool,
    gates: Mutex<Vec<Arc<Gate>>>,
    ledger: Arc<Ledger>,
    died: Notify,
    incarnation: AtomicUsize,
    root: PathBuf,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    home: PathBuf,
}

impl World {
    pub async fn start(plan: Plan, database: Handle) -> Arc<Self> {
        let begun = Instant::now();
        let ledger = Arc::new(Ledger::new(move || begun.elapsed()));
        // In some pieces, each of which may take its time.
        ledger.lock().travel = 4 * if plan.partitions.is_some() { partitions::SLOWEST } else { plan.latency };
        let directory = ground();
        let authority = Authority::load_or_create(directory.path()).expect("an authority");
        let vault = doubles::vault(&directory, &authority, &ledger).await;
        let hands = Hands::default();
        let cluster = doubles::cluster(&directory, &authority, &ledger, &hands).await;
        let state = Arc::new(Shared {
            running: Mutex::default(),
            until_kill: AtomicU64::new(0),
            spared: AtomicBool::new(false),
            gates: Mutex::default(),
            ledger: ledger.clone(),
            died: Notify::new(),
            incarnation: AtomicUsize::new(0),
            root: directory.path().to_owned(),
        });
        let gate = |name: &'static str| {
            let state = state.clone();
            Gate::start(plan.seed ^ name.len() as u64, move || state.passed())
        };
        let (front, to_vault, to_edge) =
            (gate("front").await, gate("to vault").await, gate("to the edge").await);
        state.gates.lock().expect("a lock").extend([front.clone(), to_vault.clone(), to_edge.clone()]);
        let kube = doubles::client(cluster.kubeconfig()).await;
        let world = Arc::new(Self {
            ca: authority.path().to_owned(),
            _extension: doubles::extension(plan.engine, &vault, &cluster, &kube, authority.path()).await,
            ledger,
            vault,
            cluster,
            kube,
            front,
            to_vault,
            to_edge,
            hands,
            state,
            database,
            directory,
            plan,
        });
        world.write_kubeconfig();
        if world.plan.no_first_list {
            bystander::install(&world.kube).await;
        }
        let home = world.home(0);
        std::fs::create_dir_all(&home).expect("a directory");
        world.start_service(home).await;
        world
    }

    /// A connection of a caller, which lives through restarts.
    pub fn client(&self) -> SecretServiceClient<Channel> {
        let endpoint = Endpoint::new(format!("http://{}", self.front.address)).expect("an address");
        SecretServiceClient::new(endpoint.connect_timeout(Duration::from_secs(5)).connect_lazy())
    }

    /// Says that somebody else is about to write a Secret, until the guard is dropped.
    pub fn hand(&self, name: &str) -> Hand {
        self.hands.at(name)
    }

    /// Kills the service in time, after so many pieces at the gates, and starts it again.
    pub async fn kill_after(&self, pieces: u64) {
        self.state.until_kill.store(pieces, Ordering::Relaxed);
        self.state.died.notified().await;
        self.start_again().await;
    }

    /// No kill comes any more; one that has come is followed by a start.
    pub fn spare(&self) {
        self.state.spared.store(true, Ordering::Relaxed);
    }

    pub async fn until_running(&self) {
        while self.state.running.lock().expect("a lock").is_none() {
            sleep(Duration::from_secs(1)).await;
        }
    }

    async fn start_again(&self) {
        sleep(DOWN).await;
        self.start_service(self.home(self.state.incarnation.load(Ordering::Relaxed))).await;
    }

    /// Stops the service in order, and starts it again.
    pub async fn restart(&self) {
        let Some(running) = self.state.running.lock().expect("a lock").take() else { return };
        self.ledger.say("the service is told to stop");
        running.stop.cancel();
        if running.task.await.is_err() {
            self.ledger.say("PANIC the service died while it stopped");
        }
        self.front.cut();
        self.start_service(running.home).await;
    }

    async fn start_service(&self, home: PathBuf) {
        self.to_vault.open(self.vault.address());
        let edge = self.cluster.url();
        let edge = edge.socket_addrs(|| None).expect("an address")[0];
        self.to_edge.open(edge);
        for gate in [&self.front, &self.to_vault, &self.to_edge] {
            gate.set_latency(self.plan.latency);
        }
        if self.plan.no_first_list {
            bystander::fail_the_first_list(&self.cluster);
        }
        let options = store::Options { inline: Some(self.database.clone()) };
        let service = Service::start_with(self.settings(&home), options).await.expect("the service starts");
        self.front.open(service.addresses()[0]);
        let (stop, ledger) = (CancellationToken::new(), self.ledger.clone());
        let task = tokio::spawn({
            let stop = stop.clone();
            async move {
                if let Err(error) = service.run(stop).await {
                    ledger.say(format!("PANIC the service has ended by itself: {error}"));
                }
            }
        });
        self.ledger.say("the service runs");
        *self.state.running.lock().expect("a lock") = Some(Running { stop, task, home });
    }

    fn home(&self, incarnation: usize) -> PathBuf {
        self.directory.path().join(format!("home-{incarnation}"))
    }

    fn write_kubeconfig(&self) {
        let text = std::fs::read_to_string(self.cluster.kubeconfig()).expect("a kubeconfig");
        let (real, gate) = (self.cluster.url().to_string(), format!("https://{}", self.to_edge.address));
        let text = text.replace(real.trim_end_matches('/'), &gate);
        std::fs::write(self.kubeconfig(), text).expect("a kubeconfig");
    }

    fn kubeconfig(&self) -> PathBuf {
        self.directory.path().join("kubeconfig-of-the-service")
    }

    fn settings(&self, home: &Path) -> Settings {
        let application = self.vault.credential();
        let uri: url::Url = format!("https://{}/", self.to_vault.address).parse().expect("an address");
        Settings {
            database: home.join("secret-service.db"),
            instance: store::Instance { vault: VAULT.to_owned(), namespace: NAMESPACE.to_owned() },
            backups: None,
            vault: vault::Options {
                uri: uri.clone(),
                credential: vault::Credential::ClientSecret {
                    tenant_id: application.tenant_id.clone(),
                    client_id: application.client_id.clone(),
                    secret: SecretString::from(application.secret.expose_secret()),
                },
                cloud: vault::Cloud::Custom { authority_host: uri },
                api_version: None,
                verify_challenge: false,
                ca_file: Some(self.ca.clone()),
                timeout: self.plan.vault_timeout,
                concurrency: 16,
                waiting: 2_048,
                requests_per_10s: None,
            },
            edge: edge::Options {
                kubeconfig: Some(self.kubeconfig()),
                context: None,
                namespace: NAMESPACE.to_owned(),
                timeout: self.plan.edge_timeout,
            },
            // A killed service goes on with what is left of its database, in the same place as far as anybody can tell.
            lease: edge::LeaseOptions {
                identity: Some("the service".to_owned()),
                ..edge::LeaseOptions::default()
            },
            reconcile: reconcile::Options {
                interval: self.plan.interval,
                jitter: 0.1,
                workers: self.plan.workers,
                engine: Some(self.plan.engine),
                secret_store: secret_store::Options {
                    client_id: Some(application.client_id.clone()),
                    tenant_id: Some(application.tenant_id.clone()),
                    vault_name: VAULT.to_owned(),
                    patience: Duration::from_secs(20),
                    ..secret_store::Options::default()
                },
                retention: store::Retention {
                    audit: Duration::from_secs(86_400),
                    ..store::Retention::default()
                },
                not_before: secret_service::model::NotBefore::Warn,
                rebuild: true,
                admission: Default::default(),
            },
            usages: bystander::usages(),
            admission: Default::default(),
            secrets: secrets::Options::default(),
            access: access::Options::local_only(),
            server: api::Options {
                listen: vec![api::Listen::Tcp("127.0.0.1:0".parse().expect("an address"))],
                tls: None,
                // It goes by a clock of its own.
                limits: api::Limits { calls_per_second: None, ..api::Limits::default() },
                metrics: None,
                reflection: false,
                grpc_web: false,
                allowed_origins: Vec::new(),
                console: None,
                drain: Duration::from_secs(5),
            },
        }
    }
}

// === impl Shared ===

impl Shared {
    /// A piece passes a gate.
    fn passed(&self) {
        let before = self.until_kill.load(Ordering::Relaxed);
        if before == 0 || self.spared.load(Ordering::Relaxed) {
            return;
        }
        self.until_kill.store(before - 1, Ordering::Relaxed);
        if before == 1 {
            self.kill();
        }
    }

    /// As a kill -9 at this very moment: the database stays as it is on disk, and nothing reaches anybody any more.
    fn kill(&self) {
        let Some(running) = self.running.lock().expect("a lock").take() else { return };
        for gate in self.gates.lock().expect("a lock").iter() {
            gate.close();
        }
        let incarnation = self.incarnation.fetch_add(1, Ordering::Relaxed) + 1;
        let home = self.root.join(format!("home-{incarnation}"));
        std::fs::create_dir_all(&home).expect("a directory");
        for file in ["secret-service.db", "secret-service.db-wal"] {
            // The log may not be there yet.
            let _ = std::fs::copy(running.home.join(file), home.join(file));
        }
        running.stop.cancel();
        let moment = self.ledger.moment();
        let mut inner = self.ledger.lock();
        inner.kills.push(moment);
        inner.trace.push((moment, "the service is killed".to_owned()));
        drop(inner);
        self.died.notify_one();
    }
}

// === what else there is ===

/// In memory, where the machine has a place for that: the database waits for its disk at every commit.
fn ground() -> TempDir {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let memory = Path::new("/dev/shm");
    let builder = tempfile::Builder::new();
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { builder.tempdir() };
    made.expect("a directory")
}
