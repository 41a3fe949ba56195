//! Partial sync, as the extension has it switched on: each key is written as far as it could be fetched.

use crate::fixture::{CREATED, Fixture, UPDATED};

#[tokio::test]
async fn of_two_keys_the_existing_one_is_written_and_both_outcomes_are_reported() {
    let fixture = Fixture::start_with(|options| options.partial_sync = true).await;
    fixture.site.seed("there", "v").await;
    fixture.class("pair", &["there", "late"]).await;
    fixture.sync("pair", "pair", &[("there", "username"), ("late", "password")]).await;
    let updated = fixture.until("pair", UPDATED, "PartialSync").await;
    assert_eq!(updated.status, "False");
    let outcomes: serde_json::Value = serde_json::from_str(&updated.message).unwrap();
    assert_eq!(outcomes["username"], "Success");
    assert!(outcomes["password"].as_str().unwrap().contains("SecretNotFound"), "{outcomes}");
    assert_eq!(fixture.condition("pair", CREATED).await.unwrap().status, "True");
    let edge = fixture.site.edge("pair").await.unwrap();
    assert_eq!(edge.into_iter().collect::<Vec<_>>(), [("username".to_owned(), "v".to_owned())]);

    fixture.site.seed("late", "w").await;
    fixture.force("pair").await;
    fixture.until_edge("pair", "password", "w").await;
    fixture.until("pair", UPDATED, "SecretUpToDate").await;
}

#[tokio::test]
async fn a_key_that_can_no_longer_be_fetched_keeps_its_old_value_beside_a_new_one() {
    let fixture = Fixture::start_with(|options| options.partial_sync = true).await;
    fixture.site.seed("moves", "v1").await;
    fixture.site.seed("stays", "w1").await;
    fixture.class("pair", &["moves", "stays"]).await;
    fixture.sync("pair", "pair", &[("moves", "username"), ("stays", "password")]).await;
    fixture.until("pair", UPDATED, "SecretUpToDate").await;
    fixture.site.somebody.sets("moves", "v2").await;
    fixture.site.somebody.enables("stays", false).await;
    fixture.extension.poll().await;
    let edge = fixture.site.edge("pair").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("v2", "w1"));
    assert_eq!(fixture.condition("pair", UPDATED).await.unwrap().reason, "PartialSync");

    fixture.site.somebody.enables("stays", true).await;
    fixture.extension.poll().await;
    assert_eq!(fixture.condition("pair", UPDATED).await.unwrap().reason, "SecretUpToDate");
}

#[tokio::test]
async fn without_partial_sync_a_missing_key_blocks_the_other() {
    let fixture = Fixture::start().await;
    fixture.site.seed("there", "v").await;
    fixture.class("pair", &["there", "late"]).await;
    fixture.sync("pair", "pair", &[("there", "username"), ("late", "password")]).await;
    fixture.until("pair", CREATED, "ProviderError").await;
    assert!(fixture.site.edge("pair").await.is_none());
}

#[tokio::test]
async fn in_the_portals_layout_only_the_one_with_the_missing_version_fails() {
    let fixture = Fixture::start_with(|options| options.partial_sync = true).await;
    for secret in ["opc-username", "opc-password", "eventhub-connection"] {
        fixture.site.seed(secret, "v").await;
    }
    fixture.apply_the_portals().await;
    fixture.until("edp1secrets", UPDATED, "SecretUpToDate").await;
    fixture.until("kafka1secrets", CREATED, "ProviderError").await;
    assert!(fixture.site.edge("kafka1secrets").await.is_none());
}
