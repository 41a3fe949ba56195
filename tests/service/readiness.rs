//! Whether the instance is ready for secrets: what GetVault says of the engine and of all that it needs, with things missing one
//! by one.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::ServiceAccount,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use key_vault_double::{OnOperation, Operation, VaultFault};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use kubernetes_double::{Fault, FaultRule, OnResource, ResourceMatch, Rule as Right};
use secret_service::{
    edge::secret_store::{SecretObjectData, SecretProviderClass, SecretSync},
    model::SyncEngine,
    proto::{Condition, GetVaultRequest, SyncedSecret, condition::Status, synced_secret::State},
};
use serde_json::json;

use crate::support::{Options, PATIENCE, Site, World, requests::*};

const ACCOUNT: &str = "aio-ssc-sa";
const ANNOTATION: &str = "azure.workload.identity/client-id";

fn engine() -> Options {
    Options { engine: SyncEngine::SecretStore, ..Options::default() }
}

async fn told(world: &mut World, kind: &str) -> Condition {
    let request = GetVaultRequest { name: "vault".to_owned() };
    let vault = world.client.get_vault(request).await.unwrap().into_inner();
    vault.conditions.into_iter().find(|condition| condition.r#type == kind).expect(kind)
}

/// The condition has a status, a reason and these words.
async fn says(world: &mut World, kind: &str, status: Status, reason: &str, words: &[&str]) {
    let condition = told(world, kind).await;
    assert_eq!((condition.status(), condition.reason.as_str()), (status, reason), "{condition:?}");
    for word in words {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
}

fn accounts(world: &World) -> Api<ServiceAccount> {
    Api::namespaced(world.kube.clone(), &world.namespace)
}

async fn annotate(world: &World, identity: Option<&str>) {
    let patch = json!({ "metadata": { "annotations": { ANNOTATION: identity } } });
    accounts(world).patch(ACCOUNT, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

async fn make_class(world: &World, name: &str, provider: &str, vault: &str) {
    let mut class = SecretProviderClass::new(name, Default::default());
    class.spec.provider = provider.to_owned();
    class.spec.parameters = [("keyvaultName".to_owned(), vault.to_owned())].into();
    world.classes().create(&PostParams::default(), &class).await.unwrap();
}

async fn make_sync(world: &World, name: &str) {
    let mut sync = SecretSync::new(name, Default::default());
    sync.spec.secret_provider_class_name = "theirs".to_owned();
    sync.spec.service_account_name = ACCOUNT.to_owned();
    sync.spec.secret_object.r#type = "Opaque".to_owned();
    let data = SecretObjectData { source_path: "a1".to_owned(), target_key: "a1".to_owned() };
    sync.spec.secret_object.data = vec![data];
    world.syncs().create(&PostParams::default(), &sync).await.unwrap();
}

#[tokio::test]
async fn the_direct_engine_requires_the_right_to_read_values_and_no_extension() {
    let mut world = World::start_with(Options { engine: SyncEngine::Direct, ..Options::default() }).await;
    says(&mut world, "EngineChosen", Status::True, "Configured", &["direct", "sync.engine"]).await;
    says(&mut world, "SecureSettings", Status::True, "Ready", &[]).await;
    let installed = told(&mut world, "SecretStoreInstalled").await;
    assert!(installed.message.contains("direct engine does not"), "{installed:?}");
    // The resources of a real cluster are there for everybody.
    assert!(installed.status() == Status::False || !world.is_double(), "{installed:?}");

    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet));
    says(&mut world, "SecureSettings", Status::False, "NotReady", &["Key Vault Secrets User"]).await;
}

#[tokio::test]
async fn the_secret_store_engine_reads_no_values_and_reports_that_the_controller_is_active() {
    let mut world = World::start_with(engine()).await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet));
    says(&mut world, "EngineChosen", Status::True, "Configured", &["secret-store"]).await;
    says(&mut world, "SecureSettings", Status::True, "Ready", &[]).await;
    says(&mut world, "CanGet", Status::Unknown, "NotChecked", &["this service does not"]).await;
    assert_eq!(world.vault.requests().of(Operation::SecretGet), 0);
    let how_to_look = ["first SecretSync", "kubectl get pods --namespace azure-secret-store"];
    says(&mut world, "SecretStoreInstalled", Status::Unknown, "Unknown", &how_to_look).await;

    world.vault.faults().clear();
    world.seed("pump-user", "operator").await;
    let request = create("edp1", vec![existing("username", "pump-user")]);
    world.client.create_synced_secret(request).await.unwrap();
    says(&mut world, "SecretStoreInstalled", Status::True, "Installed", &["\"edp1\""]).await;

    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretList));
    says(&mut world, "SecureSettings", Status::False, "NotReady", &["list"]).await;
}

