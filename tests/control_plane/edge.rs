//! The edge against the real API server, with no more rights than the documented role grants.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use secret_service::{
    edge::{CachedSecret, Desired, Edge, EdgeError, Index, Observed, Options, SECRET_RIGHTS, STORE_RIGHTS},
    model::{Encoding, Origin, Part, Reference, ReferenceStatus, State, SyncedSecret, VaultVersion},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{control_plane, until};

#[tokio::test]
async fn the_documented_role_is_sufficient_for_the_edge() {
    needs!(the_control_plane);
    let edge = connect("edge-role").await;
    let all = [SECRET_RIGHTS, STORE_RIGHTS[0], STORE_RIGHTS[1]];
    assert_eq!(edge.missing_rights(&all).await.unwrap(), Vec::<String>::new());
    edge.ping().await.unwrap();
    edge.check_namespace().await.unwrap();
    // It may ask; whether the kinds are there depends on the tests beside this one.
    edge.has_secret_store().await.unwrap();
}

#[tokio::test]
async fn a_synced_secret_is_written_seen_by_the_watch_and_removed() {
    needs!(the_control_plane);
    let (edge, index, stop) = (connect("edge-life").await, Index::new(), CancellationToken::new());
    let (changed, mut changes) = mpsc::channel(16);
    let watching = tokio::spawn(index.clone().run(edge.clone(), changed, stop.clone()));
    index.healthy().wait_for(|healthy| *healthy == Some(true)).await.unwrap();
    let secret = synced_secret("edp1secrets");
    edge.check_name(&secret.id).await.unwrap();
    assert!(matches!(edge.observe(&secret, None).await.unwrap(), Observed::Absent));

    let vault = Url::parse("https://contoso-aio.vault.azure.net").unwrap();
    let first = edge.apply(&desired(&secret, &vault, b"one"), None).await.unwrap();
    assert_eq!(changes.recv().await.unwrap(), "edp1secrets");
    until("the watch has seen it", async || index.get("edp1secrets") == CachedSecret::Present(first.clone()))
        .await;
    let second = edge.apply(&desired(&secret, &vault, b"two"), Some(&first.uid)).await.unwrap();
    assert_eq!(second.uid, first.uid);
    until("the watch has seen the change", async || {
        index.get("edp1secrets") == CachedSecret::Present(second.clone())
    })
    .await;
    match edge.observe(&secret, Some(&second.uid)).await.unwrap() {
        Observed::Ours { content, .. } => {
            let wanted = desired(&secret, &vault, b"two").content();
            assert!(content.as_bytes() == wanted.as_bytes(), "the edge doesn't hold what was written");
        }
        Observed::Absent | Observed::Foreign => panic!("it is ours"),
    }

    edge.remove(&secret.id, secret.uid, Some(&second.uid)).await.unwrap();
    until("the watch has seen the end", async || index.get("edp1secrets") == CachedSecret::Absent).await;
    stop.cancel();
    watching.await.unwrap();
}

#[tokio::test]
async fn a_foreign_secret_stays_unchanged() {
    needs!(the_control_plane);
    let edge = connect("edge-foreign").await;
    let vault = Url::parse("https://contoso-aio.vault.azure.net").unwrap();
    // The same name for two synced secrets.
    let (theirs, ours) = (synced_secret("taken"), synced_secret("taken"));
    let before = edge.apply(&desired(&theirs, &vault, b"theirs"), None).await.unwrap();

    let refused = edge.apply(&desired(&ours, &vault, b"ours"), None).await;
    assert!(matches!(refused, Err(EdgeError::Conflict { .. })), "{refused:?}");
    let replaced = Uuid::new_v4().to_string();
    let refused = edge.apply(&desired(&ours, &vault, b"ours"), Some(&replaced)).await;
    // Another Secret stands there than the one that we wrote.
    assert!(matches!(refused, Err(EdgeError::Conflict { .. })), "{refused:?}");
    edge.remove(&ours.id, ours.uid, None).await.unwrap();

    assert!(matches!(edge.observe(&ours, None).await.unwrap(), Observed::Foreign));
    match edge.observe(&theirs, Some(&before.uid)).await.unwrap() {
        Observed::Ours { written, .. } => assert_eq!(written, before),
        Observed::Absent | Observed::Foreign => panic!("it stays theirs"),
    }
}

async fn connect(namespace: &str) -> Edge {
    let kubeconfig = control_plane::shared().await.instance(namespace).await;
    let options = Options {
        kubeconfig: Some(kubeconfig),
        context: None,
        namespace: namespace.to_owned(),
        timeout: Duration::from_secs(10),
    };
    Edge::connect(&options).await.unwrap()
}

fn desired<'a>(secret: &'a SyncedSecret, vault: &'a Url, value: &[u8]) -> Desired<'a> {
    let version: VaultVersion = "0123456789abcdef0123456789abcdef".parse().unwrap();
    Desired::new(secret, vault, vec![(Zeroizing::new(value.to_vec()), version)]).unwrap()
}

fn synced_secret(id: &str) -> SyncedSecret {
    SyncedSecret {
        id: id.parse().unwrap(),
        uid: Uuid::new_v4(),
        description: String::new(),
        secret_type: "Opaque".parse().unwrap(),
        references: vec![Reference {
            key: "password".parse().unwrap(),
            vault_secret: "edp1-password".parse().unwrap(),
            version: None,
            encoding: Encoding::Utf8,
            part: Part::Whole,
            create_pending: false,
            create_generation: 0,
            status: ReferenceStatus::default(),
        }],
        labels: BTreeMap::new(),
        state: State::Pending,
        conditions: Vec::new(),
        users: Vec::new(),
        origin: Origin::Managed,
        create_time: Timestamp::now(),
        update_time: Timestamp::now(),
        sync_time: None,
        generation: 1,
        synced_generation: 0,
    }
}
