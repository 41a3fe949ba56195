//! Something that all share and of which nobody may take all: so much in all, and so much for each who holds some of it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tonic::Status;

use crate::api::connection::limit::{Limit, Refusals};

/// A budget. A clone shares it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    all: (Limit, usize),
    each: (Limit, usize),
    held: Mutex<Held>,
    refusals: Refusals,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_holder: HashMap<String, usize>,
}

/// A part of a budget that somebody holds; given back when it is dropped.
pub(crate) struct Share {
    budget: Arc<Inner>,
    holder: String,
    amount: AtomicUsize,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(all: (Limit, usize), each: (Limit, usize), refusals: Refusals) -> Self {
        Self(Arc::new(Inner { all, each, held: Mutex::default(), refusals }))
    }

    /// What is taken when another budget is spent, by who may take from both.
    pub(crate) fn reserve((limit, amount): (Limit, usize)) -> Self {
        Self::new((limit, amount), (limit, amount), Refusals::default())
    }

    /// A part for a holder; a refusal says which limit was hit, and is counted.
    pub(crate) fn take(&self, holder: &str, amount: usize) -> Result<Share, Status> {
        self.try_take(holder, amount).map_err(|limit| self.refuse(limit))
    }

    /// The same from a reserve where this has no room left for anybody.
    pub(crate) fn take_or(&self, reserve: &Self, holder: &str, amount: usize) -> Result<Share, Status> {
        let taken = self.try_take(holder, amount).or_else(|limit| match limit == self.0.all {
            true => reserve.try_take(holder, amount).map_err(|_| limit),
            false => Err(limit),
        });
        taken.map_err(|limit| self.refuse(limit))
    }

    fn try_take(&self, holder: &str, amount: usize) -> Result<Share, (Limit, usize)> {
        self.0.add(holder, amount)?;
        Ok(Share { budget: self.0.clone(), holder: holder.to_owned(), amount: amount.into() })
    }

    fn refuse(&self, limit: (Limit, usize)) -> Status {
        self.0.refuse(limit)
    }
}

impl Inner {
    fn add(&self, holder: &str, amount: usize) -> Result<(), (Limit, usize)> {
        let mut held = self.held();
        let all = held.all.saturating_add(amount);
        let each = held.by_holder.get(holder).copied().unwrap_or_default().saturating_add(amount);
        // Whoever has too much is told so, also where there is none left for anybody.
        if each > self.each.1 {
            return Err(self.each);
        }
        if all > self.all.1 {
            return Err(self.all);
        }
        held.all = all;
        match held.by_holder.get_mut(holder) {
            Some(count) => *count = each,
            None => drop(held.by_holder.insert(holder.to_owned(), each)),
        }
        Ok(())
    }

    fn refuse(&self, (limit, number): (Limit, usize)) -> Status {
        self.refusals.count(limit);
        limit.refusal(number)
    }

    /// No lock is held across anything that could panic.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }
}

impl Share {
    /// Takes more of the budget.
    pub(crate) fn grow(&self, amount: usize) -> Result<(), Status> {
        self.budget.add(&self.holder, amount).map_err(|limit| self.budget.refuse(limit))?;
        self.amount.fetch_add(amount, Ordering::Relaxed);
        Ok(())
    }

    /// Who holds it.
    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let (mut held, amount) = (self.budget.held(), *self.amount.get_mut());
        held.all -= amount;
        if let Some(count) = held.by_holder.get_mut(&self.holder) {
            *count -= amount;
            if *count == 0 {
                held.by_holder.remove(&self.holder);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budget(all: usize, each: usize) -> Budget {
        Budget::new((Limit::ConcurrentCalls, all), (Limit::CallsPerCaller, each), Refusals::default())
    }

    #[test]
    fn a_share_is_free_again_when_it_is_given_back_and_nothing_is_kept_of_who_holds_none() {
        let budget = budget(100, 2);
        let (first, second) = (budget.take("a", 1).unwrap(), budget.take("a", 1).unwrap());
        assert!(budget.take("a", 1).is_err());
        assert!(budget.take("b", 1).is_ok(), "others have theirs");
        drop(first);
        let third = budget.take("a", 1).unwrap();
        drop((second, third));
        let held = budget.0.held();
        assert!(held.by_holder.is_empty() && held.all == 0);
    }

    #[test]
    fn a_refusal_says_which_limit_was_hit_and_its_number() {
        let budget = budget(3, 2);
        let _held = (budget.take("a", 2).unwrap(), budget.take("b", 1).unwrap());
        let of_caller = budget.take("a", 1).err().unwrap();
        assert!(of_caller.message().starts_with("Too many concurrent calls of one caller"), "{of_caller}");
        assert!(of_caller.message().contains("(2)"), "{of_caller}");
        let of_all = budget.take("b", 1).err().unwrap();
        assert_eq!(of_all.message(), "Too many concurrent calls (3). Retry after one completes.");
    }

    #[test]
    fn a_share_grows_as_far_as_the_budget_goes_and_gives_all_of_it_back() {
        let budget = budget(10, 5);
        let share = budget.take("a", 0).unwrap();
        share.grow(3).unwrap();
        assert!(share.grow(3).is_err(), "more than one may have");
        share.grow(2).unwrap();
        drop(share);
        assert_eq!(budget.0.held().all, 0);
    }

    #[test]
    fn a_reserve_is_there_when_the_budget_is_spent_and_not_for_who_has_too_much() {
        let (budget, reserve) = (budget(2, 2), Budget::reserve((Limit::UnixCalls, 1)));
        let _held = budget.take("a", 2).unwrap();
        assert!(budget.take_or(&reserve, "a", 1).is_err());
        let _last = budget.take_or(&reserve, "unix", 1).unwrap();
        assert!(budget.take_or(&reserve, "unix", 1).is_err());
    }
}
