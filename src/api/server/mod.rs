//! The server: binds its listeners, serves the contract with health and reflection, and drains when it stops.

mod admission;
mod browser_guard;
mod call_layer;
mod console;
mod headers;
mod health;
mod metrics;
mod route;
mod unauthenticated_routes;

use std::{net::SocketAddr, time::Duration};

use tokio::{net::TcpListener, sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::transport;
use tonic_health::{ServingStatus, server::HealthReporter};

use admission::Admission;
use browser_guard::{AllowedOrigins, BrowserGuard};
use call_layer::CallLayer;
use console::Console;
use metrics::Metrics;

use crate::{
    access::AccessControl,
    api::{
        connection::{
            budget::Budget,
            caller_limits::CallerLimits,
            file_descriptors,
            limit::{Limit, LimitHits},
            listen::{self, Listener},
            tls::{self, Certificates},
            tracker::{ConnectionLimits, ConnectionTracker},
            unauthenticated::UnauthenticatedCalls,
        },
        options::{Limits, Options, ServerError},
        rpc::{Service, auth::Authorizer, pages::Pages, watch_synced_secrets::Watches},
    },
    proto::secret_service_server::SecretServiceServer,
    secrets::Secrets,
};

/// Bytes of all headers of a request.
const MAX_HEADER_BYTES: u32 = 16 * 1024;
/// What a peer may send before we read it: of one request, and on its connection. Most requests fit; a larger
/// one takes a round trip for each such part. So nobody can fill our memory with requests that will be
/// refused.
const STREAM_WINDOW: u32 = 64 * 1024;
const CONNECTION_WINDOW: u32 = 256 * 1024;
/// Streams that a peer opened and reset before we accepted them; more close the connection (CVE-2023-44487).
const MAX_PENDING_RESETS: usize = 20;
/// After how long without data a peer is pinged, and how long it may take to answer.
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the answers to aborted calls may take to be sent.
const ABORT_GRACE: Duration = Duration::from_millis(500);

/// How the server stops.
#[derive(Default)]
struct Shutdown {
    /// Accepts no more connections.
    stop: CancellationToken,
    /// How long calls may take after that.
    drain: Duration,
    /// Aborts the calls that are still in flight.
    abort: CancellationToken,
}

/// A server that is bound but not serving yet.
pub struct Server {
    options: Options,
    allowed: AllowedOrigins,
    certificates: Option<Certificates>,
    listeners: Vec<Listener>,
    addresses: Vec<SocketAddr>,
    metrics: Option<TcpListener>,
}

// === impl Server ===

impl Server {
    /// Checks the options and binds every address. No call is answered before [`Server::run`].
    pub async fn bind(mut options: Options) -> Result<Self, ServerError> {
        if options.listen.is_empty() {
            return Err(ServerError::NoAddress);
        }
        file_descriptors::fit(&mut options.limits);
        let allowed = AllowedOrigins::new(&options.allowed_origins).map_err(ServerError::Origin)?;
        let certificates = match &options.tls {
            Some(tls) => Some(Certificates::load(tls.clone(), options.serves_browsers()).await?),
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

    /// The TCP addresses, with the ports that were bound.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The address that serves metrics.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until `stop`, then finishes the calls in flight. Health reports `ready`.
    ///
    /// Mutations whose caller no longer waits may still be running when this returns: [`Secrets::drain`]
    /// waits for them.
    pub async fn run(
        self,
        secrets: Secrets,
        access: AccessControl,
        ready: watch::Receiver<bool>,
        stop: CancellationToken,
    ) -> Result<(), ServerError> {
        // A failed listener stops the others, but must not cancel the token of our caller.
        let stop = stop.child_token();
        let reporter = HealthReporter::new();
        health::report(&reporter, ServingStatus::NotServing).await;
        let others = unauthenticated_routes::routes(&reporter, self.options.reflection)?;
        let limits = &self.options.limits;
        let limit_hits = LimitHits::default();
        let connections =
            ConnectionTracker::new(connection_limits(limits), limits.send_timeout, limit_hits.clone());
        let scrapes = ConnectionTracker::new(
            metrics_connection_limits(limits),
            limits.send_timeout,
            limit_hits.clone(),
        );
        let metrics = Metrics::new(secrets.clone(), self.certificates.clone(), &limit_hits);
        let shutdown = Shutdown { stop: stop.clone(), drain: self.options.drain, ..Shutdown::default() };

        let reserve = Budget::reserve((Limit::UnixCalls, limits.unix_calls));
        let caller_limits = CallerLimits::new(limits, reserve.clone(), limit_hits.clone());
        let unauthenticated = UnauthenticatedCalls::new(limits, reserve, limit_hits.clone());
        let certificates = self.certificates.clone();
        let console = Console::new(&self.options, &access, &unauthenticated);
        let authorizer = Authorizer::new(access, secrets.clone(), certificates, limit_hits);
        let contract = contract(authorizer.clone(), secrets, (limits, caller_limits.clone()), &stop);
        let admission = Admission::new(authorizer, caller_limits, unauthenticated.clone());
        let calls = CallLayer::new(
            admission,
            contract,
            (others, unauthenticated),
            (metrics.clone(), connections.clone()),
            limits,
            shutdown.abort.clone(),
        );
        let service = BrowserGuard::new(calls, self.allowed, self.options.serves_browsers(), console);

        let scrapes = (scrapes, limits.metrics_timeout);
        let mut listeners = JoinSet::new();
        for listener in self.listeners {
            let (builder, service, stop) = (builder(&self.options), service.clone(), stop.clone());
            let connections = connections.clone();
            match (listener, self.certificates.clone()) {
                (Listener::Tcp(listener), Some(certificates)) => listeners.spawn(async move {
                    let (incoming, stopped) = (listen::tcp(listener), stop.cancelled_owned());
                    let incoming = tls::secured(connections.track(incoming), certificates);
                    builder.serve_with_incoming_shutdown(service, incoming, stopped).await
                }),
                (Listener::Tcp(listener), None) => listeners.spawn(async move {
                    let (incoming, stopped) = (listen::tcp(listener), stop.cancelled_owned());
                    let incoming = connections.track(incoming);
                    builder.serve_with_incoming_shutdown(service, incoming, stopped).await
                }),
                (Listener::Unix(listener, file), _) => listeners.spawn(async move {
                    let _file = file;
                    let (incoming, stopped) = (listen::unix(listener), stop.cancelled_owned());
                    let incoming = connections.track(incoming);
                    builder.serve_with_incoming_shutdown(service, incoming, stopped).await
                }),
            };
        }
        let follow_files = async {
            if let Some(certificates) = self.certificates {
                certificates.follow(stop.clone()).await;
            }
        };
        let metrics_served = serve_metrics(self.metrics, metrics, scrapes, stop.clone());
        let (served, (), (), ()) = tokio::join!(
            serve(listeners, shutdown, connections),
            health::follow(reporter, ready, stop.clone()),
            follow_files,
            metrics_served
        );
        served
    }
}

/// Serves metrics, if they have an address.
async fn serve_metrics(
    listener: Option<TcpListener>,
    metrics: Metrics,
    connections: (ConnectionTracker, Duration),
    stop: CancellationToken,
) {
    if let Some(listener) = listener {
        metrics.serve(listener, connections, stop).await;
    }
}

/// Waits for all listeners. After the stop, waits for connections with a call in flight, but not longer than
/// `drain`. The first listener that fails stops the others.
async fn serve(
    mut listeners: JoinSet<Result<(), transport::Error>>,
    Shutdown { stop, drain, abort }: Shutdown,
    connections: ConnectionTracker,
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
        tracing::warn!("aborting calls that are still in flight after {drain:?}");
        abort.cancel();
        tokio::time::sleep(ABORT_GRACE).await;
    };
    let close_connections = async {
        stop.cancelled().await;
        connections.drain().await;
    };
    tokio::select! {
        () = all_ended() => {}
        () = drained => {}
        () = close_connections => {}
    }
    served
}

fn connection_limits(limits: &Limits) -> ConnectionLimits {
    ConnectionLimits {
        all: (Limit::Connections, limits.connections),
        unauthenticated: (Limit::OpenConnections, limits.open_connections),
        unauthenticated_per_address: (Limit::OpenConnectionsPerAddress, limits.open_connections_per_address),
        per_caller: (Limit::ConnectionsPerCaller, limits.connections_per_caller),
        unix: limits.unix_connections,
    }
}

/// Scrapes need no credentials. One address gets at most half of the connections.
fn metrics_connection_limits(limits: &Limits) -> ConnectionLimits {
    let all = (Limit::MetricsConnections, limits.metrics_connections);
    let of_address = (Limit::MetricsConnections, limits.metrics_connections.div_ceil(2));
    ConnectionLimits {
        all,
        unauthenticated: all,
        unauthenticated_per_address: of_address,
        per_caller: all,
        unix: 0,
    }
}

fn contract(
    authorizer: Authorizer,
    secrets: Secrets,
    (limits, caller_limits): (&Limits, CallerLimits),
    stop: &CancellationToken,
) -> SecretServiceServer<Service> {
    let watches = Watches::new(caller_limits, limits.heartbeat, stop.clone());
    let pages = Pages::within(limits.answer_bytes);
    SecretServiceServer::new(Service { authorizer, secrets, watches, pages })
        .max_decoding_message_size(limits.message_bytes)
        .max_encoding_message_size(limits.answer_bytes)
}

fn builder(options: &Options) -> transport::Server {
    transport::Server::builder()
        .accept_http1(options.serves_browsers())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(options.limits.streams_per_connection)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .http2_max_pending_accept_reset_streams(Some(MAX_PENDING_RESETS))
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
}
