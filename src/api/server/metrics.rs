//! Metrics for Prometheus: calls by method and code, synced secrets by state, database, certificates. They
//! contain no names and no values.

use std::{fmt, pin::pin, sync::Arc, time::Duration};

use axum::{Router, http::header::CONTENT_TYPE, routing::get};
use futures::StreamExt;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::ConstCounter,
        counter::Counter,
        family::Family,
        gauge::ConstGauge,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::{Registry, Unit},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::api::{
    connection::{
        limit::LimitHits,
        listen,
        tls::{Certificates, ExpiryKind},
        tracker::ConnectionTracker,
    },
    error::code_name,
};
use crate::{secrets::Secrets, telemetry};

/// The content type that Prometheus prefers.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a server.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    calls: Family<CallLabels, Counter>,
    seconds: Family<MethodLabel, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabel {
    method: &'static str,
}

/// Collects the state of the synced secrets at each scrape.
struct SyncedSecretCollector(Secrets);

/// Collects the size of the database and the state of its backups at each scrape.
struct DatabaseCollector(Secrets);

/// Collects the expiries of the TLS files at each scrape.
struct ExpiryCollector(Certificates);

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(secrets: Secrets, certificates: Option<Certificates>, limit_hits: &LimitHits) -> Self {
        let mut registry = Registry::with_prefix("secret_service");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The release that runs", build);
        let calls = Family::default();
        registry.register("calls", "Calls answered, by method and gRPC code", calls.clone());
        // From half a millisecond to half a minute.
        let histogram = || Histogram::new(exponential_buckets(0.000_5, 4.0, 9));
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "Time until the answer began";
        registry.register_with_unit("call_duration", help, Unit::Seconds, seconds.clone());
        limit_hits.register(&mut registry);
        registry.register_collector(Box::new(DatabaseCollector(secrets.clone())));
        registry.register_collector(Box::new(SyncedSecretCollector(secrets)));
        if let Some(certificates) = certificates {
            registry.register_collector(Box::new(ExpiryCollector(certificates)));
        }
        Self(Arc::new(Inner { registry, calls, seconds }))
    }

    /// Counts a call. `method` is one of a fixed set, never text of the caller.
    pub(crate) fn called(&self, method: &'static str, code: Code, took: Duration) {
        self.0.calls.get_or_create(&CallLabels { method, code: code_name(code) }).inc();
        self.0.seconds.get_or_create(&MethodLabel { method }).observe(took.as_secs_f64());
    }

    /// All metrics in the OpenMetrics format.
    fn encode(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }

    /// Serves the metrics at `/metrics` until `stop`, without waiting for scrapes in progress. A connection
    /// serves one scrape, and has a timeout.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        (connections, timeout): (ConnectionTracker, Duration),
        stop: CancellationToken,
    ) {
        let page = async move || {
            let page = self.encode().map_err(|_| axum::http::StatusCode::INTERNAL_SERVER_ERROR)?;
            Ok::<_, axum::http::StatusCode>(([(CONTENT_TYPE, OPEN_METRICS)], page))
        };
        let pages = Router::new().route("/metrics", get(page));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(timeout).keep_alive(false);
        let mut incoming = pin!(connections.track(listen::tcp(listener)));
        let mut in_progress = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = in_progress.join_next() => {}
                accepted = incoming.next() => {
                    let Some(Ok(io)) = accepted else { return };
                    let pages = TowerToHyperService::new(pages.clone());
                    in_progress.spawn(tokio::time::timeout(timeout, http.serve_connection(TokioIo::new(io), pages)));
                }
            }
        }
    }
}

// === impl SyncedSecretCollector ===

impl Collector for SyncedSecretCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let statistics = self.0.statistics();
        let gauge = ConstGauge::new(0);
        let help = "Synced secrets of this service, by state";
        let mut states = encoder.encode_descriptor("synced_secrets", help, None, gauge.metric_type())?;
        for (state, number) in statistics.states {
            ConstGauge::new(number).encode(states.encode_family(&[("state", state.as_str())])?)?;
        }
        let waits = statistics
            .unsynced_since
            .map_or(0.0, |since| Timestamp::now().duration_since(since).as_secs_f64());
        let help =
            "How long the longest out-of-sync synced secret has been out of sync; 0 if all are in sync";
        let unit = Some(&Unit::Seconds);
        let longest = encoder.encode_descriptor("longest_unsynced", help, unit, gauge.metric_type())?;
        ConstGauge::new(waits.max(0.0)).encode(longest)?;
        let help = "1 if this process is the leader, 0 if it is on standby";
        let leader = encoder.encode_descriptor("leader", help, None, gauge.metric_type())?;
        ConstGauge::new(i64::from(statistics.is_leading)).encode(leader)?;
        let changes = ConstCounter::new(statistics.holder_changes);
        let help = "How often this process saw the holder of the instance's Lease change";
        changes.encode(encoder.encode_descriptor(
            "lease_holder_changes",
            help,
            None,
            changes.metric_type(),
        )?)?;
        let help = "How far this machine's clock is ahead of that of the vault and of the API server";
        let mut skews = encoder.encode_descriptor("clock_skew", help, unit, gauge.metric_type())?;
        for (peer, skew) in self.0.skews() {
            ConstGauge::new(skew.as_secs_f64()).encode(skews.encode_family(&[("peer", peer)])?)?;
        }
        let dropped = ConstCounter::new(telemetry::dropped_lines());
        let help = "Log lines dropped because they came faster than they could be written";
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, dropped.metric_type())?)
    }
}

