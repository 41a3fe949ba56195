//! The pace under a paused clock.

use super::*;

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Queues a call that notes its name when it gets in and holds its slot for a moment.
async fn queue(
    pace: &Arc<Pace>,
    priority: Priority,
    name: &'static str,
    order: &Arc<Mutex<Vec<&'static str>>>,
) {
    let (pace, order) = (pace.clone(), order.clone());
    tokio::spawn(async move {
        let _permit = pace.enter(priority, in_seconds(60)).await;
        order.lock().unwrap().push(name);
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_allowed() {
    let pace = Pace::new(2, None);
    let first = pace.enter(Priority::Interactive, in_seconds(1)).await.ok().unwrap();
    let _second = pace.enter(Priority::Background, in_seconds(1)).await.ok().unwrap();
    assert_eq!(pace.enter(Priority::Interactive, in_seconds(1)).await.err(), Some(Refused::TooLate));
    drop(first);
    assert!(pace.enter(Priority::Interactive, in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_person_takes_the_next_free_slot_before_the_background() {
    let (pace, order) = (Pace::new(1, None), Arc::default());
    let held = pace.enter(Priority::Interactive, in_seconds(1)).await.ok().unwrap();
    queue(&pace, Priority::Background, "background", &order).await;
    queue(&pace, Priority::Background, "background", &order).await;
    queue(&pace, Priority::Interactive, "person", &order).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*order.lock().unwrap(), ["person", "background", "background"]);
}

#[tokio::test(start_paused = true)]
async fn the_background_has_its_turn_after_eight_persons() {
    let (pace, order) = (Pace::new(1, None), Arc::default());
    let held = pace.enter(Priority::Interactive, in_seconds(1)).await.ok().unwrap();
    queue(&pace, Priority::Background, "background", &order).await;
    for _ in 0..12 {
        queue(&pace, Priority::Interactive, "person", &order).await;
    }
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(order.lock().unwrap().iter().position(|name| *name == "background"), Some(8));
    assert_eq!(order.lock().unwrap().len(), 13);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_takes_no_slot_along() {
    let pace = Pace::new(1, None);
    let held = pace.enter(Priority::Interactive, in_seconds(1)).await.ok().unwrap();
    for _ in 0..100 {
        let waiting = pace.enter(Priority::Background, in_seconds(60));
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    }
    drop(held);
    assert!(pace.enter(Priority::Background, in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_retry_after() {
    let pace = Pace::new(4, None);
    let before = Instant::now();
    pace.throttled(Some(Duration::from_secs(7)));
    assert!(pace.enter(Priority::Interactive, in_seconds(10)).await.is_ok());
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_lies_within_the_pause_hears_so_at_once() {
    let pace = Pace::new(4, None);
    pace.throttled(Some(Duration::from_secs(7)));
    let before = Instant::now();
    let refused = pace.enter(Priority::Interactive, in_seconds(5)).await.err();
    assert_eq!(refused, Some(Refused::Pausing(Duration::from_secs(7))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_slot_hears_of_a_pause_that_outlasts_it() {
    let pace = Pace::new(1, None);
    let _held = pace.enter(Priority::Interactive, in_seconds(1)).await.ok().unwrap();
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { pace.enter(Priority::Interactive, in_seconds(5)).await.err() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    pace.throttled(Some(Duration::from_secs(9)));
    let before = Instant::now();
    assert_eq!(waiting.await.unwrap(), Some(Refused::Pausing(Duration::from_secs(9))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_429_halves_what_is_in_flight_once_and_successes_bring_it_back() {
    let pace = Pace::new(8, None);
    for _ in 0..8 {
        pace.throttled(Some(Duration::from_secs(1)));
    }
    assert_eq!(pace.state().allowed, 4.0);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        pace.throttled(Some(Duration::from_secs(1)));
    }
    assert_eq!(pace.state().allowed, 1.0);
    for _ in 0..100 {
        pace.succeeded();
    }
    assert_eq!(pace.state().allowed, 8.0);
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_pauses_grow_to_a_bound() {
    let pace = Pace::new(8, None);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        pace.throttled(None);
        let resume = pace.state().resume.unwrap();
        pauses.push(resume - Instant::now());
        tokio::time::sleep_until(resume).await;
    }
    assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&pauses[0]), "{pauses:?}");
    assert!(pauses[9] >= LONGEST_GUESS / 2 && pauses[9] <= LONGEST_GUESS, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn any_ten_seconds_see_at_most_the_configured_requests() {
    let pace = Pace::new(4, Some(5));
    let start = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..12 {
        assert!(pace.enter(Priority::Background, in_seconds(60)).await.is_ok());
        sent.push(start.elapsed());
    }
    for (earlier, later) in sent.iter().zip(&sent[5..]) {
        assert!(*later - *earlier >= WINDOW, "{sent:?}");
    }
}
