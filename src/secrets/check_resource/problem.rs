//! What is wrong with a secret for the field of a resource that names it.

use super::usable;
use crate::{
    model::{
        self, Condition, ConditionType, Needs, Origin, Reason, Reference, State, Status, SyncedSecret, Usage,
    },
    reconcile::expiring,
    secrets::ListedUsage,
    store::Record,
};

/// What is wrong with a synced secret for a field, the worst first.
pub(super) fn problem_of(record: &Record, listed: &ListedUsage, shows_keys: bool) -> Option<Condition> {
    let (secret, usage) = (&record.secret, &listed.usage);
    if secret.state == State::Deleting {
        let message = format!("The synced secret {:?} is being deleted.", secret.id.as_str());
        return Some(usable(Status::False, Reason::BeingDeleted, message));
    }
    if listed.secret_missing {
        let why = secret.condition(ConditionType::Synced).filter(|synced| synced.status != Status::True);
        let why = why.filter(|_| shows_keys).map(|synced| format!(" {}", synced.message)).unwrap_or_default();
        let message = format!("The edge does not have the Secret {:?} yet.{why}", secret.id.as_str());
        return Some(usable(Status::False, Reason::SecretMissing, message));
    }
    if !shows_keys {
        return keys_unknown(usage);
    }
    let synced = secret.condition(ConditionType::Synced);
    if let Some(conflict) = synced.filter(|synced| synced.reason == Reason::EdgeConflict) {
        return Some(usable(Status::Unknown, Reason::KeysUnknown, conflict.message.clone()));
    }
    let keys = Keys { secret, needs: &usage.needs };
    keys.missing().or_else(|| keys.expired()).or_else(|| keys.behind()).or_else(|| keys.expires_soon())
}

/// The keys of a synced secret, as a field needs them.
struct Keys<'a> {
    secret: &'a SyncedSecret,
    needs: &'a Needs,
}

impl Keys<'_> {
    fn missing(&self) -> Option<Condition> {
        let is_referenced = |key: &str| self.secret.has_data_key(key);
        if self.needs.is_missing(is_referenced) {
            let message = format!(
                "The synced secret {:?} does not have {}.",
                self.secret.id.as_str(),
                wanted(self.needs, is_referenced)
            );
            return Some(usable(Status::False, Reason::KeyMissing, message));
        }
        // The versions of what another tool made are not known.
        if self.secret.origin == Origin::Unmanaged {
            return None;
        }
        let contents = self.secret.contents();
        let is_held = |key: &str| {
            let mut of_key = self.secret.references.iter();
            let is_behind = |held: &Reference| held.status.synced_version.is_none();
            self.secret.has_data_key(key)
                && !of_key.any(|held| contents.data_key(&held.key).as_str() == key && is_behind(held))
        };
        if !self.needs.is_missing(is_held) {
            return None;
        }
        let absent = self.used().find(|reference| reference.status.synced_version.is_none())?;
        let why = absent.status.problem.as_ref().map(|problem| format!(" {}", problem.message));
        let message = format!(
            "The edge does not hold the value of {} for the key {:?} yet.{}",
            absent.vault_secret,
            absent.key.as_str(),
            why.unwrap_or_default()
        );
        Some(usable(Status::False, Reason::NotSynced, message))
    }

    /// The references that the field uses.
    fn used(&self) -> impl Iterator<Item = &Reference> {
        let contents = self.secret.contents();
        let has = |key: &str| self.secret.has_data_key(key);
        let is_used = move |held: &&Reference| self.needs.uses(contents.data_key(&held.key).as_str(), has);
        self.secret.references.iter().filter(move |held| self.needs_all() || is_used(held))
    }

    /// A folder of any keys uses all that there are.
    fn needs_all(&self) -> bool {
        matches!(self.needs, Needs::Whole(sets) if sets.is_empty())
    }

    fn expires(&self, reason: Reason, status: Status) -> Option<Condition> {
        let used: Vec<Reference> = self.used().cloned().collect();
        let expiring = expiring(&used, model::now());
        (expiring.reason == reason).then(|| usable(status, reason, expiring.message))
    }

    fn expired(&self) -> Option<Condition> {
        self.expires(Reason::Expired, Status::False)
    }

    fn expires_soon(&self) -> Option<Condition> {
        self.expires(Reason::ExpiresSoon, Status::True)
    }

    /// The edge has a value, but not the one that the references say.
    fn behind(&self) -> Option<Condition> {
        let of_reference = self.used().find_map(|reference| reference.status.problem.as_ref());
        let synced = self.secret.condition(ConditionType::Synced);
        let of_secret = synced.filter(|synced| {
            // Another reference's failure is none of this field's.
            synced.status != Status::True
                && self.secret.references.iter().all(|held| held.status.problem.is_none())
        });
        let problem = of_reference.or(of_secret)?;
        let status = match problem.reason {
            // What the edge has now is somebody else's.
            Reason::EdgeContested => Status::Unknown,
            _ if self.secret.origin == Origin::Managed && self.secret.synced_generation == 0 => Status::False,
            _ => Status::True,
        };
        Some(usable(status, Reason::NotSynced, problem.message.clone()))
    }
}

/// A Secret that is there, but whose keys can't be told.
pub(super) fn keys_unknown(usage: &Usage) -> Option<Condition> {
    if matches!(&usage.needs, Needs::Whole(sets) if sets.is_empty()) {
        return None;
    }
    let message = format!(
        "The edge has a Secret {:?} that another tool made. Its keys are not known here: check that it has {}.",
        usage.secret,
        wanted(&usage.needs, |_| false)
    );
    Some(usable(Status::Unknown, Reason::KeysUnknown, message))
}

/// The keys that are needed and not there, in words.
fn wanted(needs: &Needs, has: impl Fn(&str) -> bool) -> String {
    let sets = match needs {
        Needs::Key(key) => return format!("the key {key:?}"),
        Needs::Whole(sets) => sets,
    };
    let of_set = |set: &model::KeySet| {
        let keys = set.required.iter().filter(|key| !has(key)).map(|key| format!("{key:?}"));
        keys.collect::<Vec<_>>().join(" and ")
    };
    let sets = sets.iter().map(of_set).collect::<Vec<_>>().join(", or ");
    format!("the keys that the field needs: {sets}")
}
