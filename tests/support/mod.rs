//! What the tests share: the whole service in this process, on real sockets, between a Key Vault and a Kubernetes API of our
//! own on the wire.

// Each test binary uses its own part of this.
#![allow(dead_code, missing_docs)]

#[macro_use]
pub mod needs;

pub mod callers;
pub mod client_go;
pub mod configuration;
#[path = "control_plane/mod.rs"]
pub mod control_plane;
pub mod disk;
pub mod every_use;
pub mod issuer;
mod options;
pub mod requests;
pub mod script;
pub mod search;
mod site;
pub mod somebody;
pub mod users;
pub mod vault_client;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use doubles_common::tls::Authority;
use k8s_openapi::api::core::v1::Secret;
use key_vault_double::KeyVault;
use kube::{Api, Client, api::PatchParams};
use kubernetes_double::Cluster;
use needs::is_real;
use options::settings;
use secrecy::{ExposeSecret, SecretString};
use secret_service::{
    access, api,
    cli::service::{Service, Settings},
    edge::{
        self,
        secret_store::{self, SecretProviderClass, SecretSync},
    },
    model::{Admission, NotBefore, SyncEngine},
    proto::{
        ListAuditEventsRequest, ListSecretUsagesRequest, SecretReference, SyncedSecret,
        secret_service_client::SecretServiceClient, synced_secret::State,
    },
    reconcile, secrets, store, vault,
};
use secret_store_extension_double::{self as extension, Extension};
use somebody::Somebody;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};

pub use options::Options;
pub use site::Site;

pub const NAMESPACE: &str = "azure-iot-operations";
/// What the Secret Store extension calls the vault.
pub const VAULT: &str = "contoso-aio";
/// The variable that names the engine of the tests that choose none.
pub const ENGINE: &str = "SECRET_SERVICE_TESTS_ENGINE";
/// Nothing on loopback takes this long, also on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A site with a service in this process.
pub struct World {
    pub client: SecretServiceClient<Channel>,
    pub options: Options,
    site: Site,
    running: Option<Running>,
}

/// Another service on the site of a world, with a database of its own.
pub struct Beside {
    pub client: SecretServiceClient<Channel>,
    running: Running,
}

struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
    address: std::net::SocketAddr,
}

// === impl World ===

impl World {
    /// Everything up and ready.
    pub async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub async fn start_with(options: Options) -> Self {
        Self::start_on(Site::start().await, options).await
    }

    /// On a site that the test has made ready.
    pub async fn start_on(mut site: Site, options: Options) -> Self {
        if options.engine == SyncEngine::SecretStore && site.extension.is_none() {
            site.install_extension().await;
        }
        let running = run(settings(&site, &options)).await;
        let mut client = client(running.address);
        // What uses what is known before the test begins, where it can be: no change of it comes between those of the test.
        let usages = ListSecretUsagesRequest { parent: "syncedSecrets/-".to_owned(), ..Default::default() };
        let _ = tokio::time::timeout(Duration::from_secs(1), client.list_secret_usages(usages)).await;
        Self { client, running: Some(running), site, options }
    }

    /// With the vault secret `v` of this value, and synced secrets whose key `k` refers to it.
    pub async fn with_synced(mut self, ids: &[&str], value: &str) -> Self {
        self.seed("v", value).await;
        for id in ids {
            let made = self.create(id, vec![requests::existing("k", "v")]).await;
            assert_eq!(made.state(), State::Synced, "{made:?}");
        }
        self
    }

    /// Creates a synced secret, and waits for the edge.
    pub async fn create(&mut self, id: &str, references: Vec<SecretReference>) -> SyncedSecret {
        self.client.create_synced_secret(requests::create(id, references)).await.unwrap().into_inner()
    }

    /// Stops the service and starts it again on the same database.
    pub async fn restart(&mut self) {
        self.stop_service().await;
        self.start_service().await;
    }

    pub async fn stop_service(&mut self) {
        let running = self.running.take().expect("the service runs");
        running.stop.cancel();
        tokio::time::timeout(PATIENCE, running.task).await.expect("it stops in time").unwrap();
    }

    /// Stops the service and starts it again without its database.
    pub async fn lose_database(&mut self) {
        self.stop_service().await;
        self.remove_database();
        self.start_service().await;
    }

