//! Made-up tokens.

use std::{num::NonZeroU32, time::Duration};

use futures::future::join_all;
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    api,
    proto::{GetVaultRequest, ListSyncedSecretsRequest},
};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::{
    is_refused,
    wire::{Begun, Http2, SERVICE, first_end, framed},
};
use crate::{
    access,
    support::{
        Options, PATIENCE, World,
        callers::{self, AUDIENCE, BOTH, LOOKING},
    },
};

/// Somebody at 127.0.0.1, where the tests' own callers are, who makes up one token after the other.
fn flood(world: &World) -> JoinSet<()> {
    let (mut tasks, address) = (JoinSet::new(), world.address());
    for number in 0..4 {
        tasks.spawn(async move {
            let hostile = Http2::connect(address, 1).await;
            for call in 0.. {
                asks(&hostile, &format!("made-up-{number}-{call}")).await.end().await;
            }
        });
    }
    tasks
}

/// A call with a token.
async fn asks(over: &Http2, token: &str) -> Begun {
    over.begin(&format!("{SERVICE}/GetVault"), Some(token), framed(0, 0), true).await
}

/// As many calls with a made-up token each, which nobody waits for.
async fn made_up(over: &Http2, calls: usize) -> Vec<Begun> {
    let mut held = Vec::new();
    for number in 0..calls {
        held.push(asks(over, &format!("made-up-{number}")).await);
    }
    held
}

/// Calls over a connection on which somebody was let in, with a token that nobody has seen yet, as a kubelet hands out every hour.
async fn renews(world: &World, channel: Channel) {
    let renewed = world.token("renewed", AUDIENCE).await;
    let mut caller = callers::client(channel, Some(&renewed));
    let called = caller.list_synced_secrets(ListSyncedSecretsRequest::default()).await;
    called.expect("the new token is looked at");
}

/// A world in which a review of a token takes long, and the caller who was there before.
async fn slow(change: impl FnOnce(&mut api::Limits)) -> (World, Channel) {
    let mut options = Options { access: access::locked(), ..Options::default() };
    change(&mut options.limits);
    options.access.tokens.as_mut().unwrap().life = Duration::from_secs(60);
    let world = access::world_with(options).await;
    let (channel, viewer) = (world.channel().await, world.token("viewer", AUDIENCE).await);
    let mut viewer = callers::client(channel.clone(), Some(&viewer));
    viewer.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    let slow = Fault::latency(Duration::from_millis(4_000));
    world.cluster().faults().add(FaultRule::new(slow).resource("tokenreviews"));
    world.account("renewed", &BOTH, &LOOKING, &[]).await;
    (world, channel)
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_from_the_same_address_never_make_a_valid_token_fail() {
    let world = access::world(|_| ()).await;
    let mut good = world.caller(Some(&world.token("viewer", AUDIENCE).await)).await;
    good.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    let _flood = flood(&world);
    // Its token is looked at again several times meanwhile.
    for _ in 0..20 {
        sleep(Duration::from_millis(150)).await;
        good.list_synced_secrets(ListSyncedSecretsRequest::default()).await.expect("a good token is good");
    }
    // Whoever is in luck comes before the flood's next one, and is looked at.
    let refused = async {
        for number in 0.. {
            let mut caller = world.caller(Some(&format!("made-up-at-last-{number}"))).await;
            let refused = caller.get_vault(GetVaultRequest::default()).await.unwrap_err();
            if refused.code() == Code::ResourceExhausted {
                return refused;
            }
        }
        unreachable!("the numbers don't end")
    };
    let refused = timeout(PATIENCE, refused).await.expect("made-up ones are refused");
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_UNKNOWN_TOKENS", "20");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authenticated_connection_can_renew_its_token_despite_forged_ones() {
    let world = access::world(|options| {
        // As many as one address has: what made-up ones leave of it is little.
        options.tokens.as_mut().unwrap().unknown_per_second = NonZeroU32::new(20).unwrap();
    })
    .await;
    world.account("renewed", &BOTH, &LOOKING, &[]).await;
    let channel = world.channel().await;
    let viewer = world.token("viewer", AUDIENCE).await;
    callers::client(channel.clone(), Some(&viewer))
        .list_synced_secrets(ListSyncedSecretsRequest::default())
        .await
        .unwrap();
    let _flood = flood(&world);
    sleep(Duration::from_millis(500)).await;
    renews(&world, channel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unreviewed_tokens_use_no_calls_of_known_callers() {
    needs!(the_double);
    let (world, channel) = slow(|limits| {
        limits.concurrent_calls = 8;
        limits.calls_per_caller = 8;
    })
    .await;
    let mut good = callers::client(channel, Some(&world.token("viewer", AUDIENCE).await));
    let hostile = Http2::connect(world.address(), 1).await;
    let mut held = made_up(&hostile, 12).await;
    for call in held.iter_mut().take(3) {
        assert!(call.is_waiting().await, "nobody says yet whose the token is");
    }
    good.list_synced_secrets(ListSyncedSecretsRequest::default())
        .await
        .expect("a known caller is served meanwhile");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_tokens_block_neither_health_checks_nor_token_renewal_from_the_same_address() {
    needs!(the_double);
    let (world, channel) = slow(|limits| limits.open_calls_per_address = 4).await;
    let hostile = Http2::connect(world.address(), 1).await;
    let mut held = made_up(&hostile, 5).await;
    let refused = first_end(&mut held).await;
    is_refused(&refused, Code::ResourceExhausted, "TOO_MANY_OPEN_CALLS_OF_ADDRESS", "4");
    let check = HealthClient::new(channel.clone()).check(HealthCheckRequest::default()).await;
    check.expect("health is told meanwhile");
    renews(&world, channel).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_token_can_begin_with_the_maximum_concurrent_calls_of_one_caller() {
    needs!(the_double);
    let (world, _) = slow(|_| ()).await;
    let channel = world.channel().await;
    let token = world.token("renewed", AUDIENCE).await;
    let calls = (0..128).map(|_| {
        let mut caller = callers::client(channel.clone(), Some(&token));
        async move { caller.list_synced_secrets(ListSyncedSecretsRequest::default()).await }
    });
    for called in join_all(calls).await {
        called.expect("it is one token");
    }
}
