//! GetSyncedSecret, ListSyncedSecrets and CreateSyncedSecret over a real socket, beside a bare tonic server that answers from
//! a constant, in the same run: `cargo bench`. Prints requests per second, latency and the ratio to the bare server.
//!
//! Both servers are loaded by the same closed loop with the same number of calls in flight; what a comparison shows is
//! what the service adds to tonic. The rounds of the two alternate, so that what else the machine does hits both.

#![allow(missing_docs)]

#[path = "../../tests/support/mod.rs"]
mod support;

mod bare;
mod load;
mod seed;

use std::time::Duration;

use comfy_table::Table;
use load::{Load, Measured};
use secret_service::proto::{
    ListSyncedSecretsRequest, SyncedSecretFilter, secret_service_client::SecretServiceClient,
};
use support::requests::*;
use tonic::transport::Channel;

/// Calls in flight.
const IN_FLIGHT: usize = 32;
/// Connections that they share.
const CONNECTIONS: usize = 4;
/// A round; rounds of the bare server and of the service alternate.
const ROUND: Duration = Duration::from_secs(2);
const ROUNDS: usize = 4;
/// Synced secrets in the larger database.
const MANY: usize = 10_000;
/// Synced secrets that a resource each uses.
const USED: usize = 1_000;
/// Synced secrets created to measure creation.
const CREATED: usize = 1_000;

type Client = SecretServiceClient<Channel>;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let few = seed::world(100).await;
        let many = seed::world(MANY).await;
        let bare = bare::serve(seed::example(&few).await).await;

        let load = Load { in_flight: IN_FLIGHT, connections: CONNECTIONS };
        let get = |mut client: Client, _: usize| async move {
            client.get_synced_secret(get("s-00050")).await.map(drop)
        };
        let page = |mut client: Client, _: usize| async move {
            let request = ListSyncedSecretsRequest { page_size: 100, ..Default::default() };
            client.list_synced_secrets(request).await.map(drop)
        };
        let [plain, got] = load.alternate([(bare, get), (many.address(), get)], ROUNDS, ROUND).await;
        let [page_of_few, page_of_many] =
            load.alternate([(few.address(), page), (many.address(), page)], ROUNDS, ROUND).await;
        few.seed("bench", "value").await;
        let create = |mut client: Client, number: usize| async move {
            client
                .create_synced_secret(create(&format!("new-{number:05}"), vec![existing("k", "bench")]))
                .await
                .map(drop)
        };
        let created = load.times(few.address(), CREATED, create).await;
        let used = seed::used(USED).await;
        let list = |filter: Option<SyncedSecretFilter>| {
            move |mut client: Client, _: usize| {
                let request =
                    ListSyncedSecretsRequest { page_size: 100, filter: filter.clone(), ..Default::default() };
                async move { client.list_synced_secrets(request).await.map(drop) }
            }
        };
        let by_use = SyncedSecretFilter { used_by: Some(seed::users()), ..Default::default() };
        let targets = [(used.address(), list(None)), (used.address(), list(Some(by_use)))];
        let [page_of_used, filtered] = load.alternate(targets, ROUNDS, ROUND).await;
        print(
            &plain,
            &[
                ("bare tonic unary server", &plain),
                ("GetSyncedSecret, of 10,000", &got),
                ("ListSyncedSecrets, 100 of 100", &page_of_few),
                ("ListSyncedSecrets, 100 of 10,000", &page_of_many),
                ("CreateSyncedSecret, until SYNCED", &created),
                ("ListSyncedSecrets, 100 of 1,000 that are used", &page_of_used),
                ("the same, filtered by the kind that uses them", &filtered),
            ],
        );
        println!(
            "Get reaches {:.0} % of the bare server's throughput.",
            100.0 * got.per_second() / plain.per_second()
        );
        println!(
            "A page of 100 out of {MANY} takes {:.2} × the time of one out of 100.",
            page_of_few.per_second() / page_of_many.per_second()
        );
        println!(
            "A page of {USED} that is filtered by use takes {:.2} × the time of one that is not.",
            page_of_used.per_second() / filtered.per_second()
        );
    });
}

fn print(ceiling: &Measured, rows: &[(&str, &Measured)]) {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN).set_header([
        "what",
        "calls/s",
        "p50",
        "p99",
        "of the bare server",
    ]);
    for (what, measured) in rows {
        table.add_row([
            (*what).to_owned(),
            format!("{:.0}", measured.per_second()),
            format!("{:.2?}", measured.percentile(50.0)),
            format!("{:.2?}", measured.percentile(99.0)),
            format!("{:.0} %", 100.0 * measured.per_second() / ceiling.per_second()),
        ]);
    }
    println!("{IN_FLIGHT} calls in flight over {CONNECTIONS} connections\n\n{table}\n");
}
