//! Pull secrets that the service composes from a host, a user name and a password.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PostParams};
use secret_service::{
    edge::UsageOptions,
    model::SyncEngine,
    proto::{
        CheckResourceRequest, CreateSyncedSecretRequest, ListSecretUsagesRequest, SecretReference,
        synced_secret::State,
    },
};
use serde_json::json;
use tonic::Code;

use crate::{
    adoption::adopt,
    support::{Options, World, kubectl, requests::*, until_so, users},
};

const TYPE: &str = "kubernetes.io/dockerconfigjson";
const KEY: &str = ".dockerconfigjson";
const REFERENCES: &str = "synced_secret.references";
/// As `kubectl create secret docker-registry` writes them.
const FIRST: &str =
    r#"{"auths":{"contoso.azurecr.io":{"username":"puller","password":"first","auth":"cHVsbGVyOmZpcnN0"}}}"#;
const SECOND: &str =
    r#"{"auths":{"contoso.azurecr.io":{"username":"puller","password":"next","auth":"cHVsbGVyOm5leHQ="}}}"#;
const MAILED: &str = r#"{"auths":{"contoso.azurecr.io":{"username":"puller","password":"first","email":"a@b","auth":"cHVsbGVyOmZpcnN0"}}}"#;

fn parts() -> Vec<SecretReference> {
    vec![existing("username", "acr-user"), existing("password", "acr-password"), existing("host", "acr-host")]
}

fn pull(references: Vec<SecretReference>) -> CreateSyncedSecretRequest {
    let mut request = create("pull", references);
    request.synced_secret.as_mut().unwrap().secret_type = TYPE.to_owned();
    request
}

fn direct() -> Options {
    let usages = UsageOptions { interval: Duration::from_millis(200), ..UsageOptions::default() };
    Options { engine: SyncEngine::Direct, usages, ..Options::default() }
}

async fn seeded(options: Options) -> World {
    let world = World::start_with(options).await;
    for (name, value) in
        [("acr-host", "contoso.azurecr.io"), ("acr-user", "puller"), ("acr-password", "first")]
    {
        world.seed(name, value).await;
    }
    world
}

/// With the composed synced secret `pull`.
async fn composed() -> World {
    let mut world = seeded(direct()).await;
    let made = world.client.create_synced_secret(pull(parts())).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:#?}");
    world
}

async fn at_edge(world: &World) -> BTreeMap<String, String> {
    world.edge("pull").await.unwrap_or_default()
}

fn holding(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([(KEY.to_owned(), text.to_owned())])
}

#[tokio::test]
async fn a_host_a_user_name_and_a_password_become_one_docker_configuration_which_follows_each() {
    let mut world = composed().await;
    assert_eq!(at_edge(&world).await, holding(FIRST));
    let secret = world.secrets().get("pull").await.unwrap();
    assert_eq!(secret.type_.as_deref(), Some(TYPE));
    let shown = world.get("pull").await;
    let keys: Vec<_> = shown.references.iter().map(|reference| reference.key.as_str()).collect();
    assert_eq!(keys, ["username", "password", "host"], "what is asked for is shown as it was asked for");

    world.client.add_vault_secret_version(add_version("acr-password", "next")).await.unwrap();
    let told = world.client.sync_synced_secret(sync("pull")).await.unwrap().into_inner();
    assert_eq!(told.state(), State::Synced);
    assert_eq!(at_edge(&world).await, holding(SECOND));
    let newer = world.secrets().get("pull").await.unwrap();
    assert_eq!(newer.metadata.uid, secret.metadata.uid, "it is never away");
}

#[tokio::test]
async fn values_that_are_created_along_are_composed_and_an_email_is_kept() {
    let mut world = World::start_with(direct()).await;
    let references = vec![
        created("host", "new-host", "contoso.azurecr.io"),
        created("username", "new-user", "puller"),
        created("password", "new-password", "first"),
        created("email", "new-email", "a@b"),
    ];
    let request = CreateSyncedSecretRequest {
        purpose: "registry-pull-secret".to_owned(),
        ..create("pull", references)
    };
    let checked = CreateSyncedSecretRequest { validate_only: true, ..request.clone() };
    world.client.create_synced_secret(checked).await.unwrap();
    assert!(world.edge("pull").await.is_none());
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!((made.state(), made.secret_type.as_str()), (State::Synced, TYPE));
    assert_eq!(at_edge(&world).await, holding(MAILED));
}

