//! A vault that is down, slow, throttling, forbidding or talking nonsense.

use std::time::{Duration, Instant};

use key_vault_double::{AnyFault, Fault, FaultRule, OnOperation, Operation, VaultFault};
use secret_service::{
    model::SyncEngine,
    proto::{
        CreateSyncedSecretRequest, CreateVaultSecretRequest, GetVaultRequest, ListSyncedSecretsRequest,
        ListVaultSecretsRequest, Vault, condition::Status, synced_secret::State,
    },
};
use secret_store_extension_double::{self as extension, Extension};
use tonic::Code;
use uuid::Uuid;

use crate::support::{Options, World, engine, requests::*};

fn impatient() -> Options {
    Options { vault_timeout: Duration::from_millis(700), ..Options::default() }
}

async fn vault(world: &mut World) -> Vault {
    let request = GetVaultRequest { name: "vault".to_owned() };
    world.client.get_vault(request).await.unwrap().into_inner()
}

fn create_vault_secret(id: &str, value: &str) -> CreateVaultSecretRequest {
    CreateVaultSecretRequest {
        vault_secret_id: id.to_owned(),
        secret: Some(new(value)),
        ..CreateVaultSecretRequest::default()
    }
}

fn condition<'a>(vault: &'a Vault, kind: &str) -> (Status, &'a str, &'a str) {
    let condition = condition_of(&vault.conditions, kind).unwrap();
    (condition.status(), &condition.reason, &condition.message)
}

#[tokio::test]
async fn a_fresh_check_reports_a_healthy_vault_and_changes_nothing() {
    // Who never reads a value does not try whether it may.
    let mut world = World::start_with(Options { engine: SyncEngine::Direct, ..Options::default() }).await;
    let told = vault(&mut world).await;
    for kind in ["Reachable", "CanList", "CanGet", "SecureSettings"] {
        assert_eq!(condition(&told, kind).0, Status::True, "{kind}: {told:#?}");
    }
    assert_eq!(told.uri, world.vault.uri().to_string());
    let listed =
        world.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap().into_inner();
    assert!(listed.vault_secrets.is_empty());
}

#[tokio::test]
async fn a_vault_check_never_writes_and_takes_can_create_from_the_last_creation() {
    let (mut world, fails) = (World::start().await, Fault::status(503, "ServiceUnavailable"));
    let told = vault(&mut world).await;
    let (status, reason, message) = condition(&told, "CanCreate");
    assert_eq!((status, reason), (Status::Unknown, "NotChecked"), "{message}");
    assert!(message.contains("secret-service check --probe-writes"), "{message}");

    world.client.create_vault_secret(create_vault_secret("a", "1")).await.unwrap();
    let told = vault(&mut world).await;
    let (status, reason, message) = condition(&told, "CanCreate");
    assert_eq!((status, reason), (Status::True, "Allowed"), "{message}");

    world.vault.faults().add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::SecretSet));
    world.client.create_vault_secret(create_vault_secret("b", "1")).await.unwrap_err();
    let told = vault(&mut world).await;
    let (status, reason, message) = condition(&told, "CanCreate");
    assert_eq!((status, reason), (Status::False, "VaultForbidden"), "{message}");
    assert!(message.contains("Key Vault Secrets Officer"), "{message}");

    // What does not come as far as the vault's decision says nothing of it.
    world.vault.faults().clear();
    world.vault.faults().add(FaultRule::new(fails).on(Operation::SecretSet));
    world.client.create_vault_secret(create_vault_secret("c", "1")).await.unwrap_err();
    assert_eq!(condition(&vault(&mut world).await, "CanCreate").1, "VaultForbidden");

    let requests = world.vault.requests();
    assert_eq!(
        requests.of(Operation::SecretSet),
        3,
        "one for each creation, and none for a look: {requests:?}"
    );
    let writes =
        [Operation::SecretUpdate, Operation::SecretDelete, Operation::SecretPurge, Operation::SecretRestore];
    assert_eq!(writes.map(|write| requests.of(write)), [0; 4]);
}

