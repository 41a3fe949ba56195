//! Scheduled backups.

use super::*;

fn schedule(directory: &Path) -> Schedule {
    let (directory, name) = (directory.join("backups"), "contoso-aio".to_owned());
    Schedule { directory, name, interval: Duration::from_secs(3600), keep: 2 }
}

/// Waits until that many backups were made, or failed.
async fn until(store: &Store, is_so: impl Fn(BackupStatus) -> bool) -> BackupStatus {
    let look = async {
        loop {
            if let Some(standing) = store.backup_status().filter(|standing| is_so(*standing)) {
                return standing;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(20), look).await.expect("in time")
}

fn names(schedule: &Schedule) -> Vec<String> {
    let entries = fs::read_dir(&schedule.directory).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn scheduled_backups_continue_and_the_oldest_are_deleted() {
    let (home, store) = Home::new().await;
    let schedule = Schedule { interval: Duration::from_millis(20), ..schedule(home.directory.path()) };
    fs::create_dir(&schedule.directory).unwrap();
    // Of an instance that shares the directory; of a clock that was wrong; and of a process that was killed.
    let others = "contoso-aio-2-000001-20270101T000000Z.backup";
    fs::write(schedule.directory.join(others), "").unwrap();
    fs::write(schedule.directory.join("contoso-aio-000006-20990101T000000Z.backup"), "").unwrap();
    fs::write(schedule.directory.join(".contoso-aio-000007-20270101T000000Z.backup.1.partial"), "").unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(store.clone().keep_backups(schedule.clone(), stop.clone()));
    let has_made = |number: u64| {
        let prefix = format!("contoso-aio-{number:06}-");
        names(&schedule).iter().any(|name| name.starts_with(&prefix))
    };
    until(&store, |_| has_made(9)).await;
    stop.cancel();
    running.await.unwrap();
    let standing = store.backup_status().unwrap();
    let names = names(&schedule);
    let kept = names.iter().filter(|name| name.starts_with("contoso-aio-0")).count();
    assert!(kept == 2 && names.len() == 3 && names.iter().any(|name| name == others), "{names:?}");
    assert!((standing.kept, standing.failures) == (2, 0) && standing.bytes > 4096, "{standing:?}");
    let newest =
        schedule.directory.join(names.iter().rfind(|name| name.starts_with("contoso-aio-0")).unwrap());
    store.close().await;
    restore(&newest, &home.database, &instance()).await.unwrap();
}

#[tokio::test]
async fn a_start_makes_no_backup_before_one_is_due_and_reports_the_existing_one() {
    let (home, store) = Home::new().await;
    let schedule = schedule(home.directory.path());
    fs::create_dir(&schedule.directory).unwrap();
    let stop = CancellationToken::new();
    let running = tokio::spawn(store.clone().keep_backups(schedule.clone(), stop.clone()));
    let first = until(&store, |standing| standing.kept == 1).await;
    stop.cancel();
    running.await.unwrap();
    store.close().await;

    let store = Store::open(&home.database).await.unwrap();
    let running = tokio::spawn(store.clone().keep_backups(schedule.clone(), CancellationToken::new()));
    let standing = until(&store, |_| true).await;
    assert_eq!(standing, first);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(names(&schedule).len(), 1);
    running.abort();
}

#[tokio::test]
async fn a_failed_backup_is_reported_and_retried() {
    let (home, store) = Home::new().await;
    let mount = home.directory.path().join("mount");
    let schedule = Schedule { interval: Duration::from_millis(20), ..schedule(&mount) };
    let running = tokio::spawn(store.clone().keep_backups(schedule.clone(), CancellationToken::new()));
    let standing = until(&store, |standing| standing.failures > 1).await;
    assert_eq!((standing.last_success, standing.kept), (None, 0));
    fs::create_dir(&mount).unwrap();
    until(&store, |standing| standing.last_success.is_some() && standing.failures > 1).await;
    running.abort();
}
