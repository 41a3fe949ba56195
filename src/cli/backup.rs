//! `secret-service backup`: writes a consistent copy of the database.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{CommandError, configuration::Configuration, signals};
use crate::store::{self, back_up};

/// Back up the database while the service runs
///
/// Writes a consistent copy of the database to one file: synced secrets, their last observed state, the
/// change feed and the audit log. It contains no secret values; those stay in the vault. The service keeps
/// reading and writing meanwhile. The file is readable by its owner only and appears complete or not at all.
/// It records its schema, vault, namespace and time, and a SHA-256 of its content.
///
/// The service also makes scheduled backups. See `backup.directory` in its configuration.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Backup {
    /// The file to write; its directory must exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE if it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  secret-service backup --config secret-service.toml /mnt/share/secret-service.backup

  # From a pod to this machine
  kubectl exec deploy/secret-service -- secret-service backup --overwrite \\
    --config /etc/secret-service/secret-service.toml /var/lib/secret-service/now.backup
  kubectl cp POD:/var/lib/secret-service/now.backup now.backup

  # Show the metadata of a backup
  sqlite3 now.backup \"SELECT value FROM settings WHERE name = 'backup'\"

Exit codes:
  0  the backup was written and verified
  1  failure; FILE is unchanged
  2  invalid command line or configuration; each error is one line";

// === impl Backup ===

impl Backup {
    /// Makes the backup.
    pub async fn run(self) -> Result<(), CommandError> {
        let database = self.configuration.load()?.config.database.path;
        let made = signals::run_until_signal(async |stop| {
            tokio::select! {
                made = back_up(&database, &self.file, self.overwrite) => made.map_err(CommandError::failed),
                () = stop.cancelled() => Err(CommandError::failed("stopped by a signal before the backup was complete")),
            }
        });
        let made: store::Backup = made.await.map_err(CommandError::failed)??;
        let store::Manifest { schema, sequence, audit_sequence, sha256, .. } = made.manifest;
        let written = writeln!(
            io::stdout().lock(),
            "{}: {} bytes, schema {schema}, up to change {sequence} and audit event {audit_sequence}, \
             SHA-256 {sha256}",
            made.file.display(),
            made.bytes
        );
        written.map_err(CommandError::failed)
    }
}