impl fmt::Debug for SyncedSecretCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SyncedSecretCollector")
    }
}

// === impl DatabaseCollector ===

impl Collector for DatabaseCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (usage, gauge, unit) =
            (self.0.disk_usage(), ConstGauge::new(0).metric_type(), Some(&Unit::Bytes));
        let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        let help = "Size of the database: its file, the free space within the file, its write-ahead log";
        let mut parts = encoder.encode_descriptor("database", help, unit, gauge)?;
        for (part, bytes) in [("file", usage.database), ("free", usage.growing.free), ("log", usage.log)] {
            number(bytes).encode(parts.encode_family(&[("part", part)])?)?;
        }
        if let Some(free) = usage.disk_free {
            let help = "Free space on the disk of the database";
            number(free).encode(encoder.encode_descriptor("database_disk_free", help, unit, gauge)?)?;
        }
        let growing = usage.growing;
        let of = [("audit", growing.audit), ("denials", growing.denials), ("feed", growing.feed)];
        let help = "Approximate size of what grows with use: audit events, denials, the change feed";
        let mut recorded = encoder.encode_descriptor("recorded", help, unit, gauge)?;
        for (what, taken) in of {
            number(taken.bytes).encode(recorded.encode_family(&[("what", what)])?)?;
        }
        let mut rows = encoder.encode_descriptor("recorded_rows", "The same in rows", None, gauge)?;
        for (what, taken) in of {
            number(taken.rows).encode(rows.encode_family(&[("what", what)])?)?;
        }
        let Some(backups) = self.0.backups() else { return Ok(()) };
        if let Some(last) = backups.last_success {
            let (help, unit) = ("Time of the newest backup, in seconds since 1970", Some(&Unit::Seconds));
            let made = encoder.encode_descriptor("backup_last_success_timestamp", help, unit, gauge)?;
            ConstGauge::new(last.as_second()).encode(made)?;
        }
        let help = "Size of the newest backup";
        number(backups.bytes).encode(encoder.encode_descriptor("backup", help, unit, gauge)?)?;
        let kept = number(backups.kept as u64);
        kept.encode(encoder.encode_descriptor("backups_kept", "Backups kept", None, gauge)?)?;
        let failures = ConstCounter::new(backups.failures);
        let help = "Failed backups since the service started";
        failures.encode(encoder.encode_descriptor("backup_failures", help, None, failures.metric_type())?)
    }
}

impl fmt::Debug for DatabaseCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseCollector")
    }
}

// === impl ExpiryCollector ===

impl Collector for ExpiryCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (expiries, unit) = (self.0.expiries(), Some(&Unit::Seconds));
        let first = |kind| {
            let times = expiries.iter().filter(|expiry| expiry.kind == kind).filter_map(|expiry| expiry.time);
            times.min().map(|time| ConstGauge::new(time.as_second()))
        };
        let kind = ConstGauge::new(0).metric_type();
        let help = "When the first certificate of a file expires, in seconds since 1970";
        let mut certificates = encoder.encode_descriptor("certificate_not_after", help, unit, kind)?;
        for (name, kind) in [("serving", ExpiryKind::Serving), ("client_ca", ExpiryKind::ClientAuthority)] {
            if let Some(time) = first(kind) {
                time.encode(certificates.encode_family(&[("certificate", name)])?)?;
            }
        }
        let Some(time) = first(ExpiryKind::RevocationList) else { return Ok(()) };
        let help = "When the first revocation list is due for its next update, in seconds since 1970";
        time.encode(encoder.encode_descriptor("revocation_list_next_update", help, unit, kind)?)
    }
}

impl fmt::Debug for ExpiryCollector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExpiryCollector")
    }
}
