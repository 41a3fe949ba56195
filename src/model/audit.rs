//! The record of who did what, when, with which result; each event is chained to the one before it.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NameError;

/// Stands first in what is hashed, so that another form of events could never be taken for this one.
const FORM: &[u8] = b"secret-service audit 1";

/// One line of history. Never holds a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEvent {
    /// Grows by one with every event.
    pub sequence: i64,
    /// When it was recorded, to the microsecond.
    pub event_time: Timestamp,
    /// Who acted: a caller, or `sync` for the service itself.
    pub actor: String,
    /// What was done: the RPC, or `Rotated`, `DriftRepaired`, `Synced` …
    pub action: String,
    /// Resource name, for example `syncedSecrets/edp1secrets`.
    pub resource: String,
    /// How it ended.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
    /// The caller's request id; empty where none.
    pub request_id: String,
}

/// An event and its place in the chain: a line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// The hash of the event before it.
    pub previous_hash: AuditHash,
    /// Its own.
    pub hash: AuditHash,
}

/// What chains events: SHA-256 over the hash of the event before and all fields of this one, each with its length in front.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct AuditHash(pub [u8; 32]);

/// `OK`, or the canonical gRPC code in words, for example `ALREADY_EXISTS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Outcome(pub String);

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

/// Goes along a chain and notices the first thing that is wrong.
#[derive(Debug)]
pub struct ChainWalk {
    at: Anchor,
    anchor: Option<Anchor>,
    events: u64,
}

// === impl Outcome ===

impl Outcome {
    /// It was done.
    pub fn ok() -> Self {
        Self("OK".to_owned())
    }
}

// === impl AuditEvent ===

