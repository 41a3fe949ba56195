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

/// As long as a rollout is stuck, the Pods of before run, and read what the Deployment no longer names.
#[tokio::test]
async fn what_a_workload_controls_uses_a_secret_that_only_its_older_template_named() {
    // A real Deployment would scale its ReplicaSets.
    needs!(the_double);
    let mut world = looking_into_workloads(&["a", "b"]).await;
    let labels = json!({ "matchLabels": { "app": "gateway" } });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "gateway" },
        "spec": { "replicas": 0, "selector": labels, "template": template("b", "b", "Always") },
    });
    let deployment = make(&world, "apps", deployment).await;
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway", "uid": deployment.uid(), "controller": true,
    }]);
    let replica_set = |name: &str, replicas: i64| {
        json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": name, "ownerReferences": owner },
            "spec": { "replicas": replicas, "selector": labels, "template": template("a", "b", "Always") },
        })
    };
    make(&world, "apps", replica_set("gateway-1", 0)).await;
    make(&world, "apps", replica_set("gateway-2", 1)).await;
    let shown = until_usages(&mut world, "a", |usages| !usages.is_empty()).await;
    assert_eq!(places(&shown), [("apps/v1", "ReplicaSet", "gateway-2", "")], "the other one is idle");
    let refused = told(&world.client.delete_synced_secret(delete("a")).await.unwrap_err());
    assert!(refused.message.contains("ReplicaSet gateway-2"), "{}", refused.message);

    let shown = until_usages(&mut world, "b", |usages| usages.len() >= 2).await;
    let of_deployment = ("apps/v1", "Deployment", "gateway");
    let owners: Vec<_> =
        places(&shown).iter().map(|(version, kind, name, _)| (*version, *kind, *name)).collect();
    assert!(owners.iter().all(|owner| *owner == of_deployment), "{shown:#?}");

    api(&world, "apps", "ReplicaSet").delete("gateway-2", &DeleteParams::default()).await.unwrap();
    until_usages_end(&mut world, "a").await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
}

/// Without `usages.workloads`, nothing looks into what controls a Job.
#[tokio::test]
async fn a_rule_for_one_kind_of_workload_finds_the_ones_that_another_kind_controls() {
    // A real cluster collects what a missing Deployment owns.
    needs!(the_double);
    let site = Site::start().await;
    users::install(&site.kube).await;
    let mut definition = users::definition("apps", "replicaset", "v1");
    (definition.spec.names.kind, definition.spec.names.list_kind) =
        ("ReplicaSet".to_owned(), Some("ReplicaSetList".to_owned()));
    users::define(&site.kube, &definition).await;
    site.allows("apps").await;
    let mut options = options();
    let rule = "ReplicaSet.apps spec.template.spec.volumes[*].secret.secretName SECRET".parse().unwrap();
    options.usages.rules = UsageRules::with([rule]);
    let mut world = made_on(site, &["a"], options).await;
    let owner = json!([{
        "apiVersion": "apps/v1", "kind": "Deployment", "name": "gateway", "uid": "0", "controller": true,
    }]);
    let mut template = template("x", "x", "Always");
    template["spec"]["volumes"] = json!([{ "name": "files", "secret": { "secretName": "a" } }]);
    let replica_set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": { "name": "gateway-1", "ownerReferences": owner },
        "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "gateway" } }, "template": template },
    });
    make(&world, "apps", replica_set).await;
    let shown = until_usages(&mut world, "a", |usages| !usages.is_empty()).await;
    assert_eq!(places(&shown), [("apps/v1", "ReplicaSet", "gateway-1", "")]);
    assert!(world.client.delete_synced_secret(delete("a")).await.is_err());
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
