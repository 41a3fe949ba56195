//! Handshakes: many at a time, and none for long. Whoever begins and says no more is an open connection as any other, and gives way.

use std::{convert::Infallible, time::Duration};

use futures::{Stream, StreamExt};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::Certificates;
use crate::{api::connection::tracked::Wire, quote::Quote};

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Connections whose handshake is done. As many are under way as there may be connections.
pub(crate) fn secured<IO>(
    incoming: impl Stream<Item = Result<Wire<IO>, Infallible>>,
    certificates: Certificates,
) -> impl Stream<Item = Result<TlsStream<Wire<IO>>, Infallible>>
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    async_stream::stream! {
        let mut incoming = std::pin::pin!(incoming);
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                accepted = incoming.next() => match accepted {
                    Some(Ok(connection)) => {
                        let acceptor = TlsAcceptor::from(certificates.server());
                        under_way.spawn(handshake(acceptor, connection));
                    }
                    Some(Err(never)) => match never {},
                    None => break,
                },
                Some(done) = under_way.join_next() => {
                    if let Ok(Some(connection)) = done {
                        yield Ok(connection);
                    }
                }
            }
        }
    }
}

async fn handshake<IO>(acceptor: TlsAcceptor, connection: Wire<IO>) -> Option<TlsStream<Wire<IO>>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(HANDSHAKE, acceptor.accept(connection)).await {
        Ok(Ok(connection)) => {
            let (wire, session) = connection.get_ref();
            wire.line().secured(session.peer_certificates());
            Some(connection)
        }
        Ok(Err(error)) => {
            tracing::debug!(error = %Quote::error(&error), "a TLS handshake failed");
            None
        }
        Err(_) => None,
    }
}
