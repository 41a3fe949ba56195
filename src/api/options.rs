//! What the server is told, and why it can't serve.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use tonic::transport;

use crate::quote::Quote;

/// How the server listens and what it bears.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where; at least one.
    pub listen: Vec<Listen>,
    /// TLS on the TCP addresses.
    pub tls: Option<Tls>,
    /// Where metrics are served, over plain HTTP; nowhere where absent.
    pub metrics: Option<SocketAddr>,
    /// What it bears.
    pub limits: Limits,
    /// Whether clients may ask for the contract.
    pub reflection: bool,
    /// Whether browsers may call: gRPC-Web, also over HTTP/1.1.
    pub grpc_web: bool,
    /// The pages that may, by origin: `https://console.example:8443`.
    pub allowed_origins: Vec<String>,
    /// How long calls in flight may take to finish after the stop.
    pub drain: Duration,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket file, open to its owner alone.
    Unix(PathBuf),
}

/// The files of TLS, in PEM. They are read again when they change.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate and its chain, leaf first.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The authorities that vouch for clients; without them no client shows a certificate.
    pub client_ca_file: Option<PathBuf>,
    /// What those authorities took back: a list of each.
    pub client_crl_file: Option<PathBuf>,
    /// What counts where those lists do not say it all.
    pub revocation: Revocation,
}

/// What becomes of a client certificate of which the revocation lists do not say that it is good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Whether it is let in where an authority in its chain has no list.
    pub allow_unknown: bool,
    /// Whether it is refused where the list about it should have been renewed by now.
    pub require_current: bool,
}

/// What the server bears. Beyond a limit, callers get RESOURCE_EXHAUSTED with the time to wait.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request that may carry values of secrets.
    pub message_bytes: usize,
    /// Bytes of any other request.
    pub small_message_bytes: usize,
    /// How long a request may take to arrive.
    pub receive_timeout: Duration,
    /// Bytes of an answer; lists make shorter pages. Clients accept 4 MiB by default.
    pub answer_bytes: usize,
    /// Calls at a time, over all connections; health, reflection and open watches don't count.
    pub concurrent_calls: usize,
    /// Calls at a time on one connection.
    pub streams_per_connection: u32,
    /// Calls at a time of one caller, those included whose answers it has not taken.
    pub calls_per_caller: usize,
    /// Bytes of all requests larger than a small one that arrive or are carried out.
    pub request_bytes: usize,
    /// The same of one caller.
    pub request_bytes_per_caller: usize,
    /// Calls a second of one caller, and as many at once; any number where absent.
    pub calls_per_second: Option<NonZeroU32>,
    /// Open watches.
    pub watchers: usize,
    /// Open watches of one caller.
    pub watches_per_caller: usize,
    /// Calls at a time that show no credentials and are answered at once: health. And as many whose credentials are looked at.
    pub open_calls: usize,
    /// The same from one address.
    pub open_calls_per_address: usize,
    /// Streams at a time that need no credentials: watches of health, and reflection.
    pub open_streams: usize,
    /// The same from one address.
    pub open_streams_per_address: usize,
    /// How long a stream of reflection may last.
    pub reflection_timeout: Duration,
    /// How long a watch of health may last.
    pub health_watch_timeout: Duration,
    /// Connections at a time, besides the reserve of the Unix socket.
    pub connections: usize,
    /// Those of them on which one caller was let in first.
    pub connections_per_caller: usize,
    /// Those of them on which no call was let in so far.
    pub open_connections: usize,
    /// The same from one address.
    pub open_connections_per_address: usize,
    /// Connections through the Unix socket that count for none of these.
    pub unix_connections: usize,
    /// Calls through the Unix socket when there is no room left for others.
    pub unix_calls: usize,
    /// Connections at a time to where metrics are served.
    pub metrics_connections: usize,
    /// How long one of them may take for its request and its page.
    pub metrics_timeout: Duration,
    /// How long a peer may leave an answer, or a part of it, where it is.
    pub send_timeout: Duration,
    /// Time of a call that has no deadline of its own.
    pub call_timeout: Duration,
    /// Longest time of a call, whatever its deadline.
    pub longest_call: Duration,
    /// How often a quiet watch gives a sign of life.
    pub heartbeat: Duration,
}

/// Why the server can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nothing to listen at.
    #[error("no address to listen at is configured")]
    NoAddress,
    /// An address or a socket file.
    #[error("can't listen at {at}: {}", Quote::error(.source))]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate or its key.
    #[error("the TLS certificate and key can't be used: {0}")]
    Tls(Quote),
    /// An origin that no browser sends.
    #[error("{0:?} is not an origin such as https://console.example:8443")]
    Origin(String),
    /// A descriptor of ours is broken.
    #[error("reflection can't be served: {}", Quote::error(.0))]
    Reflection(tonic_reflection::server::Error),
    /// A listener failed while serving.
    #[error("serving failed: {}", Quote::error(.0))]
    Serve(transport::Error),
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1024 * 1024,
            small_message_bytes: 16 * 1024,
            receive_timeout: Duration::from_secs(10),
            answer_bytes: 4 * 1024 * 1024,
            concurrent_calls: 1_024,
            streams_per_connection: 256,
            calls_per_caller: 128,
            request_bytes: 16 * 1024 * 1024,
            request_bytes_per_caller: 2 * 1024 * 1024,
            calls_per_second: None,
            watchers: 256,
            watches_per_caller: 32,
            open_calls: 512,
            open_calls_per_address: 128,
            open_streams: 256,
            open_streams_per_address: 64,
            reflection_timeout: Duration::from_secs(30),
            health_watch_timeout: Duration::from_secs(600),
            connections: 4_096,
            connections_per_caller: 512,
            open_connections: 512,
            open_connections_per_address: 128,
            unix_connections: 64,
            unix_calls: 64,
            metrics_connections: 16,
            metrics_timeout: Duration::from_secs(10),
            send_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            longest_call: Duration::from_secs(120),
            heartbeat: Duration::from_secs(30),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
