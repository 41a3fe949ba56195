//! Walks along the chains of the audit, and finds where one of them is broken.

use std::{fmt, str::FromStr};

use super::{AuditHash, Chain, ChainedEvent, Link};
use crate::NameError;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An event is not what it was, or was put in.
    #[error("event {0} is not what it was when it was recorded, or the one before it is not")]
    Changed(i64),
    /// Events are gone.
    #[error("event {expected} is missing: event {found} follows the one before it")]
    Missing {
        /// The one that should come.
        expected: i64,
        /// The one that does.
        found: i64,
    },
    /// The end is gone.
    #[error("the last event is {found}, but {expected} were recorded: the newest ones have been removed")]
    Cut {
        /// The newest that was recorded.
        expected: i64,
        /// The newest that is there.
        found: i64,
    },
    /// It is whole, and another one than the anchor was taken from.
    #[error(
        "event {0} has another hash than the anchor: the history was written anew since the anchor was taken"
    )]
    Rewritten(i64),
    /// The anchor is older than all that is kept.
    #[error("event {0}, at which the anchor is, was pruned; take a newer anchor")]
    Pruned(i64),
}

/// A place in a chain, as somebody has kept it elsewhere: `SEQUENCE:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The event.
    pub sequence: i64,
    /// Its hash.
    pub hash: AuditHash,
}

/// Where chains are said to begin, or to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// In the chain of what was done.
    pub changes: Anchor,
    /// In the chain of calls that were not let in.
    pub denials: Anchor,
}

/// Goes along both chains, in the order of their numbers, and notices the first thing that is wrong.
#[derive(Debug)]
pub struct ChainWalk {
    changes: Walked,
    denials: Walked,
    /// The number that was last reached.
    sequence: i64,
    /// What it must come by.
    anchor: Option<Anchor>,
    events: u64,
}

/// How far a walk is in one chain.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    /// What was pruned last; unknown until the first event of the chain where nobody said so.
    base: Option<Anchor>,
    at: Option<Anchor>,
}

// === impl Anchor ===

impl Anchor {
    /// Before the first event.
    pub const START: Self = Self { sequence: 0, hash: AuditHash::START };
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.sequence, self.hash)
    }
}

impl FromStr for Anchor {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (sequence, hash) =
            text.split_once(':').ok_or_else(|| NameError::new("an anchor is SEQUENCE:HASH"))?;
        let sequence =
            sequence.parse().map_err(|_| NameError::new("the sequence of an anchor is a number"))?;
        Ok(Self { sequence, hash: hash.parse()? })
    }
}

// === impl Places ===

impl Places {
    /// Before the first event of all.
    pub const START: Self = Self { changes: Anchor::START, denials: Anchor::START };

    /// In one of the chains.
    pub fn of(&self, chain: Chain) -> Anchor {
        match chain {
            Chain::Changes => self.changes,
            Chain::Denials => self.denials,
        }
    }

    /// The newest number.
    pub fn sequence(&self) -> i64 {
        self.changes.sequence.max(self.denials.sequence)
    }

    /// Where an event stands that comes next in a chain.
    pub fn link(&self, chain: Chain) -> Link {
        let (previous, beside) = match chain {
            Chain::Changes => (self.changes, self.denials),
            Chain::Denials => (self.denials, self.changes),
        };
        Link { chain, previous_hash: previous.hash, beside_hash: Some(beside.hash) }
    }
}

// === impl Walked ===

impl Walked {
    fn from(base: Anchor) -> Self {
        Self { base: Some(base), at: Some(base) }
    }

    /// Whether an event of this number may be gone because it was pruned from this chain.
    fn may_lack(&self, sequence: i64) -> bool {
        self.base.is_none_or(|base| sequence <= base.sequence)
    }
}

// === impl ChainWalk ===

impl ChainWalk {
    /// From what was pruned last on; on its way it must come by the anchor, where there is one.
    pub fn from(base: Places, anchor: Option<Anchor>) -> Result<Self, ChainError> {
        let (changes, denials) = (Walked::from(base.changes), Walked::from(base.denials));
        let sequence = base.changes.sequence.min(base.denials.sequence);
        let mut walk = Self { changes, denials, sequence, anchor, events: 0 };
        walk.come_by(base.changes)?;
        walk.come_by(base.denials)?;
        match walk.anchor {
            Some(anchor) if anchor.sequence < sequence => Err(ChainError::Pruned(anchor.sequence)),
            _ => Ok(walk),
        }
    }

