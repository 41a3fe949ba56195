//! Logging to standard error: text for people, JSON for programs. Targets that could log secrets are
//! silenced.
//!
//! A dedicated thread writes the log, so a slow reader or a hanging disk blocks nothing else. If lines come
//! faster than they can be written, the newest are dropped and counted.

use std::{env, sync::OnceLock};

use tracing::{Metadata, level_filters::LevelFilter};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, FilterFn, ParseError, filter_fn},
    fmt::{self, MakeWriter, format::FmtSpan},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

/// Variables with a filter that takes precedence over the configured level.
const VARIABLES: [&str; 2] = ["SECRET_SERVICE_LOG", "RUST_LOG"];

/// Maximum buffered lines. More are dropped.
const LINES: usize = 4 * 1024;

static COUNTER: OnceLock<ErrorCounter> = OnceLock::new();

/// Targets that could log bodies, headers or SQL statements, with their maximum level, whatever the filter
/// says.
const PINNED: [(&str, LevelFilter); 15] = [
    ("azure_core", LevelFilter::WARN),
    ("azure_identity", LevelFilter::WARN),
    ("azure_security_keyvault_secrets", LevelFilter::WARN),
    ("h2", LevelFilter::WARN),
    ("hyper", LevelFilter::WARN),
    ("hyper_util", LevelFilter::WARN),
    ("kube", LevelFilter::WARN),
    // Logs the whole body if a response can't be parsed, which may be a Secret. `edge` reports its errors.
    ("kube_client", LevelFilter::OFF),
    // Logs whole errors, which may contain the output of a credential plugin. `edge` reports them, too.
    ("kube_runtime", LevelFilter::OFF),
    ("reqwest", LevelFilter::WARN),
    ("rustls", LevelFilter::WARN),
    ("sqlx", LevelFilter::WARN),
    ("tonic", LevelFilter::WARN),
    ("typespec", LevelFilter::WARN),
    ("typespec_client_core", LevelFilter::WARN),
];

/// Format of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object per line.
    Json,
}

/// Running logging. Dropping it waits until all lines are written, for a second at most.
#[must_use = "buffered lines are lost if it is not dropped at the end"]
pub struct Logging(#[allow(dead_code, reason = "it is dropped")] WorkerGuard);

/// Starts logging, once per process. `filter` is a level (`info`) or a list of targets
/// (`info,secret_service::vault=debug`). `SECRET_SERVICE_LOG` and `RUST_LOG` take precedence.
pub fn start(format: Format, filter: &str) -> Result<Logging, ParseError> {
    let variable = VARIABLES.into_iter().find_map(|name| env::var(name).ok().filter(|text| !text.is_empty()));
    let filter = parse(variable.as_deref().unwrap_or(filter))?;
    let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES).lossy(true).thread_name("log");
    let (writer, guard) = builder.finish(std::io::stderr());
    let counter = writer.error_counter();
    let registry = tracing_subscriber::registry().with(layer(format, filter, writer));
    match registry.try_init() {
        Ok(()) => drop(COUNTER.set(counter)),
        Err(_) => tracing::debug!("logging was started before"),
    }
    Ok(Logging(guard))
}

/// Lines dropped since the start, because they came faster than they were written.
pub fn dropped_lines() -> u64 {
    COUNTER.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// Parses a filter.
pub fn parse(filter: &str) -> Result<EnvFilter, ParseError> {
    EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).parse(filter)
}

fn layer<S, W>(format: Format, filter: EnvFilter, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer().with_writer(writer).with_span_events(FmtSpan::NONE);
    let filter = filter.and(may_speak());
    match format {
        Format::Text => {
            let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
            layer.with_ansi(ansi).with_target(false).with_filter(filter).boxed()
        }
        Format::Json => layer.json().flatten_event(true).with_span_list(false).with_filter(filter).boxed(),
    }
}

/// The filter that no setting can turn off: [`PINNED`].
fn may_speak() -> FilterFn {
    filter_fn(|metadata: &Metadata<'_>| {
        let target = metadata.target();
        let root = target.split("::").next().unwrap_or(target);
        // `sqlx` also covers `sqlx_core` and `sqlx_sqlite`, `kube` also `kube_runtime`.
        let pin = PINNED.iter().filter(|(name, _)| belongs(root, name)).max_by_key(|(name, _)| name.len());
        pin.is_none_or(|(_, most)| metadata.level() <= most)
    })
}

fn belongs(root: &str, name: &str) -> bool {
    root.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use std::{io::Write, sync::Arc};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: Format, filter: &str, speak: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = layer(format, parse(filter).unwrap(), move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), speak);
        let bytes = lines.0.lock().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn no_log_filter_enables_modules_that_print_bodies_or_statements() {
        let logged = logged(Format::Text, "trace,sqlx::query=trace,hyper_util::client=trace", || {
            tracing::debug!(target: "sqlx::query", "canary");
            tracing::trace!(target: "sqlx_core::logger", "canary");
            tracing::trace!(target: "hyper_util::client::legacy", "canary");
            tracing::debug!(target: "azure_core::http::policies", "canary");
            tracing::debug!(target: "typespec_client_core::http", "canary");
            tracing::trace!(target: "h2::proto", "canary");
            tracing::warn!(target: "kube_client::client", "canary");
            tracing::trace!(target: "reqwest::connect", "canary");
            tracing::error!(target: "kube_client::client", "canary");
            tracing::warn!(target: "kube_runtime::watcher", "canary");
            tracing::warn!(target: "reqwest::connect", "is heard");
            tracing::trace!(target: "secret_service::vault", "speaks");
        });
        assert!(!logged.contains("canary"), "{logged}");
        assert!(logged.contains("is heard") && logged.contains("speaks"), "{logged}");
    }

    #[test]
    fn json_lines_carry_the_request_id_of_their_span() {
        let logged = logged(Format::Json, "info", || {
            let _span = tracing::info_span!("call", request_id = "r-1").entered();
            tracing::info!(code = "OK", "done");
        });
        let line: serde_json::Value = serde_json::from_str(&logged).unwrap();
        assert_eq!(line["span"]["request_id"], "r-1");
        assert_eq!((line["message"].as_str(), line["code"].as_str()), (Some("done"), Some("OK")));
    }

    #[test]
    fn a_filter_that_can_not_be_read_is_an_error() {
        assert!(parse("secret_service=loud").is_err());
    }
}
