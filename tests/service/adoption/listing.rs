//! What other tools made is listed.

use super::*;

#[tokio::test]
async fn secrets_of_the_portal_are_listed_with_the_references_of_their_class() {
    for engine in [SyncEngine::SecretStore, SyncEngine::Direct] {
        let mut world = made_by_the_portal(engine).await;
        let secret = listed(&mut world, "edp1secrets").await;
        assert_eq!((secret.origin(), secret.state()), (Origin::Unmanaged, State::Synced), "{secret:?}");
        let told: Vec<_> =
            secret.references.iter().map(|held| (held.key.as_str(), held.vault_secret.as_str())).collect();
        assert_eq!(
            told,
            [("opc-username", "vaultSecrets/opc-username"), ("opc-password", "vaultSecrets/opc-password")]
        );
        let kafka = listed(&mut world, "kafka1secrets").await;
        assert_eq!(kafka.references[0].vault_secret, "vaultSecrets/eventhub-connection");

        let mut changed = secret.clone();
        changed.description = "mine".to_owned();
        for refused in [
            world.client.update_synced_secret(update(changed, &["description"])).await.unwrap_err(),
            world.client.delete_synced_secret(delete("edp1secrets")).await.unwrap_err(),
            world.client.sync_synced_secret(sync("edp1secrets")).await.unwrap_err(),
        ] {
            let refused = told_of(&refused);
            assert_eq!(refused, (Code::FailedPrecondition, "SYNCED_SECRET_UNMANAGED".to_owned()));
        }
        let taken = create("edp1secrets", vec![existing("k", "opc-username")]);
        let taken = world.client.create_synced_secret(taken).await.unwrap_err();
        assert_eq!(told_of(&taken), (Code::AlreadyExists, "EDGE_CONFLICT".to_owned()));
    }
}

#[tokio::test]
async fn the_watch_sees_changes_and_deletions_by_others() {
    let mut world = made_by_the_portal(SyncEngine::SecretStore).await;
    listed(&mut world, "edp1secrets").await;
    world.syncs().delete("edp1secrets", &Default::default()).await.unwrap();
    let client = world.client.clone();
    until(|| async { client.clone().get_synced_secret(get("edp1secrets")).await.is_err() }).await;
    assert!(world.client.get_synced_secret(get("kafka1secrets")).await.is_ok());
}
