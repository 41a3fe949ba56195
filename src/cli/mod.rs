//! The command line: one file a command, each of which wires what the library has and says how it went.

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
use futures::{FutureExt, future::LocalBoxFuture};

use crate::{config::Mistake, model::steers, quote::Quote};

/// Manages the secrets of an Azure IoT Operations instance at the edge
///
/// Creates and finds secrets in the instance's Azure Key Vault and keeps synced secrets in step with them, as Kubernetes
/// Secrets in the instance's namespace. Programs and people manage them over gRPC.
#[derive(Debug, Parser)]
#[command(name = "secret-service", version, max_term_width = 110, after_long_help = AFTER_HELP)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Exit codes:
  0  it ended as it should
  1  it failed, or a check does not hold
  2  the command line or the configuration is wrong

`secrets`, `vault` and `audit` have more of them: see their --help.";

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

/// Why a command did not do what it should, in lines for people, and the exit code that says so to programs.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    lines: Vec<String>,
    code: u8,
}

// === impl Cli ===

impl Cli {
    /// Runs the command. Boxed, so that the compiler makes the code of all commands once, here, and not again in whatever calls this.
    pub fn run(self) -> LocalBoxFuture<'static, ExitCode> {
        self.run_command().boxed_local()
    }

    async fn run_command(self) -> ExitCode {
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

// === impl Failure ===

impl Failure {
    const FAILED: u8 = 1;
    const USAGE: u8 = 2;

    /// It was tried and failed.
    pub fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { lines: vec![with_causes(error.into().as_ref())], code: Self::FAILED }
    }

    /// What a service told: what happened, then, indented, what to do and what is wrong where.
    fn told(lines: impl IntoIterator<Item = String>, code: u8) -> Self {
        Self { lines: vec![lines.into_iter().collect::<Vec<_>>().join("\n  ")], code }
    }

    /// Both; the first decides the code.
    fn and(mut self, other: Self) -> Self {
        self.lines.extend(other.lines);
        self
    }

    /// Nobody reads the output any more: there is nothing left to do, and nothing to complain of.
    fn unread() -> Self {
        Self { lines: Vec::new(), code: 0 }
    }

    /// The configuration is wrong.
    fn mistakes(mistakes: &[Mistake]) -> Self {
        Self { lines: mistakes.iter().map(ToString::to_string).collect(), code: Self::USAGE }
    }

    /// What was asked for is wrong.
    pub fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { lines: vec![with_causes(error.into().as_ref())], code: Self::USAGE }
    }
}

impl fmt::Display for Failure {
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

/// One line: the error and what caused it, where it does not say that itself.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = Quote::error(error);
        if !line.contains(&*text) {
            line = format!("{line}: {text}");
        }
        cause = error.source();
    }
    line.replace(steers, " ")
}

#[cfg(test)]
mod tests;
