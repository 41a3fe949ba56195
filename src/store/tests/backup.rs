//! Backups, and the way back from one.

mod schedule;

use std::{
    fs, io,
    os::unix::fs::{FileExt, MetadataExt},
};

use tokio_util::sync::CancellationToken;

use super::*;
use crate::store::backup::restore_by_steps;

/// A directory with a database in which two synced secrets are recorded, and which a service has been bound to.
struct Home {
    directory: TempDir,
    database: PathBuf,
    backup: PathBuf,
}

fn instance() -> Instance {
    Instance {
        vault: "https://contoso.vault.azure.net/".to_owned(),
        namespace: "azure-iot-operations".to_owned(),
    }
}

impl Home {
    async fn new() -> (Self, Store) {
        let directory = tempfile::tempdir().unwrap();
        let (database, backup) = (directory.path().join("state.db"), directory.path().join("state.backup"));
        let store = Store::open(&database).await.unwrap();
        store.belong_to(&instance()).await.unwrap();
        for id in ["a", "b"] {
            insert(&store, &record_of(id)).await.unwrap();
        }
        store.audit(event("syncedSecrets/a")).await.unwrap();
        (Self { directory, database, backup }, store)
    }

    /// One with a backup, after which `c` came into being; nobody works on it.
    async fn backed_up() -> Self {
        let (home, store) = Self::new().await;
        back_up(&home.database, &home.backup, false).await.unwrap();
        insert(&store, &record_of("c")).await.unwrap();
        store.close().await;
        home
    }

    /// All files but the lock, by their names.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    async fn restore(&self) -> Result<Restoration, RestoreError> {
        restore(&self.backup, &self.database, &instance()).await
    }
}

fn record_of(id: &str) -> Record {
    let mut record = record(id);
    record.secret.uid = Uuid::now_v7();
    record
}

/// The ids of what is recorded in a database file.
async fn recorded_in(database: &Path) -> Vec<String> {
    let store = Store::open(database).await.unwrap();
    let ids = store.view().snapshot().records.iter().map(|record| record.secret.id.to_string()).collect();
    store.close().await;
    ids
}

#[tokio::test]
async fn a_backup_is_one_complete_private_file_with_its_metadata() {
    let (home, store) = Home::new().await;
    let made = back_up(&home.database, &home.backup, false).await.unwrap();
    let metadata = fs::metadata(&home.backup).unwrap();
    assert_eq!((metadata.mode() & 0o777, metadata.len()), (0o600, made.bytes));
    let Manifest { schema, vault, namespace, sequence, audit_sequence, .. } = made.manifest.clone();
    let newest = schema::MIGRATOR.iter().map(|migration| migration.version).max().unwrap();
    assert_eq!((schema, sequence, audit_sequence), (newest, 2, 1));
    assert_eq!((vault, namespace), (Some(instance().vault), Some(instance().namespace)));
    assert_eq!(made.manifest.epoch, Some(hex::encode(store.epoch().0)));
    let report = verify_audit(&home.backup, None).await.unwrap();
    assert_eq!(report.events, 1);
    store.close().await;
    assert_eq!(home.files(), ["state.backup", "state.db"], "nothing is left beside them");
}

#[tokio::test]
async fn a_backup_replaces_an_existing_file_only_with_overwrite() {
    let (home, store) = Home::new().await;
    fs::write(&home.backup, "somebody's").unwrap();
    let refused = back_up(&home.database, &home.backup, false).await.unwrap_err();
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(fs::read(&home.backup).unwrap(), b"somebody's");
    back_up(&home.database, &home.backup, true).await.unwrap();
    assert!(fs::metadata(&home.backup).unwrap().len() > 4096);
    let nothing =
        back_up(&home.directory.path().join("none.db"), &home.directory.path().join("x"), false).await;
    assert!(matches!(nothing, Err(BackupError::NoDatabase(_))));
    store.close().await;
    assert_eq!(home.files(), ["state.backup", "state.db"]);
}