#[tokio::test]
async fn values_that_make_no_configuration_are_refused_by_the_call_each_by_its_reference() {
    let mut world = seeded(direct()).await;
    for (number, (place, key, bad, needs)) in [
        (2, "host", "hunter2.azurecr.io\n", "line breaks"),
        (2, "host", "hunter2 io", "spaces"),
        (0, "username", "hunter2:x", "':'"),
        (2, "host", "", "not empty"),
        (0, "username", "", "not empty"),
        (1, "password", "", "not empty"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("bad-{number}");
        world.seed(&name, bad).await;
        let mut calls = Vec::new();
        let mut references = parts();
        references[place] = existing(key, &name);
        calls.push(references.clone());
        if !bad.is_empty() {
            references[place] = created(key, "fresh", bad);
            calls.push(references);
        }
        for references in calls {
            for validate_only in [true, false] {
                let request = CreateSyncedSecretRequest { validate_only, ..pull(references.clone()) };
                let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
                assert_eq!(refused.code, Code::InvalidArgument, "{}", refused.message);
                assert_eq!(refused.fields, [format!("{REFERENCES}[{place}]")], "{}", refused.message);
                assert!(
                    refused.message.contains(needs) && refused.message.contains(key),
                    "{}",
                    refused.message
                );
                assert!(!refused.message.contains("hunter2"), "{}", refused.message);
            }
        }
        assert!(world.client.get_synced_secret(get("pull")).await.is_err());
    }
    // Bytes that are no text.
    world.seed("bytes", "/w==").await;
    let mut references = parts();
    references[1] = SecretReference {
        encoding: secret_service::proto::secret_reference::Encoding::Base64.into(),
        ..existing("password", "bytes")
    };
    let refused = told(&world.client.create_synced_secret(pull(references)).await.unwrap_err());
    assert!(refused.message.contains("UTF-8"), "{}", refused.message);
    assert!(world.edge("pull").await.is_none());
}

#[tokio::test]
async fn an_update_to_a_value_that_makes_no_configuration_is_refused_and_the_good_one_stays() {
    let mut world = composed().await;
    world.seed("bad", "hunter2:x").await;
    let mut references = parts();
    references[0] = existing("username", "bad");
    let request = with_references("pull", references);
    let refused = told(&world.client.update_synced_secret(request).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields),
        (Code::InvalidArgument, vec![format!("{REFERENCES}[0]")]),
        "{}",
        refused.message
    );
    assert_eq!(at_edge(&world).await, holding(FIRST));
    assert_eq!(world.get("pull").await.generation, 1);
}

#[tokio::test]
async fn a_rotation_to_a_value_that_makes_no_configuration_is_told_by_its_reference_and_the_good_one_stays() {
    let mut world = composed().await;
    world.somebody.sets("acr-host", "hunter2.azurecr.io\n").await;
    let told = world.client.sync_synced_secret(sync("pull")).await.unwrap().into_inner();

    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "EdgeRejected"), "{told:#?}");
    let problem = told.references[2].problem.clone().unwrap_or_else(|| panic!("{told:#?}"));
    assert_eq!(problem.reason, "EdgeRejected");
    for message in [&told.conditions[0].message, &problem.message] {
        for word in ["\"host\"", "line breaks", "acr-host"] {
            assert!(message.contains(word), "{word}: {message}");
        }
        assert!(!message.contains("hunter2"), "{message}");
    }
    assert_eq!(at_edge(&world).await, holding(FIRST));

    world.somebody.sets("acr-host", "contoso.azurecr.io").await;
    world.client.sync_synced_secret(sync("pull")).await.unwrap();
    world.until_state("pull", State::Synced).await;
    assert_eq!(at_edge(&world).await, holding(FIRST));
}

