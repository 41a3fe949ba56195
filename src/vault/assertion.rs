//! A client assertion: the JWT with which an application proves to Entra ID that it has the key of its
//! certificate.
//!
//! See "Microsoft identity platform application authentication certificate credentials": PS256, with the
//! certificate's SHA-256 thumbprint. The SDK's certificate credential needs OpenSSL; this one doesn't.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use aws_lc_rs::digest;
use azure_core::{error::ErrorKind, http::ClientMethodOptions};
use azure_identity::ClientAssertion;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls_pki_types::{CertificateDer, pem::PemObject};
use serde::Serialize;
use url::Url;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Lifetime of an assertion, as Entra ID recommends.
const LIFETIME: Duration = Duration::from_secs(600);

/// Signs assertions with the key of a PEM file.
#[derive(Debug)]
pub(super) struct CertificateAssertion {
    /// Certificate and RSA key (PKCS#8 or PKCS#1, unencrypted). Read for each assertion, so a rotated file is
    /// used immediately.
    pub(super) pem_file: PathBuf,
    /// The application.
    pub(super) client_id: String,
    /// The audience of the assertion.
    pub(super) token_endpoint: Url,
}

/// Why no assertion can be signed. Names the file, never its content.
#[derive(Debug, thiserror::Error)]
pub(super) enum AssertionError {
    /// The file can't be read.
    #[error("can't read the certificate file {}: {}", .0.display(), .1.kind())]
    File(PathBuf, std::io::Error),
    /// The file has no certificate.
    #[error("the certificate file {} has no certificate", .0.display())]
    NoCertificate(PathBuf),
    /// The file has no key, or not an RSA key.
    #[error("the certificate file {} has no usable RSA key", .0.display())]
    NoKey(PathBuf),
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: Uuid,
    nbf: i64,
    iat: i64,
    exp: i64,
}

// === impl CertificateAssertion ===

#[async_trait]
impl ClientAssertion for CertificateAssertion {
    async fn secret(&self, _: Option<ClientMethodOptions<'_>>) -> azure_core::Result<String> {
        let assertion = async { self.sign(&self.read().await?, Timestamp::now()) }.await;
        assertion.map_err(|error| azure_core::Error::new(ErrorKind::Credential, error))
    }
}

impl CertificateAssertion {
    /// Checks that the file is usable.
    pub(super) fn check(&self) -> Result<(), AssertionError> {
        let pem = std::fs::read(&self.pem_file).map_err(|error| self.unreadable(error))?;
        self.sign(&Zeroizing::new(pem), Timestamp::now()).map(drop)
    }

    async fn read(&self) -> Result<Zeroizing<Vec<u8>>, AssertionError> {
        tokio::fs::read(&self.pem_file).await.map(Zeroizing::new).map_err(|error| self.unreadable(error))
    }

    fn unreadable(&self, error: std::io::Error) -> AssertionError {
        AssertionError::File(self.pem_file.clone(), error)
    }

    fn sign(&self, pem: &[u8], now: Timestamp) -> Result<String, AssertionError> {
        let certificate = CertificateDer::from_pem_slice(pem)
            .map_err(|_| AssertionError::NoCertificate(self.pem_file.clone()))?;
        let key = key_block(pem).and_then(|block| EncodingKey::from_rsa_pem(block).ok());
        let key = key.ok_or_else(|| AssertionError::NoKey(self.pem_file.clone()))?;
        let mut header = Header::new(Algorithm::PS256);
        header.x5t_s256 = Some(BASE64_URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, &certificate)));
        let claims = Claims {
            aud: self.token_endpoint.as_str(),
            iss: &self.client_id,
            sub: &self.client_id,
            jti: Uuid::new_v4(),
            nbf: now.as_second(),
            iat: now.as_second(),
            exp: now.as_second() + LIFETIME.as_secs() as i64,
        };
        jsonwebtoken::encode(&header, &claims, &key).map_err(|_| AssertionError::NoKey(self.pem_file.clone()))
    }
}

