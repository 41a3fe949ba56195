//! Audits denied calls: the first of a kind at once, its repetitions as a count, so that a flood can't fill
//! the disk. Each actor has its own budget: a flood reduces the detail for that actor only.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Secrets;
use crate::{
    model::{AuditAction, Outcome},
    store::{NewAuditEvent, Ring, StoreError},
};

/// How long repetitions are counted before they are recorded.
const COUNT_WINDOW: Duration = Duration::from_secs(60);
/// Maximum kinds counted at a time. Beyond it, the counts of the oldest actor are recorded early.
const MAX_KINDS: usize = 16_384;
/// Denials recorded in one transaction, so that other writers get a turn in between.
const BATCH_SIZE: usize = 100;

/// How denied calls are recorded.
#[derive(Clone, Copy, Debug)]
pub struct DenialOptions {
    /// Kinds of one actor that are recorded separately within a minute; further ones are recorded without the
    /// resource.
    pub kinds_per_actor: usize,
    /// Space for them in the audit.
    pub ring: Ring,
}

/// A denied call.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who called, as far as known.
    pub actor: String,
    /// The RPC.
    pub action: AuditAction,
    /// Resource name; empty if the call has none, or it was not determined.
    pub resource: String,
    /// The code that the caller got.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
}

/// Denials of one actor with the same action, resource and outcome are one kind.
type Kind = (AuditAction, String, String);

/// The denials of the last minute.
pub(super) struct Denials {
    options: DenialOptions,
    actors: Mutex<Actors>,
    /// Denials whose recording failed, kept for a retry; at most `MAX_KINDS`.
    unwritten: Mutex<Vec<Denial>>,
}

#[derive(Default)]
struct Actors {
    by_name: HashMap<String, Kinds>,
    /// Their names, oldest first.
    order: VecDeque<String>,
    kinds: usize,
}

/// The denials of one actor since the first one.
struct Kinds {
    since: Instant,
    /// Repetitions after the first, which was recorded at once.
    more: HashMap<Kind, u64>,
    /// The same for denials recorded without a resource, beyond `kinds_per_actor`.
    brief: HashMap<Kind, u64>,
}

// === impl DenialOptions ===

impl Default for DenialOptions {
    fn default() -> Self {
        Self { kinds_per_actor: 32, ring: Ring { rows: 100_000, bytes: 32 * 1024 * 1024 } }
    }
}

// === impl Denials ===

impl Denials {
    pub(super) fn new(options: DenialOptions) -> Self {
        Self { options, actors: Mutex::default(), unwritten: Mutex::default() }
    }

    /// The denials whose recording failed before, and these.
    fn unwritten_and(&self, denials: Vec<Denial>) -> Vec<Denial> {
        let mut all = std::mem::take(&mut *self.unwritten.lock());
        all.extend(denials);
        all
    }

    fn keep_unwritten(&self, denials: Vec<Denial>) {
        let mut unwritten = self.unwritten.lock();
        unwritten.extend(denials);
        unwritten.truncate(MAX_KINDS);
    }

    /// What to record now: the denial if it is the first of its kind, and the counts whose minute is over.
    fn note(&self, denial: Denial, now: Instant) -> Vec<Denial> {
        let mut actors = self.actors.lock();
        let mut due = actors.take_if(|since| now - since >= COUNT_WINDOW);
        due.extend(actors.count(denial, now, self.options.kinds_per_actor));
        while actors.kinds > MAX_KINDS {
            due.extend(actors.take_oldest());
        }
        due
    }

    /// All counts.
    fn all(&self) -> Vec<Denial> {
        self.actors.lock().take_if(|_| true)
    }
}

// === impl Actors ===

impl Actors {
    /// Counts a denial, and returns it if it must be recorded now.
    fn count(&mut self, mut denial: Denial, now: Instant, most: usize) -> Option<Denial> {
        let kinds = self.by_name.entry(denial.actor.clone()).or_insert_with(|| {
            self.order.push_back(denial.actor.clone());
            Kinds { since: now, more: HashMap::new(), brief: HashMap::new() }
        });
        let counted = match kinds.more.len() < most || kinds.more.contains_key(&denial.kind()) {
            true => &mut kinds.more,
            false => {
                denial.resource = String::new();
                denial.detail =
                    format!("and other resources, too many to record each; the last one: {}", denial.detail);
                &mut kinds.brief
            }
        };
        if let Some(more) = counted.get_mut(&denial.kind()) {
            *more += 1;
            return None;
        }
        counted.insert(denial.kind(), 0);
        self.kinds += 1;
        Some(denial)
    }

    /// Takes out the actors whose window is over.
    fn take_if(&mut self, is_over: impl Fn(Instant) -> bool) -> Vec<Denial> {
        let mut expired = Vec::new();
        while let Some(first) = self.order.front()
            && self.by_name.get(first).is_none_or(|kinds| is_over(kinds.since))
        {
            expired.extend(self.take_oldest());
        }
        expired
    }

    /// Takes out the oldest actor; returns its repetitions.
    fn take_oldest(&mut self) -> Vec<Denial> {
        let Some(actor) = self.order.pop_front() else { return Vec::new() };
        let Some(Kinds { more, brief, .. }) = self.by_name.remove(&actor) else { return Vec::new() };
        self.kinds -= more.len() + brief.len();
        let repeated = more.into_iter().chain(brief).filter(|(_, more)| *more > 0);
        let denial = |((action, resource, outcome), more): (Kind, u64)| Denial {
            actor: actor.clone(),
            action,
            resource,
            outcome: Outcome(outcome),
            detail: format!("{more} more times since"),
        };
        repeated.map(denial).collect()
    }
}

