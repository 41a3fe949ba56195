//! A caller that means well, alone and beside a thousand connections that don't, in the same run: `make bench-hostile`. Prints the
//! latencies of both and their ratio.
//!
//! The service is the released binary in a process of its own, with its default limits, TLS, and callers that show tokens. All share
//! the machine: what the hostile ones spend of its processors to be hostile is in the numbers too.

#![allow(missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod attacks;
mod dial;
#[path = "../../tests/process/process.rs"]
mod process;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use attacks::Attackers;
use comfy_table::Table;
use dial::Target;
use futures::{StreamExt, TryStreamExt};
use hdrhistogram::Histogram;
use process::Process;
use secret_service::proto::CreateSyncedSecretRequest;
use support::{
    Site,
    callers::{self, AUDIENCE, BOTH, Caller, EVERYTHING, LOOKING},
    requests::*,
};
use tokio::time::{sleep, sleep_until};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// Synced secrets that there are: a watch tells of all of them at its beginning.
const SECRETS: usize = 1_000;
/// Between the calls of the good caller.
const PACE: Duration = Duration::from_millis(5);
/// A round; rounds alone and beside the attackers alternate. Longer than a slow reader is suffered.
const ROUND: Duration = Duration::from_secs(45);
const ROUNDS: usize = 2;
/// Until what begins or ends has begun or ended.
const SETTLES: Duration = Duration::from_secs(5);

fn main() {
    // One thread of their own: they can't take all of a machine that has two.
    let hostile = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let hostile = hostile.expect("a runtime");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(measure(hostile.handle()));
    hostile.shutdown_background();
}

async fn measure(hostile: &tokio::runtime::Handle) {
    let site = Site::start().await;
    let (certificate, key) = dial::certificate();
    let service = serve(&site, &certificate, &key).await;
    site.account("good", &BOTH, &EVERYTHING, &[]).await;
    site.account("hostile", &BOTH, &LOOKING, &[]).await;
    let target = Arc::new(Target {
        address: service.address(),
        tls: dial::trusting(&certificate),
        token: site.token("hostile", AUDIENCE).await,
    });
    let mut caller = good_caller(&site, &target, &certificate).await;
    seed(&site, &caller).await;

    let (mut alone, mut beside, mut suffered) = (histogram(), histogram(), Vec::new());
    paced(&mut caller, SETTLES).await;
    for _ in 0..ROUNDS {
        alone.add(paced(&mut caller, ROUND).await).expect("the same bounds");
        let attackers = Attackers::start(hostile, &target);
        sleep(SETTLES).await;
        beside.add(paced(&mut caller, ROUND).await).expect("the same bounds");
        suffered.push(attackers.to_string());
        drop(attackers);
        sleep(SETTLES).await;
    }
    print(&alone, &beside, &suffered);
    assert!(service.terminate().await.success(), "it ended badly");
}

async fn serve(site: &Site, certificate: &str, key: &str) -> Process {
    let file = |name: &str, text: &str| {
        let path = site.directory().join(name);
        std::fs::write(&path, text).expect("the disk takes it");
        path.display().to_string()
    };
    let (cert_file, key_file) = (file("tls.crt", certificate), file("tls.key", key));
    let open = "[authentication]\ntokens = false\nanonymous = true\n";
    let configuration = process::configuration(site, 0);
    assert!(configuration.contains(open));
    let closed = configuration.replace(open, "[authentication]\ntokens = true\n");
    let flags = ["--server-tls-cert-file", &cert_file, "--server-tls-key-file", &key_file];
    Process::serve_as(site, &closed, &flags).await
}

async fn good_caller(site: &Site, target: &Target, certificate: &str) -> Caller {
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)).domain_name("localhost");
    let endpoint = Endpoint::new(format!("https://{}", target.address)).expect("it is an address");
    let channel = endpoint.tls_config(tls).expect("it is TLS").connect().await.expect("it answers");
    callers::client(channel, Some(&site.token("good", AUDIENCE).await))
}

async fn seed(site: &Site, caller: &Caller) {
    site.seed("bench", "a value").await;
    futures::stream::iter(0..SECRETS)
        .map(|number| {
            let mut caller = caller.clone();
            let references = vec![existing("k", "bench")];
            let create =
                CreateSyncedSecretRequest { wait: None, ..create(&format!("s-{number:05}"), references) };
            async move { caller.create_synced_secret(create).await.map(drop) }
        })
        .buffer_unordered(16)
        .try_collect::<Vec<_>>()
        .await
        .expect("the seed is made");
    sleep(SETTLES).await;
}

/// Calls at a steady pace, whatever the answers take: a call that is late because the one before was is late from when it was due. That
/// a timer wakes us late is nobody's fault.
async fn paced(caller: &mut Caller, time: Duration) -> Histogram<u64> {
    let (mut latencies, mut due) = (histogram(), Instant::now());
    let end = due + time;
    while due < end {
        let from = match Instant::now() < due {
            true => {
                sleep_until(due.into()).await;
                Instant::now()
            }
            false => due,
        };
        caller.get_synced_secret(get("s-00500")).await.expect("the good caller is served");
        latencies.saturating_record(from.elapsed().as_nanos().try_into().unwrap_or(u64::MAX));
        due += PACE;
    }
    latencies
}

/// From a microsecond to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are valid")
}

fn print(alone: &Histogram<u64>, beside: &Histogram<u64>, suffered: &[String]) {
    let mut table = Table::new();
    let header = ["GetSyncedSecret, 200 a second", "calls", "p50", "p90", "p99", "max"];
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(header);
    let at = |latencies: &Histogram<u64>, quantile| {
        format!("{:.2?}", Duration::from_nanos(latencies.value_at_quantile(quantile)))
    };
    for (what, latencies) in [("alone", alone), ("beside the hostile", beside)] {
        table.add_row([
            what.to_owned(),
            latencies.len().to_string(),
            at(latencies, 0.5),
            at(latencies, 0.9),
            at(latencies, 0.99),
            at(latencies, 1.0),
        ]);
    }
    println!("{table}\n");
    for round in suffered {
        println!("{round}");
    }
    let p99 = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.99) as f64;
    println!("Beside them p99 is {:.2} × what it is alone.", p99(beside) / p99(alone));
}
