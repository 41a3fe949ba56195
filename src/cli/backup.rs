//! `secret-service backup`: the database as it is at one moment, in a file of its own.

use std::{
    io::{self, Write},
    path::PathBuf,
};

use super::{Failure, configuration::Configuration, signals};
use crate::store::{self, back_up};

/// Back up the database, also while the service runs
///
/// Writes all that is recorded at one moment into one file: what is asked for, what was seen, the change feed and the audit. No value of a
/// secret is in it; the vault holds those. The service goes on reading and writing meanwhile. The file is for its owner alone, and whoever
/// sees it sees all of it. It says in itself which schema, vault, namespace and time it is of, with a SHA-256 over all of it.
///
/// Scheduled backups are made by the service itself, see `backup.directory` in its configuration.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Backup {
    /// The file to write; its directory must exist
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Replace FILE where it exists
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    configuration: Configuration,
}

const EXAMPLES: &str = "\
Examples:
  secret-service backup --config secret-service.toml /mnt/share/secret-service.backup

  # From a pod, to this machine
  kubectl exec deploy/secret-service -- secret-service backup --overwrite \\
    --config /etc/secret-service/secret-service.toml /var/lib/secret-service/now.backup
  kubectl cp POD:/var/lib/secret-service/now.backup now.backup

  # What a backup says of itself
  sqlite3 now.backup \"SELECT value FROM settings WHERE name = 'backup'\"

Exit codes:
  0  the backup is there, and was found to be whole
  1  there is no backup; what stood in FILE is as it was
  2  the command line or the configuration is wrong; each mistake is one line";

// === impl Backup ===

impl Backup {
    /// Makes it.
    pub async fn run(self) -> Result<(), Failure> {
        let database = self.configuration.load()?.config.database.path;
        let made = signals::until_told(async |stop| {
            tokio::select! {
                made = back_up(&database, &self.file, self.overwrite) => made.map_err(Failure::failed),
                () = stop.cancelled() => Err(Failure::failed("it was told to end before the backup was made")),
            }
        });
        let made: store::Backup = made.await.map_err(Failure::failed)??;
        let store::Manifest { schema, sequence, audit_sequence, sha256, .. } = made.manifest;
        let told = writeln!(
            io::stdout().lock(),
            "{}: {} bytes, schema {schema}, up to change {sequence} and event {audit_sequence} of the audit, SHA-256 {sha256}",
            made.file.display(),
            made.bytes
        );
        told.map_err(Failure::failed)
    }
}
