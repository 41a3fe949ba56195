//! After a restore, nothing that was deleted since the backup is brought back by itself.

use std::time::Duration;

use kube::api::DeleteParams;
use secret_service::{
    proto::{Condition, ListAuditEventsRequest, SyncedSecret, synced_secret::State},
    store,
};

use crate::support::{World, requests::*, until_so};

fn synced(secret: &SyncedSecret) -> &Condition {
    condition_of(&secret.conditions, "Synced").unwrap()
}

/// A site where `kept` was there when the backup was made and is there now, and each of the others was deleted in between; restored.
async fn restored(deleted: &[&str]) -> World {
    restored_after(deleted, async |_| {}).await
}

/// The same, after something else was done since the backup.
async fn restored_after(deleted: &[&str], since: impl AsyncFnOnce(&mut World)) -> World {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    for id in [&["kept"], deleted].concat() {
        world.create(id, vec![existing("k", "v")]).await;
        world.until_state(id, State::Synced).await;
    }
    let database = world.directory().join("secret-service.db");
    let backup = world.directory().join("backup");
    store::back_up(&database, &backup, false).await.unwrap();
    for id in deleted {
        world.client.delete_synced_secret(delete(id)).await.unwrap();
        world.until_gone(id).await;
        assert_eq!(world.edge(id).await, None);
    }
    since(&mut world).await;
    world.stop_service().await;
    let instance =
        store::Instance { vault: world.vault.uri().to_string(), namespace: world.namespace.clone() };
    store::restore(&backup, &database, &instance).await.unwrap();
    world.start_service().await;
    world
}

#[tokio::test]
async fn a_synced_secret_deleted_after_the_backup_waits_for_a_sync_or_a_deletion() {
    let mut world = restored(&["wanted", "unwanted"]).await;
    for id in ["wanted", "unwanted"] {
        let held = world.until(id, |secret| synced(secret).reason == "NotAtEdgeAfterRestore").await;
        assert_eq!(held.state(), State::Degraded);
        assert!(synced(&held).message.contains("SyncSyncedSecret"), "{held:?}");
    }
    assert_eq!(world.get("kept").await.state(), State::Synced);
    // Neither a look nor a restart nor a new version brings it back.
    world.client.add_vault_secret_version(add_version("v", "newer")).await.unwrap();
    world.restart().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    for id in ["wanted", "unwanted"] {
        assert_eq!(world.edge(id).await, None);
        assert_eq!(synced(&world.get(id).await).reason, "NotAtEdgeAfterRestore");
    }

    world.client.sync_synced_secret(sync("wanted")).await.unwrap();
    world.until_state("wanted", State::Synced).await;
    assert_eq!(world.edge("wanted").await.unwrap()["k"], "newer");
    world.client.delete_synced_secret(delete("unwanted")).await.unwrap();
    world.until_gone("unwanted").await;
    // It is as any other again: what somebody takes away is put back.
    world.secrets().delete("wanted", &DeleteParams::default()).await.unwrap();
    until_so("it is put back", async || world.edge("wanted").await.is_some()).await;
}

#[tokio::test]
async fn changes_after_the_backup_are_recovered_from_the_edge() {
    let mut world = restored_after(&["remade"], async |world| {
        world.seed("w", "another").await;
        world.create("made", vec![existing("k", "w")]).await;
        let kept = SyncedSecret {
            name: name("kept"),
            description: "changed".to_owned(),
            references: vec![existing("k", "w")],
            ..SyncedSecret::default()
        };
        world.client.update_synced_secret(update(kept, &["description", "references"])).await.unwrap();
        world.create("remade", vec![existing("other", "w")]).await;
    })
    .await;
    let kept = world.until("kept", |secret| secret.description == "changed").await;
    assert_eq!(kept.references[0].vault_secret, vault_name("w"));
    let remade = world.until("remade", |secret| secret.references[0].key == "other").await;
    for id in ["kept", "made", "remade"] {
        world.until_state(id, State::Synced).await;
    }
    assert_eq!(world.get("remade").await.uid, remade.uid);
    for (id, key) in [("kept", "k"), ("made", "k"), ("remade", "other")] {
        let edge = world.edge(id).await.unwrap();
        assert_eq!((edge.len(), edge[key].as_str()), (1, "another"), "{id}");
    }
    let events =
        world.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap().into_inner();
    let rebuilt = events.audit_events.iter().filter(|event| event.action == "RebuildSyncedSecret");
    assert_eq!(rebuilt.count(), 3, "{events:?}");
}
