//! What is in use is neither deleted nor robbed of a key, also where the use comes at the last moment.

use secret_service::proto::{DeleteSyncedSecretRequest, UpdateSyncedSecretRequest, synced_secret::State};
use tonic::Code;

use super::*;

#[tokio::test]
async fn a_forced_deletion_succeeds_and_the_audit_names_the_uses() {
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());
    let detail = audited(&mut world, "a", "DeleteSyncedSecret").await.unwrap();
    assert!(
        detail.contains("Forced") && detail.contains(&format!("AssetEndpointProfile p ({USERNAME})")),
        "{detail}"
    );
    assert!(usages(&mut world, "a").await[0].secret_missing);
}

#[tokio::test]
async fn a_use_that_appears_before_the_removal_blocks_the_deletion_until_it_ends() {
    needs!(the_double);
    let mut world = made(&["a"]).await;
    // The last look before the removal fails for a while: time for somebody.
    world.cluster().faults().add(FaultRule::new(refused(503)).verb("list").resource("devices"));
    let request = DeleteSyncedSecretRequest { wait: None, ..delete("a") };
    let accepted = world.client.delete_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(accepted.state(), State::Deleting);
    world.applies(PROFILE, "late", naming("a/username")).await;
    world.cluster().faults().clear();

    let held = world.until("a", |secret| synced_reason(secret) == "Used").await;
    assert_eq!(held.state(), State::Deleting);
    assert!(is_in_use(&world.until("a", |secret| is_in_use(secret, "Used")).await, "Used"));
    assert!(world.edge("a").await.is_some());
    let detail = audited(&mut world, "a", "DeletionHeld").await.unwrap();
    assert!(detail.contains("AssetEndpointProfile late"), "{detail}");
    // A restart changes nothing of it.
    world.restart().await;
    sleep(Duration::from_millis(300)).await;
    assert!(world.edge("a").await.is_some());
    let held = events(&mut world, "a", "DeletionHeld").await;
    assert_eq!(held.len(), 1, "it is held once, however often is looked: {held:?}");
    assert_eq!(held[0].outcome, "FAILED_PRECONDITION");

    world.withdraws(PROFILE, "late").await;
    world.until_gone("a").await;
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_kind_that_is_briefly_not_served_still_blocks_a_deletion() {
    needs!(the_double);
    let mut world = made_with_pauses(&["a"], Duration::from_secs(4)).await;
    world.cluster().faults().add(FaultRule::new(refused(503)).verb("list").resource("devices"));
    let request = DeleteSyncedSecretRequest { wait: None, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    used(&mut world, "late", "a").await;
    // As where the API server comes up, and the definitions after it.
    world.stop_service().await;
    let not_found = Fault::status(404, "NotFound");
    let group = "/apis/deviceregistry.microsoft.com";
    world.cluster().faults().replace(vec![FaultRule::new(not_found).resource(group)]);
    world.start_service().await;
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(3) {
        assert!(world.edge("a").await.is_some(), "gone after {:?}, in use", begun.elapsed());
        sleep(Duration::from_millis(50)).await;
    }
    world.cluster().faults().clear();
    world.until("a", |secret| synced_reason(secret) == "Used").await;
    world.withdraws(PROFILE, "late").await;
    world.until_gone("a").await;
}

#[tokio::test]
async fn a_blocked_deletion_can_be_forced() {
    needs!(the_double);
    let mut world = made(&["a"]).await;
    // A watch that has silently died: the call knows nothing of the use, the last look does.
    let silent = ClusterFault::WatchSilent;
    world.cluster().faults().add(FaultRule::new(silent).verb("watch").resource("assetendpointprofiles"));
    world.applies(PROFILE, "unseen", naming("a/username")).await;
    let begun = Instant::now();
    let held = world.client.delete_synced_secret(delete("a")).await.unwrap().into_inner();
    assert_eq!((held.state(), synced_reason(&held)), (State::Deleting, "Used"), "{held:?}");
    assert!(begun.elapsed() < Duration::from_secs(15), "who waits is told at once that it is held back");
    // Whoever forces it waits until it is gone, also where that takes a while.
    world
        .cluster()
        .faults()
        .add(FaultRule::new(Fault::latency(Duration::from_millis(1_000))).verb("delete").resource("secrets"));
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_forced_deletion_survives_a_restart() {
    needs!(the_double);
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    world.cluster().faults().add(FaultRule::new(refused(503)).verb("delete").resource("secrets"));
    let request = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    world.restart().await;
    assert!(world.edge("a").await.is_some());
    world.cluster().faults().clear();
    world.until_gone("a").await;
    assert!(world.edge("a").await.is_none());
}

#[tokio::test]
async fn a_use_that_appears_during_the_removal_is_reported() {
    needs!(the_double);
    let mut world = made(&["a"]).await;
    world
        .cluster()
        .faults()
        .add(FaultRule::new(Fault::latency(Duration::from_millis(1_500))).verb("delete").resource("secrets"));
    let mut client = world.client.clone();
    let deletion = tokio::spawn(async move { client.delete_synced_secret(delete("a")).await });
    while world.cluster().requests().of("delete", "secrets") == 0 {
        sleep(Duration::from_millis(5)).await;
    }
    world.applies(PROFILE, "late", naming("a/username")).await;
    deletion.await.unwrap().unwrap();
    let late = events(&mut world, "a", "UsedWhileDeleted").await.pop().unwrap();
    assert!(late.detail.contains("AssetEndpointProfile late"), "{late:?}");
    assert_eq!(late.outcome, "FAILED_PRECONDITION");
}

#[tokio::test]
async fn an_update_that_drops_or_renames_a_key_in_use_is_refused() {
    let mut world = made(&["a"]).await;
    used(&mut world, "p", "a").await;
    let with = |references| SyncedSecret { name: name("a"), references, ..Default::default() };
    for references in
        [vec![existing("password", "v")], vec![existing("user", "v"), existing("password", "v")]]
    {
        for validate_only in [true, false] {
            let request = update(with(references.clone()), &["references"]);
            let request = UpdateSyncedSecretRequest { validate_only, ..request };
            let refused = told(&world.client.update_synced_secret(request).await.unwrap_err());
            assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "KEY_IN_USE"));
            let violation = &refused.details.precondition_failure().unwrap().violations[0];
            assert_eq!(
                (violation.subject.as_str(), violation.description.as_str()),
                (&*format!("{PROFILE}/p"), USERNAME)
            );
        }
    }
    let unused = update(with(vec![existing("username", "v")]), &["references"]);
    world.client.update_synced_secret(unused).await.unwrap();
    world.withdraws(PROFILE, "p").await;
    until_usages_end(&mut world, "a").await;
    let renamed = update(with(vec![existing("user", "v")]), &["references"]);
    world.client.update_synced_secret(renamed).await.unwrap();
    assert_eq!(world.edge("a").await.unwrap().keys().collect::<Vec<_>>(), ["user"]);
}

/// Connector templates are in a group of their own.
#[tokio::test]
async fn a_connector_template_blocks_the_deletion_of_all_that_it_names() {
    const TEMPLATE: &str = "ConnectorTemplate.akri.iotoperations.azure.com";
    let names = ["alias", "trust", "pull", "mounted"];
    let mut world = made(&names).await;
    let settings = json!({
        "secrets": [{ "secretAlias": "password", "secretRef": "alias", "secretKey": "password" }],
        "trustSettings": { "trustListSecretRef": "trust" },
        "imageConfigurationSettings": { "registrySettings": { "containerRegistrySettings": {
            "imagePullSecrets": [{ "secretRef": "pull" }],
        } } },
        "statefulSetConfigurationSettings": { "template": { "spec": {
            "volumes": [{ "name": "v", "secret": { "secretName": "mounted" } }],
        } } },
    });
    let template = json!({ "runtimeConfiguration": { "managedConfigurationSettings": settings } });
    world.applies(TEMPLATE, "camera", template).await;
    for id in names {
        world.until(id, |secret| is_in_use(secret, "Used")).await;
        let refused = told(&world.client.delete_synced_secret(delete(id)).await.unwrap_err());
        assert_eq!(refused.reason, "SYNCED_SECRET_IN_USE", "{id}");
        assert!(refused.message.contains("ConnectorTemplate camera"), "{}", refused.message);
    }
    let alias = usages(&mut world, "alias").await;
    assert_eq!((alias[0].key.as_str(), alias[0].guessed), ("password", false));
}
