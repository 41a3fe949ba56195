//! `secrets certificates`: the entries of trust and issuer lists, whose keys are file names.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use clap::Subcommand;
use tonic::Code;
use x509_parser::{
    pem::Pem,
    prelude::{CertificateRevocationList, FromDer, X509Certificate},
};
use zeroize::Zeroizing;

use super::{
    super::{
        arguments::{SyncedName, VaultName, entry_file, no_key, vault_names},
        call::Client,
        call_error::CallError,
        output::Output,
        request_id,
        table::{cell, id, table, when},
        value::read_data,
    },
    completion::{Completion, Wait},
    get, get_basic, print_row,
    update::{Change, change},
};
use crate::{
    cli::CommandError,
    model::{Purpose, SecretKey, kind_of_der, limits::VALUE_BYTES},
    proto::{self, NewVaultSecret, SecretReference, SyncedSecret},
};

/// The vault keeps a file in hex.
const FILE_BYTES: usize = VALUE_BYTES / 2;

/// The files that connectors look for in a list.
const EXTENSIONS: [&str; 4] = ["der", "crt", "pem", "crl"];

/// List, add, remove and replace the certificates and revocation lists of a trust or issuer list
///
/// A list is a synced secret whose keys are file names. The OPC UA connector uses
/// aio-opc-ua-broker-trust-list and aio-opc-ua-broker-issuer-list; other connectors use the list that a device
/// or a connector template names. Only the named entries change, also if others change the list at the same
/// time.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Certificates {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(List),
    Add(Add),
    Remove(Remove),
    Replace(Replace),
}

/// List the entries
#[derive(Debug, clap::Args)]
struct List {
    /// Name of the list
    list: SyncedName,
}

/// Store certificates and revocation lists in the vault, and add them to a list
///
/// The key of an entry is the name of its file. The new vault secret is named LIST-FILE, where each character
/// that is neither a letter nor a digit becomes a hyphen, and is cut at 127 characters: pump.der in plant-list
/// becomes plant-list-pump-der. As Azure IoT Operations does, the vault keeps the file in hex, with a tag and a
/// content type that say so. To add a vault secret that exists, use `secrets add --to LIST KEY=VAULT_SECRET`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
struct Add {
    /// Name of the list
    list: SyncedName,
    /// Certificates or revocation lists (.der .crt .pem .crl), at most 12,800 bytes each
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Another name for the new vault secret of KEY, the name of a file. Repeatable
    #[arg(long, value_name = "KEY=VAULT_SECRET")]
    vault_secret: Vec<String>,
    /// Create the list if it does not exist
    #[arg(long)]
    create: bool,
    #[command(flatten)]
    finish: Completion,
}

/// Remove entries from a list
///
/// The vault keeps their secrets. The last entry can't be removed; delete the list instead.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
struct Remove {
    /// Name of the list
    list: SyncedName,
    /// Keys of the entries, which are file names
    #[arg(required = true, value_name = "ENTRY")]
    entries: Vec<String>,
    #[command(flatten)]
    finish: Completion,
}

/// Store a new version of an entry in the vault, and sync it
///
/// Every synced secret that follows the vault secret of the entry gets the new version. If the entry is pinned
/// to a version, it is pinned to the new one.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
struct Replace {
    /// Name of the list
    list: SyncedName,
    /// Key of the entry, and the file with the new certificate or revocation list
    #[arg(value_name = "ENTRY=FILE")]
    entry: String,
    #[command(flatten)]
    waiting: Wait,
}

const EXAMPLES: &str = "\
Examples:
  secret-service secrets certificates add aio-opc-ua-broker-trust-list pump-7.der ca.crt ca.crl --create
  secret-service secrets certificates list aio-opc-ua-broker-trust-list
  secret-service secrets certificates replace aio-opc-ua-broker-trust-list ca.crl=new.crl
  secret-service secrets certificates remove aio-opc-ua-broker-trust-list pump-7.der";

impl Certificates {
    pub async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        match self.command {
            Command::List(list) => list.run(client, output).await,
            Command::Add(add) => add.run(client, output).await,
            Command::Remove(remove) => remove.run(client, output).await,
            Command::Replace(replace) => replace.run(client, output).await,
        }
    }
}

impl List {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let secret = get(client, &self.list).await?;
        output.print(&secret, |secret| {
            let header = ["KEY", "VAULT SECRET", "VERSION", "STATE", "SUBJECT", "ISSUER", "EXPIRES"];
            table(header, secret.references.iter().map(row))
        })
    }
}

