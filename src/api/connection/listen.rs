//! Where the server listens: TCP addresses and Unix sockets, and accepting that outlives a lack of file descriptors.

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

/// Where dead peers are found out when nothing is sent.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
/// Between tries to accept while there is no file descriptor for it.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A place that is listened at.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

/// The file of a Unix socket; gone with it.
pub(crate) struct SocketFile(PathBuf);

// === impl Listener ===

impl Listener {
    pub(crate) async fn bind(listen: &Listen) -> Result<Self, ServerError> {
        let error = |source| ServerError::Listen { at: listen.to_string(), source };
        match listen {
            Listen::Tcp(address) => bind(*address).await.map(Self::Tcp),
            Listen::Unix(path) => {
                make_way(path).await.map_err(error)?;
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
        // Whoever removed it before us did no harm.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Takes an address.
pub(crate) async fn bind(address: SocketAddr) -> Result<TcpListener, ServerError> {
    let error = |source| ServerError::Listen { at: address.to_string(), source };
    TcpListener::bind(address).await.map_err(error)
}

/// Connections to an address.
pub(crate) fn tcp(listener: TcpListener) -> impl Stream<Item = Result<TcpStream, Infallible>> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true)).with_keepalive(Some(TCP_KEEPALIVE));
    patient(incoming)
}

/// Connections to a socket file.
pub(crate) fn unix(listener: UnixListener) -> impl Stream<Item = Result<UnixStream, Infallible>> {
    patient(UnixListenerStream::new(listener))
}

/// What can't be accepted now may be accepted later: no error of one connection ends the server.
fn patient<T>(incoming: impl Stream<Item = io::Result<T>>) -> impl Stream<Item = Result<T, Infallible>> {
    incoming.filter_map(async |accepted| match accepted {
        Ok(connection) => Some(Ok(connection)),
        Err(error) => {
            tracing::warn!(error = %Quote::error(&error), "a connection could not be accepted");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    })
}

/// Removes the file of a process that is gone; leaves one that still listens, and what is no socket.
async fn make_way(path: &Path) -> io::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !metadata.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is in the way"));
    }
    match UnixStream::connect(path).await {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Binds under another name and renames, so that the file is never open to others, not even for a moment.
fn bind_for_owner(path: &Path) -> io::Result<UnixListener> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let unready = path.with_file_name(name);
    let _ = std::fs::remove_file(&unready);
    let listener = UnixListener::bind(&unready)?;
    let ready = std::fs::set_permissions(&unready, std::fs::Permissions::from_mode(0o600))
        .and_then(|()| std::fs::rename(&unready, path));
    ready.inspect_err(|_| drop(std::fs::remove_file(&unready)))?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_file_is_its_owners_alone_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        let listener = Listener::bind(&Listen::Unix(path.clone())).await.unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).await.unwrap();
        drop(listener);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_stale_socket_file_is_replaced_and_one_in_use_or_another_file_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("api.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&Listen::Unix(path.clone())).await.unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone())).await.err().unwrap().to_string();
        assert!(error.contains("api.sock") && error.contains("another process"), "{error}");
        drop(listener);

        std::fs::write(&path, "precious").unwrap();
        let error = Listener::bind(&Listen::Unix(path.clone())).await.err().unwrap().to_string();
        assert!(error.contains("no socket"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_of_one_connection_ends_nothing() {
        let accepted = [Err(io::Error::other("out of file descriptors")), Ok(7), Ok(8)];
        let connections: Vec<_> = patient(futures::stream::iter(accepted)).collect().await;
        assert_eq!(connections, [Ok(7), Ok(8)]);
    }
}
