//! A connection: where it comes from, what is under way on it, and when it is cut.
//!
//! It is cut when its peer does not take an answer for too long, and when it has to give way to another one: so neither who reads
//! slowly nor who only connects takes anything from the others for long.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::Extensions;
use http_body::{Frame, SizeHint};
use parking_lot::{Mutex, MutexGuard};
use pin_project_lite::pin_project;
use rustls::pki_types::CertificateDer;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Interval, MissedTickBehavior},
};
use tonic::{
    Status,
    body::Body,
    transport::server::{Connected, TlsConnectInfo},
};

use crate::api::connection::peer::Peer;

/// How often a connection looks whether its peer takes its answers.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a peer far away may take to make room for the next part of an answer.
const BETWEEN_PARTS: Duration = Duration::from_secs(1);

/// What is known of a connection; in the extensions of every request that comes over it.
#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) peer: Arc<Peer>,
    /// The same with what it showed in the handshake of TLS, once that is done.
    secured: OnceLock<Arc<Peer>>,
    /// Who was let in on it first: whose it is.
    owner: OnceLock<Arc<str>>,
    calls: Mutex<Calls>,
    /// Bytes that were read and written.
    moved: AtomicU64,
    is_cut: AtomicBool,
    /// The task of the connection, for when it is cut.
    waker: AtomicWaker,
}

/// Calls on a connection, by number.
#[derive(Default)]
struct Calls {
    last: u64,
    under_way: HashMap<u64, UnderWay>,
    /// How much had moved when that was last looked at, and since when no more has.
    still: Option<(u64, Instant)>,
}

#[derive(Default)]
struct UnderWay {
    /// When the last part of the answer was handed over that the peer has left no room after.
    handed_over: Option<Instant>,
    /// Whether its caller was let in; health and reflection are open to everybody.
    is_let_in: bool,
    /// Whether it is one of health or reflection, which nobody waits for the end of.
    is_open: bool,
}

/// A call on a line, until its answer is taken.
pub(crate) struct OnLine {
    line: Line,
    number: u64,
}

pin_project! {
    /// The socket of a line.
    pub(crate) struct Wire<IO> {
        #[pin]
        io: IO,
        line: Line,
        look: Interval,
        send_timeout: Duration,
    }
}

pin_project! {
    /// An answer, which holds on to what its call holds until it is taken.
    pub(crate) struct Taken<Held> {
        #[pin]
        body: Body,
        call: OnLine,
        held: Held,
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self(inner)
    }

    /// The line that a request comes over.
    pub(crate) fn of(request: &Extensions) -> Option<&Self> {
        request.get::<Self>().or_else(|| request.get::<TlsConnectInfo<Self>>().map(TlsConnectInfo::get_ref))
    }

    /// Where it comes from, and what it showed.
    pub(crate) fn peer(&self) -> Arc<Peer> {
        self.0.secured.get().unwrap_or(&self.0.peer).clone()
    }

    /// The handshake is done, and showed these certificates.
    pub(crate) fn secured(&self, chain: Option<&[CertificateDer<'static>]>) {
        let chain = chain.map(|chain| Arc::new(chain.to_vec()));
        // There is one handshake on a connection.
        let _ = self.0.secured.set(Arc::new(self.0.peer.showing(chain)));
    }

    /// Who was let in on it first.
    pub(crate) fn owner(&self) -> Option<&Arc<str>> {
        self.0.owner.get()
    }

    /// A call begins.
    pub(crate) fn begin(&self) -> OnLine {
        let mut calls = lock(&self.0.calls);
        calls.last += 1;
        let number = calls.last;
        calls.under_way.insert(number, UnderWay::default());
        OnLine { line: self.clone(), number }
    }
}

impl Inner {
    pub(crate) fn new(peer: Peer) -> Self {
        Self {
            peer: Arc::new(peer),
            secured: OnceLock::new(),
            owner: OnceLock::new(),
            calls: Mutex::default(),
            moved: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        }
    }

    /// Whether somebody was let in on it.
    pub(crate) fn is_owned(&self) -> bool {
        self.owner.get().is_some()
    }

    /// Whether a caller was the first.
    pub(crate) fn is_owned_by(&self, caller: &str) -> bool {
        self.owner.get().is_some_and(|owner| **owner == *caller)
    }

    /// Whether nothing is under way on it but what is open to everybody.
    pub(crate) fn is_idle(&self) -> bool {
        !lock(&self.calls).under_way.values().any(|call| call.is_let_in)
    }

    /// Whether nobody can miss it any more: no call is under way on it, and as far as this was asked, nothing has moved on it for as long
    /// as the rest of an answer may take from one of its parts to the next. Where there was no call yet, nothing has to move.
    pub(crate) fn is_done(&self) -> bool {
        let (now, moved) = (Instant::now(), self.moved.load(Ordering::Relaxed));
        let mut calls = lock(&self.calls);
        if calls.under_way.values().any(|call| !call.is_open) {
            calls.still = None;
            return false;
        }
        let still = calls.still.filter(|(before, _)| *before == moved);
        let (_, since) = *calls.still.insert(still.unwrap_or((moved, now)));
        calls.last == 0 || now.duration_since(since) >= BETWEEN_PARTS
    }

    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut.load(Ordering::Relaxed)
    }

    pub(crate) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        self.waker.wake();
    }

    fn note_moved(&self, bytes: usize) {
        self.moved.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn note_written(&self, written: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(bytes)) = written {
            self.note_moved(*bytes);
        }
    }

    fn is_stalled(&self, patience: Duration) -> bool {
        let now = Instant::now();
        let calls = lock(&self.calls);
        let mut handed_over = calls.under_way.values().filter_map(|call| call.handed_over);
        handed_over.any(|since| now.duration_since(since) > patience)
    }
}

