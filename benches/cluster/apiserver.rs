//! What the API server has been asked.

use std::ops::Sub;

use crate::support::Site;

/// What changes something, as the API server's metrics call it.
const WRITES: [&str; 6] = ["APPLY", "PATCH", "POST", "PUT", "DELETE", "DELETECOLLECTION"];
/// What contenders ask for, as labels of the API server's metrics. The control plane itself is busy with other things.
const ASKED_FOR: [&str; 3] = ["resource=\"secrets\"", "resource=\"events\"", "group=\"external-secrets.io\""];
/// What the benchmark itself asks for, as others ask our own API: not a cost of the contender.
const LOAD: [&str; 2] = ["resource=\"externalsecrets\"", "verb=\"POST\""];

/// Requests of the contenders.
#[derive(Clone, Copy, Default)]
pub struct Requests {
    pub writes: u64,
    pub reads: u64,
}

impl Requests {
    /// Since the API server's start, by whomever.
    pub async fn so_far(site: &Site) -> Self {
        let ask = http::Request::get("/metrics").body(Vec::new()).expect("a request");
        let metrics = site.kube.request_text(ask).await.expect("the API server tells its metrics");
        let mut requests = Self::default();
        for line in metrics.lines().filter_map(|line| line.strip_prefix("apiserver_request_total{")) {
            let has = |label: &&str| line.contains(*label);
            if !ASKED_FOR.iter().any(has) || LOAD.iter().all(has) {
                continue;
            }
            let (_, count) = line.rsplit_once(' ').expect("a metric has a value");
            let count = count.parse::<f64>().expect("a count") as u64;
            match WRITES.iter().any(|verb| line.contains(&format!("verb=\"{verb}\""))) {
                true => requests.writes += count,
                false => requests.reads += count,
            }
        }
        requests
    }
}

impl Sub for Requests {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { writes: self.writes - before.writes, reads: self.reads - before.reads }
    }
}
