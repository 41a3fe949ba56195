//! What was deleted stays deleted.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_does_not_complete_while_the_extensions_kinds_are_not_served() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    serves_no_pairs(&world, &["get", "list", "watch", "create", "update", "patch", "delete"]);

    let asked = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(asked).await.unwrap();
    stays(2, "DELETING", async || {
        let now = world.client.clone().get_synced_secret(get("a")).await;
        now.is_ok_and(|now| now.get_ref().state() == State::Deleting)
    })
    .await;
    world.cluster().faults().clear();

    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_does_not_return_at_the_extensions_next_poll() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    world.stop_extension().await;
    let often =
        extension::Options { rotation_poll_interval: Duration::from_secs(1), ..world.extension_options() };
    let _extension = Extension::start(often).await.unwrap();
    // The watches still tell what they did before.
    serves_no_pairs(&world, &["get", "patch", "delete"]);

    let asked = DeleteSyncedSecretRequest { force: true, wait: None, ..delete("a") };
    world.client.delete_synced_secret(asked).await.unwrap();
    stays(1, "there is a synced secret", async || {
        world.client.clone().get_synced_secret(get("a")).await.is_ok()
    })
    .await;
    world.cluster().faults().clear();
    world.until_gone("a").await;
    world.somebody.sets("v", "rotated").await;

    until_edge_is_empty(&world, "a").await;
    stays(3, "the deleted Secret is gone", async || world.edge("a").await.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_written_after_its_deletion_is_removed_again_and_its_name_is_free() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let (mut class, mut sync) =
        (world.classes().get("a").await.unwrap(), world.syncs().get("a").await.unwrap());
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    until_edge_is_empty(&world, "a").await;

    // What an API server does with requests that their client has given up.
    for metadata in [&mut class.metadata, &mut sync.metadata] {
        let (labels, annotations) = (metadata.labels.take(), metadata.annotations.take());
        *metadata = ObjectMeta { labels, annotations, ..named("a") };
    }
    sync.status = None;
    let late = PatchParams::apply(FIELD_MANAGER);
    world.classes().patch("a", &late, &Patch::Apply(&class)).await.unwrap();
    world.syncs().patch("a", &late, &Patch::Apply(&sync)).await.unwrap();

    until_so("the orphan is told of", async || {
        world.actions("a").await.iter().any(|action| action == "OrphanRemoved")
    })
    .await;
    until_edge_is_empty(&world, "a").await;
    world.client.create_synced_secret(of_v("a")).await.unwrap();
    // The extension may have been at its last look, and what it makes then goes, too.
    world.until_state("a", State::Synced).await;
    assert!(holds(&world, "a", "k", "value").await, "SYNCED, and the edge lacks it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orphan_does_not_block_a_new_synced_secret_of_its_name() {
    let Some(mut world) = world_with_one(direct()).await else { return };
    let uid = world.get("a").await.uid;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
    world.until_gone("a").await;
    // The next one of that name is asked for, and its first write fails.
    let fails = status(503, "ServiceUnavailable").verb("patch").resource("secrets").times(1);
    world.cluster().faults().add(fails);
    let next = CreateSyncedSecretRequest { wait: None, ..of_v("a") };
    let next = world.client.create_synced_secret(next).await.unwrap().into_inner();
    world.until_state("a", State::Failed).await;

    let late = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": { "name": "a", "labels": { UID_LABEL: uid } },
        "stringData": { "k": "late" },
    });
    world.secrets().patch("a", &PatchParams::apply(FIELD_MANAGER), &Patch::Apply(late)).await.unwrap();

    world.until_state("a", State::Synced).await;
    until_so("the Secret is the next one's", async || {
        let secret = world.secrets().get_opt("a").await.unwrap();
        let is_of_next = secret.is_some_and(|secret| secret.labels().get(UID_LABEL) == Some(&next.uid));
        is_of_next && holds(&world, "a", "k", "value").await
    })
    .await;
}
