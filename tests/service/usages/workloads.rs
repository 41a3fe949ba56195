//! Workloads that read a synced secret use it, where that is configured.

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use tonic::Code;

use super::*;

/// A service that looks into workloads, on a cluster that serves them: the real one does, the double is told to.
async fn looking_into_workloads(ids: &[&str]) -> World {
    let site = Site::start().await;
    users::install(&site.kube).await;
    if site.is_double() {
        for (group, singular, kind) in [
            ("apps", "deployment", "Deployment"),
            ("apps", "replicaset", "ReplicaSet"),
            ("batch", "cronjob", "CronJob"),
        ] {
            let mut definition = users::definition(group, singular, "v1");
            (definition.spec.names.kind, definition.spec.names.list_kind) =
                (kind.to_owned(), Some(format!("{kind}List")));
            users::define(&site.kube, &definition).await;
        }
    }
    site.allows("apps, batch, ''").await;
    let mut options = options();
    options.usages.rules = options.usages.rules.and_workloads();
    made_on(site, ids, options).await
}

fn api(site: &Site, group: &str, kind: &str) -> Api<DynamicObject> {
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
    Api::namespaced_with(site.kube.clone(), &site.namespace, &kind)
}

async fn make(site: &Site, group: &str, object: Value) -> DynamicObject {
    let api = api(site, group, object["kind"].as_str().unwrap());
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    let begun = Instant::now();
    loop {
        match api.create(&PostParams::default(), &object).await {
            Ok(made) => return made,
            // A definition is accepted a moment before its resources are.
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(Duration::from_millis(20)).await;
    }
}

/// The template of Pods that mount a secret and read a key of another.
fn template(mounted: &str, read: &str, restart: &str) -> Value {
    let from = json!({ "secretKeyRef": { "name": read, "key": "username" } });
    json!({
        "metadata": { "labels": { "app": "gateway" } },
        "spec": {
            "restartPolicy": restart,
            "containers": [{
                "name": "gateway", "image": "gateway",
                "env": [{ "name": "USERNAME", "valueFrom": from }],
                "volumeMounts": [{ "name": "files", "mountPath": "/files" }],
            }],
            "volumes": [{ "name": "files", "projected": { "sources": [{ "secret": { "name": mounted } }] } }],
        },
    })
}

fn places(usages: &[SecretUsage]) -> Vec<(&str, &str, &str, &str)> {
    let mut places = Vec::new();
    for SecretUsage { api_version, kind, resource, key, .. } in usages {
        places.push((api_version.as_str(), kind.as_str(), resource.as_str(), key.as_str()));
    }
    places.sort_unstable();
    places
}

#[tokio::test]
async fn a_workload_that_reads_a_secret_uses_it_and_what_it_controls_does_not_show_beside_it() {
    let mut world = looking_into_workloads(&["a", "b"]).await;
    let labels = json!({ "matchLabels": { "app": "gateway" } });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "gateway" },
        "spec": { "replicas": 0, "selector": labels, "template": template("a", "b", "Always") },
    });
    let deployment = make(&world, "apps", deployment).await;
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway", "uid": deployment.uid(), "controller": true,
    }]);
    let replica_set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "gateway-1", "ownerReferences": owner },
        "spec": { "replicas": 0, "selector": labels, "template": template("a", "b", "Always") },
    });
    make(&world, "apps", replica_set).await;
    let alone = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "alone" },
        "spec": { "replicas": 0, "selector": labels, "template": template("a", "b", "Always") },
    });
    make(&world, "apps", alone).await;
    let job = json!({ "spec": { "template": template("a", "b", "Never") } });
    let cron_job = json!({
        "apiVersion": "batch/v1", "kind": "CronJob", "metadata": { "name": "nightly" },
        "spec": { "schedule": "0 0 * * *", "jobTemplate": job },
    });
    make(&world, "batch", cron_job).await;

    let of = |key: &'static str| {
        vec![
            ("apps/v1", "Deployment", "gateway", key),
            ("apps/v1", "ReplicaSet", "alone", key),
            ("batch/v1", "CronJob", "nightly", key),
        ]
    };
    for (id, key) in [("a", ""), ("b", "username")] {
        let shown = until_usages(&mut world, id, |usages| usages.len() >= 3).await;
        assert_eq!(places(&shown), of(key), "{id}");
        let refused = told(&world.client.delete_synced_secret(delete(id)).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::FailedPrecondition, "SYNCED_SECRET_IN_USE")
        );
        assert!(refused.message.contains("CronJob nightly"), "{}", refused.message);
    }
    for (group, kind, name) in [
        ("apps", "Deployment", "gateway"),
        ("apps", "ReplicaSet", "gateway-1"),
        ("apps", "ReplicaSet", "alone"),
        ("batch", "CronJob", "nightly"),
    ] {
        // The garbage collector may be faster.
        let _ = api(&world, group, kind).delete(name, &DeleteParams::default()).await;
    }
    until_usages_end(&mut world, "a").await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
}

#[tokio::test]
async fn a_pod_without_a_workload_shows_itself() {
    let mut world = looking_into_workloads(&["a", "b"]).await;
    // The double serves no Pods.
    if world.is_double() {
        return;
    }
    let Value::Object(pod) = template("a", "b", "Never") else { unreachable!() };
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "debug" }, "spec": pod["spec"],
    });
    make(&world, "", pod).await;
    let shown = until_usages(&mut world, "a", |usages| !usages.is_empty()).await;
    assert_eq!(places(&shown), [("v1", "Pod", "debug", "")]);
    assert!(world.client.delete_synced_secret(delete("b")).await.is_err());
}