/// The row of an entry.
fn row(entry: &SecretReference) -> [comfy_table::Cell; 7] {
    let versions = [entry.synced_version.as_str(), entry.version.as_str(), "latest"];
    let version = versions.into_iter().find(|version| !version.is_empty()).unwrap_or_default();
    let state = match &entry.problem {
        Some(problem) => problem.reason.as_str(),
        None if entry.synced_version.is_empty() => "Pending",
        None => "Synced",
    };
    let facts = entry.certificate.as_ref();
    let subject = match facts {
        Some(facts) if facts.revocation_list => "(revocation list)",
        facts => facts.map_or("", |facts| &facts.subject),
    };
    // What comes first: the date of the version, or that of the certificate.
    let of_certificate = facts.and_then(|facts| facts.expire_time.as_ref());
    let expires = entry.expire_time.iter().chain(of_certificate);
    let first = expires.min_by_key(|at| (at.seconds, at.nanos));
    [
        cell(&entry.key),
        cell(id(&entry.vault_secret)),
        cell(version),
        cell(state),
        cell(subject),
        cell(facts.map_or("", |facts| &facts.issuer)),
        cell(&when(first)),
    ]
}

impl Add {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let entries = self.entries()?;
        if self.create && !self.exists(client).await? {
            match self.create(client, entries.clone()).await {
                // Somebody else has created it meanwhile.
                Err(error) if error.has_reason("SYNCED_SECRET_EXISTS") => {}
                created => return self.finish.end(output, created?),
            }
        }
        let held = get_basic(client, &self.list.full()).await.map_err(|error| self.absent(error))?.references;
        if let Some(taken) = entries.iter().find(|new| held.iter().any(|held| held.key == new.key)) {
            return Err(CommandError::usage(format!(
                "the entry {} exists already; replace it with `secrets certificates replace {} {}=FILE`",
                taken.key,
                self.list.id(),
                taken.key
            )));
        }
        let change_of = Change { new: entries, keys_must_be_free: true, ..Default::default() };
        change(client, output, &self.list, &change_of, &self.finish).await
    }

    /// The entries with their files.
    fn entries(&self) -> Result<Vec<SecretReference>, CommandError> {
        let mut names = vault_names("--vault-secret", &self.vault_secret)?;
        let mut seen = BTreeSet::new();
        let mut keys = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let key = key_of(file)?;
            if !seen.insert(key.clone()) {
                return Err(CommandError::usage(format!(
                    "{key}: two files have this name, and a list has one entry of a name"
                )));
            }
            keys.push(key);
        }
        if let Some(other) = names.keys().find(|key| !seen.contains(*key)) {
            return Err(CommandError::usage(format!("--vault-secret {other}=…: no file has this name")));
        }
        let entry = |(file, key): (&PathBuf, String)| {
            let vault_secret = match names.remove(&key) {
                Some(name) => name,
                None => vault_name(self.list.id(), &key)?,
            };
            let create = NewVaultSecret { data: read(&key, file)?, ..Default::default() };
            Ok(SecretReference {
                key,
                vault_secret: vault_secret.full(),
                create: Some(create),
                ..Default::default()
            })
        };
        self.files.iter().zip(keys).map(entry).collect()
    }

    async fn exists(&self, client: &Client) -> Result<bool, CallError> {
        match get_basic(client, &self.list.full()).await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Code::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn create(
        &self,
        client: &Client,
        references: Vec<SecretReference>,
    ) -> Result<SyncedSecret, CallError> {
        let request = proto::CreateSyncedSecretRequest {
            synced_secret_id: self.list.id().to_owned(),
            synced_secret: Some(SyncedSecret { references, ..Default::default() }),
            request_id: request_id(),
            validate_only: self.finish.validate_only,
            wait: self.finish.waiting.to_proto(),
            purpose: purpose(self.list.id()).to_owned(),
        };
        client
            .call_and_wait(request, self.finish.waiting.time(), async |mut stub, request| {
                stub.create_synced_secret(request).await
            })
            .await
    }

    fn absent(&self, error: CallError) -> CommandError {
        let is_absent = error.has_reason("SYNCED_SECRET_NOT_FOUND");
        let error = CommandError::from(error);
        match is_absent {
            true => error.merge(CommandError::failed("--create creates the list")),
            false => error,
        }
    }
}

impl Remove {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let change_of = Change { remove: &self.entries, ..Default::default() };
        change(client, output, &self.list, &change_of, &self.finish).await
    }
}

