//! The wall clock, set forward by a year and back while the service runs: nothing is pruned, nothing is late, and `check` says how far it
//! is off.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use secret_service::proto::{
    ListAuditEventsRequest, ListSyncedSecretsRequest, ListVaultSecretsRequest, SyncedSecret,
    WatchSyncedSecretsRequest, synced_secret::State,
};
use tokio::{process::Command, time::Instant};
use uuid::Uuid;

use super::process::{Process, command, configuration};
use crate::support::{Site, requests::*, script::say, until};

const YEAR: i64 = 365 * 24 * 3_600;

/// The wall clock of a process.
struct Clock {
    shim: PathBuf,
    offset: PathBuf,
}

impl Clock {
    /// None, with a word, where no C compiler is there to make it.
    fn of(site: &Site, test: &str) -> Option<Self> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/clock.c");
        let shim = site.directory().join("clock.so");
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O2", "-Wall", "-o"]).args([&shim, &source]);
        if !compiler.status().is_ok_and(|status| status.success()) {
            say(&format!("{test}: SKIPPED, no C compiler is here to make a clock that can be set"));
            return None;
        }
        let offset = site.directory().join("clock-offset");
        std::fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
        Some(Self { shim, offset })
    }

    fn set(&self, seconds: i64) {
        let file = std::fs::File::options().write(true).open(&self.offset).unwrap();
        file.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    fn environment(&self) -> [(&'static str, &Path); 2] {
        [("LD_PRELOAD", &self.shim), ("CLOCK_OFFSET", &self.offset)]
    }
}

async fn page(process: &mut Process, page_token: &str) -> (Vec<SyncedSecret>, String) {
    let request =
        ListSyncedSecretsRequest { page_size: 1, page_token: page_token.to_owned(), ..Default::default() };
    let page = process.client.list_synced_secrets(request).await.unwrap().into_inner();
    (page.synced_secrets, page.next_page_token)
}

async fn actions(process: &mut Process) -> usize {
    let request = ListAuditEventsRequest { page_size: 100, ..Default::default() };
    process.client.list_audit_events(request).await.unwrap().into_inner().audit_events.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn setting_the_clock_forward_by_a_year_and_back_prunes_nothing_and_delays_nobody() {
    let site = Site::start().await;
    let Some(clock) = Clock::of(&site, "a clock that is set") else { return };
    for vault_secret in ["v", "w"] {
        site.seed(vault_secret, "value").await;
    }
    let serve =
        async || Process::serve_in_environment(&site, &configuration(&site, 0), &clock.environment()).await;
    let mut process = serve().await;
    let first = secret_service::proto::CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![existing("k", "v")])
    };
    let made = process.client.create_synced_secret(first.clone()).await.unwrap().into_inner();
    process.client.create_synced_secret(create("b", vec![existing("k", "v")])).await.unwrap();
    let (_, next) = page(&mut process, "").await;
    let resume = {
        let request = WatchSyncedSecretsRequest::default();
        let mut watch = process.client.watch_synced_secrets(request).await.unwrap().into_inner();
        loop {
            let told = watch.message().await.unwrap().unwrap();
            if !told.resume_token.is_empty() {
                break told.resume_token;
            }
        }
    };
    for (round, offset) in [YEAR, 0, -YEAR].into_iter().enumerate() {
        clock.set(offset);
        let before = actions(&mut process).await;
        // What is pruned at a start is pruned now.
        assert!(process.terminate().await.success());
        process = serve().await;
        assert!(actions(&mut process).await >= before, "{offset}: the history lacks nothing");
        let again = process.client.create_synced_secret(first.clone()).await.unwrap().into_inner();
        assert_eq!(again.uid, made.uid, "{offset}: the same request has the same answer");
        assert_eq!(page(&mut process, &next).await.0.len(), 1, "{offset}: the list goes on");
        let resumed = WatchSyncedSecretsRequest { resume_token: resume.clone(), ..Default::default() };
        process.client.watch_synced_secrets(resumed).await.unwrap();

        // While it runs, there and back.
        clock.set(offset + YEAR);
        let begun = Instant::now();
        let id = format!("r{round}");
        let created =
            process.client.create_synced_secret(create(&id, vec![existing("k", "w")])).await.unwrap();
        assert_eq!(created.get_ref().state(), State::Synced, "{offset}");
        clock.set(offset);
        site.somebody.sets("w", &format!("value {round}")).await;
        let held = async || site.edge(&id).await.is_some_and(|data| data["k"] == format!("value {round}"));
        crate::support::until_so("the rotation goes on", held).await;
        until(&mut process.client, "a", |secret| secret.state() == State::Synced).await;
        assert!(begun.elapsed() < Duration::from_secs(15), "{offset}: {:?}", begun.elapsed());
    }
    assert!(process.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn check_and_metrics_report_the_clock_skew() {
    let site = Site::start().await;
    let Some(clock) = Clock::of(&site, "a clock that is off") else { return };
    let file = site.directory().join("c.toml");
    std::fs::write(&file, configuration(&site, 0)).unwrap();
    for (offset, holds, word) in
        [(0, "yes", "Within"), (7_230, "warning", "2h"), (-YEAR, "warning", "behind")]
    {
        clock.set(offset);
        let ended = Command::from(command(&["check", "-o", "json", "--config"]))
            .arg(&file)
            .envs(clock.environment())
            .output()
            .await
            .unwrap();
        let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
        let rows = report["checks"].as_array().unwrap();
        for peer in ["vault.clock", "cluster.clock"] {
            let row = rows.iter().find(|row| row["id"] == peer).unwrap();
            assert_eq!(row["holds"], holds, "{offset}: {row}");
            assert!(row["found"].as_str().unwrap().contains(word), "{offset}: {row}");
        }
    }
    let metrics = format!("127.0.0.1:{}", super::process::free_port());
    let configured =
        configuration(&site, 0).replace("[server]\n", &format!("[server]\nmetrics_listen = {metrics:?}\n"));
    let mut process = Process::serve_in_environment(&site, &configured, &clock.environment()).await;
    // Somebody needs the vault.
    process.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap();
    crate::support::until_so("both skews are there", async || {
        let page = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
        let skew = |peer: &str| {
            let name = format!("secret_service_clock_skew_seconds{{peer={peer:?}}} ");
            page.lines().find_map(|line| line.strip_prefix(&name)?.parse::<f64>().ok())
        };
        ["vault", "cluster"]
            .iter()
            .all(|peer| skew(peer).is_some_and(|skew| (skew + YEAR as f64).abs() < 5.0))
    })
    .await;
}
