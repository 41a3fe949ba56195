//! What survives a restart, and what is not readable on disk.

use std::{os::unix::fs::PermissionsExt, path::Path};

use reqwest::Method;
use serde_json::json;

use super::World;
use doubles_common::tls::Authority;

#[tokio::test]
async fn every_secret_version_attribute_and_deletion_survives_a_restart() {
    let world = World::start().await;
    let body = json!({"value": "1", "contentType": "c", "tags": {"a": "b"}, "attributes": {"exp": 2_000}});
    world.send(Method::PUT, "secrets/Kept", Some(body)).await;
    for value in ["2", "3"] {
        world.set("kept", value).await;
    }
    world.send(Method::PATCH, "secrets/kept/", Some(json!({"tags": {"c": "d"}}))).await;
    world.set("gone", "v").await;
    world.delete("secrets/gone").await;
    world.set("purged", "v").await;
    world.delete("secrets/purged").await;
    world.delete("deletedsecrets/purged").await;
    let old_token = world.token.clone();
    let uri = world.double.uri();
    let before = world.get("secrets/kept").await.body;
    let lists = [world.get("secrets").await.body, world.get("deletedsecrets").await.body];

    let world = world.restart().await;
    let moved =
        |body: &serde_json::Value| body.to_string().replace(uri.as_str(), world.double.uri().as_str());
    assert_eq!(world.get("secrets/kept").await.body.to_string(), moved(&before));
    assert_eq!(before["value"], "3");
    assert_eq!(world.get("secrets/kept/versions").await.body["value"].as_array().unwrap().len(), 3);
    assert_eq!(world.get("secrets").await.body.to_string(), moved(&lists[0]));
    assert_eq!(world.get("deletedsecrets").await.body.to_string(), moved(&lists[1]));
    assert_eq!(world.set("kept", "4").await.status, 200);
    assert_eq!(world.get("secrets/kept").await.body["value"], "4");

    let world = World { token: old_token, ..world };
    assert_eq!(world.get("secrets").await.status, 200, "a token outlives a restart");
}

#[tokio::test]
async fn answered_writes_survive_a_kill() {
    let world = World::start().await;
    world.set("a", "v").await;
    // The files as a kill at this moment would leave them.
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(world.directory.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let authority = Authority::load_or_create(copy.path()).unwrap();
    let survivor = World::in_directory(copy, authority).await;
    assert_eq!(survivor.get("secrets/a").await.body["value"], "v");
}

#[tokio::test]
async fn no_value_is_on_disk_in_the_clear_and_only_the_owner_can_read_the_identity() {
    let world = World::start().await;
    world.set("a", "canary-1").await;
    world.double.seed("b", "canary-2".into(), None, [].into()).await.unwrap();
    world.delete("secrets/a").await;
    assert_no_canary(world.directory.path());
    let identity = world.directory.path().join("vault-identity.json");
    assert_eq!(std::fs::metadata(identity).unwrap().permissions().mode() & 0o777, 0o600);
    let World { double, directory, .. } = world;
    double.stop().await;
    assert_no_canary(directory.path());
}

fn assert_no_canary(directory: &Path) {
    for file in std::fs::read_dir(directory).unwrap() {
        // SQLite removes its log when the last connection closes, which may be between listing and reading.
        match std::fs::read(file.unwrap().path()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            bytes => assert!(!bytes.unwrap().windows(6).any(|window| window == b"canary")),
        }
    }
    assert!(directory.join("vault.db").is_file(), "the search looked at the database");
}
