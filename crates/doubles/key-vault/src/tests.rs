//! Tests of the double over real sockets; their common parts.

mod certificates;
mod faults;
mod federation;
mod identity;
mod operations;
mod persistence;
mod sdk;
mod seeding;
mod speed;

use std::time::Duration;

use doubles_common::tls::Authority;
use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{KeyVault, Options};

/// A running double, and a client that trusts it and has a token.
struct World {
    directory: TempDir,
    authority: Authority,
    double: KeyVault,
    http: reqwest::Client,
    token: String,
}

/// An answer with its whole body.
struct Answer {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    body: Value,
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::load_or_create(directory.path()).unwrap();
        Self::in_directory(directory, authority).await
    }

    async fn in_directory(directory: TempDir, authority: Authority) -> Self {
        let options = Options { directory: directory.path().to_owned(), port: 0, latency: Duration::ZERO };
        let double = KeyVault::start(options, &authority).await.unwrap();
        let http = client(&authority).build().unwrap();
        let mut world = Self { directory, authority, double, http, token: String::new() };
        world.token = world.new_token().await;
        world
    }

    /// Stops the double and starts it on the same directory.
    async fn restart(self) -> Self {
        let Self { directory, authority, double, .. } = self;
        double.stop().await;
        Self::in_directory(directory, authority).await
    }

    async fn new_token(&self) -> String {
        let credential = self.double.credential();
        let answer = self
            .token_request(&[
                ("grant_type", "client_credentials"),
                ("client_id", &credential.client_id),
                ("client_secret", credential.secret.expose_secret()),
                ("scope", "https://vault.azure.net/.default"),
            ])
            .await;
        answer.body["access_token"].as_str().unwrap().to_owned()
    }

    async fn token_request(&self, fields: &[(&str, &str)]) -> Answer {
        let path = format!("{}/oauth2/v2.0/token", self.double.credential().tenant_id);
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self
            .http
            .post(self.double.authority_host().join(&path).unwrap())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form);
        Answer::of(request.send().await.unwrap()).await
    }

    /// A request with a token. The api-version is added to the query of `path`.
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let mut url = self.double.uri().join(path).unwrap();
        url.query_pairs_mut().append_pair("api-version", "2025-07-01");
        self.http.request(method, url).bearer_auth(&self.token)
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method, path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request.send().await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    async fn set(&self, name: &str, value: &str) -> Answer {
        self.send(Method::PUT, &format!("secrets/{name}"), Some(json!({ "value": value }))).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }
}

impl Answer {
    async fn of(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        Self { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
    }

    /// Status, code and inner code of an error.
    fn error(&self) -> (u16, &str, &str) {
        let text = |pointer| self.body.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        (self.status.as_u16(), text("/error/code"), text("/error/innererror/code"))
    }

    fn message(&self) -> &str {
        self.body["error"]["message"].as_str().unwrap()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    /// The version in the id of a bundle.
    fn version(&self) -> &str {
        self.body["id"].as_str().unwrap().rsplit('/').next().unwrap()
    }
}

/// A client that trusts the authority and uses no proxy.
fn client(authority: &Authority) -> reqwest::ClientBuilder {
    let certificate = reqwest::Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    reqwest::Client::builder().tls_certs_only([certificate]).no_proxy()
}
