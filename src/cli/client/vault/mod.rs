//! `secret-service vault`: the secrets in the Key Vault, and the service's access to it.

mod recover;
mod rotate;
mod update;

use std::path::PathBuf;

use clap::Subcommand;
use prost_types::Timestamp;

use super::{
    Common, EXIT_CODES,
    arguments::{self, VaultName},
    call::{Client, pages},
    call_error::CallError,
    output::Output,
    request_id,
    table::{ago, cell, conditions, description, id, table, when, yes},
    value::{VALUES_HELP, ValueInput, read_data},
};
use crate::{
    cli::CommandError,
    model::Encoding,
    proto::{self, condition::Status},
};

const SETTINGS: &str = "SecureSettings";

/// The conditions that syncing depends on. With the secret-store engine the service reads no values. The
/// right to create secrets is optional.
fn needed(engine: proto::SyncEngine) -> &'static [&'static str] {
    match engine {
        proto::SyncEngine::SecretStore => &["Reachable", "CanList", SETTINGS],
        _ => &["Reachable", "CanList", "CanGet", SETTINGS],
    }
}

/// List, create, rotate, change and recover secrets in the Key Vault, through a running service
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXIT_CODES)]
pub(in crate::cli) struct Vault {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Versions(Versions),
    Create(Create),
    Rotate(rotate::Rotate),
    Update(update::Update),
    Recover(recover::Recover),
    Check(Check),
}

/// List the secrets in the vault, without their values
#[derive(Debug, clap::Args)]
struct List {
    /// Only names that contain this text, ignoring case
    #[arg(long, value_name = "TEXT")]
    contains: Option<String>,
    /// Only secrets that no synced secret references
    #[arg(long)]
    unsynced: bool,
    /// Maximum number of results. If unset, all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// List the versions of a secret in the vault
#[derive(Debug, clap::Args)]
struct Versions {
    /// Name of the vault secret
    name: VaultName,
    /// Maximum number of results. If unset, all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Create a secret in the vault without syncing it
#[derive(Debug, clap::Args)]
#[command(after_long_help = VALUES_HELP)]
struct Create {
    /// Name of the vault secret
    name: VaultName,
    #[command(flatten)]
    new: New,
    /// Validate the request without creating anything
    #[arg(long)]
    validate_only: bool,
}

/// Check the service's access to the vault and the prerequisites of its engine
///
/// Fails if syncing would not work.
#[derive(Debug, clap::Args)]
struct Check {}

/// When a version is valid.
#[derive(Debug, clap::Args)]
struct Lifetime {
    /// Valid from a time (2027-01-31T12:00:00Z) or after a duration from now (1h)
    #[arg(long, value_name = "TIME", value_parser = arguments::future)]
    not_before: Option<Timestamp>,
    /// Valid until a time or for a duration from now (90d)
    #[arg(long, value_name = "TIME", value_parser = arguments::future)]
    expires: Option<Timestamp>,
}

/// A value and its attributes in the vault.
#[derive(Debug, clap::Args)]
struct New {
    /// File with the value; - for standard input. If unset, the command prompts for it
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// File to store as it is, such as a certificate: the vault keeps it in hex, and the tag file-encoding says so
    #[arg(long, value_name = "FILE", conflicts_with_all = ["value_file", "keep_newline"])]
    data_file: Option<PathBuf>,
    #[command(flatten)]
    reading: ValueInput,
    /// Content type of the value, for example text/plain
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    #[command(flatten)]
    lifetime: Lifetime,
    /// A tag. Repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    tag: Vec<String>,
}

impl Vault {
    /// Runs the command.
    pub async fn run(self) -> Result<(), CommandError> {
        let (client, output) = self.common.open()?;
        match self.command {
            Command::List(list) => list.run(&client, output).await,
            Command::Versions(versions) => versions.run(&client, output).await,
            Command::Create(create) => create.run(&client, output).await,
            Command::Rotate(rotate) => rotate.run(&client, output).await,
            Command::Update(update) => update.run(&client, output).await,
            Command::Recover(recover) => recover.run(&client, output).await,
            Command::Check(_) => check(&client, output).await,
        }
    }
}

impl List {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let page = async |page_size, page_token| {
            let request = proto::ListVaultSecretsRequest {
                page_size,
                page_token,
                name_contains: self.contains.clone().unwrap_or_default(),
                unsynced_only: self.unsynced,
            };
            let page = client
                .call(request, async |mut stub, request| stub.list_vault_secrets(request).await)
                .await?;
            Ok::<_, CallError>((page.vault_secrets, page.next_page_token))
        };
        let vault_secrets = pages(self.limit, page).await?;
        let answer = proto::ListVaultSecretsResponse { vault_secrets, ..Default::default() };
        output.print(&answer, |answer| vault_secrets_table(&answer.vault_secrets))
    }
}

impl Versions {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let page = async |page_size, page_token| {
            let parent = self.name.full();
            let request = proto::ListVaultSecretVersionsRequest { parent, page_size, page_token };
            let page = client
                .call(request, async |mut stub, request| stub.list_vault_secret_versions(request).await)
                .await?;
            Ok::<_, CallError>((page.versions, page.next_page_token))
        };
        let versions = pages(self.limit, page).await?;
        let answer = proto::ListVaultSecretVersionsResponse { versions, ..Default::default() };
        output.print(&answer, |answer| versions_table(&answer.versions))
    }
}

