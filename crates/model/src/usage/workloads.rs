//! Kubernetes' own kinds that run Pods: what they mount and read from Secrets, whoever made them.

use serde_json::Value;

use super::{
    GroupKind, UsageRule,
    rule::{Finds, Format, path_of},
};

/// A kind that runs Pods.
struct Workload {
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Where it has the specification of its Pods.
    pod: &'static str,
}

const fn workload(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    pod: &'static str,
) -> Workload {
    Workload { group, kind, plural, pod }
}

const WORKLOADS: [Workload; 7] = [
    workload("apps", "Deployment", "deployments", "spec.template.spec"),
    workload("apps", "StatefulSet", "statefulsets", "spec.template.spec"),
    workload("apps", "DaemonSet", "daemonsets", "spec.template.spec"),
    workload("apps", "ReplicaSet", "replicasets", "spec.template.spec"),
    workload("batch", "CronJob", "cronjobs", "spec.jobTemplate.spec.template.spec"),
    workload("batch", "Job", "jobs", "spec.template.spec"),
    workload("", "Pod", "pods", "spec"),
];

/// Where the specification of a Pod names a Secret, and the field beside it that names the key. A volume of
/// the Secrets Store CSI driver names a class, and no Secret.
const FIELDS: [(&str, Option<&str>); 11] = [
    ("volumes[*].secret.secretName", None),
    ("volumes[*].projected.sources[*].secret.name", None),
    ("volumes[*].csi.nodePublishSecretRef.name", None),
    ("volumes[*].azureFile.secretName", None),
    ("imagePullSecrets[*].name", None),
    ("containers[*].env[*].valueFrom.secretKeyRef.name", Some("key")),
    ("containers[*].envFrom[*].secretRef.name", None),
    ("initContainers[*].env[*].valueFrom.secretKeyRef.name", Some("key")),
    ("initContainers[*].envFrom[*].secretRef.name", None),
    ("ephemeralContainers[*].env[*].valueFrom.secretKeyRef.name", Some("key")),
    ("ephemeralContainers[*].envFrom[*].secretRef.name", None),
];

/// The rules for all workloads.
pub(super) fn rules() -> impl Iterator<Item = UsageRule> {
    let of_field = |workload: &Workload, (field, key): (&str, Option<&str>)| UsageRule {
        group_kind: GroupKind { group: workload.group.to_owned(), kind: workload.kind.to_owned() },
        finds: Finds::Field {
            path: path_of(&format!("{}.{field}", workload.pod)).expect("a test reads every path"),
            format: match key {
                Some(key) => Format::KeyBeside(key.to_owned()),
                None => Format::Whole([].into()),
            },
        },
    };
    WORKLOADS.iter().flat_map(move |workload| FIELDS.into_iter().map(move |field| of_field(workload, field)))
}

/// The kinds of a group that run Pods, in the plural; empty for other groups.
pub fn workloads_of(group: &str) -> Vec<&'static str> {
    WORKLOADS.iter().filter(|workload| workload.group == group).map(|workload| workload.plural).collect()
}

/// Whether a kind is one that runs Pods, in any version.
pub fn is_workload(api_version: &str, kind: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    WORKLOADS.iter().any(|workload| (workload.group, workload.kind) == (group, kind))
}

/// Whether workloads of one kind control those of the other.
pub fn controls(api_version: &str, owner: &str, kind: &str) -> bool {
    is_workload(api_version, owner)
        && matches!(
            (owner, kind),
            ("Deployment", "ReplicaSet")
                | ("CronJob", "Job")
                | ("ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job", "Pod")
        )
}

/// Whether rules cover every kind of workload.
pub(super) fn are_covered(rules: &super::UsageRules) -> bool {
    WORKLOADS.iter().all(|workload| rules.covers(workload.group, workload.kind))
}

