//! Calls and outages while a rebuild waits or runs.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_waits_for_an_unreachable_cluster() {
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    needs!(the_double);
    let away = Fault::status(503, "ServiceUnavailable");
    world.cluster().faults().add(FaultRule::new(away));
    world.lose_database().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(all(&mut world).await.is_empty());
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_reported_absent_only_after_the_rebuild() {
    needs!(the_double);
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let away = Fault::status(503, "ServiceUnavailable");
    world.cluster().faults().add(FaultRule::new(away).resource("secrets"));
    world.lose_database().await;
    let refused = world.client.get_synced_secret(get("a")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "DATABASE_REBUILDING", "{refused:?}");
    let missing = DeleteSyncedSecretRequest { allow_missing: true, ..delete("a") };
    let refused = world.client.delete_synced_secret(missing.clone()).await.unwrap_err();
    assert_eq!((refused.code(), told(&refused).reason.as_str()), (Code::Unavailable, "DATABASE_REBUILDING"));
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    world.client.delete_synced_secret(missing).await.unwrap();
    assert_eq!(world.edge("a").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_does_not_revert_an_earlier_adoption() {
    let mut world = World::start_with(Options { rebuild: false, ..Options::default() }).await;
    for (name, value) in [("v", "x"), ("w", "y")] {
        world.seed(name, value).await;
    }
    let made = world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap();
    let mut made = made.into_inner();
    for description in ["one", "two", "three"] {
        let wanted = SyncedSecret { description: description.to_owned(), etag: String::new(), ..made };
        made =
            world.client.update_synced_secret(update(wanted, &["description"])).await.unwrap().into_inner();
    }
    world.lose_database().await;
    is_listed(&mut world, "a", "`secret-service rebuild`").await;
    // It is recorded, and the edge does not hold it yet.
    needs!(the_double);
    let hang = FaultRule::new(Fault::Hang).verb("patch");
    world.cluster().faults().add(hang);
    world.client.adopt_synced_secret(adopt("a", vec![existing("k", "w")])).await.unwrap();
    Store::request_rebuild(&world.directory().join("secret-service.db")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(world.get("a").await.references[0].vault_secret, vault_name("w"));
    world.cluster().faults().clear();
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap()["k"], "y");
}

/// Kinds that an API server serves late are waited for where Secrets say that there were some.
#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_the_extension_stay_its_own_although_its_kinds_are_served_late() {
    needs!(the_double, the_secret_store_engine);
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    world.options.is_auto = true;
    let missing = || Fault::status(404, "NotFound");
    for resource in ["secretsyncs", "secretproviderclasses"] {
        world.cluster().faults().add(FaultRule::new(missing()).resource(resource));
    }
    world.lose_database().await;
    tokio::time::sleep(Duration::from_secs(6)).await;
    let refused = world.client.get_synced_secret(get("a")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "DATABASE_REBUILDING", "{refused:?}");
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    let sync = world.syncs().get("a").await.unwrap();
    assert!(sync.metadata.deletion_timestamp.is_none(), "it was not handed over");
}

/// What is left alone beside it is told at the end, and not with every attempt.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_waits_for_the_extensions_kinds_records_nothing_meanwhile() {
    needs!(the_double, the_secret_store_engine);
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let labels = Some([(UID_LABEL.to_owned(), uuid::Uuid::new_v4().to_string())].into());
    let metadata = ObjectMeta { name: Some("theirs".to_owned()), labels, ..ObjectMeta::default() };
    let theirs = PostParams { field_manager: Some("kubectl".to_owned()), ..PostParams::default() };
    world.secrets().create(&theirs, &Secret { metadata, ..Secret::default() }).await.unwrap();
    let missing = || Fault::status(404, "NotFound");
    for resource in ["secretsyncs", "secretproviderclasses"] {
        world.cluster().faults().add(FaultRule::new(missing()).resource(resource));
    }
    world.lose_database().await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(audit(&mut world).await, [], "two attempts and more");
    world.cluster().faults().clear();
    world.until_state("a", State::Synced).await;
    is_listed(&mut world, "theirs", "not written by this service").await;
    let told = audit(&mut world).await.into_iter().filter(|event| event.action == "RebuildFromEdge").count();
    assert_eq!(told, 1);
}
