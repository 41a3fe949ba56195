//! `secret-service rebuild`: records again what the edge holds and the database does not know.

use std::{
    io::{self, Write},
    time::Duration,
};

use comfy_table::{Table, presets::NOTHING};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::{
    Failure,
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

/// How often it is looked whether the service is done.
const DONE_EVERY: Duration = Duration::from_millis(200);

/// Record again what the edge holds and the database does not know
///
/// Each Kubernetes Secret or SecretSync that the service writes says what was asked for: the references with their pins and encodings, labels,
/// description and vault. From that, a database that was lost, or put back to an earlier state, is filled again. Nothing at the edge is
/// touched. What was deleted in the database stays deleted; what is of another vault, or can't be read in full, is left alone and listed
/// as UNMANAGED with the reason.
///
/// A service that is running does it within seconds, and goes on meanwhile. Where none is, this command does it itself. A service that starts
/// with a new database does it unasked, unless database.rebuild is false.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Rebuild {
    #[command(flatten)]
    configuration: Configuration,
    /// Say what would be recorded, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t, env = "SECRET_SERVICE_REBUILD_OUTPUT")]
    output: ReportOutput,
    /// Seconds to wait for a service that is running
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

const EXAMPLES: &str = "\
Examples:
  # What would be recorded?
  secret-service rebuild --config secret-service.toml --dry-run

  # Record it
  secret-service rebuild --config secret-service.toml

  # In the pod of a service that is running
  kubectl exec deploy/secret-service -- secret-service rebuild

Exit codes:
  0  it is recorded, or there is nothing to record
  1  the edge or the database can't be read, or the service has not answered in time
  2  the command line or the configuration is wrong; each mistake is one line";

/// Where the extension's kinds are not served.
const LEFT_OUT: &str = "The cluster serves no SecretSyncs at the moment: the Secrets that they made are left out. A service that runs looks again \
                        by itself.";

/// What was found, to print.
#[derive(Serialize)]
struct Row {
    name: String,
    /// `secret-store` or `direct`.
    engine: &'static str,
    /// What is done with it.
    outcome: &'static str,
    /// The references, or why it is left alone.
    detail: String,
}

// === impl Rebuild ===

impl Rebuild {
    /// Finds out what is to be recorded, records it and prints it.
    pub async fn run(self) -> Result<(), Failure> {
        let Self { configuration, dry_run, output, timeout } = self;
        let config = configuration.load()?.config;
        let _logging = telemetry::start(Format::Text, "off").map_err(Failure::usage)?;
        let database = &config.database.path;
        let read = async || Store::open_to_read(database).await.map_err(|error| with_path(&config, error));
        let findings = match Lock::beside(database) {
            Err(LockError::Held { .. }) => {
                let findings = find(&config, Some(&read().await?)).await?;
                if !dry_run {
                    ask(&config, timeout).await?;
                    let left = find(&config, Some(&read().await?))
                        .await?
                        .all
                        .iter()
                        .filter(|one| one.is_news())
                        .count();
                    if left > 0 {
                        return Err(Failure::failed(format!(
                            "{left} synced secrets are not recorded; call it again"
                        )));
                    }
                }
                findings
            }
            Err(error) => return Err(Failure::failed(error)),
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
            eprintln!("{LEFT_OUT}");
        }
        print(&findings.all, dry_run, output)
    }
}

/// Asks the service that works with the database, and waits until it is done.
async fn ask(config: &Config, timeout: u64) -> Result<(), Failure> {
    let path = &config.database.path;
    let asked = Store::ask_rebuild(path).await.map_err(|error| with_path(config, error))?;
    let store = Store::open_to_read(path).await.map_err(|error| with_path(config, error))?;
    let end = Instant::now() + Duration::from_secs(timeout);
    while store.rebuild_cause().await.map_err(Failure::failed)? == Some(asked) {
        if Instant::now() >= end {
            return Err(Failure::failed(format!(
                "the service has not recorded it within {timeout} s; it goes on trying, and its log says what is in the way"
            )));
        }
        sleep(DONE_EVERY).await;
    }
    Ok(())
}

/// Records it, where no service works with the database.
async fn record(config: &Config, store: &Store) -> Result<Findings, Failure> {
    let cause = store.rebuild_cause().await.map_err(Failure::failed)?.unwrap_or(RebuildCause::Asked(0));
    let findings = find(config, Some(store)).await?;
    rebuild::record(store, &findings, cause).await.map_err(Failure::failed)?;
    Ok(findings)
}

fn print(findings: &[Finding], dry_run: bool, output: ReportOutput) -> Result<(), Failure> {
    let rows: Vec<Row> = findings.iter().map(|finding| Row::of(finding, dry_run)).collect();
    let text = match output {
        ReportOutput::Json => {
            let report = serde_json::json!({ "dryRun": dry_run, "found": rows });
            serde_json::to_string_pretty(&report).expect("plain data is always JSON")
        }
        ReportOutput::Table if rows.is_empty() => "The database knows all that the edge holds.".to_owned(),
        ReportOutput::Table => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(["NAME", "ENGINE", "OUTCOME", "REFERENCES, OR WHY NOT"]);
            for Row { name, engine, outcome, detail } in &rows {
                table.add_row([name, *engine, *outcome, detail]);
            }
            table.trim_fmt()
        }
    };
    writeln!(io::stdout().lock(), "{text}").map_err(Failure::failed)
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

/// What the edge holds and the database does not know; all where there is no database.
async fn find(config: &Config, store: Option<&Store>) -> Result<Findings, Failure> {
    let edge = Edge::connect(&edge_options(config))
        .await
        .map_err(|error| Failure::failed(RebuildError::from(error)))?;
    let (vault, admission) = (&config.vault.uri.0, &admission(config));
    let source = Source { edge: &edge, vault, admission, are_kinds_gone: false, is_behind: false };
    rebuild::find(store, source).await.map_err(Failure::failed)
}

fn with_path(config: &Config, error: StoreError) -> Failure {
    Failure::failed(format!("{}: {error}", config.database.path.display()))
}
