//! Client assertions: verifiers of signed JWTs that clients present instead of a client secret.

use std::collections::HashSet;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rustls::{pki_types::CertificateDer, server::ParsedCertificate};
use serde::Deserialize;

/// How far (in seconds) the signer's clock may be ahead of ours.
pub(super) const CLOCK_SKEW: i64 = 300;

/// An assertion, and what it is checked against.
#[derive(Debug)]
#[non_exhaustive]
pub struct Assertion<'a> {
    /// The JWT.
    pub token: &'a str,
    /// The application that it authenticates.
    pub client_id: &'a str,
    /// The accepted audiences: the token endpoint, and the tenant's issuer.
    pub audiences: &'a [String],
    /// Now, by the double's clock.
    pub now: Timestamp,
}

/// Verifies assertions: by a certificate, or by the keys of a federated issuer.
#[async_trait]
pub trait AssertionVerifier: Send + Sync {
    /// Whether the assertion is valid for its application now.
    async fn verify(&self, assertion: &Assertion<'_>) -> Result<(), Rejected>;
}

/// Why an assertion is not accepted. Later variants passed more checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rejected {
    /// Its issuer is not registered.
    Issuer,
    /// No registered key signed it.
    Signature,
    /// Its subject is not the registered one.
    Subject,
    /// Its audience is another one.
    Audience,
    /// It has expired, or is not valid yet.
    Time,
}

/// Verifies assertions that the application signed with the key of its certificate (RS256 or PS256).
pub struct CertificateVerifier {
    key: DecodingKey,
}

/// A certificate with a key that can't verify assertions.
#[derive(Debug, thiserror::Error)]
#[error("the certificate holds no RSA key that can be used")]
pub struct UnusableCertificate;

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    exp: i64,
    nbf: Option<i64>,
}

// === impl CertificateVerifier ===

impl CertificateVerifier {
    /// For a certificate with an RSA key.
    pub fn new(certificate: &CertificateDer<'_>) -> Result<Self, UnusableCertificate> {
        let parsed = ParsedCertificate::try_from(certificate).map_err(|_| UnusableCertificate)?;
        let key = STANDARD.encode(parsed.subject_public_key_info());
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\n");
        let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| UnusableCertificate)?;
        Ok(Self { key })
    }
}

#[async_trait]
impl AssertionVerifier for CertificateVerifier {
    async fn verify(&self, assertion: &Assertion<'_>) -> Result<(), Rejected> {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.algorithms = vec![Algorithm::RS256, Algorithm::PS256];
        // Times are checked against the double's own clock instead.
        validation.validate_exp = false;
        validation.set_audience(assertion.audiences);
        validation.required_spec_claims = HashSet::from(["aud".to_owned()]);
        let token = jsonwebtoken::decode::<Claims>(assertion.token, &self.key, &validation)
            .map_err(|_| Rejected::Signature)?;
        let Claims { iss, sub, exp, nbf } = token.claims;
        let now = assertion.now.as_second();
        let is_good = iss == assertion.client_id
            && sub == assertion.client_id
            && exp > now
            && nbf.is_none_or(|nbf| nbf <= now + CLOCK_SKEW);
        if is_good { Ok(()) } else { Err(Rejected::Signature) }
    }
}
