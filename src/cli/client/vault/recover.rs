//! `vault recover`: a deleted secret comes back.

use super::{
    super::{arguments::VaultName, call::Client, output::Output, request_id},
    vault_secrets_table,
};
use crate::{cli::CommandError, proto};

/// Bring a deleted secret back, with all its versions
///
/// Works until the vault purges the secret. Synced secrets that reference it are synced again.
#[derive(Debug, clap::Args)]
pub(super) struct Recover {
    /// Name of the vault secret
    name: VaultName,
    /// Validate the request without recovering anything
    #[arg(long)]
    validate_only: bool,
}

impl Recover {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let request = proto::RecoverVaultSecretRequest {
            name: self.name.full(),
            request_id: request_id(),
            validate_only: self.validate_only,
        };
        let recovered =
            client.call(request, async |mut stub, request| stub.recover_vault_secret(request).await).await?;
        output.print(&recovered, |recovered| vault_secrets_table(std::slice::from_ref(recovered)))
    }
}
