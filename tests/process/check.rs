//! `secret-service check` in the Secret Store engine: each thing that is missing is named until nothing is.

use std::collections::BTreeMap;

use kube::api::{Patch, PatchParams, PostParams};
use secret_service::{
    doubles::{
        kube::Rule as Right,
        vault::{Action, Operation, Rule},
    },
    edge::secret_store::SecretProviderClass,
    proto::{GetVaultRequest, condition::Status},
};
use serde_json::{Value, json};
use tokio::process::Command;

use super::process::{Process, command, configuration};
use crate::support::Site;

const ENGINE: &str = "engine: which, and why";
const RIGHTS: &str = "secret store: rights on its resources";
const EXTENSION: &str = "secret store: the extension is installed and acts";
const ACCESS: &str = "secret store: identity and tenant are known";
const ACCOUNT: &str = "secret store: the service account is that identity's";
const ONE_VAULT: &str = "secret store: no class leads to another vault";
/// What stands first in the host of the vault on loopback.
const VAULT: &str = "127";

/// The exit code, and by check what holds and what was found.
async fn check(site: &Site) -> (i32, BTreeMap<String, (String, String)>) {
    let file = site.directory().join("check.toml");
    std::fs::write(&file, configuration(site, 0)).unwrap();
    let mut check = Command::from(command(&["check", "-o", "json", "--config"]));
    let ended = check.arg(&file).output().await.unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let text = |row: &Value, field: &str| row[field].as_str().unwrap().to_owned();
    let rows = report["checks"].as_array().unwrap().iter();
    let rows = rows.map(|row| (text(row, "check"), (text(row, "holds"), text(row, "found"))));
    (ended.status.code().unwrap(), rows.collect())
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
async fn each_thing_that_the_secret_store_engine_needs_is_a_row_with_what_to_do() {
    let mut site = Site::start().await;
    if site.is_double() {
        let (code, rows) = check(&site).await;
        assert!(
            rows[ENGINE].1.contains("direct: sync.engine is auto, and the cluster does not serve"),
            "{rows:?}"
        );
        assert!(code == 0 && !rows.contains_key(ACCESS), "nothing of it is needed: {rows:?}");
    }
    site.install_extension().await;
    site.vault.faults().add(Rule::new(Action::ForbiddenByRbac).on(Operation::SecretGet));
    let (code, rows) = check(&site).await;
    assert!(rows[ENGINE].1.contains("secret-store: sync.engine is auto, and the cluster serves"), "{rows:?}");
    assert!(rows["vault: may read values"].1.contains("reads no values"), "{rows:?}");
    assert_eq!((code, rows[ACCESS].0.as_str(), rows[RIGHTS].0.as_str()), (1, "no", "yes"), "{rows:?}");
    for words in ["secret_store.client_id", "az iot ops secretsync enable"] {
        assert!(rows[ACCESS].1.contains(words), "{rows:?}");
    }

    make_class(&site, "spc-ops-1a2b3c4", VAULT).await;
    let (code, rows) = check(&site).await;
    assert_eq!((code, rows[ACCESS].0.as_str(), rows[ACCOUNT].0.as_str()), (0, "yes", "yes"), "{rows:?}");
    assert_eq!(rows[EXTENSION].0, "warning", "no SecretSync tells of the controller yet: {rows:?}");

    make_class(&site, "theirs", "fabrikam").await;
    let (code, rows) = check(&site).await;
    assert_eq!((code, rows[ONE_VAULT].0.as_str()), (1, "no"), "{rows:?}");
    assert!(rows[ONE_VAULT].1.contains("theirs (fabrikam)"), "{rows:?}");
    lead(&site, "theirs", VAULT).await;

    let mut serving = Process::serve(&site).await;
    let request = GetVaultRequest { name: "vault".to_owned() };
    let vault = serving.client.get_vault(request).await.unwrap().into_inner();
    let told = |kind: &str| vault.conditions.iter().find(|condition| condition.r#type == kind).unwrap();
    assert_eq!(told("EngineChosen").reason, "Detected", "{vault:?}");
    assert!(told("EngineChosen").message.contains("secret-store: sync.engine is auto"), "{vault:?}");
    assert_eq!(told("SecureSettings").status(), Status::True, "{vault:?}");
    assert!(serving.terminate().await.success());
    let log = std::fs::read_to_string(super::process::log(&site)).unwrap();
    assert!(log.contains("the engine was chosen"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_right_on_the_extensions_resources_that_is_missing_is_named() {
    if !crate::support::needs_the_double("a right that is taken away") {
        return;
    }
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
    assert!(rows[RIGHTS].1.contains("May not patch on secretsyncs. "), "{rows:?}");
    assert!(rows[ACCOUNT].1.contains("verb get on serviceaccounts"), "{rows:?}");
}