#[tokio::test]
async fn each_vault_error_has_its_code_reason_and_remedy() {
    let mut world = World::start_with(impatient()).await;
    world.seed("v", "x").await;
    // What the service itself asks the vault about a reference.
    let look = match engine() {
        SyncEngine::Direct => Operation::SecretGet,
        SyncEngine::SecretStore => Operation::SecretListVersions,
    };
    let cases: [(AnyFault<VaultFault>, _, _); 10] = [
        (VaultFault::ForbiddenByRbac.into(), Code::PermissionDenied, "role"),
        (VaultFault::ForbiddenByFirewall.into(), Code::PermissionDenied, "firewall"),
        (Fault::Hang.into(), Code::Unavailable, "Retry"),
        (Fault::MalformedJson.into(), Code::Unavailable, "Key Vault"),
        (Fault::HtmlPage.into(), Code::Unavailable, "Key Vault"),
        (Fault::TruncatedBody.into(), Code::Unavailable, "Retry"),
        (Fault::ResetMidBody.into(), Code::Unavailable, "Retry"),
        (Fault::status(500, "InternalServerError").into(), Code::Unavailable, "Retry"),
        (Fault::status(503, "ServiceUnavailable").into(), Code::Unavailable, "Retry"),
        (Fault::status(429, "Throttled").into(), Code::ResourceExhausted, "Retry"),
    ];
    for (fault, code, remedy) in cases {
        world.vault.faults().add(FaultRule::new(fault.clone()).on(look));
        let request = create("a", vec![existing("k", "v")]);
        let told = told(&world.client.create_synced_secret(request).await.unwrap_err());
        assert_eq!(told.code, code, "{fault:?}: {}", told.message);
        assert!(
            told.message.contains(remedy) || told.message.contains("Check"),
            "{fault:?}: {}",
            told.message
        );
        let retry = told.details.retry_info().is_some();
        assert_eq!(retry, matches!(code, Code::Unavailable | Code::ResourceExhausted), "{fault:?}");
        assert!(
            world.client.get_synced_secret(get("a")).await.is_err(),
            "nothing is recorded of a refused call"
        );
        world.vault.faults().clear();
        // A 429 slows the whole client down; here nobody wants to wait for that.
        world.restart().await;
    }
}

#[tokio::test]
async fn a_retry_after_is_passed_on_and_respected_by_the_whole_client() {
    let mut world = World::start().await;
    world.seed("v", "x").await;
    let throttled = Fault::retry_after(429, "Throttled", Duration::from_secs(3));
    world.vault.faults().add(FaultRule::new(throttled).times(1));
    let told =
        told(&world.client.create_synced_secret(create("a", vec![existing("k", "v")])).await.unwrap_err());
    assert_eq!(told.code, Code::ResourceExhausted);
    let wait = told.details.retry_info().unwrap().retry_delay.unwrap();
    assert!(wait > Duration::from_millis(500) && wait <= Duration::from_secs(3), "{wait:?}");

    let before = world.vault.requests().vault();
    let begun = Instant::now();
    world.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.ok();
    assert!(world.vault.requests().vault() == before || begun.elapsed() > Duration::from_secs(2));
}

#[tokio::test]
async fn reads_lists_and_deletes_continue_while_the_vault_is_down() {
    let mut world = World::start_with(impatient()).await.with_synced(&["a", "b"], "x").await;
    world.vault.faults().add(FaultRule::new(Fault::Hang));

    let begun = Instant::now();
    world.get("a").await;
    world.client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "a hung vault slows no read");
    world.client.delete_synced_secret(delete("b")).await.unwrap();
    assert!(world.edge("b").await.is_none());

    let told = vault(&mut world).await;
    assert_eq!(condition(&told, "Reachable").0, Status::False);
    let told = world.client.sync_synced_secret(sync("a")).await.unwrap().into_inner();
    assert_eq!((told.state(), synced_reason(&told)), (State::Degraded, "VaultUnreachable"));
    assert_eq!(world.edge("a").await.unwrap()["k"], "x");

    world.vault.faults().clear();
    world.until_state("a", State::Synced).await;
}

#[tokio::test]
async fn a_change_accepted_before_a_vault_outage_is_synced_after_it() {
    let mut world = World::start_with(impatient()).await.with_synced(&["a"], "x").await;
    let made = world.get("a").await;
    world.seed("w", "y").await;
    world.vault.faults().add(FaultRule::new(Fault::Hang).on(Operation::SecretGet).times(2));
    let wanted = secret_service::proto::SyncedSecret { description: "still taken".to_owned(), ..made };
    let changed =
        world.client.update_synced_secret(update(wanted, &["description"])).await.unwrap().into_inner();
    assert_eq!(changed.generation, 2);
    let last = world.until_state("a", State::Synced).await;
    assert_eq!(last.synced_generation, 2);
}

