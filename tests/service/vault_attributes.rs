//! Attributes of vault secrets: changed, kept by a new version, and back after a deletion.

use std::{collections::BTreeMap, time::Duration};

use key_vault_double::{Fault, FaultRule, OnOperation, Operation, Seed, VaultFault};
use prost_types::{FieldMask, Timestamp};
use secret_service::proto::*;
use tonic::Code;
use uuid::Uuid;

use crate::support::{Options, World, requests::*};

const PEM: &str = "application/x-pem-file";

fn days(days: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds: jiff::Timestamp::now().as_second() + days * 86_400, nanos: 0 })
}

fn tags(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

/// Tags without the service's own.
fn plain(mut tags: BTreeMap<String, String>) -> BTreeMap<String, String> {
    assert!(tags.remove("secret-service").is_some(), "{tags:?}");
    tags
}

fn change(vault_secret: VaultSecret, paths: &[&str]) -> UpdateVaultSecretRequest {
    UpdateVaultSecretRequest {
        vault_secret: Some(vault_secret),
        update_mask: Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() }),
        ..Default::default()
    }
}

fn named(id: &str) -> VaultSecret {
    VaultSecret { name: vault_name(id), ..Default::default() }
}

fn enabled(id: &str, enabled: bool) -> UpdateVaultSecretRequest {
    change(VaultSecret { enabled, ..named(id) }, &["enabled"])
}

fn recover(id: &str) -> RecoverVaultSecretRequest {
    RecoverVaultSecretRequest { name: vault_name(id), ..Default::default() }
}

async fn created(world: &mut World, id: &str) -> VaultSecret {
    let secret = NewVaultSecret {
        content_type: PEM.to_owned(),
        not_before_time: days(-1),
        expire_time: days(30),
        tags: tags(&[("file-encoding", "hex"), ("line", "4")]),
        ..new("706d70")
    };
    let request = CreateVaultSecretRequest { secret: Some(secret), ..create_vault_secret(id, "") };
    world.client.create_vault_secret(request).await.unwrap().into_inner()
}

async fn got(world: &mut World, id: &str) -> VaultSecret {
    let request = GetVaultSecretRequest { name: vault_name(id) };
    world.client.get_vault_secret(request).await.unwrap().into_inner()
}

async fn versions(world: &mut World, id: &str) -> Vec<VaultSecretVersion> {
    let request = ListVaultSecretVersionsRequest { parent: vault_name(id), ..Default::default() };
    world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions
}

/// Times in the vault have whole seconds: the next version is the latest for sure.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

