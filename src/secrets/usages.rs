//! ListSecretUsages, and the usages that block a deletion or an update.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Call, Cause, Error, NewReference, Problem, Secrets};
use crate::{
    edge::CachedSecret,
    model::{Contents, SyncedSecretId, Usage, UsagePlace},
    store::Record,
};

/// How long a call waits for the first listing of usages and Secrets after a start.
const FIRST_LISTING_WAIT: Duration = Duration::from_secs(5);

/// A usage, and whether the secret and the key that it names exist.
pub struct ListedUsage {
    /// The usage.
    pub usage: Arc<Usage>,
    /// The synced secret lacks a key that it needs.
    pub key_missing: bool,
    /// The edge was listed, and it has no such Secret.
    pub secret_missing: bool,
}

/// Some of the usages, in their order.
pub struct UsagesPage {
    /// These.
    pub usages: Vec<ListedUsage>,
    /// Whether there are more.
    pub more: bool,
    /// The kinds, `KIND.GROUP`, and groups that can't be read now: what uses secrets there may be missing.
    pub unreachable: Vec<String>,
}

impl Secrets {
    /// The usages after a place, of one synced secret or of all, broken ones included. An error before
    /// the Secrets of the edge were listed: until then, nobody knows which are missing.
    pub async fn list_secret_usages(
        &self,
        deadline: Option<Instant>,
        secret: Option<&SyncedSecretId>,
        after: Option<&UsagePlace>,
        limit: usize,
    ) -> Result<UsagesPage, Error> {
        let (usages, index, until) = (self.0.reconciler.usages(), self.0.reconciler.index(), until(deadline));
        let secrets_listed = index.listed(until).await;
        // Last, with nothing awaited after it: a kind that was found meanwhile counts.
        if let Some(gap) = usages.settled(until).await.filter(|gap| !gap.is_for_good()) {
            return Err(Cause::UsagesUnknown { gap, may_force: false }.into());
        }
        if !secrets_listed {
            return Err(Cause::SecretsUnknown.into());
        }
        // That a program could use a Secret does not mean that it lacks one.
        let wanted = |usage: &Usage| !usage.is_fixed() || index.get(&usage.secret) != CachedSecret::Absent;
        let mut page = usages.page(secret.map(SyncedSecretId::as_str), after, limit + 1, wanted);
        if let (true, None, Some(secret)) = (page.is_empty(), after, secret) {
            self.find(secret)?;
        }
        let more = page.len() > limit;
        page.truncate(limit);
        let gaps = usages.gaps().into_iter().map(|gap| gap.what);
        // What is missing was looked up before the watch of Secrets failed.
        let secrets = (*index.healthy().borrow() == Some(false)).then(|| "Secret".to_owned());
        let unreachable = gaps.chain(secrets).collect();
        Ok(UsagesPage {
            usages: page.into_iter().map(|usage| self.with_missing(usage)).collect(),
            more,
            unreachable,
        })
    }

    /// The known usages of a synced secret.
    pub fn usages_of(&self, id: &SyncedSecretId) -> Vec<ListedUsage> {
        self.0.reconciler.usages().of(id.as_str()).into_iter().map(|usage| self.with_missing(usage)).collect()
    }

    /// The usages that a forced deletion overrides. Without `force`, an error if anything uses the synced
    /// secret, or may.
    pub(super) async fn check_unused(
        &self,
        call: &Call,
        id: &SyncedSecretId,
        force: bool,
    ) -> Result<Vec<Arc<Usage>>, Error> {
        let usages = self.0.reconciler.usages();
        let unlisted = match force {
            true => None,
            false => usages.settled(until(Some(call.deadline))).await,
        };
        let uses = usages.of(id.as_str());
        if force || uses.is_empty() && unlisted.is_none() {
            return Ok(uses);
        }
        let problem = |usage: Arc<Usage>| Problem::new("", Cause::InUse { id: id.clone(), usage });
        Error::refuse(uses.into_iter().map(problem).collect())?;
        match unlisted {
            Some(gap) => Err(Cause::UsagesUnknown { gap, may_force: true }.into()),
            None => Ok(Vec::new()),
        }
    }

    /// Refuses an update that drops a key which a resource uses.
    pub(super) async fn check_keys_kept(
        &self,
        call: &Call,
        record: &Record,
        references: &[NewReference],
    ) -> Result<(), Error> {
        let held = |key: &str| record.secret.has_data_key(key);
        let keys = || references.iter().map(|new| &new.reference.key);
        let contents = Contents::of(&record.secret.secret_type, keys());
        let kept: BTreeSet<_> = keys().map(|key| contents.data_key(key)).collect();
        let dropped: Vec<_> = record.secret.data_keys().difference(&kept).copied().collect();
        if dropped.is_empty() {
            return Ok(());
        }
        let (id, usages) = (&record.secret.id, self.0.reconciler.usages());
        // If a kind can never be listed, the known usages must do: an update has no `force`.
        let unlisted = usages.settled(until(Some(call.deadline))).await;
        if let Some(gap) = unlisted.filter(|gap| !gap.is_for_good()) {
            return Err(Cause::UsagesUnknown { gap, may_force: false }.into());
        }
        // The API server has the newest state; if it can't be reached, fall back to the watch.
        let uses = match self.0.reconciler.list_uses(&record.secret).await {
            Ok(uses) => uses.into_iter().map(Arc::new).collect(),
            Err(_) => usages.of(id.as_str()),
        };
        let mut problems = Vec::new();
        for key in dropped {
            for usage in uses.iter().filter(|usage| usage.needs.uses(key.as_str(), held)) {
                let cause = Cause::KeyInUse { id: id.clone(), key: key.clone(), usage: usage.clone() };
                problems.push(Problem::new("", cause));
            }
        }
        Error::refuse(problems)
    }

    pub(super) fn with_missing(&self, usage: Arc<Usage>) -> ListedUsage {
        let id: Option<SyncedSecretId> = usage.secret.parse().ok();
        let record = id.as_ref().and_then(|id| self.0.store.view().get(id));
        // A secret that was not looked up yet is not missing.
        let secret_missing = self.0.reconciler.index().get(&usage.secret) == CachedSecret::Absent;
        // The keys of another tool's Secret are unknown: listing them would read its values.
        let key_missing =
            record.is_some_and(|record| usage.needs.is_missing(|key| record.secret.has_data_key(key)));
        ListedUsage { usage, key_missing, secret_missing }
    }
}

/// Until when a call waits for the first listing.
pub(super) fn until(deadline: Option<Instant>) -> Instant {
    let settled = Instant::now() + FIRST_LISTING_WAIT;
    deadline.map_or(settled, |deadline| settled.min(deadline - super::sync::RESPONSE_MARGIN))
}
