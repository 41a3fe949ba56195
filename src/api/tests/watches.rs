//! Watching.

use std::path::Path;

use tonic::{Code, Streaming};
use watch_synced_secrets_response::Type;

use super::*;
use crate::{
    proto::{self, *},
    secrets::FeedPlace,
};

async fn watch(
    client: &mut SecretServiceClient<Channel>,
    resume_token: &str,
) -> Result<Streaming<WatchSyncedSecretsResponse>, Status> {
    let request = WatchSyncedSecretsRequest { filter: None, resume_token: resume_token.into() };
    client.watch_synced_secrets(request).await.map(tonic::Response::into_inner)
}

async fn told(stream: &mut Streaming<WatchSyncedSecretsResponse>) -> (Type, String, String) {
    let message = tokio::time::timeout(Duration::from_secs(5), stream.message()).await.unwrap();
    let message = message.unwrap().unwrap();
    let name = message.synced_secret.as_ref().map(|secret| secret.name.clone()).unwrap_or_default();
    (message.r#type(), name.replace("syncedSecrets/", ""), message.resume_token)
}

#[tokio::test]
async fn a_watch_sends_the_initial_state_a_bookmark_and_changes_and_resumes_from_any_of_them() {
    let running = serve(|_| ()).await;
    let a = secret("a");
    running.house.insert(a.clone()).await;
    let mut client = running.client().await;
    let mut stream = watch(&mut client, "").await.unwrap();
    assert_eq!(told(&mut stream).await, (Type::Added, "a".into(), String::new()));
    let (kind, _, first_token) = told(&mut stream).await;
    assert_eq!(kind, Type::Bookmark);

    running.house.update(&a, State::Synced).await;
    let (kind, name, token) = told(&mut stream).await;
    assert_eq!((kind, name.as_str()), (Type::Modified, "a"));
    running.house.insert(secret("b")).await;
    running.house.remove(&a).await;
    for (expected, from) in [(3, &first_token), (2, &token)] {
        let mut resumed = watch(&mut client, from).await.unwrap();
        let mut events = Vec::new();
        for _ in 0..=expected {
            let (kind, name, token) = told(&mut resumed).await;
            assert!(!token.is_empty());
            events.push((kind, name));
        }
        let all = [(Type::Modified, "a"), (Type::Added, "b"), (Type::Deleted, "a"), (Type::Bookmark, "")];
        let all: Vec<_> = all.map(|(kind, name)| (kind, name.to_owned())).into();
        assert_eq!(events, all[3 - expected..]);
    }
}

#[tokio::test]
async fn a_quiet_watch_sends_bookmarks_with_a_token() {
    let running = serve(|options| options.limits.heartbeat = Duration::from_millis(50)).await;
    let mut client = running.client().await;
    let mut stream = watch(&mut client, "").await.unwrap();
    for _ in 0..3 {
        let (kind, _, token) = told(&mut stream).await;
        assert_eq!((kind, token.is_empty()), (Type::Bookmark, false));
    }
}

#[tokio::test]
async fn a_synced_secret_that_leaves_the_filter_is_sent_as_deleted() {
    let running = serve(|_| ()).await;
    let a = secret("a");
    running.house.insert(a.clone()).await;
    let states = vec![proto::synced_secret::State::Pending as i32];
    let filter = Some(SyncedSecretFilter { states, ..Default::default() });
    let request = WatchSyncedSecretsRequest { filter, resume_token: String::new() };
    let mut stream = running.client().await.watch_synced_secrets(request).await.unwrap().into_inner();
    assert_eq!((told(&mut stream).await.0, told(&mut stream).await.0), (Type::Added, Type::Bookmark));
    running.house.update(&a, State::Synced).await;
    assert_eq!(told(&mut stream).await.0, Type::Deleted);
    running.house.update(&a, State::Pending).await;
    assert_eq!(told(&mut stream).await.0, Type::Added);
}

#[tokio::test]
async fn a_token_beyond_the_feed_is_out_of_range_and_a_forged_one_invalid() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let scope = crate::api::rpc::token::TokenScope::watch(
        running.house.secrets.signer(),
        "WatchSyncedSecrets",
        vec![],
    );
    let mut client = running.client().await;
    let beyond = scope.issue(&FeedPlace { sequence: 2, ..running.house.store.view().snapshot().place });
    // As the release issued it that knew of no history.
    let without_history = scope.issue(&1_i64);
    for token in [beyond, without_history] {
        let refused = watch(&mut client, &token).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE")
        );
    }
    let refused = watch(&mut client, "forged").await.unwrap_err();
    assert_eq!(
        (refused.code(), violated_fields(&refused)),
        (Code::InvalidArgument, vec!["resume_token".into()])
    );
}

