//! Changes that somebody made by hand are undone.

use super::*;

#[tokio::test]
async fn a_secret_deleted_by_hand_is_recreated() {
    let world = with_one(engine()).await;
    world.secrets().delete("edp1", &DeleteParams::default()).await.unwrap();
    until_edge(&world, "edp1", "username", "operator").await;
}

#[tokio::test]
async fn a_secret_edited_by_hand_is_restored_without_a_gap() {
    let mut world = with_one(engine()).await;
    let before = uid(&world, "edp1").await;
    let edit = json!({
        "stringData": { "username": "mallory", "extra": "x" },
        "metadata": { "labels": { "app.kubernetes.io/managed-by": "mallory" } },
    });
    let kubectl = kubectl();
    world.secrets().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    until_edge(&world, "edp1", "username", "operator").await;
    assert_eq!(uid(&world, "edp1").await, before);
    assert!(!world.edge("edp1").await.unwrap().contains_key("extra"));
    world.until_state("edp1", State::Synced).await;
}

#[tokio::test]
async fn a_removed_label_is_restored() {
    let world = with_one(engine()).await;
    let edit = json!({ "metadata": { "labels": { "secret-service.iotoperations/uid": null } } });
    world.secrets().patch("edp1", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    until(&world, "the label is there again", async |world: &World| {
        let labels = world.secrets().get("edp1").await.unwrap().metadata.labels.unwrap();
        labels.contains_key("secret-service.iotoperations/uid")
    })
    .await;
}

fn owner_of(class: &SecretProviderClass) -> Option<String> {
    Some(class.metadata.owner_references.as_ref()?.first()?.uid.clone())
}

#[tokio::test]
async fn changes_to_the_secretsync_or_the_class_are_reverted() {
    let world = with_one(engine()).await;
    world.seed("other", "x").await;
    let kubectl = PatchParams { field_manager: Some("kubectl-edit".to_owned()), ..PatchParams::default() };
    let edit = json!({ "spec": { "secretProviderClassName": "another" } });
    world.syncs().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    let edit = json!({ "spec": { "parameters": { "keyvaultName": "another" } } });
    world.classes().patch("edp1", &kubectl, &Patch::Merge(edit)).await.unwrap();
    until(&world, "both are as they were", async |world: &World| {
        let sync = world.syncs().get("edp1").await.unwrap();
        // A collector that has just learned of the resource may take a class away; it comes back.
        let class = world.classes().get_opt("edp1").await.unwrap();
        sync.spec.secret_provider_class_name == "edp1"
            && class.is_some_and(|class| class.spec.parameters["keyvaultName"] == "contoso-aio")
    })
    .await;

    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    // The collector may be faster.
    let _ = world.classes().delete("edp1", &DeleteParams::background()).await;
    until_edge(&world, "edp1", "username", "operator").await;
    until(&world, "the pair is there again", async |world: &World| {
        let owner = world.syncs().get_opt("edp1").await.unwrap().and_then(|sync| sync.metadata.uid);
        let class = world.classes().get_opt("edp1").await.unwrap();
        owner.is_some() && class.is_some_and(|class| owner_of(&class) == owner)
    })
    .await;
}

#[tokio::test]
async fn a_key_and_the_extensions_label_removed_by_hand_are_restored() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let request = create("edp1", vec![existing("username", "pump-user"), existing("password", "pump-pass")]);
    world.client.create_synced_secret(request).await.unwrap();
    let before = uid(&world, "edp1").await;
    let removed = json!([{ "op": "remove", "path": "/data/password" }]);
    let removed = Patch::<Secret>::Json(serde_json::from_value(removed).unwrap());
    let kubectl = kubectl();
    world.secrets().patch("edp1", &kubectl, &removed).await.unwrap();
    until_edge(&world, "edp1", "password", "7").await;
    assert_eq!(uid(&world, "edp1").await, before);
    world.until_state("edp1", State::Synced).await;

    let label = json!({ "metadata": { "labels": { "secrets-store.sync.x-k8s.io": null } } });
    world.secrets().patch("edp1", &kubectl, &Patch::Merge(label)).await.unwrap();
    until(&world, "the label is there again", async |world: &World| {
        let labels = world.secrets().get("edp1").await.unwrap().metadata.labels.unwrap();
        labels.contains_key("secrets-store.sync.x-k8s.io")
    })
    .await;
}

