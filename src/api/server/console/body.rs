//! The body of an answer of the console, in small parts: the send timeout applies to each of them, so that a slow line is no
//! reason to cut it. All of them together have a deadline: whoever takes a byte now and then must not keep the place of others.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};
use tonic::body::Body;

use crate::api::connection::tracked::TrackedConnection;

/// The size of a part.
const PART: usize = 16 * 1024;
/// How many bytes may wait in the buffers of a connection of HTTP/1.1.
const AHEAD: u64 = 64 * 1024;
/// How often a connection is asked how far it is.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest time for all of an answer, in send timeouts: with the usual one, the largest file arrives over a line of
/// 30 kbit/s, even uncompressed.
const LONGEST: u32 = 3;

/// A body that shares its content with all others of the same file.
pub(super) struct ChunkedBody {
    rest: Bytes,
    /// When all of it must have been taken.
    deadline: Instant,
    pace: Option<Pace>,
}

/// Gives content to a connection of HTTP/1.1 as fast as its peer takes it. Without this, hyper would take all of it, and over
/// TLS copy it; in HTTP/2, each stream has a window.
pub(super) struct Pace {
    connection: TrackedConnection,
    /// What the connection had written before.
    begun: u64,
    /// What it was given.
    given: u64,
    /// How far it was, and since when, if it must write first.
    waiting: Option<(u64, Instant)>,
    /// How long it may write nothing.
    send_timeout: Duration,
    pause: Pin<Box<Sleep>>,
}

// === impl ChunkedBody ===

impl ChunkedBody {
    /// The body of an answer that begins now.
    pub(super) fn body(content: Bytes, send_timeout: Duration, pace: Option<Pace>) -> Body {
        Body::new(Self::new(content, send_timeout, pace))
    }

    fn new(content: Bytes, send_timeout: Duration, pace: Option<Pace>) -> Self {
        Self { rest: content, deadline: Instant::now() + send_timeout * LONGEST, pace }
    }
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        // Whoever waits for room asks again soon. In HTTP/2, the connection asks when there is room for a part, and is closed
        // if there is none for a send timeout.
        if Instant::now() >= self.deadline {
            return Poll::Ready(Some(Err(timed_out("the peer reads its answer too slowly"))));
        }
        let size = PART.min(self.rest.len());
        if let Some(pace) = &mut self.pace {
            ready!(pace.poll_room(context))?;
            pace.given += size as u64;
        }
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

// === impl Pace ===

impl Pace {
    /// The pace of an answer that begins now.
    pub(super) fn of(connection: &TrackedConnection, send_timeout: Duration) -> Self {
        Self {
            begun: connection.written(),
            connection: connection.clone(),
            given: 0,
            waiting: None,
            send_timeout,
            pause: Box::pin(sleep(Duration::ZERO)),
        }
    }

    /// Ready when there is room for another part. An error if nothing was written for too long.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (now, written) = (Instant::now(), self.connection.written() - self.begun);
        if self.given.saturating_sub(written) < AHEAD {
            self.waiting = None;
            return Poll::Ready(Ok(()));
        }
        match self.waiting {
            Some((before, since)) if before == written => {
                if now.duration_since(since) > self.send_timeout {
                    return Poll::Ready(Err(timed_out("the peer does not read its answer")));
                }
                self.pause.as_mut().reset(now + PAUSE);
                // Under load, the pause may be over before it was ever asked: then it wakes nobody.
                if self.pause.as_mut().poll(context).is_ready() {
                    context.waker().wake_by_ref();
                }
            }
            // The connection writes what it has before it asks again.
            _ => {
                self.waiting = Some((written, now));
                context.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }
}

fn timed_out(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, why)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::future::poll_fn;
    use http_body::Body as _;

    use super::*;
    use crate::api::connection::{peer::Peer, tracked::ConnectionState};

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// A long answer, and the connection that it is for.
    fn answer() -> (ChunkedBody, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState::new(Peer::unknown()));
        state.add_written(1_000);
        let pace = Pace::of(&TrackedConnection::new(state.clone()), TIMEOUT);
        (ChunkedBody::new(Bytes::from(vec![7; 1 << 20]), TIMEOUT, Some(pace)), state)
    }

    /// What the body gives before it waits for longer than this.
    async fn given(body: &mut ChunkedBody, patience: Duration) -> usize {
        let mut bytes = 0;
        loop {
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
            match tokio::time::timeout(patience, frame).await {
                Ok(Some(Ok(frame))) => bytes += frame.data_ref().unwrap().len(),
                Ok(Some(Err(error))) => panic!("{error}"),
                Ok(None) | Err(_) => return bytes,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_a_little_ahead_of_its_reader_and_no_more() {
        let (mut body, connection) = answer();
        let second = Duration::from_secs(1);
        assert_eq!(given(&mut body, second).await as u64, AHEAD);
        assert_eq!(given(&mut body, second).await, 0);
        connection.add_written(20_000);
        assert_eq!(given(&mut body, second).await, 2 * PART);
        connection.add_written(2 << 20);
        assert_eq!(given(&mut body, second).await, (1 << 20) - AHEAD as usize - 2 * PART);
        assert!(body.is_end_stream());
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_reader_is_served_and_one_that_stops_is_cut() {
        let (mut body, connection) = answer();
        for _ in 0..2 {
            given(&mut body, TIMEOUT - Duration::from_secs(1)).await;
            connection.add_written(100);
        }
        given(&mut body, TIMEOUT - Duration::from_secs(1)).await;
        let cut = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await;
        assert_eq!(cut.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_taken_byte_by_byte_ends() {
        let (mut body, connection) = answer();
        let begun = Instant::now();
        let cut = loop {
            let second = Duration::from_secs(1);
            let frame = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
            match tokio::time::timeout(second, frame).await {
                Ok(Some(Err(error))) => break error,
                Ok(frame) => assert!(frame.is_some(), "only a little of it was taken"),
                Err(_) => connection.add_written(1),
            }
        };
        assert_eq!(cut.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), TIMEOUT.as_secs() * u64::from(LONGEST));
    }
}
