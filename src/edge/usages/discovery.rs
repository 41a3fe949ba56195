//! Discovers which kinds of the rules the cluster serves, each in the preferred version of its group.
//!
//! Asks group by group: that takes a few small responses, and needs no permission on
//! CustomResourceDefinitions.

use futures::future::join_all;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIGroup, APIResource};
use kube::core::{ApiResource, GroupVersionKind};

use super::{EdgeError, Usages};
use crate::quote::Quote;

/// The group of Kubernetes' oldest kinds, which has no name.
const CORE: &str = "";

impl Usages {
    /// The kinds of all groups, or the error of each group that can't be discovered.
    pub(super) async fn served(&self) -> Vec<(String, Result<Vec<ApiResource>, EdgeError>)> {
        let groups = self.0.options.rules.groups();
        join_all(
            groups.into_iter().map(|group| async move { (group.to_owned(), self.served_of(group).await) }),
        )
        .await
    }

    pub(super) async fn served_of(&self, group: &str) -> Result<Vec<ApiResource>, EdgeError> {
        let mut served: Vec<ApiResource> = Vec::new();
        for version in self.versions(group).await? {
            let group_version = format!("{group}/{version}");
            let client = &self.0.edge.client;
            let list = match group {
                CORE => self.0.edge.call(client.list_core_api_resources(&version)).await,
                _ => self.0.edge.call(client.list_api_group_resources(&group_version)).await,
            };
            let resources = match list {
                Ok(list) => list.resources,
                // The version was removed between the two requests.
                Err(EdgeError::NotFound(_)) => continue,
                Err(error) => return Err(error),
            };
            for resource in resources.iter().filter(|resource| self.can_be_listed(group, resource)) {
                if served.iter().all(|known| known.kind != resource.kind) {
                    let kind = GroupVersionKind::gvk(group, &version, &resource.kind);
                    served.push(ApiResource::from_gvk_with_plural(&kind, &resource.name));
                }
            }
        }
        Ok(served)
    }

    /// The versions of a group, the preferred one first; empty if the group does not exist.
    async fn versions(&self, group: &str) -> Result<Vec<String>, EdgeError> {
        if group == CORE {
            return Ok(vec!["v1".to_owned()]);
        }
        let request = http::Request::get(format!("/apis/{group}")).body(Vec::new());
        let request = request.map_err(|error| EdgeError::Configuration(Quote::error(&error)))?;
        let group: APIGroup = match self.0.edge.call(self.0.edge.client.request(request)).await {
            Ok(group) => group,
            Err(EdgeError::NotFound(_)) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let preferred = group.preferred_version.map(|preferred| preferred.version);
        let mut versions: Vec<String> = group.versions.into_iter().map(|version| version.version).collect();
        versions.sort_by_key(|version| Some(version) != preferred.as_ref());
        Ok(versions)
    }

    fn can_be_listed(&self, group: &str, resource: &APIResource) -> bool {
        let has = |verb: &str| resource.verbs.iter().any(|held| held == verb);
        resource.namespaced
            && !resource.name.contains('/')
            && super::USAGE_VERBS.into_iter().all(has)
            && self.0.options.rules.covers(group, &resource.kind)
    }
}
