//! `secrets update`: read, modify, write, with retries on conflicts.

use std::collections::BTreeMap;

use prost_types::FieldMask;
use tonic::Code;

use super::{
    super::{
        arguments::{self, SyncedName},
        call::Client,
        output::Output,
        request_id, value,
    },
    completion::Completion,
    get,
    references::{Encodings, New, existing, put, take},
};
use crate::{
    cli::CommandError,
    proto::{self, SecretReference, SyncedSecret},
};

/// Attempts in all if others change the synced secret concurrently.
const ATTEMPTS: usize = 5;

/// Change the references, labels or description of a synced secret
#[derive(Debug, clap::Args)]
#[command(after_long_help = format!("{}\n\n{}", EXAMPLES, value::VALUES_HELP))]
pub(super) struct Update {
    /// Name of the synced secret
    name: SyncedName,
    /// Sync an existing vault secret to KEY, replacing what was there. Repeatable
    #[arg(long, value_name = "KEY=VAULT_SECRET[@VERSION]", help_heading = "References")]
    set: Vec<String>,
    /// Remove KEY. Repeatable
    #[arg(long, value_name = "KEY", help_heading = "References")]
    remove: Vec<String>,
    #[command(flatten)]
    new: New,
    #[command(flatten)]
    encodings: Encodings,
    /// Set the description; "" removes it
    #[arg(long, value_name = "TEXT", help_heading = "Metadata")]
    description: Option<String>,
    /// Set a label. Repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Metadata")]
    label: Vec<String>,
    /// Remove a label. Repeatable
    #[arg(long, value_name = "KEY", help_heading = "Metadata")]
    remove_label: Vec<String>,
    /// Change it only if its etag, as shown by `secrets get`, is still this one. If unset, change its current
    /// state
    #[arg(long, value_name = "ETAG", help_heading = "Completion")]
    etag: Option<String>,
    #[command(flatten)]
    finish: Completion,
}

const EXAMPLES: &str = "\
Examples:
  secret-service secrets update pump-7 --set password=pump-7-password-2 --remove token
  secret-service secrets update pump-7 --label line=4 --remove-label draft --description \"The pump of line 4\"";

/// A change to a synced secret.
#[derive(Default)]
pub(super) struct Change<'a> {
    /// References to set.
    pub new: Vec<SecretReference>,
    /// Whether a key that exists already is an error.
    pub keys_must_be_free: bool,
    pub remove: &'a [String],
    pub encodings: Option<&'a Encodings>,
    pub labels: BTreeMap<String, String>,
    pub remove_labels: &'a [String],
    pub description: Option<String>,
    pub etag: Option<&'a str>,
}

impl Update {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let mut new = existing("--set", &self.set)?;
        let labels = arguments::words("--label", &self.label)?;
        new.extend(self.new.read()?);
        let change_of = Change {
            new,
            keys_must_be_free: false,
            remove: &self.remove,
            encodings: Some(&self.encodings).filter(|encodings| !encodings.is_empty()),
            labels,
            remove_labels: &self.remove_label,
            description: self.description.clone(),
            etag: self.etag.as_deref(),
        };
        change(client, output, &self.name, &change_of, &self.finish).await
    }
}

impl Change<'_> {
    /// Applies the change and returns the paths of the changed fields.
    fn make(&self, secret: &mut SyncedSecret) -> Result<Vec<String>, CommandError> {
        let mut paths = Vec::new();
        if !self.new.is_empty() || !self.remove.is_empty() || self.encodings.is_some() {
            let taken = |new: &&SecretReference| secret.references.iter().any(|held| held.key == new.key);
            if let Some(taken) = self.new.iter().find(taken).filter(|_| self.keys_must_be_free) {
                return Err(CommandError::usage(format!(
                    "the key {} exists already; replace it with `secrets update --set {}=…`",
                    taken.key, taken.key
                )));
            }
            take(&mut secret.references, self.remove)?;
            put(&mut secret.references, self.new.clone());
            if let Some(encodings) = self.encodings {
                encodings.apply(&mut secret.references)?;
            }
            paths.push("references".to_owned());
        }
        if !self.labels.is_empty() || !self.remove_labels.is_empty() {
            secret.labels.retain(|key, _| !self.remove_labels.contains(key));
            secret.labels.extend(self.labels.clone());
            paths.push("labels".to_owned());
        }
        if let Some(description) = &self.description {
            secret.description.clone_from(description);
            paths.push("description".to_owned());
        }
        match paths.is_empty() {
            true => Err(CommandError::usage("nothing to change: `secrets update --help` lists the options")),
            false => Ok(paths),
        }
    }
}

/// Reads a synced secret, applies the change, and writes it only if it was not changed in between.
pub(super) async fn change(
    client: &Client,
    output: Output,
    name: &SyncedName,
    change: &Change<'_>,
    finish: &Completion,
) -> Result<(), CommandError> {
    let mut attempts = if change.etag.is_some() { 1 } else { ATTEMPTS };
    loop {
        let mut secret = get(client, name).await?;
        let paths = change.make(&mut secret)?;
        if let Some(etag) = change.etag {
            secret.etag = etag.to_owned();
        }
        let request = proto::UpdateSyncedSecretRequest {
            synced_secret: Some(secret),
            update_mask: Some(FieldMask { paths }),
            request_id: request_id(),
            validate_only: finish.validate_only,
            wait: finish.waiting.to_proto(),
        };
        let updated = client
            .call_and_wait(request, finish.waiting.time(), async |mut stub, request| {
                stub.update_synced_secret(request).await
            })
            .await;
        attempts -= 1;
        match updated {
            Err(error) if attempts > 0 && error.code() == Code::Aborted => {}
            updated => return finish.end(output, updated?),
        }
    }
}
