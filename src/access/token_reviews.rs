//! The owners of tokens, by TokenReviews or as the OpenID Connect issuer signed them, cached for a short time.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use jiff::Timestamp;
use moka::{Expiry, future::Cache};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{
    AccessError, LONGEST_TOKEN_LIFE, Proof, ProofKind, RateLimitKey, TokenOptions, oidc::Issuer,
    rate_limiter::KeyedRateLimiter, undecided,
};
use crate::{edge::Edge, model::Identity};

/// Tokens of each kind cached before the oldest are evicted.
const MAX_TOKENS: u64 = 10_000;
/// Users whose missing groups were reported, before the oldest are reported again.
const MAX_WARNED: u64 = 1_000;
/// The shortest time that an owner is cached, even if the token expires soon or our clock is ahead of the
/// cluster's. Otherwise, each call with a known token would cause a review.
const MIN_OWNER_LIFE: Duration = Duration::from_secs(1);
/// How long a rejected token is cached.
const REJECTED_LIFE: Duration = Duration::from_secs(5);
/// How long a token counts as known after it was accepted.
const KNOWN_LIFE: Duration = Duration::from_secs(3_600);

/// Makes and caches TokenReviews, by the digest of the token: the token itself is not kept. Tokens of the OpenID
/// Connect issuer are verified without one, within the same limits.
pub(super) struct TokenReviews {
    edge: Edge,
    issuer: Option<Issuer>,
    options: TokenOptions,
    owners: Cache<[u8; 32], ReviewedOwner>,
    /// Tokens that were accepted lately. Their reviews are not rate limited, so a flood of invalid tokens
    /// cannot make a valid one fail.
    known: Cache<[u8; 32], ()>,
    /// Rejected tokens, in a cache of their own: a flood of invalid tokens evicts no owner.
    rejected: Cache<[u8; 32], AccessError>,
    /// Users of whose groups a warning is in the log already.
    warned: Cache<String, ()>,
    rate_limits: ReviewRateLimits,
}

/// The rate limits on reviews of unknown tokens, so that a flood of invalid tokens does not overload the
/// cluster.
struct ReviewRateLimits {
    per_key: (NonZeroU32, KeyedRateLimiter<RateLimitKey>),
    /// The limit for all addresses together. Authorized callers are few and need no common limit.
    addresses: (NonZeroU32, DefaultDirectRateLimiter),
}

/// The owner of a token, or why it is denied, and how long that is cached.
#[derive(Clone)]
struct ReviewedOwner {
    identity: Result<Arc<Identity>, AccessError>,
    life: Duration,
}

/// The claims that matter here. The cluster has verified them.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970-01-01 UTC (RFC 7519).
    exp: Option<f64>,
}

struct OwnerExpiry;

// === impl TokenReviews ===

impl TokenReviews {
    pub(super) fn new(edge: Edge, options: TokenOptions) -> Self {
        Self {
            edge,
            owners: Cache::builder().max_capacity(MAX_TOKENS).expire_after(OwnerExpiry).build(),
            known: Cache::builder().max_capacity(MAX_TOKENS).time_to_live(KNOWN_LIFE).build(),
            rejected: Cache::builder()
                .max_capacity(MAX_TOKENS)
                .time_to_live(REJECTED_LIFE.min(options.life))
                .build(),
            warned: Cache::builder().max_capacity(MAX_WARNED).build(),
            issuer: options.issuer.clone().map(Issuer::new),
            rate_limits: ReviewRateLimits::new(&options),
            options,
        }
    }

    /// Whether a token was accepted lately.
    pub(super) fn recognizes(&self, token: &SecretString) -> bool {
        let key = key(token);
        self.owners.contains_key(&key) || self.known.contains_key(&key)
    }

    /// The owner of a token. Concurrent calls with the same token share one review. The review of an unknown
    /// token counts against the rate limit of `rate_limit_key`.
    pub(super) async fn owner(
        &self,
        token: &SecretString,
        rate_limit_key: RateLimitKey,
    ) -> Result<Arc<Identity>, AccessError> {
        let key = key(token);
        if let Some(error) = self.rejected.get(&key).await {
            return Err(error);
        }
        let owner = self.owners.try_get_with(key, self.review(key, token, rate_limit_key)).await;
        owner.map_err(|error: Arc<AccessError>| (*error).clone())?.identity
    }

    async fn review(
        &self,
        key: [u8; 32],
        token: &SecretString,
        rate_limit_key: RateLimitKey,
    ) -> Result<ReviewedOwner, AccessError> {
        if !self.known.contains_key(&key) {
            self.rate_limits.check(rate_limit_key)?;
        }
        let token = token.expose_secret();
        let identity = match self.identity(token).await {
            Ok(identity) => identity,
            Err(
                undecided @ (AccessError::Undecided
                | AccessError::IssuerSilent
                | AccessError::KeyNotFetched { .. }),
            ) => return Err(undecided),
            Err(rejection) => {
                self.known.invalidate(&key).await;
                self.rejected.insert(key, rejection.clone()).await;
                return Err(rejection);
            }
        };
        self.known.insert(key, ()).await;
        let longest = self.options.life.min(LONGEST_TOKEN_LIFE);
        let identity = identity.checked().map(Arc::new).map_err(AccessError::TokenOwnerRejected);
        if let Some(identity) = identity.as_ref().ok().filter(|identity| identity.has_too_many_groups()) {
            self.warn_of_groups(identity).await;
        }
        Ok(ReviewedOwner { identity, life: life(token, longest) })
    }

