//! Verifies the chains of the audit and finds where one of them is broken.

use std::{fmt, str::FromStr};

use super::{AuditHash, Chain, ChainedEvent, Link};
use crate::NameError;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An event was changed or inserted.
    #[error("event {0} is not what it was when it was recorded, or the one before it is not")]
    Changed(i64),
    /// Events are missing.
    #[error("event {expected} is missing: event {found} follows the one before it")]
    Missing {
        /// The expected sequence.
        expected: i64,
        /// The sequence that was found.
        found: i64,
    },
    /// The newest events are missing.
    #[error("the last event is {found}, but {expected} were recorded: the newest events have been removed")]
    Cut {
        /// The newest sequence that was recorded.
        expected: i64,
        /// The newest sequence that exists.
        found: i64,
    },
    /// The chain is intact, but the anchor is not from this chain.
    #[error("event {0} has another hash than the anchor: the audit was rewritten after the anchor was taken")]
    Rewritten(i64),
    /// The anchor is older than the oldest event that is kept.
    #[error("event {0}, which the anchor names, was pruned; take a newer anchor")]
    Pruned(i64),
}

/// A place in a chain, kept outside of the database: `SEQUENCE:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// The event.
    pub sequence: i64,
    /// Its hash.
    pub hash: AuditHash,
}

/// An anchor in each chain, at its start or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainAnchors {
    /// In the chain of changes.
    pub changes: Anchor,
    /// In the chain of denials.
    pub denials: Anchor,
}

/// Verifies both chains in the order of their sequence, and reports the first fault.
#[derive(Debug)]
pub struct ChainWalk {
    changes: Walked,
    denials: Walked,
    /// The last sequence reached.
    sequence: i64,
    /// The anchor still to be passed.
    anchor: Option<Anchor>,
    events: u64,
}

/// Progress in one chain.
#[derive(Clone, Copy, Debug, Default)]
struct Walked {
    /// The last pruned event; unknown until the first event of the chain if it was not given.
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

// === impl ChainAnchors ===

impl ChainAnchors {
    /// Before the first event of both chains.
    pub const START: Self = Self { changes: Anchor::START, denials: Anchor::START };

    /// In one of the chains.
    pub fn of(&self, chain: Chain) -> Anchor {
        match chain {
            Chain::Changes => self.changes,
            Chain::Denials => self.denials,
        }
    }

    /// The newest sequence.
    pub fn sequence(&self) -> i64 {
        self.changes.sequence.max(self.denials.sequence)
    }

    /// The link of the next event of a chain.
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
    /// Starts after the last pruned events. The walk must pass the anchor, if there is one.
    pub fn from(base: ChainAnchors, anchor: Option<Anchor>) -> Result<Self, ChainError> {
        let (changes, denials) = (Walked::from(base.changes), Walked::from(base.denials));
        let sequence = base.changes.sequence.min(base.denials.sequence);
        let mut walk = Self { changes, denials, sequence, anchor, events: 0 };
        walk.check_anchor_at(base.changes)?;
        walk.check_anchor_at(base.denials)?;
        match walk.anchor {
            Some(anchor) if anchor.sequence < sequence => Err(ChainError::Pruned(anchor.sequence)),
            _ => Ok(walk),
        }
    }

    /// Starts at the first event, if the last pruned events are unknown.
    pub fn open(first: i64, anchor: Option<Anchor>) -> Result<Self, ChainError> {
        let (changes, denials) = (Walked::default(), Walked::default());
        match anchor {
            Some(anchor) if anchor.sequence < first - 1 => Err(ChainError::Pruned(anchor.sequence)),
            _ => Ok(Self { changes, denials, sequence: first - 1, anchor, events: 0 }),
        }
    }

    /// Verifies the next event.
    pub fn step(&mut self, next: &ChainedEvent) -> Result<(), ChainError> {
        let found = next.event.sequence;
        self.go_to(found)?;
        self.check_anchor_before(&next.link, found - 1)?;
        let (own, other) = match next.link.chain {
            Chain::Changes => (&mut self.changes, &self.denials),
            Chain::Denials => (&mut self.denials, &self.changes),
        };
        if own.base.is_none() {
            let base = Anchor { sequence: found - 1, hash: next.link.previous_hash };
            *own = Walked::from(base);
        }
        let follows = own.at.is_some_and(|at| at.hash == next.link.previous_hash);
        // If the other chain was pruned beyond this event, there is nothing to compare with.
        let beside = other.at.filter(|at| at.sequence < found).zip(next.link.beside_hash);
        let agrees = beside.is_none_or(|(at, beside)| at.hash == beside);
        if !follows || !agrees || next.event.hash(&next.link) != next.hash {
            return Err(ChainError::Changed(found));
        }
        let reached = Anchor { sequence: found, hash: next.hash };
        own.at = Some(reached);
        self.sequence = found;
        self.events += 1;
        self.check_anchor_at(reached)
    }

    /// Ends the walk and compares with `head`, if known. Returns the number of events and the places of the
    /// last ones.
    pub fn end(self, head: Option<ChainAnchors>) -> Result<(u64, ChainAnchors), ChainError> {
        let reached = ChainAnchors {
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

    /// The last pruned events of both chains, as far as known.
    pub fn base(&self) -> ChainAnchors {
        ChainAnchors {
            changes: self.changes.base.unwrap_or(Anchor::START),
            denials: self.denials.base.unwrap_or(Anchor::START),
        }
    }

    /// Skipped sequences must belong to pruned events.
    fn go_to(&self, found: i64) -> Result<(), ChainError> {
        let expected = self.sequence + 1;
        let lacks =
            found > expected && !(self.changes.may_lack(found - 1) || self.denials.may_lack(found - 1));
        match found < expected || lacks {
            true => Err(ChainError::Missing { expected, found }),
            false => Ok(()),
        }
    }

    /// Checks an anchor at the event before this one: it is the newest of one of the chains, even if it was
    /// pruned.
    fn check_anchor_before(&mut self, link: &Link, before: i64) -> Result<(), ChainError> {
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

    /// Clears the anchor once the walk has passed it.
    fn check_anchor_at(&mut self, place: Anchor) -> Result<(), ChainError> {
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
