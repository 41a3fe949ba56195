//! TLS handshakes: many at a time, each with a timeout. A connection that stalls in its handshake is an
//! unauthenticated connection, and is closed for a new one as any other.

use std::{convert::Infallible, time::Duration};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Certificates;
use crate::{api::connection::tracked::TrackedIo, quote::Quote};

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections whose handshake succeeded. The limits on connections bound how many are in progress.
pub(crate) fn secured<IO>(
    incoming: impl Stream<Item = Result<TrackedIo<IO>, Infallible>>,
    certificates: Certificates,
) -> impl Stream<Item = Result<TlsStream<TrackedIo<IO>>, Infallible>>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async_stream::stream! {
        let mut incoming = std::pin::pin!(incoming);
        let mut in_progress = JoinSet::new();
        loop {
            tokio::select! {
                accepted = incoming.next() => match accepted {
                    Some(Ok(connection)) => {
                        let acceptor = TlsAcceptor::from(certificates.server());
                        in_progress.spawn(handshake(acceptor, connection));
                    }
                    Some(Err(never)) => match never {},
                    None => break,
                },
                Some(done) = in_progress.join_next() => {
                    if let Ok(Some(connection)) = done {
                        yield Ok(connection);
                    }
                }
            }
        }
    }
}

async fn handshake<IO>(acceptor: TlsAcceptor, connection: TrackedIo<IO>) -> Option<TlsStream<TrackedIo<IO>>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, acceptor.accept(connection)).await {
        Ok(Ok(connection)) => {
            let (tracked, session) = connection.get_ref();
            tracked.connection().secured(session.peer_certificates());
            Some(connection)
        }
        Ok(Err(error)) => {
            tracing::debug!(error = %Quote::error(&error), "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
