//! Which connections there may be, and which gives way to a new one.
//!
//! A connection is open to everybody until a call on it was let in. Open ones have little room, in all and for each address; there the
//! new one comes in and the oldest goes, so whoever has something to show can show it. A connection on which nothing is under way but
//! health and reflection does nothing: it gives way too. What comes through the Unix socket has a reserve that nobody else can take.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Weak},
    time::Duration,
};

use futures::{Stream, StreamExt};
use parking_lot::Mutex;
use tonic::transport::server::Connected;

use crate::api::connection::{
    limit::{Limit, Refusals},
    peer::Peer,
    tracked::{self, Line, Wire},
};

/// How often connections are looked at while the service ends.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How many connections of what kind there may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// All that don't come through the Unix socket.
    pub(crate) all: (Limit, usize),
    /// Those of them on which no call was let in.
    pub(crate) open: (Limit, usize),
    /// The same from one address.
    pub(crate) open_per_address: (Limit, usize),
    /// Those of them on which one caller was let in first.
    pub(crate) per_caller: (Limit, usize),
    /// Those through the Unix socket that count for none of this.
    pub(crate) unix: usize,
}

/// All connections of a server, the oldest first. A clone is about the same ones.
#[derive(Clone)]
pub(crate) struct Lines(Arc<Inner>);

struct Inner {
    room: Room,
    send_timeout: Duration,
    open: Mutex<VecDeque<Weak<tracked::Inner>>>,
    refusals: Refusals,
}

// === impl Lines ===

impl Lines {
    pub(crate) fn new(room: Room, send_timeout: Duration, refusals: Refusals) -> Self {
        Self(Arc::new(Inner { room, send_timeout, open: Mutex::default(), refusals }))
    }

    /// Makes lines of connections, where there is room.
    pub(crate) fn of<IO, E>(
        self,
        incoming: impl Stream<Item = Result<IO, E>>,
    ) -> impl Stream<Item = Result<Wire<IO>, E>>
    where
        IO: Connected,
        Peer: From<IO::ConnectInfo>,
    {
        incoming.filter_map(move |accepted| {
            let wire = accepted.map(|io| self.open(io)).transpose();
            async move { wire }
        })
    }

    /// A caller was let in on one more of them. Where it has more than one may, the oldest that does nothing gives way.
    pub(crate) fn let_in(&self, caller: &str) {
        let lines: Vec<_> = tracked::lock(&self.0.open).iter().filter_map(Weak::upgrade).collect();
        let of_caller =
            |line: &&Arc<tracked::Inner>| !line.peer.is_unix && !line.is_cut() && line.is_owned_by(caller);
        let (limit, number) = self.0.room.per_caller;
        if lines.iter().filter(of_caller).count() > number {
            self.cut(lines.iter().filter(of_caller).find(|line| line.is_idle()), limit);
        }
    }

    /// Cuts the connections that nobody can miss any more, one after the other. Never returns.
    pub(crate) async fn end(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            let lines: Vec<_> = tracked::lock(&self.0.open).iter().filter_map(Weak::upgrade).collect();
            lines.iter().filter(|line| line.is_done()).for_each(|line| line.cut());
        }
    }

    fn open<IO>(&self, io: IO) -> Option<Wire<IO>>
    where
        IO: Connected,
        Peer: From<IO::ConnectInfo>,
    {
        let peer = Peer::from(io.connect_info());
        let mut open = tracked::lock(&self.0.open);
        open.retain(|line| line.upgrade().is_some_and(|line| !line.is_cut()));
        let lines: Vec<_> = open.iter().filter_map(Weak::upgrade).collect();
        if !self.make_room(&lines, &peer) {
            let (limit, number) = self.0.room.all;
            self.0.refusals.count(limit);
            tracing::warn!(limit = number, "a connection is refused: as many as may be are in use");
            return None;
        }
        let line = Arc::new(tracked::Inner::new(peer));
        open.push_back(Arc::downgrade(&line));
        Some(Wire::new(io, Line::new(line), self.0.send_timeout))
    }

    /// Cuts who gives way to a new connection; false where nobody does.
    fn make_room(&self, lines: &[Arc<tracked::Inner>], new: &Peer) -> bool {
        let Room { all, open, open_per_address, unix, .. } = self.0.room;
        let (of_unix, others): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line.peer.is_unix);
        if new.is_unix && of_unix.len() < unix {
            return true;
        }
        // Beyond its reserve, what comes through the socket counts as anything else does.
        let counted: Vec<_> = match of_unix.len() > unix {
            true => lines.iter().collect(),
            false => others,
        };
        let count = counted.len() - if of_unix.len() > unix { unix } else { 0 };
        let strangers: Vec<_> = counted.iter().copied().filter(|line| !line.is_owned()).collect();
        let of_place = |place: &str| strangers.iter().copied().find(|line| line.peer.place == place);
        let from_here = strangers.iter().filter(|line| line.peer.place == new.place).count();
        if !new.is_unix && from_here >= open_per_address.1 {
            return self.cut(of_place(&new.place), open_per_address.0);
        }
        if !new.is_unix && strangers.len() >= open.1 {
            return self.cut(most(&strangers).and_then(of_place), open.0);
        }
        if count < all.1 {
            return true;
        }
        let idle = strangers.first().copied().or_else(|| counted.into_iter().find(|line| line.is_idle()));
        self.cut(idle, all.0)
    }

    fn cut(&self, line: Option<&Arc<tracked::Inner>>, limit: Limit) -> bool {
        if let Some(line) = line {
            tracing::debug!(peer = line.peer.place, ?limit, "a connection gives way to a new one");
            self.0.refusals.count(limit);
            line.cut();
        }
        line.is_some()
    }
}

/// The place that most of these come from.
fn most<'a>(lines: &[&'a Arc<tracked::Inner>]) -> Option<&'a str> {
    let mut by_place: HashMap<&str, usize> = HashMap::new();
    for line in lines {
        *by_place.entry(&line.peer.place).or_default() += 1;
    }
    by_place.into_iter().max_by_key(|(_, many)| *many).map(|(place, _)| place)
}
