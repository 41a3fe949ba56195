//! The server: binds, serves the contract with health and reflection, and ends without cutting off a call.

use std::{fmt, net::SocketAddr, time::Duration};

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport::{self, Identity, ServerTlsConfig};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::{
    front::{Allowed, Front},
    gate::Gate,
    health,
    listen::{self, Listen, Listener},
    pages::Pages,
    service::Service,
    watch::Watches,
};
use crate::{proto::secret_service_server::SecretServiceServer, secrets::Secrets};

/// Bytes of all headers of a request.
const HEADER_BYTES: u32 = 16 * 1024;
/// Streams that a peer opened and reset before we looked at them; more end the connection (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Silence after which a peer is asked whether it is there, and how long it has to say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a peer may take over the TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How the server listens and what it bears.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where; at least one.
    pub listen: Vec<Listen>,
    /// TLS on the TCP addresses.
    pub tls: Option<Tls>,
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

/// The server's certificate.
#[derive(Clone)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert_pem: Vec<u8>,
    /// Its key.
    pub key_pem: Vec<u8>,
}

/// What the server bears. Beyond a limit, callers get RESOURCE_EXHAUSTED with the time to wait.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of a request.
    pub message_bytes: usize,
    /// Bytes of an answer; lists make shorter pages. Clients accept 4 MiB by default.
    pub answer_bytes: usize,
    /// Calls at a time, over all connections; health and open watches don't count.
    pub concurrent_calls: usize,
    /// Calls at a time on one connection.
    pub streams_per_connection: u32,
    /// Open watches.
    pub watchers: usize,
    /// Time of a call that has no deadline of its own.
    pub call_timeout: Duration,
    /// Longest time of a call, whatever its deadline.
    pub longest_call: Duration,
    /// How often a quiet watch gives a sign of life.
    pub heartbeat: Duration,
}

/// A server that is bound and not serving yet.
pub struct Server {
    options: Options,
    allowed: Allowed,
    builder: transport::Server,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
}

/// Why the server can't serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nothing to listen at.
    #[error("no address to listen at is configured")]
    NoAddress,
    /// An address or a socket file.
    #[error("can't listen at {at}: {source}")]
    Listen {
        /// Where.
        at: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The certificate or its key.
    #[error("the TLS certificate and key can't be used: {0}")]
    Tls(String),
    /// An origin that no browser sends.
    #[error("{0:?} is not an origin such as https://console.example:8443")]
    Origin(String),
    /// A descriptor of ours is broken.
    #[error("reflection can't be served: {0}")]
    Reflection(tonic_reflection::server::Error),
    /// A listener failed while serving.
    #[error("serving failed: {0}")]
    Serve(transport::Error),
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 1024 * 1024,
            answer_bytes: 4 * 1024 * 1024,
            concurrent_calls: 1_024,
            streams_per_connection: 256,
            watchers: 256,
            call_timeout: Duration::from_secs(30),
            longest_call: Duration::from_secs(120),
            heartbeat: Duration::from_secs(30),
        }
    }
}

// === impl Tls ===

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

// === impl Server ===

impl Server {
    /// Checks the options and takes every address; nothing is answered before [`Server::run`].
    pub async fn bind(options: Options) -> Result<Self, ServerError> {
        if options.listen.is_empty() {
            return Err(ServerError::NoAddress);
        }
        let allowed = Allowed::new(&options.allowed_origins).map_err(ServerError::Origin)?;
        let builder = secured(builder(&options), options.tls.as_ref())?;
        let mut listeners = Vec::with_capacity(options.listen.len());
        for listen in &options.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        let addresses = listeners.iter().filter_map(Listener::address).collect();
        Ok(Self { options, allowed, builder, listeners, addresses })
    }

    /// The TCP addresses, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `stop`, then finishes what is in flight. Health says what `ready` says.
    ///
    /// Mutations that a caller no longer waits for may still be under way when this returns: [`Secrets::drain`] waits for them.
    pub async fn run(
        self,
        secrets: Secrets,
        ready: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), ServerError> {
        // A listener that fails ends the others, but not the caller's token.
        let stop = stop.child_token();
        let reporter = HealthReporter::new();
        health::report(&reporter, ServingStatus::NotServing).await;
        let others = health::routes(&reporter, self.options.reflection)?;
        let gate = Gate::new(contract(secrets, &self.options.limits, &stop), others, &self.options.limits);
        let front = Front::new(gate, self.allowed, self.options.grpc_web);

        let mut listeners = JoinSet::new();
        let unsecured = builder(&self.options);
        for listener in self.listeners {
            let (front, stop) = (front.clone(), stop.clone());
            match listener {
                Listener::Tcp(listener) => {
                    let builder = self.builder.clone();
                    listeners.spawn(async move {
                        let (incoming, stopped) = (listen::tcp(listener), stop.cancelled_owned());
                        builder.serve_with_incoming_shutdown(front, incoming, stopped).await
                    });
                }
                Listener::Unix(listener, file) => {
                    let builder = unsecured.clone();
                    listeners.spawn(async move {
                        let _file = file;
                        let (incoming, stopped) = (listen::unix(listener), stop.cancelled_owned());
                        builder.serve_with_incoming_shutdown(front, incoming, stopped).await
                    });
                }
            }
        }
        let (served, ()) = tokio::join!(
            serve(listeners, stop.clone(), self.options.drain),
            health::follow(reporter, ready, stop.clone())
        );
        served
    }
}

/// Waits for all listeners; after the stop, not longer than `drain`. The first error ends the others.
async fn serve(
    mut listeners: JoinSet<Result<(), transport::Error>>,
    stop: CancellationToken,
    drain: Duration,
) -> Result<(), ServerError> {
    let mut served = Ok(());
    let mut all_ended = async || {
        while let Some(ended) = listeners.join_next().await {
            stop.cancel();
            if let Ok(Err(error)) = ended {
                served = Err(ServerError::Serve(error));
            }
        }
    };
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
    };
    tokio::select! {
        () = all_ended() => {}
        () = too_late => tracing::warn!("calls were still in flight after {drain:?} and are cut off"),
    }
    served
}

fn contract(secrets: Secrets, limits: &Limits, stop: &CancellationToken) -> SecretServiceServer<Service> {
    let watches = Watches::new(limits.watchers, limits.heartbeat, stop.clone());
    let pages = Pages::within(limits.answer_bytes);
    SecretServiceServer::new(Service { secrets, watches, pages })
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(limits.answer_bytes)
}

fn builder(options: &Options) -> transport::Server {
    transport::Server::builder()
        .accept_http1(options.grpc_web)
        .max_concurrent_streams(options.limits.streams_per_connection)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
}

fn secured(builder: transport::Server, tls: Option<&Tls>) -> Result<transport::Server, ServerError> {
    let Some(tls) = tls else { return Ok(builder) };
    let identity = Identity::from_pem(&tls.cert_pem, &tls.key_pem);
    let config = ServerTlsConfig::new().identity(identity).timeout(HANDSHAKE);
    builder.tls_config(config).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        ServerError::Tls(cause.unwrap_or_else(|| error.to_string()))
    })
}
