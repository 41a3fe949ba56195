//! The Key Vault double: a server on loopback that behaves like Azure Key Vault's secrets and the certificates of some, with
//! an Entra tenant that knows one application. Tests can make it fail.
//!
//! # On the wire
//! TLS on 127.0.0.1, HTTP/1.1 and HTTP/2. The paths of Key Vault's secrets (`/secrets…`, `/deletedsecrets…`), and those that
//! read certificates (`/certificates/NAME…`); Entra's
//! `/TENANT/oauth2/v2.0/token` with its discovery documents; App Service's `/msi/token`; the instance metadata service's
//! `/metadata/identity/oauth2/token`, off until a test switches it on.
//!
//! On loopback all of this is at one address. Under Azure's own names, which [`doubles_common::proxy`] routes here,
//! `NAME.vault.azure.net` is only the vault, and its challenge, ids and links contain the same hosts as the real ones;
//! [`AUTHORITY_HOST`] is only Entra. The same holds for the names of each other [`Cloud`], whose tokens are worth nothing in the
//! others. The certificate has those names, too.
//!
//! # Control
//! In process: [`KeyVault::faults`], [`KeyVault::configure`], [`KeyVault::clock`], [`KeyVault::identity`]. Over the
//! wire, below `/.double/`, with the client secret in the header `x-double-key` or client id and secret as HTTP Basic:
//!
//! | request | does |
//! |---|---|
//! | `GET`, `POST`, `PUT`, `DELETE /.double/faults`, `DELETE /.double/faults/ID` | list, add, replace, clear and remove the [fault rules](doubles_common::faults) |
//! | `GET`, `PUT /.double/settings` | [`Settings`]; what a PUT leaves out takes its default |
//! | `GET /.double/requests` | [`RequestCounts`] |
//! | `POST /.double/clock` | `{"advanceSeconds": 90}` advances the clock |
//!
//! The `match` of a rule is an [`OperationMatch`]; besides the common faults there are those of [`VaultFault`]:
//! ```json
//! {"match": {"operation": "SecretSet", "name": "db-password"}, "times": 1, "phase": "after",
//!  "fault": {"kind": "status", "status": 503, "reason": "ServiceUnavailable", "retryAfterSeconds": 2}}
//! ```
//! Rules apply only to requests with a valid token.
//!
//! # State
//! In the directory: `vault.db` and `vault.key` (secrets, sealed), `vault-identity.json` (the application and the key
//! of its tokens, readable by the owner only). An answered write survives a kill -9. Rules, settings and an advanced clock
//! are not stored; a restart ends transitions.

mod apply;
mod assertion;
mod body;
mod certificate;
mod clock;
mod control;
mod entra;
mod faults;
mod federation;
mod hosts;
mod identity;
mod limits;
mod operation;
mod query;
mod reads;
mod refusal;
mod requests;
mod router;
mod secrets;
mod settings;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod throttle;
mod wire;
mod witness;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    future::ready,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum::response::Response;
use axum_server::{Handle, tls_rustls::RustlsConfig};
use doubles_common::{
    disk::{Disk, DiskError},
    faults::ConnectionReset,
    tls::{Authority, TlsError},
};
use parking_lot::{Mutex, RwLock};
use secrecy::SecretString;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::util::MapResult;
use url::Url;

pub use assertion::{Assertion, AssertionVerifier, CertificateVerifier, Rejected, UnusableCertificate};
pub use certificate::CertificateForm;
pub use clock::Clock;
pub use doubles_common::{
    Credential,
    faults::{AnyFault, Fault, FaultRule, FaultRules, Phase},
};
pub use faults::{OnOperation, OperationMatch, VaultFault};
pub use federation::{FEDERATED_AUDIENCE, FederatedIdentity, FederatedVerifier, UnusableIssuer};
pub use hosts::{AUTHORITY_HOST, Cloud, public_host};
pub use identity::Identity;
pub use operation::Operation;
pub use requests::{Issued, RequestCounts};
pub use secrets::{Seed, SeedError, Seeded};
pub use settings::Settings;
pub use throttle::Throttle;
pub use witness::{Happened, Version};

use shared::Shared;

/// How long a stop waits for requests in flight.
const GRACE: Duration = Duration::from_secs(2);

/// Where a double stores its state and listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its state; must exist.
    pub directory: PathBuf,
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// The minimum latency of requests to the vault; the token endpoint answers at once.
    pub latency: Duration,
}