/// Takes our labels off both.
async fn take_labels_off(world: &World, id: &str) {
    let nothing = json!({ "metadata": { "labels": null } });
    let kubectl = PatchParams { field_manager: Some("kubectl-label".to_owned()), ..PatchParams::default() };
    world.syncs().patch(id, &kubectl, &Patch::Merge(&nothing)).await.unwrap();
    world.classes().patch(id, &kubectl, &Patch::Merge(&nothing)).await.unwrap();
}

async fn is_labelled(world: &World, id: &str) -> bool {
    let label = "secret-service.iotoperations/uid";
    let (sync, class) = (world.syncs().get(id).await.unwrap(), world.classes().get(id).await.unwrap());
    sync.labels().contains_key(label) && class.labels().contains_key(label)
}

#[tokio::test]
async fn a_pair_without_its_labels_is_still_ours_and_its_labels_are_restored() {
    let mut world = with_one(engine()).await;
    take_labels_off(&world, "edp1").await;
    until(&world, "the labels are there again", async |world: &World| is_labelled(world, "edp1").await).await;
    world.until_state("edp1", State::Synced).await;

    world.stop_service().await;
    take_labels_off(&world, "edp1").await;
    world.start_service().await;
    until(&world, "the labels are there again", async |world: &World| is_labelled(world, "edp1").await).await;
    world.until_state("edp1", State::Synced).await;
    assert!(
        world
            .client
            .list_audit_events(audit())
            .await
            .unwrap()
            .into_inner()
            .audit_events
            .iter()
            .any(|event| event.action == "DriftRepaired")
    );

    take_labels_off(&world, "edp1").await;
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
}

/// Adds a key to the SecretSync and a parameter to its class.
async fn add_to_the_pair(world: &World, kubectl: &PatchParams) {
    let key = json!([{
        "op": "add", "path": "/spec/secretObject/data/-",
        "value": { "sourcePath": "nowhere", "targetKey": "extra" },
    }]);
    let key = Patch::<SecretSync>::Json(serde_json::from_value(key).unwrap());
    world.syncs().patch("edp1", kubectl, &key).await.unwrap();
    let parameter = json!({ "spec": { "parameters": { "usePodIdentity": "true" } } });
    world.classes().patch("edp1", kubectl, &Patch::Merge(parameter)).await.unwrap();
}

#[tokio::test]
async fn additions_to_the_pair_are_removed_and_recorded_in_the_audit() {
    let mut world = with_one(engine()).await;
    add_to_the_pair(&world, &kubectl()).await;
    until(&world, "both are as they were", async |world: &World| {
        let sync = world.syncs().get("edp1").await.unwrap();
        let class = world.classes().get("edp1").await.unwrap();
        sync.spec.secret_object.data.len() == 1 && !class.spec.parameters.contains_key("usePodIdentity")
    })
    .await;
    until_told(&world, "the key extra").await;
    until_told(&world, "the parameter usePodIdentity").await;
    // What is ours is as before, also for the extension.
    world.somebody.sets("pump-user", "new").await;
    world.client.sync_synced_secret(sync("edp1")).await.unwrap();
    assert_eq!(world.edge("edp1").await.unwrap(), [("username".to_owned(), "new".to_owned())].into());
}

/// The extension writes the status of the SecretSync between two writes of the repair, which then fails.
#[tokio::test]
async fn the_audit_records_what_a_failed_repair_had_removed() {
    needs!(the_double);
    let mut world = with_one(engine()).await;
    world.stop_service().await;
    let kubectl = kubectl();
    add_to_the_pair(&world, &kubectl).await;
    let late = FaultRule::new(Fault::latency(Duration::from_millis(500)))
        .verb("patch")
        .resource("secretproviderclasses");
    world.cluster().faults().add(late);
    world.start_service().await;
    for turn in 0..1_000 {
        if !world.classes().get("edp1").await.unwrap().spec.parameters.contains_key("usePodIdentity") {
            break;
        }
        let touch = json!({ "metadata": { "annotations": { "touched": turn.to_string() } } });
        world.syncs().patch("edp1", &kubectl, &Patch::Merge(touch)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.cluster().faults().clear();
    until_told(&world, "the parameter usePodIdentity").await;
    until_told(&world, "the key extra").await;
}

/// Waits until the audit names what a repair removed.
async fn until_told(world: &World, what: &str) {
    until(world, what, async |world: &World| {
        let events = world.client.clone().list_audit_events(audit()).await.unwrap().into_inner();
        let mut events = events.audit_events.iter();
        events.any(|event| event.action == "DriftRepaired" && event.detail.contains(what))
    })
    .await;
}