impl Create {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let request = proto::CreateVaultSecretRequest {
            vault_secret_id: self.name.id().to_owned(),
            secret: Some(self.new.with_value(&self.name, self.new.about()?)?),
            request_id: request_id(),
            validate_only: self.validate_only,
        };
        let created =
            client.call(request, async |mut stub, request| stub.create_vault_secret(request).await).await?;
        output.print(&created, |created| vault_secrets_table(std::slice::from_ref(created)))
    }
}

impl New {
    /// The attributes without the value.
    fn about(&self) -> Result<proto::NewVaultSecret, CommandError> {
        Ok(proto::NewVaultSecret {
            content_type: self.content_type.clone().unwrap_or_default(),
            not_before_time: self.lifetime.not_before,
            expire_time: self.lifetime.expires,
            tags: arguments::words("--tag", &self.tag)?,
            ..Default::default()
        })
    }

    /// Reads the value and adds it to the attributes.
    fn with_value(
        &self,
        name: &VaultName,
        about: proto::NewVaultSecret,
    ) -> Result<proto::NewVaultSecret, CommandError> {
        if let Some(file) = &self.data_file {
            // A tag that is kept or given says how the file is stored.
            let encoding = match Encoding::of_tags(&about.tags) {
                None => proto::secret_reference::Encoding::Unspecified,
                Some(Encoding::Utf8) => proto::secret_reference::Encoding::Utf8,
                Some(Encoding::Base64) => proto::secret_reference::Encoding::Base64,
                Some(Encoding::Hex) => proto::secret_reference::Encoding::Hex,
            };
            let data = read_data(name.id(), file)?;
            return Ok(proto::NewVaultSecret { data, encoding: encoding.into(), ..about });
        }
        let value = self.reading.read(name.id(), self.value_file.as_deref())?.into_new().value;
        Ok(proto::NewVaultSecret { value, ..about })
    }
}

async fn check(client: &Client, output: Output) -> Result<(), CommandError> {
    let request = proto::GetVaultRequest { name: "vault".to_owned() };
    let vault = client.call(request, async |mut stub, request| stub.get_vault(request).await).await?;
    output.print(&vault, |vault| {
        let engine = vault.engine().as_str_name().trim_start_matches("SYNC_ENGINE_").to_lowercase();
        let about = [("Vault", vault.uri.clone()), ("Tenant", vault.tenant_id.clone()), ("Engine", engine)];
        format!("{}\n\n{}", description(about), conditions(&vault.conditions))
    })?;
    let fails = |needed: &&str| {
        let found = vault.conditions.iter().find(|condition| condition.r#type == **needed);
        found.is_none_or(|condition| match condition.status() {
            Status::True => false,
            // Syncing may work although the service can't tell.
            Status::Unknown => *needed != SETTINGS,
            _ => true,
        })
    };
    let broken: Vec<_> = needed(vault.engine()).iter().copied().filter(fails).collect();
    match broken.is_empty() {
        true => Ok(()),
        false => Err(CommandError::failed(format!("failed: {}", broken.join(", ")))),
    }
}

fn vault_secrets_table(secrets: &[proto::VaultSecret]) -> String {
    let row = |secret: &proto::VaultSecret| {
        let users: Vec<_> = secret.synced_secrets.iter().map(|name| id(name)).collect();
        [
            cell(id(&secret.name)),
            yes(secret.enabled),
            cell(&secret.content_type),
            cell(&ago(secret.update_time.as_ref())),
            cell(&when(secret.expire_time.as_ref())),
            cell(&users.join(", ")),
        ]
    };
    table(["NAME", "ENABLED", "TYPE", "UPDATED", "EXPIRES", "SYNCED BY"], secrets.iter().map(row))
}

fn versions_table(versions: &[proto::VaultSecretVersion]) -> String {
    let row = |version: &proto::VaultSecretVersion| {
        [
            cell(id(&version.name)),
            yes(version.enabled),
            cell(&ago(version.create_time.as_ref())),
            cell(&when(version.not_before_time.as_ref())),
            cell(&when(version.expire_time.as_ref())),
        ]
    };
    table(["VERSION", "ENABLED", "AGE", "VALID FROM", "EXPIRES"], versions.iter().map(row))
}
