//! What needs no credentials: health and reflection.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    is_refused, limited, serves,
    wire::{HEALTH_CHECK, HEALTH_WATCH, Http2, REFLECTION, SERVICE, end, first_end, framed},
};

#[tokio::test(flavor = "multi_thread")]
async fn reflection_streams_use_no_calls_of_other_callers() {
    let world = limited(|limits| {
        limits.concurrent_calls = 8;
        limits.calls_per_caller = 8;
    })
    .await;
    let hostile = Http2::connect(world.address(), 2).await;
    let mut streams = Vec::new();
    for _ in 0..32 {
        streams.push(hostile.begin(REFLECTION, None, Bytes::new(), false).await);
    }
    for stream in &mut streams {
        assert!(!stream.is_waiting().await, "it is answered");
    }
    serves(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_are_limited_per_address() {
    let world = limited(|limits| {
        limits.open_streams = 6;
        limits.open_streams_per_address = 4;
    })
    .await;
    let (first, second) =
        (Http2::connect(world.address(), 2).await, Http2::connect(world.address(), 3).await);
    let mut held = Vec::new();
    for path in [REFLECTION, REFLECTION, HEALTH_WATCH, HEALTH_WATCH] {
        // A question of reflection is answered, and one that is none ends the stream: they ask nothing.
        let (question, is_end) = match path {
            HEALTH_WATCH => (framed(0, 0), true),
            _ => (Bytes::new(), false),
        };
        held.push(first.begin(path, None, question, is_end).await.head().await);
    }
    for path in [REFLECTION, HEALTH_WATCH] {
        let refused = first.begin(path, None, framed(0, 0), true).await.end().await;
        is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_OPEN_STREAMS_OF_ADDRESS", "4");
    }
    for _ in 0..2 {
        held.push(second.begin(HEALTH_WATCH, None, framed(0, 0), true).await.head().await);
    }
    let refused = second.begin(HEALTH_WATCH, None, framed(0, 0), true).await.end().await;
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_OPEN_STREAMS", "6");
    assert!(held.iter().all(|head| matches!(head, Ok(Ok(_)))));
    // Whether we are well is told all the same.
    let check = second.begin(HEALTH_CHECK, None, framed(0, 0), true).await.end().await;
    assert_eq!(check.code(), Code::Ok);
    serves(&world).await;

    drop((held, first));
    let again = async {
        while second.begin(HEALTH_WATCH, None, framed(0, 0), true).await.head().await.unwrap().is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(crate::support::PATIENCE, again).await.expect("what ended makes room");
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_health_checks_do_not_block_others() {
    let world = limited(|limits| {
        limits.open_calls_per_address = 4;
        limits.receive_timeout = Duration::from_secs(5);
    })
    .await;
    let hostile = Http2::connect(world.address(), 2).await;
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(hostile.begin(HEALTH_CHECK, None, Bytes::new(), false).await);
    }
    let refused = first_end(&mut held).await;
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_OPEN_CALLS_OF_ADDRESS", "4");
    HealthClient::new(world.channel().await).check(HealthCheckRequest::default()).await.unwrap();
    for call in held {
        is_refused(&call.end().await, Code::DeadlineExceeded, "REQUEST_TIMEOUT", "5s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_credentials_ends_by_itself() {
    let world = limited(|limits| {
        limits.reflection_timeout = Duration::from_millis(600);
        limits.health_watch_timeout = Duration::from_millis(700);
    })
    .await;
    let hostile = Http2::connect(world.address(), 2).await;
    let silent = hostile.begin(REFLECTION, None, Bytes::new(), false).await;
    let watch = hostile.begin(HEALTH_WATCH, None, framed(0, 0), true).await;
    is_refused(&silent.end().await, Code::DeadlineExceeded, "STREAM_TIMEOUT", "600ms");
    is_refused(&watch.end().await, Code::DeadlineExceeded, "STREAM_TIMEOUT", "700ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_without_credentials_is_refused_before_it_is_buffered() {
    let world = limited(|_| ()).await;
    let hostile = Http2::connect(world.address(), 2).await;
    for path in [HEALTH_CHECK, HEALTH_WATCH, REFLECTION] {
        // It says that it is large, and nothing of it comes.
        let call = hostile.begin(path, None, framed(16 * 1024 + 1, 0), false).await;
        let status = match call.head().await.unwrap() {
            Ok(body) => end(body).await,
            Err(status) => status,
        };
        // A stream that is cut in the middle of a question ends without an answer.
        if path != REFLECTION {
            is_refused(&status, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "16384 bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_health_watch_stays_open_on_an_authenticated_connection() {
    let world = limited(|limits| limits.health_watch_timeout = Duration::from_millis(500)).await;
    let connection = Http2::connect(world.address(), 2).await;
    connection.begin(&format!("{SERVICE}/ListSyncedSecrets"), None, framed(0, 0), true).await.end().await;
    let mut watch =
        connection.begin(HEALTH_WATCH, None, framed(0, 0), true).await.head().await.unwrap().unwrap();
    watch.data().await.expect("how we are").unwrap();
    // How we are may change meanwhile; the watch goes on.
    let ends = async { while let Some(Ok(_)) = watch.data().await {} };
    let ended = tokio::time::timeout(Duration::from_secs(2), ends).await;
    assert!(
        ended.is_err(),
        "a client that looks after its connections this way would think that we are down"
    );
}