impl Replace {
    async fn run(self, client: &Client, output: Output) -> Result<(), CommandError> {
        let (key, file) = entry_file(&self.entry)?;
        let held = get_basic(client, &self.list.full()).await?.references;
        let held = held.into_iter().find(|held| held.key == key);
        let held = held.ok_or_else(|| no_key(self.list.id(), &key))?;
        let request = proto::AddVaultSecretVersionRequest {
            parent: held.vault_secret.clone(),
            secret: Some(NewVaultSecret { data: read(&key, &file)?, ..Default::default() }),
            request_id: request_id(),
            keep_dates: false,
        };
        let added = client
            .call(request, async |mut stub, request| stub.add_vault_secret_version(request).await)
            .await?;
        let synced = match held.version.is_empty() {
            true => self.sync(client).await,
            // Without an encoding: the version is stored as its tag says.
            false => {
                let version = id(&added.name).to_owned();
                self.pin(client, SecretReference { version, ..reference(&held) }).await
            }
        };
        let synced = synced.map_err(|error| {
            let added = format!("the version {} of {} was added", id(&added.name), id(&held.vault_secret));
            CommandError::from(error).merge(CommandError::failed(added))
        })?;
        print_row(output, &synced)?;
        self.waiting.check(&synced)
    }

    async fn sync(&self, client: &Client) -> Result<SyncedSecret, CallError> {
        let request =
            proto::SyncSyncedSecretRequest { name: self.list.full(), wait: self.waiting.to_proto() };
        client
            .call_and_wait(request, self.waiting.time(), async |mut stub, request| {
                stub.sync_synced_secret(request).await
            })
            .await
    }

    async fn pin(&self, client: &Client, pinned: SecretReference) -> Result<SyncedSecret, CallError> {
        let request = proto::UpdateSyncedSecretRequest {
            synced_secret: Some(SyncedSecret { name: self.list.full(), ..Default::default() }),
            set_references: vec![pinned],
            request_id: request_id(),
            wait: self.waiting.to_proto(),
            ..Default::default()
        };
        client
            .call_and_wait(request, self.waiting.time(), async |mut stub, request| {
                stub.update_synced_secret(request).await
            })
            .await
    }
}

/// A reference with the key, the vault secret and the part of another.
fn reference(held: &SecretReference) -> SecretReference {
    SecretReference {
        key: held.key.clone(),
        vault_secret: held.vault_secret.clone(),
        part: held.part,
        ..Default::default()
    }
}

/// The purpose of a new list, by its name; empty if the name says none.
fn purpose(list: &str) -> &'static str {
    let named = Purpose::all()
        .iter()
        .find(|purpose| ["trust-list", "issuer-list"].contains(&purpose.id) && list.ends_with(purpose.id));
    named.map_or("", |purpose| purpose.id)
}

/// The key of a file's entry.
fn key_of(file: &Path) -> Result<String, CommandError> {
    let refuse = |problem: &str| CommandError::usage(format!("{:?}: {problem}", file.display().to_string()));
    let name =
        file.file_name().and_then(|name| name.to_str()).ok_or_else(|| refuse("not the name of a file"))?;
    let extension = file.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    if !EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()) {
        return Err(refuse("expected a certificate or revocation list: .der, .crt, .pem or .crl"));
    }
    match name.parse::<SecretKey>() {
        Ok(key) => Ok(key.as_str().to_owned()),
        Err(error) => Err(refuse(&format!("the file name becomes the key, and {error}"))),
    }
}

/// The name of the vault secret of a new entry.
fn vault_name(list: &str, key: &str) -> Result<VaultName, CommandError> {
    let name = format!("{list}-{key}");
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '-' };
    let name: String = name.chars().map(plain).take(127).collect();
    name.parse().map_err(|problem| CommandError::usage(format!("{name}: {problem}")))
}

/// Reads a file that holds certificates or revocation lists and nothing else.
fn read(key: &str, file: &Path) -> Result<Vec<u8>, CommandError> {
    let mut bytes = Zeroizing::new(read_data(key, file)?);
    match problem(&bytes) {
        None => Ok(std::mem::take(&mut *bytes)),
        Some(problem) => Err(CommandError::usage(format!("{:?}: {problem}", file.display().to_string()))),
    }
}

