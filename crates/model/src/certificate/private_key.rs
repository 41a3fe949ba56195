//! Private keys: their public half, and the form that the Secret Store extension writes.

use aws_lc_rs::{
    encoding::{AsBigEndian, EcPrivateKeyBin},
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use pem::Pem;
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use sec1::{EcParameters, EcPrivateKey, der::Encode};
use zeroize::Zeroizing;

use super::{
    KeyForm,
    text::{encode, text_of},
};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The curves of EC keys by their names.
const CURVES: [(ObjectIdentifier, &EcdsaSigningAlgorithm); 3] = [
    (ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7"), &ECDSA_P256_SHA256_ASN1_SIGNING),
    (ObjectIdentifier::new_unwrap("1.3.132.0.34"), &ECDSA_P384_SHA384_ASN1_SIGNING),
    (ObjectIdentifier::new_unwrap("1.3.132.0.35"), &ECDSA_P521_SHA512_ASN1_SIGNING),
];

/// A private key as it was read: the label of its PEM block, and its DER.
pub(super) struct PrivateKey {
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
    /// The block as it was, where it is encrypted: headers say how.
    pub(super) encrypted: Option<Zeroizing<Vec<u8>>>,
}

// === impl PrivateKey ===

impl PrivateKey {
    pub(super) fn new(label: &str, der: &[u8]) -> Self {
        Self { label: label.to_owned(), der: Zeroizing::new(der.to_vec()), encrypted: None }
    }

    pub(super) fn of_block(block: Pem) -> Self {
        let is_encrypted = block.tag() == "ENCRYPTED PRIVATE KEY"
            || block.headers().get("Proc-Type").is_some_and(|kind| kind.contains("ENCRYPTED"));
        let encrypted = is_encrypted.then(|| text_of(&block));
        let label = block.tag().to_owned();
        Self { label, der: Zeroizing::new(block.into_contents()), encrypted }
    }

    fn pem(&self) -> Zeroizing<Vec<u8>> {
        match &self.encrypted {
            Some(block) => block.clone(),
            None => encode([(self.label.as_str(), self.der.as_slice())]),
        }
    }

    /// In a form; a key of a kind that has no form of its own, as it is.
    pub(super) fn pem_in(&self, form: KeyForm) -> Zeroizing<Vec<u8>> {
        let traditional =
            (form == KeyForm::Traditional && self.encrypted.is_none()).then(|| traditional(self)).flatten();
        traditional.as_ref().unwrap_or(self).pem()
    }
}

/// The key in PKCS #1 or SEC 1, as Go's `x509.MarshalPKCS1PrivateKey` and `x509.MarshalECPrivateKey` write it; none for other
/// kinds of keys.
fn traditional(key: &PrivateKey) -> Option<PrivateKey> {
    if let Some(pkcs1) = inner_rsa(&key.der) {
        return Some(PrivateKey::new("RSA PRIVATE KEY", pkcs1));
    }
    let (curve, pair) = ec_pair(&key.der)?;
    Some(PrivateKey::new("EC PRIVATE KEY", &sec1(curve, &pair)?))
}

/// The bits of the public key as a certificate has them; none for a kind of key that is not known.
pub(super) fn public_key(key: &PrivateKey) -> Option<Vec<u8>> {
    let rsa_pair = || rsa::KeyPair::from_der(inner_rsa(&key.der).unwrap_or(&key.der)).ok();
    if let Some(pair) = rsa_pair() {
        return Some(pair.public_key().as_ref().to_vec());
    }
    if let Some((_, pair)) = ec_pair(&key.der) {
        return Some(pair.public_key().as_ref().to_vec());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&key.der).ok()?;
    Some(pair.public_key().as_ref().to_vec())
}

/// The PKCS #1 key inside of a PKCS #8 one.
fn inner_rsa(der: &[u8]) -> Option<&[u8]> {
    let info = PrivateKeyInfoRef::try_from(der).ok().filter(|info| info.algorithm.oid == RSA)?;
    Some(info.private_key.as_bytes())
}

/// Reads PKCS #8 and SEC 1.
fn ec_pair(der: &[u8]) -> Option<(ObjectIdentifier, EcdsaKeyPair)> {
    CURVES.into_iter().find_map(|(curve, algorithm)| {
        Some((curve, EcdsaKeyPair::from_private_key_der(algorithm, der).ok()?))
    })
}

/// With the name of the curve and the public key, whether it was read with them or not.
fn sec1(curve: ObjectIdentifier, pair: &EcdsaKeyPair) -> Option<Zeroizing<Vec<u8>>> {
    let private_key: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
    let key = EcPrivateKey {
        private_key: private_key.as_ref(),
        parameters: Some(EcParameters::NamedCurve(curve)),
        public_key: Some(pair.public_key().as_ref()),
    };
    key.to_der().ok().map(Zeroizing::new)
}
