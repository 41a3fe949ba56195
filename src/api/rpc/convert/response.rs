//! Resources of the model, as answers carry them.

use jiff::Timestamp;

use crate::{
    model::{
        CertificateFacts, CertificateKind, Condition, ConditionType, Encoding, Origin, Part, Purpose,
        PurposeField, PurposeKey, Reference, State, Status, SyncedSecret, VaultSecretVersion,
    },
    proto,
    secrets::{CheckedResource, ListedUsage, ListedVaultSecret},
};

/// A synced secret. The answer to a dry run has neither uid nor etag.
pub(in crate::api::rpc) fn synced_secret(secret: &SyncedSecret) -> proto::SyncedSecret {
    let exists = !secret.uid.is_nil();
    proto::SyncedSecret {
        name: secret.name(),
        uid: if exists { secret.uid.to_string() } else { String::new() },
        etag: if exists { secret.etag() } else { String::new() },
        description: secret.description.clone(),
        secret_type: secret.secret_type.to_string(),
        references: secret.references.iter().map(reference).collect(),
        labels: secret.labels.clone(),
        state: state(secret.state).into(),
        conditions: secret.conditions.iter().map(condition).collect(),
        origin: origin(secret.origin).into(),
        usages: Vec::new(),
        create_time: Some(timestamp(secret.create_time)),
        update_time: Some(timestamp(secret.update_time)),
        sync_time: secret.sync_time.map(timestamp),
        generation: secret.generation,
        synced_generation: secret.synced_generation,
    }
}

/// Removes everything that reveals the keys of a Secret: the references, messages about them, and whether a
/// used key is missing.
pub(in crate::api::rpc) fn withhold_keys(shown: &mut proto::SyncedSecret) {
    shown.references.clear();
    let synced = ConditionType::Synced.as_str();
    for condition in shown.conditions.iter_mut().filter(|condition| condition.r#type == synced) {
        condition.message =
            "Another tool manages this Secret. Details are shown only to callers who may get it.".to_owned();
    }
    for usage in &mut shown.usages {
        usage.key_missing = false;
    }
}

/// A usage of a synced secret.
pub(in crate::api::rpc) fn secret_usage(listed: &ListedUsage) -> proto::SecretUsage {
    let usage = &listed.usage;
    proto::SecretUsage {
        api_version: usage.api_version.clone(),
        kind: usage.group_kind.kind.clone(),
        namespace: usage.namespace.clone(),
        resource: usage.resource.clone(),
        field: usage.field.clone(),
        key: usage.needs.key().to_owned(),
        key_missing: listed.key_missing,
        synced_secret: format!("syncedSecrets/{}", usage.secret),
        secret_missing: listed.secret_missing,
        guessed: usage.guessed,
    }
}

/// What a synced secret can be for.
pub(in crate::api::rpc) fn secret_purpose(purpose: &Purpose) -> proto::SecretPurpose {
    let key = |key: &PurposeKey| proto::PurposeKey {
        key: key.key.clone(),
        title: key.title.to_owned(),
        required: key.required,
        free_name: key.free_name,
    };
    let field = |field: &PurposeField| proto::PurposeField {
        group: field.group_kind.group.clone(),
        kind: field.group_kind.kind.clone(),
        field: field.path.clone(),
        key: field.key.clone(),
    };
    proto::SecretPurpose {
        id: purpose.id.to_owned(),
        title: purpose.title.to_owned(),
        description: purpose.description.to_owned(),
        secret_types: purpose.secret_types.iter().map(|secret_type| (*secret_type).to_owned()).collect(),
        keys: purpose.keys.iter().map(key).collect(),
        any_keys: purpose.any_keys,
        fields: purpose.fields.iter().map(field).collect(),
    }
}

/// A resource of a manifest.
pub(in crate::api::rpc) fn checked_resource(checked: &CheckedResource) -> proto::CheckedResource {
    let usages = checked.usages.iter().map(|checked| {
        let mut usage = secret_usage(&checked.listed);
        if checked.listed.usage.secret.is_empty() {
            usage.synced_secret.clear();
        }
        proto::CheckedUsage { usage: Some(usage), problem: checked.problem.as_ref().map(condition) }
    });
    proto::CheckedResource {
        api_version: checked.api_version.clone(),
        kind: checked.group_kind.kind.clone(),
        namespace: checked.namespace.clone(),
        resource: checked.name.clone(),
        kind_unknown: checked.kind_unknown,
        usages: usages.collect(),
        problems: checked.problems.iter().map(condition).collect(),
    }
}

