//! WatchSyncedSecrets: the initial state, then every change, at the pace at which the watcher reads.
//!
//! Nothing is pushed: the stream asks the change feed when the connection has room, so a slow watcher costs no memory but
//! the batch that it is at. Events of the initial state carry no token: who leaves in the middle of it begins anew.

use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    time::Duration,
};

use futures::stream;
use prost::Message;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};
use uuid::Uuid;

use crate::api::{
    connection::{budget::Share, caller_limits::Crowd},
    error::{of_server, plain},
    rpc::{
        auth::{self, Leave},
        convert, mutation,
        token::Scope,
    },
};
use crate::{
    model::SyncedSecret,
    proto::{WatchSyncedSecretsRequest, WatchSyncedSecretsResponse},
    secrets::{FeedPlace, Secrets, Span, Told, WatchEvent, Watcher},
};

/// A watcher with more events than this before it is behind: then only the last state of each synced secret is told.
const BEHIND: usize = 64;

/// What a watcher gets.
pub(crate) type Stream =
    Pin<Box<dyn futures::Stream<Item = Result<WatchSyncedSecretsResponse, Status>> + Send>>;

/// All watchers: how often they hear of us, and when they must go.
pub(crate) struct Watches {
    crowd: Crowd,
    heartbeat: Duration,
    stop: CancellationToken,
}

/// One watcher.
struct Watch {
    watcher: Watcher,
    scope: Scope,
    /// Decided and not told yet.
    pending: VecDeque<Event>,
    /// Whether a bookmark is due as soon as nothing is left to tell: a resumed watch has no initial state that ends with one.
    catching_up: bool,
    heartbeat: Interval,
    deadline: Option<Instant>,
    leave: Leave,
    stop: CancellationToken,
    ended: bool,
    _share: Share,
}

/// An event, with the place in the feed from which a watch goes on after it.
type Event = (WatchEvent, Option<FeedPlace>);

// === impl Watches ===

impl Watches {
    pub(crate) fn new(crowd: Crowd, heartbeat: Duration, stop: CancellationToken) -> Self {
        Self { crowd, heartbeat, stop }
    }

    /// Begins a watch.
    pub(crate) async fn open(
        &self,
        secrets: &Secrets,
        request: Request<WatchSyncedSecretsRequest>,
        leave: Leave,
    ) -> Result<Stream, Status> {
        let share = self.crowd.watch(&auth::caller(request.extensions()).to_string())?;
        let deadline = mutation::deadline(&request);
        let message = request.into_inner();
        let wire = message.filter.unwrap_or_default();
        let scope = Scope::watch(secrets.signer(), "WatchSyncedSecrets", wire.encode_to_vec());
        let filter = convert::filter(wire).map_err(plain)?;
        let resume = scope.open::<FeedPlace>(&message.resume_token).map_err(plain)?;
        let watcher = secrets.watch_synced_secrets(filter, resume).await.map_err(plain)?;

        let mut heartbeat = tokio::time::interval_at(Instant::now() + self.heartbeat, self.heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let watch = Watch {
            watcher,
            scope,
            pending: VecDeque::new(),
            catching_up: resume.is_some(),
            heartbeat,
            deadline,
            leave,
            stop: self.stop.clone(),
            ended: false,
            _share: share,
        };
        let next = async |mut watch: Watch| watch.next().await.map(|told| (told, watch));
        Ok(Box::pin(stream::unfold(watch, next)))
    }
}

// === impl Watch ===

impl Watch {
    /// The next message; an error is the last one.
    async fn next(&mut self) -> Option<Result<WatchSyncedSecretsResponse, Status>> {
        if self.ended {
            return None;
        }
        let told = self.decide().await;
        self.ended = told.is_err();
        Some(told.map(|(event, place)| {
            let token = place.map(|place| self.scope.issue(&place)).unwrap_or_default();
            let mut told = convert::watch_response(&event, token);
            if let (Some(shown), Some(secret)) = (&mut told.synced_secret, subject(&event))
                && !self.leave.sight().has_keys_of(secret)
            {
                convert::withhold_keys(shown);
            }
            told
        }))
    }

