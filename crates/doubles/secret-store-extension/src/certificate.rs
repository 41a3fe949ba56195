//! The text that Azure's provider makes of a certificate's secret.

use x509_parser::extensions::ParsedExtension;
use zeroize::Zeroizing;

use super::{
    encoding::decoded,
    key::PrivateKey,
    pem::{self, Block},
    pfx,
};

/// The content types that Key Vault gives to the secrets of certificates.
const PEM: &str = "application/x-pem-file";
const PFX: &str = "application/x-pkcs12";

/// The value as PEM, or as it is where the class asks for PFX.
pub(super) fn exported(
    value: Zeroizing<String>,
    content_type: &str,
    format: &str,
) -> Result<Zeroizing<String>, String> {
    match content_type {
        PEM => Ok(value),
        PFX if format.eq_ignore_ascii_case("pfx") => Ok(value),
        PFX => from_pfx(&value),
        other => Err(format!("failed to get certificate. unknown content type '{other}'")),
    }
}

/// The keys in PKCS#8, then the certificates from the leaf to the root.
fn from_pfx(value: &str) -> Result<Zeroizing<String>, String> {
    let blocks = pfx::to_pem(&decoded(value, "base64")?)?;
    let (certificates, keys): (Vec<Block>, Vec<Block>) = blocks.into_iter().partition(Block::is_certificate);
    let mut text = Zeroizing::new(String::with_capacity(2 * value.len()));
    for key in &keys {
        let key = PrivateKey::parse(&key.bytes).ok_or("failed to parse key for type pkcs1, pkcs8 or ec")?;
        text.push_str(&key.pkcs8().encode());
    }
    let plain = certificates.into_iter().map(|block| Block::new(pem::CERTIFICATE, block.bytes.as_slice()));
    text.push_str(&pem::text(&chained(plain.collect())?));
    Ok(text)
}

/// From the leaf to the root, by key identifiers; in the order of before where they don't make one chain of all.
fn chained(certificates: Vec<Block>) -> Result<Vec<Block>, String> {
    let identifiers: Vec<Identifiers> = certificates.iter().map(Identifiers::of).collect::<Result<_, _>>()?;
    let issuers: Vec<Option<usize>> = identifiers
        .iter()
        .enumerate()
        .map(|(at, own)| (0..identifiers.len()).find(|other| *other != at && own.names(&identifiers[*other])))
        .collect();
    let leaf = (0..issuers.len()).find(|at| !issuers.contains(&Some(*at))).ok_or("no leaf found")?;
    let chain = std::iter::successors(Some(leaf), |at| issuers[*at]);
    let chain: Vec<usize> = chain.take(issuers.len() + 1).collect();
    if chain.len() > issuers.len() {
        return Err("constructing chain resulted in cycle".to_owned());
    }
    if chain.len() < issuers.len() {
        return Ok(certificates);
    }
    Ok(chain.into_iter().map(|at| Block::new(pem::CERTIFICATE, certificates[at].bytes.as_slice())).collect())
}

/// The identifiers of two keys in a certificate.
struct Identifiers {
    issuer: Option<Vec<u8>>,
    own: Option<Vec<u8>>,
}

// === impl Identifiers ===

impl Identifiers {
    fn of(certificate: &Block) -> Result<Self, String> {
        let (_, certificate) = x509_parser::parse_x509_certificate(&certificate.bytes)
            .map_err(|_| "x509: malformed certificate".to_owned())?;
        let mut identifiers = Self { issuer: None, own: None };
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::AuthorityKeyIdentifier(found) => {
                    identifiers.issuer = found.key_identifier.as_ref().map(|id| id.0.to_vec());
                }
                ParsedExtension::SubjectKeyIdentifier(found) => identifiers.own = Some(found.0.to_vec()),
                _ => {}
            }
        }
        Ok(identifiers)
    }

    /// Whether the other one is the issuer's. For Go, an absent identifier equals an empty one.
    fn names(&self, other: &Self) -> bool {
        (self.issuer.is_some() || other.own.is_some())
            && self.issuer.as_deref().unwrap_or_default() == other.own.as_deref().unwrap_or_default()
    }
}