#[tokio::test]
async fn the_extensions_account_must_exist_and_match_the_identity() {
    let mut world = World::start_with(engine()).await;
    let identity = world.vault.credential().client_id.clone();
    annotate(&world, Some("another-identity")).await;
    let words = [ACCOUNT, "another-identity", &identity, "kubectl annotate", "secret_store.client_id"];
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;

    annotate(&world, None).await;
    let words = [ANNOTATION, "kubectl annotate", &format!("{ANNOTATION}={identity}")];
    says(&mut world, "SecureSettings", Status::Unknown, "Unknown", &words).await;

    accounts(&world).delete(ACCOUNT, &DeleteParams::default()).await.unwrap();
    let words =
        ["no service account aio-ssc-sa", "az iot ops secretsync enable", "secret_store.service_account"];
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;
}

#[tokio::test]
async fn an_unreadable_account_is_reported_as_unknown_with_the_missing_right() {
    needs!(the_double);
    let mut world = World::start_with(engine()).await;
    let all = || vec!["*".to_owned()];
    let right = Right {
        verbs: all(),
        groups: all(),
        resources: vec!["serviceaccounts".to_owned()],
        namespaces: all(),
        names: Vec::new(),
    };
    world.cluster().policy().deny("admin", right);
    let words = ["verb get on serviceaccounts", "deploy/manifests"];
    says(&mut world, "SecureSettings", Status::Unknown, "Unknown", &words).await;
}

#[tokio::test]
async fn classes_of_other_vaults_are_reported() {
    let mut world = World::start_with(engine()).await;
    make_class(&world, "spc-ops-1a2b3c4", "azure", "Contoso-AIO").await;
    make_class(&world, "of-another-cloud", "vault", "elsewhere").await;
    says(&mut world, "SecureSettings", Status::True, "Ready", &[]).await;
    make_class(&world, "theirs", "azure", "fabrikam").await;
    make_class(&world, "hers", "azure", "tailspin").await;
    let words = ["contoso-aio", "hers (tailspin), theirs (fabrikam)", "secret_store.vault_name"];
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;
}

#[tokio::test]
async fn a_silent_controller_is_reported() {
    let mut world = World::start_with(Options { patience: Duration::from_millis(500), ..engine() }).await;
    world.stop_extension().await;
    make_sync(&world, "theirs").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let words = ["\"theirs\"", "kubectl get pods --namespace azure-secret-store"];
    says(&mut world, "SecretStoreInstalled", Status::False, "EngineNotResponding", &words).await;
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;
}

#[tokio::test]
async fn a_controller_that_stops_answering_is_reported() {
    let mut world = World::start_with(Options { patience: Duration::from_millis(500), ..engine() }).await;
    create_edp1(&mut world).await;
    world.stop_extension().await;
    let again = world.client.sync_synced_secret(sync("edp1")).await.unwrap().into_inner();
    assert_eq!(again.conditions[0].reason, "EngineNotResponding");
    let words = ["\"edp1\"", "azure-secret-store"];
    says(&mut world, "SecretStoreInstalled", Status::False, "EngineNotResponding", &words).await;
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;
}

#[tokio::test]
async fn kinds_that_are_not_served_are_reported_with_install_instructions() {
    needs!(the_double);
    let mut world = World::start_with(engine()).await;
    let definitions: Api<CustomResourceDefinition> = Api::all(world.kube.clone());
    definitions.delete("secretsyncs.secret-sync.x-k8s.io", &DeleteParams::default()).await.unwrap();
    let words = ["secretsyncs.secret-sync.x-k8s.io/v1alpha1", "az iot ops init", "sync.engine"];
    says(&mut world, "SecretStoreInstalled", Status::False, "NotInstalled", &words).await;
    says(&mut world, "SecureSettings", Status::False, "NotReady", &words).await;
    let installed = told(&mut world, "SecretStoreInstalled").await;
    assert!(!installed.message.contains("secretproviderclasses"), "that is there: {installed:?}");
}

