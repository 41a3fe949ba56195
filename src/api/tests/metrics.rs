//! What Prometheus gets.

use tokio::io::AsyncWriteExt;

use super::*;
use crate::proto::GetSyncedSecretRequest;

async fn page(running: &Running) -> String {
    let url = format!("http://{}/metrics", running.metrics.unwrap());
    let answer = reqwest::Client::builder().no_proxy().build().unwrap().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(kind.starts_with("application/openmetrics-text; version=1.0.0"), "{kind}");
    answer.text().await.unwrap()
}

#[tokio::test]
async fn metrics_count_calls_and_synced_secrets_and_contain_no_names() {
    let running = serve(|options| options.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let good = secret("pump-7");
    running.house.insert(good.clone()).await;
    running.house.update(&good, State::Synced).await;
    let failed = secret("pump-8");
    running.house.insert(failed.clone()).await;
    running.house.update(&failed, State::Failed).await;
    let mut client = running.client().await;
    for name in ["syncedSecrets/pump-7", "syncedSecrets/pump-8", "syncedSecrets/pump-9"] {
        let _ = client.get_synced_secret(GetSyncedSecretRequest { name: name.into(), view: 0 }).await;
    }
    let page = page(&running).await;
    for line in [
        "secret_service_calls_total{method=\"GetSyncedSecret\",code=\"OK\"} 2",
        "secret_service_calls_total{method=\"GetSyncedSecret\",code=\"NOT_FOUND\"} 1",
        "secret_service_call_duration_seconds_count{method=\"GetSyncedSecret\"} 3",
        "secret_service_synced_secrets{state=\"SYNCED\"} 1",
        "secret_service_synced_secrets{state=\"FAILED\"} 1",
        "secret_service_synced_secrets{state=\"PENDING\"} 0",
        "secret_service_leader 1",
        "secret_service_lease_holder_changes_total 0",
        &format!("secret_service_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION")),
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is missing in\n{page}");
    }
    let unsynced =
        page.lines().find_map(|line| line.strip_prefix("secret_service_longest_unsynced_seconds "));
    assert!(unsynced.unwrap().parse::<f64>().unwrap() > 0.0);
    assert!(!page.contains("pump"), "{page}");
    assert!(page.ends_with("# EOF\n"));
}

#[tokio::test]
async fn an_unfinished_metrics_request_does_not_delay_the_shutdown() {
    let running = serve(|options| options.metrics = Some("127.0.0.1:0".parse().unwrap())).await;
    let mut half = tokio::net::TcpStream::connect(running.metrics.unwrap()).await.unwrap();
    half.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await.unwrap();
    page(&running).await;
    running.stop.cancel();
    tokio::time::timeout(Duration::from_secs(5), running.task).await.expect("it ends").unwrap().unwrap();
}
