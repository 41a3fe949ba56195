//! The direct engine: this service reads the values and writes the Secret.

mod plan;
pub(in crate::edge) mod secret;

use std::sync::Arc;

use url::Url;

pub(super) use plan::plan;

use super::{Applied, Digest, Drift, Observation, Released, Synced, Target, VaultState};
use crate::{
    edge::{Adoptable, CachedSecret, Desired, Edge, EdgeError, Index, Observed, Written},
    model::{SyncedSecret, SyncedSecretId},
    quote::Quote,
};

/// The direct engine. Cheap to clone.
#[derive(Clone)]
pub struct Direct(Arc<Inner>);

struct Inner {
    edge: Edge,
    index: Index,
    vault: Url,
    digest: Digest,
}

impl Direct {
    pub(super) fn new(edge: Edge, index: Index, vault: Url, digest: Digest) -> Self {
        Self(Arc::new(Inner { edge, index, vault, digest }))
    }

    pub(super) async fn check_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        self.0.edge.check_name(id).await
    }

    pub(super) async fn adoptable(
        &self,
        id: &SyncedSecretId,
        may_read: bool,
    ) -> Result<Option<Adoptable>, EdgeError> {
        self.0.edge.adoptable(id, may_read).await
    }

    pub(super) async fn dry_run(
        &self,
        secret: &SyncedSecret,
        state: VaultState,
        edge_uid: Option<&str>,
    ) -> Result<(), EdgeError> {
        self.0.edge.try_apply(&self.desired(secret, state.values)?, edge_uid).await
    }

    /// The Secret has another uid or version than the recorded one. If its content is the same, these are
    /// recorded; otherwise it is drift.
    pub(super) async fn observe(&self, target: &Target<'_>) -> Result<Observation, EdgeError> {
        Ok(match self.0.edge.observe(target.secret, target.edge.uid.as_deref()).await? {
            Observed::Ours { written, content, .. }
                if Some(self.digest_of(content.as_bytes())) == target.edge.digest =>
            {
                self.0.index.note(target.secret.id.as_str(), &target.cached, &written);
                Observation::Unchanged(written)
            }
            Observed::Foreign => Observation::Conflict,
            Observed::Ours { other_manager, .. } => {
                Observation::Drifted(Drift { manager: other_manager, must_release: false })
            }
            Observed::Absent => Observation::Drifted(Drift::default()),
        })
    }

    /// A Secret with another uid than the recorded one may belong to another tool: then no value is read from
    /// the vault.
    pub(super) async fn check_owner(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        match &target.cached {
            CachedSecret::Present(there) if Some(&there.uid) != target.edge.uid.as_ref() => {
                self.0.edge.check_ours(target.secret, target.edge.uid.as_deref()).await
            }
            _ => Ok(()),
        }
    }

    /// Writes these values to the Secret in one request.
    pub(super) async fn apply(&self, target: &Target<'_>, state: VaultState) -> Result<Applied, EdgeError> {
        let desired = self.desired(target.secret, state.values)?;
        if !desired.fits() {
            return Err(EdgeError::TooLarge);
        }
        let digest = self.digest_of(desired.content().as_bytes());
        // If a caller requested the sync, the cache is no answer: the write itself shows what the API server
        // has.
        let held = if target.is_unsettled() { None } else { held(target, &digest) };
        let is_from_cache = held.is_some();
        let written = match held {
            Some(written) => written,
            None => {
                let written = self.0.edge.apply(&desired, target.edge.uid.as_deref()).await?;
                self.0.index.note(target.secret.id.as_str(), &target.cached, &written);
                written
            }
        };
        Ok(Applied::Synced(Synced { written, digest, statuses: state.statuses, is_from_cache }))
    }

    pub(super) async fn remove(&self, target: &Target<'_>) -> Result<(), EdgeError> {
        let secret = target.secret;
        self.0.edge.remove(&secret.id, secret.uid, target.edge.uid.as_deref()).await
    }

    /// Gives the Secret's keys to the extension.
    pub(super) async fn release(&self, target: &Target<'_>) -> Result<Released, EdgeError> {
        let secret = self.0.edge.release_to_extension(target.secret, target.edge.uid.as_deref()).await?;
        // The extension always writes it.
        Ok(Released { secret, must_rewrite: false })
    }

    fn desired<'a>(
        &'a self,
        secret: &'a SyncedSecret,
        values: Vec<(zeroize::Zeroizing<Vec<u8>>, crate::model::VaultVersion)>,
    ) -> Result<Desired<'a>, EdgeError> {
        // Whoever read the values has checked them, and told what is wrong with each.
        Desired::new(secret, &self.0.vault, values).map_err(|error| EdgeError::Rejected(Quote::error(&error)))
    }

    fn digest_of(&self, content: &[u8]) -> Vec<u8> {
        (self.0.digest)("edge content", content)
    }
}

/// The Secret at the edge, if the watch shows that it already has the desired content.
fn held(target: &Target<'_>, digest: &[u8]) -> Option<Written> {
    let CachedSecret::Present(there) = &target.cached else { return None };
    let is_same = target.edge.digest.as_deref() == Some(digest) && target.is_cached_as_written();
    is_same.then(|| there.clone())
}
