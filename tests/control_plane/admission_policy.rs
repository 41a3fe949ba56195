//! The chart's admission policy: the API server itself holds the service's account to Secrets of its own, and everything works with it.

use std::{collections::BTreeMap, path::Path};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use secret_service::{
    edge::UID_LABEL,
    model::SyncEngine,
    proto::{AdoptSyncedSecretRequest, synced_secret::State},
};
use serde_json::{Value, json};

use crate::{
    control_plane::{self, ControlPlane},
    refusal,
    support::{Options, Site, World, requests::*},
    until,
};

/// What the chart makes, for an instance in a namespace.
fn policy(namespace: &str) -> String {
    control_plane::manifest("admission-policy").replace(control_plane::MANIFEST_NAMESPACE, namespace)
}

/// Applies a policy, and waits until the API server holds the account to it.
async fn hold(plane: &ControlPlane, namespace: &str, kubeconfig: &Path, policy: &str) -> Api<Secret> {
    control_plane::apply(&plane.admin().await, namespace, policy).await;
    let secrets: Api<Secret> = Api::namespaced(control_plane::client(kubeconfig).await, namespace);
    let probe = PostParams { dry_run: true, ..PostParams::default() };
    let is_held = async || secrets.create(&probe, &secret("probe", "Opaque", &[])).await.is_err();
    until("the policy holds", is_held).await;
    secrets
}

fn secret(name: &str, secret_type: &str, labels: &[(&str, &str)]) -> Secret {
    let mut secret = Secret { type_: Some(secret_type.to_owned()), ..Secret::default() };
    secret.metadata.name = Some(name.to_owned());
    let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    secret.metadata.labels = Some(labels.collect()).filter(|labels: &BTreeMap<_, _>| !labels.is_empty());
    let keys = ["username", "password"].map(|key| (key.to_owned(), ByteString(b"7".to_vec())));
    secret.data = Some(keys.into());
    secret
}

async fn patch(secrets: &Api<Secret>, name: &str, patch: Value) -> kube::Result<Secret> {
    secrets.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await
}

fn labelled(key: &str, value: &str) -> Value {
    json!({ "metadata": { "labels": { key: value } } })
}

const OURS: (&str, &str) = (UID_LABEL, "6b4c1c2e-1d6e-4f6e-9d2a-0d2f6e1a2b3c");

#[tokio::test]
async fn the_account_writes_only_its_own_secrets_and_none_that_control_other_controllers() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    let kubeconfig = plane.instance("policy").await;
    let ours = hold(plane, "policy", &kubeconfig, &policy("policy")).await;
    let others: Api<Secret> = Api::namespaced(plane.admin().await, "policy");
    let post = PostParams::default();

    // What it makes has the label, a type and a name that may be, and labels that may be.
    for refused in [
        secret("plain", "Opaque", &[]),
        secret("typed", "helm.sh/release.v1", &[OURS]),
        secret("sh.helm.release.v1.aio.v1", "Opaque", &[OURS]),
        secret("spc-ops-0000000", "Opaque", &[OURS]),
        secret("aio-broker-tls", "Opaque", &[OURS]),
        secret("secret-service-tls", "Opaque", &[OURS]),
        secret("of-helm", "Opaque", &[OURS, ("owner", "helm")]),
        secret("of-argo-cd", "Opaque", &[OURS, ("argocd.argoproj.io/secret-type", "cluster")]),
    ] {
        assert_eq!(refusal(ours.create(&post, &refused).await), 403, "{:?}", refused.metadata);
        others.create(&post, &refused).await.expect("the policy is about the service's account alone");
    }
    let managed = ("app.kubernetes.io/managed-by", "secret-service");
    ours.create(&post, &secret("mine", "Opaque", &[OURS, managed, ("line", "1")])).await.unwrap();
    ours.create(&post, &secret("aio-opc-ua-broker-trust-list", "Opaque", &[OURS])).await.unwrap();

    // What it changes was its own, or becomes it.
    let data = || json!({ "stringData": { "password": "8" } });
    patch(&ours, "mine", data()).await.unwrap();
    patch(&others, "mine", labelled("argocd.argoproj.io/instance", "theirs")).await.unwrap();
    patch(&ours, "mine", data()).await.expect("labels that others have given it stay");
    assert_eq!(
        refusal(patch(&ours, "mine", labelled("argocd.argoproj.io/secret-type", "cluster")).await),
        403
    );
    assert_eq!(refusal(patch(&ours, "plain", data()).await), 403);
    for name in ["typed", "sh.helm.release.v1.aio.v1", "secret-service-tls"] {
        patch(&others, name, labelled(OURS.0, "x")).await.unwrap();
        patch(&others, name, json!({ "metadata": { "labels": { OURS.0: null } } })).await.unwrap();
        assert_eq!(refusal(patch(&ours, name, labelled(OURS.0, OURS.1)).await), 403, "{name}");
    }
    patch(&ours, "plain", labelled(OURS.0, OURS.1)).await.expect("it is adopted");
    patch(&ours, "plain", data()).await.unwrap();

    // What it deletes is its own.
    assert_eq!(refusal(ours.delete("secret-service-tls", &DeleteParams::default()).await), 403);
    ours.delete("plain", &DeleteParams::default()).await.unwrap();
}