/// The private key block of a PEM file, from BEGIN to END.
fn key_block(pem: &[u8]) -> Option<&[u8]> {
    let text = std::str::from_utf8(pem).ok()?;
    let label = text.lines().find_map(|line| {
        let label = line.trim().strip_prefix("-----BEGIN ")?.strip_suffix("-----")?;
        label.ends_with("PRIVATE KEY").then_some(label)
    })?;
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let start = text.find(&begin)?;
    let length = text[start..].find(&end)? + end.len();
    Some(&pem[start..start + length])
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData, RsaKeySize};

    use super::*;

    struct Made {
        assertion: CertificateAssertion,
        pem: String,
        key: KeyPair,
        certificate: Vec<u8>,
        _directory: tempfile::TempDir,
    }

    fn made() -> Made {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
        let pem = format!("{}{}", certificate.pem(), key.serialize_pem());
        let directory = tempfile::tempdir().unwrap();
        let pem_file = directory.path().join("client.pem");
        std::fs::write(&pem_file, &pem).unwrap();
        let token_endpoint = Url::parse("https://login.example/tenant/oauth2/v2.0/token").unwrap();
        let assertion = CertificateAssertion { pem_file, client_id: "client".to_owned(), token_endpoint };
        Made { assertion, pem, key, certificate: certificate.der().to_vec(), _directory: directory }
    }

    #[tokio::test]
    async fn an_assertion_has_issuer_audience_and_expiry_and_verifies_with_the_certificates_key() {
        let made = made();
        let token = made.assertion.secret(None).await.unwrap();
        let mut validation = Validation::new(Algorithm::PS256);
        validation.set_audience(&[made.assertion.token_endpoint.as_str()]);
        validation.set_issuer(&["client"]);
        validation.validate_nbf = true;
        let key = DecodingKey::from_rsa_der(made.key.der_bytes());
        let decoded = jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).unwrap();
        let thumbprint = digest::digest(&digest::SHA256, &made.certificate);
        assert_eq!(decoded.header.x5t_s256, Some(BASE64_URL_SAFE_NO_PAD.encode(thumbprint)));
        assert_eq!(decoded.claims["sub"], "client");
        let life = decoded.claims["exp"].as_i64().unwrap() - decoded.claims["nbf"].as_i64().unwrap();
        assert_eq!(life, 600);
    }

    #[tokio::test]
    async fn no_two_assertions_are_the_same() {
        let made = made();
        assert_ne!(made.assertion.secret(None).await.unwrap(), made.assertion.secret(None).await.unwrap());
    }

    #[tokio::test]
    async fn a_rotated_file_is_used_at_once_and_the_key_may_come_first() {
        let (made, rotated) = (made(), self::made());
        made.assertion.secret(None).await.unwrap();
        let (certificate, key) = rotated.pem.split_at(rotated.pem.find("-----BEGIN PRIVATE").unwrap());
        std::fs::write(&made.assertion.pem_file, format!("{key}{certificate}")).unwrap();
        let token = made.assertion.secret(None).await.unwrap();
        let mut validation = Validation::new(Algorithm::PS256);
        validation.validate_aud = false;
        let key = DecodingKey::from_rsa_der(rotated.key.der_bytes());
        assert!(jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).is_ok());
    }

    #[tokio::test]
    async fn an_error_of_the_file_does_not_quote_its_content() {
        let made = made();
        let split = made.pem.find("-----BEGIN PRIVATE").unwrap();
        let ec = KeyPair::generate().unwrap().serialize_pem();
        for (content, why) in [
            (made.pem[split..].to_owned(), "no certificate"),
            (made.pem[..split].to_owned(), "no usable RSA key"),
            (format!("{}{ec}", &made.pem[..split]), "no usable RSA key"),
            (format!("{}x", &made.pem[..made.pem.len() - 40]), "no usable RSA key"),
            (String::new(), "no certificate"),
        ] {
            std::fs::write(&made.assertion.pem_file, content).unwrap();
            let error = made.assertion.check().unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("client.pem"), "{error}");
            assert!(!error.contains("MII"), "{error}");
        }
        std::fs::remove_file(&made.assertion.pem_file).unwrap();
        assert!(made.assertion.check().unwrap_err().to_string().contains("not found"));
    }
}
