//! A new vault secret in a request. Its value moves first, out of the request into a type that wipes it.

use std::{collections::BTreeMap, mem};

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretBox, SecretString};
use zeroize::{Zeroize, Zeroizing};

use super::{Violations, quoted, synced_secret::encoding, time};
use crate::{
    model::{
        CertificateKind, ENCODING_TAG, Encoding, NewVaultSecret, VaultSecretUpdate, kind_of_der, limits,
    },
    proto,
    secrets::RESERVED_TAG,
};

/// The new vault secret that a request must have.
pub(in crate::api::rpc) fn required_vault_secret(
    field: &str,
    secret: Option<proto::NewVaultSecret>,
    violations: &mut Violations,
) -> Option<NewVaultSecret> {
    match secret {
        Some(secret) => Some(vault_secret(field, secret, violations)),
        None => {
            violations.add(field, "is required: it holds the value");
            None
        }
    }
}

/// Reads a new vault secret.
pub(in crate::api::rpc) fn vault_secret(
    field: &str,
    mut wire: proto::NewVaultSecret,
    violations: &mut Violations,
) -> NewVaultSecret {
    let encoding = violations.take(format!("{field}.encoding"), encoding(wire.encoding)).flatten();
    let value = take_value(&mut wire.value);
    let data = Zeroizing::new(mem::take(&mut wire.data));
    let encoding_by_default = !data.is_empty() && encoding.is_none() && !wire.tags.contains_key(ENCODING_TAG);
    let (value, encoding) = match data.is_empty() {
        true => (value, encoding),
        false => {
            if !value.expose_secret().is_empty() {
                violations.add(format!("{field}.data"), "must be empty where value is set");
            }
            if wire.content_type.is_empty() {
                wire.content_type = content_type_of(&data).to_owned();
            }
            let encoding = encoding.unwrap_or(Encoding::Hex);
            let encoded = encoding.encode(&data).ok_or("must be UTF-8, or have another encoding");
            let encoded = violations.take(format!("{field}.data"), encoded);
            (encoded.unwrap_or_else(|| SecretString::from("invalid")), Some(encoding))
        }
    };
    check_value(field, &value, &data, encoding, violations);
    if let Some(encoding) = encoding {
        tag_encoding(field, &mut wire.tags, encoding, violations);
    }
    check_content_type(field, &wire.content_type, violations);
    let (not_before_time, expire_time) = lifetime(field, &wire, violations);
    check_tags(field, &wire.tags, violations);
    NewVaultSecret {
        value,
        content_type: wire.content_type,
        not_before_time,
        expire_time,
        tags: wire.tags,
        encoding,
        encoding_by_default,
    }
}

fn check_value(
    field: &str,
    value: &SecretString,
    data: &[u8],
    encoding: Option<Encoding>,
    violations: &mut Violations,
) {
    let bytes = value.expose_secret().len();
    let held = if data.is_empty() { "value" } else { "data" };
    if bytes == 0 {
        violations.add(format!("{field}.value"), "is required, or data is");
    } else if bytes > limits::VALUE_BYTES {
        let encoded = match encoding.filter(|_| !data.is_empty()) {
            Some(encoding) => format!(" of {}", encoding.name()),
            None => " of UTF-8".to_owned(),
        };
        violations.add(
            format!("{field}.{held}"),
            format!("must have at most {} bytes{encoded}, and has {bytes}", limits::VALUE_BYTES),
        );
    } else if let Some(encoding) = encoding
        && let Err(error) = encoding.decode(value)
    {
        violations.add(format!("{field}.encoding"), error);
    }
}

/// The tag says how the value is encoded, to whoever reads it.
fn tag_encoding(
    field: &str,
    tags: &mut BTreeMap<String, String>,
    encoding: Encoding,
    violations: &mut Violations,
) {
    match Encoding::of_tags(tags) {
        _ if !tags.contains_key(ENCODING_TAG) => {
            tags.insert(ENCODING_TAG.to_owned(), encoding.name().to_owned());
        }
        Some(tagged) if tagged == encoding => {}
        _ => violations.add(
            format!("{field}.tags"),
            format!("must say {:?} in the tag {ENCODING_TAG:?}, or leave it out", encoding.name()),
        ),
    }
}

/// The content type that Azure IoT Operations gives a file; empty if it is none that is known.
fn content_type_of(data: &[u8]) -> &'static str {
    if data.trim_ascii_start().starts_with(b"-----BEGIN ") {
        return "application/x-pem-file";
    }
    match kind_of_der(data) {
        Some(CertificateKind::Certificate) => "application/pkix-cert",
        Some(CertificateKind::RevocationList) => "application/pkix-crl",
        None => "",
    }
}

/// Copies exactly the bytes of the value and wipes the original, so that no freed allocation contains the
/// value.
pub(in crate::api::rpc) fn take_value(value: &mut String) -> SecretString {
    let mut original = mem::take(value);
    let copy: Box<str> = original.as_str().into();
    original.zeroize();
    SecretBox::new(copy)
}

fn lifetime(
    field: &str,
    wire: &proto::NewVaultSecret,
    violations: &mut Violations,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let mut read = |name: &str, wire: Option<prost_types::Timestamp>| {
        wire.and_then(|wire| violations.take(format!("{field}.{name}"), time(wire)))
    };
    let not_before = read("not_before_time", wire.not_before_time);
    let expire = read("expire_time", wire.expire_time);
    check_expiry(field, expire, violations);
    if let (Some(not_before), Some(expire)) = (not_before, expire)
        && not_before >= expire
    {
        violations.add(format!("{field}.not_before_time"), "must be before expire_time");
    }
    (not_before, expire)
}

/// Checks the attributes of an update. What depends on the version that changes is checked with it.
pub(in crate::api::rpc) fn check_attributes(
    field: &str,
    update: &VaultSecretUpdate,
    violations: &mut Violations,
) {
    check_content_type(field, update.content_type.as_deref().unwrap_or_default(), violations);
    check_expiry(field, update.expire_time, violations);
    if let Some(tags) = &update.tags {
        check_tag_texts(&format!("{field}.tags"), tags, violations);
    }
}

fn check_content_type(field: &str, content_type: &str, violations: &mut Violations) {
    if content_type.chars().count() > limits::CONTENT_TYPE_CHARS || has_control(content_type) {
        violations.add(
            format!("{field}.content_type"),
            format!("must have at most {} printable characters", limits::CONTENT_TYPE_CHARS),
        );
    }
}

fn check_expiry(field: &str, expire: Option<Timestamp>, violations: &mut Violations) {
    if expire.is_some_and(|expire| expire <= Timestamp::now()) {
        violations.add(
            format!("{field}.expire_time"),
            "must lie in the future: an expired vault secret is not synced",
        );
    }
}

fn check_tags(field: &str, tags: &BTreeMap<String, String>, violations: &mut Violations) {
    let field = format!("{field}.tags");
    if tags.len() > limits::TAGS {
        violations.add(&field, format!("must have at most {} tags", limits::TAGS));
    }
    if tags.contains_key(RESERVED_TAG) {
        violations.add(&field, format!("must not contain the tag {RESERVED_TAG:?}, which this service sets"));
    }
    check_tag_texts(&field, tags, violations);
}

fn check_tag_texts(field: &str, tags: &BTreeMap<String, String>, violations: &mut Violations) {
    for (name, value) in tags {
        let fits = |text: &str| text.chars().count() <= limits::TAG_CHARS && !has_control(text);
        if name.is_empty() || !fits(name) || !fits(value) {
            violations.add(
                field,
                format!(
                    "must have names of 1 to {0} and values of up to {0} printable characters: {1}",
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
