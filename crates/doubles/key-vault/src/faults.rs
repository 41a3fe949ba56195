//! What a test switches: rules that make chosen requests fail, and the settings of the vault's behaviour.

use std::time::Duration;

use doubles_common::faults::{Counted, FaultRules, Phase};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};

use super::{operation::Operation, throttle::Throttle};

/// The switches.
#[derive(Default)]
pub struct Faults {
    rules: FaultRules<Rule>,
    settings: RwLock<Settings>,
}

/// A rule that is set.
pub type SetRule = doubles_common::faults::SetRule<Rule>;

/// Which requests meet a fault, and which fault. Of several that match, the one that was added first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// The operation; any but [`Operation::Token`] where absent.
    #[serde(default)]
    pub operation: Option<Operation>,
    /// The secret, whatever its case; any where absent.
    #[serde(default)]
    pub name: Option<String>,
    /// How many requests meet it; all where absent.
    #[serde(default)]
    pub count: Option<u32>,
    /// Whether the operation has taken effect when its answer is lost.
    #[serde(default)]
    pub phase: Phase,
    /// What happens.
    pub action: Action,
}

/// What happens to a request. On the wire `{"kind": "delay", "milliseconds": 200}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Action {
    /// An error answer.
    Status {
        /// HTTP status.
        status: u16,
        /// Key Vault's code.
        code: String,
        /// Its inner code.
        #[serde(default)]
        inner: Option<String>,
        /// What `Retry-After` says; left out where absent.
        #[serde(default, rename = "retryAfterSeconds", with = "seconds")]
        retry_after: Option<Duration>,
    },
    /// 403: the identity lacks the right.
    ForbiddenByRbac,
    /// 403: the network isn't let in.
    ForbiddenByFirewall,
    /// No answer, until the client gives up or the double stops.
    Hang,
    /// The true answer, but later.
    Delay {
        /// How much later.
        #[serde(rename = "milliseconds", with = "milliseconds")]
        duration: Duration,
    },
    /// The connection breaks within the body.
    ResetMidBody,
    /// A whole HTTP message whose JSON ends in its middle.
    Truncate,
    /// A body that is no JSON.
    MalformedJson,
    /// An HTML page, as a captive portal or a proxy would answer.
    WrongContent,
    /// A list whose next page is this one again.
    PageLoop,
    /// A list whose next page lies on another host.
    ForeignNextLink {
        /// That host, with its port.
        authority: String,
    },
    /// 401: the token has expired.
    ExpiredToken,
}

/// How the vault behaves. On the wire, what is absent takes its default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// How long every request to the vault takes at least. Default 0, or what the double was started with.
    pub latency_milliseconds: u64,
    /// How long the vault stays in the middle of a delete, recover or purge. Default 0.
    pub transition_milliseconds: u64,
    /// How long a token is valid. Default 3,600.
    pub token_lifetime_seconds: u64,
    /// How many requests the vault bears. Default: any number.
    pub throttle: Option<Throttle>,
    /// Whether `/metadata/identity/oauth2/token` gives tokens to anybody on the machine. Default: no.
    pub instance_metadata: bool,
    /// Whether the token endpoint gives tokens to applications that it doesn't know, whatever secret or assertion they show.
    /// Default: no; `secret-service dev` switches it on, so that any client needs only its way to the vault and the CA.
    pub any_application: bool,
}

// === impl Faults ===

impl Faults {
    /// With these settings and no rule.
    pub(super) fn new(settings: Settings) -> Self {
        Self { settings: RwLock::new(settings), ..Self::default() }
    }

    /// Adds a rule; answers its id.
    pub fn add(&self, rule: Rule) -> u64 {
        self.rules.add(rule)
    }

    /// Takes a rule away; false where it isn't set, or used up.
    pub fn remove(&self, id: u64) -> bool {
        self.rules.remove(id)
    }

    /// Replaces all rules; the settings stay.
    pub fn replace(&self, rules: Vec<Rule>) {
        self.rules.replace(rules);
    }

