//! A check whose result several callers share while it is recent enough.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt, Shared};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::quote::Quote;

/// The last look, which may be under way.
pub(super) struct Looks<T: Clone>(Mutex<Option<(Instant, Look<T>)>>);

/// What a look found, or nothing where it has died.
type Look<T> = Shared<BoxFuture<'static, Option<T>>>;

// === impl Looks ===

impl<T: Clone> Default for Looks<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone + Send + Sync + 'static> Looks<T> {
    /// What the last look found, where that began no longer ago than its `life`, and else what this one
    /// finds; nothing where that has died. It goes to its end, whoever waits for it: one that stopped half
    /// way would keep what it holds of the vault's pace.
    pub(super) async fn last(
        &self,
        life: Duration,
        look: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let look = {
            let mut last = self.0.lock();
            match &*last {
                Some((begun, look)) if begun.elapsed() < life && !has_died(look) => look.clone(),
                _ => last.insert((Instant::now(), run(look))).1.clone(),
            }
        };
        look.await
    }
}

fn run<T: Clone + Send + Sync + 'static>(look: impl Future<Output = T> + Send + 'static) -> Look<T> {
    let look = tokio::spawn(look);
    async move {
        look.await
            .inspect_err(
                |error| tracing::error!(error = %Quote::error(error), "a check of the vault panicked"),
            )
            .ok()
    }
    .boxed()
    .shared()
}

fn has_died<T: Clone>(look: &Look<T>) -> bool {
    matches!(look.peek(), Some(None))
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
        assert_eq!((first, second), (Some(1), Some(1)));
        tokio::time::advance(Duration::from_secs(7)).await;
        assert_eq!(looks.last(LIFE, look(&count)).await, Some(1));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(looks.last(LIFE, look(&count)).await, Some(2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_whose_first_caller_hangs_up_goes_on_for_the_others() {
        let (looks, count) = (Looks::default(), Arc::default());
        let hangs_up = tokio::time::timeout(Duration::from_secs(1), looks.last(LIFE, look(&count)));
        let (hung_up, other) = tokio::join!(hangs_up, looks.last(LIFE, look(&count)));
        assert!(hung_up.is_err());
        assert_eq!(other, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_nobody_waits_for_any_more_goes_to_its_end() {
        let (looks, ended) = (Looks::default(), Arc::new(AtomicUsize::default()));
        let look = {
            let ended = ended.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(2)).await;
                ended.fetch_add(1, Ordering::SeqCst);
            }
        };
        let hangs_up = tokio::time::timeout(Duration::from_secs(1), looks.last(LIFE, look)).await;
        assert!(hangs_up.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(ended.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_dies_is_told_to_who_waits_and_to_nobody_else() {
        let looks = Looks::<usize>::default();
        let dies = async { panic!("it dies") };
        assert_eq!(looks.last(LIFE, dies).await, None);
        assert_eq!(looks.last(LIFE, async { 7 }).await, Some(7));
    }
}
