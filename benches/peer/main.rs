//! External Secrets Operator beside Secret Service, on the same control plane and the same kind of vault: `make bench-peer`. Prints
//! how long each takes until a thousand secrets of two references are synced, and what it costs, beside a bare loop of as many
//! server-side applies.
//!
//! The directory of the operator's program and of its custom resource definitions is in `BENCH_PEER` (see `scripts/peer`).

#![allow(missing_docs)]

#[path = "../../tests/support/mod.rs"]
#[macro_use]
mod support;

#[path = "../cluster/apiserver.rs"]
#[allow(dead_code)]
mod apiserver;
#[path = "../cluster/bare_loop.rs"]
mod bare_loop;
#[path = "../cluster/ground.rs"]
#[allow(dead_code)]
mod ground;
#[path = "../cluster/meter.rs"]
#[allow(dead_code)]
mod meter;
mod operator;
#[path = "../cluster/ours.rs"]
#[allow(dead_code)]
mod ours;
#[path = "../../tests/process/process.rs"]
mod process;
#[path = "../cluster/report.rs"]
mod report;

use std::path::{Path, PathBuf};

use meter::{Cost, Meter};
use operator::Operator;
use report::Report;
use support::Site;

/// Names the directory of the operator.
const OPERATOR: &str = "BENCH_PEER";
/// The operator's settings: its defaults, and such that neither its workers nor its client hold it back.
const SETTINGS: [(&str, &[&str]); 2] =
    [("default", &[]), ("tuned", &["--concurrent=50", "--client-qps=1000", "--client-burst=2000"])];
/// Ours: at the limit that Key Vault publishes.
const OUR_FLAGS: [&str; 4] = ["--vault-requests-per-10s", "4000", "--sync-interval", "1h"];

fn main() {
    needs!(the_control_plane);
    let directory =
        PathBuf::from(std::env::var_os(OPERATOR).expect("BENCH_PEER is what scripts/peer prints"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (mut report, load) = (Report::default(), meter::load());
        report.add(bare_loop::NAME, bare_loop::run(&Site::start().await).await);
        let ours = ours().await;
        let (our_time, mut ratios) = (ours.took.as_secs_f64(), Vec::new());
        report.add("Secret Service, 4,000 per 10 s", ours);
        for (name, flags) in SETTINGS {
            let theirs = theirs(&directory, flags).await;
            ratios
                .push(format!("{name} takes {:.1} × the time of ours", theirs.took.as_secs_f64() / our_time));
            report.add(&format!("External Secrets Operator, {name}"), theirs);
        }
        println!("{}\n\n{report}", ground::conditions(&load));
        println!("External Secrets Operator: {}.", ratios.join(", "));
    });
}

async fn ours() -> Cost {
    let site = ground::prepare().await;
    let service = ours::start(&site, &OUR_FLAGS).await;
    let meter = Meter::start(&site, service.id()).await;
    ours::create_all(&service).await;
    let cost = meter.stop().await;
    ground::all_there(&site).await;
    ours::stop(service).await;
    cost
}

async fn theirs(directory: &Path, flags: &[&str]) -> Cost {
    let site = ground::prepare().await;
    operator::define(&site, directory).await;
    let operator = Operator::start(&site, directory, flags).await;
    let meter = Meter::start(&site, operator.id()).await;
    operator.create_all(&site).await;
    let cost = meter.stop().await;
    ground::all_there(&site).await;
    cost
}
