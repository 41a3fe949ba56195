//! `secrets sync`: now, without waiting for the next rotation check.

use futures::{StreamExt, stream};

use super::{
    super::{arguments::SyncedName, call::Client, output::Output, refusal::Refusal, table::synced_secrets},
    Waiting, list, print_each,
};
use crate::{
    cli::Failure,
    proto::{self, SyncedSecret},
};

/// How many at a time: the vault has a pace of its own.
const AT_A_TIME: usize = 8;

/// Read the values anew and bring the edge to them, now
#[derive(Debug, clap::Args)]
pub(super) struct Sync {
    /// The synced secrets
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    name: Vec<SyncedName>,
    /// All of them
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    waiting: Waiting,
}

impl Sync {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let names: Vec<String> = match self.all {
            true => {
                let all = list::all(client, &proto::SyncedSecretFilter::default(), None).await?;
                all.into_iter().map(|secret| secret.name).collect()
            }
            false => self.name.iter().map(SyncedName::full).collect(),
        };
        let calls = names.into_iter().map(|name| self.sync(client, name));
        let results: Vec<_> = stream::iter(calls).buffered(AT_A_TIME).collect().await;
        let synced: Vec<_> = results.iter().flatten().cloned().collect();
        print_each(output, results, synced_secrets)?;
        self.waiting.check(&synced)
    }

    async fn sync(&self, client: &Client, name: String) -> Result<SyncedSecret, Refusal> {
        let request = proto::SyncSyncedSecretRequest { name, wait: self.waiting.wire() };
        client
            .call_and_wait(request, self.waiting.time(), async |mut stub, request| {
                stub.sync_synced_secret(request).await
            })
            .await
    }
}
