//! Connections of whoever shows no credentials.

use std::time::Duration;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use secret_service::{
    api::{Revocation, Tls},
    proto::ListSyncedSecretsRequest,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    limited, serves,
    wire::{HEALTH_WATCH, Http2, SERVICE, framed, tcp},
};
use crate::{
    access,
    support::{
        Options, PATIENCE, Site, World,
        callers::{self, AUDIENCE},
    },
};

/// Whether the service has ended a connection, or does so in time.
async fn is_cut(mut stream: TcpStream) -> bool {
    let ended = async { while stream.read(&mut [0; 64]).await.is_ok_and(|bytes| bytes > 0) {} };
    timeout(PATIENCE, ended).await.is_ok()
}

/// That it hasn't.
async fn stays(stream: &mut TcpStream) {
    let read = async { while stream.read(&mut [0; 64]).await.is_ok_and(|bytes| bytes > 0) {} };
    assert!(timeout(Duration::from_millis(300), read).await.is_err(), "the connection was cut");
}

/// That all but the newest connections are cut.
async fn only_the_newest_connections_stay(kept: &[Http2], count: usize) {
    let (oldest, newest) = kept.split_at(kept.len() - count);
    let cut = async {
        for connection in oldest {
            while connection.is_open().await {
                // HTTP/2 itself ends a connection of too many small frames.
                sleep(Duration::from_millis(100)).await;
            }
        }
    };
    timeout(PATIENCE, cut).await.expect("the oldest are cut");
    for connection in newest {
        assert!(connection.is_open().await, "the newest stay");
    }
}

/// Calls over a connection of its own.
async fn serves_the_next_client(world: &World) {
    let mut caller = callers::client(world.channel().await, None);
    let listed = timeout(PATIENCE, caller.list_synced_secrets(ListSyncedSecretsRequest::default())).await;
    listed.expect("it is answered in time").expect("who comes next is served");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_only_watches_health_is_evicted() {
    let world = limited(|limits| limits.connections = 4).await;
    let mut watched = Vec::new();
    for _ in 0..6 {
        let hostile = Http2::connect(world.address(), 2).await;
        let watch = hostile.begin(HEALTH_WATCH, None, framed(0, 0), true).await.head().await;
        watched.push((hostile, watch.unwrap().unwrap()));
        serves(&world).await;
    }
    serves_the_next_client(&world).await;
    let (_connection, mut first) = watched.remove(0);
    let cut = async { while first.data().await.is_some_and(|data| data.is_ok()) {} };
    timeout(PATIENCE, cut).await.expect("the oldest of them was cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_limited_per_caller() {
    let world = limited(|limits| limits.connections_per_caller = 3).await;
    let mut kept = Vec::new();
    for _ in 0..6 {
        let connection = Http2::connect(world.address(), 2).await;
        let path = format!("{SERVICE}/GetSyncedSecret");
        connection.begin(&path, None, framed(0, 0), true).await.end().await;
        kept.push(connection);
    }
    only_the_newest_connections_stay(&kept, 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_identities_on_one_connection_share_its_reserve() {
    let mut options = Options { access: access::locked(), ..Options::default() };
    options.limits.connections_per_caller = 2;
    let world = access::world_with(options).await;
    let names = [world.token("viewer", AUDIENCE).await, world.token("editor", AUDIENCE).await];
    let mut kept = Vec::new();
    for _ in 0..5 {
        let connection = Http2::connect(world.address(), 2).await;
        for token in &names {
            let path = format!("{SERVICE}/GetSyncedSecret");
            connection.begin(&path, Some(token), framed(0, 0), true).await.end().await;
        }
        kept.push(connection);
    }
    only_the_newest_connections_stay(&kept, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_with_a_full_receive_window_loses_the_connection() {
    let world = limited(|limits| limits.send_timeout = Duration::from_secs(1)).await;
    for path in [HEALTH_WATCH, &format!("{SERVICE}/ListSyncedSecrets")] {
        let hostile = Http2::without_room(world.address(), 2).await;
        let head = hostile.begin(path, None, framed(0, 0), true).await.head().await;
        let mut body = head.expect("the connection is open").expect("it is answered");
        let ended = async { while body.data().await.is_some_and(|data| data.is_ok()) {} };
        timeout(PATIENCE, ended).await.expect("the connection is cut");
    }
    serves(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authorized_connection_stays_and_unauthorized_ones_evict_each_other() {
    let world = limited(|limits| {
        limits.open_connections = 6;
        limits.open_connections_per_address = 4;
    })
    .await;
    let (mut crowd, mut other) = (Vec::new(), tcp(world.address(), 3).await);
    for _ in 0..12 {
        crowd.push(tcp(world.address(), 2).await);
        sleep(Duration::from_millis(20)).await;
    }
    let late = crowd.split_off(8);
    for early in crowd {
        assert!(is_cut(early).await, "one address has no more than its part");
    }
    stays(&mut other).await;
    // A third address takes from who has most.
    let mut third = (tcp(world.address(), 4).await, tcp(world.address(), 4).await);
    sleep(Duration::from_millis(100)).await;
    let oldest = late.into_iter().next().expect("there are four");
    assert!(is_cut(oldest).await);
    for stream in [&mut other, &mut third.0, &mut third.1] {
        stays(stream).await;
    }
    serves(&world).await;
    serves_the_next_client(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stalled_handshakes_get_no_more_connections_than_other_unauthenticated_peers() {
    let site = Site::start().await;
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = site.directory().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let tls = Tls {
        cert_file: file("tls.crt", cert.pem()),
        key_file: file("tls.key", signing_key.serialize_pem()),
        client_ca_file: None,
        client_crl_file: None,
        revocation: Revocation::default(),
    };
    let mut options = Options { tls: Some(tls), ..Options::default() };
    options.limits.open_connections_per_address = 2;
    let world = World::start_on(site, options).await;
    let mut half = Vec::new();
    for _ in 0..4 {
        let mut stream = tcp(world.address(), 2).await;
        // A record of a handshake that says it has 512 bytes, and the first of them.
        stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await.unwrap();
        half.push(stream);
        sleep(Duration::from_millis(50)).await;
    }
    let mut late = half.split_off(2);
    for mut early in half {
        let mut rest = Vec::new();
        let ended = timeout(Duration::from_secs(5), early.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "it gives way to those that came later");
    }
    for stream in &mut late {
        stays(stream).await;
    }
}
