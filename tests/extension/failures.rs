//! What fails, whom it takes along, and how it is told and tried again.

use std::time::Duration;

use kube::api::{ObjectMeta, PostParams};
use secret_store_extension_double::{BackOff, LABEL};
use serde_json::json;
use tokio::time::sleep;

use crate::{
    fixture::{CREATED, Fixture, UPDATED, eventually},
    support::script::say,
};

/// Observation 1.
#[tokio::test]
async fn a_missing_version_fails_every_secretsync_of_the_class_and_each_attempt_requests_a_token() {
    let fixture = Fixture::start().await;
    for secret in ["opc-username", "opc-password", "eventhub-connection"] {
        fixture.site.seed(secret, "v").await;
    }
    fixture.apply_the_portals().await;
    for name in ["edp1secrets", "kafka1secrets"] {
        let failed = fixture.until(name, CREATED, "ProviderError").await;
        assert_eq!(failed.status, "False");
        assert!(failed.message.contains("eventhub-connection"), "{failed:?}");
        assert!(fixture.site.edge(name).await.is_none());
    }
    eventually("a token in each of many tries", async || fixture.tokens() >= 12).await;
}

/// Observation 1, the other half.
#[tokio::test]
async fn with_separate_classes_only_the_secretsync_with_the_missing_version_fails() {
    let fixture = Fixture::start().await;
    fixture.synced("whole", "v").await;
    fixture.site.seed("broken", "v").await;
    let pinned = "objectName: broken\nobjectType: secret\nobjectVersion: 0123456789abcdef0123456789abcdef\n";
    fixture.class_of("broken", &[pinned.to_owned()]).await;
    fixture.sync("broken", "broken", &[("broken", "password")]).await;
    fixture.until("broken", CREATED, "ProviderError").await;
    fixture.extension.poll().await;
    assert_eq!(fixture.condition("whole", UPDATED).await.unwrap().reason, "SecretUpToDate");
}

/// Observation 8.
#[tokio::test]
async fn a_secret_made_by_hand_blocks_the_sync_and_one_condition_is_wrong() {
    let fixture = Fixture::start().await;
    fixture.site.seed("taken", "of-the-vault").await;
    fixture.class("taken", &["taken"]).await;
    let by_hand = k8s_openapi::api::core::v1::Secret {
        metadata: ObjectMeta { name: Some("taken".to_owned()), ..ObjectMeta::default() },
        string_data: Some([("password".to_owned(), "by-hand".to_owned())].into()),
        ..Default::default()
    };
    fixture.site.secrets().create(&PostParams::default(), &by_hand).await.unwrap();
    fixture.sync("taken", "taken", &[("taken", "password")]).await;
    let created = fixture.until("taken", CREATED, "ControllerPatchError").await;
    assert_eq!(created.status, "False");
    assert!(created.message.contains("failed to patch secret \"taken\""), "{created:?}");
    assert_eq!(fixture.condition("taken", UPDATED).await.unwrap().status, "True");
    assert_eq!(fixture.site.edge("taken").await.unwrap()["password"], "by-hand");
}

/// Observation 9.
#[tokio::test]
async fn a_class_that_is_missing_or_of_another_provider_is_misconfigured() {
    let fixture = Fixture::start().await;
    fixture.sync("early", "missing", &[("a", "password")]).await;
    let created = fixture.until("early", CREATED, "SecretProviderClassMisconfigured").await;
    assert_eq!(created.status, "False");
    assert!(created.message.contains("failed to get SecretProviderClass \"missing\""), "{created:?}");
    let updated = fixture.condition("early", UPDATED).await.unwrap();
    assert_eq!((updated.status.as_str(), updated.reason.as_str()), ("Unknown", "NoUpdatesAttemptedYet"));
    assert_eq!(fixture.tokens(), 0);

    let fixture = Fixture::start_with(|options| options.provider = "another".to_owned()).await;
    fixture.class("a", &["a"]).await;
    fixture.sync("a", "a", &[("a", "password")]).await;
    fixture.until("a", CREATED, "SecretProviderClassMisconfigured").await;
}

#[tokio::test]
async fn a_secretsync_without_its_service_account_fails_if_the_cluster_issues_tokens() {
    let fixture = Fixture::start().await;
    if fixture.site.is_double() {
        return say("a missing service account: SKIPPED, the Kubernetes double issues no tokens");
    }
    fixture.synced("unknown", "v").await;
    fixture.change("unknown", json!({"serviceAccountName": "nobody"})).await;
    let failed = fixture.until("unknown", UPDATED, "ControllerSyncError").await;
    assert!(failed.message.contains("serviceaccounts \"nobody\" not found"), "{failed:?}");
}

/// Observation 11.
#[tokio::test]
async fn a_vault_secret_created_after_its_secretsync_needs_a_forced_sync() {
    let long = Duration::from_secs(3_600);
    let fixture = Fixture::start_with(|options| options.back_off = BackOff { base: long, cap: long }).await;
    fixture.class("late", &["late"]).await;
    fixture.sync("late", "late", &[("late", "password")]).await;
    fixture.until("late", CREATED, "ProviderError").await;
    fixture.site.seed("late", "v").await;
    sleep(Duration::from_millis(300)).await;
    assert!(fixture.site.edge("late").await.is_none(), "the pause is not over");

    fixture.force("late").await;
    fixture.until_edge("late", "password", "v").await;
    fixture.until("late", CREATED, "CreateSuccessful").await;
    let secret = fixture.site.secrets().get_metadata("late").await.unwrap().metadata;
    assert_eq!(secret.labels.unwrap().get(LABEL).map(String::as_str), Some(""));
    let owners = secret.owner_references.unwrap();
    assert_eq!((owners.len(), owners[0].kind.as_str(), owners[0].name.as_str()), (1, "SecretSync", "late"));
}

/// Observation 12.
#[tokio::test]
async fn the_condition_contains_the_vaults_message_with_all_its_lines() {
    let fixture = Fixture::start().await;
    fixture.class("absent", &["absent"]).await;
    fixture.sync("absent", "absent", &[("absent", "password")]).await;
    let message = fixture.until("absent", CREATED, "ProviderError").await.message;
    assert!(message.starts_with("fetching secrets from the provider failed"), "{message}");
    assert!(message.lines().count() > 5, "{message}");
    assert!(message.contains("RESPONSE 404") && message.contains("ERROR CODE: SecretNotFound"), "{message}");
}
