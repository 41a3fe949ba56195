//! CheckResource: what the resources of a manifest need from secrets, and what is wrong with these secrets. It
//! reads what is in memory, and writes nothing.

use std::{cell::OnceCell, collections::HashMap, sync::Arc, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{Cause, Error, ListedUsage, Manifest, Secrets};
use crate::{
    edge::CachedSecret,
    model::{
        self, Condition, ConditionType, GroupKind, Needs, Origin, Reason, Reference, SecretKey, State,
        Status, Subject, SyncedSecret, SyncedSecretId, Usage,
    },
    reconcile::expiring,
    store::Record,
};

/// How long a call waits for the first list of the Secrets after a start.
const FIRST_LIST_WAIT: Duration = Duration::from_secs(5);
/// Usages in one answer.
const USAGES: usize = 5_000;

/// What the caller may know of the keys of Secrets.
pub trait KeysShown {
    /// Whether it sees the keys of this synced secret.
    fn shows_keys_of(&self, secret: &SyncedSecret) -> bool;
    /// Whether it may get a synced secret of this name, and so learns whether there is a Secret.
    fn may_get(&self, id: &SyncedSecretId) -> bool;
}

/// A resource of a manifest.
pub struct CheckedResource {
    /// `group/version`.
    pub api_version: String,
    /// Group and kind.
    pub group_kind: GroupKind,
    /// Its namespace, or the instance's if the manifest names none.
    pub namespace: String,
    /// Its name; empty if the manifest names none.
    pub name: String,
    /// No rule says which fields of the kind name secrets.
    pub kind_unknown: bool,
    /// The fields that name secrets.
    pub usages: Vec<CheckedUsage>,
    /// What is wrong with the resource itself.
    pub problems: Vec<Condition>,
}

/// A field that names a secret.
pub struct CheckedUsage {
    /// The usage.
    pub listed: ListedUsage,
    /// What is wrong with the secret.
    pub problem: Option<Condition>,
}

impl Secrets {
    /// Checks the secrets that the resources of a manifest name.
    pub async fn check_resource(
        &self,
        deadline: Option<Instant>,
        manifest: &Manifest,
        shown: &impl KeysShown,
    ) -> Result<Vec<CheckedResource>, Error> {
        let mut checked = Vec::with_capacity(manifest.resources().len());
        let (mut all, mut is_known) = (0, false);
        // Made only once it is needed: a manifest can name many secrets that are missing.
        let holders = OnceCell::new();
        for resource in manifest.resources() {
            let usages_of_edge = self.0.reconciler.usages();
            let namespace = resource.namespace.as_deref().unwrap_or(self.0.edge.namespace());
            let subject = Subject {
                api_version: &resource.api_version,
                group_kind: &resource.group_kind,
                namespace,
                name: &resource.name,
            };
            let found = usages_of_edge.rules().usages_of(subject, &resource.body);
            all += found.len();
            if all > USAGES {
                let rule = format!("must name secrets in at most {USAGES} fields; split it");
                return Err(Error::invalid("manifest", rule));
            }
            let is_elsewhere = namespace != self.0.edge.namespace();
            if !found.is_empty() && !is_elsewhere && !is_known {
                self.secrets_known(deadline).await?;
                is_known = true;
            }
            let mut problems = Vec::new();
            let usages = if is_elsewhere {
                if !found.is_empty() {
                    problems.push(self.elsewhere(namespace));
                }
                found.into_iter().map(|usage| self.usage_elsewhere(usage)).collect()
            } else {
                problems.extend(self.outputs_that_collide(subject, &resource.body));
                found
                    .into_iter()
                    .map(|usage| self.checked(usage, shown, &holders))
                    .collect::<Result<_, _>>()?
            };
            checked.push(CheckedResource {
                api_version: resource.api_version.clone(),
                group_kind: resource.group_kind.clone(),
                namespace: namespace.to_owned(),
                name: resource.name.clone(),
                kind_unknown: !usages_of_edge.rules().knows(&resource.group_kind),
                usages,
                problems,
            });
        }
        Ok(checked)
    }

    /// Waits until the Secrets of the edge were listed; an error while the watch of them fails, because what was
    /// seen before may be wrong by now.
    async fn secrets_known(&self, deadline: Option<Instant>) -> Result<(), Error> {
        let index = self.0.reconciler.index();
        let first = Instant::now() + FIRST_LIST_WAIT;
        let until = deadline.map_or(first, |deadline| first.min(deadline - super::sync::RESPONSE_MARGIN));
        let mut healthy = index.healthy();
        let seen = healthy.wait_for(|healthy| *healthy == Some(true) && index.is_complete());
        match timeout_at(until, seen).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Cause::SecretsUnknown.into()),
        }
    }

    fn elsewhere(&self, namespace: &str) -> Condition {
        let message = format!(
            "The resource is in the namespace {namespace:?}, but the instance is in {:?}. Its secrets were not \
             checked: set metadata.namespace to the instance's.",
            self.0.edge.namespace()
        );
        usable(Status::False, Reason::OtherNamespace, message)
    }

    fn usage_elsewhere(&self, usage: Usage) -> CheckedUsage {
        let problem = self.elsewhere(&usage.namespace);
        let (usage, invalid) = without_invalid_names(usage);
        let listed = ListedUsage { usage: Arc::new(usage), key_missing: false, secret_missing: false };
        CheckedUsage { listed, problem: Some(invalid.unwrap_or(problem)) }
    }

    /// Another program would write these synced secrets.
    fn outputs_that_collide(&self, subject: Subject<'_>, body: &serde_json::Value) -> Vec<Condition> {
        let outputs = self.0.reconciler.usages().rules().outputs_of(subject, body).into_iter();
        let collides = outputs.filter_map(|output| {
            let record = self.0.store.view().get(&output.secret.parse().ok()?)?;
            (record.secret.origin == Origin::Managed).then(|| {
                let message = format!(
                    "Another program writes the Secret that {} names, but {} is a synced secret. Choose another \
                     name.",
                    output.field,
                    record.secret.name()
                );
                usable(Status::False, Reason::WrittenByAnother, message)
            })
        });
        collides.collect()
    }

    fn checked(
        &self,
        usage: Usage,
        shown: &impl KeysShown,
        holders: &OnceCell<HashMap<String, String>>,
    ) -> Result<CheckedUsage, Error> {
        let (usage, invalid) = without_invalid_names(usage);
        if let Some(invalid) = invalid {
            let secret_missing = usage.secret.is_empty();
            let listed = ListedUsage { usage: Arc::new(usage), key_missing: !secret_missing, secret_missing };
            return Ok(CheckedUsage { listed, problem: Some(invalid) });
        }
        let Ok(id) = usage.secret.parse::<SyncedSecretId>() else { return Err(Error::Internal) };
        let record = self.0.store.view().get(&id);
        if record.is_none() && self.0.reconciler.is_rebuilding() {
            return Err(Cause::Rebuilding.into());
        }
        let mut listed = self.with_missing(Arc::new(usage));
        let problem = match &record {
            Some(record) => {
                let shows_keys = shown.shows_keys_of(&record.secret);
                listed.key_missing &= shows_keys;
                problem_of(record, &listed, shows_keys)
            }
            // Whether there is a Secret that is no synced secret, only who may get it learns.
            None if !shown.may_get(&id) => {
                listed.secret_missing = false;
                let message = format!(
                    "There is no synced secret {:?}. Whether the edge has a Secret of this name is told only to \
                     callers who may get it.",
                    id.as_str()
                );
                Some(usable(Status::Unknown, Reason::Unknown, message))
            }
            None => match self.0.reconciler.index().get(id.as_str()) {
                CachedSecret::Absent => {
                    listed.secret_missing = true;
                    Some(usable(
                        Status::False,
                        Reason::SecretMissing,
                        why_missing(&id, holders.get_or_init(|| self.holders())),
                    ))
                }
                _ => keys_unknown(&listed.usage),
            },
        };
        Ok(CheckedUsage { listed, problem })
    }

    /// Which synced secrets hold which vault secrets, by the lower-case names of these.
    fn holders(&self) -> HashMap<String, String> {
        let snapshot = self.0.store.view().snapshot();
        let managed = snapshot.records.iter().filter(|record| record.secret.origin == Origin::Managed);
        let of_record = |record: &Arc<Record>| {
            let holder = |held: &Reference| {
                let name = held.vault_secret.as_str().to_ascii_lowercase();
                (name, format!("{}/{}", record.secret.id, held.key))
            };
            record.secret.references.iter().map(holder).collect::<Vec<_>>()
        };
        let mut holders = HashMap::new();
        for (name, holder) in managed.flat_map(of_record) {
            holders.entry(name).or_insert(holder);
        }
        holders
    }
}

