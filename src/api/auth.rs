//! Who calls. Until callers are authenticated, all that is known of them is where they come from.

use tonic::{
    Extensions,
    transport::server::{TcpConnectInfo, TlsConnectInfo, UdsConnectInfo},
};

/// The actor of a call, for the audit: `anonymous@ADDRESS`, or `unix:uid=N` on a Unix socket.
pub(super) fn actor(connection: &Extensions) -> String {
    if let Some(local) = connection.get::<UdsConnectInfo>() {
        return match local.peer_cred {
            Some(peer) => format!("unix:uid={}", peer.uid()),
            None => "unix".to_owned(),
        };
    }
    let plain = connection.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr);
    let tls = || connection.get::<TlsConnectInfo<TcpConnectInfo>>()?.get_ref().remote_addr();
    match plain.or_else(tls) {
        Some(peer) => format!("anonymous@{}", peer.ip()),
        None => "anonymous".to_owned(),
    }
}
