//! The busy time between two checkpoints: callers, others and faults are at it, and the process is killed again and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt, rngs::StdRng};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{callers::Caller, faults, life::Life, others, settings::Settings, tally::Tally, world::World};

/// The longest life after the start.
const LONGEST: u64 = 300;
/// How often the kill comes while the process starts.
const STARTING: f64 = 0.25;
/// How many starts on an empty directory are killed.
const FIRST: u32 = 5;
/// How often the process is told to stop instead.
const STOPPED: f64 = 0.02;
/// A call has ended by then.
const PATIENCE: Duration = Duration::from_secs(60);

/// Everybody who is at it.
pub struct People {
    people: JoinSet<()>,
    trouble: JoinSet<()>,
    stop: CancellationToken,
}

impl People {
    pub fn begin(world: &Arc<World>, round: u64) -> Self {
        let (mut people, mut trouble, stop) = (JoinSet::new(), JoinSet::new(), CancellationToken::new());
        for number in 0..world.plan.callers {
            // No caller has the number of an earlier one: marks and request ids are its own.
            let number = usize::try_from(round).unwrap_or_default() * world.plan.callers + number;
            people.spawn(Caller::new(world.clone(), number).run(stop.clone()));
        }
        if let Some(most) = world.plan.edge_meddling {
            people.spawn(others::edit_at_the_edge(world.clone(), most, stop.clone()));
        }
        if let Some(most) = world.plan.vault_meddling {
            people.spawn(others::edit_in_the_vault(world.clone(), most, stop.clone()));
        }
        if let Some(most) = world.plan.vault_faults {
            trouble.spawn(faults::in_the_vault(world.clone(), most, stop.clone()));
        }
        if let Some(most) = world.plan.edge_faults {
            trouble.spawn(faults::in_the_cluster(world.clone(), most, stop.clone()));
        }
        Self { people, trouble, stop }
    }

    /// The faults end, and everybody brings to its end what they had begun; when the faults ended.
    pub async fn end(mut self, world: &World) -> Result<Instant, String> {
        self.stop.cancel();
        while self.trouble.join_next().await.is_some() {}
        world.quieten().await;
        let calm = Instant::now();
        let all = async {
            while let Some(ended) = self.people.join_next().await {
                ended.map_err(|died| format!("the soak itself died: {died}"))?;
            }
            Ok(calm)
        };
        timeout(PATIENCE, all).await.unwrap_or_else(|_| Err("a call never ended".to_owned()))
    }
}

/// Kills the process as often as it is time for before the next checkpoint; one that runs is left.
pub async fn kill_again_and_again(
    world: &World,
    mut life: Life,
    settings: &Settings,
    tally: &mut Tally,
) -> Result<Life, String> {
    let mut random = world.plan.random("kills");
    let last = tally.kills() + settings.kills_to_go(tally);
    while tally.kills() < last && !settings.is_late() {
        sleep(Duration::from_millis(random.random_range(0..=LONGEST))).await;
        if random.random_bool(STOPPED) {
            life.stop(world).await?;
            tally.stopped += 1;
        } else {
            life.kill(world).await?;
            tally.killed_running += 1;
        }
        life = start(world, &mut random, tally, last).await?;
    }
    Ok(life)
}

/// Starts the process, at the first try or after some that were killed.
async fn start(world: &World, random: &mut StdRng, tally: &mut Tally, last: u64) -> Result<Life, String> {
    while tally.kills() < last && random.random_bool(STARTING) {
        kill_a_start(world, random, tally).await?;
    }
    start_at_last(world, tally).await
}

/// Starts the process for the first time: some are killed while they make the database.
pub async fn first_start(world: &World, tally: &mut Tally) -> Result<Life, String> {
    let mut random = world.plan.random("first starts");
    for _ in 0..FIRST {
        kill_a_start(world, &mut random, tally).await?;
    }
    start_at_last(world, tally).await
}

/// Starts the process, and kills it before it is likely to listen.
async fn kill_a_start(world: &World, random: &mut StdRng, tally: &mut Tally) -> Result<(), String> {
    let life = begin(world, tally);
    let usual = tally.starts.last().copied().unwrap_or(Duration::from_millis(100));
    sleep(usual.mul_f64(random.random_range(0.0..1.0))).await;
    life.kill(world).await?;
    tally.killed_starting += 1;
    Ok(())
}

/// Starts the process, and waits until it listens.
async fn start_at_last(world: &World, tally: &mut Tally) -> Result<Life, String> {
    let mut life = begin(world, tally);
    tally.starts.push(life.listens().await?);
    Ok(life)
}

fn begin(world: &World, tally: &Tally) -> Life {
    Life::begin(world, tally.killed_starting + tally.starts.len() as u64)
}
