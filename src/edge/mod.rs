//! The edge: the Kubernetes Secrets of one namespace, through the Kubernetes API.
//!
//! What is written carries the uid of its synced secret as a label, and the mapping as annotations, so that
//! the edge alone is enough to rebuild the database. Only what carries that label is ever changed or deleted.

mod access;
mod adoption;
mod client;
pub mod engine;
mod error;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod index;
mod lease;
mod manifest;
mod recovery;
mod refusal;
mod reviews;
mod table;
mod usages;
mod watches;

use std::{path::PathBuf, sync::Arc, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, Resource, api::ListParams, core::PartialObjectMeta};
use serde::de::DeserializeOwned;

pub use access::{
    ACCOUNT_RIGHTS, DECISION_RIGHTS, LEASE_VERBS, REQUIRED_VERBS, Rights, SECRET_RIGHTS, STORE_RIGHTS,
    STORE_SECRET_RIGHTS, Scope, TOKEN_RIGHTS,
};
pub use adoption::{Adoptable, AdoptableSync, SyncedInto};
pub use engine::{
    direct::secret::{Observed, Written},
    secret_store::{self, FederatedAccount, ForeignKey},
};
pub use error::EdgeError;
pub use index::{CachedSecret, Index, Labelled};
pub use lease::{Election, LeaderState, Leadership, LeaseHolder, LeaseOptions, Position};
pub use manifest::{Content, Desired, MANAGED_BY, UID_LABEL, is_reserved};
pub use recovery::{Recovered, Recovery};
pub use usages::{ClassRefs, Gap, USAGE_VERBS, UsageOptions, Usages};

use crate::peer_clock::PeerClock;

/// The name under which our fields stand in `managedFields`.
pub const FIELD_MANAGER: &str = "secret-service";

/// Objects of a page of a list.
const PAGE: u32 = 500;

/// The address of the cluster and the instance's namespace.
#[derive(Clone, Debug)]
pub struct Options {
    /// The kubeconfig file; where absent, `KUBECONFIG`, `~/.kube/config` or the pod's own account.
    pub kubeconfig: Option<PathBuf>,
    /// The context in it; its current one where absent.
    pub context: Option<String>,
    /// The namespace of the instance.
    pub namespace: String,
    /// Deadline of every call.
    pub timeout: Duration,
}

/// The Secrets of the instance's namespace.
#[derive(Clone)]
pub struct Edge {
    /// Writes only while this process is the leader.
    client: Client,
    /// For writes that a standby may do, too: reviews and dry runs, and the Lease.
    open: Client,
    leadership: Leadership,
    secrets: Api<Secret>,
    /// The same without values.
    metadata: Api<PartialObjectMeta<Secret>>,
    namespace: String,
    timeout: Duration,
    /// The files to name if the API server rejects the credentials.
    kubeconfigs: Arc<[PathBuf]>,
    clock: PeerClock,
}

impl Edge {
    /// Prepares the client; the cluster is first asked when something is needed of it.
    pub async fn connect(options: &Options) -> Result<Self, EdgeError> {
        Self::connect_behind(options, Leadership::always()).await
    }

    /// The same for a process that writes only while it is the leader.
    pub async fn connect_behind(options: &Options, leadership: Leadership) -> Result<Self, EdgeError> {
        let clock = PeerClock::default();
        let open = client::connect(options, clock.clone()).await?;
        let client = client::fenced(open.clone(), leadership.clone(), &options.namespace);
        Ok(Self {
            open,
            leadership,
            secrets: Api::namespaced(client.clone(), &options.namespace),
            metadata: Api::namespaced(client.clone(), &options.namespace),
            client,
            clock,
            namespace: options.namespace.clone(),
            timeout: options.timeout,
            kubeconfigs: client::kubeconfigs(options).into(),
        })
    }

    /// Whether this process is the leader.
    pub fn leadership(&self) -> &Leadership {
        &self.leadership
    }

    fn open_client(&self) -> &Client {
        &self.open
    }

    /// The clock of the API server.
    pub fn clock(&self) -> &PeerClock {
        &self.clock
    }

    /// The namespace of the instance.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Lists in pages, each under the deadline, and hands on one object after the other.
    async fn each<K>(&self, api: &Api<K>, mut take: impl FnMut(K)) -> Result<(), EdgeError>
    where
        K: Clone + DeserializeOwned + std::fmt::Debug,
    {
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = self.call(api.list(&parameters)).await?;
            page.items.into_iter().for_each(&mut take);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    /// The metadata of an object; none where the API server says that it has none of this name.
    async fn find<K>(&self, api: &Api<K>, name: &str) -> Result<Option<PartialObjectMeta<K>>, EdgeError>
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        self.call_found(name, api.get_metadata(name)).await
    }

    /// Reads one object; none where the API server says that it has none of this name. A 404 that names no
    /// object is of an API server that does not serve the resource at the moment, and says nothing of what
    /// is stored.
    async fn call_found<T>(
        &self,
        name: &str,
        read: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, EdgeError> {
        let is_missing = |error: &kube::Error| {
            let kube::Error::Api(status) = error else { return false };
            status.code == 404 && status.details.as_ref().is_some_and(|details| details.name == name)
        };
        let found = async {
            match read.await {
                Err(error) if is_missing(&error) => Ok(None),
                found => found.map(Some),
            }
        };
        self.call(found).await
    }

    /// Runs one call under the deadline and names its errors in our terms.
    async fn call<T>(&self, call: impl Future<Output = kube::Result<T>>) -> Result<T, EdgeError> {
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => answer.map_err(|error| self.with_file(EdgeError::of(&error, &self.namespace))),
            Err(_) => Err(EdgeError::Timeout(self.timeout)),
        }
    }

    /// Credentials that are not accepted are renewed in their file; the service reads it again by itself.
    fn with_file(&self, error: EdgeError) -> EdgeError {
        match (error, self.kubeconfigs.first()) {
            (EdgeError::Unauthenticated(why), Some(file)) => {
                EdgeError::Unauthenticated(format!("{why} (kubeconfig {})", file.display()).into())
            }
            (error, _) => error,
        }
    }
}
