//! Whoever is at the other end of a connection, as far as the connection tells.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo};

/// Where a connection comes from.
pub(super) struct Peer {
    /// For the audit, as long as nobody knows who it is.
    pub(super) place: String,
    /// Whether it is on this machine.
    pub(super) is_local: bool,
    /// The certificates that the client showed, leaf first.
    pub(super) chain: Option<Arc<Vec<CertificateDer<'static>>>>,
}

// === impl Peer ===

impl Peer {
    pub(super) fn nobody() -> Self {
        Self { place: "anonymous".to_owned(), is_local: false, chain: None }
    }
}

impl From<TcpConnectInfo> for Peer {
    fn from(tcp: TcpConnectInfo) -> Self {
        let address = tcp.remote_addr().map(|address| address.ip().to_canonical());
        let is_local = address.is_some_and(|address| address.is_loopback());
        address.map_or_else(Self::nobody, |address| Self {
            place: format!("anonymous@{address}"),
            is_local,
            chain: None,
        })
    }
}

impl From<TlsConnectInfo<TcpConnectInfo>> for Peer {
    fn from(tls: TlsConnectInfo<TcpConnectInfo>) -> Self {
        Self { chain: tls.peer_certs(), ..Self::from(tls.get_ref().clone()) }
    }
}

impl From<UdsConnectInfo> for Peer {
    fn from(unix: UdsConnectInfo) -> Self {
        let place = match unix.peer_cred {
            Some(peer) => format!("unix:uid={}", peer.uid()),
            None => "unix".to_owned(),
        };
        Self { place, is_local: true, chain: None }
    }
}
