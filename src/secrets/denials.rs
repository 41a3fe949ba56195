//! Calls that were not let in, in the audit: the first of a kind at once, its repetitions as a number, so that a flood of them
//! fills no disk.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::Secrets;
use crate::{
    model::{OTHERS, Outcome},
    store::NewAuditEvent,
};

/// How long repetitions are counted before they are told.
const WINDOW: Duration = Duration::from_secs(60);
/// Kinds that are told apart at a time; more of them are counted together.
const KINDS: usize = 1_024;

/// A call that was not let in.
#[derive(Clone, Debug)]
pub struct Denial {
    /// Who called, as far as anybody knows.
    pub actor: String,
    /// The RPC.
    pub action: &'static str,
    /// Resource name; empty where the call is about none, or nobody has looked.
    pub resource: String,
    /// The code that the caller was told.
    pub outcome: Outcome,
    /// For people.
    pub detail: String,
}

/// What makes two denials one kind: actor, action, resource and outcome.
type Kind = (String, &'static str, String, String);

/// The denials of the last minute.
#[derive(Default)]
pub(super) struct Denials(Mutex<HashMap<Kind, Count>>);

struct Count {
    since: Instant,
    /// After the first, which was told.
    more: u64,
}

// === impl Denials ===

impl Denials {
    /// What is to be recorded now: the denial where it is the first of its kind, and the numbers of those whose minute is over.
    fn note(&self, mut denial: Denial, now: Instant) -> Vec<Denial> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = over(&mut kinds, |count| now - count.since >= WINDOW);
        if kinds.len() >= KINDS && !kinds.contains_key(&denial.kind()) {
            denial = Denial {
                actor: OTHERS.to_owned(),
                resource: String::new(),
                detail: "too many callers or resources are refused to tell them apart".to_owned(),
                ..denial
            };
        }
        match kinds.get_mut(&denial.kind()) {
            Some(count) => count.more += 1,
            None => {
                kinds.insert(denial.kind(), Count { since: now, more: 0 });
                due.push(denial);
            }
        }
        due
    }

    /// The numbers of all that was counted.
    fn all(&self) -> Vec<Denial> {
        over(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), |_| true)
    }
}

/// Takes out what is over; what was repeated is told.
fn over(kinds: &mut HashMap<Kind, Count>, is_over: impl Fn(&Count) -> bool) -> Vec<Denial> {
    let over = kinds.extract_if(|_, count| is_over(count)).filter(|(_, count)| count.more > 0);
    over.map(|((actor, action, resource, outcome), count)| Denial {
        actor,
        action,
        resource,
        outcome: Outcome(outcome),
        detail: format!("{} more times since", count.more),
    })
    .collect()
}

// === impl Denial ===

impl Denial {
    fn kind(&self) -> Kind {
        (self.actor.clone(), self.action, self.resource.clone(), self.outcome.0.clone())
    }
}

// === impl Secrets ===

impl Secrets {
    /// Records a denial. Where it can't be, the call is refused all the same.
    pub async fn record_denial(&self, denial: Denial) {
        self.record_all(self.0.denials.note(denial, Instant::now())).await;
    }

    /// Records what was counted until now: before anybody looks, and at the end.
    pub(super) async fn settle_denials(&self) {
        self.record_all(self.0.denials.all()).await;
    }

    async fn record_all(&self, denials: Vec<Denial>) {
        for Denial { actor, action, resource, outcome, detail } in denials {
            let event = NewAuditEvent { actor, action, resource, outcome, detail, request_id: String::new() };
            if let Err(error) = self.0.store.audit(event).await {
                tracing::error!(%error, "a denial could not be recorded");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(actor: &str, resource: &str) -> Denial {
        Denial {
            actor: actor.to_owned(),
            action: "GetSyncedSecret",
            resource: resource.to_owned(),
            outcome: Outcome("PERMISSION_DENIED".to_owned()),
            detail: "may not".to_owned(),
        }
    }

    fn details(denials: &[Denial]) -> Vec<&str> {
        denials.iter().map(|denial| denial.detail.as_str()).collect()
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_as_a_number_when_the_minute_is_over() {
        let (denials, begun) = (Denials::default(), Instant::now());
        assert_eq!(details(&denials.note(denial("a", "x"), begun)), ["may not"]);
        for _ in 0..41 {
            assert!(denials.note(denial("a", "x"), begun).is_empty());
        }
        assert_eq!(details(&denials.note(denial("b", "x"), begun)), ["may not"]);
        let told = denials.note(denial("b", "y"), begun + WINDOW);
        assert_eq!(details(&told), ["41 more times since", "may not"]);
        assert_eq!(told[0].actor, "a");
        assert!(denials.all().is_empty(), "what happened once was told");
    }

    #[test]
    fn what_can_not_be_told_apart_any_more_is_counted_together() {
        let (denials, begun) = (Denials::default(), Instant::now());
        let told: usize =
            (0..KINDS * 2).map(|n| denials.note(denial("a", &n.to_string()), begun).len()).sum();
        assert_eq!(told, KINDS + 1);
        let rest = denials.all();
        assert_eq!(details(&rest), [format!("{} more times since", KINDS - 1)]);
        assert_eq!(rest[0].actor, OTHERS);
    }
}
