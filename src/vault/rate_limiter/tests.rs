//! The pace under a paused clock.

use super::*;

fn in_seconds(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

fn pace(in_flight: usize, per_window: Option<u32>) -> Arc<Pace> {
    Pace::new(Limits { in_flight, waiting: 2_048, per_window })
}

fn caller(name: &str) -> Party {
    Party::Caller(name.into())
}

fn person() -> Party {
    caller("person")
}

/// Queues a call that notes its name when it gets in and holds its slot for a moment.
async fn queue(pace: &Arc<Pace>, party: &Party, name: &'static str, order: &Arc<Mutex<Vec<&'static str>>>) {
    let (pace, party, order) = (pace.clone(), party.clone(), order.clone());
    tokio::spawn(async move {
        let _permit = pace.enter(&party, in_seconds(60)).await;
        order.lock().unwrap().push(name);
        tokio::time::sleep(Duration::from_millis(1)).await;
    });
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn no_more_requests_are_in_flight_than_allowed() {
    let pace = self::pace(2, None);
    let first = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let _second = pace.enter(&Party::Background, in_seconds(1)).await.ok().unwrap();
    assert_eq!(pace.enter(&person(), in_seconds(1)).await.err(), Some(Refused::TooLate));
    drop(first);
    assert!(pace.enter(&person(), in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_waiting_person_takes_the_next_free_slot_before_the_background() {
    let (pace, order) = (self::pace(1, None), Arc::default());
    let held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    queue(&pace, &Party::Background, "background", &order).await;
    queue(&pace, &Party::Background, "background", &order).await;
    queue(&pace, &person(), "person", &order).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(*order.lock().unwrap(), ["person", "background", "background"]);
}

#[tokio::test(start_paused = true)]
async fn the_background_has_its_turn_after_eight_persons() {
    let (pace, order) = (self::pace(1, None), Arc::default());
    let held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    queue(&pace, &Party::Background, "background", &order).await;
    for _ in 0..12 {
        queue(&pace, &person(), "person", &order).await;
    }
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(order.lock().unwrap().iter().position(|name| *name == "background"), Some(8));
    assert_eq!(order.lock().unwrap().len(), 13);
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_takes_no_slot_along() {
    let pace = self::pace(1, None);
    let held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    for _ in 0..100 {
        let waiting = pace.enter(&Party::Background, in_seconds(60));
        assert!(tokio::time::timeout(Duration::from_millis(1), waiting).await.is_err());
    }
    drop(held);
    assert!(pace.enter(&Party::Background, in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_before_retry_after() {
    let pace = self::pace(4, None);
    let before = Instant::now();
    pace.throttled(Some(Duration::from_secs(7)));
    assert!(pace.enter(&person(), in_seconds(10)).await.is_ok());
    assert!(before.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_deadline_lies_within_the_pause_hears_so_at_once() {
    let pace = self::pace(4, None);
    pace.throttled(Some(Duration::from_secs(7)));
    let before = Instant::now();
    let refused = pace.enter(&person(), in_seconds(5)).await.err();
    assert_eq!(refused, Some(Refused::Pausing(Duration::from_secs(7))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waits_for_a_slot_hears_of_a_pause_that_outlasts_it() {
    let pace = self::pace(1, None);
    let _held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let waiting = tokio::spawn({
        let pace = pace.clone();
        async move { pace.enter(&person(), in_seconds(5)).await.err() }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    pace.throttled(Some(Duration::from_secs(9)));
    let before = Instant::now();
    assert_eq!(waiting.await.unwrap(), Some(Refused::Pausing(Duration::from_secs(9))));
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_429_halves_what_is_in_flight_once_and_successes_bring_it_back() {
    let pace = self::pace(8, None);
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
    let pace = self::pace(8, None);
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
    let pace = self::pace(4, Some(5));
    let start = Instant::now();
    let mut sent = Vec::new();
    for _ in 0..12 {
        assert!(pace.enter(&Party::Background, in_seconds(60)).await.is_ok());
        sent.push(start.elapsed());
    }
    for (earlier, later) in sent.iter().zip(&sent[5..]) {
        assert!(*later - *earlier >= WINDOW, "{sent:?}");
    }
}

/// Calls of a caller that hold what they get for a second each, and when they got it.
fn flood(pace: &Arc<Pace>, party: &Party, calls: usize) -> Arc<Mutex<Vec<Instant>>> {
    let entered = Arc::<Mutex<Vec<Instant>>>::default();
    for _ in 0..calls {
        let (pace, party, entered) = (pace.clone(), party.clone(), entered.clone());
        tokio::spawn(async move {
            if let Ok(_permit) = pace.enter(&party, in_seconds(600)).await {
                entered.lock().unwrap().push(Instant::now());
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
    }
    entered
}

#[tokio::test(start_paused = true)]
async fn who_floods_the_vault_makes_nobody_wait_but_itself() {
    let pace = self::pace(32, None);
    let flood = flood(&pace, &caller("viewer"), 200);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(flood.lock().unwrap().len(), 16, "half of the slots");
    let before = Instant::now();
    for other in ["editor", "console"] {
        pace.enter(&caller(other), in_seconds(60)).await.ok().unwrap();
    }
    pace.enter(&Party::Background, in_seconds(60)).await.ok().unwrap();
    assert_eq!(before.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_callers_take_turns_whoever_came_first() {
    let (pace, order) = (self::pace(1, None), Arc::default());
    let held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    for _ in 0..4 {
        queue(&pace, &caller("viewer"), "viewer", &order).await;
    }
    for _ in 0..2 {
        queue(&pace, &caller("editor"), "editor", &order).await;
    }
    queue(&pace, &caller("console"), "console", &order).await;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let expected = ["viewer", "editor", "console", "viewer", "editor", "viewer", "viewer"];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn eight_callers_of_a_vault_that_hangs_leave_the_service_its_slots_and_it_leaves_them_theirs() {
    let pace = self::pace(32, None);
    let mut held = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        for _ in 0..8 {
            held.extend(pace.enter(&caller(name), in_seconds(1)).await.ok());
        }
    }
    assert_eq!(held.len(), 28);
    assert!(pace.enter(&Party::Background, in_seconds(1)).await.is_ok());
    held.clear();
    while let Ok(permit) = pace.enter(&Party::Background, in_seconds(1)).await {
        held.push(permit);
    }
    assert_eq!(held.len(), 28);
    assert!(pace.enter(&caller("a"), in_seconds(1)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_takes_all_of_the_rate_leaves_an_eighth_for_those_who_ask_for_little() {
    let pace = self::pace(32, Some(160));
    let (viewer, background) = (caller("viewer"), Party::Background);
    for party in [&viewer, &background] {
        while pace.enter(party, in_seconds(5)).await.is_ok() {}
    }
    // The first who flooded left an eighth, and the second one's first few came from that.
    assert_eq!(pace.state().sent.len(), 150);
    let before = Instant::now();
    for name in ["editor", "console"] {
        assert!(pace.enter(&caller(name), in_seconds(5)).await.is_ok());
    }
    assert_eq!(before.elapsed(), Duration::ZERO);
    // Who floods waits for the window, and is in the end not shut out.
    assert!(pace.enter(&viewer, in_seconds(60)).await.is_ok());
    assert!(before.elapsed() > Duration::from_secs(5), "{:?}", before.elapsed());
}

#[tokio::test(start_paused = true)]
async fn when_the_rate_is_used_up_those_who_flood_take_turns() {
    let pace = self::pace(32, Some(80));
    let (viewer, editor) = (flood(&pace, &caller("viewer"), 200), flood(&pace, &caller("editor"), 200));
    let (background, waiting) =
        (flood(&pace, &Party::Background, 200), tokio::time::sleep(Duration::from_secs(60)));
    waiting.await;
    for party in [viewer, editor, background] {
        let entered = party.lock().unwrap().len();
        assert!(entered >= 50, "{entered} of about 480");
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_an_eighth_of_those_who_wait_are_of_one_caller() {
    let pace = Pace::new(Limits { in_flight: 1, waiting: 80, per_window: None });
    let held = pace.enter(&person(), in_seconds(1)).await.ok().unwrap();
    let flood = flood(&pace, &caller("viewer"), 100);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let before = Instant::now();
    assert_eq!(pace.enter(&caller("viewer"), in_seconds(60)).await.err(), Some(Refused::TooMany));
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(pace.state().waiting, 10);
    drop(held);
    assert!(pace.enter(&caller("editor"), in_seconds(60)).await.is_ok());
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(flood.lock().unwrap().len(), 10);
    assert!(
        pace.state().shares.is_empty() && pace.state().turns.is_empty(),
        "nothing is kept of who has nothing"
    );
}
