//! The stream of one watch: the initial state, then every change, as fast as the watcher reads.
//!
//! The stream pulls from the change feed when the connection has room, so a slow watcher holds no more in
//! memory than its current batch. Events of the initial state have no resume token: a watch that ends within
//! it starts again.

use std::{collections::VecDeque, time::Duration};

use futures::stream;
use tokio::time::{Instant, Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use super::{
    Stream,
    coalesce::{Event, coalesced, resumable, subject},
};
use crate::{
    api::{
        connection::budget::Permit,
        error::{plain, server_status},
        rpc::{auth::Reauthorization, convert, token::TokenScope},
    },
    proto::{WatchSyncedSecretsResponse, watch_synced_secrets_response::Type},
    secrets::{PlacedEvent, WatchEvent, Watcher},
};

/// A watcher with more unsent events than this is behind: it gets only the last state of each synced secret.
const MAX_UNSENT_EVENTS: usize = 64;
/// How long a client should wait before it watches again when the service stops.
const RETRY_AFTER_STOP: Duration = Duration::from_secs(1);

/// One watch, before it begins.
pub(super) struct Watch {
    pub(super) watcher: Watcher,
    pub(super) scope: TokenScope,
    pub(super) permit: Permit,
    pub(super) reauthorization: Reauthorization,
    pub(super) deadline: Option<Instant>,
    pub(super) stop: CancellationToken,
    /// A resumed watch has no initial state, which would end with a bookmark.
    pub(super) is_resumed: bool,
}

struct Running {
    watcher: Watcher,
    scope: TokenScope,
    /// Read from the feed and not sent yet.
    pending: VecDeque<Event>,
    /// Whether a bookmark is due as soon as everything is sent.
    catching_up: bool,
    heartbeat: Interval,
    deadline: Option<Instant>,
    reauthorization: Reauthorization,
    stop: CancellationToken,
    ended: bool,
    _permit: Permit,
}

// === impl Watch ===

impl Watch {
    /// Begins the watch. When nothing happens, it sends a bookmark at every heartbeat.
    pub(super) fn stream(self, heartbeat: Duration) -> Stream {
        let mut heartbeat = tokio::time::interval_at(Instant::now() + heartbeat, heartbeat);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let running = Running {
            watcher: self.watcher,
            scope: self.scope,
            pending: VecDeque::new(),
            catching_up: self.is_resumed,
            heartbeat,
            deadline: self.deadline,
            reauthorization: self.reauthorization,
            stop: self.stop,
            ended: false,
            _permit: self.permit,
        };
        let next = async |mut running: Running| running.next().await.map(|response| (response, running));
        Box::pin(stream::unfold(running, next))
    }
}

// === impl Running ===

impl Running {
    /// The next response; an error is the last one.
    async fn next(&mut self) -> Option<Result<WatchSyncedSecretsResponse, Status>> {
        if self.ended {
            return None;
        }
        let event = self.next_event().await;
        self.ended = event.is_err();
        Some(event.map(|(event, place)| {
            let token = place.map(|place| self.scope.issue(&place)).unwrap_or_default();
            let mut response = response(&event, token);
            if let (Some(shown), Some(secret)) = (&mut response.synced_secret, subject(&event))
                && !self.reauthorization.key_visibility().has_keys_of(secret)
            {
                convert::withhold_keys(shown);
            }
            response
        }))
    }

    async fn next_event(&mut self) -> Result<Event, Status> {
        loop {
            if self.stop.is_cancelled() {
                return Err(stopping());
            }
            if let Some(event) = self.pending.pop_front() {
                return Ok(event);
            }
            if self.catching_up && self.watcher.is_current() {
                self.catching_up = false;
                return Ok(resumable(self.watcher.bookmark()));
            }
            let deadline = self.deadline;
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(stopping()),
                () = at(deadline) => return Err(deadline_exceeded()),
                denied = self.reauthorization.revoked() => return Err(denied),
                event = self.watcher.next() => {
                    let event = event.map_err(plain)?;
                    self.pending = self.batch(event).await?;
                }
                _ = self.heartbeat.tick() => return Ok(resumable(self.watcher.bookmark())),
            }
        }
    }

    /// All events that are ready. If there are many, the watcher is behind.
    async fn batch(&mut self, first: PlacedEvent) -> Result<VecDeque<Event>, Status> {
        let mut events = vec![first];
        while !self.watcher.is_idle() {
            events.push(self.watcher.next().await.map_err(plain)?);
        }
        Ok(match events.len() > MAX_UNSENT_EVENTS {
            true => coalesced(events),
            false => events.into_iter().map(resumable).collect(),
        })
    }
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn response(event: &WatchEvent, resume_token: String) -> WatchSyncedSecretsResponse {
    let (kind, secret) = match event {
        WatchEvent::Added(secret) => (Type::Added, Some(secret)),
        WatchEvent::Modified(secret) => (Type::Modified, Some(secret)),
        WatchEvent::Deleted(secret) => (Type::Deleted, Some(secret)),
        WatchEvent::Bookmark => (Type::Bookmark, None),
    };
    let synced_secret = secret.map(|secret| convert::synced_secret(secret));
    WatchSyncedSecretsResponse { r#type: kind.into(), synced_secret, resume_token }
}

fn stopping() -> Status {
    let message = "The service is stopping. Watch again with the last resume_token when it is back.";
    server_status(Code::Unavailable, "STOPPING", message, Some(RETRY_AFTER_STOP))
}

fn deadline_exceeded() -> Status {
    let message = "The deadline of the watch has passed. Watch again with the last resume_token.";
    server_status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None)
}
