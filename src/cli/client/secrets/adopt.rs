//! `secrets adopt`: takes over what another tool made.

use super::{
    super::{arguments::SyncedName, call::Client, output::Output, request_id},
    create::Finish,
    print_row,
    references::{Encodings, existing},
};
use crate::{cli::Failure, proto};

const EXAMPLES: &str = "\
Examples:
  secret-service secrets list --unmanaged
  secret-service secrets adopt edp1secrets
  secret-service secrets adopt by-hand --from username=pump-7-user --from password=pump-7-password";

/// Take over a synced secret that another tool made, as it is: the Secret is there all the time, with its values
///
/// It waits until the edge holds it; a sync that fails, or takes longer than --wait, ends with exit code 9.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Adopt {
    /// The SecretSync, or the Kubernetes Secret
    name: SyncedName,
    /// Where a key comes from, where the edge does not say so. Can be given several times, once for each key
    #[arg(long, value_name = "KEY=VAULT_SECRET[@VERSION]", help_heading = "References")]
    from: Vec<String>,
    #[command(flatten)]
    encodings: Encodings,
    #[command(flatten)]
    finish: Finish,
}

impl Adopt {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), Failure> {
        let mut references = existing("--from", &self.from)?;
        self.encodings.apply(&mut references)?;
        let request = proto::AdoptSyncedSecretRequest {
            name: self.name.full(),
            references,
            validate_only: self.finish.validate_only,
            request_id: request_id(),
        };
        let adopt =
            async |mut stub: super::super::connection::Stub, request| stub.adopt_synced_secret(request).await;
        let adopted = client.call(request, adopt).await?;
        if self.finish.validate_only {
            return print_row(output, &adopted);
        }
        let waiting = &self.finish.waiting;
        let (seen, failed) = waiting.settle(client, adopted).await;
        print_row(output, &seen)?;
        match failed {
            // It was adopted all the same.
            Some(refusal) => waiting.unknown(&seen.name, &refusal).map_or(Ok(()), Err),
            None => waiting.check(&seen),
        }
    }
}
