//! The world of the soak: the doubles, which live through everything, and the ground on which the process starts again and again.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use doubles_common::tls::Authority;
use hyper_util::rt::TokioIo;
use key_vault_double::KeyVault;
use kubernetes_double::Cluster;
use secrecy::SecretString;
use secret_service::{model::SyncEngine, proto::secret_service_client::SecretServiceClient};
use secret_store_extension_double::Extension;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::Mutex, time::sleep};
use tonic::transport::{Channel, Endpoint};

use crate::{
    doubles::{self, Hand, Hands},
    failure,
    model::Ledger,
    plan::Plan,
    settings::INTERVAL,
    support::configuration::Configuration,
};

pub const NAMESPACE: &str = "azure-iot-operations";
/// What the Secret Store extension calls the vault.
pub const VAULT: &str = "contoso-aio";
/// How long a call, or its answer, may be on its way and wait for its turn on a busy machine.
const TRAVEL: Duration = Duration::from_millis(100);

/// What is there, and the plan until the next checkpoint.
#[derive(Clone)]
pub struct World {
    pub plan: Plan,
    pub ledger: Arc<Ledger>,
    pub vault: Arc<KeyVault>,
    pub cluster: Arc<Cluster>,
    /// Somebody else's way to the cluster.
    pub kube: kube::Client,
    extension: Arc<Mutex<Option<Extension>>>,
    hands: Hands,
    pub ca: PathBuf,
    directory: Arc<TempDir>,
    /// Where every process listens, one after the other.
    pub port: u16,
}

impl World {
    pub async fn start(plan: Plan) -> Self {
        let begun = Instant::now();
        let ledger = Arc::new(Ledger::new(move || begun.elapsed()));
        ledger.lock().travel = TRAVEL;
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let mut directory = tempfile::Builder::new().prefix("soak-").tempdir().expect("a directory");
        // Who looks for a cause needs it, however this ends.
        directory.disable_cleanup(true);
        std::fs::create_dir(directory.path().join("logs")).expect("a directory");
        let authority = Authority::load_or_create(directory.path()).expect("an authority");
        let vault = doubles::vault(&directory, &authority, &ledger).await;
        let hands = Hands::default();
        let cluster = doubles::cluster(&directory, &authority, &ledger, &hands).await;
        let kube = doubles::client(cluster.kubeconfig()).await;
        let extension = doubles::extension(plan.engine, &vault, &cluster, &kube, authority.path()).await;
        let world = Self {
            plan,
            ledger,
            vault: Arc::new(vault),
            cluster: Arc::new(cluster),
            kube,
            extension: Arc::new(Mutex::new(extension)),
            hands,
            ca: authority.path().to_owned(),
            directory: Arc::new(directory),
            port: port(),
        };
        world.configure();
        world
    }

    /// A connection of a caller, which lives through restarts: while the process is down, a call waits for it.
    pub fn client(&self) -> SecretServiceClient<Channel> {
        let port = self.port;
        let connector = tower::service_fn(move |_| async move {
            loop {
                match TcpStream::connect(("127.0.0.1", port)).await {
                    Ok(stream) => return Ok::<_, std::io::Error>(TokioIo::new(stream)),
                    Err(_) => sleep(Duration::from_millis(2)).await,
                }
            }
        });
        let endpoint = Endpoint::new(format!("http://127.0.0.1:{port}")).expect("an address");
        SecretServiceClient::new(endpoint.connect_with_connector_lazy(connector))
    }

    /// Says that somebody else is about to write a Secret, until the guard is dropped.
    pub fn hand(&self, name: &str) -> Hand {
        self.hands.at(name)
    }

    /// The vault's secrets of everybody; the last one is nobody's yet.
    pub async fn seed_vault(&self) {
        for number in 0..self.plan.vault_secrets - 1 {
            let value = SecretString::from(format!("seeded-{number}"));
            self.vault
                .seed(&format!("vault-{number}"), value, None, Default::default())
                .await
                .expect("a seed");
        }
    }

    /// All faults end. The extension starts anew: a watch of its own that has gone silent is not for the service to mend, and would
    /// stay so for minutes.
    pub async fn quieten(&self) {
        self.vault.faults().clear();
        self.cluster.faults().clear();
        let mut extension = self.extension.lock().await;
        if let Some(deaf) = extension.take() {
            deaf.stop().await;
            let (vault, cluster) = (&self.vault, &self.cluster);
            *extension = doubles::extension(self.plan.engine, vault, cluster, &self.kube, &self.ca).await;
        }
        self.ledger.say("all faults have ended");
    }

    /// Requests to the vault and to the cluster; those about the Lease come all the time, whatever else there is.
    pub fn requests(&self) -> (u64, u64) {
        (self.vault.requests().vault(), self.cluster.requests().but("leases"))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Leaves everything as it is, and tells what was found with the history of what it concerns.
    pub fn leave(&self, found: &[String]) -> String {
        failure::report(&self.ledger.lock(), found, self.directory.path())
    }

    pub fn remove(&self) {
        let _ = std::fs::remove_dir_all(self.directory.path());
    }

    /// The flags and the file of every start.
    fn configure(&self) {
        let configuration = Configuration {
            vault: &self.vault,
            ca: &self.ca,
            kubeconfig: self.cluster.kubeconfig(),
            namespace: NAMESPACE,
            directory: self.directory.path(),
            port: self.port,
            lines_of_vault: "",
            sync: &format!("interval = \"{}s\"\n", INTERVAL.as_secs()),
        };
        let configuration = configuration.text();
        std::fs::write(self.path("serve.toml"), configuration).expect("a file");
    }

    /// What comes besides the file.
    pub fn flags(&self) -> [String; 8] {
        let application = self.vault.credential();
        let engine = match self.plan.engine {
            SyncEngine::Direct => "direct",
            SyncEngine::SecretStore => "secret-store",
        };
        [
            "--sync-engine",
            engine,
            "--secret-store-client-id",
            &application.client_id,
            "--secret-store-tenant-id",
            &application.tenant_id,
            "--secret-store-vault-name",
            VAULT,
        ]
        .map(ToOwned::to_owned)
    }
}

/// A free port that no outgoing connection takes, for it is below those: the process comes back to it after each kill.
fn port() -> u16 {
    let free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let begin = 20_000 + (std::process::id() % 5_000) as u16;
    (begin..30_000).find(free).expect("a free port")
}
