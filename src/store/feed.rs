//! The feed that watchers read: its changes and the places between them.

use std::{fmt, str::FromStr, sync::Arc};

use crate::model::{ChangeKind, SyncedSecret};

/// A place in the feed: after a change, in the history that led to it.
///
/// A restored database continues the sequence of the backup. A sequence can then belong to another change,
/// and the digest distinguishes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FeedPlace {
    /// The sequence of the last change; 0 before the first.
    pub sequence: i64,
    /// Keyed digest of all changes up to there.
    pub history: HistoryDigest,
}

impl fmt::Display for FeedPlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.sequence, hex::encode(self.history))
    }
}

impl FromStr for FeedPlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let place = || {
            let (sequence, history) = text.split_once('.')?;
            Some(Self {
                sequence: sequence.parse().ok()?,
                history: hex::decode(history).ok()?.try_into().ok()?,
            })
        };
        place().ok_or("a place in the feed is a number, a dot and 32 hex digits")
    }
}

/// See [`FeedPlace::history`].
pub type HistoryDigest = [u8; 16];

/// A change of the feed, with the states before and after it.
#[derive(Clone, Debug)]
pub struct FeedChange {
    /// The place in the feed after it.
    pub place: FeedPlace,
    /// Absent for a new synced secret.
    pub before: Option<Arc<SyncedSecret>>,
    /// With [`ChangeKind::Deleted`], the last state.
    pub after: Arc<SyncedSecret>,
    /// The kind of change.
    pub kind: ChangeKind,
}

/// The next part of the feed.
pub enum Feed {
    /// Oldest first; empty where the reader is up to date.
    Changes(Vec<FeedChange>),
    /// Changes after the reader's place were pruned already.
    TooOld,
}
