//! What the controller wrote last decides whether it writes again, and not what is there.

use std::time::Duration;

use kube::api::DeleteParams;
use serde_json::Value;
use tokio::time::sleep;

use crate::fixture::{Fixture, UPDATED, eventually};

/// Observation 2.
#[tokio::test]
async fn a_deleted_secret_returns_only_after_a_forced_sync() {
    let fixture = Fixture::start().await;
    fixture.synced("deleted", "v").await;
    fixture.site.secrets().delete("deleted", &DeleteParams::default()).await.unwrap();
    fixture.extension.poll().await;
    fixture.extension.poll().await;
    assert!(fixture.site.edge("deleted").await.is_none());
    let updated = fixture.condition("deleted", UPDATED).await.unwrap();
    assert_eq!((updated.status.as_str(), updated.reason.as_str()), ("True", "SecretUpToDate"));

    fixture.force("deleted").await;
    fixture.until_edge("deleted", "password", "v").await;
}

/// Observation 4.
#[tokio::test]
async fn the_status_changes_only_when_a_new_version_changes_the_hash() {
    let fixture = Fixture::start().await;
    fixture.synced("still", "canary-5e1d").await;
    let (before, asked) = (fixture.status("still").await, fixture.tokens());
    assert!(before["syncHash"].is_string() && before["lastSuccessfulSyncTime"].is_string(), "{before}");
    assert!(!before.to_string().contains("canary"), "{before}");
    // Times of a status have whole seconds.
    sleep(Duration::from_millis(1_100)).await;
    fixture.extension.poll().await;
    assert_eq!(fixture.tokens(), asked + 1, "it looked");
    assert_eq!(fixture.status("still").await, before);

    fixture.site.somebody.sets("still", "new").await;
    fixture.extension.poll().await;
    assert_eq!(fixture.site.edge("still").await.unwrap()["password"], "new");
    let after = fixture.status("still").await;
    assert_ne!(after["syncHash"], before["syncHash"]);
    assert_ne!(after["lastSuccessfulSyncTime"], before["lastSuccessfulSyncTime"]);
    assert_eq!(
        after["conditions"], before["conditions"],
        "their times are of the status, which did not change"
    );
}

/// Observation 10.
#[tokio::test]
async fn each_reconcile_of_a_secretsync_requests_a_token_and_one_more_than_its_number_of_objects() {
    const MANY: u64 = 8;
    let fixture = Fixture::start().await;
    for number in 0..MANY {
        let (name, first, second) = (format!("s-{number}"), format!("a-{number}"), format!("b-{number}"));
        fixture.site.seed(&first, "v").await;
        fixture.site.seed(&second, "v").await;
        fixture.class(&name, &[&first, &second]).await;
        fixture.sync(&name, &name, &[(&first, "first"), (&second, "second")]).await;
    }
    let synced = async || fixture.site.secrets().list(&Default::default()).await.unwrap();
    eventually("all are synced", async || {
        let secrets = synced().await.items;
        secrets.iter().filter(|secret| secret.metadata.owner_references.is_some()).count() as u64 == MANY
    })
    .await;
    assert_eq!((fixture.tokens(), fixture.site.vault.requests().vault()), (MANY, 3 * MANY));
    // The last one's status may still be on its way.
    fixture.until(&format!("s-{}", MANY - 1), UPDATED, "SecretUpToDate").await;
    fixture.extension.poll().await;
    assert_eq!((fixture.tokens(), fixture.site.vault.requests().vault()), (2 * MANY, 6 * MANY));
}

/// In upstream's source, not among the observations: a failed poll leaves its mark although the Secret is right.
#[tokio::test]
async fn after_a_failed_poll_the_condition_stays_until_something_changes() {
    let fixture = Fixture::start().await;
    fixture.synced("marked", "v").await;
    fixture.site.somebody.enables("marked", false).await;
    fixture.extension.poll().await;
    assert_eq!(fixture.condition("marked", UPDATED).await.unwrap().reason, "ProviderError");
    fixture.site.somebody.enables("marked", true).await;
    let before = fixture.status("marked").await["lastSuccessfulSyncTime"].clone();
    sleep(Duration::from_millis(1_100)).await;
    fixture.extension.poll().await;
    let after: Value = fixture.status("marked").await;
    assert_ne!(after["lastSuccessfulSyncTime"], before, "it wrote the Secret");
    assert_eq!(fixture.condition("marked", UPDATED).await.unwrap().reason, "ProviderError");
    fixture.force("marked").await;
    fixture.until("marked", UPDATED, "SecretUpToDate").await;
}
