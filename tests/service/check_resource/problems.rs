//! What is wrong with the secrets that a manifest names.

use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource};
use secret_service::proto::{SecretUsage, synced_secret::State};
use tonic::Code;

use super::*;
use crate::support::{kubectl, until_so, users};

#[tokio::test]
async fn a_resource_whose_secrets_are_there_has_no_problem() {
    let mut world = made().await;
    let resources = check(&mut world.client, DEVICE).await;
    let [device] = resources.as_slice() else { panic!("{resources:?}") };
    assert_eq!(
        (device.api_version.as_str(), device.kind.as_str()),
        ("namespaces.deviceregistry.microsoft.com/v1", "Device")
    );
    assert_eq!((device.resource.as_str(), &device.namespace), ("press-1", &world.namespace));
    assert!(!device.kind_unknown && device.problems.is_empty(), "{device:?}");
    let field = "spec.endpoints.inbound.opc.authentication.usernamePasswordCredentials";
    let usage = |name: &str, key: &str| CheckedUsage {
        usage: Some(SecretUsage {
            api_version: "namespaces.deviceregistry.microsoft.com/v1".to_owned(),
            kind: "Device".to_owned(),
            namespace: world.namespace.clone(),
            resource: "press-1".to_owned(),
            field: format!("{field}.{name}"),
            key: key.to_owned(),
            synced_secret: name_of_a(),
            ..Default::default()
        }),
        problem: None,
    };
    assert_eq!(
        device.usages,
        [usage("passwordSecretName", "password"), usage("usernameSecretName", "username")]
    );
    assert_eq!(problems(&mut world, kafka("a")).await, [row("", "", WELL)]);
}

fn name_of_a() -> String {
    name("a")
}

#[tokio::test]
async fn missing_secrets_and_keys_are_told_until_they_are_there() {
    let mut world = made().await;
    let manifest = device("b/username", "a/token");
    let told = problems(&mut world, manifest.clone()).await;
    assert_eq!(
        told,
        [row("token", "KeyMissing", Status::False), row("username", "SecretMissing", Status::False)]
    );
    let resources = check(&mut world.client, manifest.clone()).await;
    let flags = |checked: &CheckedUsage| {
        let usage = checked.usage.as_ref().unwrap();
        (usage.key_missing, usage.secret_missing)
    };
    assert_eq!(resources[0].usages.iter().map(flags).collect::<Vec<_>>(), [(true, false), (false, true)]);

    world.create("b", vec![existing("username", "v")]).await;
    assert_eq!(problems(&mut world, manifest).await[1], row("username", "", WELL));
    // A whole Secret needs a complete set of keys.
    let kafka_of_b = check(&mut world.client, kafka("b")).await;
    let problem = kafka_of_b[0].usages[0].problem.clone().unwrap();
    assert_eq!(problem.reason, "KeyMissing");
    assert!(problem.message.contains(r#""password", or "token""#), "{}", problem.message);
}

#[tokio::test]
async fn a_vault_secret_that_is_named_for_the_synced_one_is_told() {
    let mut world = made().await;
    let resources = check(&mut world.client, device("v/username", "V/password")).await;
    let message = &resources[0].usages[1].problem.as_ref().unwrap().message;
    assert!(message.contains("the name of a vault secret, which a/username holds"), "{message}");
}

#[tokio::test]
async fn expired_and_soon_expiring_versions_are_told_for_the_keys_that_are_used() {
    let mut world = World::start().await;
    let now = Timestamp::now();
    for (name, expires) in [("soon", now + 72.hours()), ("later", now + 2_400.hours())] {
        world.seed(name, "value").await;
        world.somebody.expires(name, expires).await;
    }
    let created = |seconds: i64| {
        let mut reference = created("username", "brief", "value");
        let expire_time = Some(prost_types::Timestamp { seconds: now.as_second() + seconds, nanos: 0 });
        reference.create.as_mut().unwrap().expire_time = expire_time;
        reference
    };
    world.create("a", vec![created(8), existing("password", "soon"), existing("other", "later")]).await;
    let soon = row("password", "ExpiresSoon", Status::True);
    assert_eq!(
        problems(&mut world, device("a/other", "a/password")).await,
        [soon.clone(), row("other", "", WELL)]
    );
    let expired = row("username", "Expired", Status::False);
    until_so("the first version has expired", async || {
        problems(&mut world, DEVICE).await == [soon.clone(), expired.clone()]
    })
    .await;
    assert_eq!(problems(&mut world, kafka("a")).await, [row("", "Expired", Status::False)]);
}

#[tokio::test]
async fn a_value_that_is_not_at_the_edge_is_told_and_an_older_one_is_told_otherwise() {
    let mut world = made().await;
    world.somebody.enables("v", false).await;
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.until("a", |secret| secret.state() != State::Synced).await;
    let older = problems(&mut world, DEVICE).await;
    assert_eq!(older, ["password", "username"].map(|key| row(key, "NotSynced", Status::True)), "{older:?}");
}

#[tokio::test]
async fn a_secret_that_another_tool_made_is_there_with_keys_that_are_not_known() {
    let mut world = made().await;
    let metadata = ObjectMeta { name: Some("by-hand".to_owned()), ..Default::default() };
    let by_hand = Secret { metadata, ..Default::default() };
    world.secrets().create(&PostParams::default(), &by_hand).await.unwrap();
    let unknown = row("username", "KeysUnknown", Status::Unknown);
    until_so("it is seen", async || {
        problems(&mut world, device("by-hand/username", "a/password")).await[1] == unknown
    })
    .await;
    // Where any keys will do, it is enough that it is there.
    let trust = "apiVersion: namespaces.deviceregistry.microsoft.com/v1\nkind: Device\nmetadata: {name: d}\n\
        spec: {endpoints: {inbound: {opc: {trustSettings: {trustList: by-hand}}}}}";
    assert_eq!(problems(&mut world, trust).await, [row("", "", WELL)]);
    // And if ours is replaced by somebody else's, its keys are theirs.
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    let metadata = ObjectMeta { name: Some("a".to_owned()), ..Default::default() };
    world.secrets().create(&PostParams::default(), &Secret { metadata, ..Default::default() }).await.unwrap();
    world.start_service().await;
    world.until("a", |secret| secret.state() != State::Synced && synced_reason(secret) != "Pending").await;
    for (_, reason, status) in problems(&mut world, DEVICE).await {
        assert_ne!((reason.as_str(), status), ("", WELL));
        assert_ne!(status, Status::True, "{reason}");
    }
}

#[tokio::test]
async fn a_synced_secret_that_is_being_deleted_is_told() {
    let mut world = made().await;
    let metadata = serde_json::json!({ "metadata": { "finalizers": ["example.com/held"] } });
    let patch = kube::api::Patch::Apply(serde_json::json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": metadata["metadata"],
    }));
    world.secrets().patch("a", &kubectl(), &patch).await.unwrap();
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    let deleting = ["password", "username"].map(|key| row(key, "BeingDeleted", Status::False));
    assert_eq!(problems(&mut world, DEVICE).await, deleting);
    let none = serde_json::json!({ "metadata": { "finalizers": [] } });
    world.secrets().patch("a", &Default::default(), &kube::api::Patch::Merge(none)).await.unwrap();
    until_so("it is gone", async || problems(&mut world, DEVICE).await[0].1 == "SecretMissing").await;
}

