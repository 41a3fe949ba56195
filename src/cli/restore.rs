//! `secret-service restore`: a backup becomes the database.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{Failure, configuration::Configuration, lock::Lock, settings::instance};
use crate::{
    store::{Restoration, restore},
    telemetry,
};

/// Put a backup in place of the database
///
/// Checks that the file is what was backed up once (SHA-256, damage, schema), and that it is of the vault and the namespace that are
/// configured. The service must not run. An older schema is brought up to date. What the backup replaces is kept beside it, and a process
/// that is killed in between leaves the old database or the new one.
///
/// It begins another history, and callers notice: watchers are told OUT_OF_RANGE, page tokens are no longer good, and a `request_id` that
/// was used before is refused (REQUEST_OF_ANOTHER_HISTORY). The audit says which backup it goes on from; an anchor that is newer than the
/// backup no longer verifies.
///
/// The next `secret-service serve` holds what is recorded against the edge first. What the edge no longer holds may have been deleted after the
/// backup: it waits for a person, who syncs it or deletes it (NotAtEdgeAfterRestore).
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Restore {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  secret-service restore --config secret-service.toml /mnt/share/contoso-azure-iot-operations-000042-20270131T120000Z.backup
  secret-service serve --config secret-service.toml

  # In a cluster: stop the service, restore in a pod with the same volumes and configuration, start it again
  kubectl scale deploy/secret-service --replicas 0

Exit codes:
  0  the backup is the database now
  1  it is not, and the database is as it was
  2  the command line or the configuration is wrong; each mistake is one line";

// === impl Restore ===

impl Restore {
    /// Puts it in place.
    pub async fn run(self) -> Result<(), Failure> {
        let config = self.configuration.load()?.config;
        // What the audit records is logged as it is while the service runs.
        let _logging = telemetry::start(config.log.format, &config.log.level.0).map_err(Failure::usage)?;
        let database = &config.database.path;
        let _lock = Lock::beside(database).map_err(Failure::failed)?;
        let restored = restore(&self.file, database, &instance(&config)).await.map_err(Failure::failed)?;
        let Restoration { manifest, kept } = restored;
        let kept = kept.map_or_else(
            || "There was no database before.".to_owned(),
            |kept| format!("What was there before is {}.", kept.display()),
        );
        let told = writeln!(
            io::stdout().lock(),
            "{} is {} as of {:.0}: up to change {} and event {} of the audit. {kept}",
            database.display(),
            self.file.display(),
            manifest.time,
            manifest.sequence,
            manifest.audit_sequence,
        );
        told.map_err(Failure::failed)
    }
}
