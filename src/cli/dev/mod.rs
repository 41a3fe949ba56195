//! `secret-service dev`: the service on loopback with doubles of Key Vault and Kubernetes. Not for
//! production.

mod crds;
mod data;
mod doubles;
mod endpoints;
mod seeds;

use std::{collections::BTreeSet, env, net::SocketAddr, path::PathBuf, time::Duration};

use doubles_common::tls::Authority;
use tokio_util::sync::CancellationToken;

use super::{
    CommandError, memory,
    service::{Service, Settings},
    signals,
};
use crate::{
    access,
    api::{ConsoleOptions, Limits, Listen, Options as ServerOptions},
    edge::{self, secret_store},
    model::{Admission, NotBefore, SyncEngine},
    reconcile, secrets, store,
    telemetry::{self, Format},
    vault,
};
use data::DataDirectory;
use doubles::Doubles;
use endpoints::Endpoints;

/// The namespace of the instance, as Azure IoT Operations names it.
const NAMESPACE: &str = "azure-iot-operations";
/// Prefixes of environment variables that indicate production: a pod, or a real vault.
const PRODUCTION: [&str; 4] =
    ["KUBERNETES_SERVICE_HOST", "SECRET_SERVICE_VAULT_URI", "AZURE_KEYVAULT", "AZURE_KEY_VAULT"];
/// How long calls in flight may take at shutdown.
const DRAIN: Duration = Duration::from_secs(10);
/// Retention of audit events.
const RETENTION: Duration = Duration::from_secs(365 * 86_400);
/// Deadline of a call to a double, including injected faults and latency.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Try the service on this machine, without Azure or a cluster
///
/// Starts a simulated Key Vault and a simulated Kubernetes API on loopback, creates sample secrets in the
/// vault and resources that name secrets in the cluster, and serves gRPC (plaintext, with gRPC-Web, health and
/// reflection) and the console, a web page. All state is kept in the data directory and survives a restart.
/// Once the service is ready, DATA_DIR/dev.json lists all addresses and files.
///
/// Not for production: everyone who can reach the port may do everything.
#[derive(Debug, clap::Args)]
pub struct Dev {
    /// Loopback address for gRPC. Port 0 picks a free port
    #[arg(
        long,
        env = "SECRET_SERVICE_DEV_LISTEN",
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:50051"
    )]
    listen: SocketAddr,
    /// Directory for the database and the simulators' state. Created if it does not exist
    #[arg(
        long,
        env = "SECRET_SERVICE_DEV_DATA_DIR",
        value_name = "DIRECTORY",
        default_value = ".secret-service"
    )]
    data_dir: PathBuf,
    /// Latency of the simulated vault, in milliseconds
    #[arg(
        long,
        env = "SECRET_SERVICE_DEV_VAULT_LATENCY_MS",
        value_name = "MILLISECONDS",
        default_value_t = 0
    )]
    vault_latency_ms: u64,
    /// Name of the vault: clients that use the proxy reach it as https://NAME.vault.azure.net
    #[arg(long, env = "SECRET_SERVICE_DEV_VAULT_NAME", value_name = "NAME", default_value = "contoso-aio", value_parser = vault_name)]
    vault_name: String,
    /// How often to check the vault for new versions, for example "30s" or "5m"
    #[arg(long, env = "SECRET_SERVICE_DEV_INTERVAL", value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    interval: Duration,
    /// Which engine writes the Kubernetes Secrets
    #[arg(
        long,
        env = "SECRET_SERVICE_DEV_ENGINE",
        value_name = "ENGINE",
        default_value = "direct",
        value_enum
    )]
    engine: Engine,
    /// Origin of a web page that may call (gRPC-Web), for example http://localhost:8080. Repeatable
    #[arg(long, env = "SECRET_SERVICE_DEV_ALLOWED_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    allowed_origin: Vec<String>,
}

/// Which engine writes the Kubernetes Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Engine {
    /// The service writes them
    Direct,
    /// The Secret Store extension writes them; a simulated one runs with the cluster
    SecretStore,
}

impl From<Engine> for SyncEngine {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Direct => Self::Direct,
            Engine::SecretStore => Self::SecretStore,
        }
    }
}

// === impl Dev ===

impl Dev {
    /// Runs until a signal stops it.
    pub async fn run(self) -> Result<(), CommandError> {
        let _logging = telemetry::start(Format::Text, "info").map_err(CommandError::usage)?;
        memory::protect();
        let set = env::vars_os().filter(|(_, value)| !value.is_empty());
        refuse_in_production(self.listen, set.filter_map(|(name, _)| name.into_string().ok()))?;
        signals::run_until_signal(async |stop| self.serve(stop).await).await.map_err(CommandError::failed)?
    }

    async fn serve(self, stop: CancellationToken) -> Result<(), CommandError> {
        let data = DataDirectory::open(&self.data_dir)?;
        let authority = Authority::load_or_create(data.path()).map_err(CommandError::failed)?;
        let doubles = Doubles::start(&self, &data, &authority).await?;
        let ended = self.serve_with(&data, &authority, &doubles, stop).await;
        data.unpublish();
        doubles.stop().await;
        ended
    }

