//! What the Kubernetes double adds to the common fault rules: matching by verb, resource and object, and faults that
//! only a cluster has.

use doubles_common::faults::{AnyFault, FaultRule, FaultRules, Phase, RequestMatch};
use serde::{Deserialize, Serialize};

/// Which requests a rule applies to. Absent fields match everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceMatch {
    /// The verb: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verb: Option<String>,
    /// The resource in the plural; or a discovery path such as `/apis/secret-sync.x-k8s.io/v1alpha1`. Only a rule that
    /// names a discovery path matches it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// The namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The faults that only a cluster has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase")]
pub enum ClusterFault {
    /// 404, as if the namespace didn't exist.
    NamespaceGone,
    /// Open watches end with an ERROR event 410, and the history before is forgotten.
    WatchExpired,
    /// Open watches report nothing until the rule is removed, whatever its `times`.
    WatchSilent,
    /// The same, and they outlive their `timeoutSeconds`: as if the connection were cut without a FIN, or the server
    /// ignored the timeout.
    WatchDead,
    /// Open watches end.
    WatchDrop,
}

/// Restricts a rule to a verb or a resource.
pub trait OnResource {
    /// Only this verb.
    #[must_use]
    fn verb(self, verb: &str) -> Self;

    /// Only this resource, in the plural.
    #[must_use]
    fn resource(self, resource: &str) -> Self;
}

/// What a request is to the rules.
#[derive(Clone, Copy)]
pub struct RequestInfo<'a> {
    pub(super) verb: &'a str,
    pub(super) resource: &'a str,
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// The rules that are set.
pub(super) type Faults = FaultRules<ResourceMatch>;

type Rule = FaultRule<ResourceMatch>;

/// The fault of a request in a phase; counts it.
pub(super) fn of_request(
    faults: &Faults,
    request: &RequestInfo<'_>,
    phase: Phase,
) -> Option<AnyFault<ClusterFault>> {
    take(faults, request, |rule| rule.phase == phase && !is_of_watches(rule))
}

/// The fault of a request for a discovery path; counts it.
pub(super) fn of_path(faults: &Faults, path: &str) -> Option<AnyFault<ClusterFault>> {
    let request = RequestInfo { verb: "get", resource: path, namespace: "", name: "" };
    take(faults, &request, |rule| rule.matcher.resource.is_some() && !is_of_watches(rule))
}

/// The fault of an open watch; counts it.
pub(super) fn of_watch(faults: &Faults, request: &RequestInfo<'_>) -> Option<AnyFault<ClusterFault>> {
    take(faults, request, is_of_watches)
}

fn take(
    faults: &Faults,
    request: &RequestInfo<'_>,
    wanted: impl Fn(&Rule) -> bool,
) -> Option<AnyFault<ClusterFault>> {
    faults.take(request, wanted).map(|rule| rule.fault)
}

fn is_of_watches(rule: &Rule) -> bool {
    use ClusterFault::{WatchDead, WatchDrop, WatchExpired, WatchSilent};
    matches!(rule.fault, AnyFault::Own(WatchExpired | WatchSilent | WatchDead | WatchDrop))
}

// === impl ResourceMatch ===

impl RequestMatch for ResourceMatch {
    type Request<'a> = RequestInfo<'a>;
    type Fault = ClusterFault;

    fn matches(&self, request: &RequestInfo<'_>) -> bool {
        let matches =
            |field: &Option<String>, value: &str| field.as_ref().is_none_or(|wanted| wanted == value);
        matches(&self.verb, request.verb)
            && matches(&self.resource, request.resource)
            && matches(&self.namespace, request.namespace)
            && matches(&self.name, request.name)
    }

    fn set_name(&mut self, name: String) {
        self.name = Some(name);
    }

    /// An open watch asks for its fault again and again: to count that would end the silence at once.
    fn ignores_times(fault: &ClusterFault) -> bool {
        matches!(fault, ClusterFault::WatchSilent | ClusterFault::WatchDead)
    }
}

impl OnResource for Rule {
    fn verb(mut self, verb: &str) -> Self {
        self.matcher.verb = Some(verb.to_owned());
        self
    }

    fn resource(mut self, resource: &str) -> Self {
        self.matcher.resource = Some(resource.to_owned());
        self
    }
}

// === impl ClusterFault ===

impl From<ClusterFault> for AnyFault<ClusterFault> {
    fn from(fault: ClusterFault) -> Self {
        Self::Own(fault)
    }
}

impl PartialEq<ClusterFault> for AnyFault<ClusterFault> {
    fn eq(&self, other: &ClusterFault) -> bool {
        matches!(self, Self::Own(fault) if fault == other)
    }
}
