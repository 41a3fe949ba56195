//! A connection: where it comes from, what is under way on it, and when it is cut.
//!
//! It is cut when its peer does not take an answer for too long, and when the server is full and it does nothing: so neither
//! who reads slowly nor who only connects takes anything from the others for long.

use std::{
    collections::{HashMap, VecDeque},
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, task::AtomicWaker};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Interval, MissedTickBehavior},
};
use tonic::{Status, body::Body, transport::server::Connected};

use super::peer::Peer;

/// How often a connection looks whether its peer takes its answers.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of a connection; in the extensions of every request that comes over it.
#[derive(Clone)]
pub(super) struct Line(Arc<Inner>);

struct Inner {
    peer: Arc<Peer>,
    answers: Mutex<Answers>,
    is_cut: AtomicBool,
    /// The task of the connection, for when it is cut.
    waker: AtomicWaker,
}

/// Calls on a connection, by number: when the last part of the answer was handed over that the peer has left no room after.
#[derive(Default)]
struct Answers {
    last: u64,
    under_way: HashMap<u64, Option<Instant>>,
}

/// A call on a line, until its answer is taken.
pub(super) struct OnLine {
    line: Line,
    number: u64,
}

/// All lines of a server, the oldest first, and how many there may be.
#[derive(Clone)]
pub(super) struct Lines {
    limit: usize,
    send_timeout: Duration,
    open: Arc<Mutex<VecDeque<Weak<Inner>>>>,
}

pin_project! {
    /// The socket of a line.
    pub(super) struct Wire<IO> {
        #[pin]
        io: IO,
        line: Line,
        look: Interval,
        send_timeout: Duration,
    }
}

pin_project! {
    /// An answer, which holds on to what its call holds until it is taken.
    pub(super) struct Taken<Held> {
        #[pin]
        body: Body,
        call: OnLine,
        held: Held,
    }
}

// === impl Lines ===

impl Lines {
    pub(super) fn new(limit: usize, send_timeout: Duration) -> Self {
        Self { limit, send_timeout, open: Arc::default() }
    }

    /// Makes lines of connections. Where there are too many, the oldest that does nothing is cut; where all do something, the
    /// new one is.
    pub(super) fn of<IO, E>(
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

    fn open<IO>(&self, io: IO) -> Option<Wire<IO>>
    where
        IO: Connected,
        Peer: From<IO::ConnectInfo>,
    {
        let mut open = lock(&self.open);
        open.retain(|line| line.strong_count() > 0);
        if open.len() >= self.limit {
            let idle = open.iter().filter_map(Weak::upgrade).find(|line| line.is_idle());
            match idle {
                Some(idle) => idle.cut(),
                None => {
                    tracing::warn!(
                        limit = self.limit,
                        "a connection is refused: as many as may be are in use"
                    );
                    return None;
                }
            }
        }
        let peer = Arc::new(Peer::from(io.connect_info()));
        let line = Arc::new(Inner {
            peer,
            answers: Mutex::default(),
            is_cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        open.push_back(Arc::downgrade(&line));
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Some(Wire { io, line: Line(line), look, send_timeout: self.send_timeout })
    }
}

// === impl Line ===

impl Line {
    /// Where it comes from.
    pub(super) fn peer(&self) -> Arc<Peer> {
        self.0.peer.clone()
    }

    /// A call begins.
    pub(super) fn begin(&self) -> OnLine {
        let mut answers = lock(&self.0.answers);
        answers.last += 1;
        let number = answers.last;
        answers.under_way.insert(number, None);
        OnLine { line: self.clone(), number }
    }
}

impl Inner {
    fn is_idle(&self) -> bool {
        !self.is_cut.load(Ordering::Relaxed) && lock(&self.answers).under_way.is_empty()
    }

    fn is_stalled(&self, patience: Duration) -> bool {
        let now = Instant::now();
        let answers = lock(&self.answers);
        answers.under_way.values().flatten().any(|since| now.duration_since(*since) > patience)
    }

    fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
        self.waker.wake();
    }
}

// === impl OnLine ===

impl OnLine {
    /// A part of the answer was handed over, or there is room for the next one.
    fn note(&self, handed_over: Option<Instant>) {
        lock(&self.line.0.answers).under_way.insert(self.number, handed_over);
    }

    /// An answer of this call, which holds on to something until it is taken.
    pub(super) fn answer<Held: Send + 'static>(self, body: Body, held: Held) -> Body {
        Body::new(Taken { body, call: self, held })
    }
}

impl Drop for OnLine {
    fn drop(&mut self) {
        lock(&self.line.0.answers).under_way.remove(&self.number);
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

impl<IO: AsyncRead> AsyncRead for Wire<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        this.line.0.waker.register(context.waker());
        if this.line.0.is_cut.load(Ordering::Relaxed) {
            return Poll::Ready(Err(io::Error::other("the server is full and this connection does nothing")));
        }
        while this.look.poll_tick(context).is_ready() {
            if this.line.0.is_stalled(*this.send_timeout) {
                tracing::info!(
                    peer = this.line.0.peer.place,
                    "a connection is cut: its peer does not take its answers"
                );
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "answers are not taken")));
            }
        }
        this.io.poll_read(context, buffer)
    }
}

impl<IO: AsyncWrite> AsyncWrite for Wire<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        self.project().io.poll_write(context, buffer)
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
        self.project().io.poll_write_vectored(context, buffers)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// No lock is held across anything that could panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
