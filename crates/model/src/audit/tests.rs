//! The chains of the audit, as a specification.

use super::*;

fn event(sequence: i64) -> AuditEvent {
    AuditEvent {
        sequence,
        event_time: Timestamp::from_microsecond(1_700_000_000_000_000 + sequence).unwrap(),
        actor: "console".to_owned(),
        action: AuditAction::CreateSyncedSecret,
        resource: "syncedSecrets/pump".to_owned(),
        outcome: Outcome::ok(),
        detail: String::new(),
        request_id: String::new(),
    }
}

/// Events of these chains, in this order.
fn events_of(chains: &[Chain], of: impl Fn(i64) -> AuditEvent) -> Vec<ChainedEvent> {
    let mut heads = ChainAnchors::START;
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
    base: ChainAnchors,
    events: &[ChainedEvent],
    anchor: Option<Anchor>,
) -> Result<(u64, ChainAnchors), ChainError> {
    let mut walk = ChainWalk::from(base, anchor)?;
    events.iter().try_for_each(|event| walk.step(event))?;
    walk.end(None)
}

fn walk(events: &[ChainedEvent], anchor: Option<Anchor>) -> Result<(u64, ChainAnchors), ChainError> {
    walk_from(ChainAnchors::START, events, anchor)
}

#[test]
fn an_unchanged_chain_verifies() {
    let chain = chain(3);
    let (events, head) = walk(&chain, None).unwrap();
    assert_eq!((events, head), (3, ChainAnchors { changes: place(&chain[2]), denials: Anchor::START }));
    assert_eq!(walk(&one_chain(3), None).unwrap().0, 3);
}

#[test]
fn the_audit_verifies_after_its_oldest_denials_are_removed() {
    let both = both();
    assert_eq!(walk(&both, None).unwrap().0, 6);
    let base = ChainAnchors { changes: Anchor::START, denials: place(&both[2]) };
    let left = [&both[..1], &both[3..]].concat();
    for anchor in [place(&both[0]), place(&both[3]), place(&both[4]), place(&both[5])] {
        let (events, head) = walk_from(base, &left, Some(anchor)).unwrap();
        assert_eq!((events, head), (4, ChainAnchors { changes: place(&both[5]), denials: place(&both[4]) }));
    }
    // What went last is known, what went before it is not.
    assert!(walk_from(base, &left, Some(place(&both[2]))).is_ok());
    assert_eq!(walk_from(base, &left, Some(place(&both[1]))), Err(ChainError::Pruned(2)));
}

#[test]
fn a_change_can_be_neither_pruned_with_the_denials_nor_disguised_as_one() {
    let both = both();
    let base = ChainAnchors { changes: Anchor::START, denials: place(&both[4]) };
    let without_a_change = [both[0].clone(), both[5].clone()];
    assert_eq!(walk_from(base, &without_a_change, None), Err(ChainError::Changed(6)));
    let mut moved = both.clone();
    moved[3].link.chain = Chain::Denials;
    assert_eq!(walk(&moved, None), Err(ChainError::Changed(4)));
    let mut first = chain(1);
    first[0].link.chain = Chain::Denials;
    assert_eq!(walk(&first, None), Err(ChainError::Changed(1)), "before the first event, all is the same");
}

#[test]
fn each_chain_detects_removals_from_the_other_and_an_anchor_covers_both() {
    let both = both();
    assert_eq!(
        walk(&[&both[..4], &both[5..]].concat(), None),
        Err(ChainError::Missing { expected: 5, found: 6 })
    );
    // The last denial with the end of its chain, as if it was pruned.
    let base = ChainAnchors { changes: Anchor::START, denials: Anchor { sequence: 5, hash: both[2].hash } };
    let cut = [both[0].clone(), both[3].clone(), both[5].clone()];
    assert_eq!(walk_from(base, &cut, None), Err(ChainError::Changed(6)));
    let renamed = |sequence| AuditEvent { actor: "nobody".to_owned(), ..event(sequence) };
    let chains: Vec<_> = both.iter().map(|event| event.link.chain).collect();
    let anew = events_of(&chains, |sequence| if sequence == 2 { renamed(2) } else { event(sequence) });
    assert!(walk(&anew, None).is_ok());
    assert_eq!(walk(&anew, Some(place(&both[3]))), Err(ChainError::Rewritten(4)));
}

#[test]
fn a_change_of_any_field_is_detected() {
    type Change = fn(&mut AuditEvent);
    let changes: [Change; 7] = [
        |event| event.event_time = Timestamp::UNIX_EPOCH,
        |event| event.actor.push('x'),
        |event| event.action = AuditAction::Other(String::new()),
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
fn removed_swapped_or_truncated_events_are_detected() {
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
fn a_rewritten_audit_verifies_but_does_not_match_the_anchor() {
    let whole = chain(4);
    let anchor = Anchor { sequence: 3, hash: whole[2].hash };
    assert!(walk(&whole, Some(anchor)).is_ok());
    let renamed = |sequence| AuditEvent { actor: "nobody".to_owned(), ..event(sequence) };
    let anew = events_of(&[Chain::Changes; 4], renamed);
    assert!(walk(&anew, None).is_ok());
    assert_eq!(walk(&anew, Some(anchor)), Err(ChainError::Rewritten(3)));
}

#[test]
fn events_and_anchors_round_trip() {
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

#[test]
fn actions_round_trip_including_those_of_another_release() {
    for action in AuditAction::ALL.iter().cloned().chain([AuditAction::Other("Teleported".to_owned())]) {
        assert_eq!(AuditAction::from(action.as_str()), action);
        assert_eq!(serde_json::to_string(&action).unwrap(), format!("\"{action}\""));
        assert_eq!(serde_json::from_str::<AuditAction>(&format!("\"{action}\"")).unwrap(), action);
    }
}
