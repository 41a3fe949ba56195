//! A closed loop of calls, and what it measured.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tonic::Status;

use crate::Client;

/// How hard to press.
pub struct Load {
    pub in_flight: usize,
    pub connections: usize,
}

/// Latencies of the calls of some time.
pub struct Measured {
    latencies: Histogram<u64>,
    took: Duration,
}

impl Load {
    /// Loads several servers in turn, round by round; the first round of each warms up and is not counted.
    pub async fn alternate<const N: usize, C, F>(
        &self,
        targets: [(SocketAddr, C); N],
        rounds: usize,
        round: Duration,
    ) -> [Measured; N]
    where
        C: Fn(Client, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Status>> + Send,
    {
        let mut measured: [Measured; N] = std::array::from_fn(|_| Measured::default());
        for number in 0..=rounds {
            for ((address, call), measured) in targets.iter().zip(&mut measured) {
                let until = Instant::now() + round;
                let this = self.run(*address, call.clone(), move |_| Instant::now() < until).await;
                if number > 0 {
                    measured.add(this);
                }
            }
        }
        measured
    }

    /// Makes a number of calls.
    pub async fn times<C, F>(&self, address: SocketAddr, calls: usize, call: C) -> Measured
    where
        C: Fn(Client, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Status>> + Send,
    {
        self.run(address, call, move |number| number < calls).await
    }

    async fn run<C, F>(
        &self,
        address: SocketAddr,
        call: C,
        goes_on: impl Fn(usize) -> bool + Clone + Send + 'static,
    ) -> Measured
    where
        C: Fn(Client, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Status>> + Send,
    {
        let mut clients = Vec::new();
        for _ in 0..self.connections {
            clients.push(Client::connect(format!("http://{address}")).await.expect("the server is there"));
        }
        let (begun, next, mut loops) = (Instant::now(), Arc::new(AtomicUsize::new(0)), JoinSet::new());
        for number in 0..self.in_flight {
            let client = clients[number % self.connections].clone();
            let (call, next, goes_on) = (call.clone(), next.clone(), goes_on.clone());
            loops.spawn(async move {
                let mut latencies = histogram();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if !goes_on(number) {
                        return latencies;
                    }
                    let called = Instant::now();
                    call(client.clone(), number).await.expect("the call goes well");
                    latencies.saturating_record(called.elapsed().as_nanos().try_into().unwrap_or(u64::MAX));
                }
            });
        }
        let mut latencies = histogram();
        while let Some(part) = loops.join_next().await {
            latencies.add(part.expect("no loop panics")).expect("the same bounds");
        }
        Measured { latencies, took: begun.elapsed() }
    }
}

impl Measured {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    pub fn percentile(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.latencies.value_at_percentile(percentile))
    }

    fn add(&mut self, other: Self) {
        self.latencies.add(other.latencies).expect("the same bounds");
        self.took += other.took;
    }
}

impl Default for Measured {
    fn default() -> Self {
        Self { latencies: histogram(), took: Duration::ZERO }
    }
}

/// From a microsecond to a minute, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).expect("the bounds are valid")
}
