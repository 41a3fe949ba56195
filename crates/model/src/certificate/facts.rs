//! What is said of a certificate or a revocation list at the edge: what everybody may know, never the key.

use std::net::IpAddr;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer,
    revocation_list::CertificateRevocationList, time::ASN1Time,
};

use super::{
    bundle::{Bundle, parsed},
    private_key::public_key,
};
use crate::is_unprintable;

/// A certificate or a certificate revocation list, without what is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateFacts {
    /// Which of the two it is.
    pub kind: CertificateKind,
    /// The subject's distinguished name; empty for a revocation list.
    pub subject: String,
    /// The issuer's distinguished name.
    pub issuer: String,
    /// The subject alternative names: `DNS:pump.example.com`, `IP:10.0.0.4`, `URI:urn:pump`, `email:…`.
    pub subject_alternative_names: Vec<String>,
    /// When it becomes valid; of a revocation list, when it was issued.
    pub not_before: Option<Timestamp>,
    /// When it expires; of a revocation list, when the next one is due.
    pub not_after: Option<Timestamp>,
    /// When the first of all certificates in the value expires, where that is before [`Self::not_after`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_not_after: Option<Timestamp>,
    /// SHA-1 of the DER, in upper-case hex, as Azure and Windows show it. Not a proof of anything.
    pub sha1_thumbprint: String,
    /// SHA-256 of the DER, in upper-case hex.
    pub sha256_thumbprint: String,
    /// Whether it may issue certificates.
    pub is_ca: bool,
    /// Whether the private key of the same Secret belongs to it; absent if there is none, or none was read.
    pub key_matches: Option<bool>,
    /// Certificates in the same value; the facts are those of the first one that the others issue.
    pub count: u32,
}

/// A certificate, or a list of revoked ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CertificateKind {
    /// An X.509 certificate.
    Certificate,
    /// A certificate revocation list.
    RevocationList,
}

/// What the bytes are, from the first to the last, in DER.
pub fn kind_of_der(bytes: &[u8]) -> Option<CertificateKind> {
    if let Ok((b"", _)) = X509Certificate::from_der(bytes) {
        return Some(CertificateKind::Certificate);
    }
    match CertificateRevocationList::from_der(bytes) {
        Ok((b"", _)) => Some(CertificateKind::RevocationList),
        _ => None,
    }
}

/// Characters of a name that are shown; a certificate may hold longer ones.
const NAME_CHARS: usize = 512;
/// Subject alternative names that are shown.
const NAMES: usize = 50;

/// The facts of each content of a Secret, in their order; none for what is neither a certificate nor a revocation list, in PEM
/// or DER. `reads_keys`: whether private keys may be looked at, to say which certificate they belong to.
pub fn facts(contents: &[&[u8]], reads_keys: bool) -> Vec<Option<CertificateFacts>> {
    let bundles: Vec<_> = contents.iter().map(|content| read(content)).collect();
    let keys = bundles.iter().flatten().filter_map(|bundle| bundle.key.as_ref()).filter(|_| reads_keys);
    let keys: Vec<Vec<u8>> = keys.filter_map(public_key).collect();
    let mut certificates: Vec<_> = bundles.iter().flatten().flat_map(|bundle| &bundle.certificates).collect();
    certificates.sort_unstable();
    certificates.dedup();
    // What is neither text nor a certificate may be a PFX, and hold the one that the key belongs to.
    let is_all_read =
        contents.iter().zip(&bundles).all(|(content, bundle)| bundle.is_some() || content.is_ascii());
    let is_alone = certificates.len() == 1 && is_all_read;
    let facts = contents.iter().zip(&bundles).map(|(content, bundle)| {
        let certificate = bundle.as_ref().and_then(|bundle| of_certificate(bundle, &keys, is_alone));
        certificate.or_else(|| of_revocation_list(content))
    });
    facts.collect()
}

