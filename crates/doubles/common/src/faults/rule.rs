//! A rule: which requests get which fault, how many times, and when.

use std::fmt::Debug;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::AnyFault;

/// What a double adds to the language of faults: how its requests are matched, and the faults that it alone has.
pub trait RequestMatch:
    Clone + Debug + Default + PartialEq + Serialize + DeserializeOwned + Send + 'static
{
    /// What a request is to the rules.
    type Request<'a>;
    /// The double's own faults.
    type Fault: Clone + Debug + PartialEq + Serialize + DeserializeOwned + Send + 'static;

    /// Whether a request is meant.
    fn matches(&self, request: &Self::Request<'_>) -> bool;

    /// Restricts the match to requests about the object, or the secret, of this name.
    fn set_name(&mut self, name: String);

    /// Whether a rule with this fault applies until it is removed, whatever its `times`.
    fn ignores_times(_fault: &Self::Fault) -> bool {
        false
    }
}

/// Which requests get a fault, which fault, how many of them, and when. Of several rules that match, the one added first applies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct FaultRule<M: RequestMatch> {
    /// Which requests; all where it says nothing.
    #[serde(rename = "match", default)]
    pub matcher: M,
    /// How many requests still get the fault; all where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// Whether the operation takes effect.
    #[serde(default)]
    pub phase: Phase,
    /// What happens.
    pub fault: AnyFault<M::Fault>,
}

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

// === impl FaultRule ===

impl<M: RequestMatch> FaultRule<M> {
    /// Every request gets this fault, in place of its operation.
    pub fn new(fault: impl Into<AnyFault<M::Fault>>) -> Self {
        Self { matcher: M::default(), times: None, phase: Phase::Before, fault: fault.into() }
    }

    /// Only requests about the object, or the secret, of this name.
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.matcher.set_name(name.into());
        self
    }

    /// Only so many requests.
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Only once the operation has taken effect.
    pub fn after(self) -> Self {
        Self { phase: Phase::After, ..self }
    }

    /// Whether the rule has requests left, and this is one of them.
    pub fn matches(&self, request: &M::Request<'_>) -> bool {
        self.times != Some(0) && self.matcher.matches(request)
    }

    /// Counts a request that gets the fault.
    pub(super) fn count_down(&mut self) {
        if !matches!(&self.fault, AnyFault::Own(fault) if M::ignores_times(fault)) {
            self.times = self.times.map(|left| left.saturating_sub(1));
        }
    }
}
