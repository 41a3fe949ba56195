//! That a real API server takes all that the chart makes, to the letter, and lets its pod into a namespace that admits none but those
//! of the strictest of the Pod Security Standards.

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Namespace, Pod},
};
use kube::{Api, Client, api::PostParams};
use secret_service::model::Admission;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{control_plane, refusal};

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

/// The pod of a Deployment.
fn pod(deployment: &Deployment, name: &str) -> Pod {
    let template = deployment.spec.template.clone();
    let mut metadata = template.metadata.unwrap();
    metadata.name = Some(name.to_owned());
    Pod { metadata, spec: template.spec, status: None }
}

#[test]
fn the_charts_own_secrets_are_reserved_in_the_configuration() {
    for engine in ["direct", "secret-store", "auto"] {
        let manifest = control_plane::manifest(engine);
        let objects = serde_yaml_ng::Deserializer::from_str(&manifest);
        let objects: Vec<_> = objects.map(|object| Value::deserialize(object).unwrap()).collect();
        let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
        let config = of("ConfigMap")["data"]["secret-service.toml"].as_str().unwrap();
        let config: toml::Table = config.parse().unwrap();
        let reserved = config["synced_secrets"]["reserved_names"].as_array().unwrap().iter();
        let reserved = reserved.map(|name| name.as_str().unwrap().parse().unwrap()).collect();
        let admission = Admission { reserved, ..Admission::default() };
        let pod = &of("Deployment")["spec"]["template"]["spec"];
        let volumes = pod["volumes"].as_array().unwrap().iter();
        let mounted: Vec<_> = volumes.filter_map(|volume| volume["secret"]["secretName"].as_str()).collect();
        assert_eq!(mounted, ["secret-service-tls"], "{engine}");
        for name in mounted {
            let owner = admission.owner(&name.parse().unwrap());
            assert!(owner.is_some_and(|owner| owner.contains("this service")), "{engine}: {name}: {owner:?}");
        }
    }
}

#[tokio::test]
async fn the_api_server_accepts_every_object_of_the_chart_and_its_pod_is_restricted() {
    needs!(the_control_plane);
    let admin = control_plane::shared().await.admin().await;
    for engine in ["direct", "secret-store", "auto"] {
        let namespace = format!("deployed-{engine}");
        restricted(&admin, &namespace).await;
        let manifest = control_plane::manifest(engine).replace(control_plane::MANIFEST_NAMESPACE, &namespace);
        control_plane::apply(&admin, &namespace, &manifest).await;

        let deployments: Api<Deployment> = Api::namespaced(admin.clone(), &namespace);
        let deployment = deployments.get("secret-service").await.unwrap();
        let pods: Api<Pod> = Api::namespaced(admin.clone(), &namespace);
        pods.create(&PostParams::default(), &pod(&deployment, "as-made")).await.unwrap();
        // The namespace means it.
        let mut laxer = pod(&deployment, "laxer");
        laxer.spec.as_mut().unwrap().containers[0].security_context = None;
        assert_eq!(refusal(pods.create(&PostParams::default(), &laxer).await), 403);
    }
}
