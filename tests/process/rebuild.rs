//! `secret-service rebuild`, beside a service that runs and without one, and the loss of the database at any moment.

use std::{path::PathBuf, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::DeleteParams};
use secret_service::proto::{ListSyncedSecretsRequest, synced_secret::State};

use super::{
    crash::{POINTS, Point, is_complete, killed_at, killed_in_create, with_pair_to_change},
    process::{Process, command, configuration},
};
use crate::support::{PATIENCE, Site, requests::*, until};

/// Ends as it should; what it printed.
async fn rebuild(site: &Site, flags: &[&str]) -> String {
    let config = site.directory().join("serve.toml");
    let mut command = tokio::process::Command::from(command(&["rebuild", "--config"]));
    let output = tokio::time::timeout(PATIENCE, command.arg(config).args(flags).output());
    let output = output.await.expect("it ends").unwrap();
    let (printed, said) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{printed}{said}");
    printed
}

fn database(site: &Site) -> PathBuf {
    site.directory().join("serve.db")
}

/// Without the Lease of whoever worked with it: a killed one keeps it for 15 s, and a new database is somebody else.
pub async fn lose_database(site: &Site) {
    let leases: Api<Lease> = Api::namespaced(site.kube.clone(), &site.namespace);
    let _ = leases.delete("secret-service", &DeleteParams::default()).await;
    for end in ["", "-wal", "-shm"] {
        let mut path = database(site).into_os_string();
        path.push(end);
        let _ = std::fs::remove_file(path);
    }
}

async fn names(process: &mut Process) -> Vec<String> {
    let all = process.client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    all.into_inner().synced_secrets.into_iter().map(|secret| secret.name).collect()
}

/// A site with the synced secrets "a" and "b", whose service has ended and whose database is lost.
async fn lost() -> Site {
    let site = Site::start().await;
    site.seed("v", "x").await;
    let mut process = Process::serve(&site).await;
    for id in ["a", "b"] {
        process.client.create_synced_secret(create(id, vec![existing("k", "v")])).await.unwrap();
    }
    assert!(process.terminate().await.success());
    lose_database(&site).await;
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_reports_what_it_would_record_and_creates_no_database() {
    let site = lost().await;
    let told = rebuild(&site, &["--dry-run"]).await;
    for word in ["a ", "b ", "direct", "to be recorded", "k=v"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    assert!(!database(&site).exists());
    let json: serde_json::Value =
        serde_json::from_str(&rebuild(&site, &["--dry-run", "-o", "json"]).await).unwrap();
    assert_eq!((&json["dryRun"], json["found"].as_array().unwrap().len()), (&true.into(), 2), "{json}");
}

/// `a` and `b` are recorded again, one of them is synced, and the process ends in order.
async fn has_both_and_syncs(mut process: Process, id: &str) {
    assert_eq!(names(&mut process).await, [name("a"), name("b")]);
    let synced = process.client.sync_synced_secret(sync(id)).await.unwrap().into_inner();
    assert_eq!(synced.state(), State::Synced);
    assert!(process.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_rebuilt_while_no_service_runs() {
    let site = lost().await;
    let told = rebuild(&site, &[]).await;
    assert!(told.contains("recorded") && !told.contains("to be recorded"), "{told}");
    assert!(rebuild(&site, &[]).await.contains("Nothing to record"));
    let process = Process::serve_as(&site, &configuration(&site, 0), &["--database-rebuild=false"]).await;
    has_both_and_syncs(process, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_service_rebuilds_its_database_on_request() {
    let site = lost().await;
    let mut process = Process::serve_as(&site, &configuration(&site, 0), &["--database-rebuild=false"]).await;
    let listed = process.client.get_synced_secret(get("a")).await;
    assert!(listed.is_err() || listed.unwrap().into_inner().state() == State::Degraded, "it was told not to");
    assert!(rebuild(&site, &["--dry-run"]).await.contains("to be recorded"));
    let told = rebuild(&site, &[]).await;
    assert!(told.contains("recorded"), "{told}");
    has_both_and_syncs(process, "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_is_killed_at_any_moment_is_finished_by_the_next_start() {
    let site = lost().await;
    for millis in [0, 5, 10, 20, 40, 80, 160, 320] {
        lose_database(&site).await;
        let process = Process::serve(&site).await;
        tokio::time::sleep(Duration::from_millis(millis)).await;
        process.kill().await;
        let mut process = Process::serve(&site).await;
        for id in ["a", "b"] {
            let begun = tokio::time::Instant::now();
            loop {
                let told = process.client.get_synced_secret(get(id)).await;
                if told.as_ref().is_ok_and(|told| told.get_ref().state() == State::Synced) {
                    break;
                }
                assert!(begun.elapsed() < PATIENCE, "killed after {millis} ms: {told:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert_eq!(names(&mut process).await, [name("a"), name("b")]);
        process.kill().await;
    }
}

/// What the edge holds is a synced secret again, whole and in sync; what it does not hold is none.
async fn is_back(site: &Site, process: &mut Process, point: Point, sets: &[[&str; 2]]) {
    let is_there = match process.client.get_synced_secret(get("edp1secrets")).await {
        Ok(_) => true,
        Err(_) => {
            // The rebuild has had the time for it.
            tokio::time::sleep(Duration::from_secs(2)).await;
            process.client.get_synced_secret(get("edp1secrets")).await.is_ok()
        }
    };
    assert_eq!(site.edge("edp1secrets").await.is_some(), is_there, "{point:?}");
    assert!(is_complete(site, sets).await, "{point:?}");
    if is_there {
        until(&mut process.client, "edp1secrets", |secret| secret.state() == State::Synced).await;
        process.client.delete_synced_secret(delete("edp1secrets")).await.unwrap();
        assert_eq!(site.edge("edp1secrets").await, None, "{point:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_killed_anywhere_and_loses_its_database_is_rebuilt_from_the_edge() {
    for point in POINTS.into_iter().filter(|point| !matches!(point, Point::Edge("delete", ..))) {
        let site = Site::start().await;
        killed_in_create(&site, point).await;
        lose_database(&site).await;
        let mut process = Process::serve(&site).await;
        is_back(&site, &mut process, point, &[["alice-1", "secret-1"]]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_killed_anywhere_and_loses_its_database_is_rebuilt_from_the_edge() {
    for point in POINTS {
        let site = Site::start().await;
        let (process, wanted) = with_pair_to_change(&site).await;
        let mut client = process.client.clone();
        killed_at(&site, process, point, async move {
            client.update_synced_secret(update(wanted, &["description"])).await?;
            client.add_vault_secret_version(add_version("edp1-username", "alice-2")).await?;
            client.delete_synced_secret(delete("edp1secrets")).await
        })
        .await;
        lose_database(&site).await;
        let mut process = Process::serve(&site).await;
        is_back(&site, &mut process, point, &[["alice-1", "secret-1"], ["alice-2", "secret-1"]]).await;
        assert_eq!(site.somebody.reads("edp1-password").await, "secret-1", "the vault is not touched");
    }
}
