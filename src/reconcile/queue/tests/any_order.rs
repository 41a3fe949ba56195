//! The laws of the queue under any order of operations, against a model.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tokio::runtime::Runtime;

use super::*;

/// What is known of a key that is in the queue. One that isn't there has nothing to do.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Waiting(Lane),
    /// With the lane that wants it once more.
    Processing(Lane, Option<Lane>),
    Delayed(Lane),
}

#[derive(Clone, Debug)]
enum Operation {
    Add(u8, Lane),
    Get(Lane),
    Done(u8, Requeue),
    /// Longer than any delay.
    Wait,
}

#[derive(Clone, Debug, Default)]
struct Model {
    places: BTreeMap<u8, Place>,
    /// The order in which keys came to wait.
    order: Vec<u8>,
    /// Keys that have failed since they last had nothing left to do.
    failed: BTreeSet<u8>,
}

impl Model {
    fn wait(&mut self, key: u8, lane: Lane) {
        self.order.retain(|other| *other != key);
        self.order.push(key);
        self.places.insert(key, Place::Waiting(lane));
    }

    fn first(&self, lane: Lane) -> Option<u8> {
        self.order.iter().copied().find(|key| self.places.get(key) == Some(&Place::Waiting(lane)))
    }

    fn add(&mut self, key: u8, lane: Lane) {
        match self.places.get(&key).copied() {
            Some(Place::Waiting(held)) if lane <= held => {}
            Some(Place::Processing(held, dirty)) => {
                self.places.insert(key, Place::Processing(held, dirty.max(Some(lane))));
            }
            Some(Place::Delayed(_)) if lane == Lane::Background && self.failed.contains(&key) => {}
            Some(Place::Delayed(held)) => self.wait(key, held.max(lane)),
            None | Some(Place::Waiting(_)) => self.wait(key, lane),
        }
    }

    fn done(&mut self, key: u8, outcome: Requeue) {
        let Some(Place::Processing(held, dirty)) = self.places.remove(&key) else { return };
        let kept = if held == Lane::Deletion { held } else { Lane::Background };
        if matches!(outcome, Requeue::Backoff(_)) {
            self.failed.insert(key);
        }
        match (outcome, dirty) {
            (Requeue::Never, None) => drop(self.failed.remove(&key)),
            (Requeue::Never, Some(lane)) => self.wait(key, lane),
            (Requeue::Now, dirty) => self.wait(key, held.max(dirty.unwrap_or(Lane::Background))),
            (Requeue::After(_), None) | (Requeue::Backoff(_), None | Some(Lane::Background)) => {
                self.places.insert(key, Place::Delayed(kept));
            }
            (_, Some(lane)) => self.wait(key, kept.max(lane)),
        }
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Operation> {
        let lane = || prop::sample::select(LANES.to_vec());
        let outcome = prop::sample::select(vec![
            Requeue::Never,
            Requeue::Now,
            Requeue::After(Duration::from_secs(7)),
            Requeue::Backoff(None),
            Requeue::Backoff(Some(Duration::from_secs(70))),
        ]);
        prop_oneof![
            4 => (0..4_u8, lane()).prop_map(|(key, lane)| Operation::Add(key, lane)),
            4 => lane().prop_map(Operation::Get),
            4 => (0..4_u8, outcome).prop_map(|(key, outcome)| Operation::Done(key, outcome)),
            1 => Just(Operation::Wait),
        ]
        .boxed()
    }

    fn preconditions(model: &Self, operation: &Operation) -> bool {
        match operation {
            Operation::Done(key, _) => matches!(model.places.get(key), Some(Place::Processing(..))),
            _ => true,
        }
    }

    fn apply(mut model: Self, operation: &Operation) -> Self {
        match *operation {
            Operation::Add(key, lane) => model.add(key, lane),
            Operation::Get(lane) => {
                if let Some(key) = model.first(lane) {
                    model.places.insert(key, Place::Processing(lane, None));
                }
            }
            Operation::Done(key, outcome) => model.done(key, outcome),
            Operation::Wait => {
                for (key, place) in model.places.clone() {
                    if let Place::Delayed(lane) = place {
                        model.wait(key, lane);
                    }
                }
            }
        }
        model
    }
}

struct Subject {
    queue: Queue,
    runtime: Runtime,
    taken: Option<u8>,
}

fn uid(key: u8) -> Uuid {
    Uuid::from_u128(u128::from(key))
}

fn key(uid: Uuid) -> u8 {
    u8::try_from(uid.as_u128()).unwrap()
}

impl Subject {
    /// Ends all delays, in the order of the keys: the jitter of their pauses decides it otherwise.
    fn wait(&self) {
        let mut state = self.queue.lock();
        let mut delayed: Vec<Uuid> = state.entries.keys().copied().collect();
        delayed.sort();
        for uid in delayed {
            let Phase::Delayed(delay) = state.entries[&uid].phase else { continue };
            assert_eq!(state.delayed.remove(&delay).into_inner(), uid);
            state.line_up(uid);
        }
        assert!(state.delayed.is_empty(), "a delay without a key that is delayed");
    }

    fn places(&self) -> BTreeMap<u8, Place> {
        let state = self.queue.lock();
        let place = |entry: &Entry| match &entry.phase {
            Phase::Waiting(place) => {
                assert!(state.waiting[entry.lane as usize].contains_key(place));
                Place::Waiting(entry.lane)
            }
            Phase::Processing { dirty, .. } => Place::Processing(entry.lane, *dirty),
            Phase::Delayed(_) => Place::Delayed(entry.lane),
        };
        state.entries.iter().map(|(uid, entry)| (key(*uid), place(entry))).collect()
    }
}

struct Laws;

impl StateMachineTest for Laws {
    type SystemUnderTest = Subject;
    type Reference = Model;

    fn init_test(_: &Model) -> Subject {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        Subject { queue: Queue::default(), runtime, taken: None }
    }

    fn apply(mut subject: Subject, _: &Model, operation: Operation) -> Subject {
        let entered = subject.runtime.enter();
        match operation {
            Operation::Add(key, lane) => add(&subject.queue, uid(key), lane),
            Operation::Get(lane) => subject.taken = next(&subject.queue, lane).map(key),
            Operation::Done(key, outcome) => subject.queue.done(uid(key), outcome),
            Operation::Wait => subject.wait(),
        }
        drop(entered);
        subject
    }

    fn check_invariants(subject: &Subject, model: &Model) {
        let places = subject.places();
        assert_eq!(places, model.places);
        let state = subject.queue.lock();
        let waiting: usize = state.waiting.iter().map(BTreeMap::len).sum();
        let delayed = places.values().filter(|place| matches!(place, Place::Delayed(_))).count();
        let expected = places.values().filter(|place| matches!(place, Place::Waiting(_))).count();
        assert_eq!((waiting, state.delayed.len()), (expected, delayed), "one entry a key");
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_does_what_its_model_does_under_any_order(sequential 1..60 => Laws);
}
