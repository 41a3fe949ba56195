//! `secrets delete`: shows what would be deleted and what uses it, asks, and deletes exactly what it showed.

use tonic::Code;

use super::{
    super::{
        arguments::SyncedName,
        call::Client,
        call_error::CallError,
        confirm::confirm,
        output::Output,
        request_id,
        table::{id, in_use, keys, plain, word},
    },
    Wait, get, get_basic, list, print_each,
};
use crate::{
    cli::CommandError,
    proto::{self, SecretUsage, SyncedSecret, condition::Status},
};

/// Delete synced secrets and their Kubernetes Secrets, after a confirmation
///
/// The secrets in the vault are kept.
#[derive(Debug, clap::Args)]
pub(super) struct Delete {
    /// Names of the synced secrets
    #[arg(required = true)]
    name: Vec<SyncedName>,
    /// Don't ask for confirmation. Required without a terminal. Deletes the current state unless --etag is
    /// set
    #[arg(short, long)]
    yes: bool,
    /// Delete it only if its etag, as shown by `secrets get`, is still this one. For a single synced secret
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Delete even if something uses it
    #[arg(long)]
    force: bool,
    /// Don't fail if one does not exist
    #[arg(long)]
    ignore_missing: bool,
    /// Check that it can be deleted without deleting it
    #[arg(long)]
    validate_only: bool,
    #[command(flatten)]
    waiting: Wait,
}

/// What to delete: a name, and the etag of the state that a person confirmed.
struct Target {
    name: String,
    etag: String,
}

/// The state after a deletion.
enum Remains {
    Gone,
    /// The cluster still has it.
    There(Box<SyncedSecret>),
    /// The deletion is recorded, but its state can't be read.
    Unknown(String, CallError),
}

impl Delete {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        if self.etag.is_some() && self.name.len() > 1 {
            return Err(CommandError::usage("--etag: only allowed with a single synced secret"));
        }
        let targets = match self.yes || self.validate_only {
            true => self.name.iter().map(|name| self.target(name.full(), String::new())).collect(),
            false => self.ask(client).await?,
        };
        let (mut results, mut remains) = (Vec::with_capacity(targets.len()), Vec::new());
        for target in targets {
            let deleted = self.delete(client, target).await;
            if let Ok(deleted) = &deleted
                && !self.validate_only
            {
                remains.push(check_remains(client, deleted).await);
            }
            results.push(deleted);
        }
        let table = |deleted: &[SyncedSecret]| self.describe(deleted, &remains);
        print_each(output, results, table, |_| {
            remains.iter().filter_map(|remains| self.behind(remains)).collect()
        })
    }

    fn target(&self, name: String, current: String) -> Target {
        Target { name, etag: self.etag.clone().unwrap_or(current) }
    }

    /// The failure if the command waited and the deletion was not applied to the cluster.
    fn behind(&self, remains: &Remains) -> Option<CommandError> {
        match remains {
            Remains::Gone => None,
            Remains::There(secret) => self.waiting.check(secret).err(),
            Remains::Unknown(name, why) => self.waiting.unknown(name, why),
        }
    }

    /// One line per synced secret.
    fn describe(&self, deleted: &[SyncedSecret], remains: &[Remains]) -> String {
        let line = |secret: &SyncedSecret| {
            let is_gone = remains.iter().all(|one| match one {
                Remains::Gone => true,
                Remains::There(left) => left.name != secret.name,
                Remains::Unknown(name, _) => *name != secret.name,
            });
            let what = match secret.uid.is_empty() {
                true => "did not exist",
                false if self.validate_only => "can be deleted",
                false if is_gone => "deleted",
                false => "is being deleted",
            };
            format!("{} {what}", id(&secret.name))
        };
        deleted.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Shows what would be deleted, and asks once for all.
    async fn ask(&self, client: &Client) -> Result<Vec<Target>, CommandError> {
        let (mut shown, mut targets) = (Vec::new(), Vec::new());
        for name in &self.name {
            match get(client, name).await {
                Ok(secret) => {
                    let uses = list::usages(client, Some(name), None).await.map(|answer| answer.usages);
                    shown.push(show(&secret, uses)?);
                    targets.push(self.target(secret.name, secret.etag));
                }
                Err(error) if error.code() == Code::NotFound && self.ignore_missing => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !targets.is_empty() {
            let names: Vec<_> = targets.iter().map(|target| id(&target.name)).collect();
            let question =
                format!("Delete {} from the cluster? The secrets in the vault are kept.", names.join(", "));
            confirm(&shown.join("\n"), &question)?;
        }
        Ok(targets)
    }

    async fn delete(&self, client: &Client, target: Target) -> Result<SyncedSecret, CallError> {
        let request = proto::DeleteSyncedSecretRequest {
            name: target.name,
            etag: target.etag,
            force: self.force,
            allow_missing: self.ignore_missing,
            request_id: request_id(),
            validate_only: self.validate_only,
            wait: self.waiting.to_proto(),
        };
        client
            .call_and_wait(request, self.waiting.time(), async |mut stub, request| {
                stub.delete_synced_secret(request).await
            })
            .await
    }
}

/// Checks whether the cluster still has it, because the response of the deletion does not say. Only NOT_FOUND
/// means that it is gone; any other error leaves the state unknown.
async fn check_remains(client: &Client, deleted: &SyncedSecret) -> Remains {
    match get_basic(client, &deleted.name).await {
        Ok(found) if found.uid == deleted.uid => Remains::There(Box::new(found)),
        Ok(_) => Remains::Gone,
        Err(error) if error.code() == Code::NotFound => Remains::Gone,
        Err(error) => Remains::Unknown(deleted.name.clone(), error),
    }
}

/// The question's details: what would be deleted and what uses it.
fn show(secret: &SyncedSecret, uses: Result<Vec<SecretUsage>, CallError>) -> Result<String, CommandError> {
    let mut lines = vec![format!("{} ({})", id(&secret.name), word(secret.state()).to_lowercase())];
    if !secret.description.is_empty() {
        lines.push(plain(&secret.description));
    }
    lines.push(format!("holds:   {}", plain(&keys(&secret.references))));
    match uses {
        Ok(uses) if uses.is_empty() => lines.push(match in_use(secret) {
            Some(unknown) if unknown.status() != Status::False => {
                format!("used by: {}", plain(&unknown.message))
            }
            _ => "used by: nothing".to_owned(),
        }),
        Ok(uses) => lines.extend(uses.iter().map(|one| {
            format!("used by: {} {} ({})", plain(&one.kind), plain(&one.resource), plain(&one.field))
        })),
        Err(error)
            if ["USAGES_NOT_YET_KNOWN", "SECRETS_NOT_YET_KNOWN"]
                .iter()
                .any(|reason| error.has_reason(reason)) =>
        {
            lines.push("used by: not known yet".to_owned());
        }
        Err(error) => return Err(error.into()),
    }
    Ok(lines.join("\n  "))
}
