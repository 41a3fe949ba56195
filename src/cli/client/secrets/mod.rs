//! `secret-service secrets`: the synced secrets of the instance.

mod adopt;
mod certificates;
mod check_resource;
mod completion;
mod create;
mod delete;
mod filter;
mod list;
mod purposes;
mod references;
mod sync;
mod update;
mod watch;
mod whoami;

use clap::Subcommand;

use completion::Wait;

use super::{
    Common, EXIT_CODES, arguments::SyncedName, call::Client, call_error::CallError, output::Output,
    table::synced_secrets,
};
use crate::{
    cli::CommandError,
    proto::{self, SyncedSecret, SyncedSecretView},
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
    CheckResource(check_resource::CheckResource),
    Certificates(certificates::Certificates),
    Purposes(purposes::Purposes),
    Whoami(whoami::Whoami),
}

// === impl Secrets ===

impl Secrets {
    /// Runs the command.
    pub async fn run(self) -> Result<(), CommandError> {
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
            Command::CheckResource(check) => check.run(&client, output).await,
            Command::Certificates(certificates) => certificates.run(&client, output).await,
            Command::Purposes(purposes) => purposes.run(&client, output).await,
            Command::Whoami(whoami) => whoami.run(&client, output).await,
        }
    }
}

/// Fetches one synced secret with its usages.
async fn get(client: &Client, name: &SyncedName) -> Result<SyncedSecret, CallError> {
    let request = proto::GetSyncedSecretRequest { name: name.full(), view: SyncedSecretView::Full.into() };
    client.call(request, async |mut stub, request| stub.get_synced_secret(request).await).await
}

/// Fetches one synced secret without its usages.
async fn get_basic(client: &Client, name: &str) -> Result<SyncedSecret, CallError> {
    let request =
        proto::GetSyncedSecretRequest { name: name.to_owned(), view: SyncedSecretView::Basic.into() };
    client.call(request, async |mut stub, request| stub.get_synced_secret(request).await).await
}

/// Prints one synced secret as a row.
fn print_row(output: Output, secret: &SyncedSecret) -> Result<(), CommandError> {
    output.print(secret, |secret| synced_secrets(std::slice::from_ref(secret)))
}

/// Prints the successful results, then fails with all failures: calls that returned an error, and those from
/// `behind`. The first decides the exit code. With several results, the last line counts the failures.
fn print_each(
    output: Output,
    results: Vec<Result<SyncedSecret, CallError>>,
    table: impl FnOnce(&[SyncedSecret]) -> String,
    behind: impl FnOnce(&[SyncedSecret]) -> Vec<CommandError>,
) -> Result<(), CommandError> {
    let total = results.len();
    let mut answer = proto::ListSyncedSecretsResponse::default();
    let mut failures = Vec::new();
    for result in results {
        match result {
            Ok(secret) => answer.synced_secrets.push(secret),
            Err(error) => failures.push(CommandError::from(error)),
        }
    }
    answer.total_size = i32::try_from(answer.synced_secrets.len()).unwrap_or(i32::MAX);
    output.print(&answer, |answer| table(&answer.synced_secrets))?;
    failures.extend(behind(&answer.synced_secrets));
    if total > 1 && !failures.is_empty() {
        failures.push(CommandError::failed(format!("{} of {total} failed", failures.len())));
    }
    failures.into_iter().reduce(CommandError::merge).map_or(Ok(()), Err)
}
