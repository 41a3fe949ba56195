//! Invariants 3 to 5: what stands at the edge, at each moment and at the end.

use super::*;

impl<'a> History<'a> {
    /// 3: at the edge, the keys come from one complete set.
    pub(super) fn keys_come_from_one_set(&self, found: &mut Vec<String>) {
        for (_, secret) in &self.inner.edge {
            let Some(text) = secret.annotations.get("secret-service.iotoperations/references") else {
                continue;
            };
            if secret.by_others || secret.removed || secret.ours.is_none() {
                continue;
            }
            let references: Vec<serde_json::Value> = serde_json::from_str(text).unwrap_or_default();
            for reference in references {
                let word = |field: &str| reference[field].as_str().unwrap_or_default().to_owned();
                let version = (word("vaultSecret").to_ascii_lowercase(), word("syncedVersion"));
                let (Some(value), Some(held)) = (self.versions.get(&version), secret.data.get(&word("key")))
                else {
                    continue;
                };
                let held = String::from_utf8_lossy(held);
                if held != *value && !held.starts_with(FOREIGN) {
                    found.push(format!(
                        "3: keys come from one complete set: {} holds {held:?} under {}, where it says to hold {version:?}",
                        secret.name,
                        word("key")
                    ));
                }
            }
        }
    }

    /// 4 and 13: what isn't ours by uid loses nothing, and is not deleted.
    pub(super) fn foreign_secrets_lose_nothing(&self, found: &mut Vec<String>) {
        for (name, states) in &self.edge {
            let adopted: Vec<_> = self
                .calls(name)
                .filter(|call| matches!(call.what, What::Adopt { .. }) && call.may_have_worked())
                .map(Call::begin)
                .collect();
            let mut before: Option<&EdgeSecret> = None;
            for (moment, secret) in states {
                let foreign =
                    before.filter(|before| before.uid == secret.uid && before.labels.contains_key("theirs"));
                before = (!secret.removed).then_some(*secret);
                let Some(was) = foreign.filter(|_| !secret.by_others) else { continue };
                // An adoption of it may be under way, or done: it was there when the call came.
                let there =
                    states.iter().find(|(_, state)| state.uid == secret.uid).map(|(moment, _)| *moment);
                if adopted
                    .iter()
                    .any(|adoption| adoption < moment && there.is_some_and(|there| there < *moment))
                {
                    continue;
                }
                if secret.removed {
                    // The extension was still at it when its SecretSync was deleted, and its write gave the Secret that somebody had made
                    // meanwhile an owner that was gone. No order of ours keeps it from that.
                    if secret.owners_are_gone {
                        continue;
                    }
                    found.push(format!(
                        "4: what isn't ours is not deleted: {name} uid {} was, at {:?}",
                        secret.uid, moment.time
                    ));
                } else if was.data.get("theirs") != secret.data.get("theirs")
                    || !secret.labels.contains_key("theirs")
                {
                    found.push(format!(
                        "13: what isn't ours loses nothing: {name} uid {} did, at {:?}",
                        secret.uid, moment.time
                    ));
                }
            }
        }
    }

    /// 9: what says that it is of a synced secret is of one that is recorded.
    pub(super) fn nothing_is_orphaned(&self, found: &mut Vec<String>) {
        for (name, states) in &self.edge {
            let Some((moment, last)) = states.last() else { continue };
            let Some(uid) = last.ours.as_ref().filter(|_| !last.removed) else { continue };
            if !self.end.listed.iter().any(|secret| secret.uid == *uid) {
                found.push(format!(
                    "9: nothing comes back: the Secret {name} of synced secret {uid}, which is recorded nowhere, stands at the edge since {:?}",
                    moment.time
                ));
            }
        }
    }

    /// 9: once the Secret of a synced secret was removed, or its watchers were told that it is deleted, nobody writes it again: one worker has
    /// done with it before another one removes it.
    pub(super) fn nothing_is_written_after_its_end(&self, found: &mut Vec<String>) {
        if !self.end.is_direct || self.end.writes_come_late {
            return;
        }
        let mut ends: BTreeMap<&str, Moment> = BTreeMap::new();
        let told = self.end.watchers.iter().flat_map(|told| &told.changes);
        for (moment, _, secret) in told.filter(|(_, kind, _)| *kind == Type::Deleted) {
            ends.entry(&secret.uid).and_modify(|end| *end = (*end).min(*moment)).or_insert(*moment);
        }
        for states in self.edge.values() {
            let mut before: Option<&EdgeSecret> = None;
            for (moment, secret) in states {
                // Somebody's finalizer goes after somebody's deletion.
                let is_held = before.is_some_and(|before| !before.finalizers.is_empty());
                before = Some(secret);
                let Some(uid) = secret.ours.as_deref().filter(|_| !secret.by_others) else { continue };
                match ends.get(uid) {
                    Some(end) if end < moment && !secret.removed => found.push(format!(
                        "9: nothing comes back: the Secret {} of synced secret {uid} is written at {:?}, after its end at {:?}",
                        secret.name, moment.time, end.time
                    )),
                    None if secret.removed && !is_held => drop(ends.insert(uid, *moment)),
                    _ => {}
                }
            }
        }
    }

