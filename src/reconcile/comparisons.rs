//! How old the knowledge of the vault is: when each vault secret that somebody follows was last compared with what the edge
//! holds, and why not since.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use jiff::Timestamp;
use tokio::time::Instant;

use crate::model::{
    Condition, ConditionType, Origin, Reason, State, Status, SyncedSecret, VaultSecretName, now,
};

/// Rotation checks that may fail before the knowledge counts as old.
const MISSED: u32 = 3;
/// A check of a large vault takes a while: knowledge that is younger never counts as old.
const YOUNG: Duration = Duration::from_secs(10);

/// When what was compared.
pub(super) struct Comparisons {
    state: Mutex<Known>,
    /// Knowledge that is older counts as old.
    limit: Duration,
}

struct Known {
    /// What was not compared by this process is taken to be known since its start.
    start: Moment,
    compared: HashMap<VaultSecretName, Moment>,
    /// Why the latest check did not compare everything.
    trouble: Option<String>,
}

/// A time by both clocks: one to measure with, one to show.
#[derive(Clone, Copy)]
struct Moment {
    at: Instant,
    time: Timestamp,
}

impl Comparisons {
    /// Nothing compared yet, with a check every so often.
    pub(super) fn new(interval: Duration) -> Self {
        let known = Known { start: Moment::now(), compared: HashMap::new(), trouble: None };
        Self { state: Mutex::new(known), limit: (interval * MISSED).max(YOUNG) }
    }

    /// These have just been compared.
    pub(super) fn note<'a>(&self, names: impl IntoIterator<Item = &'a VaultSecretName>) {
        let now = Moment::now();
        self.lock().compared.extend(names.into_iter().map(|name| (name.clone(), now)));
    }

    /// Ends a check of all that is followed: forgets the rest, and remembers what stood in the way.
    pub(super) fn end_check(&self, is_followed: impl Fn(&VaultSecretName) -> bool, trouble: Option<String>) {
        let mut known = self.lock();
        known.compared.retain(|name, _| is_followed(name));
        known.trouble = trouble;
    }

    /// What a synced secret is to say of the age of its knowledge; nothing while there is nothing to say.
    pub(super) fn condition_of(&self, secret: &SyncedSecret) -> Option<Condition> {
        if secret.origin != Origin::Managed || secret.state != State::Synced {
            return None;
        }
        let known = self.lock();
        let followed = secret.references.iter().filter(|reference| reference.version.is_none());
        let oldest =
            followed.map(|reference| known.moment(&reference.vault_secret)).min_by_key(|moment| moment.at);
        let is_told = secret.condition(ConditionType::Compared).is_some();
        match oldest.filter(|oldest| oldest.at.elapsed() > self.limit) {
            Some(oldest) => Some(known.not_compared(oldest)),
            None if is_told => Some(compared("Its references were compared with the vault.")),
            None => None,
        }
    }

    /// What the vault's status says of the age of all knowledge of it.
    pub(super) fn condition(&self) -> Condition {
        let known = self.lock();
        match known.compared.values().copied().min_by_key(|moment| moment.at) {
            Some(oldest) if oldest.at.elapsed() > self.limit => known.not_compared(oldest),
            None if known.trouble.is_some() && known.start.at.elapsed() > self.limit => {
                known.not_compared(known.start)
            }
            Some(oldest) => compared(&format!(
                "Everything that follows the latest version has been compared with the vault since {}.",
                oldest.time
            )),
            None => Condition::new(
                ConditionType::Compared,
                Status::Unknown,
                Reason::NotChecked,
                "Nothing that follows the latest version has been compared with the vault since the start.",
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.state.lock().expect("no one panics while holding it")
    }
}

impl Known {
    fn moment(&self, name: &VaultSecretName) -> Moment {
        self.compared.get(name).copied().unwrap_or(self.start)
    }

    fn not_compared(&self, oldest: Moment) -> Condition {
        let why = self.trouble.as_deref().unwrap_or("the rotation check has not come to it");
        let message = format!(
            "Last compared with the vault at {}; the edge may hold older versions. {why}",
            oldest.time
        );
        Condition::new(ConditionType::Compared, Status::False, Reason::NotCompared, message)
    }
}

impl Moment {
    fn now() -> Self {
        Self { at: Instant::now(), time: now() }
    }
}

fn compared(message: &str) -> Condition {
    Condition::new(ConditionType::Compared, Status::True, Reason::Compared, message)
}
