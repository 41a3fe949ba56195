//! A database that is lost: what the edge holds becomes synced secrets again, and nothing there is touched by that.

mod listed;
mod meanwhile;

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use key_vault_double::VaultFault;
use kube::api::{DeleteParams, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::{
    edge::UID_LABEL,
    model::SyncEngine,
    proto::{
        AuditEvent, DeleteSyncedSecretRequest, ListAuditEventsRequest, ListSyncedSecretsRequest,
        ListVaultSecretVersionsRequest, SecretReference, SyncedSecret, secret_reference,
        synced_secret::{Origin, State},
    },
    store::Store,
};
use serde_json::json;
use tonic::Code;

use crate::{
    adoption::{adopt, violations},
    support::{Options, World, requests::*, until_so},
};

const PINNED: &str = "pinned";

/// What is asked for stays, whatever a database remembers besides.
fn asked(secret: &SyncedSecret) -> SyncedSecret {
    let reference = |reference: &SecretReference| SecretReference {
        key: reference.key.clone(),
        vault_secret: reference.vault_secret.clone(),
        version: reference.version.clone(),
        encoding: reference.encoding,
        part: reference.part,
        ..Default::default()
    };
    SyncedSecret {
        name: secret.name.clone(),
        uid: secret.uid.clone(),
        description: secret.description.clone(),
        secret_type: secret.secret_type.clone(),
        labels: secret.labels.clone(),
        references: secret.references.iter().map(reference).collect(),
        origin: secret.origin,
        ..Default::default()
    }
}

/// A synced secret with all that one can ask for.
async fn rich(world: &mut World) -> SyncedSecret {
    world.seed("plain", "v").await;
    world.seed("encoded", "AAEC").await;
    world.seed("old", "first").await;
    let versions = ListVaultSecretVersionsRequest { parent: vault_name("old"), ..Default::default() };
    let versions = world.client.list_vault_secret_versions(versions).await.unwrap().into_inner();
    let pinned = versions.versions[0].name.rsplit_once('/').unwrap().1.to_owned();
    world.somebody.sets("old", "second").await;
    let references = vec![
        existing("k", "plain"),
        SecretReference {
            encoding: secret_reference::Encoding::Base64.into(),
            ..existing("bytes", "encoded")
        },
        SecretReference { version: pinned, ..existing(PINNED, "old") },
    ];
    let mut request = create("rich", references);
    let secret = request.synced_secret.as_mut().unwrap();
    secret.description = "Ünïcode, \"quoted\"".to_owned();
    secret.labels = BTreeMap::from([("line".to_owned(), "7".to_owned())]).into_iter().collect();
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced);
    made
}

async fn all(world: &mut World) -> Vec<SyncedSecret> {
    let request = ListSyncedSecretsRequest::default();
    world.client.list_synced_secrets(request).await.unwrap().into_inner().synced_secrets
}

async fn audit(world: &mut World) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest { page_size: 1_000, ..Default::default() };
    world.client.list_audit_events(request).await.unwrap().into_inner().audit_events
}

