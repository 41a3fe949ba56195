//! Who a token belongs to: asked of the cluster, and remembered for a short time.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock};
use moka::{Expiry, future::Cache};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{AccessError, LONGEST_TOKEN_LIFE, Payer, TokenOptions, rate_limiter::Rate, undecided};
use crate::{edge::Edge, model::Identity};

/// Tokens of each kind that are remembered at a time.
const TOKENS: u64 = 10_000;
/// The shortest that the owner of a token is remembered, also where its end is near or our clock runs ahead of the cluster's: a known token
/// is reviewed whenever its owner is forgotten.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
/// How long a token is remembered that the cluster does not know.
const UNKNOWN_LIFE: Duration = Duration::from_secs(5);
/// How long a token that was somebody's is looked at again before those that nobody knows.
const KNOWN_LIFE: Duration = Duration::from_secs(3_600);

/// The owners of tokens, by the digest of the token: the token itself is not kept.
pub(super) struct Tokens {
    edge: Edge,
    options: TokenOptions,
    owners: Cache<[u8; 32], Owner>,
    /// Those that were somebody's lately. They are reviewed again whatever unknown ones come besides: made-up tokens make no good one
    /// fail.
    known: Cache<[u8; 32], ()>,
    /// Those that are nobody's, apart from the others: however many are made up, they push no owner out.
    rejected: Cache<[u8; 32], ()>,
    pace: Pace,
}

/// How often the cluster is asked about tokens that nobody knows: whoever makes tokens up shall not keep it busy.
struct Pace {
    each: (NonZeroU32, Rate<Payer>),
    /// Of all addresses. Callers who were let in are not so many that they need a limit together.
    addresses: (NonZeroU32, DefaultDirectRateLimiter),
}

/// Whose a token is, or why its owner is not let in, and how long that may be believed.
#[derive(Clone)]
struct Owner {
    identity: Result<Arc<Identity>, AccessError>,
    life: Duration,
}

/// The part of a token's claims that matters here. The cluster has verified them.
#[derive(Deserialize)]
struct Claims {
    /// Seconds since 1970-01-01 UTC (RFC 7519).
    exp: Option<f64>,
}

struct OfOwner;

// === impl Tokens ===

impl Tokens {
    pub(super) fn new(edge: Edge, options: TokenOptions) -> Self {
        let remembered = || Cache::builder().max_capacity(TOKENS);
        Self {
            edge,
            owners: Cache::builder().max_capacity(TOKENS).expire_after(OfOwner).build(),
            known: remembered().time_to_live(KNOWN_LIFE).build(),
            rejected: remembered().time_to_live(UNKNOWN_LIFE.min(options.life)).build(),
            pace: Pace::new(&options),
            options,
        }
    }

    /// Whether a token was somebody's lately.
    pub(super) fn recognizes(&self, token: &SecretString) -> bool {
        let key = key(token);
        self.owners.contains_key(&key) || self.known.contains_key(&key)
    }

    /// Whose a token is. Calls that come with the same one meanwhile wait for one review. One that nobody knows is reviewed at the
    /// expense of a payer.
    pub(super) async fn owner(
        &self,
        token: &SecretString,
        payer: Payer,
    ) -> Result<Arc<Identity>, AccessError> {
        let key = key(token);
        if self.rejected.contains_key(&key) {
            return Err(self.not_valid());
        }
        let owner = self.owners.try_get_with(key, self.review(key, token, payer)).await;
        owner.map_err(|refusal: Arc<AccessError>| (*refusal).clone())?.identity
    }

    async fn review(&self, key: [u8; 32], token: &SecretString, payer: Payer) -> Result<Owner, AccessError> {
        if !self.known.contains_key(&key) {
            self.pace.allow(payer)?;
        }
        let token = token.expose_secret();
        let review = self.edge.review_token(token, &self.options.audience).await;
        let Some(identity) = review.map_err(|error| undecided(&error))? else {
            self.known.invalidate(&key).await;
            self.rejected.insert(key, ()).await;
            return Err(self.not_valid());
        };
        self.known.insert(key, ()).await;
        let longest = self.options.life.min(LONGEST_TOKEN_LIFE);
        let identity = identity.checked().map(Arc::new).map_err(AccessError::TokenOfNoActor);
        Ok(Owner { identity, life: life(token, longest) })
    }

    fn not_valid(&self) -> AccessError {
        AccessError::TokenRejected(self.options.audience.clone())
    }
}

// === impl Pace ===

impl Pace {
    fn new(options: &TokenOptions) -> Self {
        let (each, all) = (options.unknown_per_second_per_address, options.unknown_per_second);
        Self {
            each: (each, Rate::new(Quota::per_second(each))),
            addresses: (all, RateLimiter::direct(Quota::per_second(all))),
        }
    }

    fn allow(&self, payer: Payer) -> Result<(), AccessError> {
        let (number, each) = &self.each;
        let allowed = each.allow(&payer);
        allowed.map_err(|wait| AccessError::TooManyTokens { limit: number.get(), of_payer: true, wait })?;
        if let Payer::Caller(_) = payer {
            return Ok(());
        }
        let (number, addresses) = &self.addresses;
        let now = addresses.clock().now();
        addresses.check().map_err(|until| AccessError::TooManyTokens {
            limit: number.get(),
            of_payer: false,
            wait: until.wait_time_from(now),
        })
    }
}

fn key(token: &SecretString) -> [u8; 32] {
    let key = digest(&SHA256, token.expose_secret().as_bytes());
    key.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl Expiry<[u8; 32], Owner> for OfOwner {
    fn expire_after_create(&self, _: &[u8; 32], owner: &Owner, _: Instant) -> Option<Duration> {
        Some(owner.life)
    }
}

/// How long the owner of a token is remembered.
fn life(token: &str, longest: Duration) -> Duration {
    remaining(token).map_or(longest, |remaining| remaining.max(SHORTEST_LIFE).min(longest))
}

/// How long a token is still valid, where it says so: tokens of service accounts do, those of other kinds need not.
fn remaining(token: &str) -> Option<Duration> {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?;
    let end = UNIX_EPOCH + Duration::try_from_secs_f64(claims.exp?).ok()?;
    Some(end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};

    use super::*;

    #[test]
    fn an_owner_is_remembered_until_the_token_ends_and_never_so_shortly_that_each_call_is_a_review() {
        let token = |seconds: i64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
            let claims = serde_json::json!({ "exp": now.checked_add_signed(seconds).unwrap() });
            encode(&Header::default(), &claims, &EncodingKey::from_secret(b"any")).unwrap()
        };
        let longest = Duration::from_secs(60);
        assert_eq!(life(&token(600), longest), longest);
        assert!((28..=30).contains(&life(&token(30), longest).as_secs()));
        assert_eq!(life(&token(-5), longest), SHORTEST_LIFE, "our clock runs ahead of the cluster's");
        assert_eq!(life(&token(-5), Duration::from_millis(500)), Duration::from_millis(500));
        assert_eq!(life("opaque", longest), longest);
    }
}
