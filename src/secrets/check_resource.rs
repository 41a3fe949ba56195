//! CheckResource: what the resources of a manifest need from secrets, and what is wrong with these secrets. It
//! reads what is in memory, and writes nothing.

mod problem;

use std::{cell::OnceCell, collections::HashMap, sync::Arc};

use tokio::{sync::OwnedSemaphorePermit, time::Instant};
use zeroize::Zeroizing;

use self::problem::{keys_unknown, problem_of};
use super::{Cause, Error, ListedUsage, Manifest, Secrets};
use crate::{
    edge::CachedSecret,
    model::{
        Condition, ConditionType, GroupKind, Needs, Origin, Reason, Reference, SecretKey, Status, Subject,
        SyncedSecret, SyncedSecretId, Usage,
    },
    store::Record,
};

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
    /// Reads a manifest in its turn. The next one is read once the permit is dropped.
    pub async fn read_manifest(
        &self,
        text: Zeroizing<String>,
    ) -> Result<(Manifest, OwnedSemaphorePermit), Error> {
        let turn = self.0.manifests.clone().acquire_owned().await.map_err(|_| Error::Internal)?;
        // The turn goes along: the reading goes on where the caller doesn't.
        let read = move || Manifest::read(&text).map(|manifest| (manifest, turn));
        let read = tokio::task::spawn_blocking(read).await.map_err(|_| Error::Internal)?;
        read.map_err(|rule| Error::invalid("manifest", rule))
    }

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
                if !self.0.reconciler.index().current(super::usages::until(deadline)).await {
                    return Err(Cause::SecretsUnknown.into());
                }
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
