//! Faults to order: what the server does wrong, to whom and how often.

use std::time::Duration;

use doubles_common::faults::{Counted, FaultRules, Phase};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// One fault and what it hits. Absent conditions hit everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultRule {
    /// The verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The resource in the plural; or a path of discovery, for example `/apis/secret-sync.x-k8s.io/v1alpha1`, which only a rule that
    /// names it hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How many times it still strikes; without end where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
    /// When it strikes.
    #[serde(default)]
    pub phase: Phase,
    /// What happens.
    pub fault: Fault,
}

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Fault {
    /// Answers with a `Status`.
    Status {
        /// The HTTP status.
        code: u16,
        /// Its `reason`, e.g. `ServiceUnavailable`.
        #[serde(default)]
        reason: String,
        /// Seconds in `Retry-After`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<u32>,
    },
    /// Answers late.
    Delay {
        /// By how much, in milliseconds.
        millis: u64,
    },
    /// Never answers.
    Hang,
    /// Breaks the stream or the connection without an answer.
    Reset,
    /// Ends open watches with an ERROR event 410, and forgets the history before.
    WatchExpired,
    /// Leaves watches open without a word for as long as the rule stands, whatever its count.
    WatchSilent,
    /// The same, and they don't end in time either: as a connection that was cut without a word, or a server that ignores `timeoutSeconds`.
    WatchDead,
    /// Ends open watches.
    WatchDrop,
    /// Answers as if the namespace weren't there.
    NamespaceGone,
}

/// What a request is, for the rules to match.
#[derive(Clone, Copy)]
pub(super) struct Aim<'a> {
    pub verb: &'a str,
    pub resource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// The faults that are ordered now.
#[derive(Default)]
pub struct Faults {
    rules: FaultRules<FaultRule>,
}

// === impl Faults ===

impl Faults {
    /// Adds a rule after the others; answers its id.
    pub fn add(&self, rule: FaultRule) -> u64 {
        self.rules.add(rule)
    }

    /// Removes a rule; false where it isn't set, or used up.
    pub fn remove(&self, id: u64) -> bool {
        self.rules.remove(id)
    }

    /// Replaces all rules.
    pub fn replace(&self, rules: Vec<FaultRule>) {
        self.rules.replace(rules);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules.replace(Vec::new());
    }

    /// The rules that still strike, with what is left of their counts.
    pub fn rules(&self) -> Vec<FaultRule> {
        self.rules.list().into_iter().map(|set| set.rule).collect()
    }

    /// Wakes the watches.
    pub(super) fn subscribe(&self) -> watch::Receiver<u64> {
        self.rules.subscribe()
    }

    /// The first fault that strikes a request in a phase; takes one from its count.
    pub(super) fn strike(&self, aim: &Aim<'_>, phase: Phase) -> Option<Fault> {
        self.take(|rule| rule.phase == phase && !rule.fault.is_of_watches() && rule.hits(aim))
    }

    /// The first fault that strikes a path of discovery.
    pub(super) fn strike_path(&self, path: &str) -> Option<Fault> {
        let aim = Aim { verb: "get", resource: path, namespace: "", name: "" };
        self.take(|rule| rule.resource.is_some() && !rule.fault.is_of_watches() && rule.hits(&aim))
    }

    /// The first fault that strikes an open watch.
    pub(super) fn strike_watch(&self, aim: &Aim<'_>) -> Option<Fault> {
        self.take(|rule| rule.fault.is_of_watches() && rule.hits(aim))
    }

    fn take(&self, wanted: impl Fn(&FaultRule) -> bool) -> Option<Fault> {
        self.rules.take(wanted).map(|rule| rule.fault)
    }
}

// === impl FaultRule ===

impl FaultRule {
    /// A fault that strikes every request, without end.
    pub fn new(fault: Fault) -> Self {
        Self {
            verb: None,
            resource: None,
            namespace: None,
            name: None,
            count: None,
            phase: Phase::Before,
            fault,
        }
    }

    /// Only this verb.
    pub fn verb(mut self, verb: &str) -> Self {
        self.verb = Some(verb.to_owned());
        self
    }

    /// Only this resource.
    pub fn resource(mut self, resource: &str) -> Self {
        self.resource = Some(resource.to_owned());
        self
    }

    /// Only objects of this name.
    pub fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Only so many times.
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }

    /// After the request took effect.
    pub fn after(mut self) -> Self {
        self.phase = Phase::After;
        self
    }

    fn hits(&self, aim: &Aim<'_>) -> bool {
        let hits =
            |condition: &Option<String>, value: &str| condition.as_ref().is_none_or(|wanted| wanted == value);
        hits(&self.verb, aim.verb)
            && hits(&self.resource, aim.resource)
            && hits(&self.namespace, aim.namespace)
            && hits(&self.name, aim.name)
    }
}

impl Counted for FaultRule {
    fn count(&self) -> Option<u32> {
        self.count
    }

    fn count_down(&mut self) {
        // A silent watch asks again and again: its rule stands until it is cleared.
        if !matches!(self.fault, Fault::WatchSilent | Fault::WatchDead) {
            self.count = self.count.map(|left| left.saturating_sub(1));
        }
    }
}

// === impl Fault ===

impl Fault {
    fn is_of_watches(&self) -> bool {
        matches!(self, Self::WatchExpired | Self::WatchSilent | Self::WatchDead | Self::WatchDrop)
    }

    pub(super) fn delay(&self) -> Option<Duration> {
        match self {
            Self::Delay { millis } => Some(Duration::from_millis(*millis)),
            _ => None,
        }
    }
}
