//! Resources that name secrets, and the definitions of their kinds, as the operator of a cluster would make them.

// Each test binary uses its own part of this.
#![allow(dead_code, missing_docs)]

use std::time::Duration;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{PATIENCE, Site};

/// The kinds of Azure IoT Operations, as `examples/` has them.
const KINDS: [&str; 6] = [
    include_str!("../../examples/crds/aio/deviceregistry.yaml"),
    include_str!("../../examples/crds/aio/connectivity.yaml"),
    include_str!("../../examples/crds/aio/mqttbroker.yaml"),
    include_str!("../../examples/crds/aio/akri.yaml"),
    include_str!("../../examples/crds/aio/iotoperations.yaml"),
    include_str!("../../examples/crds/aio/cert-manager.yaml"),
];

/// Installs the kinds of Azure IoT Operations. On a real cluster all tests share them, so nobody removes them.
pub async fn install(kube: &Client) {
    for document in KINDS.into_iter().flat_map(serde_yaml_ng::Deserializer::from_str) {
        define(kube, &CustomResourceDefinition::deserialize(document).unwrap()).await;
    }
}

/// Installs one definition, and waits until the cluster serves it.
pub async fn define(kube: &Client, definition: &CustomResourceDefinition) {
    let definitions: Api<CustomResourceDefinition> = Api::all(kube.clone());
    let name = definition.metadata.name.as_deref().unwrap();
    let apply = PatchParams::apply("tests").force();
    definitions.patch(name, &apply, &Patch::Apply(definition)).await.unwrap();
    let group_version = format!("{}/{}", definition.spec.group, definition.spec.versions[0].name);
    let begun = Instant::now();
    loop {
        let served = kube.list_api_group_resources(&group_version).await;
        if served.is_ok_and(|list| list.resources.iter().any(|one| one.name == definition.spec.names.plural))
        {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{name} is never served");
        sleep(Duration::from_millis(20)).await;
    }
}

/// A definition of a test's own with an open schema: `Camera` and `cameras` for `camera`.
pub fn definition(group: &str, singular: &str, version: &str) -> CustomResourceDefinition {
    let kind = singular[..1].to_uppercase() + &singular[1..];
    serde_json::from_value(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{singular}s.{group}") },
        "spec": {
            "group": group, "scope": "Namespaced",
            "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": format!("{singular}s"), "singular": singular },
            "versions": [{
                "name": version, "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    }))
    .unwrap()
}

/// Takes a definition away, and waits until it is gone: what is applied to one that is being deleted goes with it.
pub async fn undefine(kube: &Client, definition: &CustomResourceDefinition) {
    let definitions: Api<CustomResourceDefinition> = Api::all(kube.clone());
    let name = definition.metadata.name.as_deref().unwrap();
    definitions.delete(name, &DeleteParams::default()).await.unwrap();
    let begun = Instant::now();
    while definitions.get_opt(name).await.unwrap().is_some() {
        assert!(begun.elapsed() < PATIENCE, "{name} is never gone");
        sleep(Duration::from_millis(20)).await;
    }
}

impl Site {
    /// Applies a resource: `KIND.GROUP`, its name, and its spec.
    pub async fn applies(&self, group_kind: &str, name: &str, spec: Value) {
        let api = self.resources(group_kind);
        let object = json!({
            "apiVersion": format!("{0}/{1}", group_kind.split_once('.').unwrap().1, version(group_kind)),
            "kind": group_kind.split('.').next().unwrap(),
            "metadata": { "name": name },
            "spec": spec,
        });
        let apply = PatchParams::apply("tests").force();
        let begun = Instant::now();
        // A definition is accepted a moment before its resources are.
        while let Err(error) = api.patch(name, &apply, &Patch::Apply(&object)).await {
            assert!(begun.elapsed() < PATIENCE, "{group_kind} {name}: {error}");
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn withdraws(&self, group_kind: &str, name: &str) {
        self.resources(group_kind).delete(name, &DeleteParams::default()).await.unwrap();
    }

    fn resources(&self, group_kind: &str) -> Api<DynamicObject> {
        let (kind, group) = group_kind.split_once('.').unwrap();
        let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version(group_kind), kind));
        Api::namespaced_with(self.kube.clone(), &self.namespace, &kind)
    }
}

/// The version of a kind in `examples/`.
fn version(group_kind: &str) -> &'static str {
    if group_kind.ends_with(".akri.microsoft.com") { "v1beta1" } else { "v1" }
}
