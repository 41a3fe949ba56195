//! How many connections there may be, and which one is closed for a new one.
//!
//! A connection is unauthenticated until a call on it was authorized. The limits on unauthenticated
//! connections are low, in total and for each address. At such a limit, the oldest is closed for the new one,
//! so that everybody gets the chance to authenticate. At the limit on all connections, an idle one is closed:
//! one that has no authorized call in flight. The Unix socket has a reserve of its own.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tonic::transport::server::Connected;

use super::{
    limit::{Limit, LimitHits},
    peer::Peer,
    tracked::{ConnectionState, TrackedConnection, TrackedIo},
};

/// How often the tracker looks for connections that it can close while the service stops.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionLimits {
    /// All except those to the Unix socket.
    pub(crate) all: (Limit, usize),
    /// Those of them that are unauthenticated.
    pub(crate) unauthenticated: (Limit, usize),
    /// The same from one address.
    pub(crate) unauthenticated_per_address: (Limit, usize),
    /// Those of them whose first authorized caller is the same.
    pub(crate) per_caller: (Limit, usize),
    /// The reserve of the Unix socket, which none of these limits counts.
    pub(crate) unix: usize,
}

/// All connections of a server. A clone shares them.
#[derive(Clone)]
pub(crate) struct ConnectionTracker(Arc<Inner>);

struct Inner {
    limits: ConnectionLimits,
    send_timeout: Duration,
    /// The oldest first.
    connections: Mutex<VecDeque<Weak<ConnectionState>>>,
    limit_hits: LimitHits,
}

// === impl ConnectionTracker ===

impl ConnectionTracker {
    pub(crate) fn new(limits: ConnectionLimits, send_timeout: Duration, limit_hits: LimitHits) -> Self {
        Self(Arc::new(Inner { limits, send_timeout, connections: Mutex::default(), limit_hits }))
    }

    /// Tracks incoming connections, and closes those that exceed the limits.
    pub(crate) fn track<IO, E>(
        self,
        incoming: impl Stream<Item = Result<IO, E>>,
    ) -> impl Stream<Item = Result<TrackedIo<IO>, E>>
    where
        IO: Connected,
        Peer: From<IO::ConnectInfo>,
    {
        incoming.filter_map(move |accepted| {
            let tracked = accepted.map(|io| self.accept(io)).transpose();
            async move { tracked }
        })
    }

    /// A caller now owns one more connection. If it has too many, its oldest idle one is closed.
    pub(crate) fn authorized(&self, caller: &str) {
        let connections = self.connections();
        let of_caller =
            |one: &&Arc<ConnectionState>| !one.peer.is_unix && !one.is_closed() && one.is_owned_by(caller);
        let (limit, number) = self.0.limits.per_caller;
        if connections.iter().filter(of_caller).count() > number {
            self.close(connections.iter().filter(of_caller).find(|one| one.is_idle()), limit);
        }
    }

    /// Closes each connection as soon as that breaks no call. Never returns.
    pub(crate) async fn drain(&self) {
        let mut check = tokio::time::interval(DRAIN_CHECK_INTERVAL);
        loop {
            check.tick().await;
            let connections = self.connections();
            connections.iter().filter(|one| one.is_done()).for_each(|one| one.close());
        }
    }

    fn accept<IO>(&self, io: IO) -> Option<TrackedIo<IO>>
    where
        IO: Connected,
        Peer: From<IO::ConnectInfo>,
    {
        let peer = Peer::from(io.connect_info());
        let mut all = self.0.connections.lock();
        all.retain(|one| one.upgrade().is_some_and(|one| !one.is_closed()));
        let connections: Vec<_> = all.iter().filter_map(Weak::upgrade).collect();
        if !self.make_room(&connections, &peer) {
            let (limit, number) = self.0.limits.all;
            self.0.limit_hits.count(limit);
            tracing::warn!(limit = number, "refused a connection: too many connections, and none is idle");
            return None;
        }
        let state = Arc::new(ConnectionState::new(peer));
        all.push_back(Arc::downgrade(&state));
        Some(TrackedIo::new(io, TrackedConnection::new(state), self.0.send_timeout))
    }

    /// Closes a connection for a new one if necessary; false if none can be closed.
    fn make_room(&self, connections: &[Arc<ConnectionState>], new: &Peer) -> bool {
        let ConnectionLimits { all, unauthenticated, unauthenticated_per_address, unix, .. } = self.0.limits;
        let (of_unix, others): (Vec<_>, Vec<_>) = connections.iter().partition(|one| one.peer.is_unix);
        if new.is_unix && of_unix.len() < unix {
            return true;
        }
        // Beyond its reserve, a connection to the Unix socket counts as any other.
        let counted: Vec<_> = match of_unix.len() > unix {
            true => connections.iter().collect(),
            false => others,
        };
        let count = counted.len() - if of_unix.len() > unix { unix } else { 0 };
        let strangers: Vec<_> = counted.iter().copied().filter(|one| !one.is_owned()).collect();
        let oldest_from = |place: &str| strangers.iter().copied().find(|one| one.peer.place == place);
        let from_here = strangers.iter().filter(|one| one.peer.place == new.place).count();
        if !new.is_unix && from_here >= unauthenticated_per_address.1 {
            return self.close(oldest_from(&new.place), unauthenticated_per_address.0);
        }
        if !new.is_unix && strangers.len() >= unauthenticated.1 {
            let oldest = most_frequent_place(&strangers).and_then(oldest_from);
            return self.close(oldest, unauthenticated.0);
        }
        if count < all.1 {
            return true;
        }
        let idle = strangers.first().copied().or_else(|| counted.into_iter().find(|one| one.is_idle()));
        self.close(idle, all.0)
    }

    fn close(&self, connection: Option<&Arc<ConnectionState>>, limit: Limit) -> bool {
        if let Some(connection) = connection {
            tracing::debug!(
                peer = connection.peer.place,
                ?limit,
                "closed a connection to make room for a new one"
            );
            self.0.limit_hits.count(limit);
            connection.close();
        }
        connection.is_some()
    }

    fn connections(&self) -> Vec<Arc<ConnectionState>> {
        self.0.connections.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// The place that most of these come from.
fn most_frequent_place<'a>(connections: &[&'a Arc<ConnectionState>]) -> Option<&'a str> {
    let mut by_place: HashMap<&str, usize> = HashMap::new();
    for connection in connections {
        *by_place.entry(&connection.peer.place).or_default() += 1;
    }
    by_place.into_iter().max_by_key(|(_, many)| *many).map(|(place, _)| place)
}
