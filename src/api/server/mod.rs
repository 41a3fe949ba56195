//! The server: binds, serves the contract with health and reflection, and ends without cutting off a call.

mod browser_guard;
mod call_layer;
mod health;
mod metrics;

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::api::{
    connection::{
        budget::Budget,
        caller_limits::Crowd,
        file_descriptors,
        limit::{Limit, Refusals},
        listen::{self, Listener},
        tls::{self, Certificates},
        tracker::{Lines, Room},
        unauthenticated::OpenCalls,
    },
    options::{Limits, Options, ServerError},
    rpc::{auth::Door, pages::Pages, service::Service, watch_synced_secrets::Watches},
    server::{
        browser_guard::{Allowed, Front},
        call_layer::Gate,
        metrics::Metrics,
    },
};
use crate::{access::AccessControl, proto::secret_service_server::SecretServiceServer, secrets::Secrets};

/// Bytes of all headers of a request.
const HEADER_BYTES: u32 = 16 * 1024;
/// What a peer may send before we read it, of one request and of all on its connection: most requests fit in, larger ones take a round
/// trip for each such part, and nobody fills our memory with what is going to be refused.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Streams that a peer opened and reset before we looked at them; more end the connection (CVE-2023-44487).
const PENDING_RESETS: usize = 20;
/// Silence after which a peer is asked whether it is there, and how long it has to say so.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answers to calls that are cut off have to leave.
const LAST_WORD: Duration = Duration::from_millis(500);

/// How the server ends.
#[derive(Default)]
struct Ending {
    /// No new connections from now on.
    stop: CancellationToken,
    /// How long calls have after that.
    drain: Duration,
    /// What is still under way is cut off, and told so.
    too_late: CancellationToken,
}

/// A server that is bound and not serving yet.
pub struct Server {
    options: Options,
    allowed: Allowed,
    certificates: Option<Certificates>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    metrics: Option<TcpListener>,
}

// === impl Server ===

impl Server {
    /// Checks the options and takes every address; nothing is answered before [`Server::run`].
    pub async fn bind(mut options: Options) -> Result<Self, ServerError> {
        if options.listen.is_empty() {
            return Err(ServerError::NoAddress);
        }
        file_descriptors::fit(&mut options.limits);
        let allowed = Allowed::new(&options.allowed_origins).map_err(ServerError::Origin)?;
        let certificates = match &options.tls {
            Some(tls) => Some(Certificates::load(tls.clone(), options.grpc_web).await?),
            None => None,
        };
        let mut listeners = Vec::with_capacity(options.listen.len());
        for listen in &options.listen {
            listeners.push(Listener::bind(listen).await?);
        }
        let metrics = match options.metrics {
            Some(address) => Some(listen::bind(address).await?),
            None => None,
        };
        let addresses = listeners.iter().filter_map(Listener::address).collect();
        Ok(Self { options, allowed, certificates, listeners, addresses, metrics })
    }

