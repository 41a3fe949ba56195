//! `secret-service restore`: replaces the database with a backup.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{CommandError, configuration::Configuration, lock::Lock, settings::instance};
use crate::{
    store::{Restoration, restore},
    telemetry,
};

/// Replace the database with a backup
///
/// Stop the service first. The command verifies that the file is an intact backup (SHA-256, integrity,
/// schema) and that it belongs to the configured vault and namespace. An older schema is migrated. The
/// previous database is kept beside the new one. If the command is killed, either the old or the new database
/// is in place.
///
/// A restore starts a new history, and callers notice: watchers get OUT_OF_RANGE, page tokens become invalid,
/// and a `request_id` that was used before is refused (REQUEST_OF_ANOTHER_HISTORY). The audit log records
/// which backup it continues from. An anchor newer than the backup no longer verifies.
///
/// The next `secret-service serve` first compares the database with the cluster. A synced secret that the
/// cluster no longer has may have been deleted after the backup. It is not synced until somebody syncs or
/// deletes it (condition reason NotAtEdgeAfterRestore).
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Restore {
    /// The backup to restore
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  secret-service restore --config secret-service.toml /mnt/share/contoso-azure-iot-operations-000042-20270131T120000Z.backup
  secret-service serve --config secret-service.toml

  # In a cluster: stop the service, restore in a pod with the same volumes and configuration, then start it again
  kubectl scale deploy/secret-service --replicas 0

Exit codes:
  0  the database is restored
  1  failure; the database is unchanged
  2  invalid command line or configuration; each error is one line";

// === impl Restore ===

impl Restore {
    /// Restores the backup.
    pub async fn run(self) -> Result<(), CommandError> {
        let config = self.configuration.load()?.config;
        // Audit events are logged too, as they are while the service runs.
        let _logging =
            telemetry::start(config.log.format, &config.log.level.0).map_err(CommandError::usage)?;
        let database = &config.database.path;
        let _lock = Lock::for_file(database).map_err(CommandError::failed)?;
        let restored =
            restore(&self.file, database, &instance(&config)).await.map_err(CommandError::failed)?;
        let Restoration { manifest, kept } = restored;
        let kept = kept.map_or_else(
            || "There was no database before.".to_owned(),
            |kept| format!("The previous database is {}.", kept.display()),
        );
        let written = writeln!(
            io::stdout().lock(),
            "{} was restored from {}, made at {:.0}: up to change {} and audit event {}. {kept}",
            database.display(),
            self.file.display(),
            manifest.time,
            manifest.sequence,
            manifest.audit_sequence,
        );
        written.map_err(CommandError::failed)
    }
}
