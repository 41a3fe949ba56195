//! What a value holds: a private key and certificates, in PEM, DER or PFX.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use p12_keystore::Pkcs12Archive;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};
use zeroize::Zeroizing;

use super::{
    CertificateError, KeyForm,
    private_key::{self, PrivateKey},
    text::encode,
};

const CERTIFICATE: &str = "CERTIFICATE";
/// The object identifier of scrypt in DER. No vault writes such a PFX, and to open one can take a gigabyte.
const SCRYPT: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x04, 0x0b];

/// The private key and the certificates of a value.
#[derive(Default)]
pub(super) struct Bundle {
    /// The last one, as the Secret Store extension takes it.
    pub(super) key: Option<PrivateKey>,
    /// DER, in the order of the value; of a PFX, the certificate and then its chain.
    pub(super) certificates: Vec<Vec<u8>>,
}

/// The certificates of a bundle, read.
struct Chain<'a> {
    /// The certificate, its issuer, the issuer of that one …
    linked: Vec<&'a Vec<u8>>,
    /// All others, as the value has them.
    others: Vec<&'a Vec<u8>>,
}

// === impl Bundle ===

impl Bundle {
    /// Reads a value in whatever form; a PFX only if it may be one. To open a PFX that somebody made up can take minutes
    /// and a gigabyte, so only those that the vault itself wrote are opened.
    pub(super) fn parse(bytes: &[u8], may_be_pfx: bool) -> Result<Self, CertificateError> {
        if memchr::memmem::find(bytes, b"-----BEGIN ").is_some() {
            return Self::of_pem(bytes);
        }
        if let Ok((b"", _)) = X509Certificate::from_der(bytes) {
            return Ok(Self { key: None, certificates: vec![bytes.to_vec()] });
        }
        match may_be_pfx {
            true => Self::of_pfx(bytes),
            false => Err(CertificateError::Unreadable),
        }
    }

    fn of_pem(bytes: &[u8]) -> Result<Self, CertificateError> {
        let mut bundle = Self::default();
        for block in pem::parse_many(bytes).map_err(|_| CertificateError::Unreadable)? {
            if block.tag() == CERTIFICATE {
                bundle.certificates.push(block.into_contents());
            } else if block.tag().ends_with("PRIVATE KEY") {
                bundle.key = Some(PrivateKey::of_block(block));
            }
        }
        Ok(bundle)
    }

    /// Reads a PFX file, or its base64.
    pub(super) fn of_pfx(value: &[u8]) -> Result<Self, CertificateError> {
        let (_, archive) = open_pfx(value)?;
        let key = archive.keys.last().map(|bag| PrivateKey::new("PRIVATE KEY", bag.key.as_der()));
        let certificates = archive.certs.iter().map(|bag| bag.cert.as_der().to_vec()).collect();
        let bundle = Self { key, certificates };
        let Chain { linked, others } = bundle.chain_of()?;
        let certificates = linked.into_iter().chain(others).cloned().collect();
        Ok(Self { certificates, ..bundle })
    }

    /// The private key in PEM.
    pub(super) fn private_key(&self, form: KeyForm) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let key = self.key.as_ref().ok_or(CertificateError::NoPrivateKey)?;
        match key.encrypted {
            Some(_) => Err(CertificateError::EncryptedKey),
            None => Ok(key.pem_in(form)),
        }
    }

    /// What `tls.key` gets: the private key in the form of its kind, where it has one.
    pub(super) fn tls_key(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let key = self.key.as_ref().ok_or(CertificateError::NoPrivateKey)?;
        Ok(key.pem_in(KeyForm::Traditional))
    }

    /// All certificates, in the order of the value.
    pub(super) fn certificates(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.certificates.iter(), CertificateError::NoCertificate)
    }

    /// The certificate that belongs to the private key, or else that no other one is issued by.
    pub(super) fn certificate(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let chain = self.chain_of()?;
        encode_certificates(chain.linked.into_iter().take(1), CertificateError::NoCertificate)
    }

    /// The certificates of the issuers.
    pub(super) fn chain(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.chain_of()?.linked.into_iter().skip(1), CertificateError::NoChain)
    }

    /// The certificate and those of its issuers.
    pub(super) fn full_chain(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        encode_certificates(self.chain_of()?.linked.into_iter(), CertificateError::NoCertificate)
    }

    /// The private key, and then all certificates.
    pub(super) fn all(&self) -> Result<Zeroizing<Vec<u8>>, CertificateError> {
        let key = self.key.iter().map(|key| (key.label.as_str(), key.der.as_slice()));
        let certificates = self.certificates.iter().map(|der| (CERTIFICATE, der.as_slice()));
        Ok(encode(key.chain(certificates)))
    }

    /// The certificate that all others issue, if there is one.
    pub(super) fn own(&self) -> Option<&Vec<u8>> {
        self.chain_of().ok()?.linked.first().copied()
    }

    fn chain_of(&self) -> Result<Chain<'_>, CertificateError> {
        let mut left = Vec::with_capacity(self.certificates.len());
        for der in &self.certificates {
            left.push((der, parsed(der).ok_or(CertificateError::Unreadable)?));
        }
        let Some(first) = self.leaf(&left) else {
            return Ok(Chain { linked: Vec::new(), others: Vec::new() });
        };
        let mut linked = vec![left.remove(first)];
        left.retain(|(der, _)| *der != linked[0].0);
        while let Some(place) = {
            let issued = &linked[linked.len() - 1].1;
            left.iter().position(|(_, other)| other.subject() == issued.issuer())
        } {
            linked.push(left.remove(place));
        }
        Ok(Chain {
            linked: linked.into_iter().map(|(der, _)| der).collect(),
            others: left.into_iter().map(|(der, _)| der).collect(),
        })
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