    /// The TCP addresses, with the ports that were taken.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where metrics are served.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then finishes what is in flight. Health says what `ready` says.
    ///
    /// Mutations that a caller no longer waits for may still be under way when this returns: [`Secrets::drain`] waits for them.
    pub async fn run(
        self,
        secrets: Secrets,
        access: AccessControl,
        ready: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), ServerError> {
        // A listener that fails ends the others, but not the caller's token.
        let stop = stop.child_token();
        let reporter = HealthReporter::new();
        health::report(&reporter, ServingStatus::NotServing).await;
        let others = health::routes(&reporter, self.options.reflection)?;
        let limits = &self.options.limits;
        let refusals = Refusals::default();
        let door = Door::new(access, secrets.clone(), self.certificates.clone(), refusals.clone());
        let reserve = Budget::reserve((Limit::UnixCalls, limits.unix_calls));
        let crowd = Crowd::new(limits, reserve.clone(), refusals.clone());
        let metrics = Metrics::new(secrets.clone(), self.certificates.clone(), &refusals);
        let contract = contract(door.clone(), secrets, (limits, crowd.clone()), &stop);
        let open = OpenCalls::new(limits, reserve, refusals.clone());
        let lines = Lines::new(room(limits), limits.send_timeout, refusals.clone());
        let ending = Ending { stop: stop.clone(), drain: self.options.drain, ..Ending::default() };
        let (ours, others) = ((door, crowd, metrics.clone()), (others, open));
        let gate = Gate::new(ours, contract, others, (limits, lines.clone()), ending.too_late.clone());
        let front = Front::new(gate, self.allowed, self.options.grpc_web);

        let metrics_lines = Lines::new(metrics_room(limits), limits.send_timeout, refusals);
        let metrics_lines = (metrics_lines, limits.metrics_timeout);
        let mut listeners = JoinSet::new();
        for listener in self.listeners {
            let (builder, front, stop) = (builder(&self.options), front.clone(), stop.clone());
            let lines = lines.clone();
            match (listener, self.certificates.clone()) {
                (Listener::Tcp(listener), Some(certificates)) => listeners.spawn(async move {
                    let (incoming, stopped) = (listen::tcp(listener), stop.cancelled_owned());
                    let incoming = tls::secured(lines.of(incoming), certificates);
                    builder.serve_with_incoming_shutdown(front, incoming, stopped).await
                }),
                (Listener::Tcp(listener), None) => listeners.spawn(async move {
                    let (incoming, stopped) = (lines.of(listen::tcp(listener)), stop.cancelled_owned());
                    builder.serve_with_incoming_shutdown(front, incoming, stopped).await
                }),
                (Listener::Unix(listener, file), _) => listeners.spawn(async move {
                    let _file = file;
                    let (incoming, stopped) = (lines.of(listen::unix(listener)), stop.cancelled_owned());
                    builder.serve_with_incoming_shutdown(front, incoming, stopped).await
                }),
            };
        }
        let follow_files = async {
            if let Some(certificates) = self.certificates {
                certificates.follow(stop.clone()).await;
            }
        };
        let metrics_served = serve_metrics(self.metrics, metrics, metrics_lines, stop.clone());
        let (served, (), (), ()) = tokio::join!(
            serve(listeners, ending, lines),
            health::follow(reporter, ready, stop.clone()),
            follow_files,
            metrics_served
        );
        served
    }
}

/// Serves metrics, where they are wanted.
async fn serve_metrics(
    listener: Option<TcpListener>,
    metrics: Metrics,
    lines: (Lines, Duration),
    stop: CancellationToken,
) {
    if let Some(listener) = listener {
        metrics.serve(listener, lines, stop).await;
    }
}

/// Waits for all listeners; after the stop, only for connections with a call, and not longer than `drain`. The first error ends the
/// others.
async fn serve(
    mut listeners: JoinSet<Result<(), transport::Error>>,
    Ending { stop, drain, too_late }: Ending,
    lines: Lines,
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
    let drained = async {
        stop.cancelled().await;
        tokio::time::sleep(drain).await;
        tracing::warn!("calls were still in flight after {drain:?} and are cut off");
        too_late.cancel();
        tokio::time::sleep(LAST_WORD).await;
    };
    let end_lines = async {
        stop.cancelled().await;
        lines.end().await;
    };
    tokio::select! {
        () = all_ended() => {}
        () = drained => {}
        () = end_lines => {}
    }
    served
}

fn room(limits: &Limits) -> Room {
    Room {
        all: (Limit::Connections, limits.connections),
        open: (Limit::OpenConnections, limits.open_connections),
        open_per_address: (Limit::OpenConnectionsPerAddress, limits.open_connections_per_address),
        per_caller: (Limit::ConnectionsPerCaller, limits.connections_per_caller),
        unix: limits.unix_connections,
    }
}

/// All that ask for metrics are strangers, and one address has no more than half of the room.
fn metrics_room(limits: &Limits) -> Room {
    let all = (Limit::MetricsConnections, limits.metrics_connections);
    let of_address = (Limit::MetricsConnections, limits.metrics_connections.div_ceil(2));
    Room { all, open: all, open_per_address: of_address, per_caller: all, unix: 0 }
}

fn contract(
    door: Door,
    secrets: Secrets,
    (limits, crowd): (&Limits, Crowd),
    stop: &CancellationToken,
) -> SecretServiceServer<Service> {
    let watches = Watches::new(crowd, limits.heartbeat, stop.clone());
    let pages = Pages::within(limits.answer_bytes);
    SecretServiceServer::new(Service { door, secrets, watches, pages })
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(limits.answer_bytes)
}

fn builder(options: &Options) -> transport::Server {
    transport::Server::builder()
        .accept_http1(options.grpc_web)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(options.limits.streams_per_connection)
        .http2_max_header_list_size(HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS))
        .http2_keepalive_interval(Some(PING_AFTER))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
}
