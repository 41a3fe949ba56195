//! The issuer's keys: fetched when they are needed, renewed after a while, and kept while the issuer can't be reached.
//!
//! All callers share a fetch, and there is at most one in [`IssuerOptions::fetch_pause`], whatever keys tokens name.

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use parking_lot::RwLock;
use serde_json::Value;
use tokio::{sync::Mutex, time::Instant};

use super::{
    ALGORITHMS, IssuerOptions,
    fetch::{FetchError, fetch},
};
use crate::access::AccessError;

/// A public key of the issuer.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
}

/// The keys. A clone shares them.
#[derive(Clone)]
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    issuer: String,
    ca_file: Option<PathBuf>,
    life: Duration,
    pause: Duration,
    longest_outage: Duration,
    held: RwLock<Option<Held>>,
    /// Locked while a fetch is under way.
    last: Mutex<Option<Attempt>>,
}

/// What the issuer listed last.
#[derive(Clone)]
struct Held {
    keys: Arc<[Key]>,
    fetched: Instant,
}

/// The last fetch.
struct Attempt {
    begun: Instant,
    failure: Option<FetchError>,
}

// === impl Key ===

impl Key {
    /// A key of a key set, if it is one for signatures that are accepted.
    pub(super) fn from_jwk(jwk: Value) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(jwk).ok()?;
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let is_of_kind = |algorithm: &Algorithm| match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => !matches!(algorithm, Algorithm::ES256 | Algorithm::ES384),
            AlgorithmParameters::EllipticCurve(key) => match key.curve {
                EllipticCurve::P256 => *algorithm == Algorithm::ES256,
                EllipticCurve::P384 => *algorithm == Algorithm::ES384,
                _ => false,
            },
            _ => false,
        };
        let named = jwk.common.key_algorithm;
        let is_named =
            |algorithm: &Algorithm| named.is_none_or(|named| named == KeyAlgorithm::from(*algorithm));
        let algorithms: Vec<_> =
            ALGORITHMS.into_iter().filter(|algorithm| is_of_kind(algorithm) && is_named(algorithm)).collect();
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        (!algorithms.is_empty()).then_some(Self { id: jwk.common.key_id, algorithms, key })
    }

    /// Whether it may have signed a token with this header. A token may leave the key's name out.
    pub(super) fn fits(&self, header: &Header) -> bool {
        (header.kid.is_none() || header.kid == self.id) && self.algorithms.contains(&header.alg)
    }
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(options: &IssuerOptions) -> Self {
        Self(Arc::new(Inner {
            issuer: options.issuer.clone(),
            ca_file: options.ca_file.clone(),
            life: options.key_life,
            pause: options.fetch_pause,
            longest_outage: options.longest_outage,
            held: RwLock::default(),
            last: Mutex::default(),
        }))
    }

    /// The keys. When it is time to renew them, that happens in the background; long after that, and the first time, the
    /// caller waits for it.
    pub(super) async fn current(&self) -> Result<Arc<[Key]>, AccessError> {
        let held = self.0.held.read().clone();
        match held {
            Some(held) if held.fetched.elapsed() < self.0.life => return Ok(held.keys),
            Some(held) if held.fetched.elapsed() < self.0.life.saturating_mul(2) => {
                let inner = self.0.clone();
                tokio::spawn(async move {
                    // Otherwise somebody renews them already.
                    if let Ok(last) = inner.last.try_lock() {
                        inner.renew(last).await;
                    }
                });
                return Ok(held.keys);
            }
            Some(_) | None => {}
        }
        self.renew().await;
        self.0.valid().ok_or(AccessError::IssuerSilent)
    }

    /// The keys, fetched again for a token with an unknown one, unless they were fetched a moment ago.
    pub(super) async fn renewed(&self) -> Result<Arc<[Key]>, AccessError> {
        match self.renew().await {
            true => self.0.valid().ok_or(AccessError::IssuerSilent),
            // It may have signed with a new key, which nobody can tell now.
            false => Err(AccessError::IssuerSilent),
        }
    }

    /// Whether the last fetch succeeded: this one, or the one of a moment ago. Goes on if the caller goes away.
    async fn renew(&self) -> bool {
        let inner = self.0.clone();
        tokio::spawn(async move { inner.renew(inner.last.lock().await).await }).await.unwrap_or(false)
    }
}

// === impl Inner ===

impl Inner {
    async fn renew(&self, mut last: tokio::sync::MutexGuard<'_, Option<Attempt>>) -> bool {
        if let Some(last) = last.as_ref().filter(|last| last.begun.elapsed() < self.pause) {
            return last.failure.is_none();
        }
        let begun = Instant::now();
        let failure = match fetch(&self.issuer, self.ca_file.as_deref()).await {
            Ok(keys) => {
                *self.held.write() = Some(Held { keys: keys.into(), fetched: begun });
                None
            }
            Err(error) => Some(error),
        };
        let before = last.take().and_then(|last| last.failure);
        if let Some(error) = failure.as_ref().filter(|failure| before.as_ref() != Some(*failure)) {
            tracing::warn!(%error, "can't fetch the keys of the OpenID Connect issuer");
        }
        if failure.is_none() && before.is_some() {
            tracing::info!("the OpenID Connect issuer answers again");
        }
        let is_renewed = failure.is_none();
        *last = Some(Attempt { begun, failure });
        is_renewed
    }

    /// The keys, unless the issuer has been out of reach for too long.
    fn valid(&self) -> Option<Arc<[Key]>> {
        let held = self.held.read().clone()?;
        (held.fetched.elapsed() < self.longest_outage).then_some(held.keys)
    }
}
