//! `secret-service secrets`: the synced secrets of the instance.

mod adopt;
mod create;
mod delete;
mod filter;
mod list;
mod references;
mod sync;
mod update;
mod watch;

use std::time::Duration;

use clap::Subcommand;
use tokio::time::Instant;

use super::{
    Common, EXIT_CODES,
    arguments::SyncedName,
    call::Client,
    call_error::Refusal,
    output::Output,
    table::{problem, synced_secrets, word},
};
use crate::{
    cli::Failure,
    proto::{self, SyncedSecret, SyncedSecretView, synced_secret::State},
};

/// List, create, change and delete synced secrets, through a running service
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(in crate::cli) struct Secrets {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(list::List),
    Get(list::Get),
    Create(create::Create),
    Add(create::Add),
    Update(update::Update),
    Sync(sync::Sync),
    Delete(delete::Delete),
    Watch(watch::Watch),
    Adopt(adopt::Adopt),
    Usages(list::Usages),
}

/// How long to wait for the cluster.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Completion")]
struct Waiting {
    /// How long to wait until the change is applied to the cluster; at most 60s
    #[arg(long, value_name = "DURATION", default_value = "20s", value_parser = humantime::parse_duration)]
    wait: Duration,
    /// Don't wait for the cluster
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
}

// === impl Secrets ===

impl Secrets {
    /// Runs the command.
    pub async fn run(self) -> Result<(), Failure> {
        let (client, output) = self.common.open()?;
        match self.command {
            Command::List(list) => list.run(&client, output).await,
            Command::Get(get) => get.run(&client, output).await,
            Command::Create(create) => create.run(&client, output).await,
            Command::Add(add) => add.run(&client, output).await,
            Command::Update(update) => update.run(&client, output).await,
            Command::Sync(sync) => sync.run(&client, output).await,
            Command::Delete(delete) => delete.run(&client, output).await,
            Command::Watch(watch) => watch.run(&client, output).await,
            Command::Adopt(adopt) => adopt.run(&client, output).await,
            Command::Usages(usages) => usages.run(&client, output).await,
        }
    }
}

// === impl Waiting ===

impl Waiting {
    fn time(&self) -> Duration {
        if self.no_wait { Duration::ZERO } else { self.wait }
    }

    /// As a protobuf duration.
    fn wire(&self) -> Option<prost_types::Duration> {
        prost_types::Duration::try_from(self.time()).ok().filter(|_| !self.no_wait)
    }

    /// Polls until the secret is no longer pending or the time is over, for RPCs without a server-side wait.
    /// Returns the last state, and the error that ended the polling if there was one.
    async fn settle(&self, client: &Client, secret: SyncedSecret) -> (SyncedSecret, Option<Refusal>) {
        let until = Instant::now() + self.time();
        let (mut seen, mut pause) = (secret, FIRST_LOOK);
        while seen.state() == State::Pending && Instant::now() < until {
            tokio::time::sleep_until(until.min(Instant::now() + pause)).await;
            pause = LAST_LOOK.min(pause * 2);
            match glance(client, &seen.name).await {
                Ok(found) => seen = found,
                Err(refusal) => return (seen, Some(refusal)),
            }
        }
        (seen, None)
    }

    /// Fails if the command waited and the change was not applied to the cluster.
    fn check(&self, secret: &SyncedSecret) -> Result<(), Failure> {
        if self.no_wait || secret.state() == State::Synced {
            return Ok(());
        }
        let (name, state) = (super::table::id(&secret.name), word(secret.state()).to_lowercase());
        let line = format!("{name} is recorded, but {state}: {}", problem(secret));
        Err(Failure::told([line], BEHIND))
    }

    /// The failure if the command waited and the state is unknown.
    fn unknown(&self, name: &str, why: &Refusal) -> Option<Failure> {
        let line =
            format!("{} is recorded, but its state is unknown: {}", super::table::id(name), why.what());
        (!self.no_wait).then(|| Failure::told([line], BEHIND))
    }

    /// The failures of all that were not applied to the cluster.
    fn check_all(&self, secrets: &[SyncedSecret]) -> Vec<Failure> {
        secrets.iter().filter_map(|secret| self.check(secret).err()).collect()
    }
}

/// Polling interval while a secret is pending: doubles from the first to the last.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LAST_LOOK: Duration = Duration::from_secs(1);

/// The exit code of a change that is recorded but not applied to the cluster.
const BEHIND: u8 = 9;

/// Fetches one synced secret with its usages.
async fn get(client: &Client, name: &SyncedName) -> Result<SyncedSecret, Refusal> {
    let request = proto::GetSyncedSecretRequest { name: name.full(), view: SyncedSecretView::Full.into() };
    client.call(request, async |mut stub, request| stub.get_synced_secret(request).await).await
}

/// Fetches one synced secret without its usages.
async fn glance(client: &Client, name: &str) -> Result<SyncedSecret, Refusal> {
    let request =
        proto::GetSyncedSecretRequest { name: name.to_owned(), view: SyncedSecretView::Basic.into() };
    client.call(request, async |mut stub, request| stub.get_synced_secret(request).await).await
}

/// Prints one synced secret as a row.
fn print_row(output: Output, secret: &SyncedSecret) -> Result<(), Failure> {
    output.print(secret, |secret| synced_secrets(std::slice::from_ref(secret)))
}

/// Prints the successful results, then fails with all failures: calls that returned an error, and those from
/// `behind`. The first decides the exit code. With several results, the last line counts the failures.
fn print_each(
    output: Output,
    results: Vec<Result<SyncedSecret, Refusal>>,
    table: impl FnOnce(&[SyncedSecret]) -> String,
    behind: impl FnOnce(&[SyncedSecret]) -> Vec<Failure>,
) -> Result<(), Failure> {
    let total = results.len();
    let mut answer = proto::ListSyncedSecretsResponse::default();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(secret) => answer.synced_secrets.push(secret),
            Err(refusal) => failures.push(Failure::from(refusal)),
        }
    }
    answer.total_size = i32::try_from(answer.synced_secrets.len()).unwrap_or(i32::MAX);
    output.print(&answer, |answer| table(&answer.synced_secrets))?;
    failures.extend(behind(&answer.synced_secrets));
    if total > 1 && !failures.is_empty() {
        failures.push(Failure::failed(format!("{} of {total} failed", failures.len())));
    }
    failures.into_iter().reduce(Failure::and).map_or(Ok(()), Err)
}
