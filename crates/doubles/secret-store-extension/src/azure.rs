//! A Key Vault client like that of Azure's provider: without a token at first, then with a new token for each attempt.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, engine::general_purpose::STANDARD};
use reqwest::{
    Certificate, NoProxy, Proxy, Response, StatusCode,
    header::{ACCEPT, CONTENT_TYPE, WWW_AUTHENTICATE},
};
use secrecy::ExposeSecret;
use serde::{Deserialize, de::DeserializeOwned};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::{StartError, VaultAccess, cloud::Cloud};
use doubles_common::Credential;

/// Deadline of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
const API_VERSION: &str = "7.4";
/// The line between the parts of an error message.
const RULE: &str = "--------------------------------------------------------------------------------";

/// The vaults.
pub(super) struct Azure {
    http: reqwest::Client,
    vaults: BTreeMap<String, Url>,
    authority_host: Url,
    credential: Credential,
    has_proxy: bool,
}

/// One attempt on one vault. It requests a token at the first challenge.
pub(super) struct Session<'a> {
    azure: &'a Azure,
    vault: Url,
    authority_host: Url,
    token: Option<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Token {
    access_token: Zeroizing<String>,
}

/// A version of a secret.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret {
    pub value: Zeroizing<String>,
    /// The key of the certificate whose secret it is.
    #[serde(default)]
    pub kid: String,
    #[serde(default)]
    pub content_type: String,
}

/// A version of a certificate.
#[derive(Deserialize)]
struct CertificateBundle {
    /// Base64 of its DER.
    cer: String,
}

/// A page of versions.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    value: Vec<Version>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    id: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    created: i64,
}

// === impl Azure ===

impl Azure {
    pub fn connect(access: &VaultAccess) -> Result<Self, StartError> {
        let pem = std::fs::read(&access.ca_file)
            .map_err(|error| StartError::Certificates { path: access.ca_file.clone(), error })?;
        let mut http = reqwest::Client::builder()
            .tls_certs_only(Certificate::from_pem_bundle(&pem)?)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .no_proxy();
        if let Some(proxy) = &access.proxy {
            let direct = NoProxy::from_string("127.0.0.1");
            http = http.proxy(Proxy::https(proxy.clone())?.no_proxy(direct));
        }
        let (http, has_proxy) = (http.build()?, access.proxy.is_some());
        let VaultAccess { vaults, authority_host, credential, .. } = access.clone();
        Ok(Self { http, vaults, authority_host, credential, has_proxy })
    }

    /// Starts an attempt on a vault of a cloud.
    pub fn session(&self, cloud: &Cloud, vault_name: &str) -> Result<Session<'_>, String> {
        let host = format!("{vault_name}.{}", cloud.vault_suffix);
        let configured = self.vaults.get(vault_name).filter(|_| *cloud == Cloud::public());
        let (vault, authority_host) = match configured {
            Some(vault) => (vault.clone(), self.authority_host.clone()),
            None if self.has_proxy => {
                (parse(&format!("https://{host}/"))?, parse(&cloud.active_directory_endpoint)?)
            }
            None => return Err(format!("dial tcp: lookup {host}: no such host")),
        };
        Ok(Session { azure: self, vault, authority_host, token: None })
    }
}

// === impl Session ===

