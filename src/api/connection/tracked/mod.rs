//! A tracked connection: where it comes from, which calls are in flight on it, and when it is closed.
//!
//! It is closed when its peer does not read an answer for too long, and when it has to make room for a new
//! connection. So a client that reads slowly, or only connects, does not take anything from the others for
//! long.

mod body;
mod io;

use std::{
    collections::HashMap,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::task::AtomicWaker;
use http::Extensions;
use parking_lot::Mutex;
use rustls::pki_types::CertificateDer;
use tokio::time::Instant;
use tonic::{body::Body, transport::server::TlsConnectInfo};

pub(crate) use io::TrackedIo;

use super::peer::Peer;

/// The longest gap between two parts of an answer to a peer far away: a connection that was silent for longer
/// has sent all it had.
const SILENT_BEFORE_CLOSE: Duration = Duration::from_secs(1);

/// A connection. It is in the extensions of every request on it; a clone shares it.
#[derive(Clone)]
pub(crate) struct TrackedConnection(Arc<ConnectionState>);

pub(crate) struct ConnectionState {
    pub(crate) peer: Arc<Peer>,
    /// The peer with the certificates that it showed in the TLS handshake, once that is done.
    secured: OnceLock<Arc<Peer>>,
    /// The first caller that was authorized on the connection.
    owner: OnceLock<Arc<str>>,
    calls: Mutex<Calls>,
    /// Bytes read and written.
    transferred: AtomicU64,
    /// Those of them that were written.
    written: AtomicU64,
    is_closed: AtomicBool,
    /// The task of the connection, to wake when it is closed.
    waker: AtomicWaker,
}

/// The calls on a connection, by number.
#[derive(Default)]
struct Calls {
    last: u64,
    in_flight: HashMap<u64, CallState>,
    /// Bytes transferred when this was last checked, and since when there were no more.
    silent: Option<(u64, Instant)>,
}

#[derive(Default)]
struct CallState {
    /// When a part of the answer was handed to the connection, unless the peer has room for the next part.
    unread_since: Option<Instant>,
    /// Whether its caller was authorized.
    is_authorized: bool,
    /// Whether it is a call of health or reflection, or for the console's page, whose end nobody waits for.
    is_unauthenticated: bool,
}

/// A call on a connection, until the peer has read its answer.
pub(crate) struct TrackedCall {
    connection: TrackedConnection,
    number: u64,
}

// === impl TrackedConnection ===

impl TrackedConnection {
    pub(crate) fn new(state: Arc<ConnectionState>) -> Self {
        Self(state)
    }

    /// The connection of a request.
    pub(crate) fn of(request: &Extensions) -> Option<&Self> {
        request.get::<Self>().or_else(|| request.get::<TlsConnectInfo<Self>>().map(TlsConnectInfo::get_ref))
    }

    /// Where a request comes from.
    pub(crate) fn peer_of(request: &Extensions) -> Arc<Peer> {
        Self::of(request).map_or_else(|| Arc::new(Peer::unknown()), Self::peer)
    }

    /// Where the connection comes from, with the certificates that the peer showed.
    fn peer(&self) -> Arc<Peer> {
        self.0.secured.get().unwrap_or(&self.0.peer).clone()
    }

    /// The TLS handshake is done, and the peer showed these certificates.
    pub(crate) fn secured(&self, chain: Option<&[CertificateDer<'static>]>) {
        let chain = chain.map(|chain| Arc::new(chain.to_vec()));
        // A connection has one handshake.
        let _ = self.0.secured.set(Arc::new(self.0.peer.with_certificates(chain)));
    }

    /// The first caller that was authorized on the connection.
    pub(crate) fn owner(&self) -> Option<&Arc<str>> {
        self.0.owner.get()
    }

    /// Bytes that were written to the peer, of all answers and with what TLS adds.
    pub(crate) fn written(&self) -> u64 {
        self.0.written.load(Ordering::Relaxed)
    }

    /// Begins a call.
    pub(crate) fn begin_call(&self) -> TrackedCall {
        let mut calls = self.0.calls.lock();
        calls.last += 1;
        let number = calls.last;
        calls.in_flight.insert(number, CallState::default());
        TrackedCall { connection: self.clone(), number }
    }
}

// === impl ConnectionState ===

impl ConnectionState {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer: Arc::new(peer),
            secured: OnceLock::new(),
            owner: OnceLock::new(),
            calls: Mutex::default(),
            transferred: AtomicU64::new(0),
            written: AtomicU64::new(0),
            is_closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// Whether a caller was authorized on it.
    pub(crate) fn is_owned(&self) -> bool {
        self.owner.get().is_some()
    }

    /// Whether this caller was the first that was authorized on it.
    pub(crate) fn is_owned_by(&self, caller: &str) -> bool {
        self.owner.get().is_some_and(|owner| **owner == *caller)
    }

    /// Whether no authorized call is in flight on it.
    pub(crate) fn is_idle(&self) -> bool {
        !self.calls.lock().in_flight.values().any(|call| call.is_authorized)
    }

    /// Whether it can be closed without breaking a call: none is in flight, and since this was first asked,
    /// no byte was transferred for [`SILENT_BEFORE_CLOSE`]. A connection that never had a call can be closed
    /// at once.
    pub(crate) fn is_done(&self) -> bool {
        let (now, transferred) = (Instant::now(), self.transferred.load(Ordering::Relaxed));
        let mut calls = self.calls.lock();
        if calls.in_flight.values().any(|call| !call.is_unauthenticated) {
            calls.silent = None;
            return false;
        }
        let silent = calls.silent.filter(|(before, _)| *before == transferred);
        let (_, since) = *calls.silent.insert(silent.unwrap_or((transferred, now)));
        calls.last == 0 || now.duration_since(since) >= SILENT_BEFORE_CLOSE
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Closes the connection the next time that its task reads or writes, and wakes that.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    fn add_transferred(&self, bytes: usize) {
        self.transferred.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn add_written(&self, bytes: usize) {
        self.written.fetch_add(bytes as u64, Ordering::Relaxed);
        self.add_transferred(bytes);
    }

    /// Whether the peer has left an answer unread for longer than this.
    fn is_stalled(&self, timeout: Duration) -> bool {
        let now = Instant::now();
        let calls = self.calls.lock();
        let mut unread = calls.in_flight.values().filter_map(|call| call.unread_since);
        unread.any(|since| now.duration_since(since) > timeout)
    }
}

// === impl TrackedCall ===

impl TrackedCall {
    /// Marks the call as authorized. True if its caller is the first on this connection.
    pub(crate) fn authorized(&self, caller: &str) -> bool {
        self.update(|call| call.is_authorized = true);
        !self.connection.0.is_owned() && self.connection.0.owner.set(caller.into()).is_ok()
    }

    /// Marks the call as one of health or reflection, or for the console's page.
    pub(crate) fn unauthenticated(&self) {
        self.update(|call| call.is_unauthenticated = true);
    }

    /// Its connection.
    pub(crate) fn connection(&self) -> &TrackedConnection {
        &self.connection
    }

    /// Its answer, which keeps `held` until the peer has read it.
    pub(crate) fn answer<Held: Send + 'static>(self, body: Body, held: Held) -> Body {
        body::tracked(body, self, held)
    }

    fn set_unread_since(&self, time: Option<Instant>) {
        self.update(|call| call.unread_since = time);
    }

    fn update(&self, change: impl FnOnce(&mut CallState)) {
        if let Some(call) = self.connection.0.calls.lock().in_flight.get_mut(&self.number) {
            change(call);
        }
    }
}

impl Drop for TrackedCall {
    fn drop(&mut self) {
        self.connection.0.calls.lock().in_flight.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_of_no_connection_is_not_local() {
        let peer = TrackedConnection::peer_of(&Extensions::new());
        assert!(!peer.is_local);
        assert_eq!(peer.place, "anonymous");
    }
}
