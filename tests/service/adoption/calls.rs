//! The call itself: refusals, dry runs, repetitions, races.

use super::*;

#[tokio::test]
async fn a_missing_secret_or_one_owned_by_another_controller_is_not_adopted() {
    let mut world = World::start().await;
    world.seed("pump-user", "operator").await;
    let references = || vec![existing("username", "pump-user")];
    let missing = world.client.adopt_synced_secret(adopt("nobody", references())).await.unwrap_err();
    assert_eq!(told_of(&missing), (Code::NotFound, "SYNCED_SECRET_NOT_FOUND".to_owned()));

    let owner = serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "owner" }
    });
    create_as::<k8s_openapi::api::core::v1::ConfigMap>(&world.kube, &world.namespace, owner).await;
    let configs: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(world.kube.clone(), &world.namespace);
    let owner = configs.get("owner").await.unwrap();
    let mut secret = Secret::default();
    secret.metadata.name = Some("owned".to_owned());
    secret.metadata.owner_references = Some(vec![owner.owner_ref(&()).unwrap()]);
    secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
    world.secrets().create(&PostParams::default(), &secret).await.unwrap();
    let refused = world.client.adopt_synced_secret(adopt("owned", references())).await.unwrap_err();
    assert_eq!(told_of(&refused), (Code::FailedPrecondition, "SECRET_OWNED".to_owned()));
    assert!(refused.message().contains("ConfigMap owner"), "{refused}");
}

#[tokio::test]
async fn a_validate_only_adoption_changes_nothing_and_a_repeated_one_returns_the_same() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    let before = listed(&mut world, "edp1secrets").await;
    let mut trial = adopt("edp1secrets", vec![]);
    trial.validate_only = true;
    world.client.adopt_synced_secret(trial).await.unwrap();
    assert_eq!(world.get("edp1secrets").await.origin(), before.origin());

    let mut request = adopt("edp1secrets", vec![]);
    request.request_id = uuid::Uuid::new_v4().to_string();
    let first = world.client.adopt_synced_secret(request.clone()).await.unwrap().into_inner();
    let again = world.client.adopt_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((first.uid, first.generation), (again.uid, again.generation));
    world.until_state("edp1secrets", State::Synced).await;
}

#[tokio::test]
async fn a_deny_rule_on_a_vault_secret_denies_adopting_a_secret_that_holds_it() {
    let mut options = engine(SyncEngine::SecretStore);
    options.access.rules = ["deny * vaultSecrets/opc-*".parse().unwrap()].into_iter().collect();
    let mut world = made_by_the_portal_for(options).await;
    listed(&mut world, "edp1secrets").await;
    // The request names no vault secret: the edge does.
    let refused =
        told(&world.client.adopt_synced_secret(adopt("edp1secrets", Vec::new())).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "NAME_NOT_ALLOWED"));
    assert_eq!(world.get("edp1secrets").await.origin(), Origin::Unmanaged);
}

#[tokio::test]
async fn an_adoption_stays_recorded_if_its_secretsync_is_deleted_meanwhile() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    listed(&mut world, "edp1secrets").await;
    // While somebody else holds the database, the adoption waits to be recorded, and the mirror to record that the SecretSync is gone.
    let mut database = SqliteConnection::connect_with(
        &SqliteConnectOptions::new().filename(world.directory().join("secret-service.db")),
    )
    .await
    .unwrap();
    let held = database.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let mut client = world.client.clone();
    let adopting =
        tokio::spawn(async move { client.adopt_synced_secret(adopt("edp1secrets", vec![])).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.syncs().delete("edp1secrets", &Default::default()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    held.rollback().await.unwrap();

    adopting.await.unwrap().expect("it was there when it was looked at");
    // Later than the mirror: it takes in whatever is new at the edge.
    make_another(&world, "after").await;
    until_listed(&world, "after").await;
    assert_eq!(world.get("edp1secrets").await.origin(), Origin::Managed);
}

#[tokio::test]
async fn an_adoption_overtaken_by_a_change_is_refused_as_stale_and_the_change_stays() {
    let mut world = World::start_with(engine(SyncEngine::Direct)).await;
    world.seed("pump-user", "operator").await;
    world.seed("pump-pass", "7").await;
    world.create("edp1", vec![existing("username", "pump-user")]).await;
    world.stop_service().await;
    world.secrets().delete("edp1", &Default::default()).await.unwrap();
    make_by_hand(&world, "edp1", "Opaque", None).await;
    world.start_service().await;
    world.until_state("edp1", State::Degraded).await;

    let delay = Fault::latency(Duration::from_secs(1));
    for read in [Operation::SecretGet, Operation::SecretListVersions] {
        world.vault.faults().add(FaultRule::new(delay.clone()).on(read).named("pump-pass"));
    }
    let described =
        SyncedSecret { name: name("edp1"), description: "pump".to_owned(), ..SyncedSecret::default() };
    let described = UpdateSyncedSecretRequest { wait: None, ..update(described, &["description"]) };
    let (mut first, mut second) = (world.client.clone(), world.client.clone());
    let (adopted, described) = tokio::join!(first.adopt_synced_secret(adopt("edp1", both())), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        second.update_synced_secret(described).await
    });
    described.unwrap();
    assert_eq!(adopted.unwrap_err().code(), Code::Aborted);
    let now = world.get("edp1").await;
    assert_eq!((now.description.as_str(), now.references.len()), ("pump", 1));
}
