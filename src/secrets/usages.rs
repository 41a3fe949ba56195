//! ListSecretUsages, and what stands in the way of a deletion or of a change.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{Call, Cause, Error, NewReference, Problem, Secrets};
use crate::{
    edge::Seen,
    model::{SyncedSecretId, Usage, UsagePlace},
    store::Record,
};

/// How long a call waits for the first look at what uses what, after a start.
const SETTLING: Duration = Duration::from_secs(5);

/// A use, and whether what it names is there.
pub struct ListedUsage {
    /// The use.
    pub usage: Arc<Usage>,
    /// The synced secret lacks a key that it needs.
    pub key_missing: bool,
    /// The edge was looked at, and there is no such secret.
    pub secret_missing: bool,
}

impl Secrets {
    /// The uses after a place, of one synced secret or of all, the broken ones included; and whether there are more.
    ///
    /// Where a kind can't be looked at for good, what is known of the others is listed; the condition `InUse` says so.
    pub async fn list_secret_usages(
        &self,
        deadline: Option<Instant>,
        secret: Option<&SyncedSecretId>,
        after: Option<&UsagePlace>,
        limit: usize,
    ) -> Result<(Vec<ListedUsage>, bool), Error> {
        let usages = self.0.reconciler.usages();
        if let Some(gap) = usages.settled(until(deadline)).await.filter(|gap| !gap.is_for_good()) {
            return Err(Cause::UsagesUnknown { gap, may_force: false }.into());
        }
        let mut page = usages.page(secret.map(SyncedSecretId::as_str), after, limit + 1);
        if let (true, None, Some(secret)) = (page.is_empty(), after, secret) {
            self.find(secret)?;
        }
        let more = page.len() > limit;
        page.truncate(limit);
        Ok((page.into_iter().map(|usage| self.judged(usage)).collect(), more))
    }

    /// The uses of a synced secret, as far as they are known.
    pub fn usages_of(&self, id: &SyncedSecretId) -> Vec<ListedUsage> {
        self.0.reconciler.usages().of(id.as_str()).into_iter().map(|usage| self.judged(usage)).collect()
    }

    /// What uses a synced secret that is to be deleted; refused where anything does, or may, and nobody says `force`.
    pub(super) async fn uses_to_overrule(
        &self,
        call: &Call,
        id: &SyncedSecretId,
        force: bool,
    ) -> Result<Vec<Arc<Usage>>, Error> {
        let usages = self.0.reconciler.usages();
        let unseen = match force {
            true => None,
            false => usages.settled(until(Some(call.deadline))).await,
        };
        let uses = usages.of(id.as_str());
        if force || uses.is_empty() && unseen.is_none() {
            return Ok(uses);
        }
        let problem = |usage: Arc<Usage>| Problem::new("", Cause::InUse { id: id.clone(), usage });
        Error::refuse(uses.into_iter().map(problem).collect())?;
        match unseen {
            Some(gap) => Err(Cause::UsagesUnknown { gap, may_force: true }.into()),
            None => Ok(Vec::new()),
        }
    }

    /// Refuses references that lack a key which something uses.
    pub(super) async fn check_keys_kept(
        &self,
        call: &Call,
        record: &Record,
        references: &[NewReference],
    ) -> Result<(), Error> {
        let held = |key: &str| record.secret.references.iter().any(|held| held.key.as_str() == key);
        let keeps = |key: &str| references.iter().any(|new| new.reference.key.as_str() == key);
        let dropped: Vec<_> =
            record.secret.references.iter().filter(|held| !keeps(held.key.as_str())).collect();
        if dropped.is_empty() {
            return Ok(());
        }
        let (id, usages) = (&record.secret.id, self.0.reconciler.usages());
        // Where a kind can't be looked at for good, what is known must do: an update has no way to insist.
        let unseen = usages.settled(until(Some(call.deadline))).await;
        if let Some(gap) = unseen.filter(|gap| !gap.is_for_good()) {
            return Err(Cause::UsagesUnknown { gap, may_force: false }.into());
        }
        // The API server knows best; where it can't be asked, what the watch told must do.
        let uses = match self.0.reconciler.look_for_uses(&record.secret).await {
            Ok(uses) => uses.into_iter().map(Arc::new).collect(),
            Err(_) => usages.of(id.as_str()),
        };
        let mut problems = Vec::new();
        for key in dropped.iter().map(|reference| &reference.key) {
            for usage in uses.iter().filter(|usage| usage.needs.uses(key.as_str(), held)) {
                let cause = Cause::KeyInUse { id: id.clone(), key: key.clone(), usage: usage.clone() };
                problems.push(Problem::new("", cause));
            }
        }
        Error::refuse(problems)
    }

    fn judged(&self, usage: Arc<Usage>) -> ListedUsage {
        let id: Option<SyncedSecretId> = usage.secret.parse().ok();
        let record = id.as_ref().and_then(|id| self.0.store.view().get(id));
        // What nobody has looked at is not missing.
        let secret_missing = self.0.reconciler.index().get(&usage.secret) == Seen::Gone;
        // Of a Secret that another tool made, the keys are not known: looking would read its values.
        let key_missing = record.is_some_and(|record| {
            let has = |key: &str| record.secret.references.iter().any(|held| held.key.as_str() == key);
            usage.needs.is_missing(has)
        });
        ListedUsage { usage, key_missing, secret_missing }
    }
}

/// When a call no longer waits for the first look.
fn until(deadline: Option<Instant>) -> Instant {
    let settled = Instant::now() + SETTLING;
    deadline.map_or(settled, |deadline| settled.min(deadline - super::sync::MARGIN))
}
