//! How a test's service is configured.

use super::*;

/// What a test may choose.
#[derive(Clone)]
pub struct Options {
    /// Between rotation checks: long, so that a test that doesn't ask for it sees none.
    pub interval: Duration,
    pub vault_timeout: Duration,
    /// Requests to the vault that may wait for their turn.
    pub vault_waiting: usize,
    pub edge_timeout: Duration,
    pub limits: api::Limits,
    pub usages: edge::UsageOptions,
    /// What synced secrets may be.
    pub admission: Admission,
    /// Who may call: everybody on this machine, where nothing is chosen.
    pub access: access::Options,
    /// The use cases.
    pub secrets: secrets::Options,
    pub tls: Option<api::Tls>,
    pub console: Option<api::ConsoleOptions>,
    pub allowed_origins: Vec<String>,
    /// Port 0 takes any free one, and another after a restart.
    pub listen: std::net::SocketAddr,
    /// As whom the service comes to the vault: the application with its secret, where nothing is chosen.
    pub credential: Option<vault::Credential>,
    /// How new synced secrets reach the edge.
    pub engine: SyncEngine,
    /// Whether the service finds out the engine by itself.
    pub is_auto: bool,
    /// How long the Secret Store extension may be silent.
    pub patience: Duration,
    /// Whether the extension's identity is read from the instance's default class.
    pub finds_identity: bool,
    /// Whether certificates are read from the Secrets that the extension wrote.
    pub read_certificates: bool,
    /// What becomes of versions that are not valid yet.
    pub not_before: NotBefore,
    /// Whether a new database is filled with what the edge holds.
    pub rebuild: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(3_600),
            vault_timeout: Duration::from_secs(5),
            vault_waiting: 2_048,
            edge_timeout: Duration::from_secs(5),
            limits: api::Limits::default(),
            usages: edge::UsageOptions::default(),
            admission: Admission::default(),
            access: access::Options::local_only(),
            // What a test asks for is what it has just ordered.
            secrets: secrets::Options { vault_check_lifetime: Duration::ZERO, ..secrets::Options::default() },
            tls: None,
            console: None,
            allowed_origins: Vec::new(),
            listen: "127.0.0.1:0".parse().unwrap(),
            credential: None,
            engine: engine(),
            is_auto: false,
            patience: PATIENCE,
            finds_identity: false,
            read_certificates: false,
            not_before: NotBefore::default(),
            rebuild: true,
        }
    }
}

pub(super) fn settings(site: &Site, options: &Options) -> Settings {
    let credential = options.credential.clone().unwrap_or_else(|| {
        let application = site.vault.credential();
        vault::Credential::ClientSecret {
            tenant_id: application.tenant_id.clone(),
            client_id: application.client_id.clone(),
            secret: SecretString::from(application.secret.expose_secret()),
        }
    });
    Settings {
        database: site.directory().join("secret-service.db"),
        instance: store::Instance { vault: site.vault.uri().to_string(), namespace: site.namespace.clone() },
        backups: None,
        vault: vault::Options {
            uri: site.vault.uri(),
            credential,
            cloud: vault::Cloud::Custom { authority_host: site.vault.authority_host() },
            api_version: None,
            verify_challenge: false,
            ca_file: Some(site.ca.clone()),
            timeout: options.vault_timeout,
            concurrency: 16,
            waiting: options.vault_waiting,
            requests_per_10s: None,
        },
        edge: edge::Options {
            kubeconfig: Some(site.kubeconfig.clone()),
            context: None,
            namespace: site.namespace.clone(),
            timeout: options.edge_timeout,
        },
        lease: edge::LeaseOptions::default(),
        reconcile: reconcile::Options {
            interval: options.interval,
            jitter: 0.1,
            workers: 8,
            engine: (!options.is_auto).then_some(options.engine),
            secret_store: secret_store::Options {
                client_id: (!options.finds_identity).then(|| site.vault.credential().client_id.clone()),
                tenant_id: (!options.finds_identity).then(|| site.vault.credential().tenant_id.clone()),
                vault_name: VAULT.to_owned(),
                patience: options.patience,
                read_certificates: options.read_certificates,
                ..secret_store::Options::default()
            },
            retention: store::Retention { audit: Duration::from_secs(86_400), ..store::Retention::default() },
            not_before: options.not_before,
            rebuild: options.rebuild,
            admission: options.admission.clone(),
        },
        usages: options.usages.clone(),
        admission: options.admission.clone(),
        secrets: options.secrets,
        access: options.access.clone(),
        server: api::Options {
            listen: vec![api::Listen::Tcp(options.listen)],
            tls: options.tls.clone(),
            limits: options.limits.clone(),
            metrics: None,
            reflection: true,
            grpc_web: true,
            allowed_origins: options.allowed_origins.clone(),
            console: options.console.clone(),
            drain: Duration::from_secs(5),
        },
    }
}
