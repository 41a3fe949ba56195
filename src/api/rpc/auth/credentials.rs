//! The credentials that a request presents: a bearer token, the client certificate of its connection, its
//! address.

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};
use secrecy::SecretString;

use crate::{
    access::{AccessError, Credentials, RateLimitKey},
    api::connection::{peer::Peer, tracked::TrackedConnection},
};

/// How the value of an `Authorization` header begins, in any case.
const BEARER: &str = "bearer ";

/// The credentials that a request presents.
pub(crate) struct PresentedCredentials {
    peer: Arc<Peer>,
    rate_limit_key: RateLimitKey,
    token: Result<Option<SecretString>, AccessError>,
}

// === impl PresentedCredentials ===

impl PresentedCredentials {
    /// Takes the credentials out of a request.
    pub(crate) fn take<B>(request: &mut http::Request<B>) -> Self {
        let peer = TrackedConnection::peer_of(request.extensions());
        let owner = TrackedConnection::of(request.extensions()).and_then(TrackedConnection::owner);
        let rate_limit_key = match owner {
            Some(owner) => RateLimitKey::Caller(owner.clone()),
            None => RateLimitKey::Address(peer.place.clone()),
        };
        let token = bearer_token(request.headers());
        request.headers_mut().remove(AUTHORIZATION);
        Self { peer, rate_limit_key, token }
    }

    /// Where the request comes from.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whose rate limit the review of an unknown token counts against.
    pub(crate) fn rate_limit_key(&self) -> &RateLimitKey {
        &self.rate_limit_key
    }

    /// The token, or why the request has no valid one.
    pub(super) fn token(&self) -> Result<Option<SecretString>, AccessError> {
        self.token.clone()
    }

    /// The credentials with a certificate and a token, to be authenticated.
    pub(super) fn with(&self, certificate: Option<Vec<u8>>, token: Option<SecretString>) -> Credentials {
        let (place, rate_limit_key) = (self.peer.place.clone(), self.rate_limit_key.clone());
        Credentials { certificate, token, place, rate_limit_key, is_local: self.peer.is_local }
    }
}

fn bearer_token(headers: &HeaderMap) -> Result<Option<SecretString>, AccessError> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = all.next() else { return Ok(None) };
    // A proxy in front of the service may have checked another one than the first.
    if all.next().is_some() {
        return Err(AccessError::DuplicateCredentials);
    }
    let text = header.to_str().ok().and_then(|text| {
        let scheme = text.get(..BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| text[BEARER.len()..].trim())
    });
    let token = text.filter(|token| !token.is_empty()).ok_or(AccessError::NotBearerToken)?;
    Ok(Some(SecretString::from(token)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_bearer_token_is_read_and_another_scheme_is_refused() {
        let read = |value: &str| {
            bearer_token(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]))
                .map(|token| token.unwrap().expose_secret().to_owned())
        };
        assert_eq!(read("Bearer abc").unwrap(), "abc");
        assert_eq!(read("bearer  abc ").unwrap(), "abc");
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "Bear", "ä"] {
            assert_eq!(read(bad), Err(AccessError::NotBearerToken), "{bad:?}");
        }
        assert!(bearer_token(&HeaderMap::new()).unwrap().is_none());
        let mut twice = HeaderMap::new();
        for value in ["Bearer abc", "Bearer abc"] {
            twice.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(bearer_token(&twice).err(), Some(AccessError::DuplicateCredentials));
    }
}