// === impl Denial ===

impl Denial {
    fn kind(&self) -> Kind {
        (self.action.clone(), self.resource.clone(), self.outcome.0.clone())
    }
}

// === impl Secrets ===

impl Secrets {
    /// Records a denial. If that fails, the call is refused all the same.
    pub async fn record_denial(&self, denial: Denial) {
        let this = self.clone();
        // In a task, so that a caller who disconnects can't prevent the record.
        let recorded = self.0.tasks.spawn(async move {
            this.record_all(this.0.denials.note(denial, Instant::now())).await;
        });
        let _ = recorded.await;
    }

    /// Records all counts: before the audit is read, and at shutdown.
    pub(super) async fn flush_denials(&self) {
        self.record_all(self.0.denials.all()).await;
    }

    async fn record_all(&self, denials: Vec<Denial>) {
        let mut denials = self.0.denials.unwritten_and(denials);
        while !denials.is_empty() {
            let rest = denials.split_off(denials.len().min(BATCH_SIZE));
            if let Err(error) = self.record_some(&denials).await {
                tracing::error!(%error, "failed to record denied calls; retrying with the next one");
                denials.extend(rest);
                return self.0.denials.keep_unwritten(denials);
            }
            denials = rest;
        }
    }

    async fn record_some(&self, denials: &[Denial]) -> Result<(), StoreError> {
        let event = |denial: &Denial| NewAuditEvent {
            actor: denial.actor.clone(),
            action: denial.action.clone(),
            resource: denial.resource.clone(),
            outcome: denial.outcome.clone(),
            detail: denial.detail.clone(),
            request_id: String::new(),
        };
        self.0.store.audit_denials(denials.iter().map(event).collect(), &self.0.denials.options.ring).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(actor: &str, resource: &str) -> Denial {
        Denial {
            actor: actor.to_owned(),
            action: AuditAction::GetSyncedSecret,
            resource: resource.to_owned(),
            outcome: Outcome("PERMISSION_DENIED".to_owned()),
            detail: "may not".to_owned(),
        }
    }

    fn denials() -> Denials {
        Denials::new(DenialOptions::default())
    }

    fn details(denials: &[Denial]) -> Vec<&str> {
        denials.iter().map(|denial| denial.detail.as_str()).collect()
    }

    #[test]
    fn the_first_denial_is_reported_at_once_and_the_rest_as_a_count_after_a_minute() {
        let (denials, begun) = (denials(), Instant::now());
        assert_eq!(details(&denials.note(denial("a", "x"), begun)), ["may not"]);
        for _ in 0..41 {
            assert!(denials.note(denial("a", "x"), begun).is_empty());
        }
        assert_eq!(details(&denials.note(denial("b", "x"), begun)), ["may not"]);
        let told = denials.note(denial("b", "y"), begun + COUNT_WINDOW);
        assert_eq!(details(&told), ["41 more times since", "may not"]);
        assert_eq!(told[0].actor, "a");
        assert!(denials.all().is_empty(), "what happened once was told");
    }

    #[test]
    fn denials_beyond_the_budget_still_name_the_caller() {
        let (denials, begun) = (denials(), Instant::now());
        let told: Vec<_> =
            (0..1_000).flat_map(|n| denials.note(denial("a", &n.to_string()), begun)).collect();
        assert_eq!(told.len(), 33, "the first of 32 kinds, and one that stands for all others");
        assert!(told.iter().all(|denial| denial.actor == "a"));
        assert_eq!((&told[32].action, told[32].resource.as_str()), (&AuditAction::GetSyncedSecret, ""));
        let rest = denials.all();
        assert_eq!(details(&rest), [format!("{} more times since", 1_000 - 33)]);
        assert_eq!((rest[0].actor.as_str(), &rest[0].action), ("a", &AuditAction::GetSyncedSecret));
    }

    #[test]
    fn the_denials_of_one_caller_use_no_budget_of_another() {
        let (denials, begun) = (denials(), Instant::now());
        for n in 0..100_000 {
            denials.note(denial("noise", &n.to_string()), begun);
        }
        let told = denials.note(denial("quiet", "x"), begun);
        assert_eq!((told[0].actor.as_str(), told[0].resource.as_str()), ("quiet", "x"));
    }

    #[test]
    fn every_denied_caller_is_reported_by_name_within_bounded_memory() {
        let (denials, begun) = (denials(), Instant::now());
        let mut told = std::collections::HashSet::new();
        for n in 0..MAX_KINDS * 3 {
            let actor = format!("a{n}");
            told.extend(denials.note(denial(&actor, "x"), begun).into_iter().map(|denial| denial.actor));
            denials.note(denial(&actor, "x"), begun);
            assert!(denials.actors.lock().kinds <= MAX_KINDS);
        }
        assert_eq!(told.len(), MAX_KINDS * 3);
        let rest = denials.all();
        assert_eq!(rest.len(), MAX_KINDS, "the others were told before their time");
        assert_eq!(denials.actors.lock().kinds, 0);
    }
}
