//! A reference asks too: who may make a synced secret reads no vault secret by it that the cluster does not grant, not even whether it
//! is there.

use secret_service::{
    access,
    proto::{secret_reference::Encoding, *},
};
use tokio::time::sleep;
use tonic::{Code, Status};

use super::{REMEMBERED, locked, world};
use crate::{
    adoption::{adopt, listed, made_by_the_portal_for},
    support::{
        Options, World,
        callers::{AUDIENCE, BOTH, Caller},
        requests::*,
    },
};

/// A caller that is an account with these rights: resource, verbs, names.
async fn account(world: &World, name: &str, rights: &[(&str, &[&str], &[&str])]) -> Caller {
    for (resource, verbs, names) in rights {
        world.account(name, &[resource], verbs, names).await;
    }
    world.caller(Some(&world.token(name, AUDIENCE).await)).await
}

/// Grants an account the vault secrets of these names to refer to, and waits until what was decided before is forgotten.
async fn may_refer(world: &World, account: &str, names: &[&str]) {
    world.account(account, &["vaultsecrets"], &["reference"], names).await;
    sleep(REMEMBERED * 2).await;
}

/// That a call was refused for a reference to this vault secret, and what the caller was told.
#[track_caller]
fn is_refused<T: std::fmt::Debug>(answer: Result<T, Status>, vault_secret: &str) -> String {
    let told = told(&answer.unwrap_err());
    assert_eq!((told.code, told.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
    let info = told.details.error_info().unwrap();
    assert_eq!(info.metadata["resource"], vault_name(vault_secret));
    let narrowed = format!("resourceNames: [{vault_secret:?}]");
    for part in ["reference", "vaultsecrets.secret-service.iotoperations", &narrowed] {
        assert!(told.message.contains(part), "{part} in {}", told.message);
    }
    told.message
}

#[tokio::test]
async fn a_caller_that_may_create_one_synced_secret_learns_nothing_about_the_vault() {
    let world = world(|_| {}).await;
    world.seed("prod", "canary-prod").await;
    let mut creator = account(&world, "creator", &[("syncedsecrets", &["create"], &["mine"])]).await;
    let asked = world.vault.requests();
    for validate_only in [true, false] {
        let mut told = Vec::new();
        for (vault_secret, encoding) in
            [("prod", Encoding::Unspecified), ("prod", Encoding::Hex), ("none", Encoding::Unspecified)]
        {
            let reference = SecretReference { encoding: encoding.into(), ..existing("a", vault_secret) };
            let request = CreateSyncedSecretRequest { validate_only, ..create("mine", vec![reference]) };
            let message = is_refused(creator.create_synced_secret(request).await, vault_secret);
            told.push(message.replace(vault_secret, "it"));
        }
        assert!(told.iter().all(|message| *message == told[0]), "what is there is told apart: {told:#?}");
    }
    assert_eq!(world.vault.requests(), asked, "nobody looked into the vault for it");
    assert!(world.edge("mine").await.is_none());

    may_refer(&world, "creator", &["prod"]).await;
    is_refused(creator.create_synced_secret(create("mine", vec![existing("a", "none")])).await, "none");
    creator.create_synced_secret(create("mine", vec![existing("a", "PROD")])).await.unwrap();
}

#[tokio::test]
async fn a_call_can_refer_to_vault_secrets_it_creates_and_to_no_others() {
    let world = world(|_| {}).await;
    world.seed("prod", "canary-prod").await;
    let rights: [(&str, &[&str], &[&str]); 2] =
        [("syncedsecrets", &["create"], &[]), ("vaultsecrets", &["create"], &[])];
    let mut maker = account(&world, "maker", &rights).await;
    maker.create_synced_secret(create("s", vec![created("a", "of-maker", "canary-own")])).await.unwrap();
    let asked = world.vault.requests();
    for first in [created("a", "new", "canary-new"), created("a", "prod", "canary-new")] {
        let request = create("t", vec![first, existing("b", "prod")]);
        is_refused(maker.create_synced_secret(request).await, "prod");
    }
    assert_eq!(world.vault.requests(), asked, "nobody looked into the vault for it");
}

#[tokio::test]
async fn an_update_requires_rights_on_new_references_only() {
    let world = world(|_| {}).await;
    for name in ["prod", "other"] {
        world.seed(name, "00ff").await;
    }
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    let held = vec![existing("a", "prod")];
    editor.create_synced_secret(create("s", held.clone())).await.unwrap();
    let mut changer = account(&world, "changer", &[("syncedsecrets", &["update"], &[])]).await;
    let version =
        editor.get_synced_secret(get("s")).await.unwrap().into_inner().references[0].synced_version.clone();

    let asked = world.vault.requests();
    let pinned = SecretReference { version, ..existing("a", "prod") };
    let decoded = SecretReference { encoding: Encoding::Hex.into(), ..existing("a", "prod") };
    for (references, refused) in [
        (vec![existing("a", "other")], "other"),
        (vec![existing("a", "prod"), existing("b", "other")], "other"),
        (vec![existing("a", "prod"), existing("b", "prod")], "prod"),
        (vec![pinned], "prod"),
        (vec![decoded], "prod"),
    ] {
        let changed = SyncedSecret { name: name("s"), references, ..Default::default() };
        for validate_only in [true, false] {
            let request =
                UpdateSyncedSecretRequest { validate_only, ..update(changed.clone(), &["references"]) };
            is_refused(changer.update_synced_secret(request).await, refused);
        }
    }
    assert_eq!(world.vault.requests(), asked, "nobody looked into the vault for it");

    let same =
        SyncedSecret { name: name("s"), references: held, description: "new".into(), ..Default::default() };
    changer.update_synced_secret(update(same, &["references", "description"])).await.unwrap();
    may_refer(&world, "changer", &["other"]).await;
    let more = vec![existing("a", "prod"), existing("b", "other")];
    let more = SyncedSecret { name: name("s"), references: more, ..Default::default() };
    changer.update_synced_secret(update(more, &["references"])).await.unwrap();
}

#[tokio::test]
async fn an_adoption_requires_rights_on_the_vault_secrets_it_takes_over_and_names() {
    let access = access::Options { anonymous: true, ..locked() };
    let engine = secret_service::model::SyncEngine::SecretStore;
    let mut world = made_by_the_portal_for(Options { engine, access, ..Options::default() }).await;
    listed(&mut world, "edp1secrets").await;
    world.account("adopter", &BOTH[..1], &["adopt", "get"], &[]).await;
    let mut adopter = world.caller(Some(&world.token("adopter", AUDIENCE).await)).await;
    // The request names no vault secret: the edge does.
    is_refused(adopter.adopt_synced_secret(adopt("edp1secrets", vec![])).await, "opc-password");
    may_refer(&world, "adopter", &["opc-username", "opc-password"]).await;
    let named =
        vec![existing("opc-username", "opc-username"), existing("opc-password", "eventhub-connection")];
    is_refused(adopter.adopt_synced_secret(adopt("edp1secrets", named)).await, "eventhub-connection");
    adopter.adopt_synced_secret(adopt("edp1secrets", vec![])).await.unwrap();
}

#[tokio::test]
async fn a_reference_whose_encoding_is_that_of_the_tag_may_be_sent_again_without_the_right_to_refer() {
    let world = world(|_| {}).await;
    let file = NewVaultSecret { data: b"pump".to_vec(), ..Default::default() };
    let mut editor = world.caller(Some(&world.token("editor", AUDIENCE).await)).await;
    let file = CreateVaultSecretRequest { secret: Some(file), ..create_vault_secret("cert", "") };
    editor.create_vault_secret(file).await.unwrap();
    editor.create_synced_secret(create("mine", vec![existing("a", "cert")])).await.unwrap();
    let mut keeper = account(&world, "keeper", &[("syncedsecrets", &["update"], &["mine"])]).await;
    sleep(REMEMBERED * 2).await;
    let same = with_references("mine", vec![existing("a", "cert")]);
    let same = keeper.update_synced_secret(same).await.unwrap().into_inner();
    assert_eq!(same.references[0].encoding(), Encoding::Hex);
    let raw = SecretReference { encoding: Encoding::Utf8.into(), ..existing("a", "cert") };
    is_refused(keeper.update_synced_secret(with_references("mine", vec![raw])).await, "cert");
}
