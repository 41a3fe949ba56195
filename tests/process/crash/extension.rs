//! The same in the Secret Store engine: between the class and the SecretSync, between these and the record, and after it, while the
//! extension works or has answered.

use std::time::Duration;

use key_vault_double::Operation;
use kube::{ResourceExt, api::ListParams};
use secret_service::proto::{SyncedSecret, synced_secret::State};
use secret_store_extension_double::Extension;

use super::{Point, is_complete, killed_at, pair};
use crate::{
    process::Process,
    rebuild::lose_database,
    support::{PATIENCE, Site, requests::*, until},
};

/// What comes before any of the pair is written, and on the way to the record of it.
const WRITES: [Point; 5] = [
    Point::Edge("patch", "secretproviderclasses", false),
    Point::Edge("patch", "secretproviderclasses", true),
    Point::Edge("patch", "secretsyncs", false),
    Point::Edge("patch", "secretsyncs", true),
    // The extension asks the vault: what it was given is recorded.
    Point::Vault(Operation::SecretGet, false),
];
/// The extension has answered, and the service looks at the Secret. A create looks there for the first time before it is recorded.
const LOOK: Point = Point::Edge("get", "secrets", false);
/// In the order in which a deletion comes to them.
const DELETES: [Point; 6] = [
    Point::Edge("delete", "secrets", false),
    Point::Edge("delete", "secrets", true),
    Point::Edge("delete", "secretsyncs", false),
    Point::Edge("delete", "secretsyncs", true),
    Point::Edge("delete", "secretproviderclasses", false),
    Point::Edge("delete", "secretproviderclasses", true),
];

async fn site() -> Site {
    let mut site = Site::start().await;
    site.install_extension().await;
    site
}

/// Calls, and kills the process at the point. The extension may hang there too, so it is started anew.
async fn killed<T: Send + 'static>(
    site: &mut Site,
    process: Process,
    point: Point,
    call: impl Future<Output = Result<T, tonic::Status>> + Send + 'static,
) {
    // The garbage collector may be faster than the service, and leave it no class to delete, which the SecretSync owns.
    let is_owned = matches!(point, Point::Edge("delete", "secretproviderclasses", _));
    let comes_there = killed_at(site, process, point, call).await || is_owned;
    assert!(comes_there, "{point:?}: the call never came there");
    site.extension.take().expect("it runs").stop().await;
    site.extension = Some(Extension::start(site.extension_options()).await.unwrap());
}

/// There is one class and one SecretSync, which owns the class and the Secret; the Secret's uid.
async fn one_pair(site: &Site, point: Point) -> String {
    let syncs = site.syncs().list(&ListParams::default()).await.unwrap().items;
    let classes = site.classes().list(&ListParams::default()).await.unwrap().items;
    let names: Vec<_> = syncs.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["edp1secrets"], "{point:?}");
    let names: Vec<_> = classes.iter().map(ResourceExt::name_any).collect();
    assert_eq!(names, ["edp1secrets"], "{point:?}");
    let secret = site.secrets().get("edp1secrets").await.unwrap();
    for owners in [classes[0].owner_references(), secret.owner_references()] {
        let uids: Vec<_> = owners.iter().map(|owner| Some(owner.uid.clone())).collect();
        assert_eq!(uids, [syncs[0].uid()], "{point:?}");
    }
    secret.uid().unwrap()
}

