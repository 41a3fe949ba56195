//! The Secret Store engine: its state, and its decisions before a write.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;

use super::{
    CachedSync, ExtensionIdentity, KnownUids, Options, Pair, SecretProviderClass, StoreIndex, SyncOutcome,
    cant_compose, observe::WATCH_LAG, plan, sync_outcome, violations,
};
use crate::{
    edge::{
        AdoptableSync, Edge, EdgeError, Index, Usages,
        engine::{
            Aspect, Attempt, Comparison, Digest, Objection, Settings, Step, Target, Trigger, VaultState,
        },
    },
    model::{Delegation, State, SyncedSecret, SyncedSecretId},
};

/// The Secret Store engine. Cheap to clone.
#[derive(Clone)]
pub struct SecretStore(pub(super) Arc<Inner>);

/// The dependencies and the state of the engine.
pub(in crate::edge::engine) struct Inner {
    pub(super) edge: Edge,
    pub(super) index: Index,
    /// Also knows which default classes the Instances name.
    pub(super) usages: Usages,
    /// All SecretSyncs and classes of the namespace, also those of other tools.
    pub(super) pairs: StoreIndex,
    pub(super) options: Options,
    pub(super) vault: Url,
    pub(super) digest: Digest,
    /// The shortest time between two rotation checks.
    pub(super) shortest_check: Duration,
    /// Since when the extension has been suspended for a Secret.
    pub(super) suspended_since: Mutex<HashMap<Uuid, Instant>>,
    /// Since when every discovery has shown none of the extension's kinds.
    pub(super) kinds_gone_since: Mutex<Option<Instant>>,
    pub(super) started: Instant,
}

impl SecretStore {
    pub(in crate::edge::engine) fn new(
        (edge, index, usages): (Edge, Index, Usages),
        options: Options,
        vault: Url,
        digest: Digest,
        shortest_check: Duration,
    ) -> Self {
        Self(Arc::new(Inner {
            pairs: StoreIndex::new(edge.namespace()),
            edge,
            index,
            usages,
            options,
            vault,
            digest,
            shortest_check,
            suspended_since: Mutex::default(),
            kinds_gone_since: Mutex::default(),
            started: Instant::now(),
        }))
    }

    pub(in crate::edge::engine) fn pairs(&self) -> &StoreIndex {
        &self.0.pairs
    }

    pub(in crate::edge::engine) fn options(&self) -> &Options {
        &self.0.options
    }

    /// Whether all SecretSyncs and classes are listed.
    pub(in crate::edge::engine) fn is_listed(&self) -> bool {
        self.0.pairs.is_complete()
    }

    /// The identity that the extension uses for the vault. Scans all classes: call it once for many synced
    /// secrets.
    pub(in crate::edge::engine) fn identity(&self) -> Result<ExtensionIdentity, EdgeError> {
        // Read this first: a list that completes in between must not count as complete.
        let is_complete = self.0.pairs.is_complete();
        match self.0.options.identity(&self.0.pairs.classes(), &self.0.usages.class_refs()) {
            Err(_) if !is_complete => {
                Err(EdgeError::Unreachable("its SecretProviderClasses are not listed yet".into()))
            }
            found => found,
        }
    }

    /// The desired pair of a synced secret.
    pub(super) fn pair(&self, secret: &SyncedSecret) -> Result<Pair, EdgeError> {
        Ok(Pair::of(secret, &self.0.vault, &self.identity()?))
    }

    pub(super) fn digest_of(&self, pair: &Pair) -> Vec<u8> {
        (self.0.digest)("pair", &pair.content())
    }

    /// When the pair was written, but not earlier than the start of this process.
    pub(super) fn delegated_at(&self, delegation: &Delegation) -> Instant {
        self.0.started + delegation.delegated_at.unwrap_or_default()
    }

    /// The extension needs an identity, and has stricter rules for keys and labels.
    pub(in crate::edge::engine) fn check(&self, secret: &SyncedSecret) -> Vec<Objection> {
        let references: Vec<_> = secret.references.iter().collect();
        let violations = violations(&secret.secret_type, &references, &secret.labels);
        let violations = violations.into_iter().chain(cant_compose(secret));
        violations.map(Objection::Field).chain(self.pair(secret).err().map(Objection::Engine)).collect()
    }

    pub(in crate::edge::engine) async fn check_name(&self, id: &SyncedSecretId) -> Result<(), EdgeError> {
        tokio::try_join!(self.0.edge.check_name(id), self.0.edge.check_pair_name(id)).map(|_| ())
    }

    pub(in crate::edge::engine) async fn check_adopted_name(
        &self,
        id: &SyncedSecretId,
        uid: Uuid,
    ) -> Result<(), EdgeError> {
        self.0.edge.check_class_name(id, uid).await
    }

    pub(in crate::edge::engine) async fn adoptable(
        &self,
        id: &SyncedSecretId,
    ) -> Result<Option<AdoptableSync>, EdgeError> {
        self.0.edge.adoptable_sync(id, &self.0.options.vault_name).await
    }

