//! New vault secrets: the value is moved out of the request, into a type that forgets it safely, before anything else.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::Zeroize;

use super::{Violations, in_collection, quoted, time};
use crate::{
    model::{NewVaultSecret, VaultSecretName, limits},
    proto,
    secrets::{Error, RESERVED_TAG},
};

/// CreateVaultSecret.
pub(crate) fn create_vault_secret(
    message: proto::CreateVaultSecretRequest,
    mut violations: Violations,
) -> Result<(VaultSecretName, NewVaultSecret), Error> {
    let id = message.vault_secret_id;
    let name = match id.strip_prefix("vaultSecrets/") {
        Some(id) => Err(format!("it is an id, not a name: use {}", quoted(id))),
        None => id.parse::<VaultSecretName>().map_err(|error| error.to_string()),
    };
    let name = violations.take("vault_secret_id", name);
    let secret = required("secret", message.secret, &mut violations);
    violations.finish(name.zip(secret))
}

/// AddVaultSecretVersion.
pub(crate) fn new_version(
    message: proto::AddVaultSecretVersionRequest,
    mut violations: Violations,
) -> Result<(VaultSecretName, NewVaultSecret), Error> {
    let name = violations.take("parent", in_collection("vaultSecrets", &message.parent));
    let secret = required("secret", message.secret, &mut violations);
    violations.finish(name.zip(secret))
}

fn required(
    field: &str,
    secret: Option<proto::NewVaultSecret>,
    violations: &mut Violations,
) -> Option<NewVaultSecret> {
    match secret {
        Some(secret) => Some(new_vault_secret(field, secret, violations)),
        None => {
            violations.add(field, "it is required: it brings the value");
            None
        }
    }
}

/// What "Create new" stores.
pub(crate) fn new_vault_secret(
    field: &str,
    mut wire: proto::NewVaultSecret,
    violations: &mut Violations,
) -> NewVaultSecret {
    let value = take_value(&mut wire.value);
    let bytes = value.expose_secret().len();
    if bytes == 0 {
        violations.add(format!("{field}.value"), "a value is required");
    } else if bytes > limits::VALUE_BYTES {
        violations.add(
            format!("{field}.value"),
            format!("a value has at most {} bytes of UTF-8; this one has {bytes}", limits::VALUE_BYTES),
        );
    }
    if wire.content_type.chars().count() > limits::CONTENT_TYPE_CHARS || has_control(&wire.content_type) {
        violations.add(
            format!("{field}.content_type"),
            format!("a content type has at most {} printable characters", limits::CONTENT_TYPE_CHARS),
        );
    }
    let (not_before_time, expire_time) = life(field, &wire, violations);
    check_tags(field, &wire.tags, violations);
    NewVaultSecret { value, content_type: wire.content_type, not_before_time, expire_time, tags: wire.tags }
}

/// Copies exactly the value's bytes, so that no allocation is given back with them in it, and wipes the original.
pub(crate) fn take_value(value: &mut String) -> SecretString {
    let mut original = mem::take(value);
    let copy: Box<str> = original.as_str().into();
    original.zeroize();
    SecretBox::new(copy)
}

fn life(
    field: &str,
    wire: &proto::NewVaultSecret,
    violations: &mut Violations,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut read = |name: &str, wire: Option<prost_types::Timestamp>| {
        wire.and_then(|wire| violations.take(format!("{field}.{name}"), time(wire)))
    };
    let not_before = read("not_before_time", wire.not_before_time);
    let expire = read("expire_time", wire.expire_time);
    if expire.is_some_and(|expire| expire <= Timestamp::now()) {
        violations
            .add(format!("{field}.expire_time"), "it lies in the past: what has expired can't be synced");
    }
    if let (Some(not_before), Some(expire)) = (not_before, expire)
        && not_before >= expire
    {
        violations.add(format!("{field}.not_before_time"), "it must lie before expire_time");
    }
    (not_before, expire)
}

fn check_tags(field: &str, tags: &BTreeMap<String, String>, violations: &mut Violations) {
    let field = format!("{field}.tags");
    if tags.len() > limits::TAGS {
        violations.add(&field, format!("a vault secret has at most {} tags of a caller", limits::TAGS));
    }
    for (name, value) in tags {
        let fits = |text: &str| text.chars().count() <= limits::TAG_CHARS && !has_control(text);
        if name == RESERVED_TAG {
            violations.add(&field, format!("the tag {name:?} is this service's own"));
        } else if name.is_empty() || !fits(name) || !fits(value) {
            violations.add(
                &field,
                format!(
                    "a tag's name and value have at most {} printable characters, the name at least one: {}",
                    limits::TAG_CHARS,
                    quoted(name)
                ),
            );
        }
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}
