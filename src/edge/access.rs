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

/// The verbs that an engine needs on what it writes, in its namespace.
pub const REQUIRED_VERBS: [&str; 6] = ["get", "list", "watch", "create", "patch", "delete"];

/// What the direct engine does in its namespace.
pub const SECRET_RIGHTS: Rights = written("", "secrets");
/// What the Secret Store engine does to the Secrets that the extension makes: sees them, without their
/// values, takes back what somebody else has written to them, and removes them with their synced secret.
pub const SEEN_SECRET_RIGHTS: Rights = Rights {
    group: "",
    resource: "secrets",
    verbs: &["get", "list", "watch", "patch", "delete"],
    scope: Scope::Namespace,
};
/// What the Secret Store engine does there besides.
pub const STORE_RIGHTS: [Rights; 2] = [
    written("secret-sync.x-k8s.io", "secretsyncs"),
    written("secrets-store.csi.x-k8s.io", "secretproviderclasses"),
];
/// What is looked at there to tell whether the Secret Store extension can come to the vault; it comes without
/// that.
pub const ACCOUNT_RIGHTS: Rights =
    Rights { group: "", resource: "serviceaccounts", verbs: &["get"], scope: Scope::Namespace };
/// What is asked of the cluster about callers: whose a token is, and what its owner may do.
pub const TOKEN_RIGHTS: Rights = review("authentication.k8s.io", "tokenreviews");
/// The other half.
pub const DECISION_RIGHTS: Rights = review("authorization.k8s.io", "subjectaccessreviews");

/// What whoever acts for the instance does with its Lease. No Role can narrow `create` to a name.
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

/// Where rights hold.
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
    /// Asks the API server which of these rights are not granted to us, each as `VERBS on RESOURCE`.
    pub async fn missing_rights(&self, needed: &[Rights]) -> Result<Vec<String>, EdgeError> {
        let mut missing = Vec::new();
        for Rights { group, resource, verbs, scope } in needed {
            let mut refused = Vec::new();
            for verb in *verbs {
                let asked = ResourceAttributes {
                    namespace: (*scope == Scope::Namespace).then(|| self.namespace.clone()),
                    verb: Some((*verb).to_owned()),
                    group: Some((*group).to_owned()),
                    resource: Some((*resource).to_owned()),
                    ..ResourceAttributes::default()
                };
                if !self.is_allowed(asked).await? {
                    refused.push(*verb);
                }
            }
            if !refused.is_empty() {
                missing.push(format!("{} on {resource}", refused.join(", ")));
            }
        }
        Ok(missing)
    }

    /// Asks the API server which verbs on the Lease of a name are not granted to us.
    pub async fn missing_lease_verbs(&self, name: &str) -> Result<Vec<&'static str>, EdgeError> {
        let mut missing = Vec::new();
        for verb in LEASE_VERBS {
            let asked = ResourceAttributes {
                namespace: Some(self.namespace.clone()),
                verb: Some(verb.to_owned()),
                group: Some("coordination.k8s.io".to_owned()),
                resource: Some("leases".to_owned()),
                name: (verb != "create").then(|| name.to_owned()),
                ..ResourceAttributes::default()
            };
            if !self.is_allowed(asked).await? {
                missing.push(verb);
            }
        }
        Ok(missing)
    }

    /// Asks the API server whether something is granted to us.
    pub(super) async fn is_allowed(&self, asked: ResourceAttributes) -> Result<bool, EdgeError> {
        let reviews: Api<SelfSubjectAccessReview> = Api::all(self.open.clone());
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

    /// Whether the namespace is there: a list in one that isn't is empty, a write is refused. Changes
    /// nothing. Where we may not write, it counts as there: the rights that are missing are told elsewhere.
    pub async fn check_namespace(&self) -> Result<(), EdgeError> {
        let probe = Secret {
            metadata: ObjectMeta { name: Some(PROBE.to_owned()), ..ObjectMeta::default() },
            ..Secret::default()
        };
        let dry_run = PostParams { dry_run: true, ..PostParams::default() };
        match self.call(self.secrets.create(&dry_run, &probe)).await {
            // Somebody made it: so the namespace is there. Who may not make Secrets, as in the Secret Store
            // engine, is not told.
            Err(EdgeError::Changed(_) | EdgeError::Forbidden(_)) => Ok(()),
            other => other.map(|_| ()),
        }
    }
}
