//! The rules that are set.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use tokio::sync::watch;

use super::{FaultRule, RequestMatch};

/// A rule that is set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(bound = "")]
pub struct SetRule<M: RequestMatch> {
    /// Counts up from 1.
    pub id: u64,
    /// The rule, with what is left of its `times`.
    #[serde(flatten)]
    pub rule: FaultRule<M>,
}

/// The rules that are set. Without any, they cost a request one atomic read.
pub struct FaultRules<M: RequestMatch> {
    any: AtomicBool,
    rules: Mutex<Rules<M>>,
    /// Counts the changes, for those who wait for one.
    changed: watch::Sender<u64>,
}

struct Rules<M: RequestMatch> {
    last_id: u64,
    rules: Vec<SetRule<M>>,
}

// === impl FaultRules ===

impl<M: RequestMatch> Default for FaultRules<M> {
    fn default() -> Self {
        Self {
            any: AtomicBool::new(false),
            rules: Mutex::new(Rules { last_id: 0, rules: Vec::new() }),
            changed: watch::Sender::new(0),
        }
    }
}

impl<M: RequestMatch> FaultRules<M> {
    /// Adds a rule after the others; answers its id.
    pub fn add(&self, rule: FaultRule<M>) -> u64 {
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
    pub fn replace(&self, with: Vec<FaultRule<M>>) {
        self.change(|rules| {
            rules.rules.clear();
            with.into_iter().for_each(|rule| _ = rules.add(rule));
        });
    }

    /// The rules that are set and not used up.
    pub fn list(&self) -> Vec<SetRule<M>> {
        self.lock().rules.clone()
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.replace(Vec::new());
    }

    /// Reports each change that a test makes to the rules.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The first rule that matches a request and is wanted. This counts: a rule that is used up is removed.
    pub fn take(
        &self,
        request: &M::Request<'_>,
        wanted: impl Fn(&FaultRule<M>) -> bool,
    ) -> Option<FaultRule<M>> {
        if !self.any.load(Ordering::Acquire) {
            return None;
        }
        let mut rules = self.lock();
        let index = rules.rules.iter().position(|set| wanted(&set.rule) && set.rule.matches(request))?;
        let taken = rules.rules[index].rule.clone();
        rules.rules[index].rule.count_down();
        if rules.rules[index].rule.times == Some(0) {
            rules.rules.remove(index);
            self.any.store(!rules.rules.is_empty(), Ordering::Release);
        }
        Some(taken)
    }

    fn change<T>(&self, change: impl FnOnce(&mut Rules<M>) -> T) -> T {
        let mut rules = self.lock();
        let changed = change(&mut rules);
        self.any.store(!rules.rules.is_empty(), Ordering::Release);
        self.changed.send_modify(|changes| *changes += 1);
        changed
    }

    fn lock(&self) -> MutexGuard<'_, Rules<M>> {
        self.rules.lock()
    }
}

// === impl Rules ===

impl<M: RequestMatch> Rules<M> {
    fn add(&mut self, rule: FaultRule<M>) -> u64 {
        self.last_id += 1;
        self.rules.push(SetRule { id: self.last_id, rule });
        self.last_id
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::faults::{AnyFault, Fault, Phase};

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct NameMatch {
        #[serde(default)]
        name: Option<String>,
    }

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind", rename_all = "camelCase")]
    enum Own {
        Lasting,
    }

    impl RequestMatch for NameMatch {
        type Request<'a> = &'a str;
        type Fault = Own;

        fn matches(&self, request: &&str) -> bool {
            self.name.as_deref().is_none_or(|name| name == *request)
        }

        fn set_name(&mut self, name: String) {
            self.name = Some(name);
        }

        fn ignores_times(_: &Own) -> bool {
            true
        }
    }

    type Rule = FaultRule<NameMatch>;

    fn take(rules: &FaultRules<NameMatch>, name: &str) -> Option<AnyFault<Own>> {
        rules.take(&name, |_| true).map(|rule| rule.fault)
    }

    #[test]
    fn the_first_rule_that_matches_applies_until_its_times_are_used_up() {
        let rules = FaultRules::default();
        assert_eq!(take(&rules, "a"), None);
        let first = rules.add(Rule::new(Fault::Hang).named("a").times(2));
        rules.add(Rule::new(Fault::Reset));
        assert_eq!(take(&rules, "b").unwrap(), Fault::Reset);
        for _ in 0..2 {
            assert_eq!(take(&rules, "a").unwrap(), Fault::Hang);
        }
        assert_eq!(take(&rules, "a").unwrap(), Fault::Reset, "the first is used up");
        assert!(!rules.remove(first) && rules.list().len() == 1);
        rules.replace(vec![Rule::new(Fault::Hang).times(0)]);
        assert_eq!(take(&rules, "a"), None);
        assert!(rules.subscribe().borrow().gt(&3), "each change by a test is reported");
    }

    #[test]
    fn a_fault_of_the_doubles_own_can_last_until_its_rule_is_removed() {
        let rules = FaultRules::default();
        rules.add(Rule { fault: AnyFault::Own(Own::Lasting), ..Rule::new(Fault::Hang) }.times(1));
        for _ in 0..2 {
            assert_eq!(take(&rules, "a"), Some(AnyFault::Own(Own::Lasting)));
        }
    }

    #[test]
    fn rules_have_the_json_that_the_module_documents() {
        let status = json!({
            "match": { "name": "db-password" }, "times": 1, "phase": "after",
            "fault": {
                "kind": "status", "status": 503, "reason": "ServiceUnavailable", "retryAfterSeconds": 2,
            },
        });
        let rule: Rule = serde_json::from_value(status.clone()).unwrap();
        let fault = Fault::retry_after(503, "ServiceUnavailable", std::time::Duration::from_secs(2));
        assert_eq!(rule, Rule::new(fault).named("db-password").times(1).after());
        assert_eq!(serde_json::to_value(&rule).unwrap(), status);

        let latency: Rule =
            serde_json::from_value(json!({ "fault": { "kind": "latency", "milliseconds": 20 } })).unwrap();
        assert_eq!(latency, Rule::new(Fault::latency(std::time::Duration::from_millis(20))));
        assert_eq!((latency.times, latency.phase), (None, Phase::Before));
        let own: Rule = serde_json::from_value(json!({ "fault": { "kind": "lasting" } })).unwrap();
        assert_eq!(own.fault, AnyFault::Own(Own::Lasting));
    }

    #[test]
    fn an_unknown_fault_is_refused_with_the_list_of_known_ones() {
        let refused =
            |fault| serde_json::from_value::<Rule>(json!({ "fault": fault })).unwrap_err().to_string();
        let unknown = refused(json!({ "kind": "no such" }));
        assert!(unknown.contains("`latency`") && unknown.contains("`lasting`"), "{unknown}");
        let misspelled = refused(json!({ "kind": "latency", "millis": 20 }));
        assert!(misspelled.contains("unknown field `millis`, expected `milliseconds`"), "{misspelled}");
    }
}
