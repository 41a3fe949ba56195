//! What the cluster grants to whom: asked of it, and remembered for a few seconds.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use super::{LONGEST_DECISION_LIFE, Refusal, undecided};
use crate::{
    edge::Edge,
    model::{Ask, Identity, Verb},
};

/// Decisions that are remembered at a time.
const DECISIONS: u64 = 10_000;

/// The decisions of the cluster.
pub(super) struct Decisions {
    edge: Edge,
    life: Duration,
    made: Cache<(Arc<Identity>, Ask), bool>,
}

// === impl Decisions ===

impl Decisions {
    pub(super) fn new(edge: Edge, life: Duration) -> Self {
        let life = life.min(LONGEST_DECISION_LIFE);
        Self { edge, life, made: Cache::builder().max_capacity(DECISIONS).time_to_live(life).build() }
    }

    pub(super) fn life(&self) -> Duration {
        self.life
    }

    /// Whether something is granted to a user. Calls that want to know the same meanwhile wait for one review.
    pub(super) async fn is_granted(
        &self,
        user: &Arc<Identity>,
        verb: Verb,
        ask: &Ask,
    ) -> Result<bool, Refusal> {
        let review = async {
            let granted = self.edge.review_access(user, verb, ask).await;
            granted.map_err(|error| undecided(&error))
        };
        let made = self.made.try_get_with((user.clone(), ask.clone()), review).await;
        made.map_err(|refusal: Arc<Refusal>| (*refusal).clone())
    }
}
