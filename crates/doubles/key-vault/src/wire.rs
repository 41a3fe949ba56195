//! The JSON that Key Vault speaks: bundles, lists, request bodies.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize};
use zeroize::Zeroizing;

use super::{
    certificate::Certificate,
    state::{Deletion, Secret, Version},
};

/// The days for which a deleted secret can be recovered.
pub(super) const RECOVERABLE_DAYS: i64 = 90;

/// The body of `PUT /secrets/NAME`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SetBody {
    #[serde(default, deserialize_with = "optional_secret")]
    pub(super) value: Option<SecretString>,
    #[serde(flatten)]
    pub(super) properties: PropertiesBody,
}

/// The body of `PATCH /secrets/NAME/VERSION`: what is absent stays as it is.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PropertiesBody {
    pub(super) content_type: Option<String>,
    pub(super) attributes: Option<AttributesBody>,
    pub(super) tags: Option<BTreeMap<String, String>>,
}

/// The attributes that a client may set. Others, sent back from an answer, are ignored.
#[derive(Default, Deserialize)]
pub(super) struct AttributesBody {
    pub(super) enabled: Option<bool>,
    pub(super) nbf: Option<i64>,
    pub(super) exp: Option<i64>,
}

/// A backup, as an answer and as a request.
#[derive(Serialize, Deserialize)]
pub(super) struct BackupBody {
    /// Base64 for URLs.
    pub(super) value: String,
}

/// A secret in an answer. Which fields are present depends on the operation.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bundle<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduled_purge_date: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    managed: Option<bool>,
    attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a BTreeMap<String, String>>,
}

/// A certificate in an answer; an item of a list has fewer fields.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CertificateBundle<'a> {
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    x5t: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    attributes: Attributes,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<&'a BTreeMap<String, String>>,
}

/// The attributes in an answer. Times are Unix seconds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attributes {
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    nbf: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exp: Option<i64>,
    created: i64,
    updated: i64,
    recovery_level: &'static str,
    recoverable_days: i64,
}

/// A page of a list.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct List<B> {
    pub(super) value: Vec<B>,
    pub(super) next_link: Option<String>,
}

// === impl Bundle ===

impl<'a> Bundle<'a> {
    /// A version without its value: the answer to an update, a recovery and a restore, and an item of the list of versions.
    pub(super) fn version(host: &str, secret: &'a Secret, version: &'a Version) -> Self {
        Self {
            value: None,
            recovery_id: None,
            deleted_date: None,
            scheduled_purge_date: None,
            content_type: version.content_type.as_deref(),
            id: format!("https://{host}/secrets/{}/{}", secret.name, version.id),
            managed: secret.managed.then_some(true),
            attributes: Attributes::of(version),
            kid: secret.managed.then(|| format!("https://{host}/keys/{}/{}", secret.name, version.id)),
            tags: version.tags.as_ref(),
        }
    }

    /// A version with its value: the answer to a get and a set.
    pub(super) fn value(host: &str, secret: &'a Secret, version: &'a Version) -> Self {
        Self { value: Some(version.value.expose_secret()), ..Self::version(host, secret, version) }
    }

    /// An item of the list of versions, which names no key.
    pub(super) fn version_item(host: &str, secret: &'a Secret, version: &'a Version) -> Self {
        Self { kid: None, ..Self::version(host, secret, version) }
    }

    /// An item of the list of secrets: the latest version's attributes under an id without version.
    pub(super) fn item(host: &str, secret: &'a Secret) -> Self {
        let id = format!("https://{host}/secrets/{}", secret.name);
        Self { id, ..Self::version_item(host, secret, secret.latest()) }
    }

    /// A deleted secret: the answer to a delete and to asking for a deleted one.
    pub(super) fn deleted(host: &str, secret: &'a Secret, deletion: &Deletion) -> Self {
        Self::version(host, secret, secret.latest()).with_deletion(host, secret, deletion)
    }

    /// An item of the list of deleted secrets.
    pub(super) fn deleted_item(host: &str, secret: &'a Secret, deletion: &Deletion) -> Self {
        Self::item(host, secret).with_deletion(host, secret, deletion)
    }

    fn with_deletion(self, host: &str, secret: &Secret, deletion: &Deletion) -> Self {
        Self {
            recovery_id: Some(format!("https://{host}/deletedsecrets/{}", secret.name)),
            deleted_date: Some(deletion.deleted),
            scheduled_purge_date: Some(deletion.scheduled_purge),
            ..self
        }
    }
}

// === impl CertificateBundle ===

impl<'a> CertificateBundle<'a> {
    /// The certificate of a version of its secret; none where the secret's value has none.
    pub(super) fn version(host: &str, secret: &'a Secret, version: &'a Version) -> Option<Self> {
        let certificate = Certificate::of(&version.value, version.content_type.as_deref())?;
        let id = |collection: &str| format!("https://{host}/{collection}/{}/{}", secret.name, version.id);
        Some(Self {
            id: id("certificates"),
            kid: Some(id("keys")),
            sid: Some(id("secrets")),
            x5t: certificate.x5t(),
            cer: Some(certificate.cer()),
            content_type: version.content_type.as_deref(),
            attributes: Attributes::of(version),
            tags: version.tags.as_ref(),
        })
    }

    /// As it is in a list.
    pub(super) fn into_item(self) -> Self {
        Self { kid: None, sid: None, cer: None, content_type: None, ..self }
    }
}

// === impl Attributes ===

impl Attributes {
    fn of(version: &Version) -> Self {
        Self {
            enabled: version.enabled,
            nbf: version.not_before,
            exp: version.expires,
            created: version.created,
            updated: version.updated,
            recovery_level: "Recoverable+Purgeable",
            recoverable_days: RECOVERABLE_DAYS,
        }
    }
}

/// A JSON answer. Its bytes are zeroized after sending.
pub(super) fn json(status: StatusCode, content: &impl Serialize) -> Response {
    // Large enough for a page and for most values: growing would leave copies of values behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(16 * 1024));
    serde_json::to_writer(&mut *bytes, content)
        .expect("these types have only string keys and finite numbers");
    let kind = HeaderValue::from_static("application/json; charset=utf-8");
    (status, [(header::CONTENT_TYPE, kind)], Bytes::from_owner(bytes)).into_response()
}

/// Reads a string into a type that doesn't print it and zeroizes it.
fn optional_secret<'de, D: Deserializer<'de>>(from: D) -> Result<Option<SecretString>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.map(SecretString::from))
}