    async fn decide(&mut self) -> Result<Event, Status> {
        loop {
            if self.stop.is_cancelled() {
                return Err(stopping());
            }
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            if self.catching_up && self.watcher.is_current() {
                self.catching_up = false;
                return Ok(after(self.watcher.bookmark()));
            }
            let deadline = self.deadline;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(stopping()),
                () = at(deadline) => return Err(deadline_passed()),
                refused = self.leave.lost() => return Err(refused),
                event = self.watcher.next() => {
                    let event = event.map_err(plain)?;
                    self.pending = self.batch(event).await?;
                }
                _ = self.heartbeat.tick() => return Ok(after(self.watcher.bookmark())),
            }
        }
    }

    /// All that is ready, not only the first: where it is much, the watcher is behind.
    async fn batch(&mut self, first: Told) -> Result<VecDeque<Event>, Status> {
        let mut events = vec![first];
        while !self.watcher.is_idle() {
            events.push(self.watcher.next().await.map_err(plain)?);
        }
        Ok(match events.len() > BEHIND {
            true => coalesced(events),
            false => events.into_iter().map(after).collect(),
        })
    }
}

/// The event with the place after it.
fn after((event, span): Told) -> Event {
    (event, span.map(|span| span.after))
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The same, with one event for each synced secret: at the place of its last one, with the last state.
///
/// A watch that goes on from the token of such an event must miss nothing. So where changes before that place were folded
/// into an event that comes later, the token points before the first of them; what is then told again is the last state.
fn coalesced(events: Vec<Told>) -> VecDeque<Event> {
    /// The events of one synced secret; without an event where they cancel each other out.
    struct Fold {
        event: Option<WatchEvent>,
        span: Span,
    }
    let Some(spans) = events.iter().map(|(_, span)| *span).collect::<Option<Vec<Span>>>() else {
        // The initial state: each synced secret comes once.
        return events.into_iter().map(after).collect();
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
    let mut told = VecDeque::with_capacity(of.len());
    let mut untold: Option<FeedPlace> = None;
    for Fold { event, span } in folds.into_iter().rev().flatten() {
        let earlier = |a: FeedPlace, b: FeedPlace| if a.sequence <= b.sequence { a } else { b };
        let place = untold.map_or(span.after, |untold| earlier(untold, span.after));
        untold = Some(untold.map_or(span.before, |untold| earlier(untold, span.before)));
        if let Some(event) = event {
            told.push_front((event, Some(place)));
        }
    }
    told
}

/// What two events of one synced secret are together, for who has seen neither; `None` where nothing is left to tell.
fn combined(before: Option<WatchEvent>, event: WatchEvent) -> Option<WatchEvent> {
    use WatchEvent::{Added, Deleted, Modified};
    match (before, event) {
        (Some(Added(_)), Modified(secret)) => Some(Added(secret)),
        (Some(Added(_)), Deleted(_)) => None,
        (Some(Deleted(_)), Added(secret)) => Some(Modified(secret)),
        (_, event) => Some(event),
    }
}

fn subject(event: &WatchEvent) -> Option<&SyncedSecret> {
    match event {
        WatchEvent::Added(secret) | WatchEvent::Modified(secret) | WatchEvent::Deleted(secret) => {
            Some(secret)
        }
        WatchEvent::Bookmark => None,
    }
}

fn stopping() -> Status {
    let message = "The service is stopping. Watch again with the last resume_token when it is back.";
    of_server(Code::Unavailable, "STOPPING", message, Some(Duration::from_secs(1)))
}

fn deadline_passed() -> Status {
    let message = "The deadline of the watch has passed. Watch again with the last resume_token.";
    of_server(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None)
}

#[cfg(test)]
mod tests;
