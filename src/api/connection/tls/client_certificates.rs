//! Client certificates during the life of a connection: what was good at the handshake may be revoked or over since.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};

use crate::quote::Quote;

/// Certificates that are remembered as good at a time.
const GOOD: u64 = 4_096;
/// How long a certificate is good once it was verified.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// Verifies client certificates against what the files said when this was made. It goes when they change, and all that it
/// remembers with it.
#[derive(Clone)]
pub(crate) struct ClientCertificates {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// By the digest of the leaf.
    good: Cache<[u8; 32], ()>,
}

// === impl ClientCertificates ===

impl ClientCertificates {
    pub(super) fn new(verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        Self { verifier, good: Cache::builder().max_capacity(GOOD).time_to_live(GOOD_FOR).build() }
    }

    /// Whether a chain, leaf first, is good now; else why not.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Quote> {
        let (Some(verifier), Some((leaf, between))) = (&self.verifier, chain.split_first()) else {
            return Err("nobody here vouches for clients any more".into());
        };
        let key: [u8; 32] = digest(&SHA256, leaf).as_ref().try_into().expect("SHA-256 has 32 bytes");
        if self.good.contains_key(&key) {
            return Ok(());
        }
        verifier.verify_client_cert(leaf, between, UnixTime::now()).map_err(|error| Quote::error(&error))?;
        self.good.insert(key, ());
        Ok(())
    }
}
