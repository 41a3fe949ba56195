//! Faults: what goes wrong in the vault and in the cluster, for a while.

use std::{sync::Arc, time::Duration};

use key_vault_double::{Action, Operation, Rule};
use kubernetes_double::{Fault, FaultRule, Phase};
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

fn vault_rule(random: &mut StdRng, vault_secrets: usize) -> Rule {
    let status = |status: u16, code: &str, retry_after| Action::Status {
        status,
        code: code.to_owned(),
        inner: None,
        retry_after,
    };
    let actions = [
        Action::ForbiddenByRbac,
        Action::ForbiddenByRbac,
        status(429, "Throttled", Some(Duration::from_secs(2))),
        status(429, "Throttled", None),
        status(500, "InternalServerError", None),
        status(503, "ServiceUnavailable", None),
        Action::Hang,
        Action::Delay { duration: Duration::from_millis(random.random_range(50..4_500)) },
        Action::Delay { duration: Duration::from_millis(random.random_range(50..4_500)) },
        Action::ResetMidBody,
        Action::Truncate,
        Action::MalformedJson,
        Action::WrongContent,
        Action::ExpiredToken,
    ];
    let mut rule = Rule::new(actions.choose(random).expect("some").clone());
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
    if random.random_bool(0.3) && rule.operation != Some(Operation::SecretList) {
        rule = rule.named(format!("vault-{}", random.random_range(0..vault_secrets)));
    }
    if random.random_bool(0.4) {
        rule = rule.times(random.random_range(1..4));
    }
    if rule.operation == Some(Operation::SecretSet) && random.random_bool(0.2) {
        rule.action = status(409, "Conflict", None);
    }
    // What says that it was not done was not done.
    let is_lost = match &rule.action {
        Action::Status { status, .. } => *status >= 500,
        Action::ForbiddenByRbac | Action::ExpiredToken => false,
        _ => true,
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
fn is_total(rule: &FaultRule) -> bool {
    let aims_at_all =
        rule.verb.is_none() && rule.resource.is_none() && rule.name.is_none() && rule.count.is_none();
    let fails = matches!(rule.fault, Fault::Status { .. } | Fault::Hang | Fault::Reset);
    aims_at_all && fails && rule.phase == Phase::Before
}

fn cluster_rule(random: &mut StdRng, synced_secrets: usize) -> FaultRule {
    let status = |code, reason: &str| Fault::Status { code, reason: reason.to_owned(), retry_after: None };
    let of_requests = [
        status(503, "ServiceUnavailable"),
        status(503, "ServiceUnavailable"),
        status(500, "InternalError"),
        status(409, "Conflict"),
        status(429, "TooManyRequests"),
        status(403, "Forbidden"),
        Fault::Hang,
        Fault::Reset,
        Fault::Delay { millis: random.random_range(50..4_500) },
        Fault::Delay { millis: random.random_range(50..4_500) },
    ];
    let of_watches = [Fault::WatchSilent, Fault::WatchSilent, Fault::WatchDrop, Fault::WatchExpired];
    if random.random_bool(0.25) {
        let rule = FaultRule::new(of_watches.choose(random).expect("some").clone());
        return if rule.fault == Fault::WatchSilent { rule } else { rule.times(random.random_range(1..4)) };
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
            rule = rule.named(&format!("secret-{}", random.random_range(0..synced_secrets)));
        }
    }
    if random.random_bool(0.4) {
        rule = rule.times(random.random_range(1..4));
    }
    // What says that it was not done was not done.
    let is_lost = !matches!(rule.fault, Fault::Status { code: ..500, .. });
    if is_lost && random.random_bool(0.4) { rule.after() } else { rule }
}

/// Waits; false where it is time to stop.
pub async fn pause(random: &mut StdRng, most: Duration, stop: &CancellationToken) -> bool {
    let pause = Duration::from_millis(random.random_range(100..=most.as_millis() as u64 * 2));
    stop.run_until_cancelled(sleep(pause)).await.is_some()
}
