//! Another controller that undoes our writes is named, and answered at a growing pause.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn contention_for_a_secretsync_is_reported_by_name_and_backs_off() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let label = "app.kubernetes.io/managed-by";
    let is_there = move |sync: &SecretSync| sync.labels().get(label).is_some_and(|held| held == "argocd");
    let own = json!({ "metadata": { "labels": { label: "argocd" } } });
    let opponent = argocd_wants(world.syncs(), is_there, own);
    let told = is_reported_and_backs_off(&mut world).await;
    assert!(format!("{told:?}").contains("argocd"), "it does not say who fights: {told:?}");
    opponent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn contention_for_a_label_of_a_secretsync_backs_off_although_the_other_manager_is_unknown() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let label = "app.kubernetes.io/managed-by";
    let is_there = move |sync: &SecretSync| !sync.labels().contains_key(label);
    let opponent =
        argocd_wants(world.syncs(), is_there, json!({ "metadata": { "labels": { label: null } } }));
    is_reported_and_backs_off(&mut world).await;
    opponent.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn contention_for_a_key_of_the_extensions_secret_is_reported_by_name_and_backs_off() {
    let Some(mut world) = world_with_one(secret_store()).await else { return };
    let opponent = argocd_wants_the_key(&world);
    // Each round of it waits for the extension.
    let begun = Instant::now();
    while synced_reason(&world.get("a").await) != "EdgeContested" {
        assert!(begun.elapsed() < 3 * PATIENCE, "nobody tells of the fight");
        sleep(Duration::from_millis(50)).await;
    }
    let told = is_reported_and_backs_off(&mut world).await;
    assert!(format!("{told:?}").contains("argocd"), "it does not say who fights: {told:?}");
    opponent.abort();
}

fn argocd_wants_the_key(world: &World) -> JoinHandle<()> {
    let is_there = |secret: &Secret| {
        secret.data.as_ref().and_then(|data| data.get("k")).is_none_or(|held| held.0 == b"theirs")
    };
    argocd_wants(world.secrets(), is_there, json!({ "stringData": { "k": "theirs" } }))
}