/// Why a file can't be an entry.
fn problem(bytes: &[u8]) -> Option<String> {
    const NEITHER: &str = "it is neither a certificate nor a revocation list, in PEM or DER";
    if bytes.len() > FILE_BYTES {
        return Some(format!(
            "it is larger than {FILE_BYTES} bytes, which is what fits into the vault in hex"
        ));
    }
    if !bytes.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return kind_of_der(bytes).is_none().then(|| NEITHER.to_owned());
    }
    let mut blocks = 0;
    for block in Pem::iter_from_buffer(bytes) {
        let Ok(block) = block else { return Some(NEITHER.to_owned()) };
        let contents = Zeroizing::new(block.contents);
        let is_right = match block.label.as_str() {
            "CERTIFICATE" => X509Certificate::from_der(&contents).is_ok(),
            "X509 CRL" => CertificateRevocationList::from_der(&contents).is_ok(),
            label if label.ends_with("PRIVATE KEY") => {
                return Some(
                    "it holds a private key, which does not belong in a list of certificates".to_owned(),
                );
            }
            _ => false,
        };
        if !is_right {
            return Some(NEITHER.to_owned());
        }
        blocks += 1;
    }
    (blocks == 0).then(|| NEITHER.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(arguments: &[&str]) -> Add {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            add: Add,
        }
        let line = [&["add"], arguments].concat();
        <Line as clap::Parser>::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).add
    }

    #[test]
    fn a_vault_secret_is_named_after_the_list_and_the_file() {
        let named = |list, key| vault_name(list, key).unwrap().id().to_owned();
        assert_eq!(named("plant.list", "pump_7.der"), "plant-list-pump-7-der");
        assert_eq!(named(&"a".repeat(200), "x.der"), "a".repeat(127));
    }

    #[test]
    fn an_entry_is_named_by_its_file() {
        assert_eq!(key_of(Path::new("/tmp/pump-7.DER")).unwrap(), "pump-7.DER");
        for wrong in ["/tmp/pump.key", "/tmp/pump 7.der", "/", "pump"] {
            assert!(key_of(Path::new(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_certificates_and_revocation_lists_are_entries() {
        let made = rcgen::generate_simple_self_signed(["pump".to_owned()]).unwrap();
        let (pem, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        for right in [pem.as_bytes(), made.cert.der(), pem.repeat(2).as_bytes()] {
            assert_eq!(problem(right), None);
        }
        let both = format!("{pem}{key}");
        assert!(problem(both.as_bytes()).unwrap().contains("private key"));
        let trailing = [made.cert.der(), b"x".as_slice()].concat();
        for wrong in [b"pump".as_slice(), b"-----BEGIN CERTIFICATE-----", &trailing] {
            assert!(problem(wrong).unwrap().contains("neither"), "{wrong:?}");
        }
        assert!(problem(&[b'a'; FILE_BYTES + 1]).unwrap().contains("12800 bytes"));
    }

    #[test]
    fn files_of_one_name_and_names_without_a_file_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["pump".to_owned()]).unwrap();
        let file = |name: &str| {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, made.cert.der()).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (one, other) = (file("a/pump.der"), file("b/pump.der"));
        assert!(add(&["list", &one, &other]).entries().is_err());
        assert!(add(&["list", &one, "--vault-secret", "oven.der=oven"]).entries().is_err());
        let entries = add(&["list", &one, "--vault-secret", "pump.der=pump"]).entries().unwrap();
        assert_eq!(
            (entries[0].key.as_str(), entries[0].vault_secret.as_str()),
            ("pump.der", "vaultSecrets/pump")
        );
        assert_eq!(entries[0].create.as_ref().unwrap().data, made.cert.der().to_vec());
    }

    #[test]
    fn the_row_of_an_entry_says_its_state() {
        let synced =
            SecretReference { key: "a.der".to_owned(), synced_version: "0".repeat(32), ..Default::default() };
        let reason = "VaultSecretNotFound".to_owned();
        let problem = proto::Condition { reason, ..Default::default() };
        let broken = SecretReference { problem: Some(problem), ..synced.clone() };
        let state = |entry: &SecretReference| row(entry)[3].content();
        assert_eq!((state(&synced).as_str(), state(&broken).as_str()), ("Synced", "VaultSecretNotFound"));
        assert_eq!(state(&SecretReference::default()), "Pending");
    }

    #[test]
    fn the_lists_of_the_opc_ua_connector_have_their_purposes() {
        assert_eq!(purpose("aio-opc-ua-broker-trust-list"), "trust-list");
        assert_eq!(purpose("aio-opc-ua-broker-issuer-list"), "issuer-list");
        assert_eq!(purpose("pump-7"), "");
    }
}
