//! A shared amount of something, such as calls or bytes, with a limit in total and a limit for each holder.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parking_lot::{Mutex, MutexGuard};
use tonic::Status;

use super::limit::{Limit, LimitHits};

/// A budget. A clone shares it.
#[derive(Clone)]
pub(crate) struct Budget(Arc<Inner>);

struct Inner {
    all: (Limit, usize),
    each: (Limit, usize),
    held: Mutex<Held>,
    limit_hits: LimitHits,
}

#[derive(Default)]
struct Held {
    all: usize,
    by_holder: HashMap<String, usize>,
}

/// A part of a budget; returned when it is dropped.
pub(crate) struct Permit {
    budget: Arc<Inner>,
    holder: String,
    amount: AtomicUsize,
}

// === impl Budget ===

impl Budget {
    pub(crate) fn new(all: (Limit, usize), each: (Limit, usize), limit_hits: LimitHits) -> Self {
        Self(Arc::new(Inner { all, each, held: Mutex::default(), limit_hits }))
    }

    /// A budget to take from when another one is spent: see [`Budget::take_or`].
    pub(crate) fn reserve((limit, amount): (Limit, usize)) -> Self {
        Self::new((limit, amount), (limit, amount), LimitHits::default())
    }

    /// Takes a part for a holder. A refusal names the limit, and is counted.
    pub(crate) fn take(&self, holder: &str, amount: usize) -> Result<Permit, Status> {
        self.try_take(holder, amount).map_err(|limit| self.refuse(limit))
    }

    /// The same, from a reserve if this budget is spent.
    pub(crate) fn take_or(&self, reserve: &Self, holder: &str, amount: usize) -> Result<Permit, Status> {
        let taken = self.try_take(holder, amount).or_else(|limit| match limit == self.0.all {
            true => reserve.try_take(holder, amount).map_err(|_| limit),
            false => Err(limit),
        });
        taken.map_err(|limit| self.refuse(limit))
    }

    fn try_take(&self, holder: &str, amount: usize) -> Result<Permit, (Limit, usize)> {
        self.0.add(holder, amount)?;
        Ok(Permit { budget: self.0.clone(), holder: holder.to_owned(), amount: amount.into() })
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
        // A holder above its share gets that error, even if the whole budget is spent, too.
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
        self.limit_hits.count(limit);
        limit.exceeded(number)
    }

    /// Ignores poison: nothing that could panic happens under the lock.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock()
    }
}

impl Permit {
    /// Takes more from the budget.
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

impl Drop for Permit {
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
        Budget::new((Limit::ConcurrentCalls, all), (Limit::CallsPerCaller, each), LimitHits::default())
    }

    #[test]
    fn a_dropped_permit_is_returned_and_holders_of_nothing_are_forgotten() {
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
    fn a_refusal_names_the_limit_and_its_number() {
        let budget = budget(3, 2);
        let _held = (budget.take("a", 2).unwrap(), budget.take("b", 1).unwrap());
        let of_caller = budget.take("a", 1).err().unwrap();
        assert!(of_caller.message().starts_with("Too many concurrent calls of one caller"), "{of_caller}");
        assert!(of_caller.message().contains("(2)"), "{of_caller}");
        let of_all = budget.take("b", 1).err().unwrap();
        assert_eq!(of_all.message(), "Too many concurrent calls (3). Retry after one completes.");
    }

    #[test]
    fn a_permit_grows_up_to_the_limit_and_returns_all_of_it() {
        let budget = budget(10, 5);
        let permit = budget.take("a", 0).unwrap();
        permit.grow(3).unwrap();
        assert!(permit.grow(3).is_err(), "more than one holder may have");
        permit.grow(2).unwrap();
        drop(permit);
        assert_eq!(budget.0.held().all, 0);
    }

    #[test]
    fn a_reserve_serves_when_the_budget_is_spent_but_not_a_holder_with_too_much() {
        let (budget, reserve) = (budget(2, 2), Budget::reserve((Limit::UnixCalls, 1)));
        let _held = budget.take("a", 2).unwrap();
        assert!(budget.take_or(&reserve, "a", 1).is_err());
        let _last = budget.take_or(&reserve, "unix", 1).unwrap();
        assert!(budget.take_or(&reserve, "unix", 1).is_err());
    }
}
