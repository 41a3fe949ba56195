//! What cannot be taken over exactly is refused.

use super::*;

/// A class and a SecretSync of somebody else, by the objects of the class, each a YAML text, and its keys.
async fn made_by_somebody(site: &Site, name: &str, objects: &[&str], keys: &[(&str, &str)]) {
    let objects = serde_yaml_ng::to_string(&json!({ "array": objects })).unwrap();
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
        "metadata": { "name": format!("class-of-{name}") },
        "spec": { "provider": "azure", "parameters": {
            "clientID": "c", "tenantID": "t", "keyvaultName": "contoso-aio", "objects": objects,
        }},
    });
    create_as::<SecretProviderClass>(&site.kube, &site.namespace, class).await;
    let data: Vec<_> =
        keys.iter().map(|(path, key)| json!({ "sourcePath": path, "targetKey": key })).collect();
    let sync = json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": { "name": name },
        "spec": {
            "secretProviderClassName": format!("class-of-{name}"), "serviceAccountName": "aio-ssc-sa",
            "secretObject": { "type": "Opaque", "data": data },
        },
    });
    create_as::<SecretSync>(&site.kube, &site.namespace, sync).await;
}

#[tokio::test]
async fn keys_that_no_reference_can_express_are_all_listed_and_their_adoption_is_refused_key_by_key() {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.seed("db", "v").await;
    let objects = [
        "objectName: db\nobjectType: secret\n",
        "objectName: db\nobjectType: secret\nobjectAlias: old\nobjectVersionHistory: 2\n",
        "objectName: db\nobjectType: key\nobjectAlias: key\n",
        "objectName: db\nobjectType: secret\nobjectAlias: pfx\nobjectFormat: pfx\n",
    ];
    let keys = [
        ("db", "plain"),
        ("old/0", "newest"),
        ("old/1", "older"),
        ("key", "public"),
        ("pfx", "store"),
        ("nowhere", "lost"),
    ];
    made_by_somebody(&site, "mixed", &objects, &keys).await;
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = World::start_on(site, self::engine(engine)).await;
        let told = listed(&mut world, "mixed").await;
        let shown: Vec<_> =
            told.references.iter().map(|held| (held.key.as_str(), held.problem.is_some())).collect();
        let all = ["plain", "newest", "older", "public", "store", "lost"];
        assert_eq!(shown, all.map(|key| (key, key != "plain")), "{told:?}");
        let before = world.syncs().get("mixed").await.unwrap();

        let refused = world.client.adopt_synced_secret(adopt("mixed", vec![])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let said = violations(&refused);
        assert_eq!(said.len(), 5, "{said:?}");
        for (key, (field, why)) in all[1..].iter().zip(said) {
            assert_eq!(field, "references");
            assert!(why.contains(&format!("{key:?}")) && why.contains("AdoptSyncedSecret"), "{why}");
        }
        let partly = vec![existing("plain", "db"), existing("newest", "db")];
        let refused = world.client.adopt_synced_secret(adopt("mixed", partly)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "the keys that are left would be lost");
        assert_eq!(world.syncs().get("mixed").await.unwrap().spec, before.spec);
        assert_eq!(world.get("mixed").await.origin(), Origin::Unmanaged);
        world.stop_service().await;
        site = world.into_site();
        std::fs::remove_file(site.directory().join("secret-service.db")).unwrap();
    }
}

#[tokio::test]
async fn a_version_history_is_adopted_once_its_references_are_given_and_the_secret_loses_no_key() {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.seed("db", "v").await;
    let objects = ["objectName: db\nobjectType: secret\nobjectVersionHistory: 2\n"];
    made_by_somebody(&site, "history", &objects, &[("db/0", "password")]).await;
    until(|| async { site.edge("history").await.is_some() }).await;
    let mut world = World::start_on(site, engine(SyncEngine::SecretStore)).await;
    until_listed(&world, "history").await;
    let refused = world.client.adopt_synced_secret(adopt("history", vec![])).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("objectVersionHistory"), "{refused:?}");

    let (before, held) =
        (world.secrets().get("history").await.unwrap(), world.edge("history").await.unwrap());
    let witness = Witness::of(&world, "history");
    let references = vec![existing("password", "db")];
    world.client.adopt_synced_secret(adopt("history", references)).await.unwrap();
    world.until_state("history", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
}

