//! The service's own edge against the double.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Fixture, NAMESPACE, path, secret};
use crate::{
    doubles::kube::{Fault, FaultRule},
    edge::{ACCOUNT_RIGHTS, Edge, EdgeError, Index, Options, SECRET_RIGHTS, STORE_RIGHTS, Seen},
};

async fn edge(fixture: &Fixture) -> Edge {
    let options = Options {
        kubeconfig: Some(fixture.cluster.kubeconfig().to_owned()),
        context: None,
        namespace: NAMESPACE.to_owned(),
        timeout: Duration::from_secs(2),
    };
    Edge::connect(&options).await.unwrap()
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