#[tokio::test]
async fn the_parts_are_all_or_none_and_change_places_with_a_whole_configuration() {
    let mut world = seeded(direct()).await;
    world.seed("whole", "{}").await;
    let with = |more: &[SecretReference]| [parts(), more.to_vec()].concat();
    for references in [parts()[..2].to_vec(), with(&[existing("other", "whole")])] {
        let refused = told(&world.client.create_synced_secret(pull(references)).await.unwrap_err());
        assert_eq!((refused.code, refused.fields), (Code::InvalidArgument, vec![REFERENCES.to_owned()]));
        for word in [KEY, "\"host\", \"username\" and \"password\""] {
            assert!(refused.message.contains(word), "{word}: {}", refused.message);
        }
    }
    world.client.create_synced_secret(pull(parts())).await.unwrap();
    assert_eq!(at_edge(&world).await, holding(FIRST));

    // Beside a whole one the others are keys like any.
    let request = with_references("pull", with(&[existing(KEY, "whole")]));
    world.client.update_synced_secret(request).await.unwrap();
    let held = at_edge(&world).await;
    assert_eq!((held.len(), held[KEY].as_str(), held["password"].as_str()), (4, "{}", "first"));

    world.client.update_synced_secret(with_references("pull", vec![existing(KEY, "whole")])).await.unwrap();
    assert_eq!(at_edge(&world).await, holding("{}"));
    world.client.update_synced_secret(with_references("pull", parts())).await.unwrap();
    assert_eq!(at_edge(&world).await, holding(FIRST));
}

#[tokio::test]
async fn a_value_that_was_a_key_of_its_own_is_checked_once_it_becomes_a_part() {
    let mut world = seeded(direct()).await;
    world.seed("whole", "{}").await;
    world.somebody.sets("acr-user", "hunter2:x").await;
    let whole = [parts(), vec![existing(KEY, "whole")]].concat();
    world.client.create_synced_secret(pull(whole)).await.unwrap();
    let refused =
        told(&world.client.update_synced_secret(with_references("pull", parts())).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields),
        (Code::InvalidArgument, vec![format!("{REFERENCES}[0]")]),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn the_secret_store_engine_refuses_to_compose_and_says_the_ways_out() {
    let mut world = seeded(Options { engine: SyncEngine::SecretStore, ..Options::default() }).await;
    world.seed("whole", FIRST).await;
    let refused = told(&world.client.create_synced_secret(pull(parts())).await.unwrap_err());
    assert_eq!((refused.code, refused.fields), (Code::InvalidArgument, vec![REFERENCES.to_owned()]));
    for word in ["Secret Store extension", KEY, "direct engine"] {
        assert!(refused.message.contains(word), "{word}: {}", refused.message);
    }
    assert!(world.edge("pull").await.is_none());

    world.client.create_synced_secret(pull(vec![existing(KEY, "whole")])).await.unwrap();
    let refused =
        told(&world.client.update_synced_secret(with_references("pull", parts())).await.unwrap_err());
    assert_eq!((refused.code, refused.fields), (Code::InvalidArgument, vec![REFERENCES.to_owned()]));
    assert_eq!(at_edge(&world).await, holding(FIRST));
}

#[tokio::test]
async fn a_composed_secret_is_not_handed_over_to_the_extension_until_it_is_a_whole_one() {
    let mut world = composed().await;
    world.seed("whole", "{}").await;
    world.switch_engine(SyncEngine::SecretStore).await;
    let told = world.until_state("pull", State::Degraded).await;
    assert_eq!(synced_reason(&told), "EdgeRejected");
    for word in ["can't compose", KEY, "UpdateSyncedSecret"] {
        assert!(told.conditions[0].message.contains(word), "{word}: {}", told.conditions[0].message);
    }
    assert_eq!(at_edge(&world).await, holding(FIRST));

    world.client.update_synced_secret(with_references("pull", vec![existing(KEY, "whole")])).await.unwrap();
    world.until("pull", |secret| secret.state() == State::Synced && secret.synced_generation == 2).await;
    assert_eq!(at_edge(&world).await, holding("{}"));
    assert!(world.syncs().get_opt("pull").await.unwrap().is_some());
}

#[tokio::test]
async fn an_edit_of_the_composed_key_and_keys_of_others_are_reverted() {
    let world = composed().await;
    let edit = json!({ "stringData": { KEY: "{}", "host": "theirs" } });
    world.secrets().patch("pull", &kubectl(), &Patch::Merge(edit)).await.unwrap();
    until_so("it is as it was", async || at_edge(&world).await == holding(FIRST)).await;
    let is_told = async || world.actions("pull").await.iter().any(|action| action == "DriftRepaired");
    until_so("the repair is in the audit", is_told).await;
    // What is as it should be is not written again.
    let version = world.secrets().get("pull").await.unwrap().metadata.resource_version;
    let mut world = world;
    world.restart().await;
    world.until_state("pull", State::Synced).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.secrets().get("pull").await.unwrap().metadata.resource_version, version);
}

