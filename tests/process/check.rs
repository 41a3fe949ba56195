//! `secret-service check` in the Secret Store engine: each thing that is missing is named until nothing is.

use std::collections::BTreeMap;

use key_vault_double::{OnOperation, Operation, VaultFault};
use kube::api::{Patch, PatchParams, PostParams};
use kubernetes_double::{FaultRule, Rule as Right};
use secret_service::{
    edge::secret_store::SecretProviderClass,
    proto::{Condition, GetVaultRequest, SyncEngine, Vault, condition::Status},
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::process::{DIRECT, Process, command, configuration};
use crate::support::{PATIENCE, Site, requests::*};

const ENGINE: &str = "engine";
const RIGHTS: &str = "secret-store.rights";
const EXTENSION: &str = "secret-store.extension";
const ACCESS: &str = "secret-store.identity";
const ACCOUNT: &str = "secret-store.service-account";
const ONE_VAULT: &str = "secret-store.vault";
/// What stands first in the host of the vault on loopback.
const VAULT_NAME: &str = "127";

/// What the cluster serves decides the engine.
fn auto(site: &Site) -> String {
    let text = configuration(site, 0).replace(DIRECT, "");
    assert!(!text.contains("engine"));
    text
}

/// The exit code, and by the check's id what holds and what was found.
async fn check(site: &Site) -> (i32, BTreeMap<String, (String, String)>) {
    let file = site.directory().join("check.toml");
    std::fs::write(&file, auto(site)).unwrap();
    let mut check = Command::from(command(&["check", "-o", "json", "--config"]));
    let ended = check.arg(&file).output().await.unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = report["checks"].as_array().unwrap().iter();
    let rows = rows.map(|row| (text(row, "id"), (text(row, "holds"), text(row, "found"))));
    (ended.status.code().unwrap(), rows.collect())
}

/// A service that has chosen its engine.
async fn serve(site: &Site) -> Process {
    let (mut serving, begun) = (Process::serve_as(site, &auto(site), &[]).await, tokio::time::Instant::now());
    while get_vault(&mut serving).await.engine() == SyncEngine::Unspecified {
        assert!(begun.elapsed() < PATIENCE, "it never chose an engine");
    }
    serving
}

async fn get_vault(serving: &mut Process) -> Vault {
    let request = GetVaultRequest { name: "vault".to_owned() };
    serving.client.get_vault(request).await.unwrap().into_inner()
}

fn condition<'a>(vault: &'a Vault, kind: &str) -> &'a Condition {
    condition_of(&vault.conditions, kind).expect(kind)
}

async fn make_class(site: &Site, name: &str, vault: &str) {
    let identity = site.vault.credential();
    let mut class = SecretProviderClass::new(name, Default::default());
    class.spec.provider = "azure".to_owned();
    let parameters =
        [("keyvaultName", vault), ("clientID", &identity.client_id), ("tenantID", &identity.tenant_id)];
    class.spec.parameters =
        parameters.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect();
    site.classes().create(&PostParams::default(), &class).await.unwrap();
}

async fn lead(site: &Site, class: &str, vault: &str) {
    let patch = json!({ "spec": { "parameters": { "keyvaultName": vault } } });
    site.classes().patch(class, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_requirement_of_the_secret_store_engine_is_a_row_with_a_remedy() {
    let mut site = Site::start().await;
    // The resources of a real cluster are there for everybody.
    match site.is_double() {
        true => nothing_of_it_is_needed_before_the_extension_is_there(&mut site).await,
        false => site.install_extension().await,
    }
    site.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet));
    let (code, rows) = check(&site).await;
    assert!(rows[ENGINE].1.contains("secret-store: sync.engine is auto, and the cluster serves"), "{rows:?}");
    assert!(rows["vault.get"].1.contains("this service does not"), "{rows:?}");
    assert_eq!((code, rows[ACCESS].0.as_str(), rows[RIGHTS].0.as_str()), (1, "no", "yes"), "{rows:?}");
    for words in ["secret_store.client_id", "az iot ops secretsync enable"] {
        assert!(rows[ACCESS].1.contains(words), "{rows:?}");
    }

    make_class(&site, "spc-ops-1a2b3c4", VAULT_NAME).await;
    let (code, rows) = check(&site).await;
    assert_eq!((code, rows[ACCESS].0.as_str(), rows[ACCOUNT].0.as_str()), (0, "yes", "yes"), "{rows:?}");
    assert_eq!(rows[EXTENSION].0, "warning", "no SecretSync tells of the controller yet: {rows:?}");

    make_class(&site, "theirs", "fabrikam").await;
    let (code, rows) = check(&site).await;
    assert_eq!((code, rows[ONE_VAULT].0.as_str()), (1, "no"), "{rows:?}");
    assert!(rows[ONE_VAULT].1.contains("theirs (fabrikam)"), "{rows:?}");
    lead(&site, "theirs", VAULT_NAME).await;

    let mut serving = serve(&site).await;
    let vault = get_vault(&mut serving).await;
    let chosen = condition(&vault, "EngineChosen");
    assert_eq!(chosen.reason, "Detected", "{chosen:?}");
    assert!(chosen.message.contains("secret-store: sync.engine is auto"), "{chosen:?}");
    let settings = condition(&vault, "SecureSettings");
    assert_eq!(settings.status(), Status::True, "{settings:?}");
    assert!(serving.terminate().await.success());
    let log = std::fs::read_to_string(super::process::log(&site)).unwrap();
    assert!(log.contains("the engine was chosen"), "{log}");
}

async fn nothing_of_it_is_needed_before_the_extension_is_there(site: &mut Site) {
    let (code, rows) = check(site).await;
    assert!(
        rows[ENGINE].1.contains("direct: sync.engine is auto, and the cluster does not serve"),
        "{rows:?}"
    );
    assert!(code == 0 && !rows.contains_key(ACCESS), "{rows:?}");
    let mut serving = Process::serve_as(site, &auto(site), &[]).await;
    // A call in the first moment waits for the choice.
    let request = create("early", vec![created("k", "early", "1")]);
    serving.client.create_synced_secret(request).await.unwrap();
    site.install_extension().await;
    let vault = get_vault(&mut serving).await;
    let chosen = condition(&vault, "EngineChosen");
    assert!(chosen.message.contains("direct: sync.engine is auto"), "{chosen:?}");
    assert!(chosen.message.contains("restart the service"), "{chosen:?}");
    assert!(serving.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_right_on_the_extensions_resources_is_named() {
    needs!(the_double);
    let mut site = Site::start().await;
    site.install_extension().await;
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let deny = |verb: &str, resource: &str| {
        let (verbs, resources) = (words(&[verb]), words(&[resource]));
        let right =
            Right { verbs, resources, groups: words(&["*"]), namespaces: words(&["*"]), names: Vec::new() };
        site.cluster().policy().deny("admin", right);
    };
    deny("patch", "secretsyncs");
    deny("get", "serviceaccounts");
    let (code, rows) = check(&site).await;
    assert_eq!((code, rows[RIGHTS].0.as_str(), rows[ACCOUNT].0.as_str()), (1, "no", "warning"), "{rows:?}");
    assert!(rows[RIGHTS].1.contains("may not patch on secretsyncs. "), "{rows:?}");
    assert!(rows[ACCOUNT].1.contains("verb get on serviceaccounts"), "{rows:?}");
}
