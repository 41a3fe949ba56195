//! What something cost: time, requests to the vault and to the API server, and CPU and memory of the process that did it.

use std::time::{Duration, Instant};

use crate::{apiserver::Requests, support::Site};

/// In which the kernel tells CPU times: USER_HZ, which is this on every machine that Linux still runs on.
const TICKS_PER_SECOND: f64 = 100.0;
/// Where they stand after the name of the program: user and system time.
const TIMES: [usize; 2] = [11, 12];

/// What something cost.
#[derive(Clone, Default)]
pub struct Cost {
    pub took: Duration,
    /// Requests to the vault, the challenge for a token included.
    pub vault: Option<u64>,
    /// Requests to the API server.
    pub apiserver: Requests,
    pub process: Option<Process>,
}

/// What the machine gave to a process.
#[derive(Clone, Copy)]
pub struct Process {
    pub cpu_seconds: f64,
    /// The most memory that it had since its start, in MiB. What it runs of its program counts, which is the page cache's.
    pub peak: f64,
    /// What it has in the end of memory that is nobody else's, in MiB.
    pub own: f64,
}

/// Measures from its start until it is stopped.
pub struct Meter<'a> {
    site: &'a Site,
    process: u32,
    begun: Instant,
    vault: u64,
    apiserver: Requests,
    cpu: f64,
}

impl<'a> Meter<'a> {
    /// Begins to measure what `process` does on a site.
    pub async fn start(site: &'a Site, process: u32) -> Self {
        let apiserver = Requests::so_far(site).await;
        let (vault, cpu) = (site.vault.requests().vault(), cpu_seconds(process));
        Self { site, process, begun: Instant::now(), vault, apiserver, cpu }
    }

    pub async fn stop(self) -> Cost {
        let took = self.begun.elapsed();
        let process = Process {
            cpu_seconds: cpu_seconds(self.process) - self.cpu,
            peak: memory(self.process, "VmHWM:"),
            own: memory(self.process, "RssAnon:"),
        };
        Cost {
            took,
            vault: Some(self.site.vault.requests().vault() - self.vault),
            apiserver: Requests::so_far(self.site).await - self.apiserver,
            process: Some(process),
        }
    }
}

impl Cost {
    /// The same, with a time that was measured more closely.
    pub fn took(self, took: Duration) -> Self {
        Self { took, ..self }
    }
}

/// What the kernel has counted of a process's time on the CPUs.
fn cpu_seconds(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(") ").expect("the program's name stands in parentheses");
    let fields: Vec<&str> = fields.split(' ').collect();
    let ticks: u64 = TIMES.iter().map(|&field| fields[field].parse::<u64>().expect("a count")).sum();
    ticks as f64 / TICKS_PER_SECOND
}

/// A line of what the kernel tells of a process's memory, in MiB.
fn memory(process: u32, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let told = status.lines().find_map(|told| told.strip_prefix(line)).expect("the kernel tells it");
    let kibibytes: f64 = told.trim().trim_end_matches(" kB").parse().expect("a number of kB");
    kibibytes / 1024.0
}

/// The machine's load average of the last minute.
pub fn load() -> String {
    let averages = std::fs::read_to_string("/proc/loadavg").expect("the kernel tells it");
    averages.split(' ').next().expect("the last minute's comes first").to_owned()
}
