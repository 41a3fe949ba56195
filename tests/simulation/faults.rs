//! Faults: what goes wrong in the vault and in the cluster, for a while.

use std::{sync::Arc, time::Duration};

use key_vault_double::{OnOperation, Operation, OperationMatch, VaultFault};
use kubernetes_double::{AnyFault, ClusterFault, Fault, FaultRule, OnResource, Phase, ResourceMatch};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::world::World;

/// Orders faults of the vault, one after the other.
pub async fn in_the_vault(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("faults of the vault");
    while pause(&mut random, most, &stop).await {
        let rule = vault_rule(&mut random, world.plan.vault_secrets);
        world.ledger.say(format!("fault of the vault: {rule:?}"));
        world.ledger.lock().faults += 1;
        let id = world.vault.faults().add(rule);
        let lasts = Duration::from_millis(*[500, 3_000, 10_000, 25_000].choose(&mut random).expect("some"));
        stop.run_until_cancelled(sleep(world.plan.lasts(lasts))).await;
        world.vault.faults().remove(id);
        world.ledger.say("that fault of the vault ends");
    }
}

fn vault_rule(random: &mut StdRng, vault_secrets: usize) -> FaultRule<OperationMatch> {
    let faults: [AnyFault<VaultFault>; 14] = [
        VaultFault::ForbiddenByRbac.into(),
        VaultFault::ForbiddenByRbac.into(),
        Fault::retry_after(429, "Throttled", Duration::from_secs(2)).into(),
        Fault::status(429, "Throttled").into(),
        Fault::status(500, "InternalServerError").into(),
        Fault::status(503, "ServiceUnavailable").into(),
        Fault::Hang.into(),
        Fault::latency(Duration::from_millis(random.random_range(50..4_500))).into(),
        Fault::latency(Duration::from_millis(random.random_range(50..4_500))).into(),
        Fault::ResetMidBody.into(),
        Fault::TruncatedBody.into(),
        Fault::MalformedJson.into(),
        Fault::HtmlPage.into(),
        VaultFault::ExpiredToken.into(),
    ];
    let mut rule: FaultRule<OperationMatch> = FaultRule::new(faults.choose(random).expect("some").clone());
    let operations = [
        Operation::SecretSet,
        Operation::SecretSet,
        Operation::SecretGet,
        Operation::SecretList,
        Operation::SecretListVersions,
    ];
    if random.random_bool(0.7) {
        rule = rule.on(*operations.choose(random).expect("some"));
    }
    if random.random_bool(0.3) && rule.matcher.operation != Some(Operation::SecretList) {
        rule = rule.named(format!("vault-{}", random.random_range(0..vault_secrets)));
    }
    if random.random_bool(0.4) {
        rule = rule.times(random.random_range(1..4));
    }
    if rule.matcher.operation == Some(Operation::SecretSet) && random.random_bool(0.2) {
        rule.fault = Fault::status(409, "Conflict").into();
    }
    // What says that it was not done was not done.
    let is_lost = match &rule.fault {
        AnyFault::Common(Fault::Status { status, .. }) => *status >= 500,
        AnyFault::Common(_) => true,
        AnyFault::Own(_) => false,
    };
    if is_lost && random.random_bool(0.4) { rule.after() } else { rule }
}

/// Orders faults of the cluster, one after the other.
pub async fn in_the_cluster(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("faults of the cluster");
    while pause(&mut random, most, &stop).await {
        let rule = cluster_rule(&mut random, world.plan.synced_secrets);
        world.ledger.say(format!("fault of the cluster: {rule:?}"));
        world.ledger.lock().faults += 1;
        let is_total = is_total(&rule);
        world.cluster.faults().add(rule);
        let begun = world.ledger.moment();
        let lasts = Duration::from_millis(*[500, 3_000, 10_000, 30_000].choose(&mut random).expect("some"));
        stop.run_until_cancelled(sleep(world.plan.lasts(lasts))).await;
        if is_total {
            let ended = world.ledger.moment();
            world.ledger.lock().blackouts.push((begun, ended));
        }
        world.cluster.faults().clear();
        world.ledger.say("that fault of the cluster ends");
    }
}

/// Whether no request does what it should while a rule stands.
fn is_total(rule: &FaultRule<ResourceMatch>) -> bool {
    let matches_all = rule.matcher == ResourceMatch::default() && rule.times.is_none();
    let fails = matches!(rule.fault, AnyFault::Common(Fault::Status { .. } | Fault::Hang | Fault::Reset));
    matches_all && fails && rule.phase == Phase::Before
}

fn cluster_rule(random: &mut StdRng, synced_secrets: usize) -> FaultRule<ResourceMatch> {
    let of_requests = [
        Fault::status(503, "ServiceUnavailable"),
        Fault::status(503, "ServiceUnavailable"),
        Fault::status(500, "InternalError"),
        Fault::status(409, "Conflict"),
        Fault::status(429, "TooManyRequests"),
        Fault::status(403, "Forbidden"),
        Fault::Hang,
        Fault::Reset,
        Fault::latency(Duration::from_millis(random.random_range(50..4_500))),
        Fault::latency(Duration::from_millis(random.random_range(50..4_500))),
    ];
    let of_watches = [
        ClusterFault::WatchSilent,
        ClusterFault::WatchSilent,
        ClusterFault::WatchDrop,
        ClusterFault::WatchExpired,
    ];
    if random.random_bool(0.25) {
        let rule = FaultRule::new(of_watches.choose(random).expect("some").clone());
        return if rule.fault == ClusterFault::WatchSilent {
            rule
        } else {
            rule.times(random.random_range(1..4))
        };
    }
    let fault = of_requests.choose(random).expect("some").clone();
    // Somebody else isn't asked about: what happens to them has an end.
    let mut rule = FaultRule::new(fault);
    if random.random_bool(0.6) {
        rule = rule.verb(["get", "list", "patch", "delete", "watch"].choose(random).expect("some"));
    }
    if random.random_bool(0.5) {
        rule = rule.resource("secrets");
        if random.random_bool(0.4) {
            rule = rule.named(format!("secret-{}", random.random_range(0..synced_secrets)));
        }
    }
    if random.random_bool(0.4) {
        rule = rule.times(random.random_range(1..4));
    }
    // What says that it was not done was not done.
    let is_lost = !matches!(rule.fault, AnyFault::Common(Fault::Status { status: ..500, .. }));
    if is_lost && random.random_bool(0.4) { rule.after() } else { rule }
}

/// Waits; false where it is time to stop.
pub async fn pause(random: &mut StdRng, most: Duration, stop: &CancellationToken) -> bool {
    let pause = Duration::from_millis(random.random_range(100..=most.as_millis() as u64 * 2));
    stop.run_until_cancelled(sleep(pause)).await.is_some()
}
