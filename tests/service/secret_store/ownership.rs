//! Objects that somebody else made keep what they hold.

use super::*;

#[tokio::test]
async fn a_foreign_object_of_the_same_name_is_not_touched() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let theirs = SecretProviderClass::new("edp1", Default::default());
    world.classes().create(&Default::default(), &theirs).await.unwrap();
    let request = create("edp1", vec![existing("username", "pump-user")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::AlreadyExists, "EDGE_CONFLICT"));
    assert!(refused.message.contains("SecretProviderClass"), "{}", refused.message);
    assert_eq!(world.classes().get("edp1").await.unwrap().spec, theirs.spec);
}

/// As `kubectl create secret generic` makes it.
fn by_hand(id: &str, key: &str) -> Secret {
    let mut secret = Secret { type_: Some("Opaque".to_owned()), ..Secret::default() };
    secret.metadata.name = Some(id.to_owned());
    secret.metadata.labels = Some([("app".to_owned(), "theirs".to_owned())].into());
    secret.string_data = Some([(key.to_owned(), "theirs".to_owned())].into());
    secret
}

async fn make_by_hand(world: &World, id: &str, key: &str) -> String {
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    world.secrets().create(&kubectl, &by_hand(id, key)).await.unwrap().uid().unwrap()
}

/// Whether a Secret is as somebody made it, with nothing of ours in it.
async fn is_untouched(world: &World, id: &str, uid: &str, key: &str) -> bool {
    let secret = world.secrets().get(id).await.unwrap();
    let data = secret.data.unwrap_or_default();
    let labels = secret.metadata.labels.unwrap_or_default();
    assert_eq!(
        data.get(key).map(|value| value.0.as_slice()),
        Some(b"theirs".as_slice()),
        "{id} lost its key"
    );
    secret.metadata.uid.as_deref() == Some(uid)
        && data.len() == 1
        && labels.len() == 1
        && secret.metadata.owner_references.is_none()
}

#[tokio::test]
async fn foreign_secrets_created_before_the_extension_writes_lose_nothing_and_outlive_the_synced_secrets() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    world.stop_extension().await;
    let ids: Vec<String> = (0..20).map(|number| format!("edp{number}")).collect();
    let mut made = Vec::new();
    for (number, id) in ids.iter().enumerate() {
        ask_for(&mut world, id).await;
        until(&world, "there is a SecretSync", async |world: &World| {
            world.syncs().get_opt(id).await.unwrap().is_some()
        })
        .await;
        // Every other one has a key in the way of the extension; into the rest it merges its own.
        let key = if number % 2 == 0 { "theirs" } else { "username" };
        made.push((id.as_str(), make_by_hand(&world, id, key).await, key));
    }
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    for (id, uid, key) in &made {
        let told = world.until(id, |secret| secret.state() != State::Pending).await;
        assert_eq!(
            (told.state(), told.conditions[0].reason.as_str()),
            (State::Failed, "EdgeConflict"),
            "{told:?}"
        );
        until(&world, "nothing of ours is in it", async |world: &World| {
            is_untouched(world, id, uid, key).await
        })
        .await;
    }
    for (id, ..) in &made[2..] {
        world.client.delete_synced_secret(delete(id)).await.unwrap();
        assert!(world.syncs().get_opt(id).await.unwrap().is_none());
        assert!(world.classes().get_opt(id).await.unwrap().is_none());
    }
    // Garbage collection would have come by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (id, uid, key) in &made {
        assert!(is_untouched(&world, id, uid, key).await, "{id}");
    }
    for (id, ..) in &made[..2] {
        assert_eq!(world.get(id).await.state(), State::Failed);
        world.secrets().delete(id, &DeleteParams::default()).await.unwrap();
        world.until_state(id, State::Synced).await;
        assert_eq!(world.edge(id).await.unwrap()["username"], "operator");
    }
}

