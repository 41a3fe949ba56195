//! What the disk does to the database, and that all comes back by itself. On a small disk of the test's own, which needs the right to mount one.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use secret_service::proto::ListAuditEventsRequest;
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tonic::transport::Endpoint;
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use super::process::{Process, command, configuration, log};
use crate::support::{Site, disk::Disk, requests::*, script::say, until_so};

fn on(disk: &Disk, site: &Site) -> String {
    let own = configuration(site, 0);
    let database = site.directory().join("serve.db");
    own.replace(&database.display().to_string(), &disk.database().display().to_string())
}

async fn health(process: &Process) -> ServingStatus {
    let endpoint = Endpoint::new(format!("http://{}", process.address())).unwrap();
    let mut client = HealthClient::new(endpoint.connect().await.unwrap());
    client.check(HealthCheckRequest::default()).await.unwrap().into_inner().status()
}

/// Creates synced secrets until one is refused, and gives back how many went well and why the last one did not.
async fn create_until_refused(process: &mut Process, prefix: &str) -> (usize, tonic::Status) {
    for number in 0..1_000 {
        let request = create(&format!("{prefix}-{number}"), vec![existing("k", "v")]);
        if let Err(refusal) = process.client.create_synced_secret(request).await {
            return (number, refusal);
        }
    }
    panic!("the disk takes everything");
}

/// How often the log says something.
fn said(site: &Site, text: &str) -> usize {
    std::fs::read_to_string(log(site)).unwrap().matches(text).count()
}

/// What was answered OK is there, and nothing else.
async fn all_are_there(process: &mut Process, prefix: &str, created: usize) {
    for number in 0..created {
        process.client.get_synced_secret(get(&format!("{prefix}-{number}"))).await.unwrap();
    }
    process.client.get_synced_secret(get(&format!("{prefix}-{created}"))).await.unwrap_err();
}

/// A service on a disk of its own, with a vault secret to refer to.
async fn start(test: &str) -> Option<(Site, Disk, Process)> {
    let site = Site::start().await;
    let disk = Disk::mount(&site, test)?;
    let mut process = Process::serve_as(&site, &on(&disk, &site), &[]).await;
    process.client.create_synced_secret(create("first", vec![created("k", "v", "value")])).await.unwrap();
    Some((site, disk, process))
}