    /// Says once for each user that groups are missing.
    async fn warn_of_groups(&self, identity: &Identity) {
        if self.warned.contains_key(&identity.name) {
            return;
        }
        self.warned.insert(identity.name.clone(), ()).await;
        tracing::warn!(
            user = ?identity.name,
            "the token has too many groups to list them: only listed ones count. Let the issuer put fewer groups into \
             tokens, or grant rights to the user"
        );
    }

    /// The identity that a token proves, by whoever says that it has issued it.
    async fn identity(&self, token: &str) -> Result<Identity, AccessError> {
        match &self.issuer {
            Some(issuer) if issuer.is_addressed_by(token) => issuer.identity(token).await,
            Some(_) if !self.options.of_cluster => Err(AccessError::OnlyIssuerTokens),
            Some(_) | None => {
                let review = self.edge.review_token(token, &self.options.audience).await;
                let rejected = || AccessError::TokenRejected(self.options.audience.clone());
                review.map_err(|error| undecided(&error))?.ok_or_else(rejected)
            }
        }
    }

    /// What an accepted token proves its owner by.
    pub(super) fn proof(&self, token: &SecretString) -> Proof {
        let token = token.expose_secret();
        let is_of_issuer = self.issuer.as_ref().is_some_and(|issuer| issuer.is_addressed_by(token));
        let kind = if is_of_issuer { ProofKind::IssuerToken } else { ProofKind::ClusterToken };
        let expire_time = end(token).and_then(|end| Timestamp::try_from(end).ok());
        Proof { kind, expire_time }
    }

    /// The audience of tokens of the cluster, if they are accepted.
    pub(super) fn audience(&self) -> Option<&str> {
        self.options.of_cluster.then_some(&self.options.audience)
    }

    /// The OpenID Connect issuer.
    pub(super) fn issuer(&self) -> Option<&Issuer> {
        self.issuer.as_ref()
    }
}

// === impl ReviewRateLimits ===

impl ReviewRateLimits {
    fn new(options: &TokenOptions) -> Self {
        let (per_key, all) = (options.unknown_per_second_per_address, options.unknown_per_second);
        Self {
            per_key: (per_key, KeyedRateLimiter::new(Quota::per_second(per_key))),
            addresses: (all, RateLimiter::direct(Quota::per_second(all))),
        }
    }

    fn check(&self, rate_limit_key: RateLimitKey) -> Result<(), AccessError> {
        let (number, per_key) = &self.per_key;
        let allowed = per_key.check(&rate_limit_key);
        allowed.map_err(|wait| AccessError::TooManyUnknownTokens {
            limit: number.get(),
            per_caller: true,
            wait,
        })?;
        if let RateLimitKey::Caller(_) = rate_limit_key {
            return Ok(());
        }
        let (number, addresses) = &self.addresses;
        let now = addresses.clock().now();
        addresses.check().map_err(|until| AccessError::TooManyUnknownTokens {
            limit: number.get(),
            per_caller: false,
            wait: until.wait_time_from(now),
        })
    }
}

fn key(token: &SecretString) -> [u8; 32] {
    let key = digest(&SHA256, token.expose_secret().as_bytes());
    key.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Expiry<[u8; 32], ReviewedOwner> for OwnerExpiry {
    fn expire_after_create(&self, _: &[u8; 32], owner: &ReviewedOwner, _: Instant) -> Option<Duration> {
        Some(owner.life)
    }
}

/// How long the owner of a token is cached.
fn life(token: &str, longest: Duration) -> Duration {
    remaining(token).map_or(longest, |remaining| remaining.max(MIN_OWNER_LIFE).min(longest))
}

/// How long a token remains valid, if it says so.
fn remaining(token: &str) -> Option<Duration> {
    Some(end(token)?.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

/// When a token expires, if it says so: service account tokens do, others may not.
fn end(token: &str) -> Option<SystemTime> {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?;
    UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(claims.exp?).ok()?)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    #[test]
    fn an_owner_is_cached_until_the_token_expires_and_at_least_for_a_minimum_time() {
        let token = |seconds: i64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let claims = serde_json::json!({ "exp": now.checked_add_signed(seconds).unwrap() });
            encode(&Header::default(), &claims, &EncodingKey::from_secret(b"any")).unwrap()
        };
        let longest = Duration::from_secs(60);
        assert_eq!(life(&token(600), longest), longest);
        assert!((28..=30).contains(&life(&token(30), longest).as_secs()));
        assert_eq!(life(&token(-5), longest), MIN_OWNER_LIFE, "our clock runs ahead of the cluster's");
        assert_eq!(life(&token(-5), Duration::from_millis(500)), Duration::from_millis(500));
        assert_eq!(life("opaque", longest), longest);
        let never = encode(
            &Header::default(),
            &serde_json::json!({ "exp": 1e19 }),
            &EncodingKey::from_secret(b"any"),
        );
        assert_eq!(life(&never.unwrap(), longest), longest, "beyond all time");
    }
}