    /// 5, 12 and 14: after the faults have ended, everything is SYNCED with what the vault holds, or says what a person must do.
    pub(super) fn everything_settles(&self, found: &mut Vec<String>) {
        for secret in &self.end.listed {
            let id = secret.name.trim_start_matches("syncedSecrets/");
            let edge = self
                .edge
                .get(id)
                .and_then(|states| states.last())
                .map(|(_, state)| *state)
                .filter(|state| !state.removed);
            let reason = synced_reason(secret);
            let wrong = match (secret.state(), reason) {
                (State::Synced, _) => self.differs(secret, edge),
                (State::Deleting, "Used") => None,
                (State::Deleting, _) => Some("its deletion never ends".to_owned()),
                (State::Degraded | State::Failed, _) => self.no_longer_true(secret, reason, edge),
                (state, _) => Some(format!("it stays {state:?}")),
            };
            if let Some(wrong) = wrong {
                found.push(format!(
                    "5/14: everything settles: {wrong}: {id} is {:?} ({reason})",
                    secret.state()
                ));
            }
            let conditions: BTreeSet<_> =
                secret.conditions.iter().map(|condition| &condition.r#type).collect();
            if conditions.len() < secret.conditions.len() {
                found.push(format!("5: a condition stands twice: {id} {:?}", secret.conditions));
            }
        }
    }

    /// How the edge differs from what the vault holds, where it does.
    fn differs(&self, secret: &SyncedSecret, edge: Option<&EdgeSecret>) -> Option<String> {
        let Some(edge) = edge else { return Some("the edge has no such Secret".to_owned()) };
        if edge.ours.as_ref() != Some(&secret.uid) {
            return Some(format!("the Secret at the edge is of {:?}", edge.ours));
        }
        let keys: BTreeSet<&String> = secret.references.iter().map(|reference| &reference.key).collect();
        let held: BTreeSet<&String> = edge.data.keys().collect();
        if !keys.is_subset(&held) {
            return Some(format!("the edge lacks {:?}", &keys - &held));
        }
        if keys != held {
            return Some(format!("the edge has {:?}, which nobody asked for", &held - &keys));
        }
        for reference in &secret.references {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            let latest =
                self.latest.get(&name).and_then(|latest| latest.last()).and_then(|(_, held)| held.as_ref());
            let held = edge.data.get(&reference.key).map(|held| String::from_utf8_lossy(held).into_owned());
            match latest {
                Some((value, true)) if held.as_ref() == Some(value) => {}
                Some((value, true)) => {
                    return Some(format!(
                        "{} is {held:?} at the edge, {value:?} in the vault",
                        reference.key
                    ));
                }
                _ => return Some(format!("{} can't be read in the vault", reference.vault_secret)),
            }
        }
        None
    }

    /// Why what a failure says is not true, where it isn't.
    fn no_longer_true(
        &self,
        secret: &SyncedSecret,
        reason: &str,
        edge: Option<&EdgeSecret>,
    ) -> Option<String> {
        let latest = |reference: &secret_service::proto::SecretReference| {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            self.latest.get(&name).and_then(|latest| latest.last()).and_then(|(_, held)| held.clone())
        };
        let is_true = match reason {
            "VaultSecretNotFound" | "VaultSecretDeleted" => {
                secret.references.iter().any(|reference| latest(reference).is_none())
            }
            "VaultSecretDisabled" => secret
                .references
                .iter()
                .any(|reference| latest(reference).is_some_and(|(_, enabled)| !enabled)),
            "ValueNotStored" => !self.is_stored(secret),
            "EdgeConflict" => edge.is_some_and(|edge| edge.ours.as_ref() != Some(&secret.uid)),
            "ExtensionFailed" | "PartiallySynced" => secret
                .references
                .iter()
                .any(|reference| latest(reference).is_none_or(|(_, enabled)| !enabled)),
            _ => false,
        };
        (!is_true).then(|| {
            format!("that is not so any more; {:?}", secret.conditions.iter().map(|one| &one.message).next())
        })
    }

    /// Whether everything that a problem of a reference says was not stored is in the vault under this synced secret's tag.
    fn is_stored(&self, secret: &SyncedSecret) -> bool {
        let missing = secret.references.iter().filter(|reference| {
            reference.problem.as_ref().is_some_and(|problem| problem.reason == "ValueNotStored")
        });
        let mut stored = missing.map(|reference| {
            let name = reference.vault_secret.trim_start_matches("vaultSecrets/").to_ascii_lowercase();
            self.inner.vault.iter().any(|(_, change)| {
                matches!(change, VaultChange::Version(version) if version.name == name && version.enabled && version.tag.as_ref() == Some(&secret.uid))
            })
        });
        stored.next().is_some_and(|first| first && stored.all(|one| one))
    }
}