#[tokio::test]
async fn a_retry_finishes_a_create_with_a_lost_response_and_stores_once() {
    let mut world = World::start_with(impatient()).await;
    world
        .vault
        .faults()
        .add(FaultRule::new(Fault::Hang).on(Operation::SecretSet).named("fresh").times(1).after());
    let request = CreateSyncedSecretRequest {
        request_id: Uuid::new_v4().to_string(),
        ..create("a", vec![created("k", "fresh", "the value")])
    };

    let lost = world.client.create_synced_secret(request.clone()).await.unwrap_err();
    assert_eq!(lost.code(), Code::Unavailable);
    let again = world.client.create_synced_secret(request).await.unwrap().into_inner();

    assert_eq!(again.state(), State::Synced);
    assert_eq!(world.edge("a").await.unwrap()["k"], "the value");
    assert_eq!(world.vault.requests().of(Operation::SecretSet), 1);
}

#[tokio::test]
async fn a_concurrent_creator_of_the_same_name_keeps_its_value() {
    let world = World::start().await;
    let slow = Fault::latency(Duration::from_millis(1_500));
    world.vault.faults().add(FaultRule::new(slow).on(Operation::SecretSet).named("race").times(1));
    let call = {
        let mut client = world.client.clone();
        tokio::spawn(async move {
            client.create_synced_secret(create("a", vec![created("k", "race", "ours")])).await
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.somebody.sets("race", "theirs").await;

    let told = told(&call.await.unwrap().unwrap_err());

    assert_eq!(told.code, Code::AlreadyExists, "{}", told.message);
    assert_eq!(world.somebody.reads("race").await, "theirs");
}

#[tokio::test]
async fn a_list_that_loops_or_leaves_the_vault_is_refused() {
    let mut world = World::start_with(impatient()).await;
    for number in 0..30 {
        world.seed(&format!("v{number}"), "x").await;
    }
    let elsewhere = VaultFault::ForeignNextLink { authority: "127.0.0.1:9".to_owned() };
    world.vault.faults().add(FaultRule::new(elsewhere).on(Operation::SecretList));
    let refused = world.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);

    world.vault.faults().clear();
    world.vault.faults().add(FaultRule::new(VaultFault::PageLoop).on(Operation::SecretList));
    let search = ListVaultSecretsRequest { name_contains: "nowhere".to_owned(), ..Default::default() };
    let begun = Instant::now();
    assert_eq!(world.client.list_vault_secrets(search).await.unwrap_err().code(), Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn callers_do_not_notice_the_renewal_of_an_expired_token() {
    let mut world = World::start().await;
    world.seed("v", "x").await;
    world.client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap();
    world.vault.faults().add(FaultRule::new(VaultFault::ExpiredToken).times(1));
    let secret = world.create("a", vec![existing("k", "v")]).await;
    assert_eq!(secret.state(), State::Synced);
}

#[tokio::test]
async fn a_fix_in_the_vault_is_noticed_before_the_next_rotation_check() {
    let mut world = World::start().await;
    let mut extension = None;
    if engine() == SyncEngine::SecretStore {
        // What this one fails it does not try again by itself within the test.
        world.stop_extension().await;
        let hour = Duration::from_secs(3_600);
        let back_off = extension::BackOff { base: hour, cap: hour };
        let options = extension::Options { back_off, ..world.extension_options() };
        extension = Some(Extension::start(options).await.unwrap());
    }
    let refused = [("role", VaultFault::ForbiddenByRbac), ("firewall", VaultFault::ForbiddenByFirewall)];
    for id in ["role", "firewall", "disabled"] {
        world.seed(id, "value").await;
        let request = create(id, vec![existing("k", id)]);
        assert_eq!(
            world.client.create_synced_secret(request).await.unwrap().get_ref().state(),
            State::Synced
        );
    }
    for (id, refusal) in refused {
        world.vault.faults().add(FaultRule::new(refusal).on(Operation::SecretGet).named(id));
    }
    world.somebody.enables("disabled", false).await;
    for (id, reason) in
        [("role", "VaultForbidden"), ("firewall", "VaultFirewall"), ("disabled", "VaultSecretDisabled")]
    {
        world.client.sync_synced_secret(sync(id)).await.unwrap();
        let told = world.until_state(id, State::Degraded).await;
        assert_eq!(synced_reason(&told), reason);
        let message = &told.conditions[0].message;
        assert_eq!(message.contains("takes a few minutes"), id == "role", "{message}");
    }
    // It has been tried again, in vain.
    tokio::time::sleep(Duration::from_secs(5)).await;

    world.vault.faults().clear();
    world.somebody.enables("disabled", true).await;
    for id in ["role", "firewall", "disabled"] {
        world.until_state(id, State::Synced).await;
    }
    drop(extension);
}
