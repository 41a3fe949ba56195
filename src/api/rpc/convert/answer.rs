//! Model to wire.

use jiff::Timestamp;

use crate::{
    model::{
        AuditEvent, Condition, ConditionType, Encoding, Origin, Reference, State, Status, SyncEngine,
        SyncedSecret, VaultSecretVersion,
    },
    proto,
    secrets::{ListedUsage, ListedVaultSecret, VaultStatus, WatchEvent},
};

/// A synced secret. One that was only validated has no uid and no etag yet.
pub(crate) fn synced_secret(secret: &SyncedSecret) -> proto::SyncedSecret {
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
        create_time: Some(time(secret.create_time)),
        update_time: Some(time(secret.update_time)),
        sync_time: secret.sync_time.map(time),
        generation: secret.generation,
        synced_generation: secret.synced_generation,
    }
}

/// Leaves out what tells the keys of a Secret: the references, what is said of them, and whether one that is used is missing.
pub(crate) fn withhold_keys(shown: &mut proto::SyncedSecret) {
    shown.references.clear();
    let synced = ConditionType::Synced.as_str();
    for condition in shown.conditions.iter_mut().filter(|condition| condition.r#type == synced) {
        condition.message = "Another tool made it; whoever may get it is told more.".to_owned();
    }
    for usage in &mut shown.usages {
        usage.key_missing = false;
    }
}

/// A use of a synced secret.
pub(crate) fn secret_usage(listed: &ListedUsage) -> proto::SecretUsage {
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

/// An event of a watch, with the token to resume after it.
pub(crate) fn watch_response(event: &WatchEvent, resume_token: String) -> proto::WatchSyncedSecretsResponse {
    use proto::watch_synced_secrets_response::Type;
    let (kind, secret) = match event {
        WatchEvent::Added(secret) => (Type::Added, Some(secret)),
        WatchEvent::Modified(secret) => (Type::Modified, Some(secret)),
        WatchEvent::Deleted(secret) => (Type::Deleted, Some(secret)),
        WatchEvent::Bookmark => (Type::Bookmark, None),
    };
    let synced_secret = secret.map(|secret| synced_secret(secret));
    proto::WatchSyncedSecretsResponse { r#type: kind.into(), synced_secret, resume_token }
}

/// A vault secret and who refers to it.
pub(crate) fn listed_vault_secret(listed: ListedVaultSecret) -> proto::VaultSecret {
    let secret = listed.secret;
    proto::VaultSecret {
        name: format!("vaultSecrets/{}", secret.name),
        enabled: secret.enabled,
        content_type: secret.content_type,
        create_time: secret.create_time.map(time),
        update_time: secret.update_time.map(time),
        not_before_time: secret.not_before_time.map(time),
        expire_time: secret.expire_time.map(time),
        tags: secret.tags,
        managed: secret.managed,
        synced_secrets: listed.synced_secrets.iter().map(|id| format!("syncedSecrets/{id}")).collect(),
    }
}

/// A version of a vault secret.
pub(crate) fn vault_secret_version(version: &VaultSecretVersion) -> proto::VaultSecretVersion {
    proto::VaultSecretVersion {
        name: format!("vaultSecrets/{}/versions/{}", version.name, version.version),
        enabled: version.enabled,
        create_time: version.create_time.map(time),
        not_before_time: version.not_before_time.map(time),
        expire_time: version.expire_time.map(time),
    }
}

/// The vault and its state.
pub(crate) fn vault(status: &VaultStatus) -> proto::Vault {
    let engine = match status.engine {
        Some(SyncEngine::SecretStore) => proto::SyncEngine::SecretStore,
        Some(SyncEngine::Direct) => proto::SyncEngine::Direct,
        None => proto::SyncEngine::Unspecified,
    };
    proto::Vault {
        name: "vault".to_owned(),
        uri: status.uri.to_string(),
        tenant_id: status.tenant_id.clone().unwrap_or_default(),
        engine: engine.into(),
        conditions: status.conditions.iter().map(condition).collect(),
        check_time: Some(time(status.check_time)),
    }
}

/// A line of history.
pub(crate) fn audit_event(event: AuditEvent) -> proto::AuditEvent {
    proto::AuditEvent {
        name: format!("auditEvents/{}", event.sequence),
        event_time: Some(time(event.event_time)),
        actor: event.actor,
        action: event.action.into(),
        resource: event.resource,
        outcome: event.outcome.0,
        detail: event.detail,
        request_id: event.request_id,
    }
}

fn reference(reference: &Reference) -> proto::SecretReference {
    let encoding = match reference.encoding {
        Encoding::Utf8 => proto::secret_reference::Encoding::Unspecified,
        Encoding::Base64 => proto::secret_reference::Encoding::Base64,
        Encoding::Hex => proto::secret_reference::Encoding::Hex,
    };
    let text = |version: &crate::model::VaultVersion| version.as_str().to_owned();
    proto::SecretReference {
        key: reference.key.as_str().to_owned(),
        vault_secret: format!("vaultSecrets/{}", reference.vault_secret),
        version: reference.version.as_ref().map(text).unwrap_or_default(),
        encoding: encoding.into(),
        create: None,
        synced_version: reference.status.synced_version.as_ref().map(text).unwrap_or_default(),
        expire_time: reference.status.expire_time.map(time),
        problem: reference.status.problem.as_ref().map(condition),
    }
}

fn condition(condition: &Condition) -> proto::Condition {
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
        last_transition_time: Some(time(condition.last_transition_time)),
    }
}

fn state(state: State) -> proto::synced_secret::State {
    use proto::synced_secret::State as Wire;
    match state {
        State::Pending => Wire::Pending,
        State::Synced => Wire::Synced,
        State::Degraded => Wire::Degraded,
        State::Failed => Wire::Failed,
        State::Deleting => Wire::Deleting,
    }
}

fn origin(origin: Origin) -> proto::synced_secret::Origin {
    match origin {
        Origin::Managed => proto::synced_secret::Origin::Managed,
        Origin::Unmanaged => proto::synced_secret::Origin::Unmanaged,
    }
}

/// The wire counts nanoseconds forwards from the second, also before 1970.
fn time(time: Timestamp) -> prost_types::Timestamp {
    let (mut seconds, mut nanos) = (time.as_second(), time.subsec_nanosecond());
    if nanos < 0 {
        (seconds, nanos) = (seconds - 1, nanos + 1_000_000_000);
    }
    prost_types::Timestamp { seconds, nanos }
}
