//! A check whose result several callers share while it is recent enough.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::quote::Quote;

/// The last check, which may be under way.
pub(super) struct SharedCheck<T: Clone>(Mutex<Option<(Instant, Check<T>)>>);

/// The result of a check; `None` if it panicked.
type Check<T> = Shared<BoxFuture<'static, Option<T>>>;

// === impl SharedCheck ===

impl<T: Clone> Default for SharedCheck<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> SharedCheck<T> {
    /// The result of the last check if it began within `lifetime`; otherwise runs this one. `None` if that
    /// panics. A check always runs to completion, whoever waits for it: an aborted one would keep its slot in
    /// the vault's rate limiter.
    pub(super) async fn last(
        &self,
        lifetime: Duration,
        check: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let check = {
            let mut last = self.0.lock();
            match &*last {
                Some((begun, check)) if begun.elapsed() < lifetime && !has_panicked(check) => check.clone(),
                _ => last.insert((Instant::now(), run(check))).1.clone(),
            }
        };
        check.await
    }
}

fn run<T: Clone + Send + Sync + 'static>(check: impl Future<Output = T> + Send + 'static) -> Check<T> {
    let check = tokio::spawn(check);
    async move {
        check
            .await
            .inspect_err(
                |error| tracing::error!(error = %Quote::error(error), "a check of the vault panicked"),
            )
            .ok()
    }
    .boxed()
    .shared()
}

fn has_panicked<T: Clone>(check: &Check<T>) -> bool {
    matches!(check.peek(), Some(None))
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    /// A check that takes two seconds and tells how many began.
    fn check(count: &Arc<AtomicUsize>) -> impl Future<Output = usize> + Send + 'static {
        let count = count.clone();
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
            number
        }
    }

    #[tokio::test(start_paused = true)]
    async fn callers_during_a_check_share_it_and_later_callers_start_a_new_one() {
        let (checks, count) = (SharedCheck::default(), Arc::default());
        let (first, second) =
            tokio::join!(checks.last(LIFE, check(&count)), checks.last(LIFE, check(&count)));
        assert_eq!((first, second), (Some(1), Some(1)));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(checks.last(LIFE, check(&count)).await, Some(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(checks.last(LIFE, check(&count)).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_continues_for_others_after_its_first_caller_disconnects() {
        let (checks, count) = (SharedCheck::default(), Arc::default());
        let hangs_up = tokio::time::timeout(Duration::from_secs(1), checks.last(LIFE, check(&count)));
        let (hung_up, other) = tokio::join!(hangs_up, checks.last(LIFE, check(&count)));
        assert!(hung_up.is_err());
        assert_eq!(other, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_without_waiters_runs_to_its_end() {
        let (checks, ended) = (SharedCheck::default(), Arc::new(AtomicUsize::default()));
        let check = {
            let ended = ended.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                ended.fetch_add(1, Ordering::SeqCst);
            }
        };
        let hangs_up = tokio::time::timeout(Duration::from_secs(1), checks.last(LIFE, check)).await;
        assert!(hangs_up.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_panicking_check_fails_only_its_waiters() {
        let checks = SharedCheck::<usize>::default();
        let dies = async { panic!("it dies") };
        assert_eq!(checks.last(LIFE, dies).await, None);
        assert_eq!(checks.last(LIFE, async { 7 }).await, Some(7));
    }
}
