//! Where all synced secrets stand, in numbers.

use jiff::Timestamp;

use super::Secrets;
use crate::model::{ConditionType, Origin, State, Status};

/// How many there are, and for how long it has not been well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How many of ours are in each state; every state is there.
    pub states: [(State, u64); 5],
    /// Since when the one that is out of sync for longest has been so; absent where all are in sync.
    pub unsynced_since: Option<Timestamp>,
    /// Whether this process acts for the instance.
    pub is_leading: bool,
    /// How often the Lease was seen with another holder than before.
    pub holder_changes: u64,
}

impl Secrets {
    /// Where those stand that this service manages.
    pub fn standing(&self) -> Standing {
        let leadership = self.0.edge.leadership();
        let mut standing = Standing {
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
            for (state, number) in &mut standing.states {
                *number += u64::from(*state == secret.state);
            }
            if secret.state != State::Synced {
                // One that is being deleted may have been in sync until then.
                let synced = secret.condition(ConditionType::Synced);
                let synced = synced.filter(|synced| synced.status != Status::True);
                let since = synced.map_or(secret.update_time, |condition| condition.last_transition_time);
                standing.unsynced_since =
                    Some(standing.unsynced_since.map_or(since, |earliest| earliest.min(since)));
            }
        }
        standing
    }
}