/// Why a double doesn't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Its state.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// Its certificate.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Its identity.
    #[error("the identity of the Key Vault double: {0}")]
    Identity(#[source] io::Error),
    /// Its port.
    #[error("the Key Vault double can't listen on 127.0.0.1:{port}: {error}")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// A running double. Dropped, it stops at once; use [`KeyVault::stop`] to finish requests in flight.
pub struct KeyVault {
    shared: Arc<Shared>,
    address: SocketAddr,
    handle: Handle<SocketAddr>,
    server: Option<JoinHandle<io::Result<()>>>,
}

// === impl KeyVault ===

impl KeyVault {
    /// Starts a double with the state in its directory. It is serving when this returns.
    pub async fn start(options: Options, authority: &Authority) -> Result<Self, StartError> {
        let disk = Disk::open(&options.directory, "vault").await?;
        Self::start_on(disk, options, authority).await
    }

    /// Starts a double that keeps its secrets in memory only, so that it runs entirely on the caller's runtime.
    pub async fn start_in_memory(options: Options, authority: &Authority) -> Result<Self, StartError> {
        Self::start_on(Disk::nowhere()?, options, authority).await
    }

    async fn start_on(disk: Disk, options: Options, authority: &Authority) -> Result<Self, StartError> {
        let listening = |error| StartError::Listen { port: options.port, error };
        let identity = Identity::load_or_create(&options.directory).map_err(StartError::Identity)?;
        let vault = secrets::Vault::open(disk).await?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, options.port)).map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let latency_milliseconds = u64::try_from(options.latency.as_millis()).unwrap_or(u64::MAX);
        let shared = Arc::new(Shared {
            vault,
            identity,
            faults: Arc::default(),
            settings: RwLock::new(Settings { latency_milliseconds, ..Settings::default() }),
            counters: requests::Counters::default(),
            issued: Mutex::default(),
            clock: Clock::default(),
            bucket: throttle::Bucket::default(),
            changes: TaskTracker::new(),
            stopping: CancellationToken::new(),
            address: address.to_string(),
        });
        let handle = Handle::new();
        let names = hosts::certified();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let tls = RustlsConfig::from_config(authority.server(&names)?);
        let server = axum_server::from_tcp_rustls(listener, tls).map_err(listening)?.handle(handle.clone());
        let router = router::router(Arc::clone(&shared));
        let service =
            MapResult::new(router, |Ok(answer): Result<Response, Infallible>| ConnectionReset::check(answer));
        let connections = tower::service_fn(move |_: SocketAddr| ready(Ok::<_, Infallible>(service.clone())));
        let server = tokio::spawn(server.serve(connections));
        Ok(Self { shared, address, handle, server: Some(server) })
    }

    /// 127.0.0.1 and its port: the target for a proxy that routes Azure's names.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://127.0.0.1:PORT/`.
    pub fn uri(&self) -> Url {
        Url::parse(&format!("https://{}/", self.address)).expect("an address makes a URL")
    }

    /// The authority host, which issues tokens: the same server.
    pub fn authority_host(&self) -> Url {
        self.uri()
    }

    /// The App Service endpoint of the managed identity (`IDENTITY_ENDPOINT`); its header (`IDENTITY_HEADER`) is the client secret.
    pub fn identity_endpoint(&self) -> Url {
        self.uri().join("msi/token").expect("a constant path")
    }

    /// The application that the token endpoint knows.
    pub fn credential(&self) -> &Credential {
        self.shared.identity.credential()
    }

    /// The known identities; verifiers of client assertions are registered here.
    pub fn identity(&self) -> &Identity {
        &self.shared.identity
    }

    /// The fault rules.
    pub fn faults(&self) -> &FaultRules<OperationMatch> {
        &self.shared.faults
    }

    /// How the vault behaves.
    pub fn settings(&self) -> Settings {
        self.shared.settings()
    }

    /// Changes how the vault behaves, for requests that come from now on.
    pub fn configure(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.shared.settings.write());
    }

    /// The clock for tokens, transitions and timestamps of secrets.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Calls `tell` for each change, values included, at the moment it is made. The first witness stays.
    pub fn witness(&self, tell: impl Fn(Happened<'_>) + Send + Sync + 'static) {
        self.shared.vault.witness(Box::new(tell));
    }

    /// The number of requests by operation since it started.
    pub fn requests(&self) -> RequestCounts {
        self.shared.counters.snapshot()
    }

    /// Creates a secret if its name is free; never overwrites.
    pub async fn seed(
        &self,
        name: &str,
        value: SecretString,
        content_type: Option<String>,
        tags: BTreeMap<String, String>,
    ) -> Result<Seeded, SeedError> {
        let seed = Seed { name: name.to_owned(), value, content_type, tags, managed: false };
        Ok(self.seed_all(vec![seed]).await?[0])
    }

    /// Creates the secrets whose names are free in one transaction; returns a result for each, in order.
    pub async fn seed_all(&self, seeds: Vec<Seed>) -> Result<Vec<Seeded>, SeedError> {
        self.shared.vault.seed(seeds, &self.shared.clock).await
    }

    /// Sets whether the latest version of a secret is enabled, and when it expires (Unix seconds), if that is given.
    pub async fn set_attributes(
        &self,
        name: &str,
        is_enabled: bool,
        expires: Option<i64>,
    ) -> Result<(), SeedError> {
        self.shared.vault.set_attributes(name, is_enabled, expires, &self.shared.clock).await
    }

    /// Creates a certificate with its secret if the name is free: the key (PKCS#8) and the certificates of a PEM text, in any order.
    /// For tags, make a [`Seed::certificate`] and pass it to [`Self::seed_all`].
    pub async fn seed_certificate(
        &self,
        name: &str,
        pem: SecretString,
        form: CertificateForm,
    ) -> Result<Seeded, SeedError> {
        Ok(self.seed_all(vec![Seed::certificate(name, pem, form)?]).await?[0])
    }

    /// Adds a version to a certificate and its secret, in the form of the latest one, as Key Vault's own renewal does; returns the
    /// version's id.
    pub async fn renew_certificate(&self, name: &str, pem: SecretString) -> Result<String, SeedError> {
        self.shared.vault.renew(name, pem, &self.shared.clock).await
    }

    /// Where tokens were issued since it started, and what for, each once.
    pub fn issued(&self) -> BTreeSet<Issued> {
        self.shared.issued.lock().clone()
    }

    /// Stops: accepts no new requests, gives those in flight a moment, and completes changes in progress.
    pub async fn stop(mut self) {
        self.shared.stopping.cancel();
        self.handle.graceful_shutdown(Some(GRACE));
        if let Some(server) = self.server.take()
            && let Ok(Err(error)) = server.await
        {
            tracing::warn!(%error, "the Key Vault double ended with an error");
        }
        self.shared.changes.close();
        self.shared.changes.wait().await;
    }
}

impl Drop for KeyVault {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        self.handle.shutdown();
    }
}
