//! Private keys: their public half, and the form that the Secret Store extension writes.

use aws_lc_rs::{
    encoding::AsDer,
    rsa,
    signature::{
        ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, ECDSA_P521_SHA512_ASN1_SIGNING,
        EcdsaKeyPair, Ed25519KeyPair, KeyPair,
    },
};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

use super::{CertificateError, bundle::PrivateKey};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The key in PKCS #1 or SEC 1, as Go's `x509.MarshalPKCS1PrivateKey` and `x509.MarshalECPrivateKey` write it.
pub(super) fn traditional(key: &PrivateKey) -> Result<PrivateKey, CertificateError> {
    let named =
        |label: &str, der: &[u8]| PrivateKey { label: label.to_owned(), der: Zeroizing::new(der.to_vec()) };
    if let Some(pkcs1) = inner_rsa(&key.der) {
        return Ok(named("RSA PRIVATE KEY", pkcs1));
    }
    if rsa::KeyPair::from_der(&key.der).is_ok() {
        return Ok(named("RSA PRIVATE KEY", &key.der));
    }
    let pair = ec_pair(&key.der).ok_or(CertificateError::UnsupportedKey)?;
    let der = pair.private_key().as_der().map_err(|_| CertificateError::UnsupportedKey)?;
    Ok(named("EC PRIVATE KEY", der.as_ref()))
}

/// The bits of the public key as a certificate has them; none for a kind of key that is not known.
pub(super) fn public_key(key: &PrivateKey) -> Option<Vec<u8>> {
    let rsa_pair = || rsa::KeyPair::from_der(inner_rsa(&key.der).unwrap_or(&key.der)).ok();
    if let Some(pair) = rsa_pair() {
        return Some(pair.public_key().as_ref().to_vec());
    }
    if let Some(pair) = ec_pair(&key.der) {
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
fn ec_pair(der: &[u8]) -> Option<EcdsaKeyPair> {
    [&ECDSA_P256_SHA256_ASN1_SIGNING, &ECDSA_P384_SHA384_ASN1_SIGNING, &ECDSA_P521_SHA512_ASN1_SIGNING]
        .into_iter()
        .find_map(|algorithm| EcdsaKeyPair::from_private_key_der(algorithm, der).ok())
}
