//! "Add from Azure Key Vault": look at what the vault holds, pick, sync.

use std::collections::BTreeSet;

use key_vault_double::Seed;
use secret_service::proto::{
    GetVaultSecretRequest, ListVaultSecretVersionsRequest, ListVaultSecretsRequest, SecretReference,
    VaultSecret, synced_secret::State,
};
use tonic::Code;

use crate::support::{World, requests::*};

async fn list(world: &mut World, request: ListVaultSecretsRequest) -> (Vec<VaultSecret>, String) {
    let page = world.client.list_vault_secrets(request).await.unwrap().into_inner();
    (page.vault_secrets, page.next_page_token)
}

fn names(secrets: &[VaultSecret]) -> Vec<&str> {
    secrets.iter().map(|secret| secret.name.trim_start_matches("vaultSecrets/")).collect()
}

#[tokio::test]
async fn the_vault_is_listed_page_by_page_and_each_secret_once() {
    let mut world = World::start().await;
    for number in 0..60 {
        world.seed(&format!("s-{number:02}"), "v").await;
    }
    let mut seen = Vec::new();
    let mut request = ListVaultSecretsRequest { page_size: 7, ..Default::default() };
    loop {
        let (page, next) = list(&mut world, request.clone()).await;
        assert!(page.len() <= 7);
        seen.extend(page.into_iter().map(|secret| secret.name));
        if next.is_empty() {
            break;
        }
        request.page_token = next;
    }
    let wanted: Vec<_> = (0..60).map(|number| vault_name(&format!("s-{number:02}"))).collect();
    seen.sort();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn the_search_box_and_the_unsynced_only_switch_narrow_the_list() {
    let mut world = World::start().await;
    for name in ["Pump-7-User", "pump-7-password", "historian"] {
        world.seed(name, "v").await;
    }
    world.create("pump", vec![existing("u", "pump-7-user")]).await;

    let (all, _) = list(&mut world, ListVaultSecretsRequest::default()).await;
    assert_eq!(all.len(), 3);
    let synced: Vec<_> = all.iter().filter(|secret| !secret.synced_secrets.is_empty()).collect();
    assert_eq!(synced.len(), 1);
    assert_eq!(
        (synced[0].name.as_str(), synced[0].synced_secrets.as_slice()),
        ("vaultSecrets/Pump-7-User", &[name("pump")][..])
    );

    let search = ListVaultSecretsRequest { name_contains: "PUMP".to_owned(), ..Default::default() };
    assert_eq!(list(&mut world, search).await.0.len(), 2);
    let unsynced = ListVaultSecretsRequest {
        unsynced_only: true,
        name_contains: "pump".to_owned(),
        ..Default::default()
    };
    assert_eq!(names(&list(&mut world, unsynced).await.0), ["pump-7-password"]);
}

#[tokio::test]
async fn several_existing_secrets_become_one_synced_secret() {
    let mut world = World::start().await;
    world.seed("a", "1").await;
    world.seed("b", "2").await;
    let references = vec![existing("one", "a"), existing("two", "b"), existing("again", "A")];
    let secret = world.create("both", references).await;
    assert_eq!(secret.state(), State::Synced);
    let edge = world.edge("both").await.unwrap();
    assert_eq!((edge["one"].as_str(), edge["two"].as_str(), edge["again"].as_str()), ("1", "2", "1"));
}

#[tokio::test]
async fn a_reference_can_be_pinned_to_a_version() {
    let mut world = World::start().await;
    world.seed("a", "first").await;
    world.client.add_vault_secret_version(add_version("a", "second")).await.unwrap();
    let request = ListVaultSecretVersionsRequest { parent: vault_name("a"), ..Default::default() };
    let versions = world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions;
    assert_eq!(versions.len(), 2);

    let mut held = Vec::new();
    for (number, version) in versions.iter().enumerate() {
        let version = version.name.rsplit('/').next().unwrap().to_owned();
        let pinned = SecretReference { version: version.clone(), ..existing("k", "a") };
        let id = format!("pinned-{number}");
        let secret = world.create(&id, vec![pinned]).await;
        assert_eq!(secret.references[0].synced_version, version);
        held.push(world.edge(&id).await.unwrap()["k"].clone());
    }
    held.sort();
    assert_eq!(held, ["first", "second"]);
}

#[tokio::test]
async fn missing_vault_secrets_are_not_found_each_with_its_field() {
    let mut world = World::start().await;
    world.seed("a", "v").await;
    let unknown = SecretReference { version: "f".repeat(32), ..existing("two", "a") };
    let request = create("x", vec![existing("one", "nowhere"), unknown]);

    let told = told(&world.client.create_synced_secret(request).await.unwrap_err());

    assert_eq!(told.code, Code::NotFound);
    assert_eq!(
        told.fields,
        ["synced_secret.references[0].vault_secret", "synced_secret.references[1].version"]
    );
    assert!(told.details.resource_info().is_some());
    let missing = world
        .client
        .get_vault_secret(GetVaultSecretRequest { name: vault_name("nowhere") })
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    let request = ListVaultSecretVersionsRequest { parent: vault_name("nowhere"), ..Default::default() };
    assert_eq!(world.client.list_vault_secret_versions(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn ten_thousand_vault_secrets_are_each_listed_once_and_the_synced_one_is_followed() {
    let mut world = World::start().await;
    let seeds = (0..10_000).map(|number| Seed {
        name: format!("s-{number:05}"),
        value: "old".into(),
        content_type: None,
        tags: [].into(),
        managed: false,
    });
    world.vault.seed_all(seeds.collect()).await.unwrap();
    world.create("a", vec![existing("k", "s-07777")]).await;
    let mut seen = BTreeSet::new();
    let mut request = ListVaultSecretsRequest { page_size: 1_000, unsynced_only: true, ..Default::default() };
    loop {
        let (page, next) = list(&mut world, request.clone()).await;
        for secret in &page {
            assert!(seen.insert(secret.name.clone()), "{} is listed twice", secret.name);
        }
        match next.is_empty() {
            true => break,
            false => request.page_token = next,
        }
    }
    assert_eq!((seen.len(), seen.contains(&vault_name("s-07777"))), (9_999, false));
    world.somebody.sets("s-07777", "new").await;
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), world.edge("a").await.unwrap()["k"].as_str()), (State::Synced, "new"));
}

#[tokio::test]
async fn a_disabled_and_an_expired_vault_secret_are_refused() {
    let mut world = World::start().await;
    world.seed("disabled", "v").await;
    world.somebody.enables("disabled", false).await;
    world.seed("expired", "v").await;
    world.somebody.expires("expired", jiff::Timestamp::now() - std::time::Duration::from_secs(60)).await;

    for id in ["disabled", "expired"] {
        let told =
            told(&world.client.create_synced_secret(create("x", vec![existing("k", id)])).await.unwrap_err());
        assert_eq!(told.code, Code::FailedPrecondition, "{id}: {}", told.message);
        assert_eq!(told.fields, ["synced_secret.references[0].vault_secret"]);
    }
    assert!(world.edge("x").await.is_none());
}
