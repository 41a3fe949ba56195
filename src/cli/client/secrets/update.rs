//! `secrets update`: changes to single references, and read, modify, write with retries on conflicts for what
//! the service replaces as a whole.

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
    references::{Encodings, New, existing},
};
use crate::{
    cli::CommandError,
    proto::{self, SecretReference, SyncedSecret, secret_reference::Encoding},
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
    /// Whether it depends on the current state, so that it must be read first and must not change meanwhile.
    fn needs_current(&self) -> bool {
        let others = |encodings: &Encodings| !encodings.are_of(&self.new);
        self.keys_must_be_free
            || !self.labels.is_empty()
            || !self.remove_labels.is_empty()
            || self.encodings.is_some_and(others)
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty()
            && self.remove.is_empty()
            && self.encodings.is_none()
            && self.labels.is_empty()
            && self.remove_labels.is_empty()
            && self.description.is_none()
    }

    /// The request; `current` is the synced secret, if it was read.
    fn request(
        &self,
        name: &SyncedName,
        current: Option<SyncedSecret>,
    ) -> Result<proto::UpdateSyncedSecretRequest, CommandError> {
        let mut paths = Vec::new();
        let current = current.unwrap_or_default();
        let mut secret = SyncedSecret { name: name.full(), etag: current.etag, ..Default::default() };
        if let Some(etag) = self.etag {
            secret.etag = etag.to_owned();
        }
        let set_references = self.set_references(current.references)?;
        if !self.labels.is_empty() || !self.remove_labels.is_empty() {
            secret.labels = current.labels;
            secret.labels.retain(|key, _| !self.remove_labels.contains(key));
            secret.labels.extend(self.labels.clone());
            paths.push("labels".to_owned());
        }
        if let Some(description) = &self.description {
            secret.description.clone_from(description);
            paths.push("description".to_owned());
        }
        Ok(proto::UpdateSyncedSecretRequest {
            synced_secret: Some(secret),
            update_mask: Some(FieldMask { paths }),
            set_references,
            remove_keys: self.remove.to_vec(),
            request_id: request_id(),
            ..Default::default()
        })
    }

    /// The new references, and those whose encoding changes.
    fn set_references(&self, held: Vec<SecretReference>) -> Result<Vec<SecretReference>, CommandError> {
        let taken = |new: &&SecretReference| held.iter().any(|held| held.key == new.key);
        if let Some(taken) = self.new.iter().find(taken).filter(|_| self.keys_must_be_free) {
            return Err(CommandError::usage(format!(
                "the key {} exists already; replace it with `secrets update --set {}=…`",
                taken.key, taken.key
            )));
        }
        let mut set = self.new.clone();
        if let Some(encodings) = self.encodings {
            let is_kept = |held: &SecretReference| {
                encodings.names(&held.key)
                    && !self.remove.contains(&held.key)
                    && self.new.iter().all(|new| new.key != held.key)
            };
            set.extend(held.into_iter().filter(is_kept).map(with_encoding));
            encodings.apply(&mut set)?;
        }
        Ok(set)
    }
}

/// A reference that is sent back as it was read: without an encoding, the tag of the vault secret would count again.
fn with_encoding(mut held: SecretReference) -> SecretReference {
    if held.encoding() == Encoding::Unspecified {
        held.set_encoding(Encoding::Utf8);
    }
    held
}

/// Applies a change. What depends on the current state is read first, and written only if that was not changed
/// in between.
pub(super) async fn change(
    client: &Client,
    output: Output,
    name: &SyncedName,
    change: &Change<'_>,
    finish: &Completion,
) -> Result<(), CommandError> {
    if change.is_empty() {
        return Err(CommandError::usage("nothing to change: `secrets update --help` lists the options"));
    }
    let needs_current = change.needs_current();
    let mut attempts = if needs_current && change.etag.is_none() { ATTEMPTS } else { 1 };
    loop {
        let current = if needs_current { Some(get(client, name).await?) } else { None };
        let request = proto::UpdateSyncedSecretRequest {
            validate_only: finish.validate_only,
            wait: finish.waiting.to_proto(),
            ..change.request(name, current)?
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

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(key: &str) -> SecretReference {
        SecretReference {
            key: key.to_owned(),
            vault_secret: "vaultSecrets/v".to_owned(),
            ..Default::default()
        }
    }

    #[test]
    fn only_a_change_that_depends_on_the_current_state_reads_it() {
        let remove = ["a".to_owned()];
        let edit = Change { new: vec![reference("b")], remove: &remove, ..Default::default() };
        assert!(!edit.needs_current());
        let request = edit.request(&"pump-7".parse().unwrap(), None).unwrap();
        assert_eq!((request.set_references.len(), request.remove_keys.as_slice()), (1, remove.as_slice()));
        assert!(
            request.update_mask.unwrap().paths.is_empty() && request.synced_secret.unwrap().etag.is_empty()
        );
        let labelled = Change { labels: [("a".to_owned(), "b".to_owned())].into(), ..Default::default() };
        assert!(labelled.needs_current());
        assert!(Change { keys_must_be_free: true, ..Default::default() }.needs_current());
    }
}
