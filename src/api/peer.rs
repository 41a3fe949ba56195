//! Whoever is at the other end of a connection, as far as the connection tells.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use rustls::pki_types::CertificateDer;
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};

/// Where a connection comes from.
pub(super) struct Peer {
    /// For the audit, as long as nobody knows who it is.
    pub(super) place: String,
    /// What counts as one address: a host has as many of IPv6 as it likes, out of the 2^64 of its network.
    pub(super) network: String,
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
        let place = "anonymous".to_owned();
        Self { network: place.clone(), place, is_local: false, is_unix: false, chain: None }
    }

    /// The same, with the certificates that it showed.
    pub(super) fn showing(&self, chain: Option<Arc<Vec<CertificateDer<'static>>>>) -> Self {
        let Self { place, network, is_local, is_unix, .. } = self;
        let (place, network) = (place.clone(), network.clone());
        Self { place, network, is_local: *is_local, is_unix: *is_unix, chain }
    }
}

impl From<TcpConnectInfo> for Peer {
    fn from(tcp: TcpConnectInfo) -> Self {
        let address = tcp.remote_addr().map(|address| address.ip().to_canonical());
        let is_local = address.is_some_and(|address| address.is_loopback());
        address.map_or_else(Self::nobody, |address| Self {
            place: format!("anonymous@{address}"),
            network: network(address).to_string(),
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
        Self { network: place.clone(), place, is_local: true, is_unix: true, chain: None }
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_a_host_count_as_one() {
        let of = |text: &str| network(text.parse().unwrap()).to_string();
        assert_eq!(of("2001:db8:1:2:3:4:5:6"), of("2001:db8:1:2::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
