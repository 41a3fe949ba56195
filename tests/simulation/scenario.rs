//! The run of one seed: a busy time, a quiet time, and what there is at the end.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use key_vault_double::{OnOperation, Operation, VaultFault};
use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource};
use rand::RngExt;
use secrecy::SecretString;
use secret_service::{model::SyncEngine, proto::ListSyncedSecretsRequest};
use tokio::{
    runtime::Handle,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    bystander,
    callers::Caller,
    checks::{End, check},
    faults,
    model::Moment,
    others, partitions,
    plan::Plan,
    watchers,
    world::World,
};

/// After the faults, everything has this long to settle: longer than the longest pause of anything that tries again.
const SETTLING: Duration = Duration::from_secs(12 * 60);
/// Then requests are counted for so long.
const QUIET: Duration = Duration::from_secs(5 * 60);
/// A call has ended by then.
const PATIENCE: Duration = Duration::from_secs(600);

/// How a seed ended.
pub struct Report {
    pub found: Vec<String>,
    pub trace: Vec<(Moment, String)>,
    pub calls: usize,
    pub faults: usize,
    pub kills: usize,
}

pub async fn run(plan: Plan, database: Handle) -> Report {
    let world = World::start(plan, database).await;
    world.ledger.say(format!("{:?}", world.plan));
    seed_vault(&world).await;
    if world.plan.no_list {
        forbid_list(&world);
    }
    if world.plan.no_set {
        world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretSet));
    }
    for (operation, duration) in
        [(Operation::SecretGet, world.plan.slow_values), (Operation::SecretSet, world.plan.slow_sets)]
    {
        if !duration.is_zero() {
            world.vault.faults().add(FaultRule::new(Fault::latency(duration)).on(operation));
        }
    }
    if world.plan.is_silent {
        world.cluster.faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secrets"));
    }
    let watching = CancellationToken::new();
    let first = tokio::spawn(watchers::watch(world.clone(), watching.clone()));
    let late = busy(&world, &watching).await;

    sleep(SETTLING).await;
    let before = requests(&world);
    sleep(QUIET).await;
    let after = requests(&world);
    let listed = list(&world).await;
    watching.cancel();
    let watchers = vec![first.await.expect("a watcher"), late.await.expect("a watcher")];
    let end = End {
        listed,
        watchers,
        requests: (after.0 - before.0, after.1 - before.1),
        intervals: QUIET.as_secs() / world.plan.interval.as_secs(),
        is_direct: world.plan.engine == SyncEngine::Direct,
        writes_come_late: world.plan.edge_faults.is_some() || world.plan.partitions.is_some(),
    };
    let inner = world.ledger.lock();
    let found = check(&inner, &end);
    Report {
        found,
        trace: inner.trace.clone(),
        calls: inner.calls.iter().map(|call| call.attempts.len()).sum(),
        faults: inner.faults,
        kills: inner.kills.len(),
    }
}

/// Everybody is at it, until it is time; then all faults end.
async fn busy(world: &Arc<World>, watching: &CancellationToken) -> tokio::task::JoinHandle<watchers::Told> {
    let plan = &world.plan;
    let stop = CancellationToken::new();
    let mut people = JoinSet::new();
    for number in 0..plan.callers {
        people.spawn(Caller::new(world.clone(), number).run(stop.clone()));
    }
    if let Some(most) = plan.edge_meddling {
        people.spawn(others::edit_at_the_edge(world.clone(), most, stop.clone()));
        if plan.engine == SyncEngine::SecretStore {
            people.spawn(others::come_first(world.clone(), stop.clone()));
        }
    }
    if plan.no_first_list {
        people.spawn(bystander::ask(world.clone(), stop.clone()));
    }
    if let Some(most) = plan.vault_meddling {
        people.spawn(others::edit_in_the_vault(world.clone(), most, stop.clone()));
    }
    let mut trouble = JoinSet::new();
    if let Some(most) = plan.vault_faults {
        trouble.spawn(faults::in_the_vault(world.clone(), most, stop.clone()));
    }
    if let Some(most) = plan.edge_faults {
        trouble.spawn(faults::in_the_cluster(world.clone(), most, stop.clone()));
    }
    if let Some(most) = plan.partitions {
        trouble.spawn(partitions::on_the_way(world.clone(), most, stop.clone()));
    }
    world.vault.configure(|settings| {
        settings.latency_milliseconds = u64::try_from(plan.vault_latency.as_millis()).unwrap_or(0);
    });
    let ends = tokio::spawn(end_again_and_again(world.clone()));

    sleep(plan.busy / 2).await;
    let late = tokio::spawn(watchers::watch(world.clone(), watching.clone()));
    sleep(plan.busy / 2).await;
    stop.cancel();
    world.spare();
    while trouble.join_next().await.is_some() {}
    world.until_running().await;
    ends.abort();
    quieten(world);
    if timeout(PATIENCE, async { while people.join_next().await.is_some() {} }).await.is_err() {
        world.ledger.say("PANIC a call never ended");
    }
    others::let_go(world).await;
    if world.plan.edge_meddling.is_some() {
        others::take_keys(world).await;
    }
    if world.plan.vault_meddling.is_some() {
        // What was looked at for another reason has been, by then.
        sleep(Duration::from_secs(30)).await;
        others::bring_versions(world).await;
    }
    late
}

/// Kills the service, and stops it in order, as often as the plan says.
async fn end_again_and_again(world: Arc<World>) {
    let mut random = world.plan.random("ends");
    let kills = async {
        for pieces in &world.plan.kills {
            world.kill_after(*pieces).await;
        }
    };
    let restarts = async {
        for _ in 0..world.plan.restarts {
            let seconds = random.random_range(5..world.plan.busy.as_secs());
            sleep(Duration::from_secs(seconds)).await;
            world.restart().await;
        }
    };
    tokio::join!(kills, restarts);
}

fn quieten(world: &World) {
    world.vault.faults().clear();
    world.vault.configure(|settings| settings.latency_milliseconds = 0);
    world.cluster.faults().clear();
    for gate in [&world.front, &world.to_vault, &world.to_edge] {
        gate.set_latency(Duration::ZERO);
    }
    if world.plan.no_list {
        forbid_list(world);
    }
    world.ledger.say("all faults have ended");
}

fn forbid_list(world: &World) {
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretList));
}

async fn seed_vault(world: &World) {
    // The last one is nobody's yet.
    for number in 0..world.plan.vault_secrets - 1 {
        let value = SecretString::from(format!("seeded-{number}"));
        world.vault.seed(&format!("vault-{number}"), value, None, BTreeMap::new()).await.expect("a seed");
    }
}

/// The Lease is renewed all the time, whatever else there is.
fn requests(world: &World) -> (u64, u64) {
    (world.vault.requests().vault(), world.cluster.requests().but("leases"))
}

async fn list(world: &World) -> Vec<secret_service::proto::SyncedSecret> {
    let request = ListSyncedSecretsRequest { page_size: 1000, ..Default::default() };
    match world.client().list_synced_secrets(request).await {
        Ok(listed) => listed.into_inner().synced_secrets,
        Err(status) => {
            world.ledger.say(format!("PANIC the service does not answer at the end: {status:?}"));
            Vec::new()
        }
    }
}
