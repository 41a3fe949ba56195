//! What a test orders from a double: rules that make chosen requests fail, and how often. The double says what a rule hits and what its
//! fault does.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// When a fault happens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// In place of the operation.
    #[default]
    Before,
    /// Once the operation has taken effect, in place of its answer.
    After,
}

/// A rule of a double: which requests meet a fault, which fault, and how many of them.
pub trait Counted: Clone {
    /// How many requests still meet it; all where absent.
    fn count(&self) -> Option<u32>;
    /// Takes one from the count, where there is one that is to go down.
    fn count_down(&mut self);
}

/// A rule that is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SetRule<R> {
    /// Counts up from 1.
    pub id: u64,
    /// The rule, with what is left of its count.
    #[serde(flatten)]
    pub rule: R,
}

/// The rules that are set. Where there is none, a request pays one atomic read for them.
pub struct FaultRules<R> {
    any: AtomicBool,
    rules: Mutex<Rules<R>>,
    /// Counts the changes, for who waits for one.
    changed: watch::Sender<u64>,
}

struct Rules<R> {
    last_id: u64,
    rules: Vec<SetRule<R>>,
}

// === impl FaultRules ===

impl<R> Default for FaultRules<R> {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            rules: Mutex::new(Rules { last_id: 0, rules: Vec::new() }),
            changed: watch::Sender::new(0),
        }
    }
}

impl<R: Counted> FaultRules<R> {
    /// Adds a rule after the others; answers its id.
    pub fn add(&self, rule: R) -> u64 {
        self.change(|rules| rules.add(rule))
    }

    /// Removes a rule; false where it isn't set, or used up.
    pub fn remove(&self, id: u64) -> bool {
        self.change(|rules| {
            let before = rules.rules.len();
            rules.rules.retain(|set| set.id != id);
            rules.rules.len() < before
        })
    }

    /// Replaces all rules.
    pub fn replace(&self, with: Vec<R>) {
        self.change(|rules| {
            rules.rules.clear();
            with.into_iter().for_each(|rule| _ = rules.add(rule));
        });
    }

    /// The rules that are set and not used up.
    pub fn list(&self) -> Vec<SetRule<R>> {
        self.lock().rules.clone()
    }

    /// Tells of every change by a test.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The first rule that hits, counted: a rule whose count is used up goes.
    pub fn take(&self, hits: impl Fn(&R) -> bool) -> Option<R> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut rules = self.lock();
        let place = rules.rules.iter().position(|set| set.rule.count() != Some(0) && hits(&set.rule))?;
        let met = rules.rules[place].rule.clone();
        rules.rules[place].rule.count_down();
        if rules.rules[place].rule.count() == Some(0) {
            rules.rules.remove(place);
            self.any.store(!rules.rules.is_empty(), Ordering::Release);
        }
        Some(met)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules<R>) -> T) -> T {
        let mut rules = self.lock();
        let changed = change(&mut rules);
        self.any.store(!rules.rules.is_empty(), Ordering::Release);
        self.changed.send_modify(|changes| *changes += 1);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Rules<R>> {
        self.rules.lock()
    }
}

// === impl Rules ===

impl<R> Rules<R> {
    fn add(&mut self, rule: R) -> u64 {
        self.last_id += 1;
        self.rules.push(SetRule { id: self.last_id, rule });
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, PartialEq)]
    struct Rule(&'static str, Option<u32>);

    impl Counted for Rule {
        fn count(&self) -> Option<u32> {
            self.1
        }

        fn count_down(&mut self) {
            self.1 = self.1.map(|left| left - 1);
        }
    }

    #[test]
    fn the_first_rule_that_hits_is_met_until_its_count_is_used_up() {
        let rules = FaultRules::default();
        let all = |_: &Rule| true;
        assert_eq!(rules.take(all), None);
        let first = rules.add(Rule("a", Some(2)));
        rules.add(Rule("b", None));
        assert_eq!(rules.take(|rule| rule.0 == "b"), Some(Rule("b", None)));
        assert_eq!([rules.take(all), rules.take(all)].map(|met| met.unwrap().0), ["a", "a"]);
        assert_eq!(rules.take(all).unwrap().0, "b", "a is used up");
        assert!(!rules.remove(first) && rules.list().len() == 1);
        rules.replace(vec![Rule("never", Some(0))]);
        assert_eq!(rules.take(all), None);
        assert!(rules.subscribe().borrow().gt(&3), "each change by a test is told");
    }
}
