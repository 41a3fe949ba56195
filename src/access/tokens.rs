//! Who a token belongs to: asked of the cluster, and remembered for a short time.

use std::{
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use aws_lc_rs::digest::{SHA256, digest};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};
use moka::{Expiry, future::Cache};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::{LONGEST_TOKEN_LIFE, Refusal, TokenOptions, undecided};
use crate::{edge::Edge, model::Identity};

/// Tokens that are remembered at a time; whoever sends more of them costs the cluster more reviews, and us no memory.
const TOKENS: u64 = 10_000;
/// Reviews a second that one place can cause, and as many at once: whoever makes tokens up shall not keep the cluster busy.
const REVIEWS: NonZeroU32 = NonZeroU32::new(20).expect("it is not zero");
/// Places that are told apart before those are forgotten that have been quiet.
const PLACES: usize = 10_000;
/// How long a token is remembered that the cluster does not know.
const UNKNOWN_LIFE: Duration = Duration::from_secs(5);

/// The owners of tokens.
pub(super) struct Tokens {
    edge: Edge,
    options: TokenOptions,
    /// By the digest of the token: the token itself is not kept.
    owners: Cache<[u8; 32], Owner>,
    reviews: DefaultKeyedRateLimiter<String>,
}

/// Whose a token is, or why it counts for nobody, and how long that may be believed.
#[derive(Clone)]
struct Owner {
    identity: Result<Arc<Identity>, Refusal>,
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
        let owners = Cache::builder().max_capacity(TOKENS).expire_after(OfOwner).build();
        Self { edge, options, owners, reviews: RateLimiter::keyed(Quota::per_second(REVIEWS)) }
    }

    /// Whose a token is. Calls that come with the same one meanwhile wait for one review.
    pub(super) async fn owner(&self, token: &SecretString, place: String) -> Result<Arc<Identity>, Refusal> {
        let key = digest(&SHA256, token.expose_secret().as_bytes());
        let key: [u8; 32] = key.as_ref().try_into().expect("SHA-256 has 32 bytes");
        let owner = self.owners.try_get_with(key, self.review(token, place)).await;
        let owner = owner.map_err(|refusal: Arc<Refusal>| (*refusal).clone())?;
        owner.identity
    }

    async fn review(&self, token: &SecretString, place: String) -> Result<Owner, Refusal> {
        if self.reviews.len() > PLACES {
            self.reviews.retain_recent();
        }
        let now = self.reviews.clock().now();
        self.reviews.check_key(&place).map_err(|until| Refusal::TooManyTokens(until.wait_time_from(now)))?;
        let token = token.expose_secret();
        let review = self.edge.review_token(token, &self.options.audience).await;
        Ok(match review.map_err(|error| undecided(&error))? {
            Some(identity) => {
                let longest = self.options.life.min(LONGEST_TOKEN_LIFE);
                let life = remaining(token).map_or(longest, |remaining| remaining.min(longest));
                Owner { identity: identity.checked().map(Arc::new).map_err(Refusal::TokenOfNoActor), life }
            }
            None => {
                let unknown = Refusal::TokenRejected(self.options.audience.clone());
                Owner { identity: Err(unknown), life: UNKNOWN_LIFE.min(self.options.life) }
            }
        })
    }
}

impl Expiry<[u8; 32], Owner> for OfOwner {
    fn expire_after_create(&self, _: &[u8; 32], owner: &Owner, _: Instant) -> Option<Duration> {
        Some(owner.life)
    }
}

/// How long a token is still valid, where it says so: tokens of service accounts do, those of other kinds need not.
fn remaining(token: &str) -> Option<Duration> {
    let claims = jsonwebtoken::dangerous::insecure_decode_claims::<Claims>(token).ok()?;
    let end = UNIX_EPOCH + Duration::try_from_secs_f64(claims.exp?).ok()?;
    Some(end.duration_since(SystemTime::now()).unwrap_or(Duration::ZERO))
}
