//! Statistics of the synced secrets, for metrics.

use jiff::Timestamp;

use super::Secrets;
use crate::model::{ConditionType, Origin, State, Status};

/// Counts by state, the longest time out of sync, and leadership.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statistics {
    /// Number of managed synced secrets by state; lists every state.
    pub states: [(State, u64); 5],
    /// Since when the longest unsynced secret has been out of sync; absent if all are in sync.
    pub unsynced_since: Option<Timestamp>,
    /// Whether this process is the leader.
    pub is_leading: bool,
    /// How often the holder of the Lease was seen to change.
    pub holder_changes: u64,
}

impl Secrets {
    /// Statistics of the synced secrets that this service manages.
    pub fn statistics(&self) -> Statistics {
        let leadership = self.0.edge.leadership();
        let mut statistics = Statistics {
            states: State::ALL.map(|state| (state, 0)),
            unsynced_since: None,
            is_leading: leadership.is_leading(),
            holder_changes: leadership.changes(),
        };
        for record in self.0.store.view().snapshot().records {
            let secret = &record.secret;
            if secret.origin != Origin::Managed {
                continue;
            }
            for (state, number) in &mut statistics.states {
                *number += u64::from(*state == secret.state);
            }
            if secret.state != State::Synced {
                // A secret that is being deleted may have been in sync until its deletion.
                let synced = secret.condition(ConditionType::Synced);
                let synced = synced.filter(|synced| synced.status != Status::True);
                let since = synced.map_or(secret.update_time, |condition| condition.last_transition_time);
                statistics.unsynced_since =
                    Some(statistics.unsynced_since.map_or(since, |earliest| earliest.min(since)));
            }
        }
        statistics
    }
}
