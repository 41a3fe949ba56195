//! Whether the service account may find usages.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::Usages;
use crate::{edge::EdgeError, model::workloads_of};

/// The verbs on all resources of a group, in the namespace, that finding usages needs.
pub const USAGE_VERBS: [&str; 2] = ["list", "watch"];

/// The resources of a group that are looked into: of Kubernetes' own groups those that run Pods, of others all.
fn resources_of(group: &str) -> Vec<&'static str> {
    Some(workloads_of(group)).filter(|all| !all.is_empty()).unwrap_or_else(|| vec!["*"])
}

/// The resources of a group, for people.
pub(super) fn named(group: &str) -> String {
    match workloads_of(group).as_slice() {
        [] => group.to_owned(),
        workloads => workloads.join(", "),
    }
}

impl Usages {
    /// The groups that the service account may not list and watch.
    pub async fn forbidden_groups(&self) -> Result<Vec<String>, EdgeError> {
        let mut forbidden = Vec::new();
        for group in self.0.options.rules.groups() {
            let wanted = resources_of(group).into_iter().flat_map(|one| USAGE_VERBS.map(|verb| (one, verb)));
            for (resource, verb) in wanted {
                let attributes = ResourceAttributes {
                    namespace: Some(self.0.edge.namespace.clone()),
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some(resource.to_owned()),
                    ..ResourceAttributes::default()
                };
                if !self.0.edge.is_allowed(attributes).await? {
                    forbidden.push(named(group));
                    break;
                }
            }
        }
        Ok(forbidden)
    }
}