async fn until_edge(site: &Site, point: Point, username: &str) {
    let begun = tokio::time::Instant::now();
    while site.edge("edp1secrets").await.is_none_or(|edge| edge["username"] != username) {
        assert!(begun.elapsed() < PATIENCE, "{point:?}: {username} never reached the edge");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_killed_anywhere_leaves_one_pair_whether_it_is_retried_or_not() {
    for point in WRITES {
        for is_retried in [false, true] {
            let mut site = site().await;
            let process = Process::serve_in("secret-store", &site).await;
            let (mut client, request) = (process.client.clone(), pair());
            killed(&mut site, process, point, {
                let request = request.clone();
                async move { client.create_synced_secret(request).await }
            })
            .await;

            let mut process = Process::serve_in("secret-store", &site).await;
            if is_retried {
                let made = process.client.create_synced_secret(request).await;
                let made = made.unwrap_or_else(|status| panic!("{point:?}: {status}")).into_inner();
                assert_eq!(made.state(), State::Synced, "{point:?}: {made:?}");
            }
            until(&mut process.client, "edp1secrets", |secret| secret.state() == State::Synced).await;
            assert!(is_complete(&site, &[["alice-1", "secret-1"]]).await, "{point:?}");
            one_pair(&site, point).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_and_a_rotation_that_are_killed_end_in_sync_in_the_same_secret() {
    for point in WRITES.into_iter().chain([LOOK]) {
        let mut site = site().await;
        let mut process = Process::serve_in("secret-store", &site).await;
        let made = process.client.create_synced_secret(pair()).await.unwrap().into_inner();
        let uid = one_pair(&site, point).await;

        let mut client = process.client.clone();
        let wanted = SyncedSecret { description: "changed".to_owned(), etag: String::new(), ..made };
        let request = update(wanted, &["description"]);
        killed(&mut site, process, point, async move { client.update_synced_secret(request).await }).await;
        let process = Process::serve_in("secret-store", &site).await;
        let mut client = process.client.clone();
        let secret = until(&mut client, "edp1secrets", |secret| secret.synced_generation == 2).await;
        assert_eq!((secret.description.as_str(), secret.state()), ("changed", State::Synced), "{point:?}");
        assert_eq!(one_pair(&site, point).await, uid, "{point:?}");

        let before = secret.references[0].synced_version.clone();
        killed(&mut site, process, point, async move {
            client.add_vault_secret_version(add_version("edp1-username", "alice-2")).await?;
            client.sync_synced_secret(sync("edp1secrets")).await
        })
        .await;
        assert!(is_complete(&site, &[["alice-1", "secret-1"], ["alice-2", "secret-1"]]).await, "{point:?}");
        let mut process = Process::serve_in("secret-store", &site).await;
        let is_rotated = |secret: &SyncedSecret| {
            secret.state() == State::Synced && secret.references[0].synced_version != before
        };
        until(&mut process.client, "edp1secrets", is_rotated).await;
        until_edge(&site, point, "alice-2").await;
        assert_eq!(one_pair(&site, point).await, uid, "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_that_is_killed_anywhere_leaves_nothing_of_the_pair() {
    for point in DELETES {
        let mut site = site().await;
        let mut process = Process::serve_in("secret-store", &site).await;
        process.client.create_synced_secret(pair()).await.unwrap();
        let mut client = process.client.clone();
        let call = async move { client.delete_synced_secret(delete("edp1secrets")).await };
        killed(&mut site, process, point, call).await;

        let process = Process::serve_in("secret-store", &site).await;
        let mut client = process.client.clone();
        let gone = async {
            while client.get_synced_secret(get("edp1secrets")).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{point:?}: never deleted"));
        assert!(site.syncs().list(&ListParams::default()).await.unwrap().items.is_empty(), "{point:?}");
        assert!(site.classes().list(&ListParams::default()).await.unwrap().items.is_empty(), "{point:?}");
        assert!(site.edge("edp1secrets").await.is_none(), "{point:?}");
        assert_eq!(site.somebody.reads("edp1-password").await, "secret-1", "the vault is not touched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_killed_anywhere_and_loses_its_database_is_rebuilt_from_the_edge() {
    for point in WRITES {
        let mut site = site().await;
        let process = Process::serve_in("secret-store", &site).await;
        let mut client = process.client.clone();
        killed(&mut site, process, point, async move { client.create_synced_secret(pair()).await }).await;
        lose_database(&site).await;

        let mut process = Process::serve_in("secret-store", &site).await;
        if site.syncs().get_opt("edp1secrets").await.unwrap().is_some() {
            until(&mut process.client, "edp1secrets", |secret| secret.state() == State::Synced).await;
            assert!(is_complete(&site, &[["alice-1", "secret-1"]]).await, "{point:?}");
            one_pair(&site, point).await;
        } else {
            tokio::time::sleep(Duration::from_secs(2)).await;
            process.client.get_synced_secret(get("edp1secrets")).await.unwrap_err();
        }
    }
}