    async fn serve_with(
        &self,
        data: &DataDirectory,
        authority: &Authority,
        doubles: &Doubles,
        stop: CancellationToken,
    ) -> Result<(), CommandError> {
        let service =
            Service::start(self.settings(data, authority, doubles)).await.map_err(CommandError::failed)?;
        let (address, mut ready) = (service.addresses().first().copied(), service.ready());
        let announced = async {
            // The doubles run. If the service does not get ready, the log says why, and this waits.
            if ready.wait_for(|ready| *ready).await.is_ok() {
                let grpc = address.unwrap_or(self.listen);
                Endpoints::of(data, authority, doubles, &self.vault_name, grpc)?.announce(data)?;
            }
            Ok::<(), CommandError>(())
        };
        let running = async { service.run(stop).await.map_err(CommandError::failed) };
        tokio::try_join!(running, announced).map(|_| ())
    }

    fn settings(&self, data: &DataDirectory, authority: &Authority, doubles: &Doubles) -> Settings {
        let credential = doubles.vault.credential().clone();
        Settings {
            database: data.database(),
            // The vault's port can change between runs.
            instance: store::Instance { vault: "dev".to_owned(), namespace: NAMESPACE.to_owned() },
            backups: None,
            vault: vault::Options {
                uri: doubles.vault.uri(),
                credential: vault::Credential::ClientSecret {
                    tenant_id: credential.tenant_id,
                    client_id: credential.client_id,
                    secret: credential.secret,
                },
                cloud: vault::Cloud::Custom { authority_host: doubles.vault.authority_host() },
                api_version: None,
                verify_challenge: false,
                ca_file: Some(authority.path().to_owned()),
                timeout: TIMEOUT,
                concurrency: 32,
                waiting: 2_048,
                requests_per_10s: None,
            },
            edge: edge::Options {
                kubeconfig: Some(doubles.cluster.kubeconfig().to_owned()),
                context: None,
                namespace: NAMESPACE.to_owned(),
                timeout: TIMEOUT,
            },
            lease: edge::LeaseOptions::default(),
            reconcile: reconcile::Options {
                interval: self.interval,
                jitter: 0.1,
                workers: 8,
                engine: Some(self.engine.into()),
                secret_store: secret_store::Options {
                    client_id: Some(doubles.vault.credential().client_id.clone()),
                    tenant_id: Some(doubles.vault.credential().tenant_id.clone()),
                    vault_name: self.vault_name.clone(),
                    ..secret_store::Options::default()
                },
                retention: store::Retention { audit: RETENTION, ..store::Retention::default() },
                not_before: NotBefore::Warn,
                rebuild: true,
                admission: Admission::default(),
            },
            usages: edge::UsageOptions::default(),
            admission: Admission::default(),
            secrets: secrets::Options::default(),
            access: access::Options::local_only(),
            server: ServerOptions {
                listen: vec![Listen::Tcp(self.listen)],
                tls: None,
                limits: Limits::default(),
                metrics: None,
                reflection: true,
                grpc_web: true,
                allowed_origins: self.allowed_origin.clone(),
                console: Some(ConsoleOptions::default()),
                drain: DRAIN,
            },
        }
    }
}

/// Dev mode has no authentication, so it must neither be reachable from other machines nor run beside a real
/// instance.
fn refuse_in_production(
    listen: SocketAddr,
    environment: impl Iterator<Item = String>,
) -> Result<(), CommandError> {
    if !listen.ip().is_loopback() {
        let text = format!(
            "--listen {listen}: dev mode has no authentication, so it listens on loopback only, for example \
             127.0.0.1:50051"
        );
        return Err(CommandError::usage(text));
    }
    let present: BTreeSet<String> =
        environment.filter(|name| PRODUCTION.iter().any(|production| name.starts_with(production))).collect();
    if !present.is_empty() {
        let names = present.into_iter().collect::<Vec<_>>().join(", ");
        let text = format!(
            "dev mode must not run in production, but {names} is set. Use `secret-service serve`, or unset it"
        );
        return Err(CommandError::usage(text));
    }
    Ok(())
}

/// Azure's rule for the names of vaults.
fn vault_name(name: &str) -> Result<String, &'static str> {
    let good = (3..=24).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--")
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let rule = "3 to 24 letters, digits and single hyphens, a letter first, no hyphen last";
    good.then(|| name.to_ascii_lowercase()).ok_or(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(listen: &str, environment: &[&str]) -> Option<String> {
        let environment = environment.iter().map(ToString::to_string);
        refuse_in_production(listen.parse().unwrap(), environment).err().map(|failure| failure.to_string())
    }

    #[test]
    fn dev_mode_listens_on_loopback_only() {
        assert_eq!(refused("127.0.0.1:50051", &["HOME"]), None);
        assert_eq!(refused("[::1]:0", &[]), None);
        for elsewhere in ["0.0.0.0:50051", "[::]:50051", "192.168.1.2:50051"] {
            assert!(refused(elsewhere, &[]).unwrap().contains("loopback only"));
        }
    }

    #[test]
    fn dev_mode_refuses_to_run_where_a_real_vault_or_a_cluster_is_configured() {
        for name in ["KUBERNETES_SERVICE_HOST", "SECRET_SERVICE_VAULT_URI", "AZURE_KEYVAULT_URL"] {
            assert!(refused("127.0.0.1:0", &["HOME", name]).unwrap().contains(name));
        }
    }

    #[test]
    fn a_vault_name_follows_azures_rules() {
        assert_eq!(vault_name("Contoso-AIO").as_deref(), Ok("contoso-aio"));
        for bad in ["ab", "7-pumps", "pump-", "pump--7", "pump.7", &"a".repeat(25)] {
            assert!(vault_name(bad).is_err(), "{bad}");
        }
    }
}
