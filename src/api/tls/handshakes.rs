//! Handshakes: many at a time, none for long, and whoever begins and says no more gives way to whoever comes next.

use std::{collections::VecDeque, convert::Infallible, time::Duration};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::{AbortHandle, JoinSet},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Certificates;
use crate::quote::Quote;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at a time. One more ends the oldest: connections that only begin keep nobody out.
const HANDSHAKES: usize = 1_024;

/// Connections whose handshake is done.
pub(in crate::api) fn secured<IO>(
    incoming: impl Stream<Item = Result<IO, Infallible>>,
    certificates: Certificates,
) -> impl Stream<Item = Result<TlsStream<IO>, Infallible>>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async_stream::stream! {
        let mut incoming = std::pin::pin!(incoming);
        let mut under_way = Handshakes::default();
        loop {
            tokio::select! {
                accepted = incoming.next() => match accepted {
                    Some(Ok(connection)) => under_way.begin(connection, &certificates),
                    Some(Err(never)) => match never {},
                    None => break,
                },
                Some(done) = under_way.tasks.join_next() => {
                    if let Ok(Some(connection)) = done {
                        yield Ok(connection);
                    }
                }
            }
        }
    }
}

/// Handshakes under way, the oldest first.
struct Handshakes<IO> {
    tasks: JoinSet<Option<TlsStream<IO>>>,
    by_age: VecDeque<AbortHandle>,
}

// === impl Handshakes ===

impl<IO> Default for Handshakes<IO> {
    fn default() -> Self {
        Self { tasks: JoinSet::new(), by_age: VecDeque::new() }
    }
}

impl<IO: AsyncRead + AsyncWrite + Send + Unpin + 'static> Handshakes<IO> {
    fn begin(&mut self, connection: IO, certificates: &Certificates) {
        while self.by_age.front().is_some_and(AbortHandle::is_finished) {
            self.by_age.pop_front();
        }
        if self.tasks.len() >= HANDSHAKES
            && let Some(oldest) = self.by_age.pop_front()
        {
            oldest.abort();
        }
        let acceptor = TlsAcceptor::from(certificates.server());
        self.by_age.push_back(self.tasks.spawn(async move {
            match tokio::time::timeout(HANDSHAKE, acceptor.accept(connection)).await {
                Ok(Ok(connection)) => Some(connection),
                Ok(Err(error)) => {
                    tracing::debug!(error = %Quote::error(&error), "a TLS handshake failed");
                    None
                }
                Err(_) => None,
            }
        }));
    }
}
