//! An adoption changes nothing that runs.

use super::*;

#[tokio::test]
async fn a_secretsync_is_adopted_in_place_by_either_engine_without_a_gap() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = made_by_the_portal(engine).await;
        listed(&mut world, "edp1secrets").await;
        let before = world.secrets().get("edp1secrets").await.unwrap();
        let held = world.edge("edp1secrets").await.unwrap();
        let witness = Witness::of(&world, "edp1secrets");
        let sync_before = world.syncs().get("edp1secrets").await.unwrap();

        world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap();
        let ours = world.until_state("edp1secrets", State::Synced).await;
        let settled = until_settled(&world, engine).await;

        assert_eq!(ours.origin(), Origin::Managed);
        witness.saw_no_gap(&before.uid().unwrap(), &held);
        match settled {
            Some(sync) => {
                assert_eq!(sync.uid(), sync_before.uid(), "{engine:?}: the SecretSync is the same, too");
                assert_eq!(sync.spec.secret_provider_class_name, "edp1secrets");
            }
            None => assert_eq!(engine, SyncEngine::Direct),
        }
        // The shared class is not ours.
        let shared = world.classes().get("spc-ops-1a2b3c4").await.unwrap();
        assert!(shared.spec.parameters["objects"].contains("eventhub-connection"));
        // From now on it is like any other.
        world.somebody.sets("opc-password", "8").await;
        world.client.sync_synced_secret(sync("edp1secrets")).await.unwrap();
        assert_eq!(world.edge("edp1secrets").await.unwrap()["opc-password"], "8", "{engine:?}");
        let mut fewer = world.get("edp1secrets").await;
        fewer.references.retain(|reference| reference.key == "opc-password");
        let told =
            world.client.update_synced_secret(update(fewer, &["references"])).await.unwrap().into_inner();
        assert_eq!(told.state(), State::Synced, "{engine:?}: {told:?}");
        assert_eq!(world.edge("edp1secrets").await.unwrap().keys().collect::<Vec<_>>(), ["opc-password"]);
        world.client.delete_synced_secret(delete("edp1secrets")).await.unwrap();
        assert!(world.edge("edp1secrets").await.is_none());
        assert!(world.edge("kafka1secrets").await.is_some());
    }
}

#[tokio::test]
async fn a_secret_made_by_hand_is_adopted_by_either_engine_once_its_references_are_given() {
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let mut world = World::start_with(self::engine(engine)).await;
        world.seed("pump-user", "operator").await;
        let mut secret = Secret { metadata: Default::default(), ..Default::default() };
        secret.metadata.name = Some("by-hand".to_owned());
        secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
        let kubectl =
            PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
        let before = world.secrets().create(&kubectl, &secret).await.unwrap();
        let held = world.edge("by-hand").await.unwrap();

        let untold = told(&world.client.adopt_synced_secret(adopt("by-hand", vec![])).await.unwrap_err());
        assert_eq!((untold.code, untold.fields), (Code::InvalidArgument, vec!["references".to_owned()]));
        assert!(untold.message.contains("username"), "{}", untold.message);

        let witness = Witness::of(&world, "by-hand");
        world
            .client
            .adopt_synced_secret(adopt("by-hand", vec![existing("username", "pump-user")]))
            .await
            .unwrap();
        let ours = world.until_state("by-hand", State::Synced).await;
        if engine == SyncEngine::SecretStore {
            let owned = || async {
                let secret = world.secrets().get("by-hand").await.unwrap();
                secret.metadata.owner_references.is_some_and(|owners| owners[0].kind == "SecretSync")
            };
            until(owned).await;
        }
        assert_eq!(ours.origin(), Origin::Managed);
        witness.saw_no_gap(&before.uid().unwrap(), &held);
    }
}

/// A world whose `edp1` was synced by an engine.
async fn synced_by(engine: SyncEngine) -> World {
    let mut world = World::start_with(self::engine(engine)).await;
    world.seed("pump-user", "operator").await;
    world.create("edp1", vec![existing("username", "pump-user")]).await;
    world
}

