//! The peer of a connection: its address, and the certificates that it showed.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

/// The peer of a connection.
pub(crate) struct Peer {
    /// Its name in the audit while it is not authenticated: `anonymous@192.0.2.1`, `unix:uid=1000`.
    pub(crate) place: String,
    /// Whether it is on this machine.
    pub(crate) is_local: bool,
    /// Whether it connected to a Unix socket.
    pub(crate) is_unix: bool,
    /// The certificates that the client showed, leaf first.
    pub(crate) chain: Option<Arc<Vec<CertificateDer<'static>>>>,
}

// === impl Peer ===

impl Peer {
    pub(crate) fn unknown() -> Self {
        Self { place: "anonymous".to_owned(), is_local: false, is_unix: false, chain: None }
    }

    /// The same peer with the certificates that it showed.
    pub(crate) fn with_certificates(&self, chain: Option<Arc<Vec<CertificateDer<'static>>>>) -> Self {
        let Self { place, is_local, is_unix, .. } = self;
        Self { place: place.clone(), is_local: *is_local, is_unix: *is_unix, chain }
    }
}

impl From<TcpConnectInfo> for Peer {
    fn from(tcp: TcpConnectInfo) -> Self {
        let address = tcp.remote_addr().map(|address| address.ip().to_canonical());
        let is_local = address.is_some_and(|address| address.is_loopback());
        address.map_or_else(Self::unknown, |address| Self {
            place: format!("anonymous@{}", place(address)),
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

/// What counts as one address. An IPv6 host can use any of the 2^64 addresses of its network, so that network
/// counts.
fn place(address: IpAddr) -> String {
    match address {
        IpAddr::V6(address) if !address.is_loopback() => {
            format!("{}/64", Ipv6Addr::from_bits(address.to_bits() >> 64 << 64))
        }
        _ => address.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv6_addresses_of_a_network_count_as_one() {
        let of = |text: &str| place(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2::2"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!(of("192.0.2.1"), "192.0.2.1");
        assert_eq!(of("::1"), "::1");
    }
}
