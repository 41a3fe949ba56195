//! That a real API server takes all that the chart makes, to the letter, and lets its pod into a namespace that admits none but those
//! of the strictest of the Pod Security Standards.

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{
    Api, Client,
    api::{
        ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams, PostParams, ValidationDirective,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{control_plane, refusal};

const MANIFEST_NAMESPACE: &str = "azure-iot-operations";

/// The objects of a manifest, for another namespace.
fn objects(manifest: &str, namespace: &str) -> Vec<DynamicObject> {
    let path = format!("{}/deploy/manifests/{manifest}.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap().replace(MANIFEST_NAMESPACE, namespace);
    let documents = serde_yaml_ng::Deserializer::from_str(&text);
    documents.map(|document| DynamicObject::deserialize(document).unwrap()).collect()
}

/// A namespace that admits only pods that are restricted.
async fn restricted(admin: &Client, name: &str) {
    let labels = json!({
        "pod-security.kubernetes.io/enforce": "restricted",
        "pod-security.kubernetes.io/enforce-version": "latest",
    });
    let namespace = json!({ "metadata": { "name": name, "labels": labels } });
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    Api::all(admin.clone()).create(&PostParams::default(), &namespace).await.unwrap();
}

/// Applies an object; a field that the API server does not know is an error. What is the whole cluster's is only tried.
async fn apply(admin: &Client, object: &DynamicObject) {
    let kind = GroupVersionKind::try_from(object.types.as_ref().unwrap()).unwrap();
    let resource = ApiResource::from_gvk(&kind);
    let mut params = PatchParams::apply("tests").force();
    params.field_validation = Some(ValidationDirective::Strict);
    let api: Api<DynamicObject> = match &object.metadata.namespace {
        Some(namespace) => Api::namespaced_with(admin.clone(), namespace, &resource),
        None => {
            params = params.dry_run();
            Api::all_with(admin.clone(), &resource)
        }
    };
    let name = object.metadata.name.as_deref().unwrap();
    let applied = api.patch(name, &params, &Patch::Apply(object)).await;
    applied.unwrap_or_else(|error| panic!("{} {name}: {error}", kind.kind));
}

/// The pod of a Deployment.
fn pod(deployment: &Value, name: &str) -> Pod {
    let mut pod = deployment["spec"]["template"].clone();
    pod["metadata"]["name"] = json!(name);
    serde_json::from_value(pod).unwrap()
}

#[tokio::test]
async fn every_object_of_the_chart_is_taken_and_its_pod_is_a_restricted_one() {
    if !control_plane::is_asked_for("the chart's objects") {
        return;
    }
    let admin = control_plane::shared().await.admin().await;
    for engine in ["direct", "secret-store", "auto"] {
        let namespace = format!("deployed-{engine}");
        restricted(&admin, &namespace).await;
        let objects = objects(engine, &namespace);
        for object in &objects {
            apply(&admin, object).await;
        }

        let is_deployment =
            |object: &&DynamicObject| object.types.as_ref().is_some_and(|types| types.kind == "Deployment");
        let deployment = objects.iter().find(is_deployment).expect("the manifest has one");
        let deployment = serde_json::to_value(deployment).unwrap();
        let pods: Api<Pod> = Api::namespaced(admin.clone(), &namespace);
        pods.create(&PostParams::default(), &pod(&deployment, "as-made")).await.unwrap();
        // The namespace means it.
        let mut laxer = pod(&deployment, "laxer");
        laxer.spec.as_mut().unwrap().containers[0].security_context = None;
        assert_eq!(refusal(pods.create(&PostParams::default(), &laxer).await), 403);
    }
}
