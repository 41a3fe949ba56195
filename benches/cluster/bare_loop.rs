//! How fast the API server takes Secrets from a loop that does nothing else.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use crate::{
    apiserver::Requests,
    ground::{KEYS, SECRETS, synced_secret, vault_secret},
    meter::Cost,
    support::Site,
};

/// How a report calls it.
pub const NAME: &str = "bare loop of server-side applies";
/// Applies in flight; more make the loop no faster.
const IN_FLIGHT: usize = 16;
/// Applies as many Secrets as others sync, and nothing else: no vault, no record, no look at what is there.
pub async fn run(site: &Site) -> Cost {
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
