//! The record of who did what, when, with which result; each event is chained to the one before it.

use std::{fmt, str::FromStr};

use aws_lc_rs::digest::{Context, SHA256};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::NameError;

/// Stands first in what is hashed, so that another form of events could never be taken for this one.
const FORM: &[u8] = b"secret-service audit 2";
/// The same for events of a release that had one chain.
const FORM_OF_ONE_CHAIN: &[u8] = b"secret-service audit 1";

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

/// The two chains of the audit. Their events are numbered together, and each chain forgets its oldest by itself, so that calls
/// which are not let in never push out what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chain {
    /// What was done.
    #[default]
    Changes,
    /// Calls that were not let in.
    Denials,
}

/// An event and its place in its chain: a line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainedEvent {
    /// The event.
    #[serde(flatten)]
    pub event: AuditEvent,
    /// Where it stands.
    #[serde(flatten)]
    pub link: Link,
    /// Its hash, over all of that.
    pub hash: AuditHash,
}

/// Where an event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// In which chain.
    #[serde(default, skip_serializing_if = "Chain::is_changes")]
    pub chain: Chain,
    /// The hash of the event before it in its chain.
    pub previous_hash: AuditHash,
    /// The hash of the newest event of the other chain: so an anchor in one chain proves both. Absent in events of a release
    /// that had one chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside_hash: Option<AuditHash>,
}

/// What chains events: SHA-256 over where an event stands and all its fields, each with its length in front.
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

// === impl Outcome ===

impl Outcome {
    /// It was done.
    pub fn ok() -> Self {
        Self("OK".to_owned())
    }
}

// === impl AuditEvent ===

impl AuditEvent {
    /// Its hash at its place.
    pub fn hash(&self, link: &Link) -> AuditHash {
        let mut context = Context::new(&SHA256);
        match (link.chain, &link.beside_hash) {
            (Chain::Changes, None) => context.update(FORM_OF_ONE_CHAIN),
            (chain, beside) => {
                context.update(FORM);
                context.update(&[chain as u8]);
                context.update(&beside.unwrap_or(AuditHash::START).0);
            }
        }
        context.update(&link.previous_hash.0);
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

// === impl Chain ===

impl Chain {
    /// As exports and logs name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changes => "changes",
            Self::Denials => "denials",
        }
    }

    fn is_changes(&self) -> bool {
        *self == Self::Changes
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

    /// Events of these chains, in this order.
    fn events_of(chains: &[Chain], of: impl Fn(i64) -> AuditEvent) -> Vec<ChainedEvent> {
        let mut heads = Places::START;
        let chained = |(sequence, chain): (i64, &Chain)| {
            let (event, link) = (of(sequence), heads.link(*chain));
            let hash = event.hash(&link);
            let head = match chain {
                Chain::Changes => &mut heads.changes,
                Chain::Denials => &mut heads.denials,
            };
            *head = Anchor { sequence, hash };
            ChainedEvent { event, link, hash }
        };
        (1..).zip(chains).map(chained).collect()
    }

    fn chain(length: usize) -> Vec<ChainedEvent> {
        events_of(&vec![Chain::Changes; length], event)
    }

    /// Change, denial, denial, change, denial, change.
    fn both() -> Vec<ChainedEvent> {
        use Chain::{Changes, Denials};
        events_of(&[Changes, Denials, Denials, Changes, Denials, Changes], event)
    }

    /// As a release wrote them that had one chain.
    fn one_chain(length: i64) -> Vec<ChainedEvent> {
        let mut previous_hash = AuditHash::START;
        let chained = |sequence| {
            let (event, link) =
                (event(sequence), Link { chain: Chain::Changes, previous_hash, beside_hash: None });
            previous_hash = event.hash(&link);
            ChainedEvent { event, link, hash: previous_hash }
        };
        (1..=length).map(chained).collect()
    }

    fn place(event: &ChainedEvent) -> Anchor {
        Anchor { sequence: event.event.sequence, hash: event.hash }
    }

    fn walk_from(
        base: Places,
        events: &[ChainedEvent],
        anchor: Option<Anchor>,
    ) -> Result<(u64, Places), ChainError> {
        let mut walk = ChainWalk::from(base, anchor)?;
        events.iter().try_for_each(|event| walk.step(event))?;
        walk.end(None)
    }

    fn walk(events: &[ChainedEvent], anchor: Option<Anchor>) -> Result<(u64, Places), ChainError> {
        walk_from(Places::START, events, anchor)
    }

    #[test]
    fn a_chain_that_nobody_touched_is_whole() {
        let chain = chain(3);
        let (events, head) = walk(&chain, None).unwrap();
        assert_eq!((events, head), (3, Places { changes: place(&chain[2]), denials: Anchor::START }));
        assert_eq!(walk(&one_chain(3), None).unwrap().0, 3);
    }

    #[test]
    fn the_oldest_denials_can_go_and_what_is_left_is_whole() {
        let both = both();
        assert_eq!(walk(&both, None).unwrap().0, 6);
        let base = Places { changes: Anchor::START, denials: place(&both[2]) };
        let left = [&both[..1], &both[3..]].concat();
        for anchor in [place(&both[0]), place(&both[3]), place(&both[4]), place(&both[5])] {
            let (events, head) = walk_from(base, &left, Some(anchor)).unwrap();
            assert_eq!((events, head), (4, Places { changes: place(&both[5]), denials: place(&both[4]) }));
        }
        // What went last is known, what went before it is not.
        assert!(walk_from(base, &left, Some(place(&both[2]))).is_ok());
        assert_eq!(walk_from(base, &left, Some(place(&both[1]))), Err(ChainError::Pruned(2)));
    }

    #[test]
    fn no_change_goes_with_the_denials_nor_passes_for_one() {
        let both = both();
        let base = Places { changes: Anchor::START, denials: place(&both[4]) };
        let without_a_change = [both[0].clone(), both[5].clone()];
        assert_eq!(walk_from(base, &without_a_change, None), Err(ChainError::Changed(6)));
        let mut moved = both.clone();
        moved[3].link.chain = Chain::Denials;
        assert_eq!(walk(&moved, None), Err(ChainError::Changed(4)));
        let mut first = chain(1);
        first[0].link.chain = Chain::Denials;
        assert_eq!(
            walk(&first, None),
            Err(ChainError::Changed(1)),
            "before the first event, all is the same"
        );
    }

    #[test]
    fn what_was_removed_of_one_chain_is_noticed_by_the_other_and_an_anchor_is_of_both() {
        let both = both();
        assert_eq!(
            walk(&[&both[..4], &both[5..]].concat(), None),
            Err(ChainError::Missing { expected: 5, found: 6 })
        );
        // The last denial with the end of its chain, as if it was pruned.
        let base = Places { changes: Anchor::START, denials: Anchor { sequence: 5, hash: both[2].hash } };
        let cut = [both[0].clone(), both[3].clone(), both[5].clone()];
        assert_eq!(walk_from(base, &cut, None), Err(ChainError::Changed(6)));
        let renamed = |sequence| AuditEvent { actor: "nobody".to_owned(), ..event(sequence) };
        let chains: Vec<_> = both.iter().map(|event| event.link.chain).collect();
        let anew = events_of(&chains, |sequence| if sequence == 2 { renamed(2) } else { event(sequence) });
        assert!(walk(&anew, None).is_ok());
        assert_eq!(walk(&anew, Some(place(&both[3]))), Err(ChainError::Rewritten(4)));
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
        let renamed = |sequence| AuditEvent { actor: "nobody".to_owned(), ..event(sequence) };
        let anew = events_of(&[Chain::Changes; 4], renamed);
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
