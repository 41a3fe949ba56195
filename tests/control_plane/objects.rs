//! What only the real API server and its controllers do: server-side apply, the end of a namespace, garbage collection.

use k8s_openapi::{
    api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::{control_plane, refusal, until};

#[tokio::test]
async fn a_field_of_another_manager_is_a_conflict_unless_forced() {
    needs!(the_control_plane);
    let kubeconfig = control_plane::shared().await.instance("apply").await;
    let secrets: Api<Secret> = Api::namespaced(control_plane::client(&kubeconfig).await, "apply");
    let apply = async |parameters: PatchParams, value: &str| {
        let body = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shared"}, "data": {"key": value},
        });
        secrets.patch("shared", &parameters, &Patch::Apply(body)).await
    };
    apply(PatchParams::apply("one"), "b25l").await.unwrap();
    assert_eq!(refusal(apply(PatchParams::apply("two"), "dHdv").await), 409);
    apply(PatchParams::apply("two").force(), "dHdv").await.unwrap();
}

#[tokio::test]
async fn deleting_a_namespace_deletes_its_objects() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    let kubeconfig = plane.instance("passing").await;
    let secrets: Api<Secret> = Api::namespaced(control_plane::client(&kubeconfig).await, "passing");
    secrets.create(&PostParams::default(), &secret("passing-too", None)).await.unwrap();

    let namespaces: Api<Namespace> = Api::all(plane.admin().await);
    namespaces.delete("passing", &DeleteParams::default()).await.unwrap();
    until("the namespace is gone", async || namespaces.get_opt("passing").await.unwrap().is_none()).await;
    let secrets: Api<Secret> = Api::namespaced(plane.admin().await, "passing");
    assert!(secrets.get_opt("passing-too").await.unwrap().is_none());
}

#[tokio::test]
async fn dependents_are_deleted_with_their_owner() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    plane.instance("owners").await;
    let secrets: Api<Secret> = Api::namespaced(plane.admin().await, "owners");
    let owner = secrets.create(&PostParams::default(), &secret("owner", None)).await.unwrap();
    secrets.create(&PostParams::default(), &secret("owned", Some(&owner))).await.unwrap();
    secrets.delete("owner", &DeleteParams::default()).await.unwrap();
    until("the owned one is gone", async || secrets.get_opt("owned").await.unwrap().is_none()).await;
}

#[tokio::test]
async fn a_new_namespace_gets_its_default_account_and_the_certificate_of_the_cluster() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    plane.instance("newborn").await;
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.admin().await, "newborn");
    until("there is a default account", async || accounts.get_opt("default").await.unwrap().is_some()).await;
    let maps: Api<ConfigMap> = Api::namespaced(plane.admin().await, "newborn");
    until("there is a certificate", async || maps.get_opt("kube-root-ca.crt").await.unwrap().is_some()).await;
}

fn secret(name: &str, owner: Option<&Secret>) -> Secret {
    let reference = |owner: &Secret| OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Secret".to_owned(),
        name: owner.metadata.name.clone().unwrap(),
        uid: owner.metadata.uid.clone().unwrap(),
        ..OwnerReference::default()
    };
    let metadata = ObjectMeta {
        name: Some(name.to_owned()),
        owner_references: owner.map(|owner| vec![reference(owner)]),
        ..ObjectMeta::default()
    };
    Secret { metadata, ..Secret::default() }
}
