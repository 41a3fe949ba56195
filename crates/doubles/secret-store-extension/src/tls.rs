//! The parts of a `kubernetes.io/tls` Secret, as the controller takes them out of a file.

use zeroize::Zeroizing;

use super::{
    key::{self, PRIVATE_KEY, PrivateKey},
    pem::{self, Block},
    pfx,
};

/// The part of PEM or PFX for a key of a TLS Secret.
pub(super) fn part(file: &[u8], key: &str) -> Result<Zeroizing<Vec<u8>>, String> {
    let text = match key {
        "tls.crt" => certificates(file),
        "tls.key" => private_key(file),
        _ => Err(format!("key '{key}' is not supported. Only 'tls.key' and 'tls.crt' are supported")),
    };
    let text = text.map_err(|why| format!("failed to get cert data for {key}: {why}"))?;
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// All certificates; of PFX where the text has none.
fn certificates(file: &[u8]) -> Result<Zeroizing<String>, String> {
    let (mut blocks, rest) = pem::blocks(file);
    blocks.retain(Block::is_certificate);
    if blocks.is_empty() {
        blocks = pfx::to_pem(rest)?;
        blocks.retain(Block::is_certificate);
    }
    Ok(pem::text(&blocks))
}

/// The last block that is no certificate, in the form of the key's algorithm. What is no key makes an empty block, and no error.
fn private_key(file: &[u8]) -> Result<Zeroizing<String>, String> {
    let last_key = |blocks: Vec<Block>| blocks.into_iter().rfind(|block| !block.is_certificate());
    let (blocks, rest) = pem::blocks(file);
    let found = match last_key(blocks) {
        Some(block) => Some(block),
        None => last_key(pfx::to_pem(rest)?),
    };
    let der = found.map(|block| block.bytes).unwrap_or_default();
    if key::is_of_another_kind(&der) {
        return Err(
            "unknown private key type found while getting key. Only rsa and ecdsa are supported".to_owned()
        );
    }
    let block = PrivateKey::parse(&der).map_or_else(|| Block::new(PRIVATE_KEY, []), |key| key.traditional());
    Ok(block.encode())
}