// === impl OnLine ===

impl OnLine {
    /// A part of the answer was handed over, or there is room for the next one.
    fn note(&self, handed_over: Option<Instant>) {
        self.update(|call| call.handed_over = handed_over);
    }

    /// Its caller was let in. True where nobody was on this connection before.
    pub(crate) fn let_in(&self, caller: &str) -> bool {
        self.update(|call| call.is_let_in = true);
        !self.line.0.is_owned() && self.line.0.owner.set(caller.into()).is_ok()
    }

    /// It is one of health or reflection.
    pub(crate) fn is_open(&self) {
        self.update(|call| call.is_open = true);
    }

    /// What it is a call on.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    fn update(&self, change: impl FnOnce(&mut UnderWay)) {
        if let Some(call) = lock(&self.line.0.calls).under_way.get_mut(&self.number) {
            change(call);
        }
    }

    /// An answer of this call, which holds on to something until it is taken.
    pub(crate) fn answer<Held: Send + 'static>(self, body: Body, held: Held) -> Body {
        Body::new(Taken { body, call: self, held })
    }
}

impl Drop for OnLine {
    fn drop(&mut self) {
        lock(&self.line.0.calls).under_way.remove(&self.number);
    }
}

// === impl Taken ===

impl<Held> http_body::Body for Taken<Held> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.project();
        // Whoever polls has room for more.
        this.call.note(None);
        let frame = ready!(this.body.poll_frame(context));
        this.call.note(Some(Instant::now()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl Wire ===

impl<IO> Connected for Wire<IO> {
    type ConnectInfo = Line;

    fn connect_info(&self) -> Line {
        self.line.clone()
    }
}

impl<IO> Wire<IO> {
    pub(crate) fn new(io: IO, line: Line, send_timeout: Duration) -> Self {
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { io, line, look, send_timeout }
    }

    /// What it is the socket of.
    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    /// Why the connection ends now, where it does. Asked whenever something is read or written: a peer that takes nothing lets us do
    /// no more than one of both.
    fn end(
        look: &mut Interval,
        (line, send_timeout): (&Line, Duration),
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        line.0.waker.register(context.waker());
        if line.0.is_cut() {
            return Err(io::Error::other("it does nothing, and gives way to another connection"));
        }
        while look.poll_tick(context).is_ready() {
            if line.0.is_stalled(send_timeout) {
                tracing::info!(
                    peer = line.0.peer.place,
                    "a connection is cut: its peer does not take its answers"
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, "answers are not taken"));
            }
        }
        Ok(())
    }
}

impl<IO: AsyncRead> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        Self::end(this.look, (this.line, *this.send_timeout), context)?;
        let before = buffer.filled().len();
        let read = this.io.poll_read(context, buffer);
        this.line.0.note_moved(buffer.filled().len() - before);
        read
    }
}

impl<IO: AsyncWrite> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        Self::end(this.look, (this.line, *this.send_timeout), context)?;
        let written = this.io.poll_write(context, buffer);
        this.line.0.note_written(&written);
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().io.poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        Self::end(this.look, (this.line, *this.send_timeout), context)?;
        let written = this.io.poll_write_vectored(context, buffers);
        this.line.0.note_written(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// No lock is held across anything that could panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
