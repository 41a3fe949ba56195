//! What is counted over the whole run.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use tonic::Code;

use crate::model::{Inner, Outcome};

pub struct Tally {
    begun: Instant,
    pub checkpoints: u64,
    /// By the moment at which they came.
    pub killed_running: u64,
    pub killed_starting: u64,
    /// Told to stop, and stopped in order.
    pub stopped: u64,
    pub starts: Vec<Duration>,
    calls: usize,
    attempts: usize,
    faults: usize,
    deeds: usize,
    vault_changes: usize,
    edge_changes: usize,
    changes_watched: usize,
    answers: BTreeMap<String, usize>,
    /// The longest time from the end of the faults until all was settled.
    pub settled: Duration,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            checkpoints: 0,
            killed_running: 0,
            killed_starting: 0,
            stopped: 0,
            starts: Vec::new(),
            calls: 0,
            attempts: 0,
            faults: 0,
            deeds: 0,
            vault_changes: 0,
            edge_changes: 0,
            changes_watched: 0,
            answers: BTreeMap::new(),
            settled: Duration::ZERO,
        }
    }
}

impl Tally {
    pub fn kills(&self) -> u64 {
        self.killed_running + self.killed_starting
    }

    /// Adds what happened since the last checkpoint.
    pub fn add(&mut self, inner: &Inner, changes_watched: usize) {
        self.calls += inner.calls.len();
        self.faults += inner.faults;
        self.vault_changes += inner.vault.len();
        self.edge_changes += inner.edge.len();
        self.changes_watched += changes_watched;
        self.deeds += inner.trace.iter().filter(|(_, text)| text.starts_with("somebody ")).count();
        for attempt in inner.calls.iter().flat_map(|call| &call.attempts) {
            self.attempts += 1;
            *self.answers.entry(code(attempt.outcome.as_ref())).or_default() += 1;
        }
    }

    /// How it goes, after a checkpoint.
    pub fn line(&self) -> String {
        format!(
            "checkpoint {}: {} kills, {} calls in {} attempts, {} faults, {}: all holds",
            self.checkpoints,
            self.kills(),
            self.calls,
            self.attempts,
            self.faults,
            time(self.begun.elapsed())
        )
    }
}

fn code(outcome: Option<&Outcome>) -> String {
    match outcome {
        None => "none".to_owned(),
        Some(Outcome::Ok(_)) => format!("{:?}", Code::Ok),
        Some(Outcome::Refused { code, .. } | Outcome::Unknown { code, .. }) => format!("{code:?}"),
    }
}

fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    format!("{} min {:02} s", seconds / 60, seconds % 60)
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut starts = self.starts.clone();
        starts.sort_unstable();
        let middle = starts.get(starts.len() / 2).copied().unwrap_or_default();
        let longest = starts.last().copied().unwrap_or_default();
        writeln!(
            formatter,
            "kills      {} ({} while it ran, {} while it started); stopped in order {} times",
            self.kills(),
            self.killed_running,
            self.killed_starting,
            self.stopped
        )?;
        writeln!(formatter, "starts     {}, median {middle:.0?}, longest {longest:.0?}", starts.len())?;
        writeln!(formatter, "calls      {} in {} attempts", self.calls, self.attempts)?;
        let answers: Vec<_> = self.answers.iter().map(|(code, count)| format!("{code} {count}")).collect();
        writeln!(formatter, "answers    {}", answers.join(", "))?;
        writeln!(
            formatter,
            "faults     {}; deeds of others {}; changes in the vault {}, at the edge {}, watched {}",
            self.faults, self.deeds, self.vault_changes, self.edge_changes, self.changes_watched
        )?;
        write!(
            formatter,
            "time       {}; all settled within {:.1?} of the last fault, at {} checkpoints",
            time(self.begun.elapsed()),
            self.settled,
            self.checkpoints
        )
    }
}
