//! Client certificates after the handshake: they are verified for each call, because they may have been
//! revoked or have expired since.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::digest::{SHA256, digest};
use moka::sync::Cache;
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};

use crate::quote::Quote;

/// Verified certificates kept before the oldest are evicted.
const MAX_VERIFIED: u64 = 4_096;
/// How long a verification is remembered.
const VERIFIED_FOR: Duration = Duration::from_secs(5);

/// Verifies client certificates by the content of the files when they were read. When they change, it is
/// replaced, and nothing that it remembers is used any more.
#[derive(Clone)]
pub(crate) struct ClientCertificates {
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    /// By the digest of the leaf.
    verified: Cache<[u8; 32], ()>,
}

// === impl ClientCertificates ===

impl ClientCertificates {
    pub(super) fn new(verifier: Option<Arc<dyn ClientCertVerifier>>) -> Self {
        Self {
            verifier,
            verified: Cache::builder().max_capacity(MAX_VERIFIED).time_to_live(VERIFIED_FOR).build(),
        }
    }

    /// Verifies a chain, leaf first.
    pub(crate) fn verify(&self, chain: &[CertificateDer<'_>]) -> Result<(), Quote> {
        let (Some(verifier), Some((leaf, between))) = (&self.verifier, chain.split_first()) else {
            return Err("the service no longer has a client CA".into());
        };
        let key: [u8; 32] = digest(&SHA256, leaf).as_ref().try_into().expect("SHA-256 has 32 bytes");
        if self.verified.contains_key(&key) {
            return Ok(());
        }
        verifier.verify_client_cert(leaf, between, UnixTime::now()).map_err(|error| Quote::error(&error))?;
        self.verified.insert(key, ());
        Ok(())
    }
}
