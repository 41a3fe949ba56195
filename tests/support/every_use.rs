//! One resource of every kind that names secrets, as `examples/` has them, and what the service says of each.

// Each test binary uses its own part of this.
#![allow(dead_code, missing_docs)]

use std::{collections::BTreeMap, time::Duration};

use secret_service::proto::{CreateSyncedSecretRequest, ListSecretUsagesRequest, SecretUsage};
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{PATIENCE, World, requests::*, users};

const EXAMPLES: &str = include_str!("../../examples/every-use.yaml");
const DEVICE: &str = "spec.endpoints.inbound";
const TEMPLATE: &str = "spec.runtimeConfiguration.managedConfigurationSettings";
const STATEFUL_SET: &str = "statefulSetConfigurationSettings.template.spec";
const FIXED: &str = "fixed name";

/// Kind, resource, field, the secret, and the key; the keys that it needs where the field names none.
type Use = (&'static str, &'static str, String, &'static str, &'static str, Vec<&'static str>);

fn every_use() -> Vec<Use> {
    let device = |field: &str| format!("{DEVICE}.{field}");
    let template = |field: &str| format!("{TEMPLATE}.{field}");
    let stateful_set = |field: &str| format!("{TEMPLATE}.{STATEFUL_SET}.{field}");
    let profile = |field: &str| format!("spec.authentication.{field}");
    let old_profile = |field: &str| format!("spec.userAuthentication.{field}");
    let dataflow = |field: &str| format!("spec.{field}.secretRef");
    let connector = "aio-opc-ua-broker";
    let client = || vec!["client_cert.pem", "client_key.pem"];
    let tls = || vec!["tls.crt", "tls.key"];
    let docker = || vec![".dockerconfigjson"];
    let any = || vec!["ca.crt"];
    let x509 = "authentication.x509CertificateSettings";
    let registry = "imageConfigurationSettings.registrySettings.containerRegistrySettings";
    #[rustfmt::skip]
    let uses = vec![
        ("Device", "press-3", device("opcua-0.authentication.usernamePasswordCredentials.usernameSecretName"), "press-login", "username", vec![]),
        ("Device", "press-3", device("opcua-0.authentication.usernamePasswordCredentials.passwordSecretName"), "press-login", "password", vec![]),
        ("Device", "press-3", device("opcua-0.trustSettings.trustList"), "press-trust", "", any()),
        ("Device", "press-3", device("opcua-0.trustSettings.issuerList"), "press-issuers", "", any()),
        ("Device", "press-3", device("media-1.authentication.x509Credentials.certificateSecretName"), "press-certificate", "certificate", vec![]),
        ("Device", "press-3", device("media-1.authentication.x509Credentials.keySecretName"), "press-certificate", "privateKey", vec![]),
        ("Device", "press-3", device("media-1.authentication.x509Credentials.intermediateCertificatesSecretName"), "press-certificate", "intermediateCerts", vec![]),
        ("AssetEndpointProfile", "opc-plc-2", profile("usernamePasswordCredentials.usernameSecretName"), "plc-login", "username", vec![]),
        ("AssetEndpointProfile", "opc-plc-2", profile("usernamePasswordCredentials.passwordSecretName"), "plc-login", "password", vec![]),
        ("AssetEndpointProfile", "opc-plc-2", profile("x509Credentials.certificateSecretName"), "plc-certificate", "certificate", vec![]),
        ("AssetEndpointProfile", "opc-plc-old", old_profile("usernamePasswordCredentials.usernameReference"), "old-plc-login", "username", vec![]),
        ("AssetEndpointProfile", "opc-plc-old", old_profile("usernamePasswordCredentials.passwordReference"), "old-plc-login", "password", vec![]),
        ("AssetEndpointProfile", "opc-plc-old", old_profile("x509Credentials.certificateReference"), "old-plc-certificate", "certificate", vec![]),
        ("DataflowEndpoint", "kafka-login", dataflow("kafkaSettings.authentication.saslSettings"), "kafka-login", "", vec!["username", "password"]),
        ("DataflowEndpoint", "kafka-certificate", dataflow(&format!("kafkaSettings.{x509}")), "kafka-certificate", "", client()),
        ("DataflowEndpoint", "mqtt-certificate", dataflow(&format!("mqttSettings.{x509}")), "mqtt-certificate", "", client()),
        ("DataflowEndpoint", "telemetry", dataflow(&format!("openTelemetrySettings.{x509}")), "telemetry-certificate", "", client()),
        ("DataflowEndpoint", "telemetry-tls", dataflow(&format!("openTelemetrySettings.{x509}")), "telemetry-tls", "", tls()),
        ("DataflowEndpoint", "data-lake", dataflow("dataLakeStorageSettings.authentication.accessTokenSettings"), "data-lake-token", "", vec!["accessToken"]),
        ("RegistryEndpoint", "graphs", dataflow("authentication.artifactPullSecretSettings"), "graphs-pull", "", docker()),
        ("RegistryEndpoint", "graphs", "spec.codeSigningCas[1].secretRef".to_owned(), "signing-ca-secret", "", any()),
        ("RegistryEndpoint", "graphs-preview", dataflow("trustSettings.trustedSigningKeys"), "signing-keys", "", any()),
        ("ConnectorTemplate", "rest", template(&format!("{registry}.imagePullSecrets[0].secretRef")), "connector-pull", "", docker()),
        ("ConnectorTemplate", "rest", template("secrets[0].secretRef"), "connector-api", "token", vec![]),
        ("ConnectorTemplate", "rest", template("trustSettings.trustListSecretRef"), "connector-trust", "", any()),
        ("ConnectorTemplate", "custom", stateful_set("imagePullSecrets[0].name"), "custom-pull", "", docker()),
        ("ConnectorTemplate", "custom", stateful_set("containers[0].env[0].valueFrom.secretKeyRef.name"), "custom-license", "license", vec![]),
        ("ConnectorTemplate", "custom", stateful_set("containers[0].envFrom[0].secretRef.name"), "custom-environment", "", any()),
        ("ConnectorTemplate", "custom", stateful_set("volumes[0].secret.secretName"), "custom-files", "", any()),
        ("ConnectorTemplate", "custom", stateful_set("volumes[1].projected.sources[0].secret.name"), "custom-projected", "", any()),
        ("ConnectorTemplate", "preview", template("secrets[0].secretRef"), "preview-api", "token", vec![]),
        ("AioApplicationConfiguration", "application", "spec.settings.secrets[0].secretRef".to_owned(), "application-api", "token", vec![]),
        ("AioConnectorConfiguration", "connector", "spec.settings.trustSettings.trustListSecretRef".to_owned(), "configuration-trust", "", any()),
        ("AioApplicationDefinition", "definition", "spec.settings.imagePullSecrets[0].secretRef".to_owned(), "definition-pull", "", docker()),
        ("BrokerAuthentication", "custom", "spec.authenticationMethods[0].customSettings.auth.x509.secretRef".to_owned(), "broker-authentication", "", tls()),
        ("BrokerListener", "default", "spec.ports[0].tls.manual.secretRef".to_owned(), "listener-tls", "", tls()),
        ("OpcUaConnector", connector, FIXED.to_owned(), "aio-opc-ua-broker-trust-list", "", any()),
        ("OpcUaConnector", connector, FIXED.to_owned(), "aio-opc-ua-broker-issuer-list", "", any()),
        ("OpcUaConnector", connector, FIXED.to_owned(), "aio-opc-ua-broker-client-certificate", "", any()),
    ];
    uses
}

/// Applies the examples, and makes every synced secret that they name with the keys that they need. Then each
/// use is listed under its field and key, and none of the synced secrets can be deleted.
pub async fn is_seen_and_prevents_a_deletion(world: &mut World) {
    users::install(&world.kube).await;
    world.seed("v", "value").await;
    for document in serde_yaml_ng::Deserializer::from_str(EXAMPLES) {
        let mut object = Value::deserialize(document).unwrap();
        let (group, _) = object["apiVersion"].as_str().unwrap().split_once('/').unwrap();
        let group_kind = format!("{}.{group}", object["kind"].as_str().unwrap());
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        world.applies(&group_kind, &name, object["spec"].take()).await;
    }
    let uses = every_use();
    let mut secrets: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, _, _, secret, key, keys) in &uses {
        let needed = secrets.entry(secret).or_default();
        needed.extend(keys);
        needed.extend((!key.is_empty()).then_some(*key));
    }
    for (secret, keys) in &secrets {
        let references = keys.iter().map(|key| existing(key, "v")).collect();
        world.client.create_synced_secret(create(secret, references)).await.unwrap();
    }
    let mut wanted: Vec<_> = uses
        .into_iter()
        .map(|(kind, resource, field, secret, key, _)| {
            (name(secret), kind.to_owned(), resource.to_owned(), field, key.to_owned())
        })
        .collect();
    wanted.sort();
    let all = listed(world, wanted.len()).await;
    let lacking = |usage: &&SecretUsage| usage.key_missing || usage.secret_missing || usage.guessed;
    assert_eq!(all.iter().filter(lacking).collect::<Vec<_>>(), [] as [&SecretUsage; 0]);
    let of = |usage: SecretUsage| (usage.synced_secret, usage.kind, usage.resource, usage.field, usage.key);
    let mut found: Vec<_> = all.into_iter().map(of).collect();
    found.sort();
    assert_eq!(found, wanted);

    for secret in secrets.keys() {
        let refused = told(&world.client.delete_synced_secret(delete(secret)).await.unwrap_err());
        let (code, reason) = (refused.code, refused.reason.as_str());
        assert_eq!((code, reason), (Code::FailedPrecondition, "SYNCED_SECRET_IN_USE"), "{secret}");
    }
    let request: CreateSyncedSecretRequest = create("written-by-cert-manager", vec![existing("k", "v")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!(refused.reason, "SECRET_WRITTEN_BY_ANOTHER");
}

/// All uses, when there are so many of existing secrets.
async fn listed(world: &mut World, wanted: usize) -> Vec<SecretUsage> {
    let begun = Instant::now();
    loop {
        let request = ListSecretUsagesRequest { parent: name("-"), page_size: 1_000, ..Default::default() };
        let all = world.client.list_secret_usages(request).await.unwrap().into_inner().usages;
        if all.len() >= wanted && all.iter().all(|usage| !usage.secret_missing) {
            return all;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {wanted} uses: {all:#?}", all.len());
        sleep(Duration::from_millis(50)).await;
    }
}