#[tokio::test]
async fn a_secret_that_the_extension_has_merged_into_survives_a_deletion_at_any_moment() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let extension = world.extension_options();
    world.stop_extension().await;
    let ids: Vec<String> = (0..12).map(|number| format!("edp{number}")).collect();
    let mut made = Vec::new();
    for id in &ids {
        ask_for(&mut world, id).await;
        until(&world, "there is a SecretSync", async |world: &World| {
            world.syncs().get_opt(id).await.unwrap().is_some()
        })
        .await;
        made.push((id.as_str(), make_by_hand(&world, id, "theirs").await));
    }
    let _extension = Extension::start(extension).await.unwrap();
    for (number, (id, _)) in (0..).zip(&made) {
        tokio::time::sleep(Duration::from_millis(number * 7 % 60)).await;
        let _ = world.client.delete_synced_secret(delete(id)).await;
    }
    for (id, _) in &made {
        world.until_gone(id).await;
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    for (id, uid) in &made {
        assert!(is_untouched(&world, id, uid, "theirs").await, "{id}");
    }
}

#[tokio::test]
async fn an_interrupted_release_of_a_secret_completes_after_a_restart() {
    let mut world = asked_for_without_extension(engine()).await;
    world.stop_service().await;
    let made = make_by_hand(&world, "edp1", "theirs").await;
    let extension = Extension::start(world.extension_options()).await.unwrap();
    until(&world, "the extension has merged into it", async |world: &World| {
        world.secrets().get("edp1").await.unwrap().metadata.owner_references.is_some()
    })
    .await;
    until(&world, "and said so", async |world: &World| {
        world.syncs().get("edp1").await.unwrap().status.is_some_and(|status| !status.sync_hash.is_empty())
    })
    .await;
    extension.stop().await;
    // Now nobody notices that the extension is told to stop.
    world.start_service().await;
    let told = world.until_state("edp1", State::Failed).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    until(&world, "the extension is told to stop", async |world: &World| {
        world.syncs().get("edp1").await.unwrap().spec.secret_provider_class_name != "edp1"
    })
    .await;
    world.restart().await;
    let _extension = Extension::start(world.extension_options()).await.unwrap();
    until(&world, "nothing of ours is in it", async |world: &World| {
        is_untouched(world, "edp1", &made, "theirs").await
    })
    .await;
    until(&world, "the pair is gone", async |world: &World| {
        world.syncs().get_opt("edp1").await.unwrap().is_none()
            && world.classes().get_opt("edp1").await.unwrap().is_none()
    })
    .await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(is_untouched(&world, "edp1", &made, "theirs").await);
}

#[tokio::test]
async fn a_foreign_secretsync_in_place_of_ours_is_a_conflict_and_stays_unchanged() {
    let mut world = with_one(engine()).await;
    world.stop_service().await;
    world.syncs().delete("edp1", &DeleteParams::background()).await.unwrap();
    until(&world, "the Secret went with it", async |world: &World| world.edge("edp1").await.is_none()).await;
    let theirs: SecretSync = serde_json::from_value(json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": { "name": "edp1" },
        "spec": {
            "secretProviderClassName": "theirs", "serviceAccountName": "aio-ssc-sa",
            "secretObject": { "type": "Opaque", "data": [{ "sourcePath": "theirs", "targetKey": "theirs" }] },
        },
    }))
    .unwrap();
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = world.syncs().create(&kubectl, &theirs).await.unwrap();
    world.start_service().await;
    let told = world.until_state("edp1", State::Degraded).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    assert!(told.conditions[0].message.contains("SecretSync"), "{told:?}");
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    let left = world.syncs().get("edp1").await.unwrap();
    assert_eq!((left.uid(), left.spec, left.metadata.labels), (made.uid(), made.spec, None));
}

#[tokio::test]
async fn a_class_created_concurrently_by_another_client_is_a_conflict_and_keeps_none_of_our_fields() {
    needs!(the_double);
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let late = FaultRule::new(Fault::latency(Duration::from_millis(700))).verb("patch");
    world.cluster().faults().add(late.resource("secretproviderclasses"));
    ask_for(&mut world, "edp1").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut theirs = SecretProviderClass::new("edp1", Default::default());
    theirs.spec.provider = "azure".to_owned();
    theirs.spec.parameters.insert("theirs".to_owned(), "x".to_owned());
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = world.classes().create(&kubectl, &theirs).await.unwrap();
    let told = world.until_state("edp1", State::Failed).await;
    assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");
    assert!(told.conditions[0].message.contains("SecretProviderClass"), "{told:?}");

    world.client.sync_synced_secret(sync("edp1")).await.unwrap();
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    let left = world.classes().get("edp1").await.unwrap();
    assert_eq!((left.uid(), left.spec, left.metadata.labels), (made.uid(), made.spec, None));
}