impl AuditEvent {
    /// Its hash after the one before it.
    pub fn hash(&self, previous: &AuditHash) -> AuditHash {
        let mut context = Context::new(&SHA256);
        context.update(FORM);
        context.update(&previous.0);
        context.update(&self.sequence.to_be_bytes());
        context.update(&self.event_time.as_microsecond().to_be_bytes());
        for text in
            [&self.actor, &self.action, &self.resource, &self.outcome.0, &self.detail, &self.request_id]
        {
            context.update(&(text.len() as u64).to_be_bytes());
            context.update(text.as_bytes());
        }
        AuditHash(context.finish().as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

// === impl AuditHash ===

impl AuditHash {
    /// Of nothing: stands before the first event of all.
    pub const START: Self = Self([0; 32]);
}

impl fmt::Display for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for AuditHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for AuditHash {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map_err(|_| NameError::new("a hash has 64 hexadecimal digits"))?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for AuditHash {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<AuditHash> for String {
    fn from(hash: AuditHash) -> Self {
        hash.to_string()
    }
}

// === impl Anchor ===

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

// === impl ChainWalk ===

impl ChainWalk {
    /// From a place on; on its way it must come by the anchor, where there is one.
    pub fn from(base: Anchor, anchor: Option<Anchor>) -> Result<Self, ChainError> {
        match anchor {
            Some(anchor) if anchor.sequence < base.sequence => Err(ChainError::Pruned(anchor.sequence)),
            _ => Self { at: base, anchor, events: 0 }.checked(),
        }
    }

    /// Goes to the next event.
    pub fn step(&mut self, next: &ChainedEvent) -> Result<(), ChainError> {
        let expected = self.at.sequence + 1;
        let found = next.event.sequence;
        if found != expected {
            return Err(ChainError::Missing { expected, found });
        }
        if next.previous_hash != self.at.hash || next.event.hash(&self.at.hash) != next.hash {
            return Err(ChainError::Changed(found));
        }
        self.at = Anchor { sequence: found, hash: next.hash };
        self.events += 1;
        self.check()
    }

    /// Ends where the chain is said to end, where that is known: how many events there were, and where the last one is.
    pub fn end(self, head: Option<Anchor>) -> Result<(u64, Anchor), ChainError> {
        let newest = [head, self.anchor].into_iter().flatten().map(|place| place.sequence).max();
        match newest {
            Some(expected) if expected > self.at.sequence => {
                Err(ChainError::Cut { expected, found: self.at.sequence })
            }
            _ if head.is_some_and(|head| head != self.at) => Err(ChainError::Changed(self.at.sequence)),
            _ => Ok((self.events, self.at)),
        }
    }

    fn checked(self) -> Result<Self, ChainError> {
        self.check().map(|()| self)
    }

    fn check(&self) -> Result<(), ChainError> {
        match self.anchor {
            Some(anchor) if anchor.sequence == self.at.sequence && anchor.hash != self.at.hash => {
                Err(ChainError::Rewritten(anchor.sequence))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: i64) -> AuditEvent {
        AuditEvent {
            sequence,
            event_time: Timestamp::from_microsecond(1_700_000_000_000_000 + sequence).unwrap(),
            actor: "console".to_owned(),
            action: "CreateSyncedSecret".to_owned(),
            resource: "syncedSecrets/pump".to_owned(),
            outcome: Outcome::ok(),
            detail: String::new(),
            request_id: String::new(),
        }
    }

    fn chain(length: i64) -> Vec<ChainedEvent> {
        let mut previous_hash = AuditHash::START;
        let chained = |sequence| {
            let event = event(sequence);
            let hash = event.hash(&previous_hash);
            let chained = ChainedEvent { event, previous_hash, hash };
            previous_hash = hash;
            chained
        };
        (1..=length).map(chained).collect()
    }

    fn walk(events: &[ChainedEvent], anchor: Option<Anchor>) -> Result<(u64, Anchor), ChainError> {
        let mut walk = ChainWalk::from(Anchor { sequence: 0, hash: AuditHash::START }, anchor)?;
        events.iter().try_for_each(|event| walk.step(event))?;
        walk.end(None)
    }

    #[test]
    fn a_chain_that_nobody_touched_is_whole() {
        let chain = chain(3);
        let (events, head) = walk(&chain, None).unwrap();
        assert_eq!((events, head), (3, Anchor { sequence: 3, hash: chain[2].hash }));
    }

    #[test]
    fn a_change_of_any_field_is_noticed() {
        type Change = fn(&mut AuditEvent);
        let changes: [Change; 7] = [
            |event| event.event_time = Timestamp::UNIX_EPOCH,
            |event| event.actor.push('x'),
            |event| event.action.clear(),
            |event| event.resource.push('x'),
            |event| event.outcome.0.push('x'),
            |event| event.detail.push('x'),
            // From one field to its neighbour: the same text in a row.
            |event| event.request_id = std::mem::take(&mut event.resource),
        ];
        for change in changes {
            let mut chain = chain(3);
            change(&mut chain[1].event);
            assert_eq!(walk(&chain, None), Err(ChainError::Changed(2)));
        }
    }

    #[test]
    fn what_was_taken_out_swapped_or_cut_off_is_noticed() {
        let whole = chain(4);
        let mut without = whole.clone();
        without.remove(1);
        assert_eq!(walk(&without, None), Err(ChainError::Missing { expected: 2, found: 3 }));
        let mut swapped = whole.clone();
        swapped.swap(1, 2);
        assert_eq!(walk(&swapped, None), Err(ChainError::Missing { expected: 2, found: 3 }));
        let anchor = Anchor { sequence: 4, hash: whole[3].hash };
        assert_eq!(walk(&whole[..2], Some(anchor)), Err(ChainError::Cut { expected: 4, found: 2 }));
    }

    #[test]
    fn a_history_that_was_written_anew_is_whole_and_not_the_one_of_the_anchor() {
        let whole = chain(4);
        let anchor = Anchor { sequence: 3, hash: whole[2].hash };
        assert!(walk(&whole, Some(anchor)).is_ok());
        let mut previous_hash = AuditHash::START;
        let anew: Vec<_> = (1..=4)
            .map(|sequence| {
                let event = AuditEvent { actor: "nobody".to_owned(), ..event(sequence) };
                let hash = event.hash(&previous_hash);
                ChainedEvent { event, previous_hash: std::mem::replace(&mut previous_hash, hash), hash }
            })
            .collect();
        assert!(walk(&anew, None).is_ok());
        assert_eq!(walk(&anew, Some(anchor)), Err(ChainError::Rewritten(3)));
    }

    #[test]
    fn an_event_and_an_anchor_are_read_as_they_are_written() {
        let chained = chain(1).remove(0);
        let line = serde_json::to_string(&chained).unwrap();
        assert!(line.starts_with("{\"sequence\":1,\"event_time\":\"2023-11-14T22:13:20.000001Z\""), "{line}");
        assert_eq!(serde_json::from_str::<ChainedEvent>(&line).unwrap(), chained);
        let anchor = Anchor { sequence: 1, hash: chained.hash };
        assert_eq!(anchor.to_string().parse::<Anchor>().unwrap(), anchor);
        for bad in ["", "1", "1:ab", "x:00", &format!("1:{}", "g".repeat(64))] {
            assert!(bad.parse::<Anchor>().is_err(), "{bad:?}");
        }
    }
}
