//! The encodings of new references: as the caller says, or else as the tag of the vault secret says.

use futures::future::join_all;

use super::NewReference;
use crate::{
    edge::engine::reads_values,
    model::{Condition, ConditionType, Encoding, Reason, Reference, Status, SyncEngine, SyncedSecret},
    reconcile::SharedReads,
};

/// Completes references with what the caller left out: the part of those that are `held`, and the encoding that the tags say. Those that
/// are `held` stay as they are, also where the tag changed since. What can't be read is told by the checks
/// that follow.
pub(super) async fn resolve(
    engine: SyncEngine,
    references: &mut [NewReference],
    held: &[Reference],
    reads: &SharedReads,
) {
    for new in references.iter_mut() {
        new.reference = new.keeping_part(held);
    }
    for new in references.iter_mut().filter(|new| new.create.is_none() && !new.encoding_given) {
        if let Some(held) = held.iter().find(|held| held.has_same_source(&new.reference)) {
            new.reference.encoding = held.encoding;
        }
    }
    let tagged = references.iter().map(|new| async move {
        if let Some(create) = &new.create {
            return create.encoding.or_else(|| Encoding::of_tags(&create.tags));
        }
        let is_held = held.iter().any(|held| held.has_same_spec(&new.reference));
        if is_held { None } else { tag_of(engine, &new.reference, reads).await }
    });
    let tagged = join_all(tagged).await;
    for (new, tagged) in references.iter_mut().zip(tagged) {
        new.tagged = tagged;
        if let Some(tagged) = tagged.filter(|_| !new.encoding_given) {
            new.reference.encoding = tagged;
        }
    }
}

async fn tag_of(engine: SyncEngine, reference: &Reference, reads: &SharedReads) -> Option<Encoding> {
    let (name, version) = (&reference.vault_secret, reference.version.as_ref());
    // The checks that follow read the same.
    if reads_values(engine) {
        let value = reads.get(name, version).await.ok()?;
        return Encoding::of_tags(&value.version.secret.tags);
    }
    let description = reads.describe(name, version).await.ok()?;
    Encoding::of_tags(&description.versions.first()?.secret.tags)
}

/// Notes in the condition `Encoded` which references have another encoding than the tag says. Those that stay
/// as they are stay noted.
pub(super) fn note(secret: &mut SyncedSecret, references: &[NewReference]) {
    let noted = secret.conditions.iter().find(|condition| condition.kind == ConditionType::Encoded);
    let noted = noted.map(|condition| condition.message.clone()).unwrap_or_default();
    let noted: Vec<&str> = noted.split_inclusive("; ").collect();
    let differing: Vec<String> = references
        .iter()
        .filter_map(|new| {
            let reference = &new.reference;
            let start = format!("The key {:?} decodes", reference.key.as_str());
            match new.tagged {
                Some(tagged) if tagged != reference.encoding => Some(format!(
                    "{start} {} as {}, and its tag says {}",
                    reference.vault_secret,
                    reference.encoding.name(),
                    tagged.name()
                )),
                Some(_) => None,
                None => {
                    let stays = secret.references.iter().any(|held| held.has_same_spec(reference));
                    let before = noted.iter().find(|before| stays && before.starts_with(&start));
                    before.map(|before| before.split("; ").next().unwrap_or_default().to_owned())
                }
            }
        })
        .collect();
    if differing.is_empty() {
        secret.conditions.retain(|condition| condition.kind != ConditionType::Encoded);
        return;
    }
    // Nothing looks at the tag again: to change it would not clear this.
    let message = format!("{}; change the encoding with UpdateSyncedSecret.", differing.join("; "));
    let reason = Reason::EncodingDiffersFromTag;
    secret.set_condition(Condition::new(ConditionType::Encoded, Status::False, reason, message));
}
