//! Requests of whoever has a token: those that never come, never end, or are larger than they need to be.

use std::time::Duration;

use bytes::Bytes;
use kubernetes_double::{Fault, FaultRule, OnResource};
use prost::Message;
use secret_service::{
    api,
    proto::{GetCallerRequest, ListSyncedSecretsRequest, WatchSyncedSecretsRequest},
};
use tokio::time::{Instant, sleep, timeout};
use tonic::Code;

use super::{
    is_refused,
    wire::{Begun, Http2, SERVICE, first_end, framed},
};
use crate::{
    access,
    support::{
        Options, PATIENCE, World,
        callers::{AUDIENCE, BOTH, Caller, LOOKING},
        requests::get,
    },
};

const MIB: usize = 1024 * 1024;

/// A locked world with limits.
async fn locked(change: impl FnOnce(&mut api::Limits)) -> World {
    let mut options = Options { access: access::locked(), ..Options::default() };
    change(&mut options.limits);
    access::world_with(options).await
}

/// Another account that may look and has called before, and its token.
async fn viewer(world: &World, name: &str) -> String {
    world.account(name, &BOTH, &LOOKING, &[]).await;
    let token = world.token(name, AUDIENCE).await;
    let mut caller = world.caller(Some(&token)).await;
    caller.list_synced_secrets(ListSyncedSecretsRequest::default()).await.expect("it may look");
    token
}

async fn good_caller(world: &World) -> Caller {
    let token = viewer(world, "good").await;
    world.caller(Some(&token)).await
}

