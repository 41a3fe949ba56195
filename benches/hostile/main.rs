//! A caller that means well, alone and beside a thousand connections that don't, kind by kind: `make bench-hostile`, or
//! `make bench-hostile KINDS=reflection-streams,silent-bodies`. Prints the latencies of both, their ratio, and the memory that the service
//! takes at most. `HOSTILE_SECONDS` shortens the rounds.
//!
//! The service is the released binary in a process of its own, new for each kind, with its default limits, TLS, and callers that show
//! tokens. All share the machine: what the hostile ones spend of its processors to be hostile is in the numbers too.

#![allow(missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod attacks;
mod dial;
#[path = "../../tests/process/process.rs"]
mod process;

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use attacks::{Attackers, KINDS, Kind};
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
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

/// Synced secrets that there are: a watch tells of all of them at its beginning.
const SECRETS: usize = 1_000;
/// Between the calls of the good caller.
const PACE: Duration = Duration::from_millis(5);
/// A round: longer than a slow reader is suffered.
const ROUND: Duration = Duration::from_secs(45);
/// Between looks at the memory of the service.
const LOOK: Duration = Duration::from_millis(100);
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
    let kinds = chosen();
    let site = Site::start().await;
    let (certificate, key) = dial::certificate();
    site.account("good", &BOTH, &EVERYTHING, &[]).await;
    let mut tokens = Vec::new();
    for name in ["hostile", "hostile-too"] {
        site.account(name, &BOTH, &LOOKING, &[]).await;
        tokens.push(site.token(name, AUDIENCE).await);
    }
    let mut table = Table::new();
    let header = [
        "GetSyncedSecret, 200 a second, during",
        "calls",
        "p50",
        "p99",
        "max",
        "p99 alone",
        "ratio",
        "peak RSS",
    ];
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header(header);
    let mut suffered = Vec::new();
    for kind in kinds {
        let metrics = ([127, 0, 0, 1], process::free_port()).into();
        let service = serve(&site, &certificate, &key, metrics).await;
        let target = Arc::new(Target {
            address: service.address(),
            metrics,
            tls: dial::trusting(&certificate),
            tokens: tokens.clone().try_into().expect("there are two"),
        });
        let mut caller = good_caller(&site, &target, &certificate).await;
        seed(&site, &mut caller).await;
        paced(&mut caller, SETTLES).await;
        let alone = paced(&mut caller, round()).await;
        let memory = Memory::watch(service.id());
        let attackers = Attackers::start(hostile, &target, kind);
        sleep(SETTLES).await;
        let beside = paced(&mut caller, round()).await;
        suffered.push(format!("{}: {attackers}", kind.name));
        drop(attackers);
        table.add_row(row(kind.name, &alone, &beside, memory.peak()));
        // What is measured is told, also where a later kind is cut short.
        println!("{}", table.lines().last().unwrap_or_default());
        assert!(service.terminate().await.success(), "it ended badly");
    }
    println!("\n{table}\n\n{}", suffered.join("\n"));
}

/// The kinds that are named, by commas; all where none is.
fn chosen() -> Vec<&'static Kind> {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let named: Vec<&str> =
        named.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty()).collect();
    for name in &named {
        let known = KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>().join(", ");
        assert!(KINDS.iter().any(|kind| kind.name == *name), "{name} is no kind; there are {known}");
    }
    KINDS.iter().filter(|kind| named.is_empty() || named.contains(&kind.name)).collect()
}

fn round() -> Duration {
    let seconds = std::env::var("HOSTILE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    seconds.map_or(ROUND, Duration::from_secs)
}

/// What the service takes of the machine's memory, looked at again and again.
struct Memory {
    peak: Arc<AtomicUsize>,
    _task: AbortOnDropHandle<()>,
}

// === impl Memory ===

impl Memory {
    fn watch(process: u32) -> Self {
        let peak = Arc::new(AtomicUsize::new(0));
        let seen = peak.clone();
        let look = async move {
            loop {
                seen.fetch_max(resident(process).unwrap_or_default(), Ordering::Relaxed);
                sleep(LOOK).await;
            }
        };
        Self { peak, _task: AbortOnDropHandle::new(tokio::spawn(look)) }
    }

    /// In KiB.
    fn peak(&self) -> usize {
        self.peak.load(Ordering::Relaxed)
    }
}

/// KiB of a process that are in memory.
fn resident(process: u32) -> Option<usize> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

async fn serve(site: &Site, certificate: &str, key: &str, metrics: SocketAddr) -> Process {
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
    let metrics = metrics.to_string();
    let tls = ["--server-tls-cert-file", &cert_file, "--server-tls-key-file", &key_file];
    let flags = [&tls[..], &["--server-metrics-listen", &metrics]].concat();
    Process::serve_as(site, &closed, &flags).await
}

async fn good_caller(site: &Site, target: &Target, certificate: &str) -> Caller {
    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(certificate)).domain_name("localhost");
    let endpoint = Endpoint::new(format!("https://{}", target.address)).expect("it is an address");
    let channel = endpoint.tls_config(tls).expect("it is TLS").connect().await.expect("it answers");
    callers::client(channel, Some(&site.token("good", AUDIENCE).await))
}

/// Makes what is there to look at; the database keeps it for the next kind.
async fn seed(site: &Site, caller: &mut Caller) {
    if caller.get_synced_secret(get("s-00500")).await.is_ok() {
        return;
    }
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

fn row(name: &str, alone: &Histogram<u64>, beside: &Histogram<u64>, peak: usize) -> [String; 8] {
    let at = |latencies: &Histogram<u64>, quantile| {
        format!("{:.2?}", Duration::from_nanos(latencies.value_at_quantile(quantile)))
    };
    let p99 = |latencies: &Histogram<u64>| latencies.value_at_quantile(0.99) as f64;
    [
        name.to_owned(),
        beside.len().to_string(),
        at(beside, 0.5),
        at(beside, 0.99),
        at(beside, 1.0),
        at(alone, 0.99),
        format!("{:.2} ×", p99(beside) / p99(alone)),
        format!("{:.0} MiB", peak as f64 / 1024.0),
    ]
}