#[tokio::test]
async fn a_key_that_only_the_secret_has_is_not_lost_by_the_adoption_of_its_secretsync() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    until_listed(&world, "edp1secrets").await;
    let edit = json!({ "stringData": { "by-hand": "x" } });
    world.secrets().patch("edp1secrets", &kubectl(), &Patch::Merge(edit)).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap_err();
    let said = violations(&refused);
    assert!(said.len() == 1 && said[0].1.contains("\"by-hand\""), "{said:?}");

    world.seed("by-hand", "x").await;
    let references = vec![
        existing("opc-username", "opc-username"),
        existing("opc-password", "opc-password"),
        existing("by-hand", "by-hand"),
    ];
    let (before, held) =
        (world.secrets().get("edp1secrets").await.unwrap(), world.edge("edp1secrets").await.unwrap());
    let witness = Witness::of(&world, "edp1secrets");
    world.client.adopt_synced_secret(adopt("edp1secrets", references)).await.unwrap();
    world.until_state("edp1secrets", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
}

#[tokio::test]
async fn a_secret_of_another_type_keeps_its_type_and_no_value_is_read_for_it() {
    let mut world = World::start_with(engine(SyncEngine::SecretStore)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let before = make_by_hand(&world, "by-hand", "kubernetes.io/basic-auth", None).await;
    let held = world.edge("by-hand").await.unwrap();
    let witness = Witness::of(&world, "by-hand");
    let adopted = world.client.adopt_synced_secret(adopt("by-hand", both())).await.unwrap().into_inner();
    assert_eq!(adopted.secret_type, "kubernetes.io/basic-auth");
    let owned = || async {
        let secret = world.secrets().get("by-hand").await.unwrap();
        secret.metadata.owner_references.is_some()
    };
    until(owned).await;
    world.until_state("by-hand", State::Synced).await;
    witness.saw_no_gap(&before.uid().unwrap(), &held);
    let after = world.secrets().get("by-hand").await.unwrap();
    assert_eq!(after.type_.as_deref(), Some("kubernetes.io/basic-auth"));
}

#[tokio::test]
async fn a_secret_that_cannot_be_adopted_is_refused_with_the_reason_and_stays_unchanged() {
    let mut world = World::start_with(engine(SyncEngine::SecretStore)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    let before = make_by_hand(&world, "frozen", "Opaque", Some(true)).await;
    let refused = world.client.adopt_synced_secret(adopt("frozen", both())).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("immutable"), "{refused:?}");
    assert_eq!(world.secrets().get("frozen").await.unwrap(), before);

    // Nobody is on record as the writer of its keys.
    make_by_hand(&world, "unsigned", "Opaque", None).await;
    let unsigned = json!({ "metadata": { "managedFields": [{}] } });
    world.secrets().patch("unsigned", &PatchParams::default(), &Patch::Merge(unsigned)).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("unsigned", both())).await.unwrap_err();
    assert!(violations(&refused)[0].1.contains("2 of the keys"), "{refused:?}");
}

#[tokio::test]
async fn an_adoption_keeps_the_labels_of_a_secretsync_except_those_the_service_sets() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    let labels = json!({ "line": "4", "app.kubernetes.io/managed-by": "portal" });
    let labels = json!({ "spec": { "secretObject": { "labels": labels } } });
    let portal = PatchParams { field_manager: Some("portal".to_owned()), ..PatchParams::default() };
    world.syncs().patch("edp1secrets", &portal, &Patch::Merge(labels)).await.unwrap();
    until_listed(&world, "edp1secrets").await;
    world.until("edp1secrets", |secret| secret.labels.contains_key("line")).await;

    let adopted = world.client.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap().into_inner();
    assert_eq!(adopted.labels, [("line".to_owned(), "4".to_owned())].into());
    assert_eq!(world.until_state("edp1secrets", State::Synced).await.labels, adopted.labels);
}
