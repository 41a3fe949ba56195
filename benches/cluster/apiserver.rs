//! The API server: what it has been asked, and how fast it takes Secrets from a loop that does nothing else.

use std::{ops::Sub, time::Instant};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    ground::{KEYS, SECRETS, synced_secret, vault_secret},
    meter::Cost,
    support::Site,
};

/// How a report calls it.
pub const BARE_LOOP: &str = "bare loop of server-side applies";
/// Applies in flight; more make the loop no faster.
const IN_FLIGHT: usize = 16;
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

/// Applies as many Secrets as others sync, and nothing else: no vault, no record, no look at what is there.
pub async fn bare_loop(site: &Site) -> Cost {
    let (before, begun) = (Requests::so_far(site).await, Instant::now());
    futures::stream::iter(0..SECRETS)
        .map(|number| {
            let (secrets, name) = (site.secrets(), synced_secret(number));
            let values =
                KEYS.map(|key| (key.to_owned(), format!("the value of {}", vault_secret(number, key))));
            let manifest = json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": name, "labels": { "app.kubernetes.io/managed-by": "bare-loop" } },
                "stringData": serde_json::Map::from_iter(values.map(|(key, value)| (key, value.into()))),
            });
            async move {
                let parameters = PatchParams::apply("bare-loop");
                secrets.patch(&name, &parameters, &Patch::Apply(manifest)).await.map(|_: Secret| ())
            }
        })
        .buffer_unordered(IN_FLIGHT)
        .try_collect::<Vec<_>>()
        .await
        .expect("the API server takes them");
    let took = begun.elapsed();
    Cost { took, apiserver: Requests::so_far(site).await - before, ..Cost::default() }
}
