//! Certificates: what a certificate's secret holds, and what the vault shows of it.

use aws_lc_rs::{
    digest,
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    },
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use p12_keystore::{
    EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, Pkcs12Archive, PrivateKey, PrivateKeyChain,
};
use secrecy::{ExposeSecret, SecretString};
use x509_parser::pem::Pem;
use zeroize::Zeroizing;

/// The label of certificates in PEM.
const CERTIFICATE: &str = "CERTIFICATE";
/// The label of keys in PKCS#8.
const PRIVATE_KEY: &str = "PRIVATE KEY";
/// The rounds of the key derivation in a PFX, as Windows has them.
const ROUNDS: u32 = 2_000;

/// The form in which a certificate's secret holds certificate and key; Key Vault's `contentType` of the certificate's policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateForm {
    /// PEM: key, then certificates.
    Pem,
    /// Base64 of a PFX with an empty password, in the old encryption.
    Pfx,
}

/// The leaf certificate of a secret.
pub(super) struct Certificate {
    der: Vec<u8>,
    /// Unix seconds.
    pub(super) not_before: i64,
    /// Unix seconds.
    pub(super) not_after: i64,
}

/// A key (DER), and certificates (DER) in any order.
struct Parts {
    key: Option<Zeroizing<Vec<u8>>>,
    certificates: Vec<Vec<u8>>,
}

// === impl CertificateForm ===

impl CertificateForm {
    /// The content type of the secret.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pem => "application/x-pem-file",
            Self::Pfx => "application/x-pkcs12",
        }
    }

    /// The form of that content type.
    pub(super) fn of(content_type: &str) -> Option<Self> {
        [Self::Pem, Self::Pfx].into_iter().find(|form| form.content_type() == content_type)
    }

    /// The value of the secret. As for an import into Key Vault, the key must be PKCS#8.
    pub(super) fn value(self, name: &str, pem: SecretString) -> Result<SecretString, &'static str> {
        let mut parts = Parts::of_pem(pem.expose_secret());
        let key = parts.key.take().ok_or("the PEM has no key in PKCS#8")?;
        let at = parts.leaf(Some(&key)).ok_or("the PEM has no certificate")?;
        match self {
            Self::Pem => Ok(pem),
            Self::Pfx => {
                parts.certificates[..=at].rotate_right(1);
                pfx(name, &key, &parts.certificates).ok_or("the PEM can't be written as PFX")
            }
        }
    }
}

// === impl Certificate ===

impl Certificate {
    /// The certificate in the value of a secret; none where the value is no certificate's.
    pub(super) fn of(value: &SecretString, content_type: Option<&str>) -> Option<Self> {
        let value = value.expose_secret();
        let mut parts = match CertificateForm::of(content_type?)? {
            CertificateForm::Pem => Parts::of_pem(value),
            CertificateForm::Pfx => Parts::of_pfx(value)?,
        };
        let key = parts.key.take();
        let at = parts.leaf(key.as_ref().map(|key| key.as_slice()))?;
        let der = parts.certificates.swap_remove(at);
        let (_, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        let validity = parsed.validity();
        let (not_before, not_after) = (validity.not_before.timestamp(), validity.not_after.timestamp());
        Some(Self { der, not_before, not_after })
    }

    /// The DER, in base64.
    pub(super) fn cer(&self) -> String {
        STANDARD.encode(&self.der)
    }

    /// The thumbprint.
    pub(super) fn x5t(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &self.der))
    }
}

// === impl Parts ===

impl Parts {
    fn of_pem(text: &str) -> Self {
        let (mut key, mut certificates) = (None, Vec::new());
        for block in Pem::iter_from_buffer(text.as_bytes()).flatten() {
            match block.label.as_str() {
                CERTIFICATE => certificates.push(block.contents),
                PRIVATE_KEY => key = Some(Zeroizing::new(block.contents)),
                _ => {}
            }
        }
        Self { key, certificates }
    }

    fn of_pfx(value: &str) -> Option<Self> {
        let archive = Pkcs12Archive::from_pkcs12(&STANDARD.decode(value).ok()?, "").ok()?;
        let key = archive.keys.first().map(|bag| Zeroizing::new(bag.key.as_der().to_vec()));
        let certificates = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect();
        Some(Self { key, certificates })
    }

    /// The position of the certificate of the key; of the first one where the key is of no known kind.
    fn leaf(&self, key: Option<&[u8]>) -> Option<usize> {
        let public = key.and_then(public_key);
        let is_of_the_key = |der: &Vec<u8>| {
            x509_parser::parse_x509_certificate(der).is_ok_and(|(_, certificate)| {
                Some(&*certificate.public_key().subject_public_key.data) == public.as_deref()
            })
        };
        let found = self.certificates.iter().position(is_of_the_key);
        found.or((!self.certificates.is_empty()).then_some(0))
    }
}

/// The public key of a private one, as certificates hold it.
fn public_key(pkcs8: &[u8]) -> Option<Vec<u8>> {
    if let Ok(key) = RsaKeyPair::from_pkcs8(pkcs8) {
        return Some(key.public_key().as_ref().to_vec());
    }
    if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8) {
        return Some(key.public_key().as_ref().to_vec());
    }
    let curves =
        [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING];
    let key = curves.into_iter().find_map(|curve| EcdsaKeyPair::from_private_key_der(curve, pkcs8).ok())?;
    Some(key.public_key().as_ref().to_vec())
}

/// Base64 of a PFX of a key and its certificates, the leaf first.
fn pfx(name: &str, key: &[u8], certificates: &[Vec<u8>]) -> Option<SecretString> {
    let certificates: Vec<_> = certificates
        .iter()
        .map(|der| p12_keystore::Certificate::from_der(der).ok())
        .collect::<Option<_>>()?;
    let chain = PrivateKeyChain::new(name, PrivateKey::from_der(key).ok()?, certificates);
    let mut store = KeyStore::new();
    store.add_entry(name, KeyStoreEntry::PrivateKeyChain(chain));
    let writer = store
        .writer("")
        .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
        .encryption_iterations(ROUNDS)
        .mac_algorithm(MacAlgorithm::HmacSha1)
        .mac_iterations(ROUNDS);
    let bytes = Zeroizing::new(writer.write().ok()?);
    Some(STANDARD.encode(bytes.as_slice()).into())
}
