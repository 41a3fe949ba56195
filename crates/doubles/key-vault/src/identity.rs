//! Authentication: the application that the double knows, and the tokens that it issues and accepts.

use std::{io, os::unix::fs::OpenOptionsExt, path::Path, sync::Arc, time::Duration};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use doubles_common::Credential;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{
    assertion::{Assertion, AssertionVerifier, Rejected},
    hosts::Cloud,
};

/// The file of the application and of the token key, in the double's directory.
const FILE: &str = "vault-identity.json";

/// The identities that the double knows.
pub struct Identity {
    credential: Credential,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
    verifiers: RwLock<Vec<Arc<dyn AssertionVerifier>>>,
}

/// What is on disk.
#[derive(Serialize, Deserialize)]
struct File {
    tenant_id: String,
    client_id: String,
    client_secret: Zeroizing<String>,
    token_key: Zeroizing<String>,
}

/// The claims of a token.
#[derive(Serialize, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    tid: String,
    appid: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    uti: String,
}

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenProblem {
    /// The request has none.
    Missing,
    /// The double did not issue it.
    Invalid,
    /// It has expired.
    Expired,
    /// It is for the vaults of another cloud, or another cloud issued it.
    Foreign,
}

// === impl Identity ===

impl Identity {
    /// Loads the identity of a directory, or creates one there, readable by the owner only.
    pub(super) fn load_or_create(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let file: File = match std::fs::read(&path).map(Zeroizing::new) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{FILE} can't be read")))?,
            Err(missing) if missing.kind() == io::ErrorKind::NotFound => File::create(&path)?,
            Err(error) => return Err(error),
        };
        let credential = Credential {
            tenant_id: file.tenant_id.clone(),
            client_id: file.client_id.clone(),
            secret: SecretString::from(file.client_secret.as_str()),
        };
        let mut validation = Validation::new(Algorithm::HS256);
        // Expiry is checked by the double's own clock, audiences when a token is requested.
        validation.validate_exp = false;
        validation.validate_aud = false;
        Ok(Self {
            credential,
            signing: EncodingKey::from_secret(file.token_key.as_bytes()),
            verifying: DecodingKey::from_secret(file.token_key.as_bytes()),
            validation,
            verifiers: RwLock::default(),
        })
    }

    /// The application that the token endpoint knows.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Accepts the client assertions that a verifier accepts, besides those of verifiers registered before. Without
    /// any verifier, no assertion is accepted.
    pub fn register(&self, verifier: Arc<dyn AssertionVerifier>) {
        self.verifiers.write().push(verifier);
    }

    /// Whether a secret is the client secret.
    pub(super) fn is_secret(&self, secret: &str) -> bool {
        verify_slices_are_equal(secret.as_bytes(), self.credential.secret.expose_secret().as_bytes()).is_ok()
    }

    /// Whether any verifier accepts an assertion; if none does, the error of the one that got furthest.
    pub(super) async fn vouched(&self, assertion: &Assertion<'_>) -> Result<(), Rejected> {
        let verifiers = self.verifiers.read().clone();
        let mut nearest = None;
        for verifier in verifiers {
            match verifier.verify(assertion).await {
                Ok(()) => return Ok(()),
                Err(rejected) => nearest = nearest.max(Some(rejected)),
            }
        }
        Err(nearest.unwrap_or(Rejected::Signature))
    }

    /// A token. It stays valid across a restart, as Entra's tokens survive a restart of the vault.
    pub(super) fn issue(
        &self,
        host: &str,
        resource: &str,
        now: Timestamp,
        lifetime: Duration,
    ) -> SecretString {
        let Credential { tenant_id, client_id, .. } = &self.credential;
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        let claims = Claims {
            aud: resource.to_owned(),
            iss: format!("https://{host}/{tenant_id}/"),
            tid: tenant_id.clone(),
            appid: client_id.clone(),
            iat: now.as_second(),
            nbf: now.as_second(),
            exp: now.as_second().saturating_add(seconds),
            uti: uuid::Uuid::new_v4().simple().to_string(),
        };
        let token = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signing);
        SecretString::from(token.expect("claims of strings and numbers can be signed with a key of bytes"))
    }

    /// Checks the `Authorization` header of a request to a vault, by the vault's cloud; none for a vault on loopback.
    pub(super) fn check(
        &self,
        authorization: Option<&str>,
        cloud: Option<Cloud>,
        now: Timestamp,
    ) -> Result<(), TokenProblem> {
        let (scheme, token) =
            authorization.and_then(|text| text.split_once(' ')).ok_or(TokenProblem::Missing)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(TokenProblem::Missing);
        }
        let token = jsonwebtoken::decode::<Claims>(token.trim(), &self.verifying, &self.validation)
            .map_err(|_| TokenProblem::Invalid)?;
        if cloud.is_some_and(|cloud| !token.claims.are_of(cloud)) {
            return Err(TokenProblem::Foreign);
        }
        if token.claims.exp <= now.as_second() { Err(TokenProblem::Expired) } else { Ok(()) }
    }
}

// === impl Claims ===

impl Claims {
    /// Whether a cloud's vaults accept the token: it is for them, and not from another cloud's authority. One from the
    /// double's own address, such as that of a machine's identity, is of every cloud.
    fn are_of(&self, cloud: Cloud) -> bool {
        let issuer = self.iss.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        let issuer = issuer.and_then(Cloud::of_authority);
        self.aud.trim_end_matches('/') == cloud.resource() && issuer.is_none_or(|issuer| issuer == cloud)
    }
}

// === impl File ===

impl File {
    fn create(path: &Path) -> io::Result<Self> {
        let file = Self {
            tenant_id: uuid::Uuid::new_v4().to_string(),
            client_id: uuid::Uuid::new_v4().to_string(),
            client_secret: random()?,
            token_key: random()?,
        };
        let bytes = Zeroizing::new(serde_json::to_vec_pretty(&file)?);
        let mut to = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        io::Write::write_all(&mut to, &bytes)?;
        Ok(file)
    }
}

/// 256 random bits as text.
fn random() -> io::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0; 32]);
    aws_lc_rs::rand::fill(&mut *bytes).map_err(|_| io::Error::other("no random numbers"))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_valid_until_it_expires_also_after_loading_the_identity_again() {
        let directory = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let first = Identity::load_or_create(directory.path()).unwrap();
        let token = first.issue("h", &Cloud::PUBLIC.resource(), now, Duration::from_secs(10));
        let header = format!("Bearer {}", token.expose_secret());

        let again = Identity::load_or_create(directory.path()).unwrap();
        assert_eq!(again.check(Some(&header), None, now), Ok(()));
        assert_eq!(
            again.check(Some(&header), None, now + Duration::from_secs(11)),
            Err(TokenProblem::Expired)
        );
        assert_eq!(again.check(Some("Bearer x"), None, now), Err(TokenProblem::Invalid));
        assert_eq!(again.check(None, None, now), Err(TokenProblem::Missing));
        assert_eq!(again.credential().tenant_id, first.credential().tenant_id);

        let other = Identity::load_or_create(tempfile::tempdir().unwrap().path()).unwrap();
        assert_eq!(other.check(Some(&header), None, now), Err(TokenProblem::Invalid));
    }
}
