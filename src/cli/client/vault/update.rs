//! `vault update`: attributes of a version, without its value.

use std::collections::BTreeMap;

use prost_types::FieldMask;

use super::{
    super::{
        arguments::{self, VaultName},
        call::{Client, pages},
        call_error::CallError,
        output::Output,
        request_id,
        table::{id, plain},
    },
    Lifetime, versions_table,
};
use crate::{
    cli::CommandError,
    proto::{self, VaultSecret},
    secrets::RESERVED_TAG,
};

/// Change attributes of a secret in the vault; its value stays
///
/// Changes the latest version, or the one that --version names. A disabled version is no longer read: the
/// edge keeps the value that it has, and the synced secrets that follow it are DEGRADED until the version is
/// enabled or a new one is stored.
#[derive(Debug, clap::Args)]
pub(super) struct Update {
    /// Name of the vault secret
    name: VaultName,
    /// The version to change. If unset, the latest
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Enable the version
    #[arg(long, conflicts_with = "disable")]
    enable: bool,
    /// Disable the version, so that nobody can read it
    #[arg(long)]
    disable: bool,
    /// Content type of the value, for example text/plain; an empty one removes it
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    lifetime: Lifetime,
    /// Add or replace a tag. Repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
    /// Remove a tag. Repeatable
    #[arg(long, value_name = "KEY")]
    remove_tag: Vec<String>,
    /// Validate the request without changing anything
    #[arg(long)]
    validate_only: bool,
}

impl Update {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let mut paths = Vec::new();
        let mut mask = |is_named: bool, path: &str| paths.extend(is_named.then(|| path.to_owned()));
        mask(self.enable || self.disable, "enabled");
        mask(self.lifetime.not_before.is_some(), "not_before_time");
        mask(self.lifetime.expires.is_some(), "expire_time");
        mask(self.content_type.is_some(), "content_type");
        let changes_tags = !self.tag.is_empty() || !self.remove_tag.is_empty();
        mask(changes_tags, "tags");
        if paths.is_empty() {
            return Err(CommandError::usage(
                "nothing to change: use --enable, --disable, --content-type, --not-before, --expires, --tag or \
                 --remove-tag",
            ));
        }
        let tags = if changes_tags { self.tags(client).await? } else { BTreeMap::new() };
        if self.disable {
            self.warn(client).await;
        }
        let request = proto::UpdateVaultSecretRequest {
            vault_secret: Some(VaultSecret {
                name: self.name.full(),
                enabled: self.enable,
                content_type: self.content_type.clone().unwrap_or_default(),
                not_before_time: self.lifetime.not_before,
                expire_time: self.lifetime.expires,
                tags,
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths }),
            version: self.version.clone().unwrap_or_default(),
            request_id: request_id(),
            validate_only: self.validate_only,
        };
        let changed =
            client.call(request, async |mut stub, request| stub.update_vault_secret(request).await).await?;
        output.print(&changed, |changed| versions_table(std::slice::from_ref(changed)))
    }

    /// The tags of the version with the changes.
    async fn tags(&self, client: &Client) -> Result<BTreeMap<String, String>, CommandError> {
        let mut tags = match &self.version {
            None => self.secret(client).await?.tags,
            Some(version) => self.tags_of(client, version).await?,
        };
        // The service keeps its own.
        tags.remove(RESERVED_TAG);
        for key in &self.remove_tag {
            if tags.remove(key).is_none() {
                return Err(CommandError::usage(format!("--remove-tag {key}: the version has no such tag")));
            }
        }
        tags.extend(arguments::words("--tag", &self.tag)?);
        Ok(tags)
    }

    async fn tags_of(
        &self,
        client: &Client,
        version: &str,
    ) -> Result<BTreeMap<String, String>, CommandError> {
        let page = async |page_size, page_token| {
            let parent = self.name.full();
            let request = proto::ListVaultSecretVersionsRequest { parent, page_size, page_token };
            let page = client
                .call(request, async |mut stub, request| stub.list_vault_secret_versions(request).await)
                .await?;
            Ok::<_, CallError>((page.versions, page.next_page_token))
        };
        let versions = pages(None, page).await?;
        let found = versions.into_iter().find(|held| id(&held.name) == version);
        let missing = || CommandError::usage(format!("--version {version}: the secret has no such version"));
        found.map(|held| held.tags).ok_or_else(missing)
    }

    async fn secret(&self, client: &Client) -> Result<VaultSecret, CommandError> {
        let request = proto::GetVaultSecretRequest { name: self.name.full() };
        Ok(client.call(request, async |mut stub, request| stub.get_vault_secret(request).await).await?)
    }

    /// Says which synced secrets refer to what is disabled. Who may not read them may disable it all the same.
    async fn warn(&self, client: &Client) {
        let users = self.secret(client).await.map(|secret| secret.synced_secrets).unwrap_or_default();
        if !users.is_empty() {
            let users: Vec<_> = users.iter().map(|name| id(name)).collect();
            let warning = format!(
                "warning: referred to by {}: where they use this version, the edge keeps the value that it has, \
                 and gets no other until the version is enabled or a new one is stored",
                users.join(", ")
            );
            eprintln!("{}", plain(&warning));
        }
    }
}
