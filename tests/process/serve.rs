//! `secret-service serve` and `check`: what the command line promises.

use std::process::{Output, Stdio};

use key_vault_double::{FaultRule, OnOperation, Operation, VaultFault};
use secrecy::ExposeSecret;
use secret_service::proto::{
    ListSyncedSecretsRequest, ListVaultSecretsRequest, secret_service_client::SecretServiceClient,
};
use tonic::transport::Channel;

use super::process::{Process, command, configuration, connect, free_port, terminate};
use crate::support::{PATIENCE, Site, requests::*};

async fn output(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = tokio::time::timeout(PATIENCE, tokio::process::Command::from(command(arguments)).output())
        .await
        .expect("it ends")
        .unwrap();
    let Output { status, stdout, stderr } = output;
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[tokio::test]
async fn every_mistake_in_a_configuration_is_one_line_and_nothing_starts() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.toml");
    std::fs::write(&file, "[vault]\nuri = \"not a uri\"\nspeed = 3\n[sync]\ninterval = \"soon\"\n[credential]\nkind = \"password\"\n").unwrap();
    let (code, _, said) = output(&["serve", "--config", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(2), "{said}");
    for field in ["vault.uri", "speed", "sync.interval", "credential.kind"] {
        assert_eq!(said.lines().filter(|line| line.contains(field)).count(), 1, "{field}: {said}");
    }
    assert!(said.lines().all(|line| line.starts_with("error: ")), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_effective_configuration_is_printed_without_its_secret() {
    let site = Site::start().await;
    let file = site.directory().join("c.toml");
    std::fs::write(&file, configuration(&site, free_port())).unwrap();
    let (code, printed, said) =
        output(&["serve", "--config", file.to_str().unwrap(), "--print-config", "--sync-interval", "7m"])
            .await;
    assert_eq!(code, Some(0), "{said}");
    assert!(printed.contains("interval = \"7m\""), "a flag comes before the file: {printed}");
    assert!(!printed.contains(site.vault.credential().secret.expose_secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_reports_what_passes_what_fails_and_the_remedy() {
    let site = Site::start().await;
    let file = site.directory().join("c.toml");
    std::fs::write(&file, configuration(&site, free_port())).unwrap();
    let check = ["check", "--config", file.to_str().unwrap()];
    let (code, table, said) = output(&check).await;
    assert_eq!(code, Some(0), "{table}{said}");
    assert!(table.contains("Not checked") && table.contains("--probe-writes"), "{table}");
    assert_eq!(site.vault.requests().of(Operation::SecretSet), 0, "a check does not write");

    // Unless it is asked to: then nothing is stored all the same.
    let probing = [&check[..], &["--probe-writes"]].concat();
    let (code, table, said) = output(&probing).await;
    assert_eq!(code, Some(0), "{table}{said}");
    assert!(table.contains("Nothing was stored") && !table.contains("warning"), "{table}");
    assert_eq!(site.vault.requests().of(Operation::SecretSet), 1);
    let mut process = Process::serve(&site).await;
    let all =
        process.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap().into_inner();
    assert!(all.vault_secrets.is_empty(), "{all:?}");
    assert!(process.terminate().await.success());

    // Whoever never creates does without.
    site.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretSet));
    let (code, table, said) = output(&probing).await;
    assert_eq!(code, Some(0), "{table}{said}");
    assert!(table.contains("warning") && table.contains("Key Vault Secrets Officer"), "{table}");

    site.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretGet));
    let (code, table, said) = output(&check).await;
    assert_eq!(code, Some(1), "{table}{said}");
    assert!(table.contains("NO") && table.contains("Secrets User"), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn serve_runs_until_sigterm_and_logs_json_without_values() {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    process.create("a", vec![created("k", "fresh", "canary-44c1")]).await;
    assert_eq!(site.edge("a").await.unwrap()["k"], "canary-44c1");
    assert!(process.terminate().await.success());
    let log = std::fs::read_to_string(super::process::log(&site)).unwrap();
    assert!(log.lines().count() > 1);
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert!(!log.contains("canary-44c1"));
}

/// The lines that were not written, by the metrics.
async fn dropped_lines(metrics: &str) -> u64 {
    let page = reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
    let line = page.lines().find_map(|line| line.strip_prefix("secret_service_log_lines_dropped_total "));
    line.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_log_reader_blocks_nothing_else() {
    let site = Site::start().await;
    let (port, metrics) = (free_port(), format!("127.0.0.1:{}", free_port()));
    let config = site.directory().join("serve.toml");
    std::fs::write(&config, configuration(&site, port)).unwrap();
    let mut child = tokio::process::Command::from(command(&["serve", "--config"]))
        .arg(&config)
        .args(["--server-metrics-listen", &metrics])
        .env("SECRET_SERVICE_LOG", "debug")
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let client = connect(&format!("http://127.0.0.1:{port}")).await;
    // Each of these calls is a line. The pipe holds some hundred, and what waits for it some thousand.
    let calls = |mut client: SecretServiceClient<Channel>| async move {
        for _ in 0..800 {
            let call = client.list_synced_secrets(ListSyncedSecretsRequest::default());
            let answer = tokio::time::timeout(PATIENCE, call).await.expect("it answers");
            drop(answer);
        }
    };
    futures::future::join_all((0..8).map(|_| calls(client.clone()))).await;
    assert!(dropped_lines(&metrics).await > 0);
    assert!(terminate(&mut child).await.success());
}

#[tokio::test]
async fn the_help_names_the_environment_variable_of_every_flag() {
    let (code, help, _) = output(&["serve", "--help"]).await;
    assert_eq!(code, Some(0));
    for flag in
        ["--vault-uri", "--credential-kind", "--kubernetes-namespace", "--sync-interval", "--database-path"]
    {
        let variable =
            format!("SECRET_SERVICE_{}", flag.trim_start_matches("--").replace('-', "_").to_uppercase());
        assert!(help.contains(flag) && help.contains(&variable), "{flag}, {variable}");
    }
}
