//! `secret-service check`: what the service needs, tried without running it.

mod checks;
mod cluster;
mod report;

use super::{Failure, configuration::Configuration, report_output::ReportOutput};
use crate::telemetry::{self, Format};

/// Check what the service needs, and say what to do about what is missing
///
/// Tries the configuration, the database, the Key Vault (reachable, may list and read) and the cluster (the namespace, the
/// rights, the watch, the engine and what it needs) as the service would, and changes nothing. The service may be running
/// meanwhile.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Check {
    #[command(flatten)]
    configuration: Configuration,
    /// How to print what was found
    #[arg(short, long, value_enum, default_value_t, env = "SECRET_SERVICE_CHECK_OUTPUT")]
    output: ReportOutput,
    /// Try also whether vault secrets may be created
    ///
    /// Asks the vault to store a secret `secret-service-access-probe` without a value. Key Vault refuses that and stores
    /// nothing; the refusal stands in its log. A vault of another vendor that takes secrets without a value keeps one of that
    /// name: then the report says so, and you delete it.
    #[arg(long)]
    probe_writes: bool,
}

const EXAMPLES: &str = "\
Examples:
  secret-service check --config secret-service.toml
  secret-service check --config secret-service.toml -o json | jq '.checks[] | select(.holds != \"yes\")'

Exit codes:
  0  everything holds that syncing needs; a warning tells what else does not
  1  something does not, or could not be told
  2  the command line or the configuration is wrong; each mistake is one line";

impl Check {
    /// Runs all checks and prints what they found.
    pub async fn run(self) -> Result<(), Failure> {
        let config = self.configuration.load()?.config;
        // What matters is in the report.
        let _logging = telemetry::start(Format::Text, "off").map_err(Failure::usage)?;
        let report = checks::run(&config, self.probe_writes).await?;
        report.print(matches!(self.output, ReportOutput::Json))?;
        match report.broken() {
            0 => Ok(()),
            broken => Err(Failure::failed(format!("{broken} of {} checks do not hold", report.0.len()))),
        }
    }
}
