//! Requests as a caller would write them, and what an error tells.

use prost_types::Duration;
use secret_service::proto::*;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// Long enough for any sync that goes well.
pub const WAIT: Option<Duration> = Some(Duration { seconds: 20, nanos: 0 });

/// What a call ends with.
pub type Answer<T> = Result<tonic::Response<T>, Status>;

pub fn name(id: &str) -> String {
    format!("syncedSecrets/{id}")
}

pub fn vault_name(id: &str) -> String {
    format!("vaultSecrets/{id}")
}

/// A value to create.
pub fn new(value: &str) -> NewVaultSecret {
    NewVaultSecret { value: value.to_owned(), ..Default::default() }
}

/// A reference to what the vault holds.
pub fn existing(key: &str, vault_secret: &str) -> SecretReference {
    SecretReference { key: key.to_owned(), vault_secret: vault_name(vault_secret), ..Default::default() }
}

/// A reference whose vault secret is created first.
pub fn created(key: &str, vault_secret: &str, value: &str) -> SecretReference {
    SecretReference { create: Some(new(value)), ..existing(key, vault_secret) }
}

/// Create, and wait for the edge.
pub fn create(id: &str, references: Vec<SecretReference>) -> CreateSyncedSecretRequest {
    CreateSyncedSecretRequest {
        synced_secret_id: id.to_owned(),
        synced_secret: Some(SyncedSecret { references, ..Default::default() }),
        wait: WAIT,
        ..Default::default()
    }
}

pub fn get(id: &str) -> GetSyncedSecretRequest {
    GetSyncedSecretRequest { name: name(id), ..Default::default() }
}

/// Update what the mask names, and wait for the edge.
pub fn update(synced_secret: SyncedSecret, paths: &[&str]) -> UpdateSyncedSecretRequest {
    UpdateSyncedSecretRequest {
        synced_secret: Some(synced_secret),
        update_mask: Some(prost_types::FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        wait: WAIT,
        ..Default::default()
    }
}

/// Update the references alone, and wait for the edge.
pub fn with_references(id: &str, references: Vec<SecretReference>) -> UpdateSyncedSecretRequest {
    update(SyncedSecret { name: name(id), references, ..Default::default() }, &["references"])
}

/// Update the description alone, and wait for the edge.
pub fn with_description(id: &str, description: &str) -> UpdateSyncedSecretRequest {
    let description = description.to_owned();
    update(SyncedSecret { name: name(id), description, ..Default::default() }, &["description"])
}

/// Delete, and wait until it is gone.
pub fn delete(id: &str) -> DeleteSyncedSecretRequest {
    DeleteSyncedSecretRequest { name: name(id), wait: WAIT, ..Default::default() }
}

pub fn sync(id: &str) -> SyncSyncedSecretRequest {
    SyncSyncedSecretRequest { name: name(id), wait: WAIT }
}

pub fn create_vault_secret(id: &str, value: &str) -> CreateVaultSecretRequest {
    CreateVaultSecretRequest {
        vault_secret_id: id.to_owned(),
        secret: Some(new(value)),
        ..Default::default()
    }
}

pub fn add_version(vault_secret: &str, value: &str) -> AddVaultSecretVersionRequest {
    AddVaultSecretVersionRequest {
        parent: vault_name(vault_secret),
        secret: Some(new(value)),
        ..Default::default()
    }
}

/// What an error tells besides its message.
pub struct Told {
    pub code: Code,
    pub message: String,
    pub reason: String,
    /// The fields that are wrong.
    pub fields: Vec<String>,
    pub details: ErrorDetails,
}

pub fn told(status: &Status) -> Told {
    let details = status.get_error_details();
    let fields =
        details.bad_request().map(|bad| bad.field_violations.iter().map(|one| one.field.clone()).collect());
    Told {
        code: status.code(),
        message: status.message().to_owned(),
        reason: details.error_info().map(|info| info.reason.clone()).unwrap_or_default(),
        fields: fields.unwrap_or_default(),
        details,
    }
}

/// The condition of this type.
pub fn condition_of<'a>(conditions: &'a [Condition], kind: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.r#type == kind)
}

/// The reason of a synced secret's `Synced` condition.
pub fn synced_reason(secret: &SyncedSecret) -> &str {
    let synced = condition_of(&secret.conditions, "Synced");
    synced.map(|condition| condition.reason.as_str()).unwrap_or_default()
}
