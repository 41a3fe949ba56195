//! When a changing command finishes: whether it waits for the cluster, and what it prints and returns at the
//! end.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    super::{
        call::Client,
        call_error::CallError,
        output::Output,
        table::{id, problem, word},
    },
    get_basic, print_row,
};
use crate::{
    backoff::Backoff,
    cli::CommandError,
    proto::{SyncedSecret, synced_secret::State},
};

/// How long to wait for the cluster.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Completion")]
pub(super) struct Wait {
    /// How long to wait until the change is applied to the cluster; at most 60s
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Don't wait for the cluster
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

/// When the command finishes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Completion")]
pub(super) struct Completion {
    #[command(flatten)]
    pub waiting: Wait,
    /// Validate the request against the vault and the cluster without changing anything
    #[arg(long)]
    pub validate_only: bool,
}

// === impl Wait ===

impl Wait {
    pub(super) fn time(&self) -> Duration {
        if self.no_wait { Duration::ZERO } else { self.wait }
    }

    /// As a protobuf duration.
    pub(super) fn to_proto(&self) -> Option<prost_types::Duration> {
        prost_types::Duration::try_from(self.time()).ok().filter(|_| !self.no_wait)
    }

    /// Polls until the secret is no longer pending or the time is over, for RPCs without a server-side wait.
    /// Returns the last state, and the error that ended the polling if there was one.
    pub(super) async fn settle(
        &self,
        client: &Client,
        secret: SyncedSecret,
    ) -> (SyncedSecret, Option<CallError>) {
        let until = Instant::now() + self.time();
        let (mut seen, mut pauses) = (secret, POLLS.pauses());
        while seen.state() == State::Pending && Instant::now() < until {
            let pause = pauses.next().unwrap_or_default();
            tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
            match get_basic(client, &seen.name).await {
                Ok(found) => seen = found,
                Err(error) => return (seen, Some(error)),
            }
        }
        (seen, None)
    }

    /// Fails if the command waited and the change was not applied to the cluster.
    pub(super) fn check(&self, secret: &SyncedSecret) -> Result<(), CommandError> {
        if self.no_wait || secret.state() == State::Synced {
            return Ok(());
        }
        let (name, state) = (id(&secret.name), word(secret.state()).to_lowercase());
        let line = format!("{name} is recorded, but {state}: {}", problem(secret));
        Err(CommandError::with_details([line], EXIT_NOT_APPLIED))
    }

    /// The failure if the command waited and the state is unknown.
    pub(super) fn unknown(&self, name: &str, why: &CallError) -> Option<CommandError> {
        let line = format!("{} is recorded, but its state is unknown: {}", id(name), why.what());
        (!self.no_wait).then(|| CommandError::with_details([line], EXIT_NOT_APPLIED))
    }

    /// The failures of all that were not applied to the cluster.
    pub(super) fn check_all(&self, secrets: &[SyncedSecret]) -> Vec<CommandError> {
        secrets.iter().filter_map(|secret| self.check(secret).err()).collect()
    }
}

/// The pauses between two polls while a secret is pending.
const POLLS: Backoff = Backoff::doubling(Duration::from_millis(100), Duration::from_secs(1));

/// The exit code of a change that is recorded but not applied to the cluster.
const EXIT_NOT_APPLIED: u8 = 9;

// === impl Completion ===

impl Completion {
    /// Prints the result, and fails if the command waited and the change was not applied to the cluster.
    pub fn end(&self, output: Output, secret: SyncedSecret) -> Result<(), CommandError> {
        print_row(output, &secret)?;
        if self.validate_only { Ok(()) } else { self.waiting.check(&secret) }
    }
}
