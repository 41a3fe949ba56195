//! The real process between the doubles, killed with -9 at random moments while eight callers are at it, others work at the edge and
//! in the vault, and faults come and go. The process always starts again on the same database. At each checkpoint the faults end, and
//! all that happened since the last one is held against the invariants of the design, by the reference model of the simulation.
//!
//! `make soak` runs it; `cargo test` does not. SOAK_KILLS says how often it kills (300), SOAK_SECONDS for how long instead, SOAK_SEED
//! where chance begins, SOAK_ENGINE which engine it runs (direct, or secret-store), SOAK_CHECKPOINT after how many kills it looks
//! (100). What a seed draws is the same each time; what happens is not, for the processes take their time.

#![allow(missing_docs)]

// What the simulation has too: callers, others, faults, the model and the checks are the same.
#[path = "../simulation/callers.rs"]
mod callers;
#[allow(dead_code)]
#[path = "../simulation/checks/mod.rs"]
mod checks;
#[path = "../simulation/doubles.rs"]
mod doubles;
#[path = "../simulation/faults.rs"]
mod faults;
#[allow(dead_code)]
#[path = "../simulation/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "../simulation/others.rs"]
mod others;
#[allow(dead_code)]
#[path = "../simulation/plan.rs"]
mod plan;
#[path = "../process/process.rs"]
mod process;
#[path = "../simulation/somebody.rs"]
mod somebody;
#[path = "../support/mod.rs"]
mod support;
#[allow(dead_code)]
#[path = "../simulation/watchers.rs"]
mod watchers;

mod busy;
mod checkpoint;
mod database;
mod failure;
mod life;
mod settings;
mod tally;
mod world;

use std::process::ExitCode;

use settings::Settings;
use support::vault_client;
use tally::Tally;

fn main() -> ExitCode {
    let settings = Settings::of_environment();
    println!("running the soak: {settings}");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut tally = Tally::default();
    let failure = runtime.block_on(run(&settings, &mut tally)).err();
    runtime.shutdown_background();
    println!("\n{tally}");
    if let Some(failure) = &failure {
        println!("\nFAILED with SOAK_SEED={} after {} kills:\n{failure}", settings.seed, tally.kills());
    }
    let (word, failed) = if failure.is_some() { ("FAILED", 1) } else { ("ok", 0) };
    println!("\ntest result: {word}. {} passed; {failed} failed", tally.checkpoints);
    ExitCode::from(failed)
}

/// One checkpoint after the other, on one database.
async fn run(settings: &Settings, tally: &mut Tally) -> Result<(), String> {
    let mut soak = checkpoint::Soak::start(settings).await;
    while !settings.is_over(tally) {
        if let Err(found) = soak.go_on(settings, tally).await {
            return Err(soak.world.leave(&found));
        }
        println!("{}", tally.line());
    }
    soak.world.remove();
    Ok(())
}
