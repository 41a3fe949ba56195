//! The API over real sockets, with the generated client and the use cases over a real database. There is no vault
//! and no cluster: tests/service tests what needs them.

mod life;
mod limits;
mod lists;
mod metrics;
mod refusals;
mod watches;
mod web;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::{Status, transport::Channel};
use uuid::Uuid;

use super::{Limits, Listen, Options, Server, ServerError};
use crate::{
    access::{self, AccessControl},
    edge::{self, Edge, Index, UsageOptions, Usages, secret_store},
    model::{Admission, NotBefore, State, SyncEngine, SyncedSecret, UsageRules},
    proto::secret_service_client::SecretServiceClient,
    reconcile::{self, Reconciler},
    secrets::{self, Secrets},
    store::{self, Record, Store},
    vault::{self, Vault},
};

/// The use cases over an empty database.
pub(super) struct House {
    pub(super) secrets: Secrets,
    pub(super) access: AccessControl,
    pub(super) store: Store,
    pub(super) directory: TempDir,
}

/// A running server over a house.
struct Running {
    house: House,
    address: SocketAddr,
    metrics: Option<SocketAddr>,
    ready: watch::Sender<bool>,
    stop: CancellationToken,
    task: JoinHandle<Result<(), ServerError>>,
}

pub(super) async fn house() -> House {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    house_over(store, directory).await
}

async fn house_over(store: Store, directory: TempDir) -> House {
    let vault = Vault::connect(&vault::Options::of_tests());
    let kubeconfig = directory.path().join("kubeconfig");
    let text = "{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], \
                clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}], users: [{name: u, user: {token: t}}]}";
    std::fs::write(&kubeconfig, text).unwrap();
    let cluster = edge::Options {
        kubeconfig: Some(kubeconfig),
        context: None,
        namespace: "azure-iot-operations".into(),
        timeout: Duration::from_secs(1),
    };
    let options = reconcile::Options {
        interval: Duration::from_secs(300),
        jitter: 0.0,
        workers: 1,
        engine: Some(SyncEngine::Direct),
        secret_store: secret_store::Options::default(),
        retention: store::Retention { audit: Duration::from_secs(3_600), ..store::Retention::default() },
        not_before: NotBefore::Warn,
        rebuild: false,
        admission: Admission::default(),
    };
    let (vault, edge) = (vault.unwrap(), Edge::connect(&cluster).await.unwrap());
    let usages = UsageOptions { rules: UsageRules::none(), ..UsageOptions::default() };
    let seen = (Index::new(), Usages::new(edge.clone(), usages));
    let reconciler = Reconciler::new(store.clone(), vault.clone(), edge.clone(), seen, options);
    let access = AccessControl::new(edge.clone(), access::Options::local_only());
    let (admission, options) = (Admission::default(), secrets::Options::default());
    let secrets = Secrets::new(store.clone(), vault, edge, reconciler, admission, options);
    House { secrets, access, store, directory }
}

fn options() -> Options {
    Options {
        listen: vec![Listen::Tcp("127.0.0.1:0".parse().unwrap())],
        tls: None,
        limits: Limits::default(),
        metrics: None,
        reflection: true,
        grpc_web: true,
        allowed_origins: vec!["https://console.example".into()],
        console: None,
        drain: Duration::from_secs(10),
    }
}

async fn serve(change: impl FnOnce(&mut Options)) -> Running {
    serve_house(house().await, change).await
}

async fn serve_house(house: House, change: impl FnOnce(&mut Options)) -> Running {
    let mut options = options();
    change(&mut options);
    let server = Server::bind(options).await.unwrap();
    let address = server.addresses().first().copied().unwrap_or_else(|| "127.0.0.1:0".parse().unwrap());
    let metrics = server.metrics_address();
    let (ready, receiver) = watch::channel(true);
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(house.secrets.clone(), house.access.clone(), receiver, stop.clone()));
    Running { house, address, metrics, ready, stop, task }
}

pub(super) fn secret(id: &str) -> SyncedSecret {
    SyncedSecret { description: String::new(), ..SyncedSecret::example(id) }
}

// === impl House ===

impl House {
    async fn insert(&self, secret: SyncedSecret) {
        let mut transaction = self.store.begin().await.unwrap();
        transaction.insert(Record::new(secret, SyncEngine::Direct)).await.unwrap();
        transaction.commit().await.unwrap();
    }

    async fn update(&self, secret: &SyncedSecret, state: State) -> SyncedSecret {
        let mut transaction = self.store.begin().await.unwrap();
        let mut record = transaction.current(secret.uid).unwrap();
        record.secret.state = state;
        let secret = record.secret.clone();
        transaction.update(record).await.unwrap();
        transaction.commit().await.unwrap();
        secret
    }

    async fn remove(&self, secret: &SyncedSecret) {
        let mut transaction = self.store.begin().await.unwrap();
        let record = transaction.current(secret.uid).unwrap();
        transaction.remove(&record).await.unwrap();
        transaction.commit().await.unwrap();
    }
}

// === impl Running ===

impl Running {
    async fn channel(&self) -> Channel {
        Channel::from_shared(format!("http://{}", self.address)).unwrap().connect().await.unwrap()
    }

    async fn client(&self) -> SecretServiceClient<Channel> {
        SecretServiceClient::new(self.channel().await)
    }
}

/// The reason of a status; every status of ours has one.
fn reason(status: &Status) -> String {
    use tonic_types::StatusExt;
    let info = status.get_details_error_info();
    let info = info.unwrap_or_else(|| panic!("no ErrorInfo in {status:?}"));
    assert_eq!(info.domain, super::DOMAIN);
    info.reason
}

fn violated_fields(status: &Status) -> Vec<String> {
    use tonic_types::StatusExt;
    let violations = status.get_details_bad_request().map(|details| details.field_violations);
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}
