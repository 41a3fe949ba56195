//! Seeding, which bypasses the API.

use reqwest::Method;
use serde_json::json;

use super::World;
use crate::{Seed, SeedError, Seeded};

#[tokio::test]
async fn a_seed_creates_and_never_overwrites() {
    let world = World::start().await;
    let seed = || world.double.seed("A", "seeded".into(), None, [("k".to_owned(), "v".to_owned())].into());
    assert_eq!(seed().await.unwrap(), Seeded::Created);
    world.set("a", "mine").await;
    assert_eq!(seed().await.unwrap(), Seeded::AlreadyThere);
    assert_eq!(world.get("secrets/a").await.body["value"], "mine");
    world.delete("secrets/a").await;
    assert_eq!(seed().await.unwrap(), Seeded::AlreadyThere);
    let invalid = world.double.seed("a_b", "v".into(), None, [].into()).await.unwrap_err();
    assert!(matches!(invalid, SeedError::Invalid { .. }));
}

#[tokio::test]
async fn a_certificates_secret_is_shown_as_managed_and_cannot_be_changed() {
    let world = World::start().await;
    let certificate = Seed {
        name: "cert".to_owned(),
        value: "pem".into(),
        content_type: Some("application/x-pem-file".to_owned()),
        tags: [].into(),
        managed: true,
    };
    world.double.seed_all(vec![certificate]).await.unwrap();
    let got = world.get("secrets/cert").await;
    assert_eq!((&got.body["managed"], &got.body["value"]), (&json!(true), &json!("pem")));
    assert_eq!(got.body["kid"], format!("{}keys/cert/{}", world.double.uri(), got.version()));
    assert_eq!(world.get("secrets").await.body["value"][0]["managed"], true);
    for answer in [
        world.set("cert", "v").await,
        world.send(Method::PATCH, "secrets/cert/", Some(json!({}))).await,
        world.delete("secrets/cert").await,
    ] {
        assert_eq!(answer.error(), (403, "Forbidden", "SecretManagedByKeyVault"));
    }
}

#[tokio::test]
async fn the_attributes_of_a_seeded_secret_can_be_set() {
    let world = World::start().await;
    world.double.seed("a", "v".into(), None, [].into()).await.unwrap();
    let expires = 4_000_000_000;
    world.double.set_attributes("A", true, Some(expires)).await.unwrap();
    let listed = world.get("secrets").await.body["value"][0]["attributes"].clone();
    assert_eq!((&listed["enabled"], &listed["exp"]), (&json!(true), &json!(expires)));
    world.double.set_attributes("a", false, None).await.unwrap();
    let listed = world.get("secrets").await.body["value"][0]["attributes"].clone();
    assert_eq!((&listed["enabled"], &listed["exp"]), (&json!(false), &json!(expires)));
    assert_eq!(world.get("secrets/a").await.error().0, 403, "nobody reads the value");
    let missing = world.double.set_attributes("b", true, None).await.unwrap_err();
    assert!(matches!(missing, SeedError::Invalid { .. }));
}