    pub(in crate::edge::engine) async fn dry_run(&self, secret: &SyncedSecret) -> Result<(), EdgeError> {
        self.0.edge.try_apply_pair(&self.pair(secret)?, secret.uid).await
    }

    pub(in crate::edge::engine) fn plan(
        &self,
        target: &Target<'_>,
        trigger: Trigger,
        settings: &Settings,
    ) -> Step {
        match self.step(target, trigger, settings) {
            // Until the first lists are complete, the extension's answer is unknown. The condition should say
            // why they are not complete.
            Step::Nothing
                if target.secret.state != State::Synced && !trigger.creating && !self.is_listed() =>
            {
                Step::Observe(Aspect::Lists)
            }
            step => step,
        }
    }

    pub(in crate::edge::engine) fn is_unsettled(&self, target: &Target<'_>, settings: &Settings) -> bool {
        self.step(target, Trigger::default(), settings) != Step::Nothing
    }

    fn step(&self, target: &Target<'_>, trigger: Trigger, settings: &Settings) -> Step {
        let name = target.secret.id.as_str();
        let (sync, class) = (self.0.pairs.sync(name), self.0.pairs.class(name));
        match plan::plan(target, &sync, class.as_deref(), trigger) {
            Step::Nothing | Step::Observe(Aspect::Answer)
                if !trigger.creating
                    && self.is_written_otherwise(target, settings, &sync, class.as_deref()) =>
            {
                Step::Repair
            }
            step => step,
        }
    }

    /// Whether a write would differ from the last one: the engine's settings changed, or another manager
    /// changed metadata, which does not increase the generation.
    fn is_written_otherwise(
        &self,
        target: &Target<'_>,
        settings: &Settings,
        sync: &CachedSync,
        class: Option<&SecretProviderClass>,
    ) -> bool {
        let (Some(written), Some(access)) = (&target.edge.digest, &settings.identity) else { return false };
        let pair = Pair::of(target.secret, &self.0.vault, access);
        let is_changed = match (sync, class, target.delegation) {
            (CachedSync::Present(sync), Some(class), Some(delegation)) => {
                // A watch may be behind our own write.
                sync.metadata.generation >= Some(delegation.sync_generation)
                    && class.metadata.generation >= Some(delegation.class_generation)
                    && !pair.is_held_by(class, sync)
            }
            _ => false,
        };
        is_changed || *written != self.digest_of(&pair)
    }

    pub(in crate::edge::engine) fn compare(
        &self,
        target: &Target<'_>,
        state: &VaultState,
        attempt: Attempt,
    ) -> Comparison {
        if plan::is_held(target, &state.statuses) {
            return Comparison::Same;
        }
        match plan::is_awaited(target, &state.statuses) {
            // A second write before its answer would make it start over, and restart the wait.
            true if !self.has_failed(target) || self.is_answer_new(target) => Comparison::Awaited,
            true => Comparison::Differs(attempt),
            // Failures count for one set of versions only.
            false => Comparison::Differs(Attempt::New),
        }
    }

    /// Whether the answer to the last write may not have been looked at yet: rotation checks that come faster than that would
    /// write again and again, and nobody would be told of the failure.
    fn is_answer_new(&self, target: &Target<'_>) -> bool {
        let is_requested = target.sync_requests != target.synced_requests;
        let open = target.delegation.filter(|delegation| delegation.open && !is_requested);
        open.is_some_and(|open| self.delegated_at(open).elapsed() < 2 * WATCH_LAG)
    }

    fn has_failed(&self, target: &Target<'_>) -> bool {
        let CachedSync::Present(sync) = self.0.pairs.sync(target.secret.id.as_str()) else { return false };
        matches!(sync_outcome(sync.status.as_ref(), ""), SyncOutcome::Failed(_))
    }

    /// The versions of the last delegation, whether answered or not.
    pub(in crate::edge::engine) fn repair(
        &self,
        target: &Target<'_>,
        is_released: bool,
    ) -> (VaultState, Attempt) {
        let open = target.delegation.filter(|delegation| delegation.open);
        let statuses = match open {
            Some(open) => open.statuses.clone(),
            None => target.secret.references.iter().map(|reference| reference.status.clone()).collect(),
        };
        let attempt = match open.filter(|_| is_released) {
            Some(open) => Attempt::Unanswered(open.nudges + 1),
            None => Attempt::Drift,
        };
        (VaultState { statuses, values: Vec::new() }, attempt)
    }
}

impl<'a> Target<'a> {
    /// The recorded uids of its objects at the edge.
    pub(super) fn known(&self) -> KnownUids<'a> {
        KnownUids {
            uid: self.secret.uid,
            secret: self.edge.uid.as_deref(),
            sync: self.delegation.and_then(|delegation| delegation.sync_uid.as_deref()).or(self.adopted),
            class: self.delegation.and_then(|delegation| delegation.class_uid.as_deref()),
            trusts_label: self.delegation.is_some_and(|delegation| delegation.sync_uid.is_none()),
            are_kinds_gone: false,
        }
    }
}
