//! The in-memory view of the committed synced secrets, which Get, List and Watch read.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

use parking_lot::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use super::{
    Record,
    feed::{FeedChange, FeedPlace},
};
use crate::model::{ChangeKind, Filter, SyncedSecret, SyncedSecretId, VaultSecretName};

/// Changes kept in memory, so that watchers that keep up never read the disk.
const RECENT_CHANGES: usize = 4_096;

/// All synced secrets and the latest changes.
pub struct View(RwLock<State>);

#[derive(Default)]
struct State {
    by_id: BTreeMap<SyncedSecretId, Arc<Record>>,
    ids: HashMap<Uuid, SyncedSecretId>,
    recent: VecDeque<FeedChange>,
    place: FeedPlace,
}

/// A consistent copy of the view.
pub struct Snapshot {
    /// In the order of their ids.
    pub records: Vec<Arc<Record>>,
    /// The place in the feed that it shows.
    pub place: FeedPlace,
}

/// An effect of a transaction on the view.
pub(super) enum Effect {
    Put {
        record: Box<Record>,
        place: FeedPlace,
    },
    /// Like `Put`, for changes that callers can't see: not in the feed.
    Note {
        record: Box<Record>,
    },
    Remove {
        uid: Uuid,
        place: FeedPlace,
    },
}

impl View {
    pub(super) fn new(records: Vec<Record>, place: FeedPlace) -> Self {
        let mut state = State { place, ..State::default() };
        for record in records {
            state.ids.insert(record.secret.uid, record.secret.id.clone());
            state.by_id.insert(record.secret.id.clone(), Arc::new(record));
        }
        Self(RwLock::new(state))
    }

    /// The synced secret with an id.
    pub fn get(&self, id: &SyncedSecretId) -> Option<Arc<Record>> {
        self.read().by_id.get(id).cloned()
    }

    /// The synced secret with a uid.
    pub fn get_by_uid(&self, uid: Uuid) -> Option<Arc<Record>> {
        let state = self.read();
        state.by_id.get(state.ids.get(&uid)?).cloned()
    }

    /// The next `limit` matching synced secrets after an id, and the number of all matches.
    pub fn page(
        &self,
        after: Option<&SyncedSecretId>,
        limit: usize,
        filter: &Filter,
    ) -> (Vec<Arc<Record>>, usize) {
        let state = self.read();
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let wanted = |record: &&Arc<Record>| filter.matches(&record.secret);
        let page = state
            .by_id
            .range::<SyncedSecretId, _>((from, Bound::Unbounded))
            .map(|(_, record)| record)
            .filter(wanted)
            .take(limit)
            .cloned()
            .collect();
        let total = match *filter == Filter::default() {
            true => state.by_id.len(),
            false => state.by_id.values().filter(wanted).count(),
        };
        (page, total)
    }

    /// All records, and the place in the feed that they reflect.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.read();
        Snapshot { records: state.by_id.values().cloned().collect(), place: state.place }
    }

    /// The synced secrets that reference each vault secret.
    pub fn by_vault_secret(&self) -> HashMap<VaultSecretName, Vec<SyncedSecretId>> {
        let mut users: HashMap<VaultSecretName, Vec<SyncedSecretId>> = HashMap::new();
        for (id, record) in &self.read().by_id {
            for reference in &record.secret.references {
                let ids = users.entry(reference.vault_secret.clone()).or_default();
                if ids.last() != Some(id) {
                    ids.push(id.clone());
                }
            }
        }
        users
    }

    /// The synced secrets that reference a vault secret.
    pub fn users_of(&self, name: &VaultSecretName) -> Vec<Arc<Record>> {
        let holds =
            |record: &&Arc<Record>| record.secret.references.iter().any(|held| held.vault_secret == *name);
        self.read().by_id.values().filter(holds).cloned().collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.read().by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The latest sequence of the feed.
    pub fn sequence(&self) -> i64 {
        self.read().place.sequence
    }

    /// The latest place in the feed.
    pub fn place(&self) -> FeedPlace {
        self.read().place
    }

    /// The place of a sequence that is still in memory.
    pub(super) fn recent_place(&self, sequence: i64) -> Option<FeedPlace> {
        let state = self.read();
        let places = std::iter::once(state.place).chain(state.recent.iter().rev().map(|change| change.place));
        places.take_while(|place| place.sequence >= sequence).find(|place| place.sequence == sequence)
    }

    /// The changes after a sequence, oldest first; `None` if they are no longer in memory.
    pub(super) fn recent_changes(&self, after: i64) -> Option<Vec<FeedChange>> {
        let state = self.read();
        if after >= state.place.sequence {
            return Some(Vec::new());
        }
        let complete = state.recent.front().is_some_and(|oldest| oldest.place.sequence <= after + 1);
        complete.then(|| {
            let start = state.recent.partition_point(|change| change.place.sequence <= after);
            state.recent.range(start..).cloned().collect()
        })
    }

    /// Applies committed effects; returns the new sequence of the feed if it grew.
    pub(super) fn apply(&self, effects: Vec<Effect>) -> Option<i64> {
        let mut state = self.0.write();
        let before = state.place.sequence;
        for effect in effects {
            match effect {
                Effect::Put { record, place } => {
                    let after = Arc::new(record.secret.clone());
                    let before = state.put(*record);
                    state.remember(FeedChange { place, before, after, kind: ChangeKind::Put });
                }
                Effect::Note { record } => {
                    state.put(*record);
                }
                Effect::Remove { uid, place } => {
                    let Some(record) = state.ids.remove(&uid).and_then(|id| state.by_id.remove(&id)) else {
                        continue;
                    };
                    let last = Arc::new(record.secret.clone());
                    let (before, after) = (Some(last.clone()), last);
                    state.remember(FeedChange { place, before, after, kind: ChangeKind::Deleted });
                }
            }
        }
        (state.place.sequence > before).then_some(state.place.sequence)
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read()
    }
}