    /// From the first event on, where nobody says what was pruned.
    pub fn open(first: i64, anchor: Option<Anchor>) -> Result<Self, ChainError> {
        let (changes, denials) = (Walked::default(), Walked::default());
        match anchor {
            Some(anchor) if anchor.sequence < first - 1 => Err(ChainError::Pruned(anchor.sequence)),
            _ => Ok(Self { changes, denials, sequence: first - 1, anchor, events: 0 }),
        }
    }

    /// Goes to the next event.
    pub fn step(&mut self, next: &ChainedEvent) -> Result<(), ChainError> {
        let found = next.event.sequence;
        self.go_to(found)?;
        self.come_from(&next.link, found - 1)?;
        let (own, other) = match next.link.chain {
            Chain::Changes => (&mut self.changes, &self.denials),
            Chain::Denials => (&mut self.denials, &self.changes),
        };
        if own.base.is_none() {
            let base = Anchor { sequence: found - 1, hash: next.link.previous_hash };
            *own = Walked::from(base);
        }
        let follows = own.at.is_some_and(|at| at.hash == next.link.previous_hash);
        // What was pruned of the other chain after this event leaves nothing to compare with.
        let beside = other.at.filter(|at| at.sequence < found).zip(next.link.beside_hash);
        let agrees = beside.is_none_or(|(at, beside)| at.hash == beside);
        if !follows || !agrees || next.event.hash(&next.link) != next.hash {
            return Err(ChainError::Changed(found));
        }
        let reached = Anchor { sequence: found, hash: next.hash };
        own.at = Some(reached);
        self.sequence = found;
        self.events += 1;
        self.come_by(reached)
    }

    /// Ends where the chains are said to end, where that is known: how many events there were, and where the last ones are.
    pub fn end(self, head: Option<Places>) -> Result<(u64, Places), ChainError> {
        let reached = Places {
            changes: self.changes.at.unwrap_or(Anchor::START),
            denials: self.denials.at.unwrap_or(Anchor::START),
        };
        let expected = [head.map(|head| head.sequence()), self.anchor.map(|anchor| anchor.sequence)];
        let found = self.sequence.max(reached.sequence());
        match (expected.into_iter().flatten().max(), head) {
            (Some(expected), _) if expected > found => Err(ChainError::Cut { expected, found }),
            (_, Some(head)) if head != reached => Err(ChainError::Changed(found)),
            _ => match self.anchor {
                Some(anchor) => Err(ChainError::Pruned(anchor.sequence)),
                None => Ok((self.events, reached)),
            },
        }
    }

    /// What was pruned last of both chains, as far as that is known.
    pub fn base(&self) -> Places {
        Places {
            changes: self.changes.base.unwrap_or(Anchor::START),
            denials: self.denials.base.unwrap_or(Anchor::START),
        }
    }

    /// Numbers that are passed over are of events that were pruned.
    fn go_to(&self, found: i64) -> Result<(), ChainError> {
        let expected = self.sequence + 1;
        let lacks =
            found > expected && !(self.changes.may_lack(found - 1) || self.denials.may_lack(found - 1));
        match found < expected || lacks {
            true => Err(ChainError::Missing { expected, found }),
            false => Ok(()),
        }
    }

    /// The event before this one is the newest of one of the chains, also where it is no longer there.
    fn come_from(&mut self, link: &Link, before: i64) -> Result<(), ChainError> {
        match self.anchor {
            Some(anchor) if anchor.sequence == before => {
                if anchor.hash != link.previous_hash && Some(anchor.hash) != link.beside_hash {
                    return Err(ChainError::Rewritten(before));
                }
                self.anchor = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The anchor is behind once it was met.
    fn come_by(&mut self, place: Anchor) -> Result<(), ChainError> {
        match self.anchor {
            Some(anchor) if anchor.sequence == place.sequence && anchor.hash != place.hash => {
                Err(ChainError::Rewritten(anchor.sequence))
            }
            Some(anchor) if anchor == place => {
                self.anchor = None;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
