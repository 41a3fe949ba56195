//! Conversion between the SDK's models and ours.

use std::collections::{BTreeMap, HashMap};

use azure_core::{Bytes, time::OffsetDateTime};
use azure_security_keyvault_secrets::{
    ResourceExt, ResourceId,
    models::{
        Secret, SecretAttributes, SecretProperties, SetSecretParameters, UpdateSecretPropertiesParameters,
    },
};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use zeroize::{Zeroize, Zeroizing};

use super::VaultError;
use crate::model::{NewVaultSecret, VaultSecret, VaultSecretName, VaultSecretUpdate, VaultSecretVersion};

/// Maximum size of a request without the value: 15 tags with 256 characters on each side, and the attributes.
const MAX_REQUEST_OVERHEAD: usize = 16 * 1024;
/// Maximum size of one character in JSON: `\u0000`.
const MAX_ESCAPE: usize = 6;

/// Converts an entry of a list of secrets.
pub(super) fn secret(listed: SecretProperties) -> Result<VaultSecret, VaultError> {
    let name = name(&id(&listed)?)?;
    let attributes = listed.attributes.unwrap_or_default();
    Ok(VaultSecret {
        name,
        enabled: attributes.enabled.unwrap_or(true),
        content_type: listed.content_type.unwrap_or_default(),
        create_time: time(attributes.created),
        update_time: time(attributes.updated),
        not_before_time: time(attributes.not_before),
        expire_time: time(attributes.expires),
        tags: tags(listed.tags),
        managed: listed.managed.unwrap_or_default(),
    })
}

/// Converts an entry of a list of versions.
pub(super) fn version(listed: SecretProperties) -> Result<VaultSecretVersion, VaultError> {
    let version = id(&listed)?.version.and_then(|version| version.parse().ok());
    let version = version.ok_or_else(|| malformed("an ID without a version"))?;
    Ok(VaultSecretVersion { secret: secret(listed)?, version })
}

/// The version of a secret, without the value.
pub(super) fn version_of(secret: Secret) -> Result<VaultSecretVersion, VaultError> {
    let mut listed = SecretProperties::default();
    listed.id = secret.id;
    listed.attributes = secret.attributes;
    listed.content_type = secret.content_type;
    listed.tags = secret.tags;
    listed.managed = secret.managed;
    version(listed)
}

/// The name in the ID of a resource.
pub(super) fn name_of(resource: &impl ResourceExt) -> Result<VaultSecretName, VaultError> {
    name(&id(resource)?)
}

/// The body of a request that stores a value. It is wiped when the last reference is dropped.
pub(super) fn set_request(new: &NewVaultSecret) -> azure_core::Result<Bytes> {
    let attributes = SecretAttributes {
        not_before: new.not_before_time.and_then(sdk_time),
        expires: new.expire_time.and_then(sdk_time),
        ..Default::default()
    };
    let some = new.not_before_time.is_some() || new.expire_time.is_some();
    let mut parameters = SetSecretParameters {
        content_type: Some(new.content_type.clone()).filter(|content_type| !content_type.is_empty()),
        secret_attributes: some.then_some(attributes),
        tags: Some(new.tags.clone().into_iter().collect()).filter(|tags: &HashMap<_, _>| !tags.is_empty()),
        value: Some(new.value.expose_secret().to_owned()),
    };
    // Allocated once: a buffer that grows leaves copies behind.
    let room = new.value.expose_secret().len() * MAX_ESCAPE + MAX_REQUEST_OVERHEAD;
    let mut body = Zeroizing::new(Vec::with_capacity(room));
    let written = serde_json::to_writer(&mut *body, &parameters);
    parameters.value.zeroize();
    written?;
    Ok(Bytes::from_owner(body))
}

/// The body of a request that changes attributes.
pub(super) fn update_request(update: &VaultSecretUpdate) -> UpdateSecretPropertiesParameters {
    let attributes = SecretAttributes {
        enabled: update.enabled,
        not_before: update.not_before_time.and_then(sdk_time),
        expires: update.expire_time.and_then(sdk_time),
        ..Default::default()
    };
    let some = update.enabled.is_some() || update.not_before_time.is_some() || update.expire_time.is_some();
    UpdateSecretPropertiesParameters {
        content_type: update.content_type.clone(),
        secret_attributes: some.then_some(attributes),
        tags: update.tags.clone().map(|tags| tags.into_iter().collect()),
    }
}

/// Converts a time. The vault stores whole seconds.
pub(super) fn time(time: Option<OffsetDateTime>) -> Option<Timestamp> {
    Timestamp::from_second(time?.unix_timestamp()).ok()
}

fn sdk_time(time: Timestamp) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(time.as_second()).ok()
}

fn id(resource: &impl ResourceExt) -> Result<ResourceId, VaultError> {
    resource.resource_id().map_err(|_| malformed("a secret without an ID"))
}

fn name(id: &ResourceId) -> Result<VaultSecretName, VaultError> {
    id.name.parse().map_err(|_| malformed("an ID without a name"))
}

fn tags(tags: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    tags.unwrap_or_default().into_iter().collect()
}

fn malformed(what: &str) -> VaultError {
    VaultError::Malformed(what.into())
}
