//! Federated credentials: tokens of another issuer, such as a cluster's service account tokens, instead of a secret.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    errors::{Error, ErrorKind},
    jwk::JwkSet,
};
use serde::{Deserialize, de::DeserializeOwned};
use tokio::sync::Mutex;
use url::Url;

use super::assertion::{Assertion, AssertionVerifier, CLOCK_SKEW, Rejected};

/// What Entra recommends as the audience of federated tokens.
pub const FEDERATED_AUDIENCE: &str = "api://AzureADTokenExchange";

/// An issuer that takes longer to serve its keys counts as unreachable.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose tokens are accepted: what Entra calls a federated identity credential.
#[derive(Clone, Debug)]
pub struct FederatedIdentity {
    /// `iss`, exactly; the discovery document is below it.
    pub issuer: Url,
    /// `sub`: `system:serviceaccount:NAMESPACE:NAME`.
    pub subject: String,
    /// What `aud` must contain.
    pub audience: String,
}

/// Verifies the tokens of a [`FederatedIdentity`] with the keys that its issuer publishes (RS256 only, like Entra).
///
/// Like Entra, it asks the issuer anonymously: the discovery documents must be readable without a token.
pub struct FederatedVerifier {
    issuer: String,
    validation: Validation,
    http: reqwest::Client,
    /// By key id, as of the last request.
    keys: Mutex<HashMap<String, DecodingKey>>,
}

/// Why the issuer can't be asked for its keys.
#[derive(Debug, thiserror::Error)]
#[error("no federation with the issuer: {0}")]
pub struct UnusableIssuer(#[source] reqwest::Error);

/// What is read of `ISSUER/.well-known/openid-configuration`.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    nbf: Option<i64>,
}

/// The claims that are read before the signature is verified.
#[derive(Deserialize)]
struct Claimed {
    iss: String,
}

// === impl FederatedIdentity ===

impl FederatedIdentity {
    /// A service account of a cluster, with the audience that Entra recommends.
    pub fn service_account(issuer: Url, namespace: &str, name: &str) -> Self {
        let subject = format!("system:serviceaccount:{namespace}:{name}");
        Self { issuer, subject, audience: FEDERATED_AUDIENCE.to_owned() }
    }
}

// === impl FederatedVerifier ===

impl FederatedVerifier {
    /// For tokens of `identity`. `ca` (PEM) signed the certificate of the issuer's server.
    pub fn new(identity: &FederatedIdentity, ca: &[u8]) -> Result<Self, UnusableIssuer> {
        let certificates = reqwest::Certificate::from_pem_bundle(ca).map_err(UnusableIssuer)?;
        let http = reqwest::Client::builder()
            .tls_certs_only(certificates)
            .https_only(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .map_err(UnusableIssuer)?;
        // An issuer without a path has no trailing slash; a URL has one.
        let issuer = identity.issuer.as_str().trim_end_matches('/').to_owned();
        let mut validation = Validation::new(Algorithm::RS256);
        // Times are checked against the double's own clock instead.
        validation.validate_exp = false;
        validation.set_required_spec_claims(&["iss", "sub", "aud", "exp"]);
        validation.set_issuer(&[&issuer]);
        validation.set_audience(&[&identity.audience]);
        validation.sub = Some(identity.subject.clone());
        Ok(Self { issuer, validation, http, keys: Mutex::default() })
    }

    /// The issuer's key with that id. An unknown one may be new, so the issuer is asked again.
    async fn key(&self, id: &str) -> Option<DecodingKey> {
        let mut keys = self.keys.lock().await;
        if !keys.contains_key(id) {
            match self.published_keys().await {
                Ok(published) => *keys = published,
                Err(error) => {
                    tracing::warn!(%error, issuer = %self.issuer, "the issuer's keys can't be read")
                }
            }
        }
        keys.get(id).cloned()
    }

    async fn published_keys(&self) -> Result<HashMap<String, DecodingKey>, reqwest::Error> {
        let discovery: Discovery =
            self.get(&format!("{}/.well-known/openid-configuration", self.issuer)).await?;
        // Otherwise the document of one issuer could be used for another.
        if discovery.issuer != self.issuer {
            tracing::warn!(issuer = %self.issuer, "the discovery document is another issuer's");
            return Ok(HashMap::new());
        }
        let published: JwkSet = self.get(&discovery.jwks_uri).await?;
        let keys = published.keys.iter().filter_map(|key| {
            let id = key.common.key_id.clone()?;
            Some((id, DecodingKey::from_jwk(key).ok()?))
        });
        Ok(keys.collect())
    }

    async fn get<T: DeserializeOwned>(&self, url: &str) -> Result<T, reqwest::Error> {
        self.http.get(url).send().await?.error_for_status()?.json().await
    }
}

#[async_trait]
impl AssertionVerifier for FederatedVerifier {
    async fn verify(&self, assertion: &Assertion<'_>) -> Result<(), Rejected> {
        let header = jsonwebtoken::decode_header(assertion.token).map_err(|_| Rejected::Signature)?;
        let claimed: Claimed = jsonwebtoken::dangerous::insecure_decode_claims(assertion.token)
            .map_err(|_| Rejected::Signature)?;
        // Checked first: another issuer's token must not make us send requests to ours.
        if claimed.iss != self.issuer {
            return Err(Rejected::Issuer);
        }
        let id = header.kid.ok_or(Rejected::Signature)?;
        let key = self.key(&id).await.ok_or(Rejected::Signature)?;
        let token = jsonwebtoken::decode::<Claims>(assertion.token, &key, &self.validation)
            .map_err(|error| rejected(&error))?;
        let (Claims { exp, nbf }, now) = (token.claims, assertion.now.as_second());
        if exp <= now || nbf.is_some_and(|nbf| nbf > now + CLOCK_SKEW) {
            return Err(Rejected::Time);
        }
        Ok(())
    }
}

fn rejected(error: &Error) -> Rejected {
    match error.kind() {
        ErrorKind::InvalidIssuer => Rejected::Issuer,
        ErrorKind::InvalidAudience => Rejected::Audience,
        ErrorKind::InvalidSubject => Rejected::Subject,
        _ => Rejected::Signature,
    }
}
