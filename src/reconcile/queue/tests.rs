//! The laws of the queue, by example.

mod any_order;

use tokio::time::{Instant, advance, timeout};

use super::*;
use crate::vault::{self, Priority, Vault};

const LANES: [Lane; Lane::COUNT] = [Lane::Background, Lane::Interactive, Lane::Deletion];

fn add(queue: &Queue, uid: Uuid, lane: Lane) {
    queue.add(uid, lane, None);
}

/// The next key of a lane, where there is one without waiting.
fn next(queue: &Queue, lane: Lane) -> Option<Uuid> {
    queue.lock().get(lane).map(|work| work.uid)
}

/// Ends the delays that are due.
async fn run_due(queue: &Queue) {
    let _ = timeout(Duration::from_millis(1), queue.run_delays()).await;
}

#[tokio::test(start_paused = true)]
async fn a_key_added_twice_is_processed_once() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    add(&queue, uid, Lane::Background);
    assert_eq!(queue.get(Lane::Background).await.uid, uid);
    queue.done(uid, Requeue::Never);
    assert_eq!(next(&queue, Lane::Background), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_moves_to_another_lane_leaves_its_old_lane() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    add(&queue, uid, Lane::Interactive);
    assert_eq!(queue.get(Lane::Interactive).await.uid, uid);
    assert_eq!(next(&queue, Lane::Background), None, "a second worker would get it");
    add(&queue, uid, Lane::Background);
    queue.done(uid, Requeue::Now);
    assert_eq!(next(&queue, Lane::Interactive), Some(uid));
    assert_eq!(next(&queue, Lane::Background), None);
}

#[tokio::test(start_paused = true)]
async fn a_key_added_while_it_is_processed_is_processed_once_more_afterwards() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    queue.get(Lane::Background).await;
    for lane in [Lane::Interactive, Lane::Background] {
        add(&queue, uid, lane);
        assert!(LANES.iter().all(|lane| next(&queue, *lane).is_none()));
    }
    queue.done(uid, Requeue::Never);
    assert_eq!(queue.get(Lane::Interactive).await.uid, uid);
    queue.done(uid, Requeue::Never);
    assert!(queue.lock().entries.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_more_urgent_add_supersedes_the_running_work() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    for (lane, urgent) in [(Lane::Background, Lane::Interactive), (Lane::Interactive, Lane::Deletion)] {
        add(&queue, uid, lane);
        let work = queue.get(lane).await;
        add(&queue, uid, lane);
        assert!(!work.superseded.is_cancelled(), "as urgent is not more urgent");
        add(&queue, uid, urgent);
        assert_eq!(work.unless_superseded(std::future::pending::<()>()).await, None);
        queue.done(uid, Requeue::Never);
        assert_eq!(queue.get(urgent).await.uid, uid);
        queue.done(uid, Requeue::Never);
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_is_not_superseded_gets_its_answer() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    let work = queue.get(Lane::Background).await;
    assert_eq!(work.unless_superseded(async { 7 }).await, Some(7));
}

/// Reads that begin now.
fn reads() -> Arc<SharedReads> {
    let vault = Vault::connect(&vault::Options::of_tests());
    Arc::new(SharedReads::new(vault.unwrap(), Priority::Background))
}

#[tokio::test(start_paused = true)]
async fn work_gets_the_newest_reads_that_were_added() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    let older = reads();
    advance(Duration::from_secs(1)).await;
    let newer = reads();
    for asked in [
        vec![Some(&older), Some(&newer)],
        vec![Some(&newer), Some(&older)],
        vec![Some(&newer), None],
        vec![None, Some(&newer)],
    ] {
        for reads in asked {
            queue.add(uid, Lane::Background, reads.cloned());
        }
        let work = queue.get(Lane::Background).await;
        assert!(Arc::ptr_eq(&work.reads.unwrap(), &newer));
        queue.done(uid, Requeue::Never);
    }
    add(&queue, uid, Lane::Background);
    assert!(queue.get(Lane::Background).await.reads.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_its_own_write_does_not_end_the_back_off() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    let mut looks = 0;
    for _ in 0..3_600 {
        if let Some(uid) = next(&queue, Lane::Background) {
            looks += 1;
            add(&queue, uid, Lane::Background);
            queue.done(uid, Requeue::Backoff(None));
            add(&queue, uid, Lane::Background);
        }
        advance(Duration::from_millis(100)).await;
        run_due(&queue).await;
    }
    assert!(looks <= 60, "{looks} looks in six minutes");
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_after_its_pause_and_its_retry_after() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    queue.get(Lane::Background).await;
    let failed = Instant::now();
    queue.done(uid, Requeue::Backoff(Some(Duration::from_secs(20))));
    add(&queue, uid, Lane::Background);
    tokio::select! {
        () = queue.run_delays() => {}
        work = queue.get(Lane::Background) => assert_eq!(work.uid, uid),
    }
    assert!(failed.elapsed() >= Duration::from_secs(20));
}

#[tokio::test(start_paused = true)]
async fn repeated_events_start_no_second_chain_of_retries() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    let mut looks = 0;
    for _ in 0..200 {
        add(&queue, uid, Lane::Background);
        if let Some(uid) = next(&queue, Lane::Background) {
            looks += 1;
            add(&queue, uid, Lane::Background);
            queue.done(uid, Requeue::Backoff(None));
        }
        advance(Duration::from_millis(10)).await;
        run_due(&queue).await;
    }
    assert!(looks <= 40, "{looks} looks in two seconds");
    for _ in 0..3_600 {
        advance(Duration::from_secs(1)).await;
        run_due(&queue).await;
        if let Some(uid) = next(&queue, Lane::Background) {
            looks += 1;
            queue.done(uid, Requeue::Backoff(None));
        }
    }
    assert!(looks <= 200, "{looks} looks in an hour");
}

