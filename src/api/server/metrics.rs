//! What is counted, for Prometheus: calls by method and code, and where the synced secrets stand. No name of theirs and no value is in it.

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
        limit::Refusals,
        listen,
        tls::{Certificates, ExpiryKind},
        tracker::Lines,
    },
    error::code_name,
};
use crate::{secrets::Secrets, telemetry};

/// What Prometheus asks for first.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The counters of a server.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    calls: Family<Labels, Counter>,
    seconds: Family<Method, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    method: &'static str,
    code: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Method {
    method: &'static str,
}

/// Where the synced secrets stand: looked at when somebody asks.
struct AtScrape(Secrets);

/// What the database takes, and how its backups went: looked at when somebody asks.
struct Database(Secrets);

/// When the files of TLS end: looked at when somebody asks.
struct Ends(Certificates);

// === impl Metrics ===

impl Metrics {
    pub(crate) fn new(secrets: Secrets, certificates: Option<Certificates>, refusals: &Refusals) -> Self {
        let mut registry = Registry::with_prefix("secret_service");
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The release that runs", build);
        let calls = Family::default();
        registry.register("calls", "Calls that were answered, by method and canonical code", calls.clone());
        // From half a millisecond to half a minute.
        let histogram = || Histogram::new(exponential_buckets(0.000_5, 4.0, 9));
        let seconds = Family::new_with_constructor(histogram as fn() -> Histogram);
        let help = "How long calls took until their answer began";
        registry.register_with_unit("call_duration", help, Unit::Seconds, seconds.clone());
        refusals.register(&mut registry);
        registry.register_collector(Box::new(Database(secrets.clone())));
        registry.register_collector(Box::new(AtScrape(secrets)));
        if let Some(certificates) = certificates {
            registry.register_collector(Box::new(Ends(certificates)));
        }
        Self(Arc::new(Inner { registry, calls, seconds }))
    }

    /// Counts a call. The method is one of a fixed set, never the caller's text.
    pub(crate) fn called(&self, method: &'static str, code: Code, took: Duration) {
        self.0.calls.get_or_create(&Labels { method, code: code_name(code) }).inc();
        self.0.seconds.get_or_create(&Method { method }).observe(took.as_secs_f64());
    }

    /// All of it, as OpenMetrics writes it.
    fn text(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }

    /// Serves them at `/metrics` until `stop`; nobody who asks for them is waited for then. A connection is for one page, and not for long.
    pub(crate) async fn serve(
        self,
        listener: TcpListener,
        (lines, time): (Lines, Duration),
        stop: CancellationToken,
    ) {
        let page = async move || {
            let page = self.text().map_err(|_| axum::http::StatusCode::INTERNAL_SERVER_ERROR)?;
            Ok::<_, axum::http::StatusCode>(([(CONTENT_TYPE, OPEN_METRICS)], page))
        };
        let pages = Router::new().route("/metrics", get(page));
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(time).keep_alive(false);
        let mut incoming = pin!(lines.of(listen::tcp(listener)));
        let mut under_way = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = under_way.join_next() => {}
                accepted = incoming.next() => {
                    let Some(Ok(wire)) = accepted else { return };
                    let pages = TowerToHyperService::new(pages.clone());
                    under_way.spawn(tokio::time::timeout(time, http.serve_connection(TokioIo::new(wire), pages)));
                }
            }
        }
    }
}

// === impl AtScrape ===

