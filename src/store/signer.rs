//! HMAC signatures with the key of a database.

use aws_lc_rs::hmac;

/// Signs with the key of a database: fingerprints and tokens.
#[derive(Clone)]
pub struct Signer(hmac::Key);

// === impl Signer ===

impl Signer {
    /// A signer with this key.
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Signs `content`. `purpose` separates different kinds of signatures.
    pub fn sign(&self, purpose: &str, content: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(purpose.as_bytes());
        context.update(&[0]);
        context.update(content);
        context.sign().as_ref().try_into().expect("HMAC-SHA256 has 32 bytes")
    }
}