async fn comes_back(site: &Site, process: &mut Process, prefix: &str, written: usize) {
    until_so("it serves again", async || health(process).await == ServingStatus::Serving).await;
    all_are_there(process, prefix, written).await;
    process.client.create_synced_secret(create("again", vec![existing("k", "v")])).await.unwrap();
    assert_eq!(said(site, "non-zero transaction depth"), 0);
    assert!(said(site, "the database is writable again") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_accepts_writes_again_without_a_restart() {
    let Some((site, disk, mut process)) = start("a_disk_that_was_full…").await else { return };
    disk.fill();
    let (written, refusal) = create_until_refused(&mut process, "full").await;
    assert_eq!(told(&refusal).reason, "DATABASE_FULL", "{refusal:?}");
    until_so("health says so", async || health(&process).await == ServingStatus::NotServing).await;
    // What is recorded is still told, and goes on being synced.
    process.client.get_synced_secret(get("first")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let lines = std::fs::read_to_string(log(&site)).unwrap().lines().count();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let more = std::fs::read_to_string(log(&site)).unwrap().lines().count() - lines;
    assert!(more < 10, "{more} lines in five seconds: {}", std::fs::read_to_string(log(&site)).unwrap());

    disk.free();
    comes_back(&site, &mut process, "full", written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_locked_by_another_process_accepts_writes_again_when_the_lock_ends() {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    process.client.create_synced_secret(create("first", vec![created("k", "v", "value")])).await.unwrap();
    let options = SqliteConnectOptions::new().filename(site.directory().join("serve.db"));
    let mut other = options.connect().await.unwrap();
    let held = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let refusal = process.client.create_synced_secret(create("held", vec![existing("k", "v")])).await;
    assert_eq!(told(&refusal.unwrap_err()).reason, "DATABASE_BUSY");
    until_so("health says so", async || health(&process).await == ServingStatus::NotServing).await;
    process.client.get_synced_secret(get("first")).await.unwrap();
    held.rollback().await.unwrap();

    until_so("it serves again", async || health(&process).await == ServingStatus::Serving).await;
    process.client.create_synced_secret(create("again", vec![existing("k", "v")])).await.unwrap();
    process.client.get_synced_secret(get("held")).await.unwrap_err();
}

/// Makes the file system refuse every write to a file, also by who has it open. Dropped, it takes them again.
struct Refused(PathBuf);

impl Refused {
    /// `None`, with a word, where this file system or this user can't.
    fn set(file: PathBuf, test: &str) -> Option<Self> {
        let set = Command::new("chattr").arg("+i").arg(&file).output();
        if set.is_ok_and(|set| set.status.success()) {
            return Some(Self(file));
        }
        say(&format!("{test}: SKIPPED, no file can be made immutable here"));
        None
    }
}

impl Drop for Refused {
    fn drop(&mut self) {
        let _ = Command::new("chattr").arg("-i").arg(&self.0).status();
    }
}

/// The first write fails with an I/O error; a connection that is opened after that may only read.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_writes_is_reported_and_used_again_when_it_recovers() {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    process.client.create_synced_secret(create("first", vec![created("k", "v", "value")])).await.unwrap();
    let file = site.directory().join("serve.db-wal");
    let Some(refused) = Refused::set(file, "a_disk_that_fails_writes…") else { return };
    let (written, refusal) = create_until_refused(&mut process, "failed").await;
    assert_eq!(told(&refusal).reason, "DATABASE_FAILED", "{refusal:?}");
    until_so("health says so", async || health(&process).await == ServingStatus::NotServing).await;
    process.client.get_synced_secret(get("first")).await.unwrap();
    let (_, refusal) = create_until_refused(&mut process, "read-only").await;
    assert_eq!(told(&refusal).reason, "DATABASE_READ_ONLY", "{refusal:?}");

    drop(refused);
    comes_back(&site, &mut process, "failed", written).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_page_is_reported_and_no_longer_read() {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    for number in 0..20 {
        let request = create(&format!("a-{number}"), vec![created("k", &format!("v-{number}"), "value")]);
        process.client.create_synced_secret(request).await.unwrap();
    }
    // All of it is in the file itself, and the process that reads it has none of it yet.
    assert!(process.terminate().await.success());
    let mut process = Process::serve(&site).await;
    let file = std::fs::OpenOptions::new().write(true).open(site.directory().join("serve.db")).unwrap();
    let length = file.metadata().unwrap().len();
    file.write_all_at(&vec![0xff; usize::try_from(length).unwrap() - 4096], 4096).unwrap();
    let refusal = process.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap_err();
    assert_eq!(told(&refusal).reason, "DATABASE_CORRUPT", "{refusal:?}");
    until_so("health says so", async || health(&process).await == ServingStatus::NotServing).await;
    process.client.get_synced_secret(get("a-7")).await.unwrap();

    process.kill().await;
    let config = site.directory().join("serve.toml");
    let started = command(&["serve", "--config"]).arg(config).output().unwrap();
    let said = String::from_utf8(started.stderr).unwrap();
    assert!(!started.status.success() && said.contains("malformed"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_file_that_is_removed_or_replaced_ends_the_service_before_it_acknowledges_anything() {
    for replace in [false, true] {
        let site = Site::start().await;
        let mut process = Process::serve(&site).await;
        process.client.create_synced_secret(create("first", vec![created("k", "v", "value")])).await.unwrap();
        let file = site.directory().join("serve.db");
        if replace {
            std::fs::copy(&file, copy(&file)).unwrap();
            std::fs::rename(copy(&file), &file).unwrap();
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let refusal = process.client.create_synced_secret(create("lost", vec![existing("k", "v")])).await;
        let refusal = refusal.unwrap_err();
        assert!(["DATABASE_LOST", "STOPPING"].contains(&told(&refusal).reason.as_str()), "{refusal:?}");
        assert!(!process.ended().await.success());
        assert!(said(&site, "removed or replaced while the service was using it") > 0);
    }
}

fn copy(file: &Path) -> PathBuf {
    file.with_extension("copy")
}