impl Session<'_> {
    /// A token for the resource of a challenge.
    async fn token(&self, resource: &str) -> Result<Zeroizing<String>, String> {
        let Credential { tenant_id, client_id, secret } = &self.azure.credential;
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "client_credentials")
            .append_pair("client_id", client_id)
            .append_pair("client_secret", secret.expose_secret())
            .append_pair("scope", &format!("{resource}/.default"))
            .finish();
        let url = join(&self.authority_host, &format!("{tenant_id}/oauth2/v2.0/token"))?;
        let http = &self.azure.http;
        let request =
            http.post(url.clone()).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let response = request.send().await.map_err(|error| no_answer(&error))?;
        let token: Token = parsed("POST", &url, response).await?;
        Ok(token.access_token)
    }

    /// The resource that a challenge names. It must be of the vault's own domain, but for a vault on loopback.
    fn resource(&self, response: &Response) -> Result<String, String> {
        let challenge = response.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let resource = challenge
            .and_then(|challenge| challenge.split_once("resource=\"")?.1.split_once('"'))
            .ok_or("no challenge")?
            .0;
        let is_of_domain = self.vault.domain().is_none_or(|host| {
            resource.strip_prefix("https://").is_some_and(|domain| host.ends_with(&format!(".{domain}")))
        });
        match is_of_domain {
            true => Ok(resource.to_owned()),
            false => Err("challenge resource doesn't match the requested domain".to_owned()),
        }
    }

    /// A version of a secret, or the latest one where `version` is empty.
    pub async fn secret(&mut self, name: &str, version: &str) -> Result<Secret, String> {
        let url = self.url(&format!("secrets/{name}/{version}"))?;
        self.get(url).await
    }

    /// The DER of a version of a certificate, or of the latest one where `version` is empty.
    pub async fn certificate(&mut self, name: &str, version: &str) -> Result<Vec<u8>, String> {
        let url = self.url(&format!("certificates/{name}/{version}"))?;
        let certificate: CertificateBundle = self.get(url).await?;
        STANDARD.decode(certificate.cer).map_err(|_| "the certificate is not base64".to_owned())
    }

    /// The versions of a secret or a certificate, the newest first.
    pub async fn versions(&mut self, collection: &str, name: &str) -> Result<Vec<String>, String> {
        let mut versions = Vec::new();
        let mut next = Some(self.url(&format!("{collection}/{name}/versions"))?);
        while let Some(url) = next {
            let page: Versions = self.get(url).await?;
            versions.extend(page.value);
            next = page.next_link.map(|link| join(&self.vault, &link)).transpose()?;
        }
        versions.sort_by_key(|version| std::cmp::Reverse(version.attributes.created));
        let last_part = |version: Version| Some(version.id.rsplit_once('/')?.1.to_owned());
        Ok(versions.into_iter().filter_map(last_part).collect())
    }

    fn url(&self, path: &str) -> Result<Url, String> {
        let mut url = join(&self.vault, path)?;
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }

    /// Sends requests without a token until the vault answers with a challenge.
    async fn get<T: DeserializeOwned>(&mut self, url: Url) -> Result<T, String> {
        let mut response = self.send(&url).await?;
        if response.status() == StatusCode::UNAUTHORIZED && self.token.is_none() {
            self.token = Some(self.token(&self.resource(&response)?).await?);
            response = self.send(&url).await?;
        }
        parsed("GET", &url, response).await
    }

    async fn send(&self, url: &Url) -> Result<Response, String> {
        let mut request = self.azure.http.get(url.clone()).header(ACCEPT, "application/json");
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.as_str());
        }
        request.send().await.map_err(|error| no_answer(&error))
    }
}

fn parse(url: &str) -> Result<Url, String> {
    Url::parse(url).map_err(|error| format!("parse {url:?}: {error}"))
}

fn join(base: &Url, path: &str) -> Result<Url, String> {
    base.join(path).map_err(|error| format!("{base}{path}: {error}"))
}

/// The content of an answer; for an error, the many lines that Azure's SDK prints.
async fn parsed<T: DeserializeOwned>(method: &str, url: &Url, response: Response) -> Result<T, String> {
    let status = response.status();
    let body = response.bytes().await.map_err(|error| no_answer(&error))?;
    if status.is_success() {
        return serde_json::from_slice(&body)
            .map_err(|_| format!("{method} {url}: the answer is not what was asked for"));
    }
    let error: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let code =
        error.pointer("/error/code").or_else(|| error.get("error")).and_then(serde_json::Value::as_str);
    let code = code.unwrap_or("UNAVAILABLE");
    let text = serde_json::to_string_pretty(&error).unwrap_or_default();
    Err(format!(
        "{method} {url}\n{RULE}\nRESPONSE {}: {status}\nERROR CODE: {code}\n{RULE}\n{text}\n{RULE}\n",
        status.as_u16(),
    ))
}

/// The innermost cause of a failed request.
fn no_answer(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