/// No PFX: to open one takes long, and it was opened when it was made.
fn read(content: &[u8]) -> Option<Bundle> {
    if memchr::memmem::find(content, b"-----BEGIN ").is_some() {
        return Bundle::parse(content, false).ok();
    }
    parsed(content).map(|_| Bundle { key: None, certificates: vec![content.to_vec()] })
}

fn of_certificate(bundle: &Bundle, keys: &[Vec<u8>], is_alone: bool) -> Option<CertificateFacts> {
    let der = bundle.own()?;
    let certificate = parsed(der)?;
    let public = &certificate.public_key().subject_public_key.data;
    let key_matches = match keys.iter().any(|key| key.as_slice() == public.as_ref()) {
        true => Some(true),
        false if keys.is_empty() => None,
        // The key of a Secret is not that of its issuers. A certificate that stands alone has none there: tools make
        // self-signed ones that may issue others.
        false if certificate.is_ca() && !is_alone => None,
        false => Some(false),
    };
    let end = time(&certificate.validity().not_after);
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names).take(NAMES);
    Some(CertificateFacts {
        kind: CertificateKind::Certificate,
        subject: printable(&certificate.subject().to_string()),
        issuer: printable(&certificate.issuer().to_string()),
        subject_alternative_names: names.filter_map(alternative_name).collect(),
        not_before: time(&certificate.validity().not_before),
        not_after: time(&certificate.validity().not_after),
        first_not_after: first_not_after(bundle).filter(|first| Some(*first) != end),
        sha1_thumbprint: thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY, der),
        sha256_thumbprint: thumbprint(&digest::SHA256, der),
        is_ca: certificate.is_ca(),
        key_matches,
        count: u32::try_from(bundle.certificates.len()).unwrap_or(u32::MAX),
    })
}

fn first_not_after(bundle: &Bundle) -> Option<Timestamp> {
    let ends = bundle.certificates.iter().filter_map(|der| time(&parsed(der)?.validity().not_after));
    ends.min()
}

fn of_revocation_list(content: &[u8]) -> Option<CertificateFacts> {
    let block;
    let der = match memchr::memmem::find(content, b"-----BEGIN X509 CRL-----") {
        Some(start) => {
            block = pem::parse(&content[start..]).ok()?;
            block.contents()
        }
        None => content,
    };
    let (_, list) = CertificateRevocationList::from_der(der).ok()?;
    Some(CertificateFacts {
        kind: CertificateKind::RevocationList,
        subject: String::new(),
        issuer: printable(&list.issuer().to_string()),
        subject_alternative_names: Vec::new(),
        not_before: time(&list.last_update()),
        not_after: list.next_update().as_ref().and_then(time),
        first_not_after: None,
        sha1_thumbprint: thumbprint(&digest::SHA1_FOR_LEGACY_USE_ONLY, der),
        sha256_thumbprint: thumbprint(&digest::SHA256, der),
        is_ca: false,
        key_matches: None,
        count: 0,
    })
}

fn alternative_name(name: &GeneralName<'_>) -> Option<String> {
    Some(match name {
        GeneralName::DNSName(name) => printable(&format!("DNS:{name}")),
        GeneralName::URI(name) => printable(&format!("URI:{name}")),
        GeneralName::RFC822Name(name) => printable(&format!("email:{name}")),
        GeneralName::IPAddress(bytes) => {
            let address = <[u8; 4]>::try_from(*bytes).map(IpAddr::from);
            format!("IP:{}", address.or_else(|_| <[u8; 16]>::try_from(*bytes).map(IpAddr::from)).ok()?)
        }
        _ => return None,
    })
}

fn time(time: &ASN1Time) -> Option<Timestamp> {
    Timestamp::from_second(time.timestamp()).ok()
}

fn thumbprint(algorithm: &'static digest::Algorithm, der: &[u8]) -> String {
    hex::encode_upper(digest::digest(algorithm, der))
}

