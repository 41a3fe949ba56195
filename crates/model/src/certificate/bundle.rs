//! What a value holds: a private key and certificates, in PEM, DER or PFX.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::Pkcs12Archive;
use pem::{EncodeConfig, LineEnding, Pem};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use super::{CertificateError, KeyForm, private_key};

const CERTIFICATE: &str = "CERTIFICATE";
/// The object identifier of scrypt in DER. No vault writes such a PFX, and to open one can take a gigabyte.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// A private key as it was read: the label of its PEM block, and its DER.
pub(super) struct PrivateKey {
    pub(super) label: String,
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// The private key and the certificates of a value.
#[derive(Default)]
pub(super) struct Bundle {
    /// The last one, as the Secret Store extension takes it.
    pub(super) key: Option<PrivateKey>,
    /// DER, in the order of the value; of a PFX, the certificate and then its chain.
    pub(super) certificates: Vec<Vec<u8>>,
}

impl Bundle {
    /// Reads a value in whatever form.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, CertificateError> {
        if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
            return Self::of_pem(bytes);
        }
        if let Ok((b"", _)) = X509Certificate::from_der(bytes) {
            return Ok(Self { key: None, certificates: vec![bytes.to_vec()] });
        }
        Self::of_pfx(bytes).map_err(|_| CertificateError::Unreadable)
    }

    fn of_pem(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut bundle = Self::default();
        for block in pem::parse_many(bytes).map_err(|_| CertificateError::Unreadable)? {
            let label = block.tag().to_owned();
            if label == CERTIFICATE {
                bundle.certificates.push(block.into_contents());
            } else if label.ends_with("PRIVATE KEY") {
                bundle.key = Some(PrivateKey { label, der: Zeroizing::new(block.into_contents()) });
            }
        }
        Ok(bundle)
    }

    /// Reads a PFX file, or its base64.
    pub(super) fn of_pfx(value: &[u8]) -> Result<Self, CertificateError> {
        let (_, archive) = open_pfx(value)?;
        let key = archive.keys.last().map(|bag| PrivateKey {
            label: "PRIVATE KEY".to_owned(),
            der: Zeroizing::new(bag.key.as_der().to_vec()),
        });
        let certificates = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect();
        let mut bundle = Self { key, certificates };
        bundle.certificates = bundle.in_order().into_iter().cloned().collect();
        Ok(bundle)
    }

    /// The private key in PEM.
    pub(super) fn private_key(&self, form: KeyForm) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let key = self.key.as_ref().ok_or(CertificateError::NoPrivateKey)?;
        if key.label == "ENCRYPTED PRIVATE KEY" {
            return Err(CertificateError::EncryptedKey);
        }
        match form {
            KeyForm::Unchanged => Ok(encode([(key.label.as_str(), key.der.as_slice())])),
            KeyForm::Traditional => {
                let key = private_key::traditional(key)?;
                Ok(encode([(key.label.as_str(), key.der.as_slice())]))
            }
        }
    }

    /// All certificates, in the order of the value.
    pub(super) fn certificates(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.certificates.iter(), CertificateError::NoCertificate)
    }

    /// The certificate that belongs to the private key, or else that no other one is issued by.
    pub(super) fn certificate(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.in_order().into_iter().take(1), CertificateError::NoCertificate)
    }

    /// The certificates of the issuers.
    pub(super) fn chain(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.in_order().into_iter().skip(1), CertificateError::NoChain)
    }

    /// The certificate and those of its issuers.
    pub(super) fn full_chain(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.in_order().into_iter(), CertificateError::NoCertificate)
    }

    /// The private key, and then all certificates.
    pub(super) fn all(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let key = self.key.iter().map(|key| (key.label.as_str(), key.der.as_slice()));
        let certificates = self.certificates.iter().map(|der| (CERTIFICATE, der.as_slice()));
        Ok(encode(key.chain(certificates)))
    }

    /// The certificate, its issuer, the issuer of that one …, and then all others as the value has them.
    pub(super) fn in_order(&self) -> Vec<&Vec<u8>> {
        let mut left: Vec<_> = self.certificates.iter().filter_map(|der| Some((der, parsed(der)?))).collect();
        let Some(first) = self.leaf(&left) else { return Vec::new() };
        let mut ordered = vec![left.remove(first)];
        while let Some(place) = {
            let issued = &ordered[ordered.len() - 1].1;
            left.iter().position(|(_, other)| other.subject() == issued.issuer())
        } {
            ordered.push(left.remove(place));
        }
        ordered.into_iter().chain(left).map(|(der, _)| der).collect()
    }

    fn leaf(&self, certificates: &[(&Vec<u8>, X509Certificate<'_>)]) -> Option<usize> {
        let public = self.key.as_ref().and_then(private_key::public_key);
        let of_key = public.and_then(|public| {
            certificates.iter().position(|(_, one)| *one.public_key().subject_public_key.data == *public)
        });
        let issues_none = || {
            certificates.iter().enumerate().position(|(place, (_, one))| {
                let mut others = certificates.iter().enumerate().filter(|(other, _)| *other != place);
                !others.any(|(_, (_, other))| other.issuer() == one.subject())
            })
        };
        of_key.or_else(issues_none).or_else(|| (!certificates.is_empty()).then_some(0))
    }
}

/// The bytes of a PFX file: the value itself, or what it holds in base64.
pub(super) fn pfx_file(value: &[u8]) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    open_pfx(value).map(|(file, _)| file)
}

fn open_pfx(value: &[u8]) -> Result<(Zeroizing<Vec<u8>>, Pkcs12Archive), CertificateError> {
    // What begins as a DER sequence is no base64.
    let file = match value.first() {
        Some(0x30) => value.to_vec(),
        _ => STANDARD.decode(value.trim_ascii()).map_err(|_| CertificateError::NotPfx)?,
    };
    let file = Zeroizing::new(file);
    if memchr::memmem::find(&file, SCRYPT).is_some() {
        return Err(CertificateError::NotPfx);
    }
    let archive = Pkcs12Archive::from_pkcs12(&file, "").map_err(|_| CertificateError::NotPfx)?;
    Ok((file, archive))
}

pub(super) fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

fn encode_certificates<'a>(
    certificates: impl Iterator<Item = &'a Vec<u8>>,
    if_none: CertificateError,
) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
    let text = encode(certificates.map(|der| (CERTIFICATE, der.as_slice())));
    if text.is_empty() { Err(if_none) } else { Ok(text) }
}

/// PEM as Go writes it: lines of 64 characters that end with a line feed.
fn encode<'a>(blocks: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Zeroizing<Vec<u8>> {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    let blocks = blocks.into_iter().map(|(label, der)| {
        let block = Pem::new(label, der);
        let text = Zeroizing::new(pem::encode_config(&block, config).into_bytes());
        drop(Zeroizing::new(block.into_contents()));
        text
    });
    let blocks: Vec<_> = blocks.collect();
    // Allocated once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(blocks.iter().map(|block| block.len()).sum()));
    blocks.iter().for_each(|block| text.extend_from_slice(block));
    text
}
