//! A thousand synced secrets on a real control plane, with a Key Vault that takes 20 ms an answer: `make bench-cluster`. Prints how
//! long it takes until all are synced and what it costs the vault, the API server and the machine; then the same for rotation
//! checks and for a start without the database; and, for comparison, a bare loop of as many server-side applies.

#![allow(missing_docs)]

#[path = "../../tests/support/mod.rs"]
#[macro_use]
mod support;

mod apiserver;
mod bare_loop;
mod ground;
mod meter;
mod ours;
#[path = "../../tests/process/process.rs"]
mod process;
mod report;

use std::time::{Duration, Instant};

use meter::{Cost, Meter};
use process::Process;
use report::Report;
use support::Site;

/// Between rotation checks, where they are measured: longer than one takes, and than it takes to see that one is over.
const INTERVAL: &str = "5s";
/// Of a hundred vault secrets, how many get a new version before the second check.
const CHANGED_PERCENT: usize = 1;
/// The limiter at what Key Vault publishes, and where it never limits.
const LIMITS: [(&str, &str); 2] = [("limiter off", "1000000"), ("4,000 per 10 s", "4000")];

fn main() {
    needs!(the_control_plane);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (mut report, load) = (Report::default(), meter::load());
        report.add(bare_loop::NAME, bare_loop::run(&Site::start().await).await);
        for (name, limit) in LIMITS {
            run(&mut report, name, limit).await;
        }
        println!("{}\n\n{report}", ground::conditions(&load));
    });
}

/// Creation, a check that finds nothing and a check that finds something, with one setting of the limiter.
async fn run(report: &mut Report, name: &str, limit: &str) {
    let site = ground::prepare().await;
    let flags =
        |interval| ["--vault-requests-per-10s", limit, "--sync-jitter", "0", "--sync-interval", interval];
    let service = ours::start(&site, &flags("1h")).await;
    let meter = Meter::start(&site, service.id()).await;
    ours::create_all(&service).await;
    report.add(&format!("all SYNCED, {name}"), meter.stop().await);
    ground::all_there(&site).await;
    ours::stop(service).await;

    let service = ours::start(&site, &flags(INTERVAL)).await;
    report.add(&format!("check without changes, {name}"), one_check(&site, &service).await);
    ground::change(&site, CHANGED_PERCENT).await;
    report.add(&format!("check with {CHANGED_PERCENT} % changed, {name}"), one_check(&site, &service).await);
    ours::stop(service).await;
    rebuild(report, name, &site, &flags("1h")).await;
}

/// A start without the database: until all are recorded again, and until all are SYNCED again.
async fn rebuild(report: &mut Report, name: &str, site: &Site, flags: &[&str]) {
    ours::lose_database(site);
    let begun = Instant::now();
    let service = ours::start(site, flags).await;
    let meter = Meter::start(site, service.id()).await;
    ours::all_recorded(&service).await;
    let recorded = begun.elapsed();
    ours::all_synced(&service).await;
    let synced = begun.elapsed();
    let cost = meter.stop().await;
    report.add(&format!("database lost: all recorded again, {name}"), cost.clone().took(recorded));
    report.add(&format!("database lost: all SYNCED again, {name}"), cost.took(synced));
    ours::stop(service).await;
}

/// Measures the next rotation check: from its first request to the vault until the vault hears nothing more.
async fn one_check(site: &Site, service: &Process) -> Cost {
    const QUIET: Duration = Duration::from_secs(1);
    ground::until_quiet(site, QUIET).await;
    let meter = Meter::start(site, service.id()).await;
    ground::until_asked(site).await;
    let begun = Instant::now();
    ground::until_quiet(site, QUIET).await;
    meter.stop().await.took(begun.elapsed().saturating_sub(QUIET))
}