#[tokio::test]
async fn a_token_older_than_the_oldest_kept_change_is_out_of_range() {
    let running = serve(|_| ()).await;
    let mut tokens = Vec::new();
    for id in ["a", "b", "c"] {
        running.house.insert(secret(id)).await;
        tokens.push(token(&running).await);
    }
    let running = restarted(running, 2).await;
    let mut client = running.client().await;
    assert_eq!(watch(&mut client, &tokens[0]).await.unwrap_err().code(), Code::OutOfRange);
    let mut resumed = watch(&mut client, &tokens[1]).await.unwrap();
    assert_eq!(told(&mut resumed).await.1, "c");
}

#[tokio::test]
async fn a_resumed_watch_gets_the_deletion_although_the_previous_change_was_pruned() {
    let running = serve(|_| ()).await;
    let a = secret("a");
    running.house.insert(a.clone()).await;
    running.house.insert(secret("b")).await;
    let states = vec![proto::synced_secret::State::Pending as i32];
    let filter = Some(SyncedSecretFilter { states, ..Default::default() });
    let mut request = WatchSyncedSecretsRequest { filter, resume_token: String::new() };
    let watched = running.client().await.watch_synced_secrets(request.clone()).await;
    let mut stream = watched.unwrap().into_inner();
    for kind in [Type::Added, Type::Added] {
        assert_eq!(told(&mut stream).await.0, kind);
    }
    request.resume_token = told(&mut stream).await.2;
    drop(stream);
    running.house.update(&a, State::Synced).await;
    let running = restarted(running, 2).await;

    let resumed = running.client().await.watch_synced_secrets(request).await;
    let (kind, id, _) = told(&mut resumed.unwrap().into_inner()).await;
    assert_eq!((kind, id.as_str()), (Type::Deleted, "a"));
}

#[tokio::test]
async fn a_token_of_a_previous_history_is_out_of_range() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let common = token(&running).await;
    let running = restarted(running, 10).await;
    let directory = running.house.directory.path().to_owned();
    let backup = tempfile::tempdir().unwrap();
    copy(&directory, backup.path());
    running.house.insert(secret("lost")).await;
    let lost = token(&running).await;
    let running = restarted_from(running, Some(backup.path())).await;
    let mut client = running.client().await;

    let beyond = watch(&mut client, &lost).await.unwrap_err();
    assert_eq!(beyond.code(), Code::OutOfRange);
    // The same sequence stands for another change now.
    running.house.insert(secret("b")).await;
    let refused = watch(&mut client, &lost).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::OutOfRange, "RESUME_TOKEN_OUT_OF_RANGE"));
    running.house.insert(secret("c")).await;
    assert_eq!(watch(&mut client, &lost).await.unwrap_err().code(), Code::OutOfRange);
    // Up to the backup both have the same history.
    let mut resumed = watch(&mut client, &common).await.unwrap();
    assert_eq!((told(&mut resumed).await.1, told(&mut resumed).await.1), ("b".into(), "c".into()));
    // Also where it is read from the disk.
    let running = restarted(running, 10).await;
    let mut client = running.client().await;
    assert_eq!(watch(&mut client, &lost).await.unwrap_err().code(), Code::OutOfRange);
    assert!(watch(&mut client, &common).await.is_ok());
}

