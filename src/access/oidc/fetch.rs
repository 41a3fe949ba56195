//! Fetches the keys of the issuer: its discovery document, and the key set that it names.

use std::{path::Path, time::Duration};

use reqwest::{Certificate, Client, Url, redirect, tls};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::key::Key;
use crate::quote::Quote;

/// Where the discovery document is, below the issuer (OpenID Connect Discovery 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// How long each of both requests may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Maximum size of an answer. Entra's key set has about 20 KiB, with certificates.
const MAX_BODY: usize = 512 * 1024;
/// Maximum number of keys.
const MAX_KEYS: usize = 100;

/// Why there are no keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The CA file is of no use.
    #[error("authentication.oidc.ca_file is not usable: {0}")]
    CaFile(Quote),
    /// There is no HTTP client.
    #[error("can't create the HTTP client: {0}")]
    Client(Quote),
    /// No answer.
    #[error("{what} can't be fetched: {why}")]
    Unreachable {
        /// The document.
        what: Document,
        /// Why not.
        why: Quote,
    },
    /// Another status than 200; a redirect is not followed.
    #[error("{what} can't be fetched: the status is {status}")]
    Status {
        /// The document.
        what: Document,
        /// The status.
        status: u16,
    },
    /// It is larger than any valid one.
    #[error("{0} is larger than {MAX_BODY} bytes")]
    TooLarge(Document),
    /// It is something else.
    #[error("{what} is not the expected JSON: {why}")]
    Unreadable {
        /// The document.
        what: Document,
        /// Why not.
        why: Quote,
    },
    /// It is the document of another issuer.
    #[error(
        "the discovery document is of the issuer \"{0}\"; authentication.oidc.issuer must be the same, to the last slash"
    )]
    OtherIssuer(Quote),
    /// Everybody on the way could change the keys.
    #[error("the key set is not behind https")]
    NotHttps,
    /// There is no key that could have signed a token that is accepted.
    #[error("the key set has no RSA or elliptic-curve key for signatures")]
    NoKeys,
}

/// What is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Document {
    /// Where everything is.
    Discovery,
    /// The keys.
    KeySet,
}

/// What the issuer says now.
pub(super) struct Fetched {
    /// None if it lists no key that could have signed a token that is accepted.
    pub(super) keys: Vec<Key>,
    /// Where a client gets tokens for its users.
    pub(super) token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
    token_endpoint: Option<String>,
}

#[derive(Deserialize)]
struct KeySet {
    /// One by one: a key of a new kind spoils none of the others.
    keys: Vec<Value>,
}

impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Discovery => "the discovery document",
            Self::KeySet => "the key set",
        })
    }
}

/// The keys that the issuer lists now, and its token endpoint.
pub(super) async fn fetch(issuer: &str, ca_file: Option<&Path>) -> Result<Fetched, FetchError> {
    let client = client(ca_file).await?;
    let discovery = format!("{}{DISCOVERY}", issuer.trim_end_matches('/'));
    let discovered: Discovered = get(&client, &discovery, Document::Discovery).await?;
    if discovered.issuer != issuer {
        return Err(FetchError::OtherIssuer(discovered.issuer.into()));
    }
    if !discovered.jwks_uri.parse::<Url>().is_ok_and(|uri| uri.scheme() == "https") {
        return Err(FetchError::NotHttps);
    }
    let set: KeySet = get(&client, &discovered.jwks_uri, Document::KeySet).await?;
    let keys = set.keys.into_iter().take(MAX_KEYS).filter_map(Key::from_jwk).collect();
    Ok(Fetched { keys, token_endpoint: discovered.token_endpoint })
}

/// A client for one fetch: the CA file may have changed since the last one, and no connection stays open.
async fn client(ca_file: Option<&Path>) -> Result<Client, FetchError> {
    let mut builder = Client::builder()
        .https_only(true)
        .redirect(redirect::Policy::none())
        .referer(false)
        .tls_version_min(tls::Version::TLS_1_2)
        .timeout(TIMEOUT);
    if let Some(file) = ca_file {
        let pem = tokio::fs::read(file).await.map_err(|error| FetchError::CaFile(Quote::error(&error)))?;
        builder = builder.tls_certs_only(certificates(&pem)?);
    }
    builder.build().map_err(|error| FetchError::Client(Quote::cause(&error)))
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate>, FetchError> {
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(FetchError::CaFile("it holds no certificate".into())),
        Err(error) => Err(FetchError::CaFile(Quote::cause(&error))),
    }
}

async fn get<T: DeserializeOwned>(client: &Client, url: &str, what: Document) -> Result<T, FetchError> {
    let unreachable = |error: reqwest::Error| FetchError::Unreachable { what, why: Quote::cause(&error) };
    let mut answer = client.get(url).send().await.map_err(unreachable)?;
    let status = answer.status().as_u16();
    if status != 200 {
        return Err(FetchError::Status { what, status });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(FetchError::TooLarge(what));
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|error| FetchError::Unreadable { what, why: Quote::error(&error) })
}
