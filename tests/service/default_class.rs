//! The identity of the Secret Store extension comes from the instance's default class: the one that its Instance
//! names.

use std::time::Duration;

use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use secret_service::{
    edge::secret_store::SecretProviderClass,
    model::SyncEngine,
    proto::{GetVaultRequest, synced_secret::State},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use tonic::Code;

use crate::support::{Options, PATIENCE, Site, World, requests::*, users};

const INSTANCE: &str = "Instance.iotoperations.azure.com";

/// A class for the vault of the tests, with the identity of this name; `right` is the one that works.
async fn make_class(site: &Site, name: &str, identity: &str) {
    let credential = site.vault.credential();
    let client_id = if identity == "right" { &credential.client_id } else { identity };
    let mut class = SecretProviderClass::new(name, Default::default());
    class.spec.provider = "azure".to_owned();
    class.spec.parameters =
        [("keyvaultName", "contoso-aio"), ("clientID", client_id), ("tenantID", &credential.tenant_id)]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
    site.classes().create(&PostParams::default(), &class).await.unwrap();
}

/// A service that is told no identity.
async fn started(classes: &[(&str, &str)], reference: Option<Value>) -> World {
    let mut site = Site::start().await;
    site.install_extension().await;
    users::install(&site.kube).await;
    for (name, identity) in classes {
        make_class(&site, name, identity).await;
    }
    if let Some(reference) = reference {
        site.applies(INSTANCE, "aio", json!({ "defaultSecretProviderClassRef": reference })).await;
    }
    let mut options = Options { engine: SyncEngine::SecretStore, finds_identity: true, ..Options::default() };
    options.usages.interval = Duration::from_millis(200);
    let mut world = World::start_on(site, options).await;
    world.seed("v", "value").await;
    // The first list of the Instances may still be in progress.
    let begun = Instant::now();
    while validated(&mut world).await.is_err_and(|refused| refused.code() == Code::Unavailable) {
        assert!(begun.elapsed() < PATIENCE, "the Instances are never listed");
        sleep(Duration::from_millis(10)).await;
    }
    world
}

async fn validated(world: &mut World) -> Result<(), tonic::Status> {
    let mut request = create("checked", vec![existing("k", "v")]);
    request.validate_only = true;
    world.client.create_synced_secret(request).await.map(drop)
}

/// What GetVault says about the settings.
async fn settings(world: &mut World) -> String {
    let vault = world.client.get_vault(GetVaultRequest { name: "vault".to_owned() }).await.unwrap();
    let conditions = vault.into_inner().conditions;
    conditions.into_iter().find(|condition| condition.r#type == "SecureSettings").unwrap().message
}

async fn identity_of(world: &World, class: &str) -> String {
    world.classes().get(class).await.unwrap().spec.parameters["clientID"].clone()
}

#[tokio::test]
async fn the_class_that_the_instance_names_is_used_in_each_spelling() {
    let arm = "/subscriptions/s/resourceGroups/g/providers/Microsoft.SecretSyncController/\
               azureKeyVaultSecretProviderClasses/contoso-default";
    for reference in
        [json!({ "name": "contoso-default" }), json!({ "resourceId": arm }), json!({ "id": arm })]
    {
        let classes = [("spc-ops-0000000", "wrong"), ("contoso-default", "right")];
        let mut world = started(&classes, Some(reference.clone())).await;
        world.client.create_synced_secret(create("edp1", vec![existing("k", "v")])).await.unwrap();
        assert_eq!(world.until_state("edp1", State::Synced).await.name, name("edp1"), "{reference}");
        assert_eq!(identity_of(&world, "edp1").await, world.vault.credential().client_id);
    }
}

#[tokio::test]
async fn a_default_class_that_is_not_certain_is_told_by_the_check_and_at_create() {
    let mut world = started(&[("spc-ops-0000000", "a"), ("spc-ops-1a2b3c4", "b")], None).await;
    let words = ["spc-ops-0000000 and spc-ops-1a2b3c4", "no Instance names", "secret_store.client_id"];
    let refused = told(&validated(&mut world).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "DEFAULT_CLASS_UNCLEAR"));
    for word in words {
        assert!(refused.message.contains(word), "{}", refused.message);
        assert!(settings(&mut world).await.contains(word), "{}", settings(&mut world).await);
    }

    // Whoever says which one it is, settles it.
    world.applies(INSTANCE, "aio", json!({ "defaultSecretProviderClassRef": { "name": "gone" } })).await;
    let begun = Instant::now();
    while !validated(&mut world).await.unwrap_err().message().contains("\"gone\"") {
        assert!(begun.elapsed() < PATIENCE, "the Instance is never seen");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(settings(&mut world).await.contains("\"gone\""));
    make_class(&world, "gone", "right").await;
    let begun = Instant::now();
    while validated(&mut world).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "the class is never seen");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_is_synced_follows_the_instance_to_another_class() {
    let classes = [("spc-ops-0000000", "right"), ("another", "other")];
    let mut world = started(&classes, Some(json!({ "name": "spc-ops-0000000" }))).await;
    world.client.create_synced_secret(create("edp1", vec![existing("k", "v")])).await.unwrap();
    world.until_state("edp1", State::Synced).await;
    world.applies(INSTANCE, "aio", json!({ "defaultSecretProviderClassRef": { "name": "another" } })).await;
    let begun = Instant::now();
    while identity_of(&world, "edp1").await != "other" {
        assert!(begun.elapsed() < PATIENCE, "the identity stays");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_class_of_a_synced_secret_is_never_the_default() {
    let mut world = started(&[("spc-ops-1a2b3c4", "right")], None).await;
    world.client.create_synced_secret(create("edp1", vec![existing("k", "v")])).await.unwrap();
    world.until_state("edp1", State::Synced).await;
    let classes: Api<SecretProviderClass> = world.classes();
    let uid = classes.get("edp1").await.unwrap().metadata.labels.unwrap();
    make_class(&world, "spc-ops-0000000", "wrong").await;
    let ours = json!({ "metadata": { "labels": uid } });
    classes.patch("spc-ops-0000000", &PatchParams::default(), &Patch::Merge(ours)).await.unwrap();
    let begun = Instant::now();
    while validated(&mut world).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "two candidates, and one of them is ours");
        sleep(Duration::from_millis(10)).await;
    }
}