#[tokio::test(start_paused = true)]
async fn an_event_shortens_the_pause_of_a_failure_to_an_eighth_of_the_longest() {
    let (queue, uids) = (Queue::default(), [(); 16].map(|()| Uuid::new_v4()));
    for uid in uids {
        add(&queue, uid, Lane::Interactive);
        for _ in 0..8 {
            queue.get(Lane::Interactive).await;
            queue.done(uid, Requeue::Backoff(None));
            add(&queue, uid, Lane::Interactive);
        }
        queue.get(Lane::Interactive).await;
        queue.done(uid, Requeue::Backoff(None));
        add(&queue, uid, Lane::Background);
    }
    let shortened = LONGEST_PAUSE / SHORTENED;
    advance(shortened - Duration::from_millis(10)).await;
    run_due(&queue).await;
    assert_eq!(next(&queue, Lane::Background), None, "so soon, the event may be of its own write");
    advance(Duration::from_millis(20)).await;
    for _ in uids {
        run_due(&queue).await;
    }
    let looks = std::iter::from_fn(|| next(&queue, Lane::Background)).count();
    assert_eq!(looks, uids.len());
}

#[tokio::test(start_paused = true)]
async fn an_interactive_add_ends_a_back_off() {
    let (queue, uid) = (Queue::default(), Uuid::new_v4());
    add(&queue, uid, Lane::Background);
    queue.get(Lane::Background).await;
    queue.done(uid, Requeue::Backoff(Some(Duration::MAX)));
    add(&queue, uid, Lane::Interactive);
    assert_eq!(next(&queue, Lane::Interactive), Some(uid));
    queue.done(uid, Requeue::Never);
    advance(LONGEST_PAUSE).await;
    run_due(&queue).await;
    assert_eq!(next(&queue, Lane::Background), None, "the delay is gone, too");
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_of_a_day_is_capped_at_the_longest_pause() {
    for asked in [Duration::from_secs(86_400), Duration::MAX] {
        let (queue, uid) = (Queue::default(), Uuid::new_v4());
        add(&queue, uid, Lane::Background);
        queue.get(Lane::Background).await;
        let failed = Instant::now();
        queue.done(uid, Requeue::Backoff(Some(asked)));
        add(&queue, uid, Lane::Background);
        assert_eq!(next(&queue, Lane::Background), None, "the answer is heeded");
        tokio::select! {
            () = queue.run_delays() => {}
            work = queue.get(Lane::Background) => assert_eq!(work.uid, uid),
        }
        // Timers are exact to the millisecond.
        assert!(failed.elapsed() <= LONGEST_PAUSE + Duration::from_millis(1), "{:?}", failed.elapsed());
    }
}
