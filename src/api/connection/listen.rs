//! Listeners: TCP addresses and Unix sockets. Accepting continues when the process runs out of file
//! descriptors.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use futures::{Stream, StreamExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::server::TcpIncoming;

use crate::api::options::{Listen, ServerError};
use crate::quote::Quote;

/// After this long without data, the kernel checks whether the peer is alive.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// The pause before the next attempt to accept after one failed.
const ACCEPT_RETRY_DELAY: Duration = Duration::from_millis(100);

/// A bound listener.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket; removed when it is dropped.
pub(crate) struct SocketFile(PathBuf);

// === impl Listener ===

impl Listener {
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, ServerError> {
        let error = |source| ServerError::Listen { at: listen.to_string(), source };
        match listen {
            Listen::Tcp(address) => bind(*address).await.map(Self::Tcp),
            Listen::Unix(path) => {
                remove_stale_socket(path).await.map_err(error)?;
                let listener = bind_for_owner(path).map_err(error)?;
                Ok(Self::Unix(listener, SocketFile(path.clone())))
            }
        }
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // It may have been removed already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Binds a TCP address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let error = |source| ServerError::Listen { at: address.to_string(), source };
    TcpListener::bind(address).await.map_err(error)
}

/// The connections to a TCP listener.
pub(crate) fn tcp(listener: TcpListener) -> impl Stream<Item = Result<TcpStream, Infallible>> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    accept_forever(incoming)
}

/// The connections to a Unix socket.
pub(crate) fn unix(listener: UnixListener) -> impl Stream<Item = Result<UnixStream, Infallible>> {
    accept_forever(UnixListenerStream::new(listener))
}

/// Continues after errors: no failed connection stops the server.
fn accept_forever<T>(
    incoming: impl Stream<Item = io::Result<T>>,
) -> impl Stream<Item = Result<T, Infallible>> {
    incoming.filter_map(async |accepted| match accepted {
        Ok(connection) => Some(Ok(connection)),
        Err(error) => {
            tracing::warn!(error = %Quote::error(&error), "failed to accept a connection; trying again");
            tokio::time::sleep(ACCEPT_RETRY_DELAY).await;
            None
        }
    })
}

/// Removes the socket of a process that is gone. Fails if a process still listens there, or if the file is
/// not a socket.
async fn remove_stale_socket(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file exists and is not a socket"));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens at this socket")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Binds under another name and renames, so that other users can never connect.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let temporary = path.with_file_name(name);
    let _ = std::fs::remove_file(&temporary);
    let listener = UnixListener::bind(&temporary)?;
    let renamed = std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&temporary, path));
    renamed.inspect_err(|_| drop(std::fs::remove_file(&temporary)))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_file_is_only_for_its_owner_and_is_removed_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let listener = Listener::bind(&Listen::Unix(path.clone())).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(listener);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_file_is_replaced_but_not_one_in_use_or_another_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&Listen::Unix(path.clone())).await.unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone())).await.err().unwrap().to_string();
        assert!(error.contains("api.sock") && error.contains("another process"), "{error}");
        drop(listener);

        std::fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone())).await.err().unwrap().to_string();
        assert!(error.contains("not a socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_connection_does_not_stop_accepting() {
        let accepted = [Err(io::Error::other("out of file descriptors")), Ok(7), Ok(8)];
        let connections: Vec<_> = accept_forever(futures::stream::iter(accepted)).collect().await;
        assert_eq!(connections, [Ok(7), Ok(8)]);
    }
}
