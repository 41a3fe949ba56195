//! Causes outside of the vault's own words and of the cluster's: a proxy, a namespace that ends, an immutable Secret.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use key_vault_double::{Fault, FaultRule, OnOperation, Operation};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, Patch, PostParams},
};
use secret_service::{model::SyncEngine, proto::synced_secret::State};
use serde_json::json;

use crate::support::{World, engine, kubectl, requests::*};

#[tokio::test]
async fn a_proxy_that_answers_in_the_vaults_place_is_told() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let look = match engine() {
        SyncEngine::Direct => Operation::SecretGet,
        SyncEngine::SecretStore => Operation::SecretListVersions,
    };
    world.vault.faults().add(FaultRule::new(Fault::HtmlPage).on(look));
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "VaultUnreachable"), "{told:#?}");
    let message = &told.conditions[0].message;
    for word in ["a web page", "proxy", "NO_PROXY"] {
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[tokio::test]
async fn a_namespace_that_is_being_deleted_is_told_as_such() {
    needs!(the_double);
    let mut world = World::start().await;
    world.seed("v", "value").await;
    // Something in it keeps the namespace from going.
    let maps: Api<ConfigMap> = Api::namespaced(world.kube.clone(), &world.namespace);
    let metadata = ObjectMeta {
        name: Some("stays".to_owned()),
        finalizers: Some(vec!["example.com/hold".to_owned()]),
        ..ObjectMeta::default()
    };
    maps.create(&PostParams::default(), &ConfigMap { metadata, ..ConfigMap::default() }).await.unwrap();
    let namespaces: Api<Namespace> = Api::all(world.kube.clone());
    namespaces.delete(&world.namespace, &DeleteParams::default()).await.unwrap();

    let request = create("a", vec![existing("k", "v")]);
    let told = world.client.create_synced_secret(request).await.unwrap().into_inner();

    assert_eq!((told.state(), synced_reason(&told)), (State::Failed, "NamespaceTerminating"), "{told:#?}");
    let message = &told.conditions[0].message;
    assert!(message.contains("is being deleted") && message.contains(&world.namespace), "{message}");
    assert!(!message.contains("Grant"), "{message}");
}

#[tokio::test]
async fn an_immutable_secret_has_the_same_reason_and_remedy_in_both_engines() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let frozen = json!({ "immutable": true });
    world.secrets().patch("a", &kubectl(), &Patch::Merge(frozen)).await.unwrap();
    world.somebody.sets("v", "new").await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeRejected"), "{told:#?}");
    assert!(told.conditions[0].message.contains("delete the Secret"), "{told:#?}");
    world.secrets().delete("a", &DeleteParams::default()).await.unwrap();
    world.client.sync_synced_secret(sync("a")).await.unwrap();
    world.until_state("a", State::Synced).await;
    assert_eq!(world.edge("a").await.unwrap()["k"], "new");
}
