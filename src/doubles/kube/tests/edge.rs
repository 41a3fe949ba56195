//! The service's own edge against the double.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Fixture, NAMESPACE, path, secret};
use crate::{
    doubles::kube::{Fault, FaultRule},
    edge::{
        ACCOUNT_RIGHTS, Edge, EdgeError, Index, Leadership, Options, SECRET_RIGHTS, STORE_RIGHTS, Seen,
        Standing,
    },
};

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
    fixture.cluster.faults().add(FaultRule::always(Fault::NamespaceGone));
    assert_eq!(edge.ping().await, Err(EdgeError::NamespaceMissing(NAMESPACE.to_owned())));
}

#[tokio::test]
async fn the_index_follows_the_watch_through_its_expiry() {
    let fixture = Fixture::start().await;
    fixture.post(&path(""), &secret("a", "one")).await;
    let (index, stop) = (Index::new(), CancellationToken::new());
    let (sender, mut changed) = mpsc::channel(16);
    let running = tokio::spawn(index.clone().run(edge(&fixture).await, sender, stop.clone()));
    let mut next = async || tokio::time::timeout(Duration::from_secs(10), changed.recv()).await.unwrap();
    assert_eq!(next().await.as_deref(), Some("a"));
    fixture.post(&path(""), &secret("b", "one")).await;
    assert_eq!(next().await.as_deref(), Some("b"));
    fixture.cluster.faults().add(FaultRule::always(Fault::WatchExpired).times(1));
    fixture.delete(&path("a"), "").await;
    assert_eq!(next().await.as_deref(), Some("a"));
    assert_eq!(index.get("a"), Seen::Gone);
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
async fn of_many_who_take_the_lease_at_once_one_gets_it_and_the_others_know_who() {
    let fixture = Fixture::start().await;
    // Whoever asks gets an answer that is old by the time it writes.
    fixture
        .cluster
        .faults()
        .add(FaultRule::always(Fault::Delay { millis: 200 }).verb("update").resource("leases"));
    let mut candidates = Vec::new();
    for number in 0..8 {
        candidates.push(candidate(&fixture, format!("candidate-{number}")).await);
    }
    for _ in 0..3 {
        let known =
            async || candidates.iter().all(|one| !matches!(one.leadership.standing(), Standing::Unasked));
        super::eventually("a word for each", &known).await;
        super::eventually("a leader", async || candidates.iter().any(|one| one.leadership.is_leading()))
            .await;
        let holder = edge(&fixture).await.lease_holder("the-lease").await.unwrap().unwrap().identity;
        let follows = async || {
            candidates
                .iter()
                .filter(|one| !one.leadership.is_leading())
                .all(|one| one.leadership.standing() == Standing::StandingBy { holder: holder.clone() })
        };
        super::eventually("all others know who", &follows).await;
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
async fn a_lease_that_somebody_else_writes_themselves_into_is_lost_at_the_next_renewal() {
    let fixture = Fixture::start().await;
    let mine = candidate(&fixture, "mine".to_owned()).await;
    super::eventually("it leads", async || mine.leadership.is_leading()).await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/azure-iot-operations/leases/the-lease";
    let theirs = r#"{"spec":{"holderIdentity":"theirs"}}"#;
    assert_eq!(fixture.raw("PATCH", lease, "application/merge-patch+json", theirs).await.0, 200);
    super::eventually("it is lost", async || !mine.leadership.is_leading()).await;
    assert_eq!(mine.leadership.standing(), Standing::StandingBy { holder: "theirs".to_owned() });
    assert_eq!(mine.leadership.changes(), 1);
    // It was removed: nobody has it.
    assert_eq!(fixture.delete(lease, "").await.0, 200);
    super::eventually("it is taken anew", async || mine.leadership.is_leading()).await;
    assert_eq!(mine.leadership.standing(), Standing::Leading { term: 1 });
    mine.stop.cancel();
    mine.task.await.unwrap();
}
