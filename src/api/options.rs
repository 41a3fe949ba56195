//! The options of the server, and its errors.

use std::{fmt, net::SocketAddr, num::NonZeroU32, path::PathBuf, time::Duration};

use tonic::transport;

use crate::quote::Quote;

/// The options of the server.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where to listen: at least one.
    pub listen: Vec<Listen>,
    /// TLS on the TCP addresses.
    pub tls: Option<Tls>,
    /// Where to serve metrics over plain HTTP; `None` to serve none.
    pub metrics: Option<SocketAddr>,
    /// Its limits.
    pub limits: Limits,
    /// Whether to serve reflection.
    pub reflection: bool,
    /// Whether to serve gRPC-Web, over HTTP/2 and HTTP/1.1.
    pub grpc_web: bool,
    /// The origins of pages that may call, such as `https://console.example:8443`; and of the console, where it has another
    /// host than an address or `localhost`.
    pub allowed_origins: Vec<String>,
    /// The console, with gRPC-Web for it; `None` to serve none.
    pub console: Option<ConsoleOptions>,
    /// How long calls in flight may take to finish when the server stops.
    pub drain: Duration,
}

/// The options of the console.
#[derive(Clone, Debug, Default)]
pub struct ConsoleOptions {
    /// As which client of the OpenID Connect issuer people sign in; `None` if they can't.
    pub client: Option<PublicClient>,
}

/// A public client of an OpenID Connect issuer.
#[derive(Clone, Debug)]
pub struct PublicClient {
    /// Its id.
    pub client_id: String,
    /// What it asks for.
    pub scopes: Vec<String>,
    /// Which token it sends with calls.
    pub token: TokenKind,
}

/// A token that an OpenID Connect issuer gives to a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TokenKind {
    /// The ID token, for the client itself.
    #[default]
    Id,
    /// The access token, for the API that a scope names.
    Access,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address and a port; port 0 takes a free one.
    Tcp(SocketAddr),
    /// A socket file that only its owner may use.
    Unix(PathBuf),
}

/// The TLS files, in PEM. They are read again when they change.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate and its chain, leaf first.
    pub cert_file: PathBuf,
    /// Its key.
    pub key_file: PathBuf,
    /// The CAs of clients; `None` if clients use no certificates.
    pub client_ca_file: Option<PathBuf>,
    /// The revocation lists of those CAs.
    pub client_crl_file: Option<PathBuf>,
    /// How to treat certificates that the lists do not cover.
    pub revocation: Revocation,
}

/// How to treat a client certificate whose status the revocation lists do not show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revocation {
    /// Whether to accept it if a CA in its chain has no list.
    pub allow_unknown: bool,
    /// Whether to refuse it if its list is past the next update.
    pub require_current: bool,
}

/// The limits of the server. A call that exceeds one gets RESOURCE_EXHAUSTED with the time to wait.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request that may carry secret values.
    pub message_bytes: usize,
    /// Bytes of any other request.
    pub small_message_bytes: usize,
    /// How long a request may take to arrive.
    pub receive_timeout: Duration,
    /// Bytes of an answer; pages of lists are cut to fit. Clients accept 4 MiB by default.
    pub answer_bytes: usize,
    /// Concurrent calls on all connections, without health, reflection and open watches.
    pub concurrent_calls: usize,
    /// Concurrent calls on one connection.
    pub streams_per_connection: u32,
    /// Concurrent calls of one caller, including those whose answers it has not read.
    pub calls_per_caller: usize,
    /// Bytes of all requests in flight that are larger than a small one.
    pub request_bytes: usize,
    /// The same for one caller.
    pub request_bytes_per_caller: usize,
    /// Calls a second of one caller, with a burst of as many; `None` for no limit.
    pub calls_per_second: Option<NonZeroU32>,
    /// Open watches.
    pub watchers: usize,
    /// Open watches of one caller.
    pub watches_per_caller: usize,
    /// Concurrent health checks; and separately, concurrent calls whose credentials are being checked.
    pub open_calls: usize,
    /// The same for one address.
    pub open_calls_per_address: usize,
    /// Concurrent streams without credentials: health watches and reflection.
    pub open_streams: usize,
    /// The same for one address.
    pub open_streams_per_address: usize,
    /// How long a reflection stream may last.
    pub reflection_timeout: Duration,
    /// How long a health watch may last.
    pub health_watch_timeout: Duration,
    /// Connections, without the reserve of the Unix socket.
    pub connections: usize,
    /// Those of them whose first authorized caller is the same.
    pub connections_per_caller: usize,
    /// Those of them on which no caller was authorized yet.
    pub open_connections: usize,
    /// The same for one address.
    pub open_connections_per_address: usize,
    /// Connections to the Unix socket that none of these limits counts.
    pub unix_connections: usize,
    /// Calls to the Unix socket that are accepted when all other limits on calls are reached.
    pub unix_calls: usize,
    /// Connections to the metrics address.
    pub metrics_connections: usize,
    /// How long a scrape may take.
    pub metrics_timeout: Duration,
    /// How long a peer may leave a part of an answer unread.
    pub send_timeout: Duration,
    /// The timeout of a call without a deadline.
    pub call_timeout: Duration,
    /// The longest timeout of a call.
    pub longest_call: Duration,
    /// How often a watch without events sends a bookmark.
    pub heartbeat: Duration,
}

/// Why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// No listener is configured.
    #[error("no address to listen on is configured")]
    NoAddress,
    /// An address or a socket file cannot be bound.
    #[error("cannot listen on {at}: {}", Quote::error(.source))]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The TLS files cannot be used.
    #[error("the TLS files cannot be used: {0}")]
    Tls(Quote),
    /// An allowed origin is invalid.
    #[error("{0:?} is not an origin such as https://console.example:8443")]
    Origin(String),
    /// The descriptors for reflection are invalid.
    #[error("cannot serve reflection: {}", Quote::error(.0))]
    Reflection(tonic_reflection::server::Error),
    /// A listener failed while serving.
    #[error("a listener failed: {}", Quote::error(.0))]
    Serve(transport::Error),
}

// === impl Limits ===

// === impl Options ===

impl Options {
    /// Whether browsers are served: by gRPC-Web, and over HTTP/1.1.
    pub(super) fn serves_browsers(&self) -> bool {
        self.grpc_web || self.console.is_some()
    }
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
