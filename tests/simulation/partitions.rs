//! Partitions: the ways to the vault, to the cluster and from the callers are cut, and slow for a while.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, seq::IndexedRandom};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{faults::pause, world::World};

/// How long a piece takes at most.
pub const SLOWEST: Duration = Duration::from_secs(2);

/// Cuts the way to the vault, to the cluster or from the callers.
pub async fn on_the_way(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("partitions");
    while pause(&mut random, most, &stop).await {
        world.ledger.lock().faults += 1;
        let gates = [("vault", &world.to_vault), ("cluster", &world.to_edge), ("callers", &world.front)];
        let (name, gate) = gates.choose(&mut random).expect("some");
        world.ledger.say(format!("the connections of {name} are cut"));
        gate.cut();
        let latencies = [Duration::ZERO, Duration::from_millis(200), SLOWEST];
        gate.set_latency(*latencies.choose(&mut random).expect("some"));
        stop.run_until_cancelled(sleep(Duration::from_secs(random.random_range(1..15)))).await;
        gate.set_latency(world.plan.latency);
    }
}