/// Whoever made the certificate chose its names: what can't be seen, or would hide the rest, is replaced.
fn printable(name: &str) -> String {
    let shown = |c: char| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    name.chars().take(NAME_CHARS).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tests::file;

    fn one(content: &[u8]) -> Option<CertificateFacts> {
        facts(&[content], true).remove(0)
    }

    #[test]
    fn a_certificate_says_whose_it_is_and_for_how_long() {
        let facts = one(file!("rsa.crt.pem")).unwrap();
        assert_eq!((facts.subject.as_str(), facts.is_ca), ("CN=rsa.example.com", false));
        assert_eq!(facts.issuer, "O=Contoso, CN=Test intermediate");
        assert_eq!(facts.subject_alternative_names, ["DNS:rsa.example.com", "IP:10.0.0.4", "URI:urn:pump"]);
        assert!(facts.not_before.unwrap() < facts.not_after.unwrap());
        assert_eq!((facts.sha1_thumbprint.len(), facts.sha256_thumbprint.len()), (40, 64));
        assert_eq!((facts.key_matches, facts.count), (None, 1));
        assert_eq!(one(file!("rsa.der")).unwrap(), facts, "DER says the same");
        assert!(one(file!("root.pem")).unwrap().is_ca);
        assert_eq!(one(b"hunter2"), None);
        assert_eq!(one(file!("rsa.pkcs8.pem")), None, "a key is no certificate");
    }

    #[test]
    fn the_facts_of_a_bundle_are_those_of_its_own_certificate() {
        let bundle: Vec<u8> = [file!("root.pem"), file!("intermediate.pem"), file!("p256.crt.pem")].concat();
        let facts = one(&bundle).unwrap();
        assert_eq!((facts.subject.as_str(), facts.count), ("CN=p256.example.com", 3));
    }

    #[test]
    fn a_private_key_beside_a_certificate_belongs_to_it_or_does_not() {
        let (leaf, ca) = (file!("rsa.crt.pem"), file!("root.pem"));
        for (key, matches) in [(file!("rsa.traditional.pem"), true), (file!("p256.pkcs8.pem"), false)] {
            let all = facts(&[leaf, key, ca], true);
            let told: Vec<_> =
                all.iter().map(|facts| facts.as_ref().and_then(|facts| facts.key_matches)).collect();
            assert_eq!(told, [Some(matches), None, None]);
            assert_eq!(facts(&[leaf, key], false)[0].as_ref().unwrap().key_matches, None);
        }
        let alone = facts(&[ca, file!("p256.pkcs8.pem")], true);
        assert_eq!(alone[0].as_ref().unwrap().key_matches, Some(false), "self-signed, with another's key");
        let twice = facts(&[ca, ca, file!("p256.pkcs8.pem")], true);
        assert_eq!(
            twice[1].as_ref().unwrap().key_matches,
            Some(false),
            "the same one, also as the authority"
        );
        let chain = [file!("intermediate.pem"), ca].concat();
        assert_eq!(facts(&[&chain, file!("p256.pkcs8.pem")], true)[0].as_ref().unwrap().key_matches, None);
        let beside_pfx = facts(&[ca, &[0x30, 0x82, 0xff], file!("p256.pkcs8.pem")], true);
        assert_eq!(beside_pfx[0].as_ref().unwrap().key_matches, None, "a PFX may hold the key's own");
    }

    #[test]
    fn a_revocation_list_says_when_the_next_one_is_due() {
        for list in [file!("root.crl"), file!("root.crl.pem")] {
            let facts = one(list).unwrap();
            assert_eq!(
                (facts.kind, facts.issuer.as_str()),
                (CertificateKind::RevocationList, "CN=Test root")
            );
            assert!(facts.not_after.unwrap() > facts.not_before.unwrap());
        }
    }

    #[test]
    fn a_name_can_not_hide_what_follows_it() {
        assert_eq!(printable("CN=a\u{202e}\nb"), "CN=a\u{fffd}\u{fffd}b");
        assert_eq!(printable(&"x".repeat(1_000)).len(), NAME_CHARS);
    }
}
