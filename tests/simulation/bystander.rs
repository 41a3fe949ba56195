//! A Secret that has nothing to do with the service, is there from before its start to its end, and is used: nobody is ever told that it is
//! missing, least of all before the Secrets were ever listed.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{
    ByteString, api::core::v1::Secret,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind, ObjectMeta},
};
use kubernetes_double::{Cluster, Fault, FaultRule, OnResource};
use rand::RngExt;
use secret_service::{edge::UsageOptions, model::UsageRules, proto::ListSecretUsagesRequest};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::world::{NAMESPACE, World};

const GROUP: &str = "tests.example";
const NAME: &str = "bystander";

/// With a rule for the kind that uses the bystander.
pub fn usages() -> UsageOptions {
    let rule = format!("Camera.{GROUP} spec.passwordSecretName SECRET/KEY");
    UsageOptions { rules: UsageRules::with([rule.parse().expect("a rule")]), ..UsageOptions::default() }
}

/// Makes the bystander, and what uses it.
pub async fn install(kube: &Client) {
    let definition: CustomResourceDefinition = serde_json::from_value(json!({
        "metadata": { "name": format!("cameras.{GROUP}") },
        "spec": {
            "group": GROUP, "scope": "Namespaced",
            "names": { "kind": "Camera", "listKind": "CameraList", "plural": "cameras", "singular": "camera" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
            }],
        },
    }))
    .expect("a definition");
    let post = PostParams::default();
    Api::all(kube.clone()).create(&post, &definition).await.expect("a definition");
    let secret = Secret {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..Default::default() },
        data: Some(BTreeMap::from([("password".to_owned(), ByteString(b"foreign-bystander".to_vec()))])),
        ..Default::default()
    };
    Api::namespaced(kube.clone(), NAMESPACE).create(&post, &secret).await.expect("a Secret");
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(GROUP, "v1", "Camera"));
    let mut camera = DynamicObject::new("front", &kind);
    camera.data = json!({ "spec": { "passwordSecretName": format!("{NAME}/password") } });
    let cameras: Api<DynamicObject> = Api::namespaced_with(kube.clone(), NAMESPACE, &kind);
    // A definition is accepted a moment before its resources are.
    while cameras.create(&post, &camera).await.is_err() {
        sleep(Duration::from_millis(20)).await;
    }
}

/// The next list of Secrets fails.
pub fn fail_the_first_list(cluster: &Cluster) {
    let fault = Fault::status(503, "ServiceUnavailable");
    cluster.faults().add(FaultRule::new(fault).verb("list").resource("secrets").times(2));
}

/// Asks what is used until told to stop.
pub async fn ask(world: Arc<World>, stop: CancellationToken) {
    let mut random = world.plan.random("who asks what is used");
    let mut client = world.client();
    loop {
        let pause = Duration::from_millis(random.random_range(50..800));
        if stop.run_until_cancelled(sleep(pause)).await.is_none() {
            return;
        }
        let request = ListSecretUsagesRequest { parent: "syncedSecrets/-".to_owned(), ..Default::default() };
        let Ok(Ok(answer)) = timeout(Duration::from_secs(8), client.list_secret_usages(request)).await else {
            continue;
        };
        if answer
            .into_inner()
            .usages
            .iter()
            .any(|usage| usage.synced_secret.ends_with(NAME) && usage.secret_missing)
        {
            let moment = world.ledger.moment();
            world.ledger.lock().wrong.push(format!(
                "11: missing is what was looked for: {NAME} was told as missing at {:?}, and was there all the time",
                moment.time
            ));
        }
    }
}
