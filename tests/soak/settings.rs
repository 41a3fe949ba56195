//! What the environment says of a run.

use std::{
    fmt,
    time::{Duration, Instant},
};

use rand::seq::IndexedRandom;
use secret_service::model::SyncEngine;

use crate::{plan::Plan, tally::Tally};

pub struct Settings {
    pub seed: u64,
    pub engine: SyncEngine,
    /// How many kills between two checkpoints.
    pub checkpoint: u64,
    /// No limit where it is a time that ends the run.
    kills: Option<u64>,
    begun: Instant,
    seconds: Option<u64>,
}

impl Settings {
    pub fn of_environment() -> Self {
        let seconds = number("SOAK_SECONDS");
        let kills = number("SOAK_KILLS").or(if seconds.is_none() { Some(300) } else { None });
        let engine = match std::env::var("SOAK_ENGINE").as_deref() {
            Err(_) | Ok("" | "direct") => SyncEngine::Direct,
            Ok("secret-store") => SyncEngine::SecretStore,
            Ok(other) => panic!("SOAK_ENGINE={other}: it is direct, or secret-store"),
        };
        Self {
            seed: number("SOAK_SEED").unwrap_or_else(rand::random),
            engine,
            checkpoint: number("SOAK_CHECKPOINT").unwrap_or(100),
            kills,
            begun: Instant::now(),
            seconds,
        }
    }

    /// Whether there is nothing more to do.
    pub fn is_over(&self, tally: &Tally) -> bool {
        self.kills.is_some_and(|kills| tally.kills() >= kills) || self.is_late()
    }

    /// Whether the time is over.
    pub fn is_late(&self) -> bool {
        self.seconds.is_some_and(|seconds| self.begun.elapsed() >= Duration::from_secs(seconds))
    }

    /// How many kills come before the next checkpoint.
    pub fn kills_to_go(&self, tally: &Tally) -> u64 {
        let left = self.kills.map_or(u64::MAX, |kills| kills.saturating_sub(tally.kills()));
        self.checkpoint.min(left)
    }

    /// What everybody does until a checkpoint: as in the simulation, ten times as fast. Some rounds are crowded, some without faults.
    pub fn plan(&self, round: u64) -> Plan {
        let seed = self.seed.wrapping_add(round);
        let drawn = Plan::of(seed, Some(self.engine));
        let mut random = drawn.random("the round");
        let mut pick = |choices: &[u64]| *choices.choose(&mut random).expect("there are choices");
        let mut sometimes = |choices: &[u64]| match pick(choices) {
            0 => None,
            most => Some(Duration::from_millis(most)),
        };
        Plan {
            haste: 10,
            callers: 8,
            retry_pause: Duration::from_millis(80),
            edge_meddling: sometimes(&[0, 150, 300]),
            vault_meddling: sometimes(&[0, 200, 400]),
            vault_faults: sometimes(&[0, 300, 700]),
            edge_faults: sometimes(&[0, 300, 700]),
            caller_pause: Duration::from_millis(pick(&[10, 40, 150])),
            synced_secrets: usize::try_from(pick(&[2, 5, 10])).unwrap_or(5),
            interval: INTERVAL,
            ..drawn
        }
    }
}

/// Between two rotation checks.
pub const INTERVAL: Duration = Duration::from_secs(2);

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: it is a number")))
}

impl fmt::Display for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "seed {}, engine {:?}, ", self.seed, self.engine)?;
        match (self.kills, self.seconds) {
            (Some(kills), _) => write!(formatter, "{kills} kills, ")?,
            (None, seconds) => write!(formatter, "{} seconds, ", seconds.unwrap_or_default())?,
        }
        write!(formatter, "a checkpoint every {}", self.checkpoint)
    }
}
