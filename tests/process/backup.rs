//! `secret-service backup` and `restore`, of the database of a service that runs and of one that does not.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use secret_service::{
    proto::{
        CreateSyncedSecretRequest, ListSyncedSecretsRequest, WatchSyncedSecretsRequest,
        watch_synced_secrets_response::Type,
    },
    store::{self, Schema},
};
use sqlx::{ConnectOptions, Connection, sqlite::SqliteConnectOptions};
use tonic::Code;

use super::process::{Process, command, configuration, free_port};
use crate::support::{Site, requests::*, until_so};

/// How a command ended that has a file and the site's configuration, and what it said.
async fn run(site: &Site, arguments: &[&str]) -> (Option<i32>, String) {
    let config = site.directory().join("serve.toml");
    let mut command = tokio::process::Command::from(command(arguments));
    let ended = command.arg("--config").arg(config).output().await.unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    (ended.status.code(), String::from_utf8(said).unwrap())
}

/// The ids that are recorded in a backup.
async fn recorded(backup: &Path) -> BTreeSet<String> {
    let options = SqliteConnectOptions::new().filename(backup).read_only(true).immutable(true);
    let mut connection = options.connect().await.unwrap();
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM synced_secrets").fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    ids.into_iter().collect()
}

/// A site with a service that has synced `first`, and where a backup of it goes.
async fn start() -> (Site, Process, PathBuf) {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    process.create("first", vec![created("k", "v", "canary-8d2e")]).await;
    let backup = site.directory().join("serve.backup");
    (site, process, backup)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_during_eight_writers_contains_every_acknowledged_write_and_nothing_unrequested() {
    let (site, process, _) = start().await;
    let (answered, asked) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(Mutex::new(BTreeSet::new())));
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (mut client, answered, asked, stop) =
                (process.client.clone(), answered.clone(), asked.clone(), stop.clone());
            tokio::spawn(async move {
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let id = format!("w{writer}-{number}");
                    asked.lock().unwrap().insert(id.clone());
                    let request =
                        CreateSyncedSecretRequest { wait: None, ..create(&id, vec![existing("k", "v")]) };
                    client.create_synced_secret(request).await.unwrap();
                    answered.lock().unwrap().insert(id);
                }
            })
        })
        .collect();
    let mut sizes = Vec::new();
    for number in 0..4 {
        let before = answered.lock().unwrap().clone();
        let file = site.directory().join(format!("{number}.backup"));
        let (code, said) = run(&site, &["backup", file.to_str().unwrap()]).await;
        assert_eq!(code, Some(0), "{said}");
        let after = asked.lock().unwrap().clone();
        let mut held = recorded(&file).await;
        assert!(held.remove("first"));
        assert!(before.is_subset(&held) && held.is_subset(&after));
        sizes.push(held.len());
        let report = store::verify_audit(&file, None).await.unwrap();
        assert!(report.events > held.len() as u64);
        assert_eq!(store::inspect(&file).await.unwrap(), Schema::Current, "quick_check finds nothing");
        assert!(!std::fs::read(&file).unwrap().windows(11).any(|text| text == b"canary-8d2e"));
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("nobody was refused meanwhile");
    }
    assert!(sizes.is_sorted_by(|earlier, later| earlier < later), "they wrote meanwhile: {sizes:?}");
    assert!(process.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_database_starts_a_new_history_for_all_callers() {
    let (site, mut process, backup) = start().await;
    let file = backup.to_str().unwrap();
    let mut second = create("second", vec![existing("k", "v")]);
    second.request_id = uuid::Uuid::new_v4().to_string();
    process.client.create_synced_secret(second.clone()).await.unwrap();
    assert_eq!(run(&site, &["backup", file]).await.0, Some(0));
    let (code, said) = run(&site, &["backup", file]).await;
    assert!(code == Some(1) && said.contains("--overwrite"), "{said}");

    // After the backup.
    process.create("third", vec![existing("k", "v")]).await;
    let watch = WatchSyncedSecretsRequest::default();
    let mut stream = process.client.watch_synced_secrets(watch).await.unwrap().into_inner();
    let token = loop {
        let told = stream.message().await.unwrap().unwrap();
        if told.r#type() == Type::Bookmark {
            break told.resume_token;
        }
    };
    drop(stream);
    let page = ListSyncedSecretsRequest { page_size: 1, ..Default::default() };
    let page_token =
        process.client.list_synced_secrets(page.clone()).await.unwrap().into_inner().next_page_token;
    let (code, said) = run(&site, &["restore", file]).await;
    assert!(code == Some(1) && said.contains("in use by another secret-service"), "{said}");
    process.client.get_synced_secret(get("third")).await.unwrap();
    assert!(process.terminate().await.success());

    let (code, said) = run(&site, &["restore", file]).await;
    assert!(code == Some(0) && said.contains("serve.db.replaced-"), "{said}");
    let (code, out, said) = super::audit::audit(&site, &["verify"]).await;
    assert_eq!(code, Some(0), "{out}{said}");
    let mut process = Process::serve(&site).await;
    process.client.get_synced_secret(get("second")).await.unwrap();
    let resumed = WatchSyncedSecretsRequest { resume_token: token, ..Default::default() };
    let refused = match process.client.watch_synced_secrets(resumed).await {
        Ok(stream) => stream.into_inner().message().await.unwrap_err(),
        Err(refused) => refused,
    };
    assert_eq!(
        (refused.code(), told(&refused).reason.as_str()),
        (Code::OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE")
    );
    let next = ListSyncedSecretsRequest { page_token, ..page };
    let refused = process.client.list_synced_secrets(next).await.unwrap_err();
    assert_eq!(told(&refused).fields, ["page_token"], "{refused:?}");
    let refused = process.client.create_synced_secret(second).await.unwrap_err();
    assert_eq!(
        (refused.code(), told(&refused).reason.as_str()),
        (Code::Aborted, "REQUEST_OF_ANOTHER_HISTORY"),
        "{refused:?}"
    );
    assert!(process.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_instance_is_neither_restored_nor_served() {
    let (site, process, backup) = start().await;
    let file = backup.to_str().unwrap();
    assert_eq!(run(&site, &["backup", file]).await.0, Some(0));
    assert!(process.terminate().await.success());
    let database = std::fs::read(site.directory().join("serve.db")).unwrap();
    for (flag, other) in
        [("--vault-uri", "https://fabrikam.vault.azure.net/"), ("--kubernetes-namespace", "line-7")]
    {
        for command in [&["restore", file][..], &["serve"]] {
            let (code, said) = run(&site, &[command, &[flag, other]].concat()).await;
            assert!(code == Some(1) && said.contains("it belongs to the"), "{command:?} {flag}: {said}");
        }
    }
    let whole = std::fs::read(&backup).unwrap();
    std::fs::write(&backup, [&whole[..whole.len() - 1], &[whole[whole.len() - 1] ^ 1]].concat()).unwrap();
    let (code, said) = run(&site, &["restore", file]).await;
    assert!(code == Some(1) && said.contains("was changed or damaged"), "{said}");
    let (code, said) = run(&site, &["restore", site.directory().join("serve.toml").to_str().unwrap()]).await;
    assert!(code == Some(1) && said.contains("is not a backup"), "{said}");
    assert_eq!(std::fs::read(site.directory().join("serve.db")).unwrap(), database);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_backup_restores_a_lost_database() {
    let (site, process, _) = start().await;
    assert!(process.terminate().await.success());
    let directory = site.directory().join("backups");
    std::fs::create_dir(&directory).unwrap();
    let metrics = format!("127.0.0.1:{}", free_port());
    let directory_flag = ["--backup-directory", directory.to_str().unwrap()];
    let flags =
        [&directory_flag[..], &["--backup-interval", "1m", "--server-metrics-listen", &metrics]].concat();
    let process = Process::serve_as(&site, &configuration(&site, 0), &flags).await;
    let made = || {
        let entries = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        entries
            .filter(|file| file.extension().is_some_and(|extension| extension == "backup"))
            .collect::<Vec<_>>()
    };
    until_so("it makes a backup", async || made().len() == 1).await;
    let page =
        async || reqwest::get(format!("http://{metrics}/metrics")).await.unwrap().text().await.unwrap();
    until_so("it counts the backup", async || page().await.contains("secret_service_backups_kept 1")).await;
    let page = page().await;
    let number = |name: &str| {
        let line =
            page.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {page}"));
        line.trim().parse::<u64>().unwrap()
    };
    assert!(number("secret_service_backup_last_success_timestamp_seconds") > 1_700_000_000);
    assert_eq!(number("secret_service_backup_bytes"), made()[0].metadata().unwrap().len());
    assert_eq!(number("secret_service_backup_failures_total"), 0);
    assert!(number("secret_service_database_bytes{part=\"file\"}") > 4_096);
    assert!(number("secret_service_database_disk_free_bytes") > 0);
    assert!(number("secret_service_recorded_rows{what=\"audit\"}") > 0);
    assert!(number("secret_service_recorded_bytes{what=\"feed\"}") > 100);
    let checked = run(&site, &[&["check"], &directory_flag[..]].concat()).await;
    assert!(checked.0 == Some(0) && checked.1.contains("The newest backup is"), "{}", checked.1);
    assert!(checked.1.contains("change feed"), "{}", checked.1);
    process.kill().await;
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(site.directory().join(format!("serve.db{suffix}")));
    }
    let (code, said) = run(&site, &["restore", made()[0].to_str().unwrap()]).await;
    assert!(code == Some(0) && said.contains("no database before"), "{said}");
    let mut process = Process::serve(&site).await;
    let first = process.client.get_synced_secret(get("first")).await.unwrap().into_inner();
    assert_eq!(first.references.len(), 1);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(process.terminate().await.success());
}
