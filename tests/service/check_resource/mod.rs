//! CheckResource: what a manifest needs from secrets is said before it is applied.

mod callers;
mod manifests;
mod problems;

use std::time::Duration;

use secret_service::{
    edge::UsageOptions,
    proto::{
        CheckResourceRequest, CheckedResource, CheckedUsage, Condition, condition::Status,
        secret_service_client::SecretServiceClient,
    },
};
use tonic::transport::Channel;

use crate::support::{Options, World, requests::*};

const DEVICE: &str = "apiVersion: namespaces.deviceregistry.microsoft.com/v1
kind: Device
metadata: {name: press-1}
spec:
  endpoints:
    inbound:
      opc:
        authentication:
          usernamePasswordCredentials: {usernameSecretName: a/username, passwordSecretName: a/password}
";

/// A dataflow endpoint for Kafka that names a secret.
fn kafka(secret: &str) -> String {
    format!(
        "apiVersion: connectivity.iotoperations.azure.com/v1\nkind: DataflowEndpoint\nmetadata: {{name: hub}}\n\
         spec: {{kafkaSettings: {{authentication: {{saslSettings: {{secretRef: {secret}}}}}}}}}\n"
    )
}

/// A device with one endpoint that names these.
fn device(username: &str, password: &str) -> String {
    DEVICE.replace("a/username", username).replace("a/password", password)
}

/// A service with the synced secret `a`, which has the keys `username` and `password`.
async fn made() -> World {
    made_with(Options::default()).await
}

async fn made_with(options: Options) -> World {
    let options = Options {
        usages: UsageOptions { interval: Duration::from_millis(200), ..UsageOptions::default() },
        ..options
    };
    let mut world = World::start_with(options).await;
    world.seed("v", "value").await;
    world.create("a", vec![existing("username", "v"), existing("password", "v")]).await;
    world
}

fn asking(manifest: impl Into<String>) -> CheckResourceRequest {
    CheckResourceRequest { manifest: manifest.into() }
}

async fn check(
    client: &mut SecretServiceClient<Channel>,
    manifest: impl Into<String>,
) -> Vec<CheckedResource> {
    client.check_resource(asking(manifest)).await.unwrap().into_inner().resources
}

/// What is said of the only resource's fields, in their order: key, reason and status.
async fn problems(world: &mut World, manifest: impl Into<String>) -> Vec<(String, String, Status)> {
    let resources = check(&mut world.client, manifest).await;
    let [resource] = resources.as_slice() else { panic!("{resources:?}") };
    resource.usages.iter().map(of_usage).collect()
}

fn of_usage(checked: &CheckedUsage) -> (String, String, Status) {
    let (reason, status) = said(checked.problem.as_ref());
    (checked.usage.as_ref().unwrap().key.clone(), reason, status)
}

fn said(problem: Option<&Condition>) -> (String, Status) {
    let problem = problem.cloned().unwrap_or_default();
    assert!(problem.r#type.is_empty() || problem.r#type == "Usable", "{problem:?}");
    (problem.reason.clone(), problem.status())
}

/// For comparisons.
fn row(key: &str, reason: &str, status: Status) -> (String, String, Status) {
    (key.to_owned(), reason.to_owned(), status)
}

const WELL: Status = Status::Unspecified;
