//! A restart finds what it left, and repairs what changed meanwhile.

use super::*;

/// Lists of a resource come late, so that others are there first.
fn late(resource: &str) -> FaultRule<ResourceMatch> {
    FaultRule::new(Fault::latency(Duration::from_millis(700))).verb("list").resource(resource)
}

#[tokio::test]
async fn a_restart_writes_nothing_before_it_has_seen_both_lists() {
    needs!(the_double);
    let mut world = with_one(engine()).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    for resource in ["secretproviderclasses", "secretsyncs"] {
        world.cluster().faults().add(late(resource));
        world.restart().await;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before, "{resource}");
        world.cluster().faults().clear();
    }
}

#[tokio::test]
async fn a_pair_deleted_during_downtime_is_recreated_even_if_its_list_is_late() {
    needs!(the_double);
    let mut world = with_one(engine()).await;
    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    world.classes().delete("edp1", &DeleteParams::background()).await.ok();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    world.cluster().faults().add(late("secretsyncs"));
    world.start_service().await;
    until_edge(&world, "edp1", "username", "operator").await;
}

#[tokio::test]
async fn a_restart_keeps_everything_and_repairs_drift_from_the_downtime() {
    let mut world = with_one(engine()).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    world.restart().await;
    assert_eq!(world.get("edp1").await.state(), State::Synced);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before, "nothing was written");

    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    world.start_service().await;
    until_edge(&world, "edp1", "username", "operator").await;
    until_secret(&mut world.client, "edp1", |secret| secret.state() == State::Synced).await;
}
