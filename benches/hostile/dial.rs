//! Connections to the service, by hand: what no client that means well would do needs one that does what it is told.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use h2::{
    SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::Request;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_util::task::AbortOnDropHandle;

/// The places that attackers come from, beside the one of everybody else: 127.0.0.2 and on.
const PLACES: usize = 4;

/// Whom to attack, and tokens that are good for looking.
pub struct Target {
    pub address: SocketAddr,
    pub metrics: SocketAddr,
    pub tls: TlsConnector,
    pub tokens: [String; 2],
}

/// A connection that speaks HTTP/2, as long as it is kept.
pub struct Http2 {
    send: SendRequest<Bytes>,
    _connection: AbortOnDropHandle<()>,
}

/// A call that has begun: its answer, and the data of its request.
pub type Begun = (ResponseFuture, SendStream<Bytes>);

// === impl Target ===

impl Target {
    pub async fn tcp(&self, number: usize) -> io::Result<TcpStream> {
        self.tcp_to(self.address, number).await
    }

    pub async fn tcp_to(&self, address: SocketAddr, number: usize) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        let place = 2 + u8::try_from(number % PLACES).expect("they are few");
        socket.bind((Ipv4Addr::new(127, 0, 0, place), 0).into())?;
        let stream = socket.connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    pub async fn tls(&self, number: usize) -> io::Result<TlsStream<TcpStream>> {
        self.tls_over(self.tcp(number).await?).await
    }

    pub async fn http2(&self, number: usize) -> io::Result<Http2> {
        Http2::over(self.tls(number).await?).await
    }

    /// From where the good caller is.
    pub async fn http2_near(&self) -> io::Result<Http2> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Http2::over(self.tls_over(stream).await?).await
    }

    async fn tls_over(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost").expect("it is a name");
        self.tls.connect(name, stream).await
    }
}

// === impl Http2 ===

impl Http2 {
    async fn over(stream: TlsStream<TcpStream>) -> io::Result<Self> {
        let (send, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
        let connection = tokio::spawn(async move { drop(connection.await) });
        Ok(Self { send, _connection: AbortOnDropHandle::new(connection) })
    }

    /// Begins a call; the data of its request may follow.
    pub async fn begin(&self, request: Request<()>) -> Result<Begun, h2::Error> {
        self.send.clone().ready().await?.send_request(request, false)
    }
}

/// A certificate for this machine and its key, in PEM.
pub fn certificate() -> (String, String) {
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).expect("it is made");
    (cert.pem(), signing_key.serialize_pem())
}

/// TLS that trusts one certificate, for HTTP/2.
pub fn trusting(certificate: &str) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    let der = CertificateDer::from_pem_slice(certificate.as_bytes()).expect("it is PEM");
    roots.add(der).expect("it is a certificate");
    let mut config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}