#[tokio::test]
async fn a_hand_over_to_the_other_engine_and_back_leaves_no_gap() {
    let mut world = synced_by(SyncEngine::Direct).await;
    let (uid, held) =
        (world.secrets().get("edp1").await.unwrap().uid().unwrap(), world.edge("edp1").await.unwrap());
    let witness = Witness::of(&world, "edp1");

    world.switch_engine(SyncEngine::SecretStore).await;
    let owned = || async {
        let secret = world.secrets().get("edp1").await.unwrap();
        secret.metadata.owner_references.is_some_and(|owners| owners[0].kind == "SecretSync")
    };
    until(owned).await;
    world.until_state("edp1", State::Synced).await;
    assert_eq!(
        writers(&world, "edp1").await,
        ["secrets-store-sync-controller"],
        "or its next rotation is a conflict"
    );

    world.switch_engine(SyncEngine::Direct).await;
    let alone = || async {
        let secret = world.secrets().get("edp1").await.unwrap();
        let is_gone = world.syncs().get_opt("edp1").await.unwrap().is_none();
        is_gone
            && world.classes().get_opt("edp1").await.unwrap().is_none()
            && secret.metadata.owner_references.is_none()
    };
    until(alone).await;
    world.until_state("edp1", State::Synced).await;
    until(|| async { writers(&world, "edp1").await == ["secret-service"] }).await;
    // Garbage collection would have come by now.
    tokio::time::sleep(Duration::from_secs(2)).await;
    witness.saw_no_gap(&uid, &held);
}

#[tokio::test]
async fn after_a_hand_over_the_extension_writes_a_changed_value_at_once() {
    let mut world = synced_by(SyncEngine::Direct).await;
    let uid = world.secrets().get("edp1").await.unwrap().uid();

    world.stop_service().await;
    world.somebody.sets("pump-user", "new").await;
    world.start_service_with(SyncEngine::SecretStore).await;
    until(|| async { world.edge("edp1").await.is_some_and(|edge| edge["username"] == "new") }).await;
    assert_eq!(world.secrets().get("edp1").await.unwrap().uid(), uid);
}

/// In whose hands the keys are.
async fn writers(world: &World, id: &str) -> Vec<String> {
    let managers = world.secrets().get(id).await.unwrap().metadata.managed_fields.unwrap_or_default();
    let is_data = |fields: &FieldsV1| fields.0.get("f:data").is_some();
    let of_data = managers.into_iter().filter(|entry| entry.fields_v1.as_ref().is_some_and(is_data));
    of_data.filter_map(|entry| entry.manager).collect()
}

#[tokio::test]
async fn a_conflicting_secret_can_be_adopted_as_the_synced_secret() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = World::start_with(self::engine(engine)).await;
        world.seed("pump-user", "operator").await;
        world.seed("pump-pass", "7").await;
        let request = create("edp1", vec![existing("username", "pump-user")]);
        world.client.create_synced_secret(request).await.unwrap();
        world.stop_service().await;
        world.secrets().delete("edp1", &Default::default()).await.unwrap();
        let theirs = make_by_hand(&world, "edp1", "kubernetes.io/basic-auth", None).await;
        world.start_service().await;
        let told = world.until_state("edp1", State::Degraded).await;
        assert_eq!(told.conditions[0].reason, "EdgeConflict", "{told:?}");

        let other_keys = world.client.adopt_synced_secret(adopt("edp1", vec![])).await.unwrap_err();
        assert_eq!(other_keys.code(), Code::InvalidArgument, "{engine:?}: it has a password, too");
        let (held, witness) = (world.edge("edp1").await.unwrap(), Witness::of(&world, "edp1"));
        let adopted = world.client.adopt_synced_secret(adopt("edp1", both())).await.unwrap().into_inner();
        assert_eq!((adopted.uid, adopted.generation), (told.uid, told.generation + 1), "{engine:?}");
        world.until_state("edp1", State::Synced).await;
        witness.saw_no_gap(&theirs.uid().unwrap(), &held);
        let secret = world.secrets().get("edp1").await.unwrap();
        assert_eq!(secret.uid(), theirs.uid(), "{engine:?}");
        assert_eq!(secret.type_.as_deref(), Some("kubernetes.io/basic-auth"));
        world.somebody.sets("pump-pass", "8").await;
        world.client.sync_synced_secret(sync("edp1")).await.unwrap();
        assert_eq!(world.edge("edp1").await.unwrap()["password"], "8", "{engine:?}");
    }
}
