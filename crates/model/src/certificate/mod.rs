//! Certificates in values: PEM bundles, DER and PFX, and the parts of them that a key of a Secret takes.

mod bundle;
mod facts;
mod private_key;
mod text;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use bundle::Bundle;
pub use facts::{CertificateFacts, CertificateKind, facts, kind_of_der};

/// The part of a certificate that a key of the Kubernetes Secret takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The value. Of a vault certificate in PFX: its private key and its certificates in PEM. In a Secret of the type
    /// `kubernetes.io/tls`, the certificates for `tls.crt` and the private key for `tls.key`.
    #[default]
    Whole,
    /// The certificate alone, in PEM.
    Certificate,
    /// The certificates of its issuers, from its own issuer upwards, in PEM.
    Chain,
    /// The private key, in PEM.
    PrivateKey,
    /// The certificate and then its chain, in PEM.
    FullChain,
    /// The bytes of the PFX file.
    Pfx,
}

/// Why a value does not have the part of a certificate that is asked for. Never shows the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CertificateError {
    /// Neither PEM nor DER, or a certificate in it can't be read.
    #[error("it is neither a certificate in PEM nor one in DER; a PFX must be a certificate of the vault")]
    Unreadable,
    /// No certificate in it.
    #[error("it has no certificate")]
    NoCertificate,
    /// No certificate but the one itself.
    #[error("it has no certificate of an issuer")]
    NoChain,
    /// No private key in it.
    #[error("it has no private key")]
    NoPrivateKey,
    /// The private key has a passphrase.
    #[error("its private key is encrypted")]
    EncryptedKey,
    /// Not a PFX of the vault.
    #[error("it is not a certificate that the vault keeps as PFX")]
    NotPfx,
}

/// How a private key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyForm {
    /// As the value has it.
    Unchanged,
    /// PKCS #1 for RSA and SEC 1 for EC, as the Secret Store extension writes `tls.key`.
    Traditional,
}

// === impl Part ===

impl Part {
    /// All parts.
    pub const ALL: [Self; 6] =
        [Self::Whole, Self::Certificate, Self::Chain, Self::PrivateKey, Self::FullChain, Self::Pfx];
}

words!(
    Part,
    "a part of a certificate",
    Whole => "whole",
    Certificate => "certificate",
    Chain => "chain",
    PrivateKey => "private-key",
    FullChain => "full-chain",
    Pfx => "pfx"
);

/// The part of a value. `is_pfx`: whether it is a certificate that the vault keeps as PFX.
pub(crate) fn part_of(
    bytes: Zeroizing<Vec<u8>>,
    part: Part,
    form: KeyForm,
    is_pfx: bool,
) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    match part {
        Part::Whole => Ok(bytes),
        Part::Pfx if is_pfx => bundle::pfx_file(&bytes),
        Part::Pfx => Err(CertificateError::NotPfx),
        Part::PrivateKey => Bundle::parse(&bytes, is_pfx)?.private_key(form),
        Part::Certificate => Bundle::parse(&bytes, is_pfx)?.certificate(),
        Part::Chain => Bundle::parse(&bytes, is_pfx)?.chain(),
        Part::FullChain => Bundle::parse(&bytes, is_pfx)?.full_chain(),
    }
}

/// All certificates of a value in their order, as the Secret Store extension writes `tls.crt`.
pub(crate) fn certificates(bytes: &[u8], is_pfx: bool) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    Bundle::parse(bytes, is_pfx)?.certificates()
}

/// The private key of a value, as the Secret Store extension writes `tls.key`. A key that it can't write stays as it is.
pub(crate) fn tls_key(bytes: &[u8], is_pfx: bool) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    Bundle::parse(bytes, is_pfx)?.tls_key()
}

/// A PFX in base64, as the vault keeps it, in PEM: the private key and then the certificates, as Azure's provider of the
/// Secret Store extension writes it.
pub(crate) fn pem_of_pfx(value: &[u8]) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    Bundle::of_pfx(value)?.all()
}

#[cfg(test)]
pub(crate) mod tests;
