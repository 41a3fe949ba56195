//! Partitions: the ways to the vault, to the cluster and from the callers are cut, and slow for a while.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, seq::IndexedRandom};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{faults::pause, world::World};

/// Cuts the way to the vault, to the cluster or from the callers.
pub async fn on_the_way(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("partitions");
    while pause(&mut random, most, &stop).await {
        world.ledger.lock().faults += 1;
        let gates = [("vault", &world.to_vault), ("cluster", &world.to_edge), ("callers", &world.front)];
        let (name, gate) = gates.choose(&mut random).expect("some");
        world.ledger.say(format!("the connections of {name} are cut"));
        gate.cut();
        let latency = Duration::from_millis(*[0, 200, 2_000].choose(&mut random).expect("some"));
        gate.set_latency(latency);
        stop.run_until_cancelled(sleep(Duration::from_secs(random.random_range(1..15)))).await;
        gate.set_latency(world.plan.latency);
    }
}
