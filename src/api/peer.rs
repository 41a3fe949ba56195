//! Whoever is at the other end of a connection, as far as the connection tells.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

/// Where a connection comes from.
pub(super) struct Peer {
    /// For the audit, as long as nobody knows who it is.
    pub(super) place: String,
    /// Whether it is on this machine.
    pub(super) is_local: bool,
    /// Whether it comes through a Unix socket.
    pub(super) is_unix: bool,
    /// The certificates that the client showed, leaf first.
    pub(super) chain: Option<Arc<Vec<CertificateDer<'static>>>>,
}

// === impl Peer ===

impl Peer {
    pub(super) fn nobody() -> Self {
        Self { place: "anonymous".to_owned(), is_local: false, is_unix: false, chain: None }
    }

    /// The same, with the certificates that it showed.
    pub(super) fn showing(&self, chain: Option<Arc<Vec<CertificateDer<'static>>>>) -> Self {
        let Self { place, is_local, is_unix, .. } = self;
        Self { place: place.clone(), is_local: *is_local, is_unix: *is_unix, chain }
    }
}

impl From<TcpConnectInfo> for Peer {
    fn from(tcp: TcpConnectInfo) -> Self {
        let address = tcp.remote_addr().map(|address| address.ip().to_canonical());
        let is_local = address.is_some_and(|address| address.is_loopback());
        address.map_or_else(Self::nobody, |address| Self {
            place: format!("anonymous@{address}"),
            is_local,
            is_unix: false,
            chain: None,
        })
    }
}

impl From<UdsConnectInfo> for Peer {
    fn from(unix: UdsConnectInfo) -> Self {
        let place = match unix.peer_cred {
            Some(peer) => format!("unix:uid={}", peer.uid()),
            None => "unix".to_owned(),
        };
        Self { place, is_local: true, is_unix: true, chain: None }
    }
}