/// Begins calls of a method over as many connections as it takes.
async fn many(world: &World, count: usize, method: &str, token: &str) -> (Vec<Http2>, Vec<Begun>) {
    let (mut connections, mut begun) = (Vec::new(), Vec::new());
    for number in 0..count {
        if number % 200 == 0 {
            connections.push(Http2::connect(world.address(), 2).await);
        }
        let connection = connections.last().expect("it was just made");
        let path = format!("{SERVICE}/{method}");
        begun.push(connection.begin(&path, Some(token), Bytes::new(), false).await);
    }
    (connections, begun)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_with_stalled_requests_do_not_block_others() {
    let world = locked(|limits| limits.receive_timeout = Duration::from_secs(60)).await;
    let mut good = good_caller(&world).await;
    let mut held = Vec::new();
    for name in ["first", "second"] {
        let token = viewer(&world, name).await;
        let (connections, mut begun) = many(&world, 530, "GetSyncedSecret", &token).await;
        let refused = first_end(&mut begun).await;
        is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_CALLS_OF_CALLER", "128");
        held.push((connections, begun));
    }
    good.list_synced_secrets(ListSyncedSecretsRequest::default()).await.expect("others are served");
    // What is given up makes room: for the next of the same caller too.
    drop(held);
    let mut again = world.caller(Some(&world.token("first", AUDIENCE).await)).await;
    let served = async {
        while again.list_synced_secrets(ListSyncedSecretsRequest::default()).await.is_err() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, served).await.expect("its calls are over");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlasts_every_call_timeout() {
    let world = locked(|limits| {
        limits.receive_timeout = Duration::from_millis(300);
        limits.call_timeout = Duration::from_secs(1);
        limits.longest_call = Duration::from_secs(1);
        limits.send_timeout = Duration::from_secs(1);
        limits.heartbeat = Duration::from_millis(700);
    })
    .await;
    let mut good = good_caller(&world).await;
    let watch = good.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await;
    let mut watch = watch.expect("it may").into_inner();
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(5) {
        let told = timeout(PATIENCE, watch.message()).await.expect("a sign of life");
        assert!(told.expect("the watch goes on").is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_callers_cannot_use_up_all_watches() {
    let world = locked(|_| ()).await;
    let (mut good, mut held) = (good_caller(&world).await, Vec::new());
    for name in ["first", "second"] {
        let mut caller = world.caller(Some(&viewer(&world, name).await)).await;
        let refused = loop {
            match caller.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await {
                Ok(watch) => held.push(watch),
                Err(refused) => break refused,
            }
        };
        is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_WATCHES_OF_CALLER", "32");
    }
    good.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await.expect("others watch");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_arrive_in_time_ends_the_call() {
    let world = locked(|limits| limits.receive_timeout = Duration::from_millis(800)).await;
    let token = viewer(&world, "slow").await;
    let hostile = Http2::connect(world.address(), 2).await;
    let path = format!("{SERVICE}/GetSyncedSecret");
    let silent = hostile.begin(&path, Some(&token), Bytes::new(), false).await;
    let mut dripping = hostile.begin(&path, Some(&token), framed(1_000, 1), false).await;
    for _ in 0..6 {
        sleep(Duration::from_millis(200)).await;
        // It fails once the call has ended.
        let _ = dripping.body.send_data(Bytes::from_static(b"x"), false);
    }
    for call in [silent, dripping] {
        is_refused(&call.end().await, Code::DeadlineExceeded, "REQUEST_TIMEOUT", "800ms");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn endless_requests_stay_within_the_byte_limits_per_caller_and_in_total() {
    let world = locked(|limits| {
        limits.request_bytes = 3 * MIB;
        limits.request_bytes_per_caller = 2 * MIB;
        limits.receive_timeout = Duration::from_secs(60);
    })
    .await;
    let path = format!("{SERVICE}/CreateSyncedSecret");
    let (mut held, mut tokens) = (Vec::new(), vec![world.token("editor", AUDIENCE).await]);
    world.account("second", &BOTH, &["create"], &[]).await;
    tokens.push(world.token("second", AUDIENCE).await);
    let hostile = Http2::connect(world.address(), 2).await;
    let cases = [
        (&tokens[0], 2, "TOO_MANY_REQUEST_BYTES_OF_CALLER", (2 * MIB).to_string()),
        (&tokens[1], 1, "TOO_MANY_REQUEST_BYTES", (3 * MIB).to_string()),
    ];
    for (token, room, reason, number) in cases {
        for _ in 0..room {
            let mut call = hostile.begin(&path, Some(token), framed(MIB, 1_000), false).await;
            assert!(call.is_waiting().await, "there is room");
            held.push(call);
        }
        let refused = hostile.begin(&path, Some(token), framed(MIB, 1_000), false).await.end().await;
        is_refused(&refused, Code::ResourceExhausted, reason, &number);
    }
    let small = good_caller(&world).await.get_synced_secret(get("none")).await.unwrap_err();
    assert_eq!(small.code(), Code::NotFound, "small ones have room: {small}");
    // What has ended makes room.
    drop(held);
    sleep(Duration::from_millis(300)).await;
    assert!(hostile.begin(&path, Some(&tokens[0]), framed(MIB, 1_000), false).await.is_waiting().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_a_right_to_all_names_sends_little_until_the_name_is_read() {
    let world = locked(|limits| limits.receive_timeout = Duration::from_secs(60)).await;
    let token = viewer(&world, "curious").await;
    let path = format!("{SERVICE}/CreateSyncedSecret");
    let hostile = Http2::connect(world.address(), 2).await;
    let mut first = hostile.begin(&path, Some(&token), framed(MIB, 1_000), false).await;
    assert!(first.is_waiting().await, "it may still name what the caller has a right to");
    let second = hostile.begin(&path, Some(&token), framed(MIB, 1_000), false).await.end().await;
    is_refused(&second, Code::ResourceExhausted, "TOO_MANY_REQUEST_BYTES_OF_CALLER", &MIB.to_string());
    // Neither do many of them together: an eighth of what all share, however many they are.
    let (_connections, mut begun) = many(&world, 17, "DeleteSyncedSecret", &token).await;
    let refused = first_end(&mut begun).await;
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_CALLS_OF_CALLER", "16");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_any_right_keeps_few_calls_waiting_with_the_method_that_everybody_may_call() {
    let world = locked(|limits| limits.receive_timeout = Duration::from_secs(60)).await;
    // A verb that no method asks for: a Role has to have one.
    world.account("nobody", &BOTH, &["deletecollection"], &[]).await;
    let token = world.token("nobody", AUDIENCE).await;
    let mut nobody = world.caller(Some(&token)).await;
    nobody.get_caller(GetCallerRequest::default()).await.expect("everybody may");
    let (_connections, mut begun) = many(&world, 17, "GetCaller", &token).await;
    let refused = first_end(&mut begun).await;
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_CALLS_OF_CALLER", "16");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_with_a_right_to_one_name_gets_full_concurrency_if_its_requests_arrive_soon() {
    let world = locked(|limits| {
        limits.concurrent_calls = 64;
        limits.calls_per_caller = 64;
    })
    .await;
    world.account("narrow", &["syncedsecrets"], &["get"], &["line1"]).await;
    let token = world.token("narrow", AUDIENCE).await;
    let (_connections, mut begun) = many(&world, 40, "GetSyncedSecret", &token).await;
    sleep(Duration::from_millis(50)).await;
    let request = get("line1").encode_to_vec();
    let framed = [&[0][..], &u32::try_from(request.len()).unwrap().to_be_bytes(), &request].concat();
    for call in &mut begun {
        call.body.send_data(framed.clone().into(), true).unwrap();
    }
    for call in begun {
        let answer = call.end().await;
        assert_eq!(answer.code(), Code::NotFound, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_request_without_a_value_is_refused_before_it_is_buffered() {
    let world = locked(|_| ()).await;
    let token = world.token("editor", AUDIENCE).await;
    let hostile = Http2::connect(world.address(), 2).await;
    for method in ["GetVault", "ListSyncedSecrets", "DeleteSyncedSecret"] {
        let path = format!("{SERVICE}/{method}");
        let refused = hostile.begin(&path, Some(&token), framed(16 * 1024 + 1, 0), false).await.end().await;
        is_refused(&refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", "16384 bytes");
    }
    let path = format!("{SERVICE}/CreateSyncedSecret");
    let mut large = hostile.begin(&path, Some(&token), framed(MIB, 10), false).await;
    assert!(large.is_waiting().await, "values need room");
    let refused = hostile.begin(&path, Some(&token), framed(MIB + 1, 0), false).await.end().await;
    is_refused(&refused, Code::ResourceExhausted, "MESSAGE_TOO_LARGE", &format!("{MIB} bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_without_any_right_is_refused_before_the_request_arrives() {
    let world = locked(|limits| limits.receive_timeout = Duration::from_secs(60)).await;
    // A verb that no method asks for: a Role has to have one.
    world.account("nobody", &BOTH, &["deletecollection"], &[]).await;
    let token = world.token("nobody", AUDIENCE).await;
    let hostile = Http2::connect(world.address(), 2).await;
    for method in
        ["ListSyncedSecrets", "WatchSyncedSecrets", "GetVault", "ListVaultSecrets", "ListAuditEvents"]
    {
        let path = format!("{SERVICE}/{method}");
        let refused = hostile.begin(&path, Some(&token), Bytes::new(), false).await.end().await;
        assert_eq!(refused.code(), Code::PermissionDenied, "{method}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_authorized_ends_before_its_request_arrives() {
    needs!(the_double);
    let world = locked(|limits| limits.receive_timeout = Duration::from_secs(60)).await;
    let token = world.token("editor", AUDIENCE).await;
    let broken = Fault::status(500, "InternalError");
    world.cluster().faults().add(FaultRule::new(broken).resource("subjectaccessreviews"));
    let connection = Http2::connect(world.address(), 2).await;
    let path = format!("{SERVICE}/GetSyncedSecret");
    let refused = connection.begin(&path, Some(&token), Bytes::new(), false).await.end().await;
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
