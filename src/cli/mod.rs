//! The command line: one file per command.

mod backup;
mod check;
mod client;
mod configuration;
mod descriptors;
#[cfg(feature = "dev")]
mod dev;
mod docs;
mod identity;
pub mod lock;
mod memory;
mod rebuild;
mod report_output;
mod restore;
mod serve;
pub mod service;
mod settings;
mod signals;

use std::{error::Error, fmt, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{config::ConfigError, model::is_unprintable, quote::Quote, quote::chain};

/// Manage the secrets of an Azure IoT Operations instance at the edge
///
/// The service syncs secrets from the instance's Azure Key Vault to Kubernetes Secrets in the instance's
/// namespace. Manage them over gRPC, or with the commands `secrets`, `vault` and `audit`.
#[derive(Debug, Parser)]
#[command(name = "secret-service", version, max_term_width = 110, after_long_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  success
  1  failure, or a failed check
  2  invalid command line or configuration

`secrets`, `vault` and `audit` have further exit codes. See their --help.";

#[derive(Debug, Subcommand)]
enum Command {
    #[cfg(feature = "dev")]
    Dev(dev::Dev),
    Serve(Box<serve::Serve>),
    Check(Box<check::Check>),
    Rebuild(Box<rebuild::Rebuild>),
    Backup(Box<backup::Backup>),
    Restore(Box<restore::Restore>),
    Secrets(Box<client::Secrets>),
    Vault(Box<client::Vault>),
    Audit(Box<client::Audit>),
    Health(Box<client::Health>),
    Completions(docs::Completions),
    Man(docs::Man),
}

/// Why a command failed: lines for people, and the exit code for programs.
#[derive(Debug, PartialEq, Eq)]
pub struct CommandError {
    lines: Vec<String>,
    code: u8,
}

/// Parses the command line and runs one command.
///
/// Not `async`: the compiler generates the code of a future where it is first polled, and that would be the binary.
pub fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start threads: {}", Quote::error(&error));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let cli = Cli::parse();
        if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
            eprintln!("error: another cryptography provider was installed before ours");
            return ExitCode::FAILURE;
        }
        cli.run().await
    });
    // Don't wait for a thread that waits for a file on a hanging disk.
    runtime.shutdown_background();
    code
}

// === impl Cli ===

impl Cli {
    async fn run(self) -> ExitCode {
        let ended = match self.command {
            #[cfg(feature = "dev")]
            Command::Dev(dev) => dev.run().await,
            Command::Serve(serve) => serve.run().await,
            Command::Check(check) => check.run().await,
            Command::Rebuild(rebuild) => rebuild.run().await,
            Command::Backup(backup) => backup.run().await,
            Command::Restore(restore) => restore.run().await,
            Command::Secrets(secrets) => secrets.run().await,
            Command::Vault(vault) => vault.run().await,
            Command::Audit(audit) => audit.run().await,
            Command::Health(health) => health.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(man) => man.run(),
        };
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                if !failure.lines.is_empty() {
                    eprintln!("{failure}");
                }
                ExitCode::from(failure.code)
            }
        }
    }
}

// === impl CommandError ===

impl CommandError {
    const FAILED: u8 = 1;
    const USAGE: u8 = 2;

    /// The command ran and failed.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { lines: vec![with_causes(error.into().as_ref())], code: Self::FAILED }
    }

    /// An error from the service: what happened, followed by indented lines with the remedy and the details.
    fn with_details(lines: impl IntoIterator<Item = String>, code: u8) -> Self {
        Self { lines: vec![lines.into_iter().collect::<Vec<_>>().join("\n  ")], code }
    }

    /// Combines two failures. The exit code is that of the first.
    fn merge(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self
    }

    /// Standard output was closed, as by `| head`. There is nothing left to do and nothing to report.
    fn broken_pipe() -> Self {
        Self { lines: Vec::new(), code: 0 }
    }

    /// The configuration is invalid.
    fn invalid_config(mistakes: &[ConfigError]) -> Self {
        Self { lines: mistakes.iter().map(ToString::to_string).collect(), code: Self::USAGE }
    }

    /// The command line or its input is invalid.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { lines: vec![with_causes(error.into().as_ref())], code: Self::USAGE }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, line) in self.lines.iter().enumerate() {
            if place > 0 {
                writeln!(f)?;
            }
            write!(f, "error: {line}")?;
        }
        Ok(())
    }
}

/// One line with the error and its causes, leaving out causes that the text already contains.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in chain(error).skip(1) {
        let text = Quote::error(cause);
        if !line.contains(&*text) {
            line = format!("{line}: {text}");
        }
    }
    line.replace(is_unprintable, " ")
}

#[cfg(test)]
mod tests;
