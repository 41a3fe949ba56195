//! What the cluster grants to whom: asked of it, and remembered for a few seconds.
//!
//! A right on all names is asked for first, so that whoever has it costs one review and not one for each name. Whoever has rights on
//! single names only is asked about for each, at a pace of its own: nobody waits for another caller's reviews.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use governor::Quota;
use moka::future::Cache;
use tokio::sync::Semaphore;

use super::{AccessError, LONGEST_DECISION_LIFE, Options, rate_limiter::Rate, undecided};
use crate::{
    edge::Edge,
    model::{Identity, Permission, Verb},
};

/// Decisions that are remembered at a time.
const DECISIONS: u64 = 10_000;
/// Callers that are told apart before those are forgotten that have been quiet.
const CALLERS: u64 = 10_000;
/// How long a caller is quiet before its reviews are no longer counted.
const QUIET: Duration = Duration::from_secs(120);
/// Reviews of single names that a caller may cause at once: one call names a hundred at most.
const BURST: NonZeroU32 = NonZeroU32::new(128).expect("it is not zero");
/// One of so many parts is the most that one caller may take of the reviews under way.
const SHARE: usize = 8;

/// The decisions of the cluster.
pub(super) struct Decisions {
    edge: Edge,
    life: Duration,
    made: Cache<(Arc<Identity>, Permission), bool>,
    /// Reviews of single names, by caller.
    pace: Rate<String>,
    /// Reviews under way, of all callers and of each.
    under_way: Semaphore,
    of_caller: Cache<String, Arc<Semaphore>>,
    share: usize,
}

// === impl Decisions ===

impl Decisions {
    pub(super) fn new(edge: Edge, options: &Options) -> Self {
        let life = options.decision_life.min(LONGEST_DECISION_LIFE);
        let quota =
            Quota::per_second(options.reviews_per_second).allow_burst(BURST.max(options.reviews_per_second));
        Self {
            edge,
            life,
            made: Cache::builder().max_capacity(DECISIONS).time_to_live(life).build(),
            pace: Rate::new(quota),
            under_way: Semaphore::new(options.reviews_under_way.max(1)),
            of_caller: Cache::builder().max_capacity(CALLERS).time_to_idle(QUIET).build(),
            share: (options.reviews_under_way / SHARE).max(1),
        }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Whether something is granted to a user: for all names, or for the one that is asked for.
    pub(super) async fn is_granted(
        &self,
        user: &Arc<Identity>,
        verb: Verb,
        ask: &Permission,
    ) -> Result<bool, AccessError> {
        let of_all = Permission::all(verb, ask.resource);
        Ok(self.decision(user, verb, &of_all).await?
            || (ask.name.is_some() && self.decision(user, verb, ask).await?))
    }

    /// What the cluster says, or said a moment ago. Calls that want to know the same meanwhile wait for one review.
    async fn decision(
        &self,
        user: &Arc<Identity>,
        verb: Verb,
        ask: &Permission,
    ) -> Result<bool, AccessError> {
        let made = self.made.try_get_with((user.clone(), ask.clone()), self.review(user, verb, ask)).await;
        made.map_err(|refusal: Arc<AccessError>| (*refusal).clone())
    }

    async fn review(&self, user: &Identity, verb: Verb, ask: &Permission) -> Result<bool, AccessError> {
        if ask.name.is_some() {
            self.keep_pace(&user.name)?;
        }
        let own = async { Arc::new(Semaphore::new(self.share)) };
        let own = self.of_caller.get_with_by_ref(&user.name, own).await;
        // Its own share first: whoever waits for that waits for nobody else, and keeps nobody waiting.
        let _own = own.acquire().await.map_err(|_| AccessError::Undecided)?;
        let _one_of_all = self.under_way.acquire().await.map_err(|_| AccessError::Undecided)?;
        let granted = self.edge.review_access(user, verb, ask).await;
        granted.map_err(|error| undecided(&error))
    }

    /// Whether a caller may cause one more review of a single name now.
    fn keep_pace(&self, caller: &str) -> Result<(), AccessError> {
        let kept = self.pace.allow(&caller.to_owned());
        kept.map_err(|wait| AccessError::TooManyReviews { caller: caller.to_owned(), wait })
    }
}