#[tokio::test]
async fn attributes_change_and_the_value_stays() {
    let mut world = World::start().await;
    let before = created(&mut world, "pump").await;
    world.create("a", vec![existing("k", "pump")]).await;
    let wanted = VaultSecret {
        content_type: "text/plain".to_owned(),
        expire_time: days(90),
        tags: tags(&[("line", "5")]),
        ..named("pump")
    };
    let changed = world
        .client
        .update_vault_secret(change(wanted.clone(), &["content_type", "expire_time", "tags"]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((changed.content_type.as_str(), changed.expire_time), ("text/plain", wanted.expire_time));
    assert_eq!(plain(changed.tags), wanted.tags);
    assert_eq!((changed.enabled, changed.not_before_time), (true, before.not_before_time));
    let [version] = versions(&mut world, "pump").await.try_into().unwrap();
    assert_eq!(version.name, changed.name, "no version was added");
    assert_eq!(world.somebody.reads("pump").await, "706d70");
    let held = got(&mut world, "pump").await;
    assert_eq!(held.tags["secret-service"], before.tags["secret-service"]);
    let actions = world.audit_of("vaultSecrets/pump").await;
    assert_eq!(actions[..2], ["UpdateVaultSecret OK", "UpdateVaultSecret ACCEPTED"], "{actions:?}");
}

#[tokio::test]
async fn a_version_that_is_named_changes_alone_and_what_is_disabled_stays_at_the_edge() {
    let mut world = World::start().await.with_synced(&["a"], "one").await;
    let [first] = versions(&mut world, "v").await.try_into().unwrap();
    next_second().await;
    let second = world.client.add_vault_secret_version(add_version("v", "two")).await.unwrap().into_inner();
    world.until("a", |secret| second.name.ends_with(&secret.references[0].synced_version)).await;
    let version = first.name.rsplit('/').next().unwrap().to_owned();
    let old = UpdateVaultSecretRequest { version: version.clone(), ..enabled("v", false) };
    let changed = world.client.update_vault_secret(old).await.unwrap().into_inner();
    assert_eq!((changed.name, changed.enabled), (first.name, false));
    assert!(got(&mut world, "v").await.enabled, "the latest is another one");

    world.client.update_vault_secret(enabled("v", false)).await.unwrap();
    let degraded = world.until("a", |secret| secret.state() == synced_secret::State::Degraded).await;
    assert_eq!(degraded.references[0].problem.as_ref().unwrap().reason, "VaultSecretDisabled");
    assert_eq!(world.edge("a").await.unwrap()["k"], "two", "the edge keeps what it has");
    world.client.update_vault_secret(enabled("v", true)).await.unwrap();
    world.until("a", |secret| secret.state() == synced_secret::State::Synced).await;
}

#[tokio::test]
async fn an_update_that_can_not_be_carried_out_changes_nothing() {
    let mut world = World::start().await;
    let before = created(&mut world, "pump").await;
    let cases = [
        (change(named("pump"), &["expire_time"]), "vault_secret.expire_time"),
        (change(named("pump"), &["value"]), "update_mask"),
        (change(named("pump"), &[]), "update_mask"),
        (
            change(VaultSecret { expire_time: days(-3), ..named("pump") }, &["expire_time"]),
            "vault_secret.expire_time",
        ),
        (
            change(VaultSecret { not_before_time: days(60), ..named("pump") }, &["not_before_time"]),
            "vault_secret.not_before_time",
        ),
        (
            change(VaultSecret { tags: tags(&[("secret-service", "me")]), ..named("pump") }, &["tags"]),
            "vault_secret.tags",
        ),
        (UpdateVaultSecretRequest { version: "1".to_owned(), ..enabled("pump", false) }, "version"),
        (UpdateVaultSecretRequest::default(), "vault_secret"),
    ];
    for (request, field) in cases {
        let refused = told(&world.client.update_vault_secret(request).await.unwrap_err());
        assert_eq!(
            (refused.code, refused.fields.as_slice()),
            (Code::InvalidArgument, &[field.to_owned()][..])
        );
    }
    let nowhere = world.client.update_vault_secret(enabled("nowhere", false)).await.unwrap_err();
    assert_eq!(nowhere.code(), Code::NotFound);
    let version = UpdateVaultSecretRequest { version: "0".repeat(32), ..enabled("pump", false) };
    assert_eq!(world.client.update_vault_secret(version).await.unwrap_err().code(), Code::NotFound);
    let dry = UpdateVaultSecretRequest { validate_only: true, ..enabled("pump", false) };
    assert!(!world.client.update_vault_secret(dry).await.unwrap().into_inner().enabled, "it would be");
    assert_eq!(got(&mut world, "pump").await, before);
    assert_eq!(world.vault.requests().of(Operation::SecretUpdate), 0);
}

#[tokio::test]
async fn a_retry_changes_the_version_that_it_meant_and_not_one_that_was_added_since() {
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(3), ..Options::default() }).await;
    world.seed("v", "one").await;
    let [first] = versions(&mut world, "v").await.try_into().unwrap();
    world.vault.faults().add(FaultRule::new(Fault::Reset).on(Operation::SecretUpdate));
    let request = UpdateVaultSecretRequest { request_id: Uuid::new_v4().to_string(), ..enabled("v", false) };
    let lost = world.client.update_vault_secret(request.clone()).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    world.vault.faults().clear();
    next_second().await;
    world.somebody.sets("v", "two").await;

    let changed = world.client.update_vault_secret(request.clone()).await.unwrap().into_inner();
    assert_eq!((changed.name.as_str(), changed.enabled), (first.name.as_str(), false));
    assert!(got(&mut world, "v").await.enabled, "the new version was not disabled");
    let again = world.client.update_vault_secret(request).await.unwrap().into_inner();
    assert_eq!(again, changed);
}

#[tokio::test]
async fn a_secret_of_a_certificate_is_not_changed() {
    let mut world = World::start().await;
    let seed = Seed {
        name: "cert".to_owned(),
        value: secrecy::SecretString::from("pem"),
        content_type: None,
        tags: BTreeMap::new(),
        managed: true,
    };
    world.vault.seed_all(vec![seed]).await.unwrap();
    for refused in [
        world.client.update_vault_secret(enabled("cert", false)).await.map(drop),
        world.client.add_vault_secret_version(add_version("cert", "x")).await.map(drop),
    ] {
        let told = told(&refused.unwrap_err());
        assert_eq!(told.reason, "VAULT_SECRET_MANAGED", "{}", told.message);
        assert!(told.message.contains("certificate"), "{}", told.message);
    }
}

