//! PFX (PKCS#12) with an empty password, as `pkcs12.ToPEM` of golang.org/x/crypto reads it: in the old encryption only.

use p12_keystore::{
    Pkcs12Archive,
    error::Error::{DerError, MacError},
};

use super::{
    key::{self, PRIVATE_KEY, PrivateKey},
    pem::{Block, CERTIFICATE},
};

/// DER of the algorithms that decide whether Go reads it.
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA2_PREFIX: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];

/// The certificates and the keys, each in their order. The keys have the form of their algorithm under the label of PKCS#8.
pub(super) fn to_pem(pfx: &[u8]) -> Result<Vec<Block>, String> {
    check_outside(pfx)?;
    let archive = Pkcs12Archive::from_pkcs12(pfx, "").map_err(|error| match error {
        MacError(_) => "pkcs12: decryption password incorrect".to_owned(),
        DerError(_) => "pkcs12: error reading P12 data: asn1: syntax error: data truncated".to_owned(),
        other => format!("pkcs12: {other}"),
    })?;
    if find(pfx, SHA1).is_none() {
        return Err("pkcs12: no MAC in data".to_owned());
    }
    let certificates = archive.certs.into_iter().map(|bag| {
        let block = Block::new(CERTIFICATE, bag.cert.as_der());
        Ok(with_headers(block, bag.friendly_name, bag.local_key_id.as_deref()))
    });
    let keys = archive.keys.into_iter().map(|bag| {
        let block = Block { label: PRIVATE_KEY.to_owned(), ..read(bag.key.as_der())?.traditional() };
        Ok(with_headers(block, bag.friendly_name, bag.local_key_id.as_ref().map(AsRef::as_ref)))
    });
    certificates.chain(keys).collect()
}

fn read(pkcs8: &[u8]) -> Result<PrivateKey, String> {
    PrivateKey::parse(pkcs8).ok_or_else(|| {
        if key::is_of_another_kind(pkcs8) {
            "found unknown private key type in PKCS#8 wrapping".to_owned()
        } else {
            "pkcs12: error parsing PKCS#8 private key: x509: failed to parse private key".to_owned()
        }
    })
}

fn with_headers(mut block: Block, friendly_name: Option<String>, local_key_id: Option<&[u8]>) -> Block {
    let headers = [("friendlyName", friendly_name), ("localKeyId", local_key_id.map(hex::encode))];
    let headers = headers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    block.headers.extend(headers);
    block
}

/// What Go refuses before it looks into it. Go's message about a wrong tag goes on with the first bytes, which are the value's.
fn check_outside(pfx: &[u8]) -> Result<(), String> {
    let unreadable = |why| Err(format!("pkcs12: error reading P12 data: asn1: {why}"));
    match pfx {
        [] => return unreadable("syntax error: sequence truncated"),
        [_] => return unreadable("syntax error: truncated tag or length"),
        [0x30, ..] => {}
        _ => return unreadable("structure error: tags don't match"),
    }
    if find(pfx, SHA1).is_none()
        && let Some(at) = find(pfx, SHA2_PREFIX)
    {
        let kind = pfx.get(at + SHA2_PREFIX.len()).copied().unwrap_or_default();
        return Err(format!("pkcs12: unknown digest algorithm: 2.16.840.1.101.3.4.2.{kind}"));
    }
    if find(pfx, PBES2).is_some() {
        return Err("pkcs12: algorithm 1.2.840.113549.1.5.13 is not supported".to_owned());
    }
    Ok(())
}

fn find(pfx: &[u8], oid: &[u8]) -> Option<usize> {
    pfx.windows(oid.len()).position(|window| window == oid)
}
