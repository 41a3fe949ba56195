//! `secret-service rebuild`: fills the database from the Secrets in the cluster.

use std::{
    io::{self, Write},
    time::Duration,
};

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    CommandError,
    configuration::Configuration,
    lock::{Lock, LockError},
    report_output::ReportOutput,
    settings::{admission, edge_options},
};
use crate::{
    config::Config,
    edge::Edge,
    model::mapping,
    reconcile::rebuild::{self, Finding, Findings, RebuildError, Source},
    store::{RebuildCause, Store, StoreError},
    telemetry::{self, Format},
};

/// How often to check whether the service is done.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Rebuild lost records from the Secrets in the cluster
///
/// The service annotates every Kubernetes Secret or SecretSync that it writes with its full specification:
/// references with versions and encodings, labels, description and vault. This command uses the annotations
/// to fill a database that was lost or restored to an earlier state. It changes nothing in the cluster.
/// Deleted synced secrets stay deleted. A Secret of another vault, or with incomplete annotations, is left
/// alone and listed as UNMANAGED with the reason.
///
/// If the service is running, it does the work within seconds and keeps serving. Otherwise the command does
/// it. A service that starts with a new database rebuilds automatically, unless database.rebuild is false.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Rebuild {
    #[command(flatten)]
    configuration: Configuration,
    /// Show what would be recorded without recording it
    #[arg(long)]
    dry_run: bool,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, env = "SECRET_SERVICE_REBUILD_OUTPUT")]
    output: ReportOutput,
    /// Seconds to wait for a running service
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

const EXAMPLES: &str = "\
Examples:
  # Show what would be recorded
  secret-service rebuild --config secret-service.toml --dry-run

  # Record it
  secret-service rebuild --config secret-service.toml

  # In the pod of a running service
  kubectl exec deploy/secret-service -- secret-service rebuild

Exit codes:
  0  success, or nothing to record
  1  the cluster or the database can't be read, or the service did not finish in time
  2  invalid command line or configuration; each error is one line";

/// Printed if the cluster does not serve the extension's kinds.
const INCOMPLETE: &str = "The cluster does not serve SecretSyncs at the moment, so the Secrets created by them \
                          are left out. A running service retries automatically.";

/// One line of the report.
#[derive(Serialize)]
struct Row {
    name: String,
    /// `secret-store` or `direct`.
    engine: &'static str,
    /// What was done.
    outcome: &'static str,
    /// The references, or why it was left alone.
    detail: String,
}

// === impl Rebuild ===

impl Rebuild {
    /// Finds what the database lacks, records it and prints a report.
    pub async fn run(self) -> Result<(), CommandError> {
        let Self { configuration, dry_run, output, timeout } = self;
        let config = configuration.load()?.config;
        let _logging = telemetry::start(Format::Text, "off").map_err(CommandError::usage)?;
        let database = &config.database.path;
        let read = async || Store::open_to_read(database).await.map_err(|error| with_path(&config, error));
        let findings = match Lock::for_file(database) {
            Err(LockError::Held { .. }) => {
                let findings = find(&config, Some(&read().await?)).await?;
                if !dry_run {
                    request_rebuild(&config, timeout).await?;
                    let left = find(&config, Some(&read().await?))
                        .await?
                        .all
                        .iter()
                        .filter(|one| one.is_news())
                        .count();
                    if left > 0 {
                        return Err(CommandError::failed(format!(
                            "{left} synced secrets are still not recorded; run the command again"
                        )));
                    }
                }
                findings
            }
            Err(error) => return Err(CommandError::failed(error)),
            Ok(_lock) if dry_run && !database.exists() => find(&config, None).await?,
            Ok(_lock) if dry_run => find(&config, Some(&read().await?)).await?,
            Ok(_lock) => {
                let store = Store::open(database).await.map_err(|error| with_path(&config, error))?;
                let findings = record(&config, &store).await;
                store.close().await;
                findings?
            }
        };
        if !findings.is_complete {
            eprintln!("{INCOMPLETE}");
        }
        print(&findings.all, dry_run, output)
    }
}

/// Asks the running service to rebuild, and waits until it is done.
async fn request_rebuild(config: &Config, timeout: u64) -> Result<(), CommandError> {
    let path = &config.database.path;
    let request = Store::request_rebuild(path).await.map_err(|error| with_path(config, error))?;
    let store = Store::open_to_read(path).await.map_err(|error| with_path(config, error))?;
    let end = Instant::now() + Duration::from_secs(timeout);
    while store.rebuild_cause().await.map_err(CommandError::failed)? == Some(request) {
        if Instant::now() >= end {
            return Err(CommandError::failed(format!(
                "the service did not finish within {timeout} s; it keeps trying, and its log shows the cause"
            )));
        }
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

/// Rebuilds in this process, if no service is running.
async fn record(config: &Config, store: &Store) -> Result<Findings, CommandError> {
    let cause =
        store.rebuild_cause().await.map_err(CommandError::failed)?.unwrap_or(RebuildCause::Requested(0));
    let findings = find(config, Some(store)).await?;
    rebuild::record(store, &findings, cause).await.map_err(CommandError::failed)?;
    Ok(findings)
}

fn print(findings: &[Finding], dry_run: bool, output: ReportOutput) -> Result<(), CommandError> {
    let rows: Vec<Row> = findings.iter().map(|finding| Row::of(finding, dry_run)).collect();
    let text = match output {
        ReportOutput::Json => {
            let report = serde_json::json!({ "dryRun": dry_run, "found": rows });
            serde_json::to_string_pretty(&report).expect("plain data is always JSON")
        }
        ReportOutput::Table if rows.is_empty() => {
            "Nothing to record: the database has everything that the cluster holds.".to_owned()
        }
        ReportOutput::Table => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["NAME", "ENGINE", "OUTCOME", "REFERENCES OR REASON"]);
            for Row { name, engine, outcome, detail } in &rows {
                table.add_row([name, *engine, *outcome, detail]);
            }
            table.trim_fmt()
        }
    };
    writeln!(io::stdout().lock(), "{text}").map_err(CommandError::failed)
}

// === impl Row ===

impl Row {
    fn of(finding: &Finding, dry_run: bool) -> Self {
        let recorded = |now, later| if dry_run { later } else { now };
        let (secret, engine, outcome, detail) = match finding {
            Finding::Unknown { record, .. } => {
                let outcome = recorded("recorded", "to be recorded");
                (&record.secret, record.engine, outcome, mapping(&record.secret.references))
            }
            Finding::Newer(_, record) => {
                let outcome = recorded("brought up to date", "to be brought up to date");
                (&record.secret, record.engine, outcome, mapping(&record.secret.references))
            }
            Finding::Left { mirror, engine, why } => (mirror.as_ref(), *engine, "left alone", why.clone()),
        };
        Self { name: secret.id.to_string(), engine: engine.as_str(), outcome, detail }
    }
}

/// Finds what the cluster holds and the database lacks; everything if there is no database.
async fn find(config: &Config, store: Option<&Store>) -> Result<Findings, CommandError> {
    let edge = Edge::connect(&edge_options(config))
        .await
        .map_err(|error| CommandError::failed(RebuildError::from(error)))?;
    let (vault, admission) = (&config.vault.uri.0, &admission(config));
    let source = Source { edge: &edge, vault, admission, are_kinds_gone: false, is_behind: false };
    rebuild::find(store, source).await.map_err(CommandError::failed)
}

fn with_path(config: &Config, error: StoreError) -> CommandError {
    CommandError::failed(format!("{}: {error}", config.database.path.display()))
}