    /// Takes all rules away; the settings stay.
    pub fn clear(&self) {
        self.rules.replace(Vec::new());
    }

    /// The rules that are set and not used up.
    pub fn rules(&self) -> Vec<SetRule> {
        self.rules.list()
    }

    /// The settings.
    pub fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// Changes settings, for requests that come from now on.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.settings.write());
    }

    /// The fault that a request meets, counted.
    pub(super) fn take(&self, operation: Operation, name: &str) -> Option<(Phase, Action)> {
        let rule = self.rules.take(|rule| rule.matches(operation, name))?;
        Some((rule.phase, rule.action))
    }
}

// === impl Rule ===

impl Rule {
    /// That every request to the vault meets this fault.
    pub fn new(action: Action) -> Self {
        Self { operation: None, name: None, count: None, phase: Phase::Before, action }
    }

    /// Only requests for this operation.
    pub fn on(self, operation: Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    /// Only requests about this secret.
    pub fn named(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// Only the next so many requests.
    pub fn times(self, count: u32) -> Self {
        Self { count: Some(count), ..self }
    }

    /// Only once the operation has taken effect.
    pub fn after(self) -> Self {
        Self { phase: Phase::After, ..self }
    }

    fn matches(&self, operation: Operation, name: &str) -> bool {
        self.operation.map_or(operation != Operation::Token, |own| own == operation)
            && self.name.as_deref().is_none_or(|own| own.eq_ignore_ascii_case(name))
    }
}

impl Counted for Rule {
    fn count(&self) -> Option<u32> {
        self.count
    }

    fn count_down(&mut self) {
        self.count = self.count.map(|left| left.saturating_sub(1));
    }
}

// === impl Settings ===

impl Settings {
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_milliseconds)
    }

    pub(super) fn transition(&self) -> Duration {
        Duration::from_millis(self.transition_milliseconds)
    }

    pub(super) fn token_lifetime(&self) -> Duration {
        Duration::from_secs(self.token_lifetime_seconds)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency_milliseconds: 0,
            transition_milliseconds: 0,
            token_lifetime_seconds: 3600,
            throttle: None,
            instance_metadata: false,
            any_application: false,
        }
    }
}

/// A duration as a whole number of milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A duration, or none, as a whole number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_matches_its_operation_and_name_until_its_count_is_used_up() {
        let faults = Faults::default();
        faults.add(Rule::new(Action::Hang).on(Operation::SecretGet).named("Db").times(2).after());
        assert_eq!(faults.take(Operation::SecretSet, "db"), None);
        assert_eq!(faults.take(Operation::SecretGet, "other"), None);
        assert_eq!(faults.take(Operation::SecretGet, "db"), Some((Phase::After, Action::Hang)));
        assert!(faults.take(Operation::SecretGet, "DB").is_some());
        assert_eq!(faults.take(Operation::SecretGet, "db"), None);
        assert!(faults.rules().is_empty());
    }

    #[test]
    fn a_rule_for_any_operation_leaves_tokens_alone() {
        let faults = Faults::default();
        faults.add(Rule::new(Action::Hang));
        assert_eq!(faults.take(Operation::Token, ""), None);
        assert!(faults.take(Operation::SecretList, "").is_some());
    }

    #[test]
    fn rules_read_as_the_module_documents_them() {
        let json = r#"{"operation": "SecretSet", "count": 1, "phase": "after",
            "action": {"kind": "status", "status": 503, "code": "ServiceUnavailable", "retryAfterSeconds": 2}}"#;
        let rule: Rule = serde_json::from_str(json).unwrap();
        let action = Action::Status {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
            inner: None,
            retry_after: Some(Duration::from_secs(2)),
        };
        assert_eq!(rule, Rule::new(action).on(Operation::SecretSet).times(1).after());

        let delay: Action = serde_json::from_str(r#"{"kind": "delay", "milliseconds": 20}"#).unwrap();
        assert_eq!(delay, Action::Delay { duration: Duration::from_millis(20) });
    }
}