/// A frequent mistake is to name the vault secret.
fn why_missing(id: &SyncedSecretId, holders: &HashMap<String, String>) -> String {
    match holders.get(id.as_str()) {
        Some(holder) => format!(
            "The edge has no Secret {:?}. That is the name of a vault secret, which {holder} holds: name the synced \
             secret.",
            id.as_str()
        ),
        None => format!(
            "The edge has no Secret {:?}. Create the synced secret before you apply the resource.",
            id.as_str()
        ),
    }
}

/// What is wrong with a synced secret for a field, the worst first.
fn problem_of(record: &Record, listed: &ListedUsage, shows_keys: bool) -> Option<Condition> {
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
        let references = &self.secret.references;
        let is_referenced = |key: &str| references.iter().any(|held| held.key.as_str() == key);
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
        let is_held = |key: &str| {
            references.iter().any(|held| held.key.as_str() == key && held.status.synced_version.is_some())
        };
        if !self.needs.is_missing(is_held) {
            return None;
        }
        let absent = self.used().find(|reference| !is_held(reference.key.as_str()))?;
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
        let references = &self.secret.references;
        let has = |key: &str| references.iter().any(|held| held.key.as_str() == key);
        references.iter().filter(move |held| self.needs_all() || self.needs.uses(held.key.as_str(), has))
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
fn keys_unknown(usage: &Usage) -> Option<Condition> {
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

/// A text that can't be a name may be a value that stands in the wrong place, so it goes no further.
fn without_invalid_names(mut usage: Usage) -> (Usage, Option<Condition>) {
    if usage.secret.parse::<SyncedSecretId>().is_err() {
        usage.secret.clear();
        if let Needs::Key(key) = &mut usage.needs {
            key.clear();
        }
        let message = "The field holds no name of a Secret: lower-case letters, digits, '-' and '.'. It is not \
            repeated here, in case that it is a value.";
        return (usage, Some(usable(Status::False, Reason::NameInvalid, message)));
    }
    if let Needs::Key(key) = &mut usage.needs
        && key.parse::<SecretKey>().is_err()
    {
        let (reason, message) = match key.is_empty() {
            true => (
                Reason::KeyMissing,
                "The field names a Secret, but no key in it, such as edp1secrets/username.",
            ),
            false => (
                Reason::NameInvalid,
                "The field holds no name of a key: letters, digits, '-', '_' and '.'. It is not repeated here, in \
                 case that it is a value.",
            ),
        };
        key.clear();
        return (usage, Some(usable(Status::False, reason, message)));
    }
    (usage, None)
}

fn usable(status: Status, reason: Reason, message: impl Into<String>) -> Condition {
    Condition::new(ConditionType::Usable, status, reason, message)
}
