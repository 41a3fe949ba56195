//! `secrets list`, `secrets get` and `secrets usages`.

use std::collections::BTreeSet;

use parking_lot::Mutex;

use super::{
    super::{
        arguments::{SyncedName, part_word},
        call::{Client, pages},
        call_error::CallError,
        output::Output,
        table::{self, ago, cell, description, id, moment, plain, table, when, word, yes},
    },
    filter::Filter,
    get,
};
use crate::{
    cli::CommandError,
    proto::{self, SecretUsage, SyncedSecret, secret_reference::Encoding, synced_secret::Origin},
};

/// List synced secrets
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    filter: Filter,
    /// Maximum number of results. If unset, all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// Show one synced secret with its references and conditions
#[derive(Debug, clap::Args)]
pub(super) struct Get {
    /// Name of the synced secret
    name: SyncedName,
}

/// List what uses one synced secret or any
#[derive(Debug, clap::Args)]
pub(super) struct Usages {
    /// Name of the synced secret. If unset, all, including Secrets that are used but missing
    name: Option<SyncedName>,
    /// Maximum number of results. If unset, all
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

impl List {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let synced_secrets = all(client, &self.filter.to_proto()?, self.limit).await?;
        let total_size = i32::try_from(synced_secrets.len()).unwrap_or(i32::MAX);
        let answer = proto::ListSyncedSecretsResponse { synced_secrets, total_size, ..Default::default() };
        output.print(&answer, |answer| table::synced_secrets(&answer.synced_secrets))
    }
}

impl Get {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let secret = get(client, &self.name).await?;
        output.print(&secret, whole)
    }
}

impl Usages {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let answer = usages(client, self.name.as_ref(), self.limit).await?;
        for kind in &answer.unreachable {
            eprintln!(
                "{} can't be read now: what uses secrets there may be missing here. `secret-service check` says why.",
                plain(kind)
            );
        }
        output.print(&answer, |answer| usages_table(&answer.usages))
    }
}

/// Fetches all synced secrets that match.
pub(super) async fn all(
    client: &Client,
    filter: &proto::SyncedSecretFilter,
    limit: Option<usize>,
) -> Result<Vec<SyncedSecret>, CallError> {
    let page = async |page_size, page_token| {
        let filter = Some(filter.clone());
        let request = proto::ListSyncedSecretsRequest { page_size, page_token, filter, ..Default::default() };
        let page =
            client.call(request, async |mut stub, request| stub.list_synced_secrets(request).await).await?;
        Ok((page.synced_secrets, page.next_page_token))
    };
    pages(limit, page).await
}

/// Fetches the usages of one synced secret or of all.
pub(super) async fn usages(
    client: &Client,
    name: Option<&SyncedName>,
    limit: Option<usize>,
) -> Result<proto::ListSecretUsagesResponse, CallError> {
    let unreachable = Mutex::new(BTreeSet::new());
    let page = async |page_size, page_token| {
        let parent = name.map_or_else(|| "syncedSecrets/-".to_owned(), SyncedName::full);
        let request = proto::ListSecretUsagesRequest { parent, page_size, page_token };
        let page =
            client.call(request, async |mut stub, request| stub.list_secret_usages(request).await).await?;
        unreachable.lock().extend(page.unreachable);
        Ok((page.usages, page.next_page_token))
    };
    let usages = pages(limit, page).await?;
    let unreachable = unreachable.into_inner().into_iter().collect();
    Ok(proto::ListSecretUsagesResponse { usages, unreachable, ..Default::default() })
}

/// One row per usage.
pub(super) fn usages_table(usages: &[SecretUsage]) -> String {
    let row = |usage: &SecretUsage| {
        let missing = match (usage.secret_missing, usage.key_missing) {
            (true, _) => "the secret is missing",
            (false, true) => "the key is missing",
            (false, false) if usage.guessed => "guessed from the field's name",
            (false, false) => "",
        };
        [
            cell(id(&usage.synced_secret)),
            cell(&usage.kind),
            cell(&usage.resource),
            cell(&usage.field),
            cell(&usage.key),
            cell(missing),
        ]
    };
    table(["NAME", "KIND", "RESOURCE", "FIELD", "KEY", "NOTE"], usages.iter().map(row))
}

/// All details of one synced secret.
fn whole(secret: &SyncedSecret) -> String {
    let labels: Vec<_> = secret.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let found = (secret.origin() == Origin::Unmanaged).then_some("created by another tool; read-only here");
    let synced = match secret.sync_time.as_ref() {
        Some(time) => format!("{} ({} ago)", moment(Some(time)), ago(Some(time))),
        None => "never".to_owned(),
    };
    let about = description([
        ("Name", id(&secret.name).to_owned()),
        ("State", word(secret.state())),
        ("Description", plain(&secret.description)),
        ("Type", plain(&secret.secret_type)),
        ("Labels", plain(&labels.join(", "))),
        ("Origin", found.unwrap_or_default().to_owned()),
        ("Created", moment(secret.create_time.as_ref())),
        ("Synced", synced),
        ("Etag", plain(&secret.etag)),
    ]);
    let mut parts =
        vec![about, references(secret), certificates(secret), table::conditions(&secret.conditions)];
    parts.push(usages_table(&secret.usages));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The certificates and revocation lists at the edge; empty without any.
fn certificates(secret: &SyncedSecret) -> String {
    let row = |reference: &proto::SecretReference| {
        let facts = reference.certificate.as_ref()?;
        let key = match facts.key_matches {
            Some(true) => "matches",
            Some(false) => "another",
            None => "",
        };
        let subject = if facts.revocation_list { "(revocation list)" } else { facts.subject.as_str() };
        Some([
            cell(&reference.key),
            cell(subject),
            cell(&facts.issuer),
            cell(&facts.subject_alternative_names.join(", ")),
            cell(&when(facts.expire_time.as_ref())),
            yes(facts.is_ca),
            cell(key),
            cell(&facts.sha1_thumbprint),
        ])
    };
    let rows: Vec<_> = secret.references.iter().filter_map(row).collect();
    let header = ["KEY", "SUBJECT", "ISSUER", "ALTERNATIVE NAMES", "EXPIRES", "CA", "PRIVATE KEY", "SHA-1"];
    if rows.is_empty() { String::new() } else { table(header, rows) }
}

fn references(secret: &SyncedSecret) -> String {
    let row = |reference: &proto::SecretReference| {
        let pinned = if reference.version.is_empty() { "latest" } else { reference.version.as_str() };
        let encoding = match reference.encoding() {
            Encoding::Unspecified | Encoding::Utf8 => "",
            Encoding::Base64 => "base64",
            Encoding::Hex => "hex",
        };
        let problem = reference.problem.as_ref().map(|problem| problem.message.as_str());
        [
            cell(&reference.key),
            cell(id(&reference.vault_secret)),
            cell(pinned),
            cell(encoding),
            cell(part_word(reference.part())),
            yes(!reference.synced_version.is_empty()),
            cell(&when(reference.expire_time.as_ref())),
            cell(problem.unwrap_or_default()),
        ]
    };
    let header = ["KEY", "VAULT SECRET", "VERSION", "ENCODING", "PART", "SYNCED", "EXPIRES", "PROBLEM"];
    table(header, secret.references.iter().map(row))
}
