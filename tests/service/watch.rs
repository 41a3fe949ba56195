//! Watch: the initial state, a bookmark, then every change; resumed without a gap.

use std::time::Duration;

use secret_service::proto::{
    SyncedSecret, SyncedSecretFilter, WatchSyncedSecretsRequest, WatchSyncedSecretsResponse,
    synced_secret::State, watch_synced_secrets_response::Type,
};
use tonic::{Code, Streaming};

use crate::support::{PATIENCE, World, requests::*};

async fn watch(
    world: &mut World,
    request: WatchSyncedSecretsRequest,
) -> Streaming<WatchSyncedSecretsResponse> {
    world.client.watch_synced_secrets(request).await.unwrap().into_inner()
}

async fn next(stream: &mut Streaming<WatchSyncedSecretsResponse>) -> WatchSyncedSecretsResponse {
    let message = tokio::time::timeout(PATIENCE, stream.message()).await.expect("the watch tells something");
    message.unwrap().expect("the watch goes on")
}

fn told(response: &WatchSyncedSecretsResponse) -> (Type, &str) {
    let name = response.synced_secret.as_ref().map(|secret| secret.name.trim_start_matches("syncedSecrets/"));
    (response.r#type(), name.unwrap_or_default())
}

#[tokio::test]
async fn the_initial_state_comes_first_then_a_bookmark_then_every_change() {
    let mut world = World::start().await.with_synced(&["a", "b"], "value").await;
    let mut stream = watch(&mut world, WatchSyncedSecretsRequest::default()).await;
    assert_eq!(told(&next(&mut stream).await), (Type::Added, "a"));
    assert_eq!(told(&next(&mut stream).await), (Type::Added, "b"));
    let bookmark = next(&mut stream).await;
    assert_eq!(told(&bookmark), (Type::Bookmark, ""));
    assert!(!bookmark.resume_token.is_empty());

    world.create("c", vec![existing("k", "v")]).await;
    let added = next(&mut stream).await;
    assert_eq!(told(&added), (Type::Added, "c"));
    let mut last = added;
    while last.synced_secret.as_ref().unwrap().state() != State::Synced {
        last = next(&mut stream).await;
        assert_eq!(told(&last), (Type::Modified, "c"));
    }
    world.client.delete_synced_secret(delete("c")).await.unwrap();
    let mut last = next(&mut stream).await;
    while last.r#type() != Type::Deleted {
        assert_eq!(told(&last), (Type::Modified, "c"));
        last = next(&mut stream).await;
    }
    assert_eq!(told(&last), (Type::Deleted, "c"));
}

#[tokio::test]
async fn a_watch_resumed_after_a_restart_misses_nothing() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let mut stream = watch(&mut world, WatchSyncedSecretsRequest::default()).await;
    next(&mut stream).await;
    let token = next(&mut stream).await.resume_token;
    drop(stream);

    world.create("b", vec![existing("k", "v")]).await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.restart().await;

    let resumed = WatchSyncedSecretsRequest { resume_token: token, ..Default::default() };
    let mut stream = watch(&mut world, resumed).await;
    let mut seen = Vec::new();
    while !seen.contains(&(Type::Deleted, "a".to_owned())) {
        let response = next(&mut stream).await;
        let (kind, name) = told(&response);
        seen.push((kind, name.to_owned()));
    }
    assert_eq!(seen[0], (Type::Added, "b".to_owned()));
}

#[tokio::test]
async fn a_synced_secret_changed_out_of_the_filter_is_sent_as_deleted() {
    let mut world = World::start().await.with_synced(&[], "value").await;
    let mut request = create("a", vec![existing("k", "v")]);
    request.synced_secret.as_mut().unwrap().labels.insert("line".to_owned(), "1".to_owned());
    let secret = world.client.create_synced_secret(request).await.unwrap().into_inner();
    let filter =
        SyncedSecretFilter { labels: [("line".to_owned(), "1".to_owned())].into(), ..Default::default() };
    let watched = WatchSyncedSecretsRequest { filter: Some(filter), ..Default::default() };
    let mut stream = watch(&mut world, watched).await;
    assert_eq!(told(&next(&mut stream).await), (Type::Added, "a"));
    assert_eq!(told(&next(&mut stream).await), (Type::Bookmark, ""));

    let moved = SyncedSecret { labels: [("line".to_owned(), "2".to_owned())].into(), ..secret };
    world.client.update_synced_secret(update(moved.clone(), &["labels"])).await.unwrap();
    assert_eq!(told(&next(&mut stream).await), (Type::Deleted, "a"));
    let back =
        SyncedSecret { labels: [("line".to_owned(), "1".to_owned())].into(), etag: String::new(), ..moved };
    world.client.update_synced_secret(update(back, &["labels"])).await.unwrap();
    assert_eq!(told(&next(&mut stream).await), (Type::Added, "a"));
}

#[tokio::test]
async fn a_forged_token_is_refused_and_one_of_another_database_is_out_of_range() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let forged = WatchSyncedSecretsRequest { resume_token: "AAAA".to_owned(), ..Default::default() };
    let refused = world.client.watch_synced_secrets(forged).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(crate::support::requests::told(&refused).fields, ["resume_token"]);
}

#[tokio::test]
async fn a_watch_ends_with_a_status_when_the_service_stops() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let mut stream = watch(&mut world, WatchSyncedSecretsRequest::default()).await;
    next(&mut stream).await;
    next(&mut stream).await;
    let stopped = tokio::time::Instant::now();
    world.stop_service().await;
    assert!(stopped.elapsed() < Duration::from_secs(5), "open watches don't hold up the end");
    let end = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a silent end looks like success"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), Code::Unavailable);
}
