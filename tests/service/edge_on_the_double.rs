//! The service's own edge, without the rest of it, against the Kubernetes double.

use std::time::Duration;

use doubles_common::tls::Authority;
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Secret};
use kube::{
    Api, Client, Config,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};
use kubernetes_double::{self as double, Cluster, ClusterFault, Fault, FaultRule, OnResource};
use secret_service::edge::{
    ACCOUNT_RIGHTS, CachedSecret, Edge, EdgeError, Index, LeaderState, Leadership, Options, SECRET_RIGHTS,
    STORE_RIGHTS,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::support::until_so;

const NAMESPACE: &str = "azure-iot-operations";

/// A cluster of its own, and the admin's client of it.
struct Fixture {
    cluster: Cluster,
    client: Client,
    _directory: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(directory.path()).unwrap();
        let options = double::Options {
            directory: directory.path().to_owned(),
            port: 0,
            namespace: NAMESPACE.to_owned(),
        };
        let cluster = Cluster::start(options, &authority).await.unwrap();
        let kubeconfig = Kubeconfig::read_from(cluster.kubeconfig()).unwrap();
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
        Self { cluster, client: config.try_into().unwrap(), _directory: directory }
    }

    fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    async fn create_secret(&self, name: &str) {
        let secret = serde_json::from_value(json!({ "metadata": { "name": name } })).unwrap();
        self.secrets().create(&PostParams::default(), &secret).await.unwrap();
    }
}

fn options(fixture: &Fixture) -> Options {
    Options {
        kubeconfig: Some(fixture.cluster.kubeconfig().to_owned()),
        context: None,
        namespace: NAMESPACE.to_owned(),
        timeout: Duration::from_secs(2),
    }
}

async fn edge(fixture: &Fixture) -> Edge {
    Edge::connect(&options(fixture)).await.unwrap()
}

#[tokio::test]
async fn the_admin_has_every_right_and_the_namespace_can_be_read() {
    let fixture = Fixture::start().await;
    let edge = edge(&fixture).await;
    let all = [SECRET_RIGHTS, STORE_RIGHTS[0], STORE_RIGHTS[1], ACCOUNT_RIGHTS];
    assert_eq!(edge.missing_rights(&all).await.unwrap(), Vec::<String>::new());
    edge.ping().await.unwrap();
    assert!(!edge.has_secret_store().await.unwrap());
    fixture.cluster.faults().add(FaultRule::new(ClusterFault::NamespaceGone));
    assert_eq!(edge.ping().await, Err(EdgeError::NamespaceMissing(NAMESPACE.to_owned())));
}

#[tokio::test]
async fn the_index_follows_the_watch_through_its_expiry() {
    let fixture = Fixture::start().await;
    fixture.create_secret("a").await;
    let (index, stop) = (Index::new(), CancellationToken::new());
    let (sender, mut changed) = mpsc::channel(16);
    let running = tokio::spawn(index.clone().run(edge(&fixture).await, sender, stop.clone()));
    let mut next = async || tokio::time::timeout(Duration::from_secs(10), changed.recv()).await.unwrap();
    assert_eq!(next().await.as_deref(), Some("a"));
    fixture.create_secret("b").await;
    assert_eq!(next().await.as_deref(), Some("b"));
    fixture.cluster.faults().add(FaultRule::new(ClusterFault::WatchExpired).times(1));
    fixture.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    assert_eq!(next().await.as_deref(), Some("a"));
    assert_eq!(index.get("a"), CachedSecret::Absent);
    stop.cancel();
    running.await.unwrap();
}

/// One who takes part in the election.
struct Candidate {
    leadership: Leadership,
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

async fn candidate(fixture: &Fixture, identity: String) -> Candidate {
    let (leadership, stop) = (Leadership::new(), CancellationToken::new());
    let edge = Edge::connect_behind(&options(fixture), leadership.clone()).await.unwrap();
    let task = tokio::spawn(edge.election("the-lease", identity, Box::new(String::new)).run(stop.clone()));
    Candidate { leadership, stop, task }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_candidates_one_acquires_the_lease_and_the_others_name_it() {
    let fixture = Fixture::start().await;
    // Whoever asks gets an answer that is old by the time it writes.
    fixture
        .cluster
        .faults()
        .add(FaultRule::new(Fault::latency(Duration::from_millis(200))).verb("update").resource("leases"));
    let mut candidates = Vec::new();
    for number in 0..8 {
        candidates.push(candidate(&fixture, format!("candidate-{number}")).await);
    }
    for _ in 0..3 {
        let known =
            async || candidates.iter().all(|one| !matches!(one.leadership.state(), LeaderState::Undecided));
        until_so("a word for each", &known).await;
        until_so("a leader", async || candidates.iter().any(|one| one.leadership.is_leading())).await;
        let holder = edge(&fixture).await.lease_holder("the-lease").await.unwrap().unwrap().identity;
        let follows = async || {
            candidates
                .iter()
                .filter(|one| !one.leadership.is_leading())
                .all(|one| one.leadership.state() == LeaderState::Standby { holder: holder.clone() })
        };
        until_so("all others know who", &follows).await;
        let leading = candidates.iter().filter(|one| one.leadership.is_leading()).count();
        assert_eq!(leading, 1, "{holder}");
        let place = candidates.iter().position(|one| one.leadership.is_leading()).unwrap();
        let leader = candidates.remove(place);
        leader.stop.cancel();
        leader.task.await.unwrap();
        assert!(!leader.leadership.is_leading());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_taken_by_another_holder_is_lost_at_the_next_renewal() {
    let fixture = Fixture::start().await;
    let mine = candidate(&fixture, "mine".to_owned()).await;
    until_so("it leads", async || mine.leadership.is_leading()).await;
    let theirs = Patch::Merge(json!({ "spec": { "holderIdentity": "theirs" } }));
    fixture.leases().patch("the-lease", &PatchParams::default(), &theirs).await.unwrap();
    until_so("it is lost", async || !mine.leadership.is_leading()).await;
    assert_eq!(mine.leadership.state(), LeaderState::Standby { holder: "theirs".to_owned() });
    assert_eq!(mine.leadership.changes(), 1);
    // It was removed: nobody has it.
    fixture.leases().delete("the-lease", &DeleteParams::default()).await.unwrap();
    until_so("it is taken anew", async || mine.leadership.is_leading()).await;
    assert_eq!(mine.leadership.state(), LeaderState::Leader { term: 1 });
    mine.stop.cancel();
    mine.task.await.unwrap();
}
