//! The rate limiter under a paused clock.

use super::{state::WINDOW, *};

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn rate_limiter(in_flight: usize, per_window: Option<u32>) -> Arc<RateLimiter> {
    RateLimiter::new(Limits { in_flight, waiting: 2_048, per_window })
}

fn caller(name: &str) -> Owner {
    Owner::Caller(name.into())
}

fn person() -> Owner {
    caller("person")
}

/// Queues a call that notes its name when it gets in and holds its slot for a moment.
async fn queue(
    rate_limiter: &Arc<RateLimiter>,
    owner: &Owner,
    name: &'static str,
    order: &Arc<Mutex<Vec<&'static str>>>,
) {
    let (rate_limiter, owner, order) = (rate_limiter.clone(), owner.clone(), order.clone());
    tokio::spawn(async move {
        let _permit = rate_limiter.enter(&owner, in_seconds(60)).await;
        order.lock().push(name);
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_allowed() {
    let rate_limiter = self::rate_limiter(2, None);
    let first = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let _second = rate_limiter.enter(&Owner::Background, in_seconds(1)).await.ok().unwrap();
    assert_eq!(rate_limiter.enter(&person(), in_seconds(1)).await.err(), Some(Rejected::DeadlineExceeded));
    drop(first);
    assert!(rate_limiter.enter(&person(), in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_interactive_call_gets_the_next_free_slot_before_background_work() {
    let (rate_limiter, order) = (self::rate_limiter(1, None), Arc::default());
    let held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    queue(&rate_limiter, &Owner::Background, "background", &order).await;
    queue(&rate_limiter, &Owner::Background, "background", &order).await;
    queue(&rate_limiter, &person(), "person", &order).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*order.lock(), ["person", "background", "background"]);
}

#[tokio::test(start_paused = true)]
async fn background_work_gets_a_slot_after_eight_interactive_calls() {
    let (rate_limiter, order) = (self::rate_limiter(1, None), Arc::default());
    let held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    queue(&rate_limiter, &Owner::Background, "background", &order).await;
    for _ in 0..12 {
        queue(&rate_limiter, &person(), "person", &order).await;
    }
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(order.lock().iter().position(|name| *name == "background"), Some(8));
    assert_eq!(order.lock().len(), 13);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_waiter_takes_no_slot() {
    let rate_limiter = self::rate_limiter(1, None);
    let held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    for _ in 0..100 {
        let waiting = rate_limiter.enter(&Owner::Background, in_seconds(60));
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    }
    drop(held);
    assert!(rate_limiter.enter(&Owner::Background, in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_retry_after() {
    let rate_limiter = self::rate_limiter(4, None);
    let before = Instant::now();
    rate_limiter.throttled(Some(Duration::from_secs(7)));
    assert!(rate_limiter.enter(&person(), in_seconds(10)).await.is_ok());
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_ends_within_the_pause_fails_at_once() {
    let rate_limiter = self::rate_limiter(4, None);
    rate_limiter.throttled(Some(Duration::from_secs(7)));
    let before = Instant::now();
    let refused = rate_limiter.enter(&person(), in_seconds(5)).await.err();
    assert_eq!(refused, Some(Rejected::Paused(Duration::from_secs(7))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_waiting_for_a_slot_fails_when_a_pause_outlasts_its_deadline() {
    let rate_limiter = self::rate_limiter(1, None);
    let _held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let waiting = tokio::spawn({
        let rate_limiter = rate_limiter.clone();
        async move { rate_limiter.enter(&person(), in_seconds(5)).await.err() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    rate_limiter.throttled(Some(Duration::from_secs(9)));
    let before = Instant::now();
    assert_eq!(waiting.await.unwrap(), Some(Rejected::Paused(Duration::from_secs(9))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_429_halves_the_concurrency_once_and_successes_restore_it() {
    let rate_limiter = self::rate_limiter(8, None);
    for _ in 0..8 {
        rate_limiter.throttled(Some(Duration::from_secs(1)));
    }
    assert_eq!(rate_limiter.state().allowed, 4.0);
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        rate_limiter.throttled(Some(Duration::from_secs(1)));
    }
    assert_eq!(rate_limiter.state().allowed, 1.0);
    for _ in 0..100 {
        rate_limiter.succeeded();
    }
    assert_eq!(rate_limiter.state().allowed, 8.0);
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_pauses_grow_to_a_bound() {
    let rate_limiter = self::rate_limiter(8, None);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        rate_limiter.throttled(None);
        let resume = rate_limiter.state().resume.unwrap();
        pauses.push(resume - Instant::now());
        tokio::time::sleep_until(resume).await;
    }
    assert!((Duration::from_secs(1)..=Duration::from_secs(2)).contains(&pauses[0]), "{pauses:?}");
    let longest = BACKOFF.pause(u32::MAX);
    assert!(pauses[9] >= longest / 2 && pauses[9] <= longest, "{pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn the_configured_rate_holds_in_any_ten_seconds() {
    let rate_limiter = self::rate_limiter(4, Some(5));
    let start = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..12 {
        assert!(rate_limiter.enter(&Owner::Background, in_seconds(60)).await.is_ok());
        sent.push(start.elapsed());
    }
    for (earlier, later) in sent.iter().zip(&sent[5..]) {
        assert!(*later - *earlier >= WINDOW, "{sent:?}");
    }
}

/// Calls of a caller that hold what they get for a second each, and when they got it.
fn flood(rate_limiter: &Arc<RateLimiter>, owner: &Owner, calls: usize) -> Arc<Mutex<Vec<Instant>>> {
    let entered = Arc::<Mutex<Vec<Instant>>>::default();
    for _ in 0..calls {
        let (rate_limiter, owner, entered) = (rate_limiter.clone(), owner.clone(), entered.clone());
        tokio::spawn(async move {
            if let Ok(_permit) = rate_limiter.enter(&owner, in_seconds(600)).await {
                entered.lock().push(Instant::now());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    entered
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_floods_the_vault_delays_only_itself() {
    let rate_limiter = self::rate_limiter(32, None);
    let flood = flood(&rate_limiter, &caller("viewer"), 200);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(flood.lock().len(), 16, "half of the slots");
    let before = Instant::now();
    for other in ["editor", "console"] {
        rate_limiter.enter(&caller(other), in_seconds(60)).await.ok().unwrap();
    }
    rate_limiter.enter(&Owner::Background, in_seconds(60)).await.ok().unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn callers_take_turns_regardless_of_arrival() {
    let (rate_limiter, order) = (self::rate_limiter(1, None), Arc::default());
    let held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    for _ in 0..4 {
        queue(&rate_limiter, &caller("viewer"), "viewer", &order).await;
    }
    for _ in 0..2 {
        queue(&rate_limiter, &caller("editor"), "editor", &order).await;
    }
    queue(&rate_limiter, &caller("console"), "console", &order).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let expected = ["viewer", "editor", "console", "viewer", "editor", "viewer", "viewer"];
    assert_eq!(*order.lock(), expected);
}

#[tokio::test(start_paused = true)]
async fn eight_callers_and_the_service_keep_their_own_slots_while_the_vault_hangs() {
    let rate_limiter = self::rate_limiter(32, None);
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        for _ in 0..8 {
            held.extend(rate_limiter.enter(&caller(name), in_seconds(1)).await.ok());
        }
    }
    assert_eq!(held.len(), 28);
    assert!(rate_limiter.enter(&Owner::Background, in_seconds(1)).await.is_ok());
    held.clear();
    while let Ok(permit) = rate_limiter.enter(&Owner::Background, in_seconds(1)).await {
        held.push(permit);
    }
    assert_eq!(held.len(), 28);
    assert!(rate_limiter.enter(&caller("a"), in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_uses_the_whole_rate_leaves_an_eighth_for_others() {
    let rate_limiter = self::rate_limiter(32, Some(160));
    let (viewer, background) = (caller("viewer"), Owner::Background);
    for owner in [&viewer, &background] {
        while rate_limiter.enter(owner, in_seconds(5)).await.is_ok() {}
    }
    // The first who flooded left an eighth, and the second one's first few came from that.
    assert_eq!(rate_limiter.state().sent.len(), 150);
    let before = Instant::now();
    for name in ["editor", "console"] {
        assert!(rate_limiter.enter(&caller(name), in_seconds(5)).await.is_ok());
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    // Who floods waits for the window, and is in the end not shut out.
    assert!(rate_limiter.enter(&viewer, in_seconds(60)).await.is_ok());
    assert!(before.elapsed() > Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn flooding_callers_take_turns_when_the_rate_is_exhausted() {
    let rate_limiter = self::rate_limiter(32, Some(80));
    let (viewer, editor) =
        (flood(&rate_limiter, &caller("viewer"), 200), flood(&rate_limiter, &caller("editor"), 200));
    let (background, waiting) =
        (flood(&rate_limiter, &Owner::Background, 200), tokio::time::sleep(Duration::from_secs(60)));
    waiting.await;
    for owner in [viewer, editor, background] {
        let entered = owner.lock().len();
        assert!(entered >= 50, "{entered} of about 480");
    }
}

#[tokio::test(start_paused = true)]
async fn one_caller_fills_at_most_an_eighth_of_the_queue() {
    let rate_limiter = RateLimiter::new(Limits { in_flight: 1, waiting: 80, per_window: None });
    let held = rate_limiter.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let flood = flood(&rate_limiter, &caller("viewer"), 100);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let before = Instant::now();
    assert_eq!(rate_limiter.enter(&caller("viewer"), in_seconds(60)).await.err(), Some(Rejected::QueueFull));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(rate_limiter.state().waiting, 10);
    drop(held);
    assert!(rate_limiter.enter(&caller("editor"), in_seconds(60)).await.is_ok());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(flood.lock().len(), 10);
    assert!(
        rate_limiter.state().queues.is_empty() && rate_limiter.state().turns.is_empty(),
        "nothing is kept of who has nothing"
    );
}
