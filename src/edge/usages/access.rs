//! Whether the service account may find usages.

use k8s_openapi::api::authorization::v1::ResourceAttributes;

use super::Usages;
use crate::edge::EdgeError;

/// The verbs on all resources of a group, in the namespace, that finding usages needs.
pub const USAGE_VERBS: [&str; 2] = ["list", "watch"];

impl Usages {
    /// The groups that the service account may not list and watch.
    pub async fn forbidden_groups(&self) -> Result<Vec<String>, EdgeError> {
        let mut forbidden = Vec::new();
        for group in self.0.options.rules.groups() {
            for verb in USAGE_VERBS {
                let attributes = ResourceAttributes {
                    namespace: Some(self.0.edge.namespace.clone()),
                    verb: Some(verb.to_owned()),
                    group: Some(group.to_owned()),
                    resource: Some("*".to_owned()),
                    ..ResourceAttributes::default()
                };
                if !self.0.edge.is_allowed(attributes).await? {
                    forbidden.push(group.to_owned());
                    break;
                }
            }
        }
        Ok(forbidden)
    }
}
