//! A key of the issuer's key set.

use jsonwebtoken::{
    Algorithm, DecodingKey, Header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::Value;

use super::ALGORITHMS;

/// A public key of the issuer.
#[derive(Clone)]
pub(super) struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    pub(super) key: DecodingKey,
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
