//! Removes our objects from the edge, or releases the Secret. The extension is always suspended first:
//! otherwise it would merge its owner reference into any new Secret of the name.

use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::{KnownUids, SecretState, SecretStore, Suspension};
use crate::edge::{
    EdgeError,
    engine::{Preparation, Released, Target},
};

/// How often to check whether the extension has noticed its suspension.
pub(super) const SUSPENSION_POLL: Duration = Duration::from_millis(500);

impl SecretStore {
    /// Removes the pair of another tool's Secret, and what the extension merged into that Secret: first
    /// suspends the extension, then removes the owner reference, then deletes the SecretSync. In another
    /// order the Secret would be garbage-collected. Returns a pause if the extension has not stopped yet.
    pub(in crate::edge::engine) async fn withdraw(
        &self,
        target: &Target<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        self.withdraw_known(target, target.known()).await
    }

    async fn withdraw_known(
        &self,
        target: &Target<'_>,
        known: KnownUids<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        let (edge, id) = (&self.0.edge, &target.secret.id);
        match self.suspend(target, known).await {
            Ok(Some(pause)) => return Ok(Some(pause)),
            // There is no SecretSync of ours.
            Ok(None) | Err(EdgeError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
        edge.remove_traces(id, known).await?;
        edge.remove_pair_keep_secret(id, known).await?;
        Ok(None)
    }

    /// Keeps the extension from writing the Secret. Returns a pause while that is not certain.
    async fn suspend(
        &self,
        target: &Target<'_>,
        known: KnownUids<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        let force = Uuid::new_v4().simple().to_string();
        let suspension = self.0.edge.suspend(&target.secret.id, known, &force).await?;
        let mut suspended_since = self.0.suspended_since.lock();
        let suspended_at = *suspended_since.entry(target.secret.uid).or_insert_with(Instant::now);
        if suspension == Suspension::Requested && suspended_at.elapsed() < self.0.options.patience {
            return Ok(Some(SUSPENSION_POLL));
        }
        // An extension that is silent for this long does not run. When it starts, it finds no class.
        suspended_since.remove(&target.secret.uid);
        Ok(None)
    }

    /// Whether the extension's kinds are permanently gone: the API server has not served them for as long as
    /// the extension's patience. A single answer may come from an API server that has just started.
    pub(in crate::edge::engine) async fn are_kinds_gone(&self) -> bool {
        let is_gone = self.0.edge.lacks_store_kinds().await == Ok(true);
        let mut gone_since = self.0.kinds_gone_since.lock();
        if !is_gone {
            *gone_since = None;
        } else if gone_since.is_none() {
            *gone_since = Some(Instant::now());
        }
        gone_since.is_some_and(|since| since.elapsed() >= self.0.options.patience)
    }

    /// Removes the pair and the Secret that the extension wrote. Returns a pause if the extension has not
    /// stopped yet.
    pub(in crate::edge::engine) async fn remove(
        &self,
        target: &Target<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        match self.remove_known(target, target.known()).await {
            Err(EdgeError::NotServed { .. }) if self.are_kinds_gone().await => {
                self.remove_known(target, KnownUids { are_kinds_gone: true, ..target.known() }).await
            }
            removed => removed,
        }
    }

    async fn remove_known(
        &self,
        target: &Target<'_>,
        known: KnownUids<'_>,
    ) -> Result<Option<Duration>, EdgeError> {
        let (edge, id) = (&self.0.edge, &target.secret.id);
        // A running extension would merge its owner reference into any new Secret of that name, which would
        // then be garbage-collected.
        if target.delegation.is_none_or(|delegation| delegation.open) {
            match self.suspend(target, known).await {
                Ok(Some(pause)) => return Ok(Some(pause)),
                Ok(None) | Err(EdgeError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if edge.secret_state(target.secret, known, true).await? == SecretState::Foreign {
            return self.withdraw_known(target, known).await;
        }
        edge.remove_pair(id, known).await?;
        // Another manager, or the extension, may have written in the meantime.
        edge.remove_traces(id, known).await?;
        Ok(None)
    }

    /// Stops the extension, and returns the uid of our Secret. The SecretSync may be the only proof that the
    /// Secret is ours, so the uid must be recorded before the SecretSync is deleted.
    pub(in crate::edge::engine) async fn prepare_release(
        &self,
        target: &Target<'_>,
    ) -> Result<Preparation, EdgeError> {
        match self.prepare_known(target, target.known()).await {
            Err(EdgeError::NotServed { .. }) if self.are_kinds_gone().await => {
                self.prepare_known(target, KnownUids { are_kinds_gone: true, ..target.known() }).await
            }
            prepared => prepared,
        }
    }

    async fn prepare_known(
        &self,
        target: &Target<'_>,
        known: KnownUids<'_>,
    ) -> Result<Preparation, EdgeError> {
        if let Some(pause) = self.suspend(target, known).await? {
            return Ok(Preparation::Wait(pause));
        }
        let own = self.0.edge.own_secret(&target.secret.id, known).await?;
        Ok(Preparation::Ready(own.map(|own| own.uid)))
    }

    /// Takes the Secret from the extension, then removes the pair. If the extension's kinds are gone, there is
    /// no pair.
    pub(in crate::edge::engine) async fn release(&self, target: &Target<'_>) -> Result<Released, EdgeError> {
        match self.release_known(target, target.known()).await {
            Err(EdgeError::NotServed { .. }) if self.are_kinds_gone().await => {
                self.release_known(target, KnownUids { are_kinds_gone: true, ..target.known() }).await
            }
            released => released,
        }
    }

    async fn release_known(&self, target: &Target<'_>, known: KnownUids<'_>) -> Result<Released, EdgeError> {
        let secret = self.0.edge.take_from_extension(target.secret, known).await?;
        self.0.edge.remove_pair_keep_secret(&target.secret.id, known).await?;
        Ok(Released { secret, must_rewrite: true })
    }

    pub(in crate::edge::engine) async fn has_leftovers(
        &self,
        target: &Target<'_>,
    ) -> Result<bool, EdgeError> {
        self.0.edge.has_labelled(&target.secret.id, target.secret.uid).await
    }
}
