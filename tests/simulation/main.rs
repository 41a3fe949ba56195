//! The whole service under any interleaving that a seed can think of: real SQLite, real sockets, the two doubles, one thread, and
//! simulated time. A seed drives callers, others at the edge and in the vault, faults, latencies, kills and restarts; at the end the
//! invariants of the design are held against all that happened.
//!
//! `cargo test --test simulation` runs the kept seeds and then fresh ones for SIMULATION_SECONDS (120); `SIMULATION_SEED=N` runs one,
//! and prints what happened; `SIMULATION_ENGINE=direct|secret-store` chooses the engine for it. `scripts/simulate-faults` puts faults that the
//! service once had back, one at a time, and shows how soon each is found.
//!
//! Each seed runs in a process of its own, so that it depends on nothing that ran before. `shim.c` goes into that process first: with
//! it random bytes come from the seed and the wall clock follows the simulated time. Without a C compiler everything runs all the same,
//! but a seed may not replay exactly.

#![allow(missing_docs)]

mod bystander;
mod callers;
mod checks;
mod clock;
mod doubles;
mod faults;
mod gate;
mod model;
mod others;
mod parent;
mod partitions;
mod plan;
mod scenario;
mod somebody;
#[path = "../support/vault_client.rs"]
mod vault_client;
mod watchers;
mod world;

use std::io::Write as _;

use secret_service::model::SyncEngine;

/// The variable that makes this process run one seed.
const CHILD: &str = "SIMULATION_CHILD";
/// The variable that chooses the engine.
const ENGINE: &str = "SIMULATION_ENGINE";

#[test]
fn the_invariants_hold_under_every_seed() {
    match std::env::var(CHILD) {
        Ok(seed) => child(seed.parse().expect("a seed is a number")),
        Err(_) => parent::run(),
    }
}

/// Runs one seed, and ends the process.
fn child(seed: u64) -> ! {
    // The name chooses this thread's source of chance.
    let thread = std::thread::Builder::new().name("simulation".to_owned()).stack_size(16 << 20);
    let run = thread.spawn(move || {
        let simulated = clock::Simulated::new();
        simulated.run(scenario::run(plan::Plan::of(seed, engine()), simulated.database()))
    });
    let report = run.expect("a thread").join();
    let mut out = std::io::stdout().lock();
    let failed = match report {
        Ok(report) => {
            for (moment, text) in &report.trace {
                let _ = writeln!(out, "TRACE {:>9.3} {text}", moment.time.as_secs_f64());
            }
            for found in &report.found {
                let _ = writeln!(out, "FOUND {}", found.replace('\n', "\n      "));
            }
            let _ = writeln!(out, "COUNT {} {} {}", report.calls, report.faults, report.kills);
            !report.found.is_empty()
        }
        Err(_) => {
            let _ = writeln!(out, "FOUND the simulation itself died");
            true
        }
    };
    let _ = out.flush();
    drop(out);
    std::process::exit(i32::from(failed))
}

fn engine() -> Option<SyncEngine> {
    match std::env::var(ENGINE).as_deref() {
        Ok("direct") => Some(SyncEngine::Direct),
        Ok("secret-store") => Some(SyncEngine::SecretStore),
        Ok(other) => panic!("{ENGINE}={other}: it is direct, or secret-store"),
        Err(_) => None,
    }
}
