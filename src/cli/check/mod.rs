//! `secret-service check`: checks the service's prerequisites without running it.

mod checks;
mod clock;
mod cluster;
mod names;
mod report;

use super::{CommandError, configuration::Configuration, report_output::ReportOutput};
use crate::telemetry::{self, Format};

/// Check the service's prerequisites and say how to fix what is missing
///
/// Checks the configuration, the database, the Key Vault (reachable, rights to list and read) and the cluster
/// (namespace, rights, watch, and the engine with its prerequisites) the way the service uses them. Changes
/// nothing. The service may be running.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Check {
    #[command(flatten)]
    configuration: Configuration,
    /// Output format
    #[arg(short, long, value_enum, default_value_t, env = "SECRET_SERVICE_CHECK_OUTPUT")]
    output: ReportOutput,
    /// Also check the right to create vault secrets
    ///
    /// Asks the vault to store a secret `secret-service-access-probe` without a value. Key Vault rejects the
    /// request and stores nothing, but logs it. A vault implementation that accepts secrets without a value
    /// stores one of that name. The report then says so, and you delete it.
    #[arg(long)]
    probe_writes: bool,
}

const EXAMPLES: &str = "\
Examples:
  secret-service check --config secret-service.toml
  secret-service check --config secret-service.toml -o json | jq '.checks[] | select(.holds != \"yes\").id'

Exit codes:
  0  all checks that syncing depends on passed; there may be warnings
  1  a check failed or could not be carried out
  2  invalid command line or configuration; each error is one line";

impl Check {
    /// Runs all checks and prints the report.
    pub async fn run(self) -> Result<(), CommandError> {
        let config = self.configuration.load()?.config;
        // The report contains everything that matters.
        let _logging = telemetry::start(Format::Text, "off").map_err(CommandError::usage)?;
        let report = checks::run(&config, self.probe_writes).await?;
        report.print(matches!(self.output, ReportOutput::Json))?;
        match report.failures() {
            0 => Ok(()),
            broken => Err(CommandError::failed(format!("{broken} of {} checks failed", report.0.len()))),
        }
    }
}
