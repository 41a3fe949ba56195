//! Create, update, rotate and delete through the extension.

use super::*;

#[tokio::test]
async fn create_new_reaches_the_edge_through_its_own_class_and_secretsync() {
    let mut world = World::start_with(engine()).await;
    let references =
        vec![created("username", "pump-user", "operator"), created("password", "pump-pass", "7")];
    let made = world.create("edp1", references).await;

    assert_eq!((made.state(), made.synced_generation), (State::Synced, 1), "{made:?}");
    let edge = world.edge("edp1").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("operator", "7"));
    assert!(made.references.iter().all(|reference| reference.synced_version.len() == 32), "{made:?}");

    let sync = world.syncs().get("edp1").await.unwrap();
    assert_eq!(sync.spec.secret_provider_class_name, "edp1");
    assert_eq!(sync.spec.service_account_name, "aio-ssc-sa");
    let class = world.classes().get("edp1").await.unwrap();
    assert_eq!(class.spec.provider, "azure");
    assert_eq!(class.spec.parameters["keyvaultName"], "contoso-aio");
    assert!(class.spec.parameters["objects"].contains("objectName: pump-pass"));
    let secret = world.secrets().get("edp1").await.unwrap();
    for (what, owned) in [("class", &class.metadata), ("Secret", &secret.metadata)] {
        let owner = &owned.owner_references.as_ref().unwrap()[0];
        assert_eq!(
            Some(&owner.uid),
            sync.metadata.uid.as_ref(),
            "whoever deletes the SecretSync deletes the {what}"
        );
    }
    let vault =
        world.client.get_vault(GetVaultRequest { name: "vault".to_owned() }).await.unwrap().into_inner();
    assert_eq!(vault.engine(), Engine::SecretStore);
}

#[tokio::test]
async fn the_service_itself_reads_no_value() {
    let mut world = World::start_with(engine()).await;
    world.stop_extension().await;
    world.seed("pump-user", "operator").await;
    let request =
        create("edp1", vec![existing("username", "pump-user"), created("password", "pump-pass", "7")]);
    let request = secret_service::proto::CreateSyncedSecretRequest { wait: None, ..request };
    world.client.create_synced_secret(request).await.unwrap();
    for _ in 0..400 {
        if world.syncs().get_opt("edp1").await.unwrap().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.syncs().get("edp1").await.unwrap();
    assert_eq!(world.vault.requests().of(Operation::SecretGet), 0);
}

#[tokio::test]
async fn the_rotation_check_of_a_large_vault_lists_versions_and_reads_no_value() {
    let mut world = with_one(often()).await;
    // Two pages before the one that is followed.
    for number in 0..50 {
        world.seed(&format!("a-{number}"), "x").await;
    }
    world.stop_extension().await;
    let before = world.vault.requests();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = world.vault.requests();
    assert!(after.of(Operation::SecretListVersions) > before.of(Operation::SecretListVersions), "it asks");
    assert_eq!(after.of(Operation::SecretGet), before.of(Operation::SecretGet));

    let _extension = Extension::start(world.extension_options()).await.unwrap();
    world.somebody.sets("pump-user", "new").await;
    until_edge(&world, "edp1", "username", "new").await;
}

#[tokio::test]
async fn an_update_changes_the_keys_in_place() {
    let mut world = with_one(engine()).await;
    world.seed("pump-pass", "7").await;
    let before = uid(&world, "edp1").await;
    let mut secret = world.get("edp1").await;
    secret.references = vec![existing("login", "pump-user"), existing("password", "pump-pass")];
    let told = world.client.update_synced_secret(update(secret, &["references"])).await.unwrap().into_inner();
    assert_eq!((told.state(), told.synced_generation), (State::Synced, 2), "{told:?}");
    let edge = world.edge("edp1").await.unwrap();
    assert_eq!(edge.keys().collect::<Vec<_>>(), ["login", "password"]);
    assert_eq!(uid(&world, "edp1").await, before);
}

#[tokio::test]
async fn delete_removes_class_secretsync_and_secret_and_nothing_from_the_vault() {
    let mut world = with_one(engine()).await;
    world.client.delete_synced_secret(delete("edp1")).await.unwrap();
    assert!(world.secrets().get_opt("edp1").await.unwrap().is_none());
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
    assert_eq!(world.somebody.reads("pump-user").await, "operator");
}

#[tokio::test]
async fn a_change_listed_by_the_vault_is_synced_long_before_the_extensions_own_poll() {
    let mut world = with_one(often()).await;
    let before = world.get("edp1").await.references[0].synced_version.clone();
    world.somebody.sets("pump-user", "new").await;
    let after = world.until("edp1", |secret| secret.references[0].synced_version != before).await;
    assert_eq!((after.state(), after.generation), (State::Synced, 1));
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn a_version_added_through_the_service_reaches_all_followers_and_nobody_else() {
    let mut world = with_one(engine()).await;
    let first = world.get("edp1").await.references[0].synced_version.clone();
    world.create("edp2", vec![existing("login", "pump-user")]).await;
    let pinned = SecretReference { version: first.clone(), ..existing("username", "pump-user") };
    world.create("pinned", vec![pinned]).await;
    let told = world.client.get_vault_secret(GetVaultSecretRequest { name: vault_name("pump-user") }).await;
    assert_eq!(told.unwrap().into_inner().synced_secrets, [name("edp1"), name("edp2"), name("pinned")]);

    let added = world.client.add_vault_secret_version(add_version("pump-user", "new")).await;
    let added = added.unwrap().into_inner().name;
    until_edge(&world, "edp1", "username", "new").await;
    until_edge(&world, "edp2", "login", "new").await;
    for id in ["edp1", "edp2"] {
        let is_told = |secret: &SyncedSecret| added.ends_with(&secret.references[0].synced_version);
        assert_eq!(world.until(id, is_told).await.state(), State::Synced);
    }
    assert_eq!(world.get("pinned").await.references[0].synced_version, first);
    assert_eq!(world.edge("pinned").await.unwrap()["username"], "operator");
}

#[tokio::test]
async fn without_a_change_nothing_is_forced() {
    let mut world = with_one(often()).await;
    // What was stored within the same seconds is looked at once more.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let before = world.syncs().get("edp1").await.unwrap().metadata.generation;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.generation, before);
    assert_eq!(world.get("edp1").await.state(), State::Synced);
}

#[tokio::test]
async fn sync_now_triggers_the_extension_at_once() {
    let mut world = with_one(engine()).await;
    world.somebody.sets("pump-user", "new").await;
    let told = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced);
    assert_eq!(world.edge("edp1").await.unwrap()["username"], "new");
}

#[tokio::test]
async fn validate_only_makes_a_dry_run_and_leaves_nothing() {
    let mut world = World::start_with(engine()).await;
    world.seed("pump-user", "operator").await;
    let mut request = create("edp1", vec![existing("username", "pump-user")]);
    request.validate_only = true;
    world.client.create_synced_secret(request).await.unwrap();
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    assert!(world.classes().get_opt("edp1").await.unwrap().is_none());
}