fn auto() -> Options {
    Options { is_auto: true, ..engine() }
}

/// The cluster's answer to who asks for the SecretSyncs, before their definition is established.
fn not_served() -> FaultRule<ResourceMatch> {
    let missing = Fault::status(404, "NotFound");
    FaultRule::new(missing).resource("/apis/secret-sync.x-k8s.io/v1alpha1")
}

#[tokio::test]
async fn delegated_synced_secrets_stay_delegated_if_the_kinds_are_missing_at_a_start() {
    needs!(the_double);
    let mut world = World::start_with(auto()).await;
    create_edp1(&mut world).await;
    let before = world.until_state("edp1", State::Synced).await;
    let given = world.syncs().get("edp1").await.unwrap();
    world.stop_service().await;
    world.cluster().faults().add(not_served());
    world.start_service().await;

    // Longer than a namespace without synced secrets would be given.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let words =
        ["secret-store: sync.engine is auto", "secretsyncs", "az iot ops init", "sync.engine to direct"];
    says(&mut world, "EngineChosen", Status::True, "Detected", &words).await;
    says(&mut world, "SecretStoreInstalled", Status::False, "NotInstalled", &["secretsyncs"]).await;
    says(&mut world, "SecureSettings", Status::False, "NotReady", &[]).await;
    assert_eq!(world.get("edp1").await.state(), before.state());
    assert_eq!(world.syncs().get("edp1").await.unwrap().metadata.uid, given.metadata.uid);

    // They are back: everything goes on without a restart.
    world.cluster().faults().clear();
    world.somebody.sets("pump-user", "another").await;
    let begun = tokio::time::Instant::now();
    while world.edge("edp1").await.unwrap()["username"] != "another" {
        let _ = world.client.sync_synced_secret(sync("edp1")).await;
        assert!(begun.elapsed() < PATIENCE, "it does not go on");
    }
    says(&mut world, "EngineChosen", Status::True, "Detected", &["cluster serves"]).await;
}

/// A service that finds the extension installed, and the cluster with a fault.
async fn started_beside(fault: FaultRule<ResourceMatch>) -> World {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.cluster().faults().add(fault);
    World::start_on(site, auto()).await
}

async fn create_edp1(world: &mut World) -> SyncedSecret {
    world.seed("pump-user", "operator").await;
    world.create("edp1", vec![existing("username", "pump-user")]).await
}

#[tokio::test]
async fn a_single_not_served_response_does_not_select_the_direct_engine() {
    needs!(the_double);
    let mut world = started_beside(not_served().times(1)).await;
    create_edp1(&mut world).await;
    says(&mut world, "EngineChosen", Status::True, "Detected", &["secret-store", "cluster serves"]).await;
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_some());
}

#[tokio::test]
async fn kinds_installed_after_the_start_are_used_if_no_synced_secrets_exist() {
    needs!(the_double);
    let mut world = started_beside(not_served()).await;
    until_chosen(&mut world, "direct").await;
    world.cluster().faults().clear();
    until_chosen(&mut world, "secret-store").await;
    create_edp1(&mut world).await;
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_some());
}

#[tokio::test]
async fn kinds_installed_after_the_start_take_nothing_from_the_direct_engine_before_a_restart() {
    needs!(the_double);
    let mut world = started_beside(not_served()).await;
    create_edp1(&mut world).await;
    world.cluster().faults().clear();
    // The service has noticed by now that they are served.
    tokio::time::sleep(Duration::from_secs(10)).await;
    says(&mut world, "EngineChosen", Status::True, "Detected", &["direct", "only since", "restart"]).await;
    assert!(world.syncs().get_opt("edp1").await.unwrap().is_none());
    world.restart().await;
    until_chosen(&mut world, "secret-store").await;
    let begun = tokio::time::Instant::now();
    while world.syncs().get_opt("edp1").await.unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "it is never handed over");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn until_chosen(world: &mut World, engine: &str) {
    let begun = tokio::time::Instant::now();
    loop {
        let chosen = told(world, "EngineChosen").await;
        if chosen.message.starts_with(&format!("{engine}: sync.engine is auto"))
            && chosen.reason == "Detected"
        {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{engine} is never chosen: {chosen:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
