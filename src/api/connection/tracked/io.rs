//! The socket of a tracked connection: counts the bytes, and fails when the connection must be closed.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Interval, MissedTickBehavior},
};
use tonic::transport::server::Connected;

use super::TrackedConnection;

/// How often a connection checks whether its peer reads its answers.
const STALL_CHECK_INTERVAL: Duration = Duration::from_secs(1);

pin_project! {
    /// The socket of a tracked connection.
    pub(crate) struct TrackedIo<IO> {
        #[pin]
        io: IO,
        connection: TrackedConnection,
        check: Interval,
        send_timeout: Duration,
    }
}

// === impl TrackedIo ===

impl<IO> Connected for TrackedIo<IO> {
    type ConnectInfo = TrackedConnection;

    fn connect_info(&self) -> TrackedConnection {
        self.connection.clone()
    }
}

impl<IO> TrackedIo<IO> {
    pub(crate) fn new(io: IO, connection: TrackedConnection, send_timeout: Duration) -> Self {
        let mut check = tokio::time::interval(STALL_CHECK_INTERVAL);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { io, connection, check, send_timeout }
    }

    pub(crate) fn connection(&self) -> &TrackedConnection {
        &self.connection
    }

    /// Fails if the connection must be closed now. Called on every read and write, because a stalled peer may
    /// allow only one of them.
    fn check(
        check: &mut Interval,
        (connection, send_timeout): (&TrackedConnection, Duration),
        context: &mut Context<'_>,
    ) -> io::Result<()> {
        connection.0.waker.register(context.waker());
        if connection.0.is_closed() {
            return Err(io::Error::other("an idle connection was closed to make room for another one"));
        }
        while check.poll_tick(context).is_ready() {
            if connection.0.is_stalled(send_timeout) {
                tracing::info!(
                    peer = connection.0.peer.place,
                    "closed a connection whose peer did not read its answers"
                );
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer does not read its answers"));
            }
        }
        Ok(())
    }
}

impl<IO: AsyncRead> AsyncRead for TrackedIo<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        Self::check(this.check, (this.connection, *this.send_timeout), context)?;
        let before = buffer.filled().len();
        let read = this.io.poll_read(context, buffer);
        this.connection.0.add_transferred(buffer.filled().len() - before);
        read
    }
}

impl<IO: AsyncWrite> AsyncWrite for TrackedIo<IO> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.project();
        Self::check(this.check, (this.connection, *this.send_timeout), context)?;
        let written = this.io.poll_write(context, buffer);
        add_written(this.connection, &written);
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
        Self::check(this.check, (this.connection, *this.send_timeout), context)?;
        let written = this.io.poll_write_vectored(context, buffers);
        add_written(this.connection, &written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

fn add_written(connection: &TrackedConnection, written: &Poll<io::Result<usize>>) {
    if let Poll::Ready(Ok(bytes)) = written {
        connection.0.add_written(*bytes);
    }
}
