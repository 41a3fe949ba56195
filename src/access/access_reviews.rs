//! The decisions of the cluster: SubjectAccessReviews, cached for a few seconds.
//!
//! The permission on all names is reviewed first, so that a caller who has it costs one review. Other callers
//! cost a review for each name. These have a rate limit for each caller, so that nobody waits for another
//! caller's reviews.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::Quota;
use moka::future::Cache;
use tokio::sync::Semaphore;

use super::{AccessError, LONGEST_DECISION_LIFE, Options, rate_limiter::KeyedRateLimiter, undecided};
use crate::{
    edge::Edge,
    model::{Identity, Permission, Verb},
};

/// Decisions cached before the oldest are evicted.
const MAX_DECISIONS: u64 = 10_000;
/// Callers with a semaphore before idle ones are evicted.
const MAX_CALLERS: u64 = 10_000;
/// After how long without reviews the semaphore of a caller is evicted.
const CALLER_IDLE: Duration = Duration::from_secs(120);
/// Reviews of single names that a caller may cause at once: one call has at most a hundred names.
const REVIEW_BURST: NonZeroU32 = NonZeroU32::new(128).expect("it is not zero");
/// A caller may use one of this many parts of the concurrent reviews.
const CALLER_SHARE: usize = 8;

/// Makes and caches SubjectAccessReviews.
pub(super) struct AccessReviews {
    edge: Edge,
    life: Duration,
    decisions: Cache<(Arc<Identity>, Permission), bool>,
    /// Reviews of single names, by caller.
    rate: KeyedRateLimiter<String>,
    /// Concurrent reviews, in total and of each caller.
    concurrent: Semaphore,
    of_caller: Cache<String, Arc<Semaphore>>,
    share: usize,
}

// === impl AccessReviews ===

impl AccessReviews {
    pub(super) fn new(edge: Edge, options: &Options) -> Self {
        let life = options.decision_life.min(LONGEST_DECISION_LIFE);
        let quota = Quota::per_second(options.reviews_per_second)
            .allow_burst(REVIEW_BURST.max(options.reviews_per_second));
        Self {
            edge,
            life,
            decisions: Cache::builder().max_capacity(MAX_DECISIONS).time_to_live(life).build(),
            rate: KeyedRateLimiter::new(quota),
            concurrent: Semaphore::new(options.reviews_under_way.max(1)),
            of_caller: Cache::builder().max_capacity(MAX_CALLERS).time_to_idle(CALLER_IDLE).build(),
            share: (options.reviews_under_way / CALLER_SHARE).max(1),
        }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Whether a user has a permission, on all names or on this one.
    pub(super) async fn is_granted(
        &self,
        user: &Arc<Identity>,
        verb: Verb,
        permission: &Permission,
    ) -> Result<bool, AccessError> {
        let on_all = Permission::all(verb, permission.resource);
        Ok(self.decision(user, verb, &on_all).await?
            || (permission.name.is_some() && self.decision(user, verb, permission).await?))
    }

    /// The cached or a new decision. Concurrent calls that need the same decision share one review.
    async fn decision(
        &self,
        user: &Arc<Identity>,
        verb: Verb,
        permission: &Permission,
    ) -> Result<bool, AccessError> {
        let decision = self
            .decisions
            .try_get_with((user.clone(), permission.clone()), self.review(user, verb, permission))
            .await;
        decision.map_err(|error: Arc<AccessError>| (*error).clone())
    }

    async fn review(
        &self,
        user: &Identity,
        verb: Verb,
        permission: &Permission,
    ) -> Result<bool, AccessError> {
        if permission.name.is_some() {
            self.check_rate(&user.name)?;
        }
        let own = async { Arc::new(Semaphore::new(self.share)) };
        let own = self.of_caller.get_with_by_ref(&user.name, own).await;
        // The caller's own semaphore first: while it waits there, it does not block others.
        let _own = own.acquire().await.map_err(|_| AccessError::Undecided)?;
        let _one_of_all = self.concurrent.acquire().await.map_err(|_| AccessError::Undecided)?;
        let granted = self.edge.review_access(user, verb, permission).await;
        granted.map_err(|error| undecided(&error))
    }

    /// Counts a review of a single name against the rate limit of its caller.
    fn check_rate(&self, caller: &str) -> Result<(), AccessError> {
        let allowed = self.rate.check(&caller.to_owned());
        allowed.map_err(|wait| AccessError::TooManyReviews { caller: caller.to_owned(), wait })
    }
}
