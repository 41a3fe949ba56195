//! Watches that fall silent: what happens is known within a minute all the same, whatever is watched.

use kube::api::DeleteParams;
use secret_service::model::SyncEngine;

use super::*;
use crate::support::{engine, until_so, until_so_within};

/// What happens meanwhile is known within this time.
const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn every_silent_watch_is_detected_within_a_minute() {
    needs!(the_double);
    let mut world = made(&["a", "b"]).await;
    used(&mut world, "pump", "a").await;
    let requests = world.cluster().requests();
    // Whatever the service watches, now or in a later release.
    let watched: Vec<&str> = requests.resources("watch").collect();
    let mut expected = vec!["secrets", "assetendpointprofiles", "dataflowendpoints"];
    if engine() == SyncEngine::SecretStore {
        expected.extend(["secretsyncs", "secretproviderclasses"]);
    }
    assert!(expected.iter().all(|resource| watched.contains(resource)), "{watched:?}");
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchDead).verb("watch"));
    let begun = Instant::now();
    // Nobody hears of any of these.
    world.secrets().delete("b", &DeleteParams::default()).await.unwrap();
    world.withdraws(PROFILE, "pump").await;
    world.applies(PROFILE, "valve", naming("b/username")).await;
    if engine() == SyncEngine::SecretStore {
        world.syncs().delete("a", &DeleteParams::default()).await.unwrap();
    }

    let is_listed = async |resource: &str| {
        let before = requests.of("list", resource);
        until_so_within(MINUTE, resource, async || world.cluster().requests().of("list", resource) > before)
            .await;
    };
    futures::future::join_all(watched.iter().map(|resource| is_listed(resource))).await;
    let took = begun.elapsed();
    assert!(took < MINUTE, "all was listed after {took:?}");
    let is_repaired = async || match engine() {
        SyncEngine::Direct => world.edge("b").await.is_some(),
        SyncEngine::SecretStore => world.syncs().get_opt("a").await.unwrap().is_some(),
    };
    until_so("what was deleted is written again", is_repaired).await;
    until_usages(&mut world, "a", <[_]>::is_empty).await;
    until_usages(&mut world, "b", |usages| usages.iter().any(|usage| usage.resource == "valve")).await;
    world.until("a", |secret| is_in_use(secret, "NotUsed")).await;
    world.until("b", |secret| is_in_use(secret, "Used")).await;
    // The extension's double has its own watches.
    world.cluster().faults().clear();
    for id in ["a", "b"] {
        until_so("the Secret is there", async || world.edge(id).await.is_some()).await;
    }
}