/// A vault secret and the synced secrets that refer to it.
pub(in crate::api::rpc) fn listed_vault_secret(listed: ListedVaultSecret) -> proto::VaultSecret {
    let secret = listed.secret;
    proto::VaultSecret {
        encoding: encoding(Encoding::of_tags(&secret.tags)).into(),
        name: format!("vaultSecrets/{}", secret.name),
        enabled: secret.enabled,
        content_type: secret.content_type,
        create_time: secret.create_time.map(timestamp),
        update_time: secret.update_time.map(timestamp),
        not_before_time: secret.not_before_time.map(timestamp),
        expire_time: secret.expire_time.map(timestamp),
        tags: secret.tags,
        managed: secret.managed,
        synced_secrets: listed.synced_secrets.iter().map(|id| format!("syncedSecrets/{id}")).collect(),
    }
}

/// A version of a vault secret.
pub(in crate::api::rpc) fn vault_secret_version(version: &VaultSecretVersion) -> proto::VaultSecretVersion {
    proto::VaultSecretVersion {
        name: format!("vaultSecrets/{}/versions/{}", version.secret.name, version.version),
        enabled: version.secret.enabled,
        create_time: version.secret.create_time.map(timestamp),
        not_before_time: version.secret.not_before_time.map(timestamp),
        expire_time: version.secret.expire_time.map(timestamp),
        content_type: version.secret.content_type.clone(),
        tags: version.secret.tags.clone(),
    }
}

fn encoding(encoding: Option<Encoding>) -> proto::secret_reference::Encoding {
    match encoding {
        None => proto::secret_reference::Encoding::Unspecified,
        Some(Encoding::Utf8) => proto::secret_reference::Encoding::Utf8,
        Some(Encoding::Base64) => proto::secret_reference::Encoding::Base64,
        Some(Encoding::Hex) => proto::secret_reference::Encoding::Hex,
    }
}

fn part(part: Part) -> proto::secret_reference::Part {
    match part {
        Part::Whole => proto::secret_reference::Part::Unspecified,
        Part::Certificate => proto::secret_reference::Part::Certificate,
        Part::Chain => proto::secret_reference::Part::Chain,
        Part::PrivateKey => proto::secret_reference::Part::PrivateKey,
        Part::FullChain => proto::secret_reference::Part::FullChain,
        Part::Pfx => proto::secret_reference::Part::Pfx,
    }
}

fn reference(reference: &Reference) -> proto::SecretReference {
    // UTF8 is what no encoding meant before it had a name, and is still shown so.
    let given = Some(reference.encoding).filter(|encoding| *encoding != Encoding::Utf8);
    let text = |version: &crate::model::VaultVersion| version.as_str().to_owned();
    proto::SecretReference {
        key: reference.key.as_str().to_owned(),
        vault_secret: format!("vaultSecrets/{}", reference.vault_secret),
        version: reference.version.as_ref().map(text).unwrap_or_default(),
        encoding: encoding(given).into(),
        create: None,
        synced_version: reference.status.synced_version.as_ref().map(text).unwrap_or_default(),
        expire_time: reference.status.expire_time.map(timestamp),
        problem: reference.status.problem.as_ref().map(condition),
        part: part(reference.part).into(),
        certificate: reference.status.certificate.as_ref().map(certificate),
    }
}

fn certificate(facts: &CertificateFacts) -> proto::CertificateFacts {
    proto::CertificateFacts {
        subject: facts.subject.clone(),
        issuer: facts.issuer.clone(),
        subject_alternative_names: facts.subject_alternative_names.clone(),
        not_before_time: facts.not_before.map(timestamp),
        expire_time: facts.not_after.map(timestamp),
        sha1_thumbprint: facts.sha1_thumbprint.clone(),
        sha256_thumbprint: facts.sha256_thumbprint.clone(),
        is_ca: facts.is_ca,
        key_matches: facts.key_matches,
        certificate_count: i32::try_from(facts.count).unwrap_or(i32::MAX),
        revocation_list: facts.kind == CertificateKind::RevocationList,
    }
}

pub(in crate::api::rpc) fn condition(condition: &Condition) -> proto::Condition {
    let status = match condition.status {
        Status::True => proto::condition::Status::True,
        Status::False => proto::condition::Status::False,
        Status::Unknown => proto::condition::Status::Unknown,
    };
    proto::Condition {
        r#type: condition.kind.as_str().to_owned(),
        status: status.into(),
        reason: condition.reason.as_str().to_owned(),
        message: condition.message.clone(),
        last_transition_time: Some(timestamp(condition.last_transition_time)),
    }
}

fn state(state: State) -> proto::synced_secret::State {
    use proto::synced_secret::State as WireState;
    match state {
        State::Pending => WireState::Pending,
        State::Synced => WireState::Synced,
        State::Degraded => WireState::Degraded,
        State::Failed => WireState::Failed,
        State::Deleting => WireState::Deleting,
    }
}

fn origin(origin: Origin) -> proto::synced_secret::Origin {
    match origin {
        Origin::Managed => proto::synced_secret::Origin::Managed,
        Origin::Unmanaged => proto::synced_secret::Origin::Unmanaged,
    }
}

/// On the wire, nanoseconds count forwards from the second, also before 1970.
pub(in crate::api::rpc) fn timestamp(time: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    prost_types::Timestamp { seconds, nanos }
}