/// Whether a workload that another one controls has done its work, or does none: a ReplicaSet without replicas, as
/// older revisions are, a finished Job or Pod.
pub fn is_idle(kind: &str, body: &Value) -> bool {
    let status = &body["status"];
    match kind {
        "ReplicaSet" => body["spec"]["replicas"] == 0,
        "Pod" => ["Succeeded", "Failed"].iter().any(|phase| status["phase"] == *phase),
        "Job" => status["conditions"].as_array().into_iter().flatten().any(|condition| {
            (condition["type"] == "Complete" || condition["type"] == "Failed")
                && condition["status"] == "True"
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::UsageRules, *};
    use crate::Subject;

    fn pod() -> Value {
        let from = |name: &str| {
            json!([{
                "env": [{ "name": "A", "valueFrom": { "secretKeyRef": { "name": name, "key": "k" } } }],
                "envFrom": [{ "configMapRef": { "name": "no" } }, { "secretRef": { "name": name } }],
            }])
        };
        json!({
            "volumes": [
                { "secret": { "secretName": "mounted" } },
                { "projected": { "sources": [{ "configMap": { "name": "no" } }, { "secret": { "name": "projected" } }] } },
                { "csi": {
                    "driver": "secrets-store.csi.k8s.io",
                    "nodePublishSecretRef": { "name": "node" },
                    "volumeAttributes": { "secretProviderClass": "no" },
                } },
                { "azureFile": { "secretName": "share" } },
            ],
            "imagePullSecrets": [{ "name": "pull" }],
            "containers": from("container"),
            "initContainers": from("init"),
            "ephemeralContainers": from("debug"),
        })
    }

    #[test]
    fn each_place_of_a_pod_that_names_a_secret_is_found_in_every_workload() {
        let rules = UsageRules::default().and_workloads();
        for Workload { group, kind, pod: at, .. } in &WORKLOADS {
            let body = at.rsplit('.').fold(pod(), |body, part| json!({ part: body }));
            let group_kind = GroupKind { group: (*group).to_owned(), kind: (*kind).to_owned() };
            let subject = Subject { api_version: "v", group_kind: &group_kind, namespace: "n", name: "r" };
            let usages = rules.usages_of(subject, &body);
            let mut found: Vec<_> =
                usages.iter().map(|usage| format!("{}/{}", usage.secret, usage.needs.key())).collect();
            found.sort();
            assert_eq!(
                found,
                [
                    "container/",
                    "container/k",
                    "debug/",
                    "debug/k",
                    "init/",
                    "init/k",
                    "mounted/",
                    "node/",
                    "projected/",
                    "pull/",
                    "share/",
                ],
                "{kind}"
            );
            assert!(usages.iter().all(|usage| usage.field.starts_with(at) && !usage.guessed));
            assert_eq!(UsageRules::default().usages_of(subject, &body), [], "only where it is asked for");
        }
    }

    #[test]
    fn a_workload_is_told_by_group_and_kind_whatever_the_version() {
        assert!(
            is_workload("apps/v1", "ReplicaSet")
                && is_workload("batch/v2", "Job")
                && is_workload("v1", "Pod")
        );
        assert!(
            !is_workload("example.com/v1", "Job") && !is_workload("v1", "Secret") && !is_workload("", "")
        );
        assert_eq!((workloads_of("batch"), workloads_of("example.com")), (vec!["cronjobs", "jobs"], vec![]));
    }

    #[test]
    fn what_ended_or_has_no_replicas_is_idle() {
        let job = |kind: &str, status: &str| json!({ "status": { "conditions": [{ "type": kind, "status": status }] } });
        let pod = |phase: &str| json!({ "status": { "phase": phase } });
        let replicas = |replicas: Value| json!({ "spec": { "replicas": replicas } });
        for (kind, body, idle) in [
            ("ReplicaSet", replicas(json!(0)), true),
            ("ReplicaSet", replicas(json!(1)), false),
            ("ReplicaSet", replicas(Value::Null), false),
            ("Job", job("Complete", "True"), true),
            ("Job", job("Failed", "True"), true),
            ("Job", job("Failed", "False"), false),
            ("Job", job("Suspended", "True"), false),
            ("Pod", pod("Succeeded"), true),
            ("Pod", pod("Failed"), true),
            ("Pod", pod("Running"), false),
            ("Pod", json!({}), false),
            ("Deployment", replicas(json!(0)), false),
        ] {
            assert_eq!(is_idle(kind, &body), idle, "{kind} {body}");
        }
    }
}
