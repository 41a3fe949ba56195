//! A look that several callers share, as long as it is new enough.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures::future::{BoxFuture, FutureExt, Shared};
use tokio::time::Instant;

/// The last look, which may be under way.
pub(super) struct Looks<T: Clone>(Mutex<Option<(Instant, Shared<BoxFuture<'static, T>>)>>);

// === impl Looks ===

impl<T: Clone> Default for Looks<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Looks<T> {
    /// What the last look found, where that began no longer ago than its `life`, and else what this one finds. It goes on as long as
    /// anybody waits for it.
    pub(super) async fn last(&self, life: Duration, look: impl Future<Output = T> + Send + 'static) -> T {
        let look = {
            let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match &*last {
                Some((begun, look)) if begun.elapsed() < life => look.clone(),
                _ => last.insert((Instant::now(), look.boxed().shared())).1.clone(),
            }
        };
        look.await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    const LIFE: Duration = Duration::from_secs(10);

    /// A look that takes two seconds and tells how many began.
    fn look(count: &Arc<AtomicUsize>) -> impl Future<Output = usize> + Send + 'static {
        let count = count.clone();
        async move {
            let number = count.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
            number
        }
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_come_meanwhile_share_a_look_and_those_who_come_later_have_a_new_one() {
        let (looks, count) = (Looks::default(), Arc::default());
        let (first, second) = tokio::join!(looks.last(LIFE, look(&count)), looks.last(LIFE, look(&count)));
        assert_eq!((first, second), (1, 1));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(looks.last(LIFE, look(&count)).await, 1);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(looks.last(LIFE, look(&count)).await, 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_whose_first_caller_hangs_up_goes_on_for_the_others() {
        let (looks, count) = (Looks::default(), Arc::default());
        let hangs_up = tokio::time::timeout(Duration::from_secs(1), looks.last(LIFE, look(&count)));
        let (hung_up, other) = tokio::join!(hangs_up, looks.last(LIFE, look(&count)));
        assert!(hung_up.is_err());
        assert_eq!(other, 1);
    }
}
