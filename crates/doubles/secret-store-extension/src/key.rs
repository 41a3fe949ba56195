//! Private keys in the forms that Go's `crypto/x509` reads and writes.

use aws_lc_rs::{
    encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der},
    rsa::KeyPair as RsaKeyPair,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair,
    },
};
use zeroize::Zeroizing;

use super::pem::Block;

/// The label of a key in PKCS#8, and of what was taken for one.
pub(super) const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The object identifiers of EC keys and of their curves.
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const P521: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x23];

const CURVES: [(&[u8], &EcdsaSigningAlgorithm); 3] = [
    (P256, &ECDSA_P256_SHA256_ASN1_SIGNING),
    (P384, &ECDSA_P384_SHA384_ASN1_SIGNING),
    (P521, &ECDSA_P521_SHA512_ASN1_SIGNING),
];

/// A key of one of the two algorithms that the controller knows.
pub(super) enum PrivateKey {
    Rsa(RsaKeyPair),
    /// With the object identifier of its curve.
    Ec(&'static [u8], EcdsaKeyPair),
}

// === impl PrivateKey ===

impl PrivateKey {
    /// Reads PKCS#8, PKCS#1 and SEC 1, whichever it is.
    pub fn parse(der: &[u8]) -> Option<Self> {
        if let Ok(key) = RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)) {
            return Some(Self::Rsa(key));
        }
        CURVES.into_iter().find_map(|(curve, algorithm)| {
            // Go knows curves by their names only, not by their parameters.
            let is_named = der.windows(curve.len()).any(|window| window == curve);
            let key = EcdsaKeyPair::from_private_key_der(algorithm, der).ok().filter(|_| is_named)?;
            Some(Self::Ec(curve, key))
        })
    }

    /// As `x509.MarshalPKCS8PrivateKey` writes it.
    pub fn pkcs8(&self) -> Block {
        let der = match self {
            Self::Rsa(key) => rsa_pkcs8(key),
            Self::Ec(curve, key) => {
                let algorithm = [element(OBJECT_ID, &[EC_PUBLIC_KEY]), element(OBJECT_ID, &[*curve])];
                let algorithm = element(SEQUENCE, &[&algorithm[0], &algorithm[1]]);
                let key = element(OCTETS, &[&sec1(key, &[])]);
                element(SEQUENCE, &[&element(INTEGER, &[&[0]]), &algorithm, &key])
            }
        };
        Block { bytes: der, ..Block::new(PRIVATE_KEY, []) }
    }

    /// In the form of its algorithm, as `x509.MarshalPKCS1PrivateKey` and `x509.MarshalECPrivateKey` write it.
    pub fn traditional(&self) -> Block {
        match self {
            Self::Rsa(key) => {
                // Version, algorithm, and the headers of three elements with two bytes of length, as keys from 2048 bits on have.
                const WRAPPING: usize = 26;
                Block::new("RSA PRIVATE KEY", &rsa_pkcs8(key)[WRAPPING..])
            }
            Self::Ec(curve, key) => {
                let curve = element(PARAMETERS, &[&element(OBJECT_ID, &[*curve])]);
                Block { bytes: sec1(key, &curve), ..Block::new("EC PRIVATE KEY", []) }
            }
        }
    }
}

/// Tags of DER.
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
/// Tags of parts of an EC key.
const PARAMETERS: u8 = 0xa0;
const PUBLIC_KEY: u8 = 0xa1;

fn rsa_pkcs8(key: &RsaKeyPair) -> Zeroizing<Vec<u8>> {
    let der: Pkcs8V1Der<'_> = key.as_der().expect("a key that was read can be written");
    Zeroizing::new(der.as_ref().to_vec())
}

/// An EC key with its public key, whether it was read with one or not.
fn sec1(key: &EcdsaKeyPair, parameters: &[u8]) -> Zeroizing<Vec<u8>> {
    let private: EcPrivateKeyBin<'_> =
        key.private_key().as_be_bytes().expect("a key that was read can be written");
    let private = element(OCTETS, &[private.as_ref()]);
    let public = element(PUBLIC_KEY, &[&element(BITS, &[&[0], key.public_key().as_ref()])]);
    element(SEQUENCE, &[&element(INTEGER, &[&[1]]), &private, parameters, &public])
}

/// An element of DER with the parts as its content, of less than 256 bytes.
fn element(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let content = Zeroizing::new(parts.concat());
    let length = u8::try_from(content.len()).expect("EC keys are short");
    let header: &[u8] = if length < 0x80 { &[tag, length] } else { &[tag, 0x81, length] };
    Zeroizing::new([header, &content].concat())
}

/// Whether this is a key in PKCS#8 that Go reads and the controller refuses.
pub(super) fn is_of_another_kind(der: &[u8]) -> bool {
    /// The beginning of an X25519 key: version, and the algorithm without parameters.
    const X25519: &[u8] = &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e];
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).is_ok() || der.starts_with(X25519)
}