#[tokio::test]
async fn a_new_version_keeps_tags_and_content_type_and_on_request_the_dates() {
    let mut world = World::start().await;
    let before = created(&mut world, "pump").await;
    next_second().await;
    let kept =
        world.client.add_vault_secret_version(add_version("pump", "74776f")).await.unwrap().into_inner();
    assert_eq!(kept.content_type, PEM);
    assert_ne!(kept.tags["secret-service"], before.tags["secret-service"], "each call has its own");
    assert_eq!(plain(kept.tags), tags(&[("file-encoding", "hex"), ("line", "4")]));
    assert_eq!((kept.not_before_time, kept.expire_time), (None, None));

    world.somebody.expires("pump", "2035-01-01T00:00:00Z".parse().unwrap()).await;
    next_second().await;
    let dated = AddVaultSecretVersionRequest { keep_dates: true, ..add_version("pump", "7468726565") };
    let dated = world.client.add_vault_secret_version(dated).await.unwrap().into_inner();
    assert_eq!(dated.expire_time.unwrap().seconds, 2_051_222_400);

    next_second().await;
    let secret = NewVaultSecret {
        content_type: "text/plain".to_owned(),
        expire_time: days(7),
        tags: tags(&[("line", "6")]),
        ..new("four")
    };
    let explicit = AddVaultSecretVersionRequest {
        secret: Some(secret.clone()),
        keep_dates: true,
        ..add_version("pump", "")
    };
    let explicit = world.client.add_vault_secret_version(explicit).await.unwrap().into_inner();
    assert_eq!((explicit.content_type, explicit.expire_time), (secret.content_type, secret.expire_time));
    assert_eq!(plain(explicit.tags), secret.tags);
}

#[tokio::test]
async fn dates_of_an_expired_version_are_not_kept() {
    let mut world = World::start().await;
    world.seed("pump", "one").await;
    world.somebody.expires("pump", "2020-01-01T00:00:00Z".parse().unwrap()).await;
    let request = AddVaultSecretVersionRequest { keep_dates: true, ..add_version("pump", "two") };
    let refused = told(&world.client.add_vault_secret_version(request).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields.as_slice()),
        (Code::InvalidArgument, &["keep_dates".to_owned()][..])
    );
    assert_eq!(versions(&mut world, "pump").await.len(), 1);
}

#[tokio::test]
async fn a_deleted_secret_comes_back_and_what_refers_to_it_is_synced_again() {
    let mut world = World::start().await.with_synced(&["a"], "one").await;
    world.vault.configure(|settings| settings.transition_milliseconds = 400);
    world.somebody.deletes("v").await;
    // The vault is still deleting it, and then it takes a while to recover it.
    let back = world.client.recover_vault_secret(recover("v")).await.unwrap().into_inner();
    assert_eq!((back.name, back.synced_secrets), (vault_name("v"), vec![name("a")]));
    assert_eq!(world.somebody.reads("v").await, "one");
    world.until("a", |secret| secret.state() == synced_secret::State::Synced).await;
    let actions = world.audit_of("vaultSecrets/v").await;
    assert_eq!(actions[..2], ["RecoverVaultSecret OK", "RecoverVaultSecret ACCEPTED"], "{actions:?}");

    let refused = told(&world.client.recover_vault_secret(recover("v")).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "VAULT_SECRET_NOT_DELETED")
    );
    let nowhere = told(&world.client.recover_vault_secret(recover("nowhere")).await.unwrap_err());
    assert_eq!((nowhere.code, nowhere.reason.as_str()), (Code::NotFound, "VAULT_SECRET_NOT_FOUND"));
}

#[tokio::test]
async fn a_recovery_that_takes_longer_than_the_caller_waits_goes_on() {
    let mut world = World::start().await;
    world.seed("v", "one").await;
    world.somebody.deletes("v").await;
    let dry = RecoverVaultSecretRequest { validate_only: true, ..recover("v") };
    world.client.recover_vault_secret(dry).await.unwrap();
    world.vault.configure(|settings| settings.transition_milliseconds = 4_000);
    let request = RecoverVaultSecretRequest { request_id: Uuid::new_v4().to_string(), ..recover("v") };
    let mut impatient = tonic::Request::new(request.clone());
    impatient.set_timeout(Duration::from_millis(1_500));
    let late = told(&world.client.recover_vault_secret(impatient).await.unwrap_err());
    assert_eq!((late.code, late.reason.as_str()), (Code::DeadlineExceeded, "VAULT_SECRET_BEING_RECOVERED"));
    let again = world.client.recover_vault_secret(request).await.unwrap().into_inner();
    assert_eq!(again.name, vault_name("v"));
}