impl State {
    fn put(&mut self, record: Record) -> Option<Arc<SyncedSecret>> {
        let id = record.secret.id.clone();
        self.ids.insert(record.secret.uid, id.clone());
        self.by_id.insert(id, Arc::new(record)).map(|before| Arc::new(before.secret.clone()))
    }

    fn remember(&mut self, change: FeedChange) {
        self.place = change.place;
        if self.recent.len() == RECENT_CHANGES {
            self.recent.pop_front();
        }
        self.recent.push_back(change);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SyncEngine;

    fn record(id: &str, vault_secrets: &[&str]) -> Record {
        let mut record = Record::new(SyncedSecret::example(id), SyncEngine::Direct);
        let reference = record.secret.references.remove(0);
        let of = |name: &&str| {
            let mut reference = reference.clone();
            reference.vault_secret = name.parse().unwrap();
            reference
        };
        record.secret.references = vault_secrets.iter().map(of).collect();
        record
    }

    fn place(sequence: i64) -> FeedPlace {
        FeedPlace { sequence, history: [u8::try_from(sequence % 256).unwrap(); 16] }
    }

    fn put(view: &View, record: &Record, sequence: i64) -> Option<i64> {
        view.apply(vec![Effect::Put { record: Box::new(record.clone()), place: place(sequence) }])
    }

    fn sequences(view: &View, after: i64) -> Option<Vec<i64>> {
        let changes = view.recent_changes(after)?;
        Some(changes.iter().map(|change| change.place.sequence).collect())
    }

    #[test]
    fn each_holder_of_a_vault_secret_is_counted_once() {
        let view = View::new(vec![record("a", &["x", "x", "y"]), record("b", &["y"])], place(2));
        let ids = |name: &str| {
            let users = view.users_of(&name.parse().unwrap());
            users.iter().map(|record| record.secret.id.to_string()).collect::<Vec<_>>()
        };
        assert_eq!((ids("x"), ids("y"), ids("z")), (vec!["a".into()], vec!["a".into(), "b".into()], vec![]));
        let all = view.by_vault_secret();
        for name in ["x", "y"] {
            let held: Vec<_> = all[&name.parse().unwrap()].iter().map(ToString::to_string).collect();
            assert_eq!(held, ids(name));
        }
        assert_eq!(all.len(), 2);
        assert!(!view.is_empty() && View::new(Vec::new(), place(0)).is_empty());
    }

    #[test]
    fn a_current_watcher_is_served_from_memory_and_an_older_one_is_not() {
        // Two changes came before this process.
        let view = View::new(vec![record("a", &["x"])], place(2));
        assert_eq!(sequences(&view, 2), Some(vec![]));
        assert_eq!(sequences(&view, 1), None);
        for sequence in 3..=5 {
            assert_eq!(put(&view, &record("a", &["x"]), sequence), Some(sequence));
        }
        assert_eq!(sequences(&view, 2), Some(vec![3, 4, 5]));
        assert_eq!(sequences(&view, 4), Some(vec![5]));
        assert_eq!(sequences(&view, 5), Some(vec![]));
        assert_eq!(sequences(&view, 1), None, "the change after it is on the disk alone");
        for sequence in 3..=5 {
            assert_eq!(view.recent_place(sequence), Some(place(sequence)));
        }
        assert_eq!((view.recent_place(2), view.recent_place(6)), (None, None));
    }

    #[test]
    fn the_memory_of_changes_is_bounded() {
        let view = View::new(Vec::new(), place(0));
        let kept = i64::try_from(RECENT_CHANGES).unwrap();
        for sequence in 1..=kept + 2 {
            put(&view, &record("a", &["x"]), sequence);
        }
        assert_eq!(view.read().recent.len(), RECENT_CHANGES);
        assert_eq!(sequences(&view, 1), None);
        assert_eq!(sequences(&view, 2).map(|kept| (kept[0], kept.len())), Some((3, RECENT_CHANGES)));
    }

    #[test]
    fn only_a_change_that_callers_can_see_moves_the_feed() {
        let view = View::new(Vec::new(), place(0));
        let record = record("a", &["x"]);
        assert_eq!(put(&view, &record, 1), Some(1));
        assert_eq!(view.apply(vec![Effect::Note { record: Box::new(record.clone()) }]), None);
        let remove = |uid| view.apply(vec![Effect::Remove { uid, place: place(2) }]);
        assert_eq!(remove(Uuid::nil()), None, "nothing of it is here");
        assert_eq!(remove(record.secret.uid), Some(2));
        assert!(view.is_empty() && view.get_by_uid(record.secret.uid).is_none());
    }
}
