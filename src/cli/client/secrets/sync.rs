//! `secrets sync`: syncs immediately instead of at the next check of the vault.

use futures::{StreamExt, stream};
use tonic::Code;

use super::{
    super::{
        arguments::SyncedName,
        call::Client,
        call_error::CallError,
        output::Output,
        table::{id, synced_secrets},
    },
    Wait, list, print_each,
};
use crate::{
    cli::CommandError,
    proto::{
        self, SyncedSecret,
        synced_secret::{Origin, State},
    },
};

/// Concurrent calls. The service limits the rate of requests to the vault by itself.
const CONCURRENCY: usize = 8;

/// How many of the skipped ones are named.
const MAX_NAMED: usize = 10;

/// Read the values from the vault again and sync them now
///
/// If one fails, the others are still synced. The exit code is that of the first failure.
#[derive(Debug, clap::Args)]
pub(super) struct Sync {
    /// Names of the synced secrets
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Vec<SyncedName>,
    /// Sync all synced secrets, except those of other tools and those being deleted
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    waiting: Wait,
}

impl Sync {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let names = match self.all {
            true => choose(list::all(client, &proto::SyncedSecretFilter::default(), None).await?),
            false => self.name.iter().map(SyncedName::full).collect(),
        };
        let calls = names.into_iter().map(|name| self.sync(client, name));
        let results: Vec<_> = stream::iter(calls).buffered(CONCURRENCY).collect().await;
        let results = results.into_iter().filter(|result| !self.is_gone(result)).collect();
        print_each(output, results, synced_secrets, |synced| self.waiting.check_all(synced))
    }

    /// Whether --all is set and this one was deleted between the list and the call.
    fn is_gone(&self, result: &Result<SyncedSecret, CallError>) -> bool {
        let is_gone =
            |error: &CallError| error.code() == Code::NotFound || error.has_reason("SYNCED_SECRET_DELETING");
        self.all && result.as_ref().is_err_and(is_gone)
    }

    async fn sync(&self, client: &Client, name: String) -> Result<SyncedSecret, CallError> {
        let request = proto::SyncSyncedSecretRequest { name, wait: self.waiting.to_proto() };
        client
            .call_and_wait(request, self.waiting.time(), async |mut stub, request| {
                stub.sync_synced_secret(request).await
            })
            .await
    }
}

/// The names of those that can be synced. Prints the others to standard error.
fn choose(all: Vec<SyncedSecret>) -> Vec<String> {
    let (managed, foreign): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|secret| secret.origin() != Origin::Unmanaged);
    let (going, ours): (Vec<_>, Vec<_>) =
        managed.into_iter().partition(|secret| secret.state() == State::Deleting);
    let left_out =
        [(foreign, "created by another tool; `secrets adopt` takes one over"), (going, "being deleted")];
    for (some, why) in left_out.iter().filter(|(some, _)| !some.is_empty()) {
        eprintln!("skipped: {} ({why})", named(some));
    }
    ours.into_iter().map(|secret| secret.name).collect()
}

/// The first names and the number of the others.
fn named(some: &[SyncedSecret]) -> String {
    let names: Vec<_> = some.iter().take(MAX_NAMED).map(|secret| id(&secret.name)).collect();
    let more = some.len() - names.len();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
}
