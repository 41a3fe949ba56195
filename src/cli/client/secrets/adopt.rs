//! `secrets adopt`: takes over a Secret that another tool created.

use super::{
    super::{arguments::SyncedName, call::Client, output::Output, request_id},
    completion::Completion,
    print_row,
    references::{Encodings, existing},
};
use crate::{cli::CommandError, proto};

const EXAMPLES: &str = "\
Examples:
  secret-service secrets list --unmanaged
  secret-service secrets adopt edp1secrets
  secret-service secrets adopt by-hand --from username=pump-7-user --from password=pump-7-password";

/// Take over a synced secret that another tool created
///
/// The Secret and its values stay in place the whole time. The command waits until the service has synced it.
/// If the sync fails, or takes longer than --wait, the exit code is 9.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Adopt {
    /// Name of the SecretSync or the Kubernetes Secret
    name: SyncedName,
    /// The vault secret of a key, if the cluster does not tell it. Repeatable, once per key
    #[arg(long, value_name = "KEY=VAULT_SECRET[@VERSION]", help_heading = "References")]
    from: Vec<String>,
    #[command(flatten)]
    encodings: Encodings,
    #[command(flatten)]
    finish: Completion,
}

impl Adopt {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let mut references = existing("--from", &self.from)?;
        self.encodings.apply(&mut references)?;
        let request = proto::AdoptSyncedSecretRequest {
            name: self.name.full(),
            references,
            validate_only: self.finish.validate_only,
            request_id: request_id(),
        };
        let adopt =
            async |mut stub: super::super::bearer::Stub, request| stub.adopt_synced_secret(request).await;
        let adopted = client.call(request, adopt).await?;
        if self.finish.validate_only {
            return print_row(output, &adopted);
        }
        let waiting = &self.finish.waiting;
        let (seen, failed) = waiting.settle(client, adopted).await;
        print_row(output, &seen)?;
        match failed {
            // It was adopted; only its state is unknown.
            Some(error) => waiting.unknown(&seen.name, &error).map_or(Ok(()), Err),
            None => waiting.check(&seen),
        }
    }
}
