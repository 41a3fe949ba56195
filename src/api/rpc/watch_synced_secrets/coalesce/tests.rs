//! A watcher gets the same result from coalesced events.

use std::{collections::BTreeMap, sync::Arc};

use proptest::prelude::*;

use super::*;
use crate::api::tests::secret;

fn event(kind: u8, secret: &Arc<SyncedSecret>, generation: i64) -> WatchEvent {
    let secret = Arc::new(SyncedSecret { generation, ..secret.as_ref().clone() });
    match kind {
        0 => WatchEvent::Added(secret),
        1 => WatchEvent::Modified(secret),
        _ => WatchEvent::Deleted(secret),
    }
}

fn place(sequence: i64) -> FeedPlace {
    // A history of its own for each place, so that a token with the sequence of one and the history of
    // another shows.
    FeedPlace { sequence, history: std::array::from_fn(|_| u8::try_from(sequence).unwrap()) }
}

fn span(sequence: i64) -> Option<Span> {
    Some(Span { before: place(sequence - 1), after: place(sequence) })
}

fn sequence(place: &Option<FeedPlace>) -> i64 {
    let found = place.unwrap();
    assert_eq!(found, self::place(found.sequence), "a history of another place");
    found.sequence
}

/// A feed of three synced secrets that are added, modified and deleted; the generation is the sequence number.
fn feed(steps: &[(usize, bool)]) -> Vec<PlacedEvent> {
    let secrets = ["a", "b", "c"].map(|id| Arc::new(secret(id)));
    let mut there = [false; 3];
    (1..)
        .zip(steps)
        .map(|(sequence, &(which, goes))| {
            let kind = match (there[which], goes) {
                (false, _) => 0,
                (true, false) => 1,
                (true, true) => 2,
            };
            there[which] = kind != 2;
            (event(kind, &secrets[which], sequence), span(sequence))
        })
        .collect()
}

/// The state of a client, which checks that every event fits.
#[derive(Clone, Debug, Default, PartialEq)]
struct Client(BTreeMap<Uuid, i64>);

impl Client {
    fn hear(&mut self, told: &WatchEvent) -> bool {
        let secret = subject(told).unwrap();
        match told {
            WatchEvent::Added(_) => self.0.insert(secret.uid, secret.generation).is_none(),
            WatchEvent::Modified(_) => self.0.insert(secret.uid, secret.generation).is_some(),
            _ => self.0.remove(&secret.uid).is_some(),
        }
    }
}

#[test]
fn a_synced_secret_is_sent_once_with_its_last_state() {
    let a = Arc::new(secret("a"));
    let kinds = |kinds: &[u8]| {
        let events = (1..).zip(kinds).map(|(sequence, kind)| (event(*kind, &a, sequence), span(sequence)));
        let told = coalesced(events.collect());
        let shown = told.iter().map(|(event, place)| {
            let kind = match event {
                WatchEvent::Added(_) => "ADDED",
                WatchEvent::Modified(_) => "MODIFIED",
                _ => "DELETED",
            };
            (kind, subject(event).unwrap().generation, sequence(place))
        });
        shown.collect::<Vec<_>>()
    };
    assert_eq!(kinds(&[0, 1, 1]), [("ADDED", 3, 3)]);
    assert_eq!(kinds(&[1, 1]), [("MODIFIED", 2, 2)]);
    assert_eq!(kinds(&[1, 2]), [("DELETED", 2, 2)]);
    assert_eq!(kinds(&[2, 0]), [("MODIFIED", 2, 2)]);
    assert_eq!(kinds(&[2, 0, 2]), [("DELETED", 3, 3)]);
    assert_eq!(kinds(&[0, 1, 2]), []);
    assert_eq!(kinds(&[0, 2, 0]), [("ADDED", 3, 3)]);
}

#[test]
fn a_token_never_skips_a_change_merged_into_a_later_event() {
    // a is added, b is added, a changes: sent are b and then a.
    let told = coalesced(feed(&[(0, false), (1, false), (0, false)]));
    assert_eq!(told.iter().map(|(_, place)| sequence(place)).collect::<Vec<_>>(), [0, 3]);
}

#[test]
fn the_initial_state_is_left_as_it_is() {
    let added = ["a", "b"].map(|id| (WatchEvent::Added(Arc::new(secret(id))), None));
    let events: Vec<_> = added.into_iter().chain([(WatchEvent::Bookmark, span(7))]).collect();
    let told = coalesced(events);
    assert_eq!(told.iter().map(|(_, place)| *place).collect::<Vec<_>>(), [None, None, Some(place(7))]);
}

proptest! {
    #[test]
    fn events_lists_and_resumed_watches_lead_to_the_same_state(
        steps in proptest::collection::vec((0..3_usize, any::<bool>()), 0..40),
        seen in 0..40_usize,
    ) {
        let all = feed(&steps);
        let (before, behind) = all.split_at(seen.min(all.len()));
        let (mut expected, mut client) = (Client::default(), Client::default());
        for (event, _) in &all {
            prop_assert!(expected.hear(event));
        }
        for (event, _) in before {
            client.hear(event);
        }
        let told = coalesced(behind.to_vec());
        let mut last = seen as i64;
        for (event, place) in &told {
            prop_assert!(client.hear(event), "{event:?} does not fit");
            let place = sequence(place);
            prop_assert!(place >= last.min(place) && place <= all.len() as i64);
            last = place;
            let mut resumed = client.clone();
            for (event, _) in &all[usize::try_from(place).unwrap()..] {
                resumed.hear(event);
            }
            prop_assert_eq!(&resumed, &expected);
        }
        prop_assert_eq!(&client, &expected);
    }
}
