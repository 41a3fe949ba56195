//! What the service's own account may do at the edge, and whether the edge answers.

use k8s_openapi::{
    api::{
        authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec},
        core::v1::Secret,
    },
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{
    Api,
    api::{ListParams, PostParams},
};

use super::{Edge, EdgeError};

/// The name of a Secret that is never written.
const PROBE: &str = "secret-service-access-probe";

/// The verbs on Secrets that the direct engine needs in its namespace.
pub const REQUIRED_VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// One verb, and whether it is granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// The verb on Secrets.
    pub verb: &'static str,
    /// Whether it is granted.
    pub allowed: bool,
}

impl Edge {
    /// Asks the API server which of the verbs that we need are granted to us.
    pub async fn permissions(&self) -> Result<Vec<Permission>, EdgeError> {
        let mut permissions = Vec::with_capacity(REQUIRED_VERBS.len());
        for verb in REQUIRED_VERBS {
            let asked = ResourceAttributes {
                namespace: Some(self.namespace.clone()),
                verb: Some(verb.to_owned()),
                resource: Some("secrets".to_owned()),
                ..ResourceAttributes::default()
            };
            permissions.push(Permission { verb, allowed: self.is_allowed(asked).await? });
        }
        Ok(permissions)
    }

    /// Asks the API server whether something is granted to us.
    pub(super) async fn is_allowed(&self, asked: ResourceAttributes) -> Result<bool, EdgeError> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.client.clone());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(asked),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Whether the Secrets of the namespace can be read right now: one entry, metadata only.
    pub async fn ping(&self) -> Result<(), EdgeError> {
        let one = ListParams::default().limit(1);
        self.call(self.metadata.list(&one)).await.map(|_| ())
    }

    /// Whether the namespace is there: a list in one that isn't is empty, a write is refused. Changes nothing.
    pub async fn check_namespace(&self) -> Result<(), EdgeError> {
        let probe = Secret {
            metadata: ObjectMeta { name: Some(PROBE.to_owned()), ..ObjectMeta::default() },
            ..Secret::default()
        };
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match self.call(self.secrets.create(&dry_run, &probe)).await {
            // Somebody made it: so the namespace is there.
            Err(EdgeError::Changed(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Whether the custom resources of the Secret Store extension are served.
    pub async fn has_secret_store(&self) -> Result<bool, EdgeError> {
        let groups = self.call(self.client.list_api_groups()).await?;
        Ok(groups.groups.iter().any(|group| group.name == "secret-sync.x-k8s.io"))
    }
}