#[tokio::test]
async fn a_lost_database_comes_back_with_the_parts_and_the_configuration_stays() {
    let mut world = composed().await;
    let before = world.secrets().get("pull").await.unwrap();
    world.options.rebuild = true;
    world.lose_database().await;
    let rebuilt = world.until_state("pull", State::Synced).await;
    let mut keys: Vec<_> = rebuilt.references.iter().map(|reference| reference.key.as_str()).collect();
    keys.sort_unstable();
    assert_eq!((keys, rebuilt.secret_type.as_str()), (vec!["host", "password", "username"], TYPE));
    assert_eq!(at_edge(&world).await, holding(FIRST));
    assert_eq!(world.secrets().get("pull").await.unwrap().metadata.uid, before.metadata.uid);
}

#[tokio::test]
async fn a_registry_endpoint_uses_the_composed_key_which_stands_in_the_way_of_its_end() {
    const REGISTRY: &str = "RegistryEndpoint.connectivity.iotoperations.azure.com";
    let mut world = composed().await;
    users::install(&world.kube).await;
    let settings = json!({ "artifactPullSecretSettings": { "secretRef": "pull" } });
    world.applies(REGISTRY, "graphs", json!({ "host": "h", "authentication": settings })).await;
    world
        .until("pull", |secret| {
            condition_of(&secret.conditions, "InUse").is_some_and(|in_use| in_use.reason == "Used")
        })
        .await;
    let request = ListSecretUsagesRequest { parent: name("pull"), ..Default::default() };
    let usages = world.client.list_secret_usages(request).await.unwrap().into_inner().usages;
    assert_eq!(usages.len(), 1);
    assert!(!usages[0].key_missing && !usages[0].secret_missing, "{usages:?}");

    let refused = told(&world.client.delete_synced_secret(delete("pull")).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "SYNCED_SECRET_IN_USE"));
    // Parts may be replaced by a whole configuration, but neither may go.
    world.seed("whole", "{}").await;
    let dropping = with_references("pull", vec![existing("host", "acr-host")]);
    let refused = told(&world.client.update_synced_secret(dropping).await.unwrap_err());
    assert_eq!(refused.reason, "KEY_IN_USE", "{}", refused.message);
    for references in
        [[parts(), vec![existing("email", "acr-user")]].concat(), vec![existing(KEY, "whole")], parts()]
    {
        world.client.update_synced_secret(with_references("pull", references)).await.unwrap();
    }

    let manifest = format!(
        "apiVersion: connectivity.iotoperations.azure.com/v1\nkind: RegistryEndpoint\nmetadata: {{name: more}}\n\
         spec: {{host: h, authentication: {settings}}}\n"
    );
    let checking = || CheckResourceRequest { manifest: manifest.clone() };
    let checked = world.client.check_resource(checking()).await.unwrap().into_inner();
    assert_eq!(checked.resources[0].usages[0].problem, None);
    world.somebody.expires("acr-password", jiff::Timestamp::now() + Duration::from_secs(86_400)).await;
    world.client.sync_synced_secret(sync("pull")).await.unwrap();
    let checked = world.client.check_resource(checking()).await.unwrap().into_inner();
    let problem = checked.resources[0].usages[0].problem.clone().unwrap();
    assert_eq!(problem.reason, "ExpiresSoon", "the end of a part is the end of the whole: {problem:?}");
}

#[tokio::test]
async fn a_docker_secret_made_by_hand_is_adopted_into_its_parts() {
    let mut world = seeded(direct()).await;
    let mut by_hand = Secret { type_: Some(TYPE.to_owned()), ..Secret::default() };
    by_hand.metadata.name = Some("pull".to_owned());
    by_hand.string_data = Some(holding("{}"));
    let kubectl = PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
    let made = world.secrets().create(&kubectl, &by_hand).await.unwrap();

    let two = adopt("pull", parts()[..2].to_vec());
    assert!(world.client.adopt_synced_secret(two).await.unwrap_err().message().contains(KEY));
    world.client.adopt_synced_secret(adopt("pull", parts())).await.unwrap();
    world.until_state("pull", State::Synced).await;
    assert_eq!(at_edge(&world).await, holding(FIRST));
    assert_eq!(world.secrets().get("pull").await.unwrap().metadata.uid, made.metadata.uid);
}
