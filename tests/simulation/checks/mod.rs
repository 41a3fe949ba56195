//! What must hold of a run: the invariants of the design, by their numbers, held against the ledger.

mod answers;
mod calls;
mod edge;
mod intent;
mod requests;
mod watches;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use secret_service::proto::{SyncedSecret, synced_secret::State, watch_synced_secrets_response::Type};
use tonic::Code;

use crate::{
    model::{Answer, Attempt, Call, EdgeSecret, Inner, Moment, Outcome, VaultChange, What, synced_reason},
    watchers::Told,
};
use calls::*;

/// What the values of others begin with.
pub const FOREIGN: &str = "foreign-";

/// An answer that comes so long before its time is over has not come because of the time.
const MARGIN: Duration = Duration::from_millis(1_500);

/// How old values may be that a change is carried out with.
const FRESH: Duration = Duration::from_secs(30);

/// Everything that is there at the end, when nothing was left to do for long.
pub struct End {
    pub listed: Vec<SyncedSecret>,
    /// One from the start, one that came late.
    pub watchers: Vec<Told>,
    /// Requests to the vault and to the cluster within the last quiet time.
    pub requests: (u64, u64),
    /// How many intervals of the rotation check that time had.
    pub intervals: u64,
    /// Whether the service itself writes the Secrets.
    pub is_direct: bool,
    /// Whether a write may arrive after its client has given it up.
    pub writes_come_late: bool,
}

/// A value that is in force from a moment on.
type Timeline<T> = Vec<(Moment, T)>;

/// The history, arranged to be asked.
struct History<'a> {
    inner: &'a Inner,
    end: &'a End,
    /// The latest version of each vault secret: value and whether it may be read; absent while deleted.
    latest: BTreeMap<String, Timeline<Option<(String, bool)>>>,
    /// The values of all versions, by name and id.
    versions: BTreeMap<(String, String), String>,
    edge: BTreeMap<String, Timeline<&'a EdgeSecret>>,
}

/// All that does not hold.
pub fn check(inner: &Inner, end: &End) -> Vec<String> {
    let history = History::new(inner, end);
    let mut found = Vec::new();
    found.extend(
        inner
            .trace
            .iter()
            .filter(|(_, text)| text.starts_with("PANIC"))
            .map(|(at, text)| format!("nothing dies: {} at {:?}", text, at.time)),
    );
    history.intent_is_kept(&mut found);
    history.refusals_have_no_effect(&mut found);
    history.refusals_revert_nothing(&mut found);
    history.one_request_is_one_call(&mut found);
    history.vault_secrets_are_created_once(&mut found);
    history.keys_come_from_one_set(&mut found);
    history.foreign_secrets_lose_nothing(&mut found);
    history.nothing_is_orphaned(&mut found);
    history.nothing_is_written_after_its_end(&mut found);
    found.extend(inner.wrong.iter().cloned());
    history.everything_settles(&mut found);
    history.synced_means_observed(&mut found);
    history.waiting_calls_learn_the_outcome(&mut found);
    history.a_value_being_stored_is_not_missing(&mut found);
    history.watchers_saw_everything(&mut found);
    history.quiet_is_quiet(&mut found);
    found
}

impl<'a> History<'a> {
    fn new(inner: &'a Inner, end: &'a End) -> Self {
        let mut edge: BTreeMap<String, Timeline<&EdgeSecret>> = BTreeMap::new();
        for (moment, secret) in &inner.edge {
            edge.entry(secret.name.clone()).or_default().push((*moment, secret));
        }
        let (latest, versions) = vault(inner);
        Self { inner, end, latest, versions, edge }
    }

    fn calls(&self, id: &str) -> impl Iterator<Item = &'a Call> {
        self.inner
            .calls
            .iter()
            .filter(move |call| call.synced_secret() == Some(id) && !call.attempts.is_empty())
    }

    fn ids(&self) -> BTreeSet<&'a str> {
        self.inner.calls.iter().filter_map(Call::synced_secret).collect()
    }

    fn listed(&self, id: &str) -> Option<&'a SyncedSecret> {
        self.end.listed.iter().find(|secret| secret.name == format!("syncedSecrets/{id}"))
    }
}

/// The latest version of each vault secret over time, and the values of all.
#[expect(clippy::type_complexity, reason = "two maps")]
fn vault(
    inner: &Inner,
) -> (BTreeMap<String, Timeline<Option<(String, bool)>>>, BTreeMap<(String, String), String>) {
    let mut held: BTreeMap<String, BTreeMap<u64, (String, bool)>> = BTreeMap::new();
    let (mut latest, mut values): (BTreeMap<String, Timeline<_>>, _) = (BTreeMap::new(), BTreeMap::new());
    for (moment, change) in &inner.vault {
        let (name, is_there) = match change {
            VaultChange::Version(version) => {
                values.insert((version.name.clone(), version.id.clone()), version.value.clone());
                let versions = held.entry(version.name.clone()).or_default();
                versions.insert(version.sequence, (version.value.clone(), version.enabled));
                (version.name.clone(), true)
            }
            VaultChange::Recovered(name) => (name.clone(), true),
            VaultChange::Deleted(name) | VaultChange::Purged(name) => (name.clone(), false),
        };
        let now = held.get(&name).and_then(|versions| versions.values().last()).filter(|_| is_there).cloned();
        latest.entry(name).or_default().push((*moment, now));
    }
    (latest, values)
}

/// What was in force at some time between two moments.
fn within<T: Clone>(timeline: &Timeline<T>, begin: Moment, end: Moment) -> Vec<T> {
    let first = timeline
        .partition_point(|(moment, _)| (moment.time, moment.place) <= (begin.time, begin.place))
        .saturating_sub(1);
    timeline[first..]
        .iter()
        .take_while(|(moment, _)| *moment <= end)
        .map(|(_, value)| value.clone())
        .collect()
}