#[tokio::test]
async fn a_refusal_after_a_lost_answer_does_not_make_a_retry_a_new_call() {
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(3), ..Options::default() }).await;
    world.seed("v", "one").await;
    let [first] = versions(&mut world, "v").await.try_into().unwrap();
    // The first attempt in the vault is carried out, the second one is refused.
    let lost = |operation| FaultRule::new(Fault::Reset).on(operation).after();
    let refused = |operation| FaultRule::new(VaultFault::ForbiddenByRbac).on(operation);
    world.vault.faults().add(lost(Operation::SecretUpdate).times(1));
    world.vault.faults().add(refused(Operation::SecretUpdate));
    let request = UpdateVaultSecretRequest { request_id: Uuid::new_v4().to_string(), ..enabled("v", false) };
    let failed = world.client.update_vault_secret(request.clone()).await.unwrap_err();
    assert_eq!(failed.code(), Code::PermissionDenied);
    world.vault.faults().clear();
    next_second().await;
    world.somebody.sets("v", "two").await;
    let changed = world.client.update_vault_secret(request).await.unwrap().into_inner();
    assert_eq!(changed.name, first.name);
    assert!(got(&mut world, "v").await.enabled, "the new version was not disabled");

    world.somebody.deletes("v").await;
    world.vault.faults().add(lost(Operation::SecretRecover).times(1));
    world.vault.faults().add(refused(Operation::SecretRecover));
    let request = RecoverVaultSecretRequest { request_id: Uuid::new_v4().to_string(), ..recover("v") };
    let failed = world.client.recover_vault_secret(request.clone()).await.unwrap_err();
    assert_eq!(failed.code(), Code::PermissionDenied);
    world.vault.faults().clear();
    world.client.recover_vault_secret(request).await.unwrap();

    // Here the second call is refused, before it knows what became of the first.
    world.vault.faults().add(lost(Operation::SecretSet));
    let request = CreateVaultSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create_vault_secret("fresh", "one")
    };
    let failed = world.client.create_vault_secret(request.clone()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Unavailable);
    world.vault.faults().clear();
    world.vault.faults().add(refused(Operation::SecretListVersions));
    let failed = world.client.create_vault_secret(request.clone()).await.unwrap_err();
    assert_eq!(failed.code(), Code::PermissionDenied);
    world.vault.faults().clear();
    world.client.create_vault_secret(request).await.unwrap();
}

#[tokio::test]
async fn a_retry_does_not_take_back_what_another_call_changed_since() {
    let mut world =
        World::start_with(Options { vault_timeout: Duration::from_secs(3), ..Options::default() }).await;
    world.seed("v", "one").await;
    next_second().await;
    let lost = || FaultRule::new(Fault::Reset).on(Operation::SecretUpdate).after();
    let disable =
        || UpdateVaultSecretRequest { request_id: Uuid::new_v4().to_string(), ..enabled("v", false) };
    world.vault.faults().add(lost());
    let request = disable();
    world.client.update_vault_secret(request.clone()).await.unwrap_err();
    world.vault.faults().clear();
    next_second().await;
    assert!(world.client.update_vault_secret(enabled("v", true)).await.unwrap().into_inner().enabled);
    let refused = world.client.update_vault_secret(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Aborted);
    assert!(got(&mut world, "v").await.enabled, "the other call was answered so");

    // Where it was carried out and nobody changed it, a retry is answered without another write.
    world.vault.faults().add(lost());
    let expires = days(7).map(|time| Timestamp { nanos: 500_000_000, ..time });
    let request = UpdateVaultSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..change(VaultSecret { expire_time: expires, ..named("v") }, &["enabled", "expire_time"])
    };
    world.client.update_vault_secret(request.clone()).await.unwrap_err();
    world.vault.faults().clear();
    let writes = world.vault.requests().of(Operation::SecretUpdate);
    assert!(!world.client.update_vault_secret(request).await.unwrap().into_inner().enabled);
    assert_eq!(world.vault.requests().of(Operation::SecretUpdate), writes);
}