#[tokio::test]
async fn a_restore_starts_a_new_history_and_keeps_the_replaced_database() {
    let (home, store) = Home::new().await;
    let call = request("restored");
    let mut transaction = store.begin().await.unwrap();
    transaction.begin_request(&call, None, Some(b"{}")).await.unwrap();
    transaction.commit().await.unwrap();
    let before = (store.epoch(), store.signer().sign("p", b"x"), store.page_signer().sign("p", b"x"));
    let made = back_up(&home.database, &home.backup, false).await.unwrap();
    insert(&store, &record_of("c")).await.unwrap();
    let late = store.view().snapshot().place;
    store.close().await;

    let restored = home.restore().await.unwrap();
    assert_eq!(restored.manifest, made.manifest);
    let kept = restored.kept.unwrap();
    assert_eq!(recorded_in(&kept).await, ["a", "b", "c"]);
    let store = Store::open(&home.database).await.unwrap();
    assert_eq!(store.view().len(), 2);
    // A place of the other history, although the feed comes to the same sequence.
    insert(&store, &record_of("d")).await.unwrap();
    assert_eq!(store.view().snapshot().place.sequence, late.sequence);
    assert!(!store.has_passed(late).await.unwrap());
    // The call, a page, and what outlives it: what is signed for watchers and of contents.
    assert_ne!(store.epoch(), before.0);
    assert!(matches!(store.recorded(&call).await, Err(StoreError::RequestOfAnotherHistory)));
    assert_eq!(store.signer().sign("p", b"x"), before.1);
    assert_ne!(store.page_signer().sign("p", b"x"), before.2);
    // A call of this history is a call.
    let call = request("later");
    let mut transaction = store.begin().await.unwrap();
    transaction.begin_request(&call, None, Some(b"{}")).await.unwrap();
    transaction.commit().await.unwrap();
    assert!(store.recorded(&call).await.unwrap().is_some());

    let events = store.audit_events(&AuditFilter::default(), 1).await.unwrap();
    assert_eq!(events[0].action, AuditAction::DatabaseRestored);
    assert!(events[0].detail.contains("change 2, event 1"), "{}", events[0].detail);
    verify_audit(&home.database, None).await.unwrap();
    assert_eq!(store.restored().await.unwrap().unwrap().backup, made.manifest);
    let mut transaction = store.begin().await.unwrap();
    transaction.forget_restored().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(store.restored().await.unwrap(), None);
    assert!(settings::get(&store.0.readers, crate::store::backup::NAME).await.unwrap().is_none());
}

fn request(content: &str) -> Request {
    let fingerprint = [content.len() as u8; 32];
    Request { caller: "alice".to_owned(), id: Uuid::new_v4(), method: "CreateSyncedSecret", fingerprint }
}

