//! `secrets create` and `secrets add`, named after "Create new" and "Add from Azure Key Vault" in the Azure
//! portal.

use super::{
    super::{
        arguments::{self, SyncedName},
        call::Client,
        output::Output,
        request_id, value,
    },
    completion::Completion,
    purposes::PurposeParser,
    references::{Encodings, New, existing},
    update::{Change, change},
};
use crate::{
    cli::CommandError,
    proto::{self, SecretReference, SyncedSecret},
};

/// Create a synced secret from new or existing secrets in the vault
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{}\n\n{}", CREATE_EXAMPLES, value::VALUES_HELP))]
pub(super) struct Create {
    /// Name of the synced secret and of its Kubernetes Secret
    name: SyncedName,
    #[command(flatten)]
    new: New,
    /// Sync an existing vault secret to KEY: the pinned version, or always the latest. Repeatable
    #[arg(long, value_name = "KEY=VAULT_SECRET[@VERSION]", help_heading = "References")]
    from: Vec<String>,
    #[command(flatten)]
    encodings: Encodings,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    finish: Completion,
}

/// Add existing vault secrets, as a new synced secret or to an existing one
#[derive(Debug, clap::Args)]
#[command(
    after_long_help = ADD_EXAMPLES,
    override_usage = "secret-service secrets add NAME KEY=VAULT_SECRET[@VERSION]...\n       \
                      secret-service secrets add --to NAME KEY=VAULT_SECRET[@VERSION]..."
)]
pub(super) struct Add {
    /// Name of the new synced secret (omit it with --to), then a vault secret for each key
    #[arg(required = true, value_names = ["NAME", "KEY=VAULT_SECRET[@VERSION]"], num_args = 1..)]
    items: Vec<String>,
    /// Add to this existing synced secret
    #[arg(long, value_name = "NAME", conflicts_with_all = ["description", "label", "type", "purpose"])]
    to: Option<SyncedName>,
    #[command(flatten)]
    encodings: Encodings,
    #[command(flatten)]
    about: About,
    #[command(flatten)]
    finish: Completion,
}

/// The fields of a synced secret besides its references.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Metadata")]
struct About {
    /// Description
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    description: String,
    /// A label of the synced secret and of its Kubernetes Secret. Repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Type of the Kubernetes Secret. If unset, Opaque
    #[arg(long = "type", id = "type", value_name = "TYPE", default_value = "", hide_default_value = true)]
    secret_type: String,
    /// What it is for, see `secrets purposes`: checks the keys, and sets the type if --type is unset
    #[arg(long, value_name = "PURPOSE", value_parser = PurposeParser)]
    purpose: Option<String>,
}

const CREATE_EXAMPLES: &str = "\
Examples:
  secret-service secrets create pump-7 --new username=pump-7-user --new password=pump-7-password
  pwgen 32 1 | secret-service secrets create oven --new k=oven-key --value-file k=-
  secret-service secrets create hub --purpose kafka-sasl-token --new token=hub-token
  secret-service secrets create acr --purpose registry-pull-secret --new host=acr-host --new username=acr-user \
    --new password=acr-password
  secret-service secrets create pump-8 --from password=pump-7-password --label line=4";

const ADD_EXAMPLES: &str = "\
Examples:
  secret-service vault list --unsynced
  secret-service secrets add pump-7 username=pump-7-username password=pump-7-password
  secret-service secrets add --to pump-7 token=pump-7-token";

impl Create {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        if self.new.is_empty() && self.from.is_empty() {
            return Err(CommandError::usage(
                "no references: use --new KEY=VAULT_SECRET or --from KEY=VAULT_SECRET",
            ));
        }
        let mut held = existing("--from", &self.from)?;
        let labels = arguments::words("--label", &self.about.label)?;
        let mut references = self.new.read()?;
        references.append(&mut held);
        self.encodings.apply(&mut references)?;
        let secret = self.about.with(references, labels);
        create(client, output, &self.name, secret, self.about.purpose(), &self.finish).await
    }
}

impl Add {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        if let Some(name) = &self.to {
            let mut references = existing("KEY=VAULT_SECRET", &self.items)?;
            self.encodings.apply(&mut references)?;
            let change_of = Change { new: references, keys_must_be_free: true, ..Default::default() };
            return change(client, output, name, &change_of, &self.finish).await;
        }
        let (name, items) = self.items.split_first().ok_or_else(|| CommandError::usage("NAME is missing"))?;
        let name = name.parse().map_err(|problem| CommandError::usage(format!("NAME: {problem}")))?;
        if items.is_empty() {
            return Err(CommandError::usage("nothing to add: give KEY=VAULT_SECRET after the name"));
        }
        let mut references = existing("KEY=VAULT_SECRET", items)?;
        self.encodings.apply(&mut references)?;
        let labels = arguments::words("--label", &self.about.label)?;
        create(client, output, &name, self.about.with(references, labels), self.about.purpose(), &self.finish)
            .await
    }
}

impl About {
    fn purpose(&self) -> &str {
        self.purpose.as_deref().unwrap_or_default()
    }

    fn with(
        &self,
        references: Vec<SecretReference>,
        labels: std::collections::BTreeMap<String, String>,
    ) -> SyncedSecret {
        SyncedSecret {
            description: self.description.clone(),
            secret_type: self.secret_type.clone(),
            references,
            labels,
            ..Default::default()
        }
    }
}

async fn create(
    client: &Client,
    output: Output,
    name: &SyncedName,
    secret: SyncedSecret,
    purpose: &str,
    finish: &Completion,
) -> Result<(), CommandError> {
    let request = proto::CreateSyncedSecretRequest {
        synced_secret_id: name.id().to_owned(),
        synced_secret: Some(secret),
        request_id: request_id(),
        validate_only: finish.validate_only,
        wait: finish.waiting.to_proto(),
        purpose: purpose.to_owned(),
    };
    let created = client
        .call_and_wait(request, finish.waiting.time(), async |mut stub, request| {
            stub.create_synced_secret(request).await
        })
        .await?;
    finish.end(output, created)
}