    /// Removes the database of a service that is stopped.
    pub fn remove_database(&self) {
        for file in std::fs::read_dir(self.site.directory()).unwrap() {
            let path = file.unwrap().path();
            if path.file_name().unwrap().to_string_lossy().starts_with("secret-service.db") {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    /// What is left once the service is stopped.
    pub fn into_site(self) -> Site {
        self.site
    }

    /// Ends the service as a kill -9 does, as far as one process can.
    pub async fn kill_service(&mut self) {
        let running = self.running.take().expect("the service runs");
        running.task.abort();
        let _ = running.task.await;
    }

    /// Starts another service, on another database.
    pub async fn beside(&self, database: &Path) -> Beside {
        self.beside_as(database, &self.site.kubeconfig).await
    }

    /// The same with another way to the cluster.
    pub async fn beside_as(&self, database: &Path, kubeconfig: &Path) -> Beside {
        let mut settings = settings(&self.site, &self.options);
        settings.database = database.to_owned();
        settings.edge.kubeconfig = Some(kubeconfig.to_owned());
        let running = run(settings).await;
        Beside { client: client(running.address), running }
    }

    pub async fn start_service(&mut self) {
        let running = run(settings(&self.site, &self.options)).await;
        self.client = client(running.address);
        self.running = Some(running);
    }

    /// Starts the service again, with another engine.
    pub async fn switch_engine(&mut self, engine: SyncEngine) {
        self.stop_service().await;
        self.start_service_with(engine).await;
    }

    pub async fn start_service_with(&mut self, engine: SyncEngine) {
        if engine == SyncEngine::SecretStore && self.site.extension.is_none() {
            self.site.install_extension().await;
        }
        self.options.engine = engine;
        self.start_service().await;
    }

    /// Stops the double of the Secret Store extension.
    pub async fn stop_extension(&mut self) {
        self.site.extension.take().expect("the extension runs").stop().await;
    }

    pub fn address(&self) -> std::net::SocketAddr {
        self.running.as_ref().expect("the service runs").address
    }

    /// Another connection to the service.
    pub async fn channel(&self) -> Channel {
        let endpoint = tonic::transport::Endpoint::new(format!("http://{}", self.address())).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// The synced secret, as Get shows it.
    pub async fn get(&mut self, id: &str) -> SyncedSecret {
        self.client.get_synced_secret(requests::get(id)).await.unwrap().into_inner()
    }

    /// Waits until a synced secret is as wanted.
    pub async fn until(&mut self, id: &str, wanted: impl Fn(&SyncedSecret) -> bool) -> SyncedSecret {
        until(&mut self.client, id, wanted).await
    }

    /// The actions in the audit about a synced secret.
    pub async fn actions(&self, id: &str) -> Vec<String> {
        let request = ListAuditEventsRequest {
            resource: requests::name(id),
            page_size: 500,
            ..ListAuditEventsRequest::default()
        };
        let answer = self.client.clone().list_audit_events(request).await.unwrap().into_inner();
        answer.audit_events.into_iter().map(|event| event.action).collect()
    }

    /// What the audit holds about a resource, newest first: actions with their outcomes.
    pub async fn audit_of(&self, resource: &str) -> Vec<String> {
        let resource = resource.to_owned();
        let request = ListAuditEventsRequest { resource, ..ListAuditEventsRequest::default() };
        let answer = self.client.clone().list_audit_events(request).await.unwrap().into_inner();
        let told = |event: secret_service::proto::AuditEvent| format!("{} {}", event.action, event.outcome);
        answer.audit_events.into_iter().map(told).collect()
    }

    /// Waits until there is no such synced secret.
    pub async fn until_gone(&mut self, id: &str) {
        let client = &mut self.client;
        let is_gone = async || client.get_synced_secret(requests::get(id)).await.is_err();
        until_so(&format!("{id} is gone"), is_gone).await;
    }

    pub async fn until_state(&mut self, id: &str, state: State) -> SyncedSecret {
        self.until(id, |secret| secret.state() == state).await
    }
}

// === impl Beside ===

impl Beside {
    pub fn address(&self) -> std::net::SocketAddr {
        self.running.address
    }

    pub async fn stop(self) {
        self.running.stop.cancel();
        tokio::time::timeout(PATIENCE, self.running.task).await.expect("it stops in time").unwrap();
    }
}

impl std::ops::Deref for World {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.site
    }
}

/// Edits as a person does with `kubectl patch`.
pub fn kubectl() -> PatchParams {
    PatchParams { field_manager: Some("kubectl-patch".to_owned()), ..PatchParams::default() }
}

/// Waits until something is so.
pub async fn until_so(what: &str, is_so: impl AsyncFnMut() -> bool) {
    until_so_within(PATIENCE, what, is_so).await;
}

/// Waits until something is so, and fails after a while.
pub async fn until_so_within(patience: Duration, what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < patience, "never so: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until a synced secret is there and as wanted.
pub async fn until(
    client: &mut SecretServiceClient<Channel>,
    id: &str,
    wanted: impl Fn(&SyncedSecret) -> bool,
) -> SyncedSecret {
    let begun = tokio::time::Instant::now();
    loop {
        let answer = client.get_synced_secret(requests::get(id)).await;
        match answer {
            Ok(secret) if wanted(secret.get_ref()) => return secret.into_inner(),
            Ok(_) => {}
            // What others made at the edge is recorded a moment later, and so is what a lost database knew.
            Err(ref refusal) => {
                let is_rebuilding = requests::told(refusal).reason == "DATABASE_REBUILDING";
                assert!(is_rebuilding || refusal.code() == Code::NotFound, "{refusal:?}");
            }
        }
        assert!(begun.elapsed() < PATIENCE, "{id} never came to be as wanted: {answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The engine that the environment asks for; the direct one where it doesn't.
pub fn engine() -> SyncEngine {
    match std::env::var(ENGINE).as_deref() {
        Err(_) | Ok("direct") => SyncEngine::Direct,
        Ok("secret-store") => SyncEngine::SecretStore,
        Ok(other) => panic!("{ENGINE}={other}: it is secret-store, or direct"),
    }
}

/// What the service itself writes of a synced secret at the edge.
pub fn written() -> &'static str {
    match engine() {
        SyncEngine::Direct => "secrets",
        SyncEngine::SecretStore => "secretsyncs",
    }
}

async fn run(settings: Settings) -> Running {
    let service = Service::start(settings).await.unwrap();
    let (address, stop, mut ready) = (service.addresses()[0], CancellationToken::new(), service.ready());
    let task = tokio::spawn({
        let stop = stop.clone();
        async move { service.run(stop).await.unwrap() }
    });
    // As those who call it through Kubernetes wait; a test may have taken something of it away.
    let _ = tokio::time::timeout(Duration::from_secs(1), ready.wait_for(|ready| *ready)).await;
    Running { stop, task, address }
}

/// Connects with the first call.
fn client(address: std::net::SocketAddr) -> SecretServiceClient<Channel> {
    let endpoint = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap();
    SecretServiceClient::new(endpoint.connect_lazy())
}