#[tokio::test]
async fn a_lost_database_is_restored_whatever_files_remain() {
    let home = Home::backed_up().await;
    fs::remove_file(&home.database).unwrap();
    fs::write(with_suffix(&home.database, "-wal"), "of the lost one").unwrap();
    let restored = home.restore().await.unwrap();
    assert_eq!(restored.kept, None);
    assert_eq!(recorded_in(&home.database).await, ["a", "b"]);
    let kept: Vec<_> = home.files().into_iter().filter(|name| name.contains(".replaced-")).collect();
    assert!(kept.len() == 1 && kept[0].ends_with("-wal"), "{kept:?}");
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

#[tokio::test]
async fn a_damaged_database_is_replaced_and_kept_unchanged_with_its_log() {
    let home = Home::backed_up().await;
    let damaged = b"no database at all, but long enough ".repeat(300);
    fs::write(&home.database, &damaged).unwrap();
    fs::write(with_suffix(&home.database, "-wal"), "its log").unwrap();
    let kept = home.restore().await.unwrap().kept.unwrap();
    assert_eq!(fs::read(&kept).unwrap(), damaged);
    assert_eq!(fs::read(with_suffix(&kept, "-wal")).unwrap(), b"its log");
    assert_eq!(recorded_in(&home.database).await, ["a", "b"]);
}

#[tokio::test]
async fn changes_only_in_the_write_ahead_log_of_the_replaced_database_are_kept() {
    let (home, store) = Home::new().await;
    back_up(&home.database, &home.backup, false).await.unwrap();
    insert(&store, &record_of("c")).await.unwrap();
    // As after a kill -9: nobody has closed it.
    let crashed = home.directory.path().join("crashed.db");
    for suffix in ["", "-wal"] {
        fs::copy(with_suffix(&home.database, suffix), with_suffix(&crashed, suffix)).unwrap();
    }
    store.close().await;
    let restored = restore(&home.backup, &crashed, &instance()).await.unwrap();
    assert_eq!(recorded_in(&restored.kept.unwrap()).await, ["a", "b", "c"]);
    assert_eq!(recorded_in(&crashed).await, ["a", "b"]);
}

#[tokio::test]
async fn a_restore_that_is_killed_anywhere_leaves_the_old_database_or_the_new_one() {
    for damaged in [false, true] {
        let (mut ends, mut outcomes) = (0, Vec::new());
        loop {
            let home = Home::backed_up().await;
            let old = b"no database at all, but long enough ".repeat(300);
            if damaged {
                fs::write(&home.database, &old).unwrap();
                fs::write(with_suffix(&home.database, "-wal"), "its log").unwrap();
            }
            let mut left = ends;
            let killed = |left: &mut usize| match left.checked_sub(1) {
                Some(less) => {
                    *left = less;
                    Ok(())
                }
                None => Err(io::Error::other("killed")),
            };
            let ended =
                restore_by_steps(&home.backup, &home.database, &instance(), || killed(&mut left)).await;
            if damaged && fs::read(&home.database).unwrap() == old {
                outcomes.push("old");
                // The next start puts its log back, if that was taken away, before it looks at anything.
                // Unlike a process that is killed, this one still closes what it could not open.
                tokio::time::sleep(Duration::from_millis(200)).await;
                crate::store::backup::clean_up_interrupted(&home.database).unwrap();
                let log = fs::read(with_suffix(&home.database, "-wal"));
                assert_eq!(log.ok().as_deref(), Some(b"its log".as_slice()), "{ends}: {:?}", home.files());
            } else {
                let found = recorded_in(&home.database).await;
                outcomes.push(if found == ["a", "b", "c"] { "old" } else { "new" });
                assert!(found == ["a", "b", "c"] || found == ["a", "b"], "{ends}: {found:?}");
            }
            let aliases = fs::metadata(&home.database).unwrap().nlink();
            assert_eq!(aliases, 1, "{ends}: the database has one name once it was opened");
            // Whatever was left, a restore goes to its end, and leaves nothing but what was replaced.
            home.restore().await.unwrap();
            assert_eq!(recorded_in(&home.database).await, ["a", "b"]);
            assert!(!home.files().iter().any(|name| name.contains("restoring")), "{:?}", home.files());
            if ended.is_ok() {
                break;
            }
            ends += 1;
        }
        assert!(ends >= 9, "{ends} places to be killed at");
        let news = outcomes.iter().filter(|outcome| **outcome == "new").count();
        assert!(outcomes.is_sorted_by_key(|outcome| *outcome == "new") && news >= 2, "{outcomes:?}");
    }
}

async fn refused(home: &Home) -> String {
    let before = fs::read(&home.database).unwrap();
    let refused = home.restore().await.unwrap_err().to_string();
    assert_eq!(fs::read(&home.database).unwrap(), before, "the database is as it was");
    assert_eq!(home.files(), ["state.backup", "state.db"], "and nothing is beside it");
    refused
}

#[tokio::test]
async fn an_altered_backup_is_refused() {
    let home = Home::backed_up().await;
    let good = fs::read(&home.backup).unwrap();
    // Any byte: of the header, in the middle, the last one.
    for place in [60, good.len() / 2, good.len() - 1] {
        let file = fs::OpenOptions::new().write(true).open(&home.backup).unwrap();
        file.write_all_at(&[good[place] ^ 1], place as u64).unwrap();
        let said = refused(&home).await;
        assert!(said.contains("was changed or damaged"), "byte {place}: {said}");
        fs::write(&home.backup, &good).unwrap();
    }
    fs::write(&home.backup, &good[..good.len() - 4096]).unwrap();
    let said = refused(&home).await;
    assert!(said.contains("was changed or damaged") || said.contains("no manifest"), "{said}");

    fs::copy(&home.database, &home.backup).unwrap();
    let said = refused(&home).await;
    assert!(said.contains("no manifest"), "{said}");
    fs::write(&home.backup, "no database").unwrap();
    let said = refused(&home).await;
    assert!(said.contains("no manifest"), "{said}");
}

#[tokio::test]
async fn a_backup_of_another_vault_or_namespace_is_refused() {
    let home = Home::backed_up().await;
    for (other, what) in [
        (Instance { vault: "https://fabrikam.vault.azure.net/".to_owned(), ..instance() }, "the vault"),
        (Instance { namespace: "line-7".to_owned(), ..instance() }, "the namespace"),
    ] {
        let refused = restore(&home.backup, &home.database, &other).await.unwrap_err().to_string();
        assert!(refused.contains(what) && refused.contains("contoso") == (what == "the vault"), "{refused}");
    }
    assert_eq!(recorded_in(&home.database).await, ["a", "b", "c"]);
}

/// As a newer release leaves it.
async fn make_newer(database: &Path) {
    let statement = "INSERT INTO _sqlx_migrations VALUES (9999, 'of tomorrow', 0, 1, x'00', 0); \
                     UPDATE settings SET value = CAST('9.8.7' AS BLOB) WHERE name = 'release'";
    tamper(database, statement).await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_with_the_release_that_made_it() {
    let home = Home::backed_up().await;
    make_newer(&home.database).await;
    let Err(refused) = Store::open(&home.database).await else { panic!("it opened") };
    let said = refused.to_string();
    assert!(said.contains("newer release, 9.8.7 (schema 9999") && said.contains("restore FILE"), "{said}");
    let said = inspect(&home.database).await.unwrap_err().to_string();
    assert!(said.contains("9.8.7"), "{said}");
    let said =
        back_up(&home.database, &home.directory.path().join("x"), false).await.unwrap_err().to_string();
    assert!(said.contains("9.8.7"), "what a newer release made, it backs up: {said}");

    // A backup of it, as the newer release makes one.
    let mut connection = SqliteConnectOptions::new().filename(&home.database).connect().await.unwrap();
    fs::remove_file(&home.backup).unwrap();
    sqlx::query("VACUUM INTO ?1").bind(home.backup.to_str().unwrap()).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    crate::store::backup::seal(&home.backup).await.unwrap();
    let said = home.restore().await.unwrap_err().to_string();
    assert!(said.contains("newer release, 9.8.7 (schema 9999"), "{said}");
}

#[tokio::test]
async fn a_backup_copied_to_the_path_of_the_database_is_refused() {
    let home = Home::backed_up().await;
    fs::copy(&home.backup, &home.database).unwrap();
    let Err(refused) = Store::open(&home.database).await else { panic!("it opened") };
    assert!(matches!(refused, StoreError::IsBackup), "{refused}");
}

#[tokio::test]
async fn a_database_belongs_to_the_instance_that_used_it_first() {
    let (directory, store) = open().await;
    store.belong_to(&instance()).await.unwrap();
    store.close().await;
    let store = Store::open(&directory.path().join("state.db")).await.unwrap();
    store.belong_to(&instance()).await.unwrap();
    let other = Instance { vault: "https://fabrikam.vault.azure.net/".to_owned(), ..instance() };
    let refused = store.belong_to(&other).await.unwrap_err().to_string();
    assert!(refused.contains("contoso") && refused.contains("vault.uri"), "{refused}");
    store.belong_to(&instance()).await.unwrap();
}