#[tokio::test]
async fn more_watches_than_allowed_are_refused_until_one_ends() {
    let running = serve(|options| options.limits.watchers = 1).await;
    let mut client = running.client().await;
    let stream = watch(&mut client, "").await.unwrap();
    let refused = watch(&mut client, "").await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::ResourceExhausted, "TOO_MANY_WATCHES"));
    drop(stream);
    for _ in 0..100 {
        if watch(&mut client, "").await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the watch that ended still counts");
}

#[tokio::test]
async fn a_slow_watcher_receives_the_final_state_of_everything() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let mut stream = watch(&mut client, "").await.unwrap();
    assert_eq!(told(&mut stream).await.0, Type::Bookmark);
    let secrets: Vec<_> = (0..5).map(|place| secret(&format!("s{place}"))).collect();
    let mut transaction = running.house.store.begin().await.unwrap();
    for secret in &secrets {
        transaction.insert(Record::new(secret.clone(), crate::model::SyncEngine::Direct)).await.unwrap();
    }
    for round in 0..40 {
        for secret in &secrets {
            let mut record = transaction.current(secret.uid).unwrap();
            record.secret.description = format!("round {round}");
            transaction.update(record).await.unwrap();
        }
    }
    transaction.commit().await.unwrap();
    for place in 0..5 {
        let message = stream.message().await.unwrap().unwrap();
        assert_eq!(message.r#type(), Type::Added);
        let secret = message.synced_secret.unwrap();
        assert_eq!((secret.name, secret.description), (format!("syncedSecrets/s{place}"), "round 39".into()));
    }
}

#[tokio::test]
async fn a_shutdown_ends_a_watch_with_a_status_that_says_to_resume() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let mut stream = watch(&mut client, "").await.unwrap();
    assert_eq!(told(&mut stream).await.0, Type::Bookmark);
    let began = std::time::Instant::now();
    running.stop.cancel();
    let ended = stream.message().await.unwrap_err();
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "STOPPING"));
    assert!(ended.message().contains("resume_token"), "{ended}");
    drop((stream, client));
    running.task.await.unwrap().unwrap();
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// The token of a watcher that has heard everything so far.
async fn token(running: &Running) -> String {
    let mut stream = watch(&mut running.client().await, "").await.unwrap();
    loop {
        if let (Type::Bookmark, _, token) = told(&mut stream).await {
            return token;
        }
    }
}

/// A new process, which has no change in memory, on the same database, after all changes but so many were
/// pruned.
async fn restarted(running: Running, kept: i64) -> Running {
    let mut transaction = running.house.store.begin().await.unwrap();
    transaction.prune_changes(Timestamp::now() + Duration::from_secs(60), kept).await.unwrap();
    transaction.commit().await.unwrap();
    restarted_from(running, None).await
}

/// A new process, on the database as it is or as it was kept somewhere.
async fn restarted_from(running: Running, backup: Option<&Path>) -> Running {
    running.stop.cancel();
    running.task.await.unwrap().unwrap();
    let House { store, directory, .. } = running.house;
    store.close().await;
    if let Some(backup) = backup {
        copy(backup, directory.path());
    }
    let reopened = Store::open(&directory.path().join("state.db")).await.unwrap();
    serve_house(house_over(reopened, directory).await, |_| ()).await
}

/// Copies a database with its write-ahead log; what the log's index was is made anew.
fn copy(from: &Path, to: &Path) {
    for name in ["state.db", "state.db-wal", "state.db-shm"] {
        let _ = std::fs::remove_file(to.join(name));
        if name != "state.db-shm" && from.join(name).exists() {
            std::fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}
