//! `secret-service dev`: one command, everything on loopback, found again after a restart.

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, PostParams, TypeMeta},
    core::{ApiResource, GroupVersionKind},
    runtime::wait::await_condition,
};
use secret_service::proto::{
    ListSecretUsagesRequest, ListVaultSecretsRequest, VaultSecret,
    secret_service_client::SecretServiceClient, synced_secret::State,
};
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use super::process::{command, connect, terminate};
use crate::support::{PATIENCE, control_plane, requests::*, search::files_with, until};

struct Dev {
    child: Child,
    told: Value,
    client: SecretServiceClient<Channel>,
}

async fn dev(directory: &Path) -> Dev {
    dev_with(directory, &[]).await
}

async fn dev_with(directory: &Path, arguments: &[&str]) -> Dev {
    let data = directory.join("data");
    let output =
        std::fs::OpenOptions::new().create(true).append(true).open(directory.join("output")).unwrap();
    // A file of an earlier run says nothing about this one.
    let _ = std::fs::remove_file(data.join("dev.json"));
    let child = Command::from(command(&["dev", "--listen", "127.0.0.1:0", "--data-dir"]))
        .arg(&data)
        .args(arguments)
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let begun = tokio::time::Instant::now();
    let told = loop {
        if let Ok(text) = std::fs::read(data.join("dev.json")) {
            break serde_json::from_slice::<Value>(&text).expect("it is written at once, not bit by bit");
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "never ready: {}",
            std::fs::read_to_string(directory.join("output")).unwrap()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let client = connect(&format!("http://{}", told["grpc"].as_str().unwrap())).await;
    Dev { child, told, client }
}

/// Whoever applies `examples/users.yaml` finds its kinds.
async fn kinds_of_the_examples_are_served(kubeconfig: &str) {
    let kube = crate::support::control_plane::client(Path::new(kubeconfig)).await;
    let users = include_str!("../../examples/users.yaml");
    let documents = serde_yaml_ng::Deserializer::from_str(users);
    let documents: Vec<Value> = documents.map(|document| Value::deserialize(document).unwrap()).collect();
    assert!(documents.len() >= 4);
    for document in documents {
        let served = kube.list_api_group_resources(document["apiVersion"].as_str().unwrap()).await.unwrap();
        assert!(served.resources.iter().any(|one| document["kind"] == *one.kind), "{document}");
    }
}

/// Resources name secrets that nobody has synced yet.
async fn something_is_missing(client: &mut SecretServiceClient<Channel>) {
    let all = ListSecretUsagesRequest { parent: "syncedSecrets/-".to_owned(), ..Default::default() };
    let usages = client.list_secret_usages(all).await.unwrap().into_inner().usages;
    let found: Vec<_> =
        usages.iter().map(|usage| (&*usage.resource, &*usage.key, usage.secret_missing)).collect();
    let expected =
        [("event-hubs", "", true), ("line-3-camera", "password", true), ("line-3-camera", "username", true)];
    assert_eq!(found, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_mode_serves_the_console_and_prints_its_address_first() {
    let directory = tempfile::tempdir().unwrap();
    let dev = dev(directory.path()).await;
    let console = dev.told["console"].as_str().unwrap();
    assert_eq!(console, format!("http://{}/", dev.told["grpc"].as_str().unwrap()));
    let page = reqwest::get(console).await.unwrap();
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let settings: Value = reqwest::get(format!("{console}console.json")).await.unwrap().json().await.unwrap();
    assert_eq!(settings["authentication"]["kinds"], serde_json::json!(["anonymous"]));
    let output = std::fs::read_to_string(directory.path().join("output")).unwrap();
    let first = output.lines().find(|line| line.contains("127.0.0.1:")).unwrap();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["Console", console], "{output}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_mode_prints_its_endpoints_and_keeps_its_data_after_a_kill() {
    let directory = TempDir::new().unwrap();
    let mut first = dev(directory.path()).await;
    for key in ["vault_ca", "vault_client_secret_file", "kubeconfig", "database"] {
        assert!(Path::new(first.told[key].as_str().unwrap()).is_file(), "{key}: {}", first.told);
    }
    assert!(first.told["vault_uri"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert_eq!(first.told["namespace"], "azure-iot-operations");
    let seeded =
        first.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap().into_inner();
    assert!(seeded.vault_secrets.len() >= 3, "it seeds a few vault secrets");
    let has = |is: fn(&VaultSecret) -> bool| seeded.vault_secrets.iter().any(is);
    assert!(has(|secret| secret.managed) && has(|secret| !secret.enabled));
    assert!(has(|secret| !secret.managed && secret.expire_time.is_some()));
    something_is_missing(&mut first.client).await;

    kinds_of_the_examples_are_served(first.told["kubeconfig"].as_str().unwrap()).await;

    let references = vec![created("k", "dev-canary", "canary-9b1d-value")];
    let made = first.client.create_synced_secret(create("a", references)).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced);
    first.child.kill().await.unwrap();

    let mut second = dev(directory.path()).await;
    let found = until(&mut second.client, "a", |secret| secret.state() == State::Synced).await;
    assert_eq!(found.uid, made.uid);
    for key in ["vault_uri", "vault_proxy", "vault_tenant_id", "vault_client_id"] {
        assert_eq!(second.told[key], first.told[key], "{key} is what it was");
    }
    let again =
        second.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap().into_inner();
    assert_eq!(again.vault_secrets.len(), seeded.vault_secrets.len() + 1);
    assert!(terminate(&mut second.child).await.success());

    let output = std::fs::read_to_string(directory.path().join("output")).unwrap();
    assert!(output.matches("grpcurl").count() >= 3, "{output}");
    let (files, found) = files_with(b"canary-9b1d-value", directory.path());
    assert!(files > 5 && found.is_empty(), "the value stands in {found:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_extension_double_of_dev_mode_creates_the_secret_of_a_secretsync() {
    let directory = TempDir::new().unwrap();
    let mut dev = dev_with(directory.path(), &["--engine", "secret-store"]).await;
    let (kubeconfig, namespace) =
        (dev.told["kubeconfig"].as_str().unwrap(), dev.told["namespace"].as_str().unwrap());
    let kube = control_plane::client(Path::new(kubeconfig)).await;
    // What the portal would leave for it.
    let class = json!({
        "apiVersion": "secrets-store.csi.x-k8s.io/v1", "kind": "SecretProviderClass",
        "metadata": {"name": "spc-ops-1a2b3c4"},
        "spec": {"provider": "azure", "parameters": {
            "clientID": "c", "tenantID": "t", "keyvaultName": "contoso-aio",
            "objects": "array:\n  - |\n    objectName: pump-7-password\n    objectType: secret\n",
        }},
    });
    let sync = json!({
        "apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": {"name": "pump-7"},
        "spec": {
            "secretProviderClassName": "spc-ops-1a2b3c4", "serviceAccountName": "aio-ssc-sa",
            "secretObject": {
                "type": "Opaque", "data": [{"sourcePath": "pump-7-password", "targetKey": "password"}],
            },
        },
    });
    for (object, plural) in [(class, "secretproviderclasses"), (sync, "secretsyncs")] {
        let kind =
            GroupVersionKind::try_from(&serde_json::from_value::<TypeMeta>(object.clone()).unwrap()).unwrap();
        let objects: Api<DynamicObject> =
            Api::namespaced_with(kube.clone(), namespace, &ApiResource::from_gvk_with_plural(&kind, plural));
        objects.create(&PostParams::default(), &serde_json::from_value(object).unwrap()).await.unwrap();
    }

    let secrets: Api<Secret> = Api::namespaced(kube, namespace);
    let made = await_condition(secrets, "pump-7", |secret: Option<&Secret>| secret.is_some());
    let made = tokio::time::timeout(PATIENCE, made).await.expect("the Secret comes").unwrap().unwrap();
    assert!(!made.data.unwrap()["password"].0.is_empty());
    assert!(terminate(&mut dev.child).await.success());
}