impl Collector for AtScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let standing = self.0.standing();
        let gauge = ConstGauge::new(0);
        let help = "Synced secrets of this service, by state";
        let mut states = encoder.encode_descriptor("synced_secrets", help, None, gauge.metric_type())?;
        for (state, number) in standing.states {
            ConstGauge::new(number).encode(states.encode_family(&[("state", state.as_str())])?)?;
        }
        let waits =
            standing.unsynced_since.map_or(0.0, |since| Timestamp::now().duration_since(since).as_secs_f64());
        let help =
            "How long the synced secret that is out of sync for longest has been so; 0 where all are in sync";
        let unit = Some(&Unit::Seconds);
        let longest = encoder.encode_descriptor("longest_unsynced", help, unit, gauge.metric_type())?;
        ConstGauge::new(waits.max(0.0)).encode(longest)?;
        let help = "1 where this process acts for the instance, 0 where it stands by";
        let leader = encoder.encode_descriptor("leader", help, None, gauge.metric_type())?;
        ConstGauge::new(i64::from(standing.is_leading)).encode(leader)?;
        let changes = ConstCounter::new(standing.holder_changes);
        let help = "How often this process saw the Lease of the instance with another holder than before";
        changes.encode(encoder.encode_descriptor(
            "lease_holder_changes",
            help,
            None,
            changes.metric_type(),
        )?)?;
        let help = "By how much this machine's clock is ahead of that of the vault and of the API server";
        let mut skews = encoder.encode_descriptor("clock_skew", help, unit, gauge.metric_type())?;
        for (peer, skew) in self.0.skews() {
            ConstGauge::new(skew.as_secs_f64()).encode(skews.encode_family(&[("peer", peer)])?)?;
        }
        let dropped = ConstCounter::new(telemetry::dropped_lines());
        let help = "Log lines that were dropped because they came faster than they could be written";
        dropped.encode(encoder.encode_descriptor("log_lines_dropped", help, None, dropped.metric_type())?)
    }
}

impl fmt::Debug for AtScrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtScrape")
    }
}

// === impl Database ===

impl Collector for Database {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (room, gauge, unit) = (self.0.room(), ConstGauge::new(0).metric_type(), Some(&Unit::Bytes));
        let number = |number: u64| ConstGauge::new(i64::try_from(number).unwrap_or(i64::MAX));
        let help = "What the database takes: its file, what of the file holds nothing and is used before it grows, its write-ahead log";
        let mut parts = encoder.encode_descriptor("database", help, unit, gauge)?;
        for (part, bytes) in [("file", room.database), ("free", room.growing.free), ("log", room.log)] {
            number(bytes).encode(parts.encode_family(&[("part", part)])?)?;
        }
        if let Some(free) = room.disk_free {
            let help = "What is free on the disk of the database";
            number(free).encode(encoder.encode_descriptor("database_disk_free", help, unit, gauge)?)?;
        }
        let growing = room.growing;
        let of = [("audit", growing.audit), ("denials", growing.denials), ("feed", growing.feed)];
        let help = "What grows with use, about: events of what was done, denials, the change feed";
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
            let (help, unit) =
                ("When the newest backup was made, in seconds since 1970", Some(&Unit::Seconds));
            let made = encoder.encode_descriptor("backup_last_success_timestamp", help, unit, gauge)?;
            ConstGauge::new(last.as_second()).encode(made)?;
        }
        let help = "The size of the newest backup";
        number(backups.bytes).encode(encoder.encode_descriptor("backup", help, unit, gauge)?)?;
        let kept = number(backups.kept as u64);
        kept.encode(encoder.encode_descriptor("backups_kept", "Backups that are there", None, gauge)?)?;
        let failures = ConstCounter::new(backups.failures);
        let help = "Backups that failed since the service started";
        failures.encode(encoder.encode_descriptor("backup_failures", help, None, failures.metric_type())?)
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

// === impl Ends ===

impl Collector for Ends {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (dates, unit) = (self.0.dates(), Some(&Unit::Seconds));
        let first = |kind| {
            let ends = dates.iter().filter(|dated| dated.kind == kind).filter_map(|dated| dated.ends);
            ends.min().map(|ends| ConstGauge::new(ends.as_second()))
        };
        let kind = ConstGauge::new(0).metric_type();
        let help = "When the first certificate of a file ends, in seconds since 1970";
        let mut certificates = encoder.encode_descriptor("certificate_not_after", help, unit, kind)?;
        for (name, kind) in [("serving", ExpiryKind::Serving), ("client_ca", ExpiryKind::ClientAuthority)] {
            if let Some(ends) = first(kind) {
                ends.encode(certificates.encode_family(&[("certificate", name)])?)?;
            }
        }
        let Some(ends) = first(ExpiryKind::RevocationList) else { return Ok(()) };
        let help = "When the first revocation list is past its next update, in seconds since 1970";
        ends.encode(encoder.encode_descriptor("revocation_list_next_update", help, unit, kind)?)
    }
}

impl fmt::Debug for Ends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ends")
    }
}
