//! What the service account may do at the edge, and whether the edge is reachable.

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

/// The verbs that an engine needs on the resources that it writes, in its namespace.
pub const REQUIRED_VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// The permissions that the direct engine needs in its namespace.
pub const SECRET_RIGHTS: Rights = written("", "secrets");
/// The permissions that the Secret Store engine needs on the Secrets of the extension: it watches their
/// metadata, reverts changes of others, and removes a Secret with its synced secret.
pub const STORE_SECRET_RIGHTS: Rights = Rights {
    group: "",
    resource: "secrets",
    verbs: &["get", "list", "watch", "patch", "delete"],
    scope: Scope::Namespace,
};
/// The permissions that the Secret Store engine needs in addition.
pub const STORE_RIGHTS: [Rights; 2] = [
    written("secret-sync.x-k8s.io", "secretsyncs"),
    written("secrets-store.csi.x-k8s.io", "secretproviderclasses"),
];
/// An optional permission: the service checks whether the extension's service account can reach the vault.
pub const ACCOUNT_RIGHTS: Rights =
    Rights { group: "", resource: "serviceaccounts", verbs: &["get"], scope: Scope::Namespace };
/// The permission to ask the cluster whose token a caller presents.
pub const TOKEN_RIGHTS: Rights = review("authentication.k8s.io", "tokenreviews");
/// The permission to ask the cluster what a caller may do.
pub const DECISION_RIGHTS: Rights = review("authorization.k8s.io", "subjectaccessreviews");

/// The verbs on the Lease that the leader needs. A Role can't restrict `create` to a name.
pub const LEASE_VERBS: [&str; 3] = ["create", "get", "update"];

/// Verbs on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    /// The API group; the core group is the empty string.
    pub group: &'static str,
    /// The resource in the plural.
    pub resource: &'static str,
    /// The verbs.
    pub verbs: &'static [&'static str],
    /// Where.
    pub scope: Scope,
}

/// The scope of rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the instance's namespace.
    Namespace,
    /// In the whole cluster.
    Cluster,
}

const fn written(group: &'static str, resource: &'static str) -> Rights {
    Rights { group, resource, verbs: &REQUIRED_VERBS, scope: Scope::Namespace }
}

const fn review(group: &'static str, resource: &'static str) -> Rights {
    Rights { group, resource, verbs: &["create"], scope: Scope::Cluster }
}

impl Edge {
    /// Asks the API server which of these permissions we lack, each as `VERBS on RESOURCE`.
    pub async fn missing_rights(&self, needed: &[Rights]) -> Result<Vec<String>, EdgeError> {
        let mut missing = Vec::new();
        for Rights { group, resource, verbs, scope } in needed {
            let mut refused = Vec::new();
            for verb in *verbs {
                let attributes = ResourceAttributes {
                    namespace: (*scope == Scope::Namespace).then(|| self.namespace.clone()),
                    verb: Some((*verb).to_owned()),
                    group: Some((*group).to_owned()),
                    resource: Some((*resource).to_owned()),
                    ..ResourceAttributes::default()
                };
                if !self.is_allowed(attributes).await? {
                    refused.push(*verb);
                }
            }
            if !refused.is_empty() {
                missing.push(format!("{} on {resource}", refused.join(", ")));
            }
        }
        Ok(missing)
    }

    /// Asks the API server which verbs on the Lease of a name we lack.
    pub async fn missing_lease_verbs(&self, name: &str) -> Result<Vec<&'static str>, EdgeError> {
        let mut missing = Vec::new();
        for verb in LEASE_VERBS {
            let attributes = ResourceAttributes {
                namespace: Some(self.namespace.clone()),
                verb: Some(verb.to_owned()),
                group: Some("coordination.k8s.io".to_owned()),
                resource: Some("leases".to_owned()),
                name: (verb != "create").then(|| name.to_owned()),
                ..ResourceAttributes::default()
            };
            if !self.is_allowed(attributes).await? {
                missing.push(verb);
            }
        }
        Ok(missing)
    }

    /// Asks the API server whether we have a permission.
    pub(super) async fn is_allowed(&self, attributes: ResourceAttributes) -> Result<bool, EdgeError> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.open.clone());
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(attributes),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        let answer = self.call(reviews.create(&PostParams::default(), &review)).await?;
        Ok(answer.status.is_some_and(|status| status.allowed))
    }

    /// Checks that the Secrets of the namespace can be listed right now: one entry, metadata only.
    pub async fn ping(&self) -> Result<(), EdgeError> {
        let one = ListParams::default().limit(1);
        self.call(self.metadata.list(&one)).await.map(|_| ())
    }

    /// Checks that the namespace exists, by a dry run of a write: a list in a missing namespace is just
    /// empty. Without the permission to write, the namespace counts as existing: another check reports the
    /// permission.
    pub async fn check_namespace(&self) -> Result<(), EdgeError> {
        let probe = Secret {
            metadata: ObjectMeta { name: Some(PROBE.to_owned()), ..ObjectMeta::default() },
            ..Secret::default()
        };
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match self.call(self.secrets.create(&dry_run, &probe)).await {
            // If the Secret exists, so does the namespace. If we may not create Secrets, as with the Secret
            // Store engine, the API server does not say.
            Err(EdgeError::Changed(_) | EdgeError::Forbidden(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
