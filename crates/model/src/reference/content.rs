//! From a value in the vault to the bytes under a key of the Kubernetes Secret: decoded, the part of a certificate taken
//! out, and checked. Both engines write the same bytes for the same reference, so this does what the Secret Store extension
//! does.

use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::{Encoding, EncodingError, Reference};
use crate::{
    CertificateError, ContentError, Part, SecretType, VaultSecret,
    certificate::{KeyForm, certificates, part_of, pem_of_pfx, tls_key},
};

/// The content type that the vault gives a certificate that it keeps as PFX.
const PFX: &str = "application/x-pkcs12";

/// Why a value can't be synced. Never shows the value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It is not in the encoding of the reference.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// It does not have the part of a certificate that the reference takes.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The API server refuses it in a Secret of this type.
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// What a key takes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Taken {
    /// All certificates, in the order of the value.
    Certificates,
    /// The private key in the form of its kind.
    TlsKey,
    Part(Part, KeyForm),
}

impl Reference {
    /// The bytes that a Secret of this type gets of a value, which [`crate::Contents::check`] has not checked yet. `is_pfx`:
    /// whether the value is that of a certificate which the vault keeps as PFX, see [`VaultSecret::is_pfx`].
    pub fn content(
        &self,
        secret_type: &SecretType,
        value: &SecretString,
        is_pfx: bool,
    ) -> Result<Zeroizing<Vec<u8>>, ValueError> {
        let bytes = match self.taken(secret_type) {
            Taken::Part(Part::Whole, _) if is_pfx && self.encoding == Encoding::Utf8 => {
                pem_of_pfx(value.expose_secret().as_bytes())?
            }
            Taken::Part(part, form) => part_of(self.encoding.decode(value)?, part, form, is_pfx)?,
            Taken::Certificates => certificates(&self.encoding.decode(value)?, is_pfx)?,
            Taken::TlsKey => tls_key(&self.encoding.decode(value)?, is_pfx)?,
        };
        Ok(bytes)
    }

    /// Whether [`Reference::content`] reads certificates or keys, which takes its time.
    pub fn reads_certificates(&self, secret_type: &SecretType, is_pfx: bool) -> bool {
        is_pfx || !matches!(self.taken(secret_type), Taken::Part(Part::Whole, _))
    }

    fn taken(&self, secret_type: &SecretType) -> Taken {
        let form = if secret_type.is_tls() { KeyForm::Traditional } else { KeyForm::Unchanged };
        match (self.part, self.key.as_str()) {
            (Part::Whole, "tls.crt") if secret_type.is_tls() => Taken::Certificates,
            (Part::Whole, "tls.key") if secret_type.is_tls() => Taken::TlsKey,
            (part, _) => Taken::Part(part, form),
        }
    }
}

impl VaultSecret {
    /// Whether its value is a certificate in PFX, as the vault keeps it in base64.
    pub fn is_pfx(&self) -> bool {
        self.managed && self.content_type.eq_ignore_ascii_case(PFX)
    }
}

#[cfg(test)]
mod tests;
