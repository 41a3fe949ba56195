//! Fewer events for a watcher that is behind: one event for each synced secret, with its last state.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::{
    model::SyncedSecret,
    secrets::{FeedPlace, PlacedEvent, Span, WatchEvent},
};

/// An event, and the place in the feed where a watch resumes after it.
pub(super) type Event = (WatchEvent, Option<FeedPlace>);

/// The event, and where a watch resumes after it.
pub(super) fn resumable((event, span): PlacedEvent) -> Event {
    (event, span.map(|span| span.after))
}

/// Keeps one event for each synced secret: at the place of its last event, with the last state.
///
/// A watch that resumes from the token of such an event must miss nothing. If changes before that place were
/// folded into a later event, the token points before the first of them. The resumed watch then gets the last
/// state again.
pub(super) fn coalesced(events: Vec<PlacedEvent>) -> VecDeque<Event> {
    /// The events of one synced secret; no event if they cancel each other out.
    struct Fold {
        event: Option<WatchEvent>,
        span: Span,
    }
    let Some(spans) = events.iter().map(|(_, span)| *span).collect::<Option<Vec<Span>>>() else {
        // The initial state: each synced secret comes once.
        return events.into_iter().map(resumable).collect();
    };
    let mut folds: Vec<Option<Fold>> = Vec::new();
    let mut of: HashMap<Uuid, usize> = HashMap::new();
    for ((event, _), mut span) in events.into_iter().zip(spans) {
        let uid = subject(&event).map(|secret| secret.uid);
        let earlier = uid.and_then(|uid| of.insert(uid, folds.len())).and_then(|at| folds[at].take());
        span.before = earlier.as_ref().map_or(span.before, |earlier| earlier.span.before);
        let event = combined(earlier.and_then(|earlier| earlier.event), event);
        folds.push(Some(Fold { event, span }));
    }
    let mut kept = VecDeque::with_capacity(of.len());
    let mut unsent: Option<FeedPlace> = None;
    for Fold { event, span } in folds.into_iter().rev().flatten() {
        let earlier = |a: FeedPlace, b: FeedPlace| if a.sequence <= b.sequence { a } else { b };
        let place = unsent.map_or(span.after, |unsent| earlier(unsent, span.after));
        unsent = Some(unsent.map_or(span.before, |unsent| earlier(unsent, span.before)));
        if let Some(event) = event {
            kept.push_front((event, Some(place)));
        }
    }
    kept
}

/// The event that replaces two of one synced secret, for a watcher that saw neither; `None` if nothing is
/// left to send.
fn combined(before: Option<WatchEvent>, event: WatchEvent) -> Option<WatchEvent> {
    use WatchEvent::{Added, Deleted, Modified};
    match (before, event) {
        (Some(Added(_)), Modified(secret)) => Some(Added(secret)),
        (Some(Added(_)), Deleted(_)) => None,
        (Some(Deleted(_)), Added(secret)) => Some(Modified(secret)),
        (_, event) => Some(event),
    }
}

/// The synced secret of an event.
pub(super) fn subject(event: &WatchEvent) -> Option<&SyncedSecret> {
    match event {
        WatchEvent::Added(secret) | WatchEvent::Modified(secret) | WatchEvent::Deleted(secret) => {
            Some(secret)
        }
        WatchEvent::Bookmark => None,
    }
}

#[cfg(test)]
mod tests;
