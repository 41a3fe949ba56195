//! `vault rotate`: a new version that keeps the attributes of the previous one.

use prost_types::Timestamp;
use tonic::Code;

use super::{
    super::{
        arguments::VaultName,
        call::Client,
        call_error::CallError,
        output::Output,
        request_id,
        table::{id, moment, plain},
        value::VALUES_HELP,
    },
    New, versions_table,
};
use crate::{
    cli::CommandError,
    proto::{self, NewVaultSecret, VaultSecret, VaultSecretVersion},
    secrets::RESERVED_TAG,
};

/// Store a new value of a secret in the vault
///
/// Synced secrets that follow the latest version are synced again. The new version keeps the content type and
/// tags of the previous one, except what the flags change. It keeps the not-before and expiry times only with
/// --keep-dates; otherwise the command reports that they are dropped.
#[derive(Debug, clap::Args)]
#[command(after_long_help = VALUES_HELP)]
pub(super) struct Rotate {
    /// Name of the vault secret
    name: VaultName,
    #[command(flatten)]
    new: New,
    /// Remove a tag of the previous version. Repeatable
    #[arg(long, value_name = "KEY")]
    remove_tag: Vec<String>,
    /// Keep the not-before and expiry times of the previous version, except those that are set
    #[arg(long)]
    keep_dates: bool,
    /// Keep nothing of the previous version, and don't read it
    #[arg(long, conflicts_with_all = ["remove_tag", "keep_dates"])]
    keep_nothing: bool,
}

impl Rotate {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let given = self.new.about()?;
        // The service keeps tags and content type where the request has none.
        let mut dropped = Vec::new();
        // Report every error before somebody types a value.
        let about = match self.keep_nothing {
            true => {
                dropped.extend(given.tags.is_empty().then_some("tags"));
                dropped.extend(given.content_type.is_empty().then_some("content_type"));
                given
            }
            false => {
                let before = self.before(client).await?;
                let about = self.keep(&before, given)?;
                dropped.extend((about.tags.is_empty() && !self.remove_tag.is_empty()).then_some("tags"));
                if about.content_type.is_empty() && !before.content_type.is_empty() {
                    dropped.push("content_type");
                }
                if let Some(message) = dropped_times(&before, &about) {
                    eprintln!("{message}");
                }
                about
            }
        };
        let request = proto::AddVaultSecretVersionRequest {
            parent: self.name.full(),
            secret: Some(self.new.with_value(&self.name, about)?),
            request_id: request_id(),
            keep_dates: false,
        };
        let added = client
            .call(request, async |mut stub, request| stub.add_vault_secret_version(request).await)
            .await?;
        let added = self.drop_of(client, added, &dropped).await?;
        output.print(&added, |added| versions_table(std::slice::from_ref(added)))
    }

    /// Takes from the new version what it kept of the previous one and must not have.
    async fn drop_of(
        &self,
        client: &Client,
        added: VaultSecretVersion,
        attributes: &[&str],
    ) -> Result<VaultSecretVersion, CommandError> {
        let has = |attribute: &&&str| match **attribute {
            "tags" => added.tags.keys().any(|key| key != RESERVED_TAG),
            _ => !added.content_type.is_empty(),
        };
        let paths: Vec<_> = attributes.iter().filter(has).map(ToString::to_string).collect();
        let version = id(&added.name).to_owned();
        if paths.is_empty() {
            return Ok(added);
        }
        let request = proto::UpdateVaultSecretRequest {
            vault_secret: Some(VaultSecret { name: self.name.full(), ..Default::default() }),
            update_mask: Some(prost_types::FieldMask { paths }),
            version,
            request_id: request_id(),
            validate_only: false,
        };
        let changed = client.call(request, async |mut stub, request| stub.update_vault_secret(request).await);
        changed.await.map_err(|error| {
            CommandError::from(error).merge(CommandError::failed(format!(
                "the version {} was added, and still has the {} of the previous one",
                id(&added.name),
                attributes.join(" and "),
            )))
        })
    }

    /// The secret with the attributes of its latest version.
    async fn before(&self, client: &Client) -> Result<VaultSecret, CommandError> {
        let request = proto::GetVaultSecretRequest { name: self.name.full() };
        let found = client.call(request, async |mut stub, request| stub.get_vault_secret(request).await);
        found.await.map_err(|error: CallError| match error.code() {
            Code::PermissionDenied => CommandError::from(error).merge(CommandError::failed(
                "nothing was rotated, because the attributes to keep can't be read; \
                 use --keep-nothing to store a version without them",
            )),
            _ => error.into(),
        })
    }

    /// The attributes of the new version: those that are set, otherwise those of the previous version.
    fn keep(&self, before: &VaultSecret, given: NewVaultSecret) -> Result<NewVaultSecret, CommandError> {
        let mut tags = before.tags.clone();
        // This tag identifies the call that stored a version, so each version has its own.
        tags.remove(RESERVED_TAG);
        for key in &self.remove_tag {
            if tags.remove(key).is_none() {
                return Err(CommandError::usage(format!(
                    "--remove-tag {key}: the previous version has no such tag"
                )));
            }
        }
        tags.extend(given.tags);
        let kept = |time: Option<Timestamp>| time.filter(|_| self.keep_dates);
        let expires = kept(before.expire_time);
        if given.expire_time.is_none() && expires.is_some_and(is_past) {
            let time = moment(expires.as_ref());
            let text = format!(
                "--keep-dates: the previous version expired at {time}; set --expires for the new one"
            );
            return Err(CommandError::usage(text));
        }
        Ok(NewVaultSecret {
            content_type: self.new.content_type.clone().unwrap_or_else(|| before.content_type.clone()),
            not_before_time: given.not_before_time.or(kept(before.not_before_time)),
            expire_time: given.expire_time.or(expires),
            tags,
            ..Default::default()
        })
    }
}

/// A message about the times of the previous version that the new one drops.
fn dropped_times(before: &VaultSecret, new: &NewVaultSecret) -> Option<String> {
    let times = [
        ("not valid before", before.not_before_time, new.not_before_time, "--not-before"),
        ("expires at", before.expire_time, new.expire_time, "--expires"),
    ];
    let (what, flags): (Vec<_>, Vec<_>) = times
        .into_iter()
        .filter(|(_, before, new, _)| before.is_some() && new.is_none())
        .map(|(what, before, _, flag)| (format!("{what} {}", moment(before.as_ref())), flag))
        .unzip();
    (!what.is_empty()).then(|| {
        plain(&format!(
            "the previous version {}, which the new one does not: --keep-dates keeps it, {} a new time",
            what.join(" and "),
            match flags.as_slice() {
                [flag] => format!("{flag} sets"),
                flags => format!("{} set", flags.join(" and ")),
            },
        ))
    })
}

fn is_past(time: Timestamp) -> bool {
    time.seconds <= jiff::Timestamp::now().as_second()
}