/// Versions of everything at the edge that is ours, in order.
async fn versions(world: &World) -> Vec<(String, String)> {
    let labelled = ListParams::default().labels(UID_LABEL);
    let mut versions: Vec<_> = world
        .secrets()
        .list(&labelled)
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|secret| (secret.metadata.name.unwrap(), secret.metadata.resource_version.unwrap()))
        .collect();
    versions.sort();
    versions
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_database_is_rebuilt_with_the_complete_specification() {
    let mut world = World::start().await;
    let before = rich(&mut world).await;
    let at_the_edge = world.edge("rich").await.unwrap();
    world.lose_database().await;

    let after = world.until_state("rich", State::Synced).await;
    assert_eq!(asked(&after), asked(&before));
    assert_eq!(world.edge("rich").await.unwrap(), at_the_edge);
    let versions: Vec<_> = after.references.iter().map(|reference| &reference.synced_version).collect();
    assert_eq!(
        versions,
        before.references.iter().map(|reference| &reference.synced_version).collect::<Vec<_>>()
    );

    let events = audit(&mut world).await;
    let first = events.last().unwrap();
    assert_eq!((first.action.as_str(), first.outcome.as_str()), ("RebuildFromEdge", "OK"), "{events:?}");
    assert!(
        first.detail.contains("start with this event") && first.detail.contains("1 synced secrets"),
        "{first:?}"
    );
    let own = events.iter().find(|event| event.action == "RebuildSyncedSecret").unwrap();
    assert!(own.resource == name("rich") && own.detail.contains("k=plain"), "{own:?}");

    // It goes on as if nothing had happened.
    world.somebody.sets("plain", "newer").await;
    world.client.sync_synced_secret(sync("rich")).await.unwrap();
    assert_eq!(world.edge("rich").await.unwrap()["k"], "newer");
    world.client.delete_synced_secret(delete("rich")).await.unwrap();
    assert_eq!(world.edge("rich").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_touches_nothing_at_the_edge() {
    needs!(the_direct_engine);
    let mut world = World::start().await;
    rich(&mut world).await;
    let before = versions(&world).await;
    // Nothing is compared with the vault meanwhile, and so nothing is written.
    world.stop_service().await;
    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac));
    world.remove_database();
    world.start_service().await;
    let told = world.until("rich", |secret| !secret.conditions.is_empty()).await;
    assert_eq!((told.origin(), told.references.len()), (Origin::Managed, 3));
    world.until("rich", |secret| secret.state() == State::Degraded).await;
    assert_eq!(versions(&world).await, before);
    world.vault.faults().clear();
    world.client.sync_synced_secret(sync("rich")).await.unwrap();
    world.until_state("rich", State::Synced).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_of_a_new_database_with_an_empty_edge_has_no_rebuild() {
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let actions: Vec<_> = audit(&mut world).await.into_iter().map(|event| event.action).collect();
    assert!(actions.iter().all(|action| !action.starts_with("Rebuild")), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synced_secret_deleted_before_the_database_was_lost_does_not_return() {
    let mut world = World::start().await.with_synced(&["stays", "goes"], "x").await;
    world.client.delete_synced_secret(delete("goes")).await.unwrap();
    world.lose_database().await;
    world.until_state("stays", State::Synced).await;
    assert_eq!(all(&mut world).await.len(), 1);
    assert_eq!(world.edge("goes").await, None);
}

/// What the edge holds under a label of ours, and can't be read in full, is listed with this.
async fn is_listed(world: &mut World, id: &str, why: &str) -> SyncedSecret {
    let told = world.until(id, |secret| synced_reason(secret) == "NotRecorded").await;
    assert_eq!(told.origin(), Origin::Unmanaged);
    let message = &told.conditions[0].message;
    assert!(message.contains(why), "{why}: {message}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_lost_with_the_database_is_rebuilt_from_the_edge() {
    let mut world = World::start().await;
    for (name, value) in [("v", "x"), ("w", "y")] {
        world.seed(name, value).await;
    }
    let made = world.create("a", vec![existing("k", "v")]).await;
    let wanted = SyncedSecret { references: vec![existing("k", "w")], etag: String::new(), ..made };
    let request = update(wanted, &["references"]);
    world.client.update_synced_secret(request).await.unwrap();
    world.lose_database().await;
    let told = world.until_state("a", State::Synced).await;
    assert_eq!(told.references[0].vault_secret, vault_name("w"));
    assert_eq!(world.edge("a").await.unwrap()["k"], "y");
}

/// In the Secret Store engine: somebody's Secret stands under the name, and the extension has merged into it.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_the_extension_merged_into_stays_its_owners_when_the_database_is_lost() {
    needs!(the_double, the_secret_store_engine);
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    world.stop_service().await;
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    let theirs = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let metadata = ObjectMeta { name: Some("a".to_owned()), ..ObjectMeta::default() };
    let data = Some([("theirs".to_owned(), ByteString(b"precious".to_vec()))].into());
    world.secrets().create(&theirs, &Secret { metadata, data, ..Secret::default() }).await.unwrap();
    // The extension is told to write, and merges.
    let force = json!({ "spec": { "forceSynchronization": "again" } });
    let us = PatchParams { field_manager: Some("secret-service".to_owned()), ..PatchParams::default() };
    world.syncs().patch("a", &us, &Patch::Merge(force)).await.unwrap();
    until_so("the extension merged", async || world.edge("a").await.is_some_and(|edge| edge.len() == 2))
        .await;
    world.remove_database();
    world.start_service().await;
    is_listed(&mut world, "a", "may have existed before").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.edge("a").await.unwrap()["theirs"], "precious");
}