#[tokio::test]
async fn without_adoption_the_policy_denies_taking_over_foreign_secrets() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    let kubeconfig = plane.instance("policy-strict").await;
    // As the chart makes it with admissionPolicy.adoption=false.
    let condition = "!variables.isNew || variables.carriesLabel";
    let manifest = policy("policy-strict");
    assert!(manifest.contains(condition));
    let strict = manifest.replace(condition, &format!("{condition} && oldObject == null"));
    let ours = hold(plane, "policy-strict", &kubeconfig, &strict).await;
    let others: Api<Secret> = Api::namespaced(plane.admin().await, "policy-strict");
    others.create(&PostParams::default(), &secret("theirs", "Opaque", &[])).await.unwrap();
    assert_eq!(refusal(patch(&ours, "theirs", labelled(OURS.0, OURS.1)).await), 403);
    ours.create(&PostParams::default(), &secret("mine", "Opaque", &[OURS])).await.unwrap();
    patch(&ours, "mine", json!({ "stringData": { "password": "8" } })).await.unwrap();
}

/// A life of synced secrets in one engine and on to the other: made, adopted, repaired, changed, handed over, deleted.
async fn lives(first: SyncEngine, then: SyncEngine) {
    let plane = control_plane::shared().await;
    let site = Site::on(plane).await;
    hold(plane, &site.namespace, &site.kubeconfig, &policy(&site.namespace)).await;
    let mut world = World::start_on(site, Options { engine: first, ..Options::default() }).await;
    for name in ["pump-user", "pump-pass"] {
        world.seed(name, "7").await;
    }
    let request = create("made", vec![created("username", "of-made", "operator")]);
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{first:?}: {made:?}");

    let by_hand = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    world.secrets().create(&by_hand, &secret("by-hand", "Opaque", &[])).await.unwrap();
    let references = vec![existing("username", "pump-user"), existing("password", "pump-pass")];
    let adopt = AdoptSyncedSecretRequest { name: name("by-hand"), references, ..Default::default() };
    world.client.adopt_synced_secret(adopt).await.unwrap();
    world.until_state("by-hand", State::Synced).await;

    for id in ["made", "by-hand"] {
        patch(&world.secrets(), id, json!({ "metadata": { "labels": { OURS.0: null } } })).await.unwrap();
        let is_marked = async || {
            let secret = world.secrets().get(id).await.unwrap();
            secret.metadata.labels.is_some_and(|labels| labels.contains_key(UID_LABEL))
        };
        until("the label is back", is_marked).await;
    }
    let mut more = world.get("made").await;
    more.references.push(existing("password", "pump-pass"));
    let more = world.client.update_synced_secret(update(more, &["references"])).await.unwrap().into_inner();
    assert_eq!(more.state(), State::Synced, "{first:?}: {more:?}");

    world.switch_engine(then).await;
    for id in ["made", "by-hand"] {
        let is_of_next = async || {
            let sync = world.syncs().get_opt(id).await.unwrap();
            let secret = world.secrets().get(id).await.unwrap();
            let is_owned = secret.metadata.owner_references.is_some_and(|owners| !owners.is_empty());
            match then {
                SyncEngine::SecretStore => sync.is_some() && is_owned,
                SyncEngine::Direct => sync.is_none() && !is_owned,
            }
        };
        until("the other engine has it", is_of_next).await;
        let told = world.until_state(id, State::Synced).await;
        assert_eq!(world.edge(id).await.unwrap().len(), told.references.len());
        world.client.delete_synced_secret(delete(id)).await.unwrap();
        world.until_gone(id).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_policy_both_engines_and_the_hand_over_work() {
    needs!(the_control_plane);
    lives(SyncEngine::Direct, SyncEngine::SecretStore).await;
    lives(SyncEngine::SecretStore, SyncEngine::Direct).await;
}
