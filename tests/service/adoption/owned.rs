//! What a controller generates, such as an AKVSync, is shown with its owner and left to it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;

use super::*;

#[tokio::test]
async fn what_an_akvsync_made_is_listed_with_its_owner_and_can_not_be_adopted() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = made_by_the_portal(engine).await;
        listed(&mut world, "edp1secrets").await;
        // Garbage collection leaves an owner alone whose kind nobody serves.
        let owner = OwnerReference {
            api_version: "secret-sync.x-k8s.io/v1alpha1".to_owned(),
            kind: "AKVSync".to_owned(),
            name: "line-4".to_owned(),
            uid: uuid::Uuid::new_v4().to_string(),
            ..OwnerReference::default()
        };
        let owned = json!({ "metadata": { "ownerReferences": [owner] } });
        let patch = Patch::Merge(&owned);
        world.syncs().patch("edp1secrets", &PatchParams::default(), &patch).await.unwrap();
        let shown = world
            .until("edp1secrets", |secret| {
                secret.conditions.iter().any(|held| held.message.contains("AKVSync line-4"))
            })
            .await;
        assert_eq!((shown.origin(), shown.state()), (Origin::Unmanaged, State::Synced), "{shown:?}");

        let before = world.syncs().get("edp1secrets").await.unwrap();
        for references in [Vec::new(), both()] {
            for validate_only in [true, false] {
                let request =
                    AdoptSyncedSecretRequest { validate_only, ..adopt("edp1secrets", references.clone()) };
                let refused = told(&world.client.adopt_synced_secret(request).await.unwrap_err());
                assert_eq!(
                    (refused.code, refused.reason.as_str()),
                    (Code::FailedPrecondition, "SECRET_OWNED")
                );
                assert!(refused.message.contains("AKVSync line-4"), "{}", refused.message);
            }
        }
        let after = world.syncs().get("edp1secrets").await.unwrap();
        assert_eq!(
            (after.metadata.resource_version, after.spec),
            (before.metadata.resource_version, before.spec)
        );
    }
}
