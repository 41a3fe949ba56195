//! Requests for the console's page by whoever wants to wear the service out.

use std::time::Duration;

use futures::future::join_all;
use http::StatusCode;
use secret_service::api::ConsoleOptions;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::{
    serves,
    wire::{HEALTH_CHECK, Http2, framed, narrow_tcp},
};
use crate::support::{Options, PATIENCE, World};

/// The largest part of an answer that HTTP/2 takes at once.
const PART: u32 = 16 * 1024;
/// Bytes a second of somebody who reads slowly over HTTP/1.1: the service sees progress in every second, and has a file of 300 KB
/// not read in three.
const PACE: u64 = 60_000;

async fn limited(change: impl FnOnce(&mut secret_service::api::Limits)) -> World {
    let mut options = Options { console: Some(ConsoleOptions::default()), ..Options::default() };
    change(&mut options.limits);
    World::start_with(options).await
}

/// Asks for the page, and takes the head of the answer; its body is as long as nobody reads it.
async fn ask(connection: &Http2) -> http::Response<h2::RecvStream> {
    let answer = connection.get("/").await;
    timeout(PATIENCE, answer).await.expect("it is answered in time").expect("the connection stays")
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_pages_are_limited_per_address_and_take_nothing_from_health_checks() {
    let world = limited(|limits| {
        limits.open_calls = 6;
        limits.open_calls_per_address = 4;
    })
    .await;
    let (hostile, other) =
        (Http2::without_room(world.address(), 2).await, Http2::without_room(world.address(), 3).await);
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(ask(&hostile).await);
    }
    let refused = ask(&hostile).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(refused.headers()["cache-control"], "no-store");
    assert!(refused.headers().contains_key("content-security-policy"));
    for _ in 0..2 {
        let answer = ask(&other).await;
        assert_eq!(answer.status(), StatusCode::OK, "others have theirs");
        unread.push(answer);
    }
    assert_eq!(ask(&other).await.status(), StatusCode::TOO_MANY_REQUESTS, "all together have no more");
    let check = hostile.begin(HEALTH_CHECK, None, framed(0, 0), true).await;
    let checked = check.head().await.expect("the connection stays");
    assert!(checked.is_ok(), "health has a budget of its own");
    serves(&world).await;
    // What has ended makes room.
    drop(unread);
    let fresh = Http2::connect(world.address(), 2).await;
    crate::support::until_so("there is room again", async || ask(&fresh).await.status() == StatusCode::OK)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_does_not_read_the_page_loses_the_connection() {
    let world = limited(|limits| limits.send_timeout = Duration::from_secs(1)).await;
    let hostile = Http2::without_room(world.address(), 2).await;
    let mut body = ask(&hostile).await.into_body();
    let ended = async { while body.data().await.is_some_and(|data| data.is_ok()) {} };
    timeout(PATIENCE, ended).await.expect("the connection is cut");
    serves(&world).await;
}

/// The path of the largest file of the page, as the page names it.
async fn largest_file(world: &World) -> String {
    let connection = Http2::connect(world.address(), 2).await;
    let mut page = ask(&connection).await.into_body();
    let mut text = Vec::new();
    while let Some(data) = page.data().await {
        text.extend_from_slice(&data.unwrap());
    }
    let text = String::from_utf8(text).unwrap();
    let script = text.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    script.expect("the page has a script").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_page_a_little_at_a_time_loses_it_over_http_2() {
    let world = limited(|limits| limits.send_timeout = Duration::from_secs(1)).await;
    let path = largest_file(&world).await;
    let hostile = Http2::with_room(world.address(), 2, PART).await;
    let answer = timeout(PATIENCE, hostile.get(&path).await).await.unwrap().unwrap();
    let mut body = answer.into_body();
    let reset = async {
        loop {
            match body.data().await {
                // A part in less than half of a send timeout: never nothing, and not half of the file in three of them.
                Some(Ok(data)) => {
                    sleep(Duration::from_millis(400) * data.len() as u32 / PART).await;
                    body.flow_control().release_capacity(data.len()).unwrap();
                }
                Some(Err(error)) => break error,
                None => panic!("it has all of the file"),
            }
        }
    };
    let reset = timeout(PATIENCE, reset).await.expect("the answer ends");
    assert!(reset.is_reset() && hostile.is_open().await, "the connection stays: {reset}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_the_page_a_little_at_a_time_loses_it_over_http_1() {
    let world = limited(|limits| limits.send_timeout = Duration::from_secs(1)).await;
    let path = largest_file(&world).await;
    let mut hostile = narrow_tcp(world.address()).await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: identity\r\n\r\n");
    // The first of the files is done with early: a part of it is on the way before anybody waits.
    hostile.write_all(request.repeat(3).as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    let ended = async {
        let (mut taken, mut part) = (0, vec![0; 4_096]);
        loop {
            sleep(Duration::from_millis(taken * 1_000 / PACE).saturating_sub(begun.elapsed())).await;
            match hostile.read(&mut part).await {
                Ok(0) | Err(_) => break,
                Ok(read) => taken += read as u64,
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("the connection is cut");
    serves(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_unread_pages_do_not_stop_callers() {
    let world = limited(|_| ()).await;
    let mut connections = Vec::new();
    for number in 0..40 {
        connections.push(Http2::without_room(world.address(), 2 + number % 8).await);
    }
    let asked = connections.iter().flat_map(|connection| (0..25).map(move |_| ask(connection)));
    let answers = join_all(asked).await;
    let held = answers.iter().filter(|answer| answer.status() == StatusCode::OK).count();
    assert!((64..=512).contains(&held), "{held}");
    for _ in 0..20 {
        let begun = tokio::time::Instant::now();
        serves(&world).await;
        assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    }
    let late = Http2::connect(world.address(), 99).await;
    assert!(late.is_open().await, "a new connection is served");
}
