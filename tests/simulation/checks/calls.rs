//! What a call wanted and what it was answered.

use super::*;

pub(super) fn is_delete(call: &Call) -> bool {
    matches!(call.what, What::Delete { .. })
}

/// Whether a call was answered that there is a synced secret.
pub(super) fn is_there_after(call: &Call) -> bool {
    matches!(call.ok(), Some((_, Answer::Synced(secret))) if secret.state() != State::Deleting)
}

/// Of what is ours already it changes nothing.
pub(super) fn is_adoption(call: &Call) -> bool {
    matches!(call.what, What::Adopt { .. })
}

pub(super) fn is_maker(call: &Call) -> bool {
    matches!(call.what, What::Create { .. } | What::Adopt { .. })
}

/// What a call writes to a field, where it does.
pub(super) fn written(call: &Call, field: &str) -> Option<String> {
    let told = |references: &[crate::model::Reference]| {
        let all: Vec<_> = references.iter().map(|one| format!("{}={}", one.key, one.vault_secret)).collect();
        all.join(",")
    };
    match (&call.what, field) {
        (What::Create { mark, .. }, "description" | "labels") => Some(mark.clone()),
        (What::Create { references, .. }, _) => Some(told(references)),
        (What::Adopt { .. }, "description" | "labels") => Some(String::new()),
        (What::Adopt { .. }, _) => Some("theirs=vault-0".to_owned()),
        (What::Update { description, .. }, "description") => description.clone(),
        (What::Update { label, .. }, "labels") => label.clone(),
        (What::Update { references, .. }, _) => references.as_deref().map(told),
        _ => None,
    }
}

pub(super) fn references_of(secret: &SyncedSecret) -> String {
    let one = |reference: &secret_service::proto::SecretReference| {
        format!("{}={}", reference.key, reference.vault_secret.trim_start_matches("vaultSecrets/"))
    };
    secret.references.iter().map(one).collect::<Vec<_>>().join(",")
}

/// Whether a call brings this value for a new vault secret of this name.
pub(super) fn creates(call: &Call, name: &str, value: &str) -> bool {
    let among = |references: &[crate::model::Reference]| {
        references.iter().any(|one| one.vault_secret == name && one.create.as_deref() == Some(value))
    };
    match &call.what {
        What::Create { references, .. } => among(references),
        What::Update { references, .. } => references.as_deref().is_some_and(among),
        What::CreateVaultSecret { name: own, value: brought } => own == name && brought == value,
        _ => false,
    }
}

/// What an answer names: the same for every attempt of a call.
pub(super) fn effect(attempt: &Attempt) -> Option<String> {
    match &attempt.outcome {
        Some(Outcome::Ok(Answer::Synced(secret))) if !secret.uid.is_empty() => Some(secret.uid.clone()),
        Some(Outcome::Ok(Answer::Version(version))) => Some(version.name.clone()),
        _ => None,
    }
}

/// Whether an answer came because there was something to tell, and not because the time to wait was over.
pub(super) fn waited_enough(attempt: &Attempt, end: Moment) -> bool {
    waited(attempt, end) < attempt.wait.min(attempt.deadline).saturating_sub(MARGIN)
}

pub(super) fn waited(attempt: &Attempt, end: Moment) -> Duration {
    end.time - attempt.begin.time
}

pub(super) fn brief(secret: &SyncedSecret) -> String {
    format!(
        "{} uid {} generation {} (synced {}) {:?} {} {:?} {}",
        secret.name,
        secret.uid,
        secret.generation,
        secret.synced_generation,
        secret.state(),
        synced_reason(secret),
        secret.description,
        references_of(secret)
    )
}
