//! What a seed says: who does what, how often, and what goes wrong. Some seeds run many faults, some none.

use std::time::Duration;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use secret_service::model::SyncEngine;

/// How a seed's run goes. Shares are between 0 and 1.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// How many times shorter everything that callers and others wait for is than in simulated time.
    pub haste: u32,
    pub engine: SyncEngine,
    /// How long everybody is at it.
    pub busy: Duration,
    pub workers: usize,
    pub interval: Duration,
    pub vault_timeout: Duration,
    pub edge_timeout: Duration,
    pub callers: usize,
    /// The longest pause of a caller between two calls.
    pub caller_pause: Duration,
    /// The longest pause of a caller before it sends again what was not answered.
    pub retry_pause: Duration,
    /// How many names the synced secrets share.
    pub synced_secrets: usize,
    pub vault_secrets: usize,
    /// How often a call is sent a second time while it is under way.
    pub overlapping: f64,
    /// How often a call brings a new value.
    pub creating: f64,
    /// How often a call waits for the edge.
    pub waiting: f64,
    pub latency: Duration,
    pub vault_latency: Duration,
    /// How long the vault takes to give a value, beside that.
    pub slow_values: Duration,
    /// How long it takes to store one, beside that.
    pub slow_sets: Duration,
    /// The pause between two deeds of somebody else, where there is somebody.
    pub edge_meddling: Option<Duration>,
    pub vault_meddling: Option<Duration>,
    /// The pause between two faults, where there are any.
    pub vault_faults: Option<Duration>,
    pub edge_faults: Option<Duration>,
    pub partitions: Option<Duration>,
    /// The vault refuses the list for good, and allows everything else.
    pub no_list: bool,
    /// How many pieces pass the gates before the service is killed, each time.
    pub kills: Vec<u64>,
    /// How often the service is stopped in order.
    pub restarts: usize,
    /// The first list of Secrets after each start fails, and somebody asks what uses what.
    pub no_first_list: bool,
    /// Nobody hears of what happens to Secrets while everybody is at it.
    pub is_silent: bool,
    /// The vault refuses every new value while everybody is at it, and takes its time for that.
    pub no_set: bool,
}

impl Plan {
    pub fn of(seed: u64, engine: Option<SyncEngine>) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut pick = |choices: &[u64]| *choices.choose(&mut random).expect("there are choices");
        let seconds = Duration::from_secs;
        let millis = Duration::from_millis;
        let calm = pick(&[0, 0, 0, 1]) == 1;
        let sometimes = |chosen: u64| (chosen > 0 && !calm).then(|| seconds(chosen));
        let drawn = match pick(&[0, 0, 1]) {
            0 => SyncEngine::Direct,
            _ => SyncEngine::SecretStore,
        };
        let mut plan = Self {
            seed,
            haste: 1,
            engine: engine.unwrap_or(drawn),
            busy: seconds(pick(&[40, 80, 120])),
            workers: usize::try_from(pick(&[1, 2, 3, 3, 8])).unwrap_or(1),
            interval: seconds(60),
            vault_timeout: seconds(pick(&[3, 5])),
            edge_timeout: seconds(pick(&[3, 5])),
            callers: usize::try_from(pick(&[2, 3, 4, 6])).unwrap_or(2),
            caller_pause: millis(pick(&[500, 2_000, 6_000])),
            retry_pause: millis(8_000),
            synced_secrets: usize::try_from(pick(&[1, 2, 3, 4, 6, 8])).unwrap_or(2),
            vault_secrets: usize::try_from(pick(&[2, 3, 5])).unwrap_or(3),
            overlapping: pick(&[0, 10, 30]) as f64 / 100.0,
            creating: pick(&[5, 25, 50]) as f64 / 100.0,
            waiting: pick(&[30, 70, 100]) as f64 / 100.0,
            latency: millis(pick(&[0, 0, 5, 50, 300])),
            vault_latency: millis(pick(&[0, 0, 20, 300, 1_500])),
            slow_values: millis(pick(&[0, 0, 0, 800, 2_500])),
            slow_sets: Duration::ZERO,
            edge_meddling: sometimes(pick(&[0, 2, 6])),
            vault_meddling: sometimes(pick(&[0, 3, 8])),
            vault_faults: sometimes(pick(&[0, 0, 4, 12])),
            edge_faults: sometimes(pick(&[0, 0, 4, 12])),
            partitions: sometimes(pick(&[0, 0, 0, 20])),
            no_list: pick(&[0, 0, 0, 1]) == 1,
            kills: Vec::new(),
            restarts: usize::try_from(if calm { 0 } else { pick(&[0, 0, 0, 1]) }).unwrap_or(0),
            no_first_list: false,
            is_silent: false,
            no_set: false,
        };
        let kills = if calm { 0 } else { pick(&[0, 0, 1, 2, 3]) };
        plan.kills = (0..kills).map(|_| random.random_range(20..700)).collect();
        plan.no_first_list = !calm && random.random_bool(0.1);
        if !calm && random.random_bool(0.1) {
            plan.is_silent = true;
            plan.edge_meddling = Some(seconds(2));
            // The end of any of them ends the silence.
            plan.edge_faults = None;
        }
        // By its number, so that the seeds that are kept stay what they were.
        if !calm && seed % 7 < 2 {
            plan.bring_values(seed.is_multiple_of(7));
        }
        plan
    }

    /// How long something lasts in this run.
    pub fn lasts(&self, simulated: Duration) -> Duration {
        simulated / self.haste
    }

    /// Many bring new values for few synced secrets, and the vault takes its time to store, or to refuse, them, while others change something.
    fn bring_values(&mut self, no_set: bool) {
        self.no_set = no_set;
        if no_set {
            self.vault_latency = self.vault_latency.max(Duration::from_millis(800));
        } else {
            // Whoever looks meanwhile for what is being stored has looked before it is there.
            self.vault_latency = self.vault_latency.min(Duration::from_millis(300));
            self.slow_sets = self.vault_timeout.mul_f64(0.6);
        }
        self.caller_pause = Duration::from_millis(500);
        self.callers = self.callers.max(4);
        self.synced_secrets = self.synced_secrets.min(2);
        self.creating = 0.3;
        self.waiting = if no_set { 0.2 } else { 0.9 };
    }

    /// A source of chance of its own for everybody, so that what one draws changes nothing for another.
    pub fn random(&self, who: &str) -> StdRng {
        let hash = who.bytes().fold(self.seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        StdRng::seed_from_u64(hash)
    }
}
