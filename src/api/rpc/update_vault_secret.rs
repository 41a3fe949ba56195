//! UpdateVaultSecret. The update mask says which attributes change.

use jiff::Timestamp;
use tonic::{Request, Response};

use super::{
    Answer, Service,
    convert::{self, Violations, in_collection, quoted, time, vault_secret::check_attributes},
    mutation::{Mutation, mutation_request},
    request::{RpcRequest, vault_secret},
};
use crate::{
    api::error::{about, plain},
    model::{Permission, VaultSecretName, VaultSecretUpdate, VaultVersion, Verb::Update},
    proto::{self, UpdateVaultSecretRequest},
    secrets::Error,
};

/// The attributes that an update mask can name.
const ATTRIBUTES: [&str; 5] = ["enabled", "not_before_time", "expire_time", "content_type", "tags"];

impl RpcRequest for UpdateVaultSecretRequest {
    const METHOD: &'static str = "UpdateVaultSecret";
    const NAMES_RESOURCE: bool = true;

    fn required_permissions(&self) -> Vec<Permission> {
        vec![vault_secret(Update, self.vault_secret.as_ref().map_or("", |secret| &secret.name))]
    }
}

mutation_request!(UpdateVaultSecretRequest, [request_id, validate_only]);

pub(super) async fn call(
    service: &Service,
    request: Request<UpdateVaultSecretRequest>,
) -> Answer<proto::VaultSecretVersion> {
    let Mutation { call, mode, message, violations } = service.mutation(request).await?;
    let (name, version, update) = vault_secret_update(message, violations).map_err(plain)?;
    let resource = about(format!("vaultSecrets/{name}"));
    let changed = service.secrets.update_vault_secret(call, name, version, update, mode.validate_only).await;
    Ok(Response::new(convert::vault_secret_version(&changed.map_err(resource)?)))
}

pub(super) fn vault_secret_update(
    message: UpdateVaultSecretRequest,
    mut violations: Violations,
) -> Result<(VaultSecretName, Option<VaultVersion>, VaultSecretUpdate), Error> {
    let Some(wire) = message.vault_secret else {
        violations.add("vault_secret", "is required: its name says which vault secret changes");
        return violations.finish(None);
    };
    let name = violations.take("vault_secret.name", in_collection("vaultSecrets", &wire.name));
    let version = match message.version.as_str() {
        "" => None,
        text => violations.take("version", text.parse::<VaultVersion>()),
    };
    let paths = message.update_mask.map(|mask| mask.paths).unwrap_or_default();
    let mask = mask(paths, &wire, &mut violations);
    let update = changes(wire, &mask, &mut violations);
    violations.finish(name.map(|name| (name, version, update)))
}

/// The attributes that change. AIP-134: without a mask, those that are set.
fn mask(paths: Vec<String>, wire: &proto::VaultSecret, violations: &mut Violations) -> Vec<String> {
    let is_set = |attribute: &&str| match *attribute {
        "enabled" => wire.enabled,
        "not_before_time" => wire.not_before_time.is_some(),
        "expire_time" => wire.expire_time.is_some(),
        "content_type" => !wire.content_type.is_empty(),
        _ => !wire.tags.is_empty(),
    };
    let usable = ATTRIBUTES.join(", ");
    let mut named = Vec::new();
    for path in paths.iter() {
        match path.as_str() {
            "*" => named.extend(ATTRIBUTES.map(str::to_owned)),
            known if ATTRIBUTES.contains(&known) => named.push(path.clone()),
            other => violations.add(
                "update_mask",
                format!("contains {}, which can't be changed; use {usable}, or *", quoted(other)),
            ),
        }
    }
    if paths.is_empty() {
        named.extend(ATTRIBUTES.iter().filter(|attribute| is_set(attribute)).map(ToString::to_string));
        if named.is_empty() {
            violations.add("update_mask", format!("must name what changes: {usable}"));
        }
    }
    named
}

fn changes(wire: proto::VaultSecret, mask: &[String], violations: &mut Violations) -> VaultSecretUpdate {
    let has = |attribute: &str| mask.iter().any(|path| path == attribute);
    // With "*", a time that is absent stays as it is, as a caller sends back what it read.
    let is_whole = ATTRIBUTES.iter().all(|attribute| has(attribute));
    let mut read = |attribute: &str, wire: Option<prost_types::Timestamp>| -> Option<Timestamp> {
        if !has(attribute) {
            return None;
        }
        let field = format!("vault_secret.{attribute}");
        match wire {
            Some(wire) => violations.take(field, time(wire)),
            None if is_whole => None,
            None => {
                violations.add(
                    field,
                    "is required: the vault removes no time from a version; add a version without it",
                );
                None
            }
        }
    };
    let not_before_time = read("not_before_time", wire.not_before_time);
    let expire_time = read("expire_time", wire.expire_time);
    let update = VaultSecretUpdate {
        enabled: has("enabled").then_some(wire.enabled),
        not_before_time,
        expire_time,
        content_type: has("content_type").then_some(wire.content_type),
        tags: has("tags").then_some(wire.tags),
    };
    check_attributes("vault_secret", &update, violations);
    update
}
