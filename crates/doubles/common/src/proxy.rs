//! An HTTP CONNECT proxy on loopback that routes chosen hosts, such as Azure's own names, to a double and refuses all
//! others.
//!
//! A client with its production defaults needs only `HTTPS_PROXY` and the certificate authority. A tunnel carries the
//! client's TLS with the double; the proxy can't read it.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

/// The port of HTTPS, the only one that is routed.
const HTTPS: u16 = 443;

/// Where a proxy listens, and what it routes.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on 127.0.0.1; 0 for any that is free.
    pub port: u16,
    /// The double for each host (in lower case).
    pub routes: BTreeMap<String, SocketAddr>,
}

/// Why a proxy doesn't start.
#[derive(Debug, thiserror::Error)]
#[error("the proxy can't listen on 127.0.0.1:{port}: {error}")]
pub struct StartError {
    port: u16,
    #[source]
    error: io::Error,
}

/// A running proxy. Dropped, it stops at once, and its tunnels with it.
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<io::Result<()>>,
}

struct Shared {
    routes: BTreeMap<String, SocketAddr>,
    tunnels: TaskTracker,
    stopping: CancellationToken,
}

// === impl Proxy ===

impl Proxy {
    /// Starts a proxy. It answers when this returns.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let Options { port, routes } = options;
        let listening = |error| StartError { port, error };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(listening)?;
        let address = listener.local_addr().map_err(listening)?;
        let stopping = CancellationToken::new();
        let shared = Arc::new(Shared { routes, tunnels: TaskTracker::new(), stopping: stopping.clone() });
        let service = Router::new().fallback(connect).with_state(Arc::clone(&shared));
        let server = axum::serve(listener, service).with_graceful_shutdown(stopping.cancelled_owned());
        Ok(Self { address, shared, server: tokio::spawn(server.into_future()) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:PORT/`: what `HTTPS_PROXY` is set to.
    pub fn url(&self) -> Url {
        Url::parse(&format!("http://{}/", self.address)).expect("an address makes a URL")
    }

    /// Stops: no new tunnels, and those that are open end.
    pub async fn stop(self) {
        self.shared.stopping.cancel();
        self.shared.tunnels.close();
        self.shared.tunnels.wait().await;
        // A client that keeps its connection open without a tunnel must not delay this.
        self.server.abort();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.stopping.cancel();
        self.server.abort();
    }
}

/// Answers a request with 200 and a tunnel, or with an error.
async fn connect(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let Some(target) = shared.route(request.method(), request.uri()) else {
        return (StatusCode::FORBIDDEN, shared.refusal(request.method(), request.uri())).into_response();
    };
    let double = match TcpStream::connect(target).await {
        Ok(double) => double,
        Err(error) => {
            return (StatusCode::BAD_GATEWAY, format!("The double does not answer: {error}.\n"))
                .into_response();
        }
    };
    let stopping = shared.stopping.clone();
    shared.tunnels.spawn(async move { stopping.run_until_cancelled(tunnel(request, double)).await });
    StatusCode::OK.into_response()
}

/// Carries bytes both ways until both sides have ended, or one is gone.
async fn tunnel(request: Request, mut double: TcpStream) {
    let Ok(client) = hyper::upgrade::on(request).await else { return };
    let carried = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut double).await;
    if let Err(error) = carried {
        tracing::debug!(%error, "a tunnel ended early");
    }
}

// === impl Shared ===

impl Shared {
    fn route(&self, method: &Method, uri: &Uri) -> Option<SocketAddr> {
        let authority = uri.authority().filter(|_| *method == Method::CONNECT)?;
        let host = authority.host().to_ascii_lowercase();
        self.routes.get(&host).filter(|_| authority.port_u16() == Some(HTTPS)).copied()
    }

    fn refusal(&self, method: &Method, uri: &Uri) -> String {
        let hosts = self.routes.keys().map(|host| format!("{host}:{HTTPS}")).collect::<Vec<_>>().join(", ");
        let authority = uri.authority().map_or("this proxy itself", |authority| authority.as_str());
        format!("{method} to {authority} is refused: this proxy of dev mode connects to {hosts} only.\n")
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// A proxy that routes `vault.test` to a listener.
    async fn proxy() -> (Proxy, TcpListener) {
        let double = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let routes = BTreeMap::from([("vault.test".to_owned(), double.local_addr().unwrap())]);
        (Proxy::start(Options { port: 0, routes }).await.unwrap(), double)
    }

    async fn say(proxy: &Proxy, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(proxy.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    async fn answer(proxy: &Proxy, line: &str) -> String {
        let request = format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        let mut text = String::new();
        say(proxy, &request).await.read_to_string(&mut text).await.unwrap();
        text
    }

    #[tokio::test]
    async fn a_tunnel_to_a_routed_host_carries_bytes_unchanged() {
        let (proxy, listener) = proxy().await;
        let request = "CONNECT Vault.Test:443 HTTP/1.1\r\nhost: vault.test:443\r\n\r\nhello";
        let mut client = say(&proxy, request).await;
        let (mut double, _) = listener.accept().await.unwrap();
        let mut heard = [0; 5];
        double.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"hello");
        double.write_all(b"good day").await.unwrap();
        drop(double);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n") && text.ends_with("\r\n\r\ngood day"), "{text}");
    }

    #[tokio::test]
    async fn every_other_host_port_and_method_is_refused_in_clear_text() {
        let (proxy, _double) = proxy().await;
        let others = [
            "CONNECT other.test:443",
            "CONNECT sub.vault.test:443",
            "CONNECT vault.test:80",
            "GET http://vault.test/",
            "GET /",
        ];
        for line in others {
            let text = answer(&proxy, line).await;
            assert!(text.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{line}: {text}");
            assert!(text.contains("connects to vault.test:443 only"), "{line}: {text}");
        }
    }

    #[tokio::test]
    async fn a_double_that_does_not_answer_is_a_bad_gateway() {
        let (proxy, double) = proxy().await;
        drop(double);
        assert!(answer(&proxy, "CONNECT vault.test:443").await.starts_with("HTTP/1.1 502 Bad Gateway\r\n"));
    }

    #[tokio::test]
    async fn stopping_ends_the_tunnels() {
        let (proxy, listener) = proxy().await;
        let _client = say(&proxy, "CONNECT vault.test:443 HTTP/1.1\r\nhost: x\r\n\r\n").await;
        let (mut double, _) = listener.accept().await.unwrap();
        proxy.stop().await;
        assert_eq!(double.read(&mut [0]).await.unwrap(), 0);
    }
}
