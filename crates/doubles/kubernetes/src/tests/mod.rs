//! Tests of the double with kube-rs, kubectl and plain HTTP.

mod custom;
mod faults;
mod kubectl;
mod objects;
mod rights;
mod watches;

use std::path::Path;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Config, config::Kubeconfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Cluster, Options};
use doubles_common::tls::Authority;

const NAMESPACE: &str = "azure-iot-operations";

/// A cluster in a directory of its own.
struct Fixture {
    cluster: Cluster,
    directory: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cluster = start(directory.path()).await;
        Self { cluster, directory }
    }

    async fn restart(self) -> Self {
        self.cluster.stop().await;
        let cluster = start(self.directory.path()).await;
        Self { cluster, directory: self.directory }
    }

    async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        client(kubeconfig).await
    }

    /// A client with another token.
    async fn client_with(&self, token: &str) -> Client {
        let mut kubeconfig = Kubeconfig::read_from(self.cluster.kubeconfig()).unwrap();
        kubeconfig.auth_infos[0].auth_info.as_mut().unwrap().token = Some(token.to_owned().into());
        client(kubeconfig).await
    }

    async fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client().await, NAMESPACE)
    }

    /// Sends one plain request; returns the status and the body.
    async fn raw(&self, method: &str, path: &str, media_type: &str, body: &str) -> (u16, Value) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media_type)
            .header("accept", "application/json")
            .body(kube::client::Body::from(body.as_bytes().to_vec()))
            .unwrap();
        let response = self.client().await.send(request).await.unwrap();
        let code = response.status().as_u16();
        let bytes = response.into_body().collect_bytes().await.unwrap();
        (code, serde_json::from_slice(&bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(&bytes))))
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.raw("GET", path, "application/json", "").await
    }

    async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.raw("POST", path, "application/json", &body.to_string()).await
    }

    async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.raw("PUT", path, "application/json", &body.to_string()).await
    }

    async fn apply(&self, path: &str, query: &str, body: &Value) -> (u16, Value) {
        let path = format!("{path}?{query}");
        self.raw("PATCH", &path, "application/apply-patch+yaml", &body.to_string()).await
    }

    async fn delete(&self, path: &str, body: &str) -> (u16, Value) {
        self.raw("DELETE", path, "application/json", body).await
    }
}

async fn start(directory: &Path) -> Cluster {
    let authority = Authority::load_or_create(directory).unwrap();
    let options = Options { directory: directory.to_owned(), port: 0, namespace: NAMESPACE.to_owned() };
    Cluster::start(options, &authority).await.unwrap()
}

async fn client(kubeconfig: Kubeconfig) -> Client {
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    // Single answers are tested.
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

fn path(name: &str) -> String {
    format!("/api/v1/namespaces/{NAMESPACE}/secrets/{name}").trim_end_matches('/').to_owned()
}

/// A Secret with one value under `key`.
fn secret(name: &str, value: &str) -> Value {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name },
        "data": { "key": STANDARD.encode(value) },
    })
}

/// Waits until something holds.
async fn eventually<F: Future<Output = bool>>(what: &str, check: impl Fn() -> F) {
    for _ in 0..400 {
        if check().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    }
    panic!("{what} did not happen");
}