#[tokio::test]
async fn nothing_is_said_while_the_secrets_of_the_edge_are_not_known() {
    needs!(the_double);
    let mut world = made().await;
    world
        .cluster()
        .faults()
        .add(FaultRule::new(ClusterFault::WatchDrop).verb("watch").resource("secrets").times(1));
    for verb in ["watch", "list"] {
        let fault = FaultRule::new(Fault::status(500, "InternalError")).verb(verb).resource("secrets");
        world.cluster().faults().add(fault);
    }
    until_so("the watch has failed", async || {
        let told = world.client.check_resource(asking(DEVICE)).await;
        told.err().is_some_and(|status| {
            let refused = told_of(&status);
            refused == (Code::Unavailable, "SECRETS_NOT_YET_KNOWN".to_owned())
        })
    })
    .await;
    // What names no secret of this instance needs none.
    assert_eq!(check(&mut world.client, "apiVersion: v1\nkind: ConfigMap").await.len(), 1);
    world.cluster().faults().clear();
    until_so("they are known again", async || world.client.check_resource(asking(DEVICE)).await.is_ok())
        .await;
}

fn told_of(status: &tonic::Status) -> (Code, String) {
    let refused = told(status);
    (refused.code, refused.reason)
}

#[tokio::test]
async fn what_is_told_of_a_manifest_is_what_the_list_of_usages_tells_once_it_is_applied() {
    let site = crate::support::Site::start().await;
    users::install(&site.kube).await;
    let options = Options {
        usages: UsageOptions { interval: Duration::from_millis(200), ..UsageOptions::default() },
        ..Options::default()
    };
    let mut world = World::start_on(site, options).await;
    let spec = serde_json::json!({
        "kafkaSettings": { "authentication": { "saslSettings": { "secretRef": "no-secret" } } },
        "other": { "secretRef": { "name": "guess", "key": "k" } },
    });
    let kind = "DataflowEndpoint.connectivity.iotoperations.azure.com";
    world.applies(kind, "hub", spec.clone()).await;
    let manifest = serde_json::json!({
        "apiVersion": "connectivity.iotoperations.azure.com/v1", "kind": "DataflowEndpoint",
        "metadata": { "name": "hub" }, "spec": spec,
    });
    let mut checked: Vec<SecretUsage> = check(&mut world.client, manifest.to_string()).await[0]
        .usages
        .iter()
        .map(|checked| checked.usage.clone().unwrap())
        .collect();
    checked.sort_by(|a, b| a.synced_secret.cmp(&b.synced_secret));
    let request = secret_service::proto::ListSecretUsagesRequest { parent: name("-"), ..Default::default() };
    until_so("the index has it", async || {
        let listed = world.client.list_secret_usages(request.clone()).await.unwrap().into_inner().usages;
        listed == checked
    })
    .await;
}
