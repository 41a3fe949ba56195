//! Other vaults than Azure's, and gateways before a vault: their errors, recorded, in place of Key Vault's.

use key_vault_double::{FaultRule, OnOperation, Operation, VaultFault};
use secret_service::proto::{
    GetVaultSecretRequest, ListVaultSecretVersionsRequest, ListVaultSecretsRequest, synced_secret::State,
};
use tonic::Code;

use crate::support::{World, requests::*};

/// Lowkey Vault, in Java: the code is the name of an exception's class.
const OF_JAVA: (u16, &str, &str) = (
    404,
    "application/json",
    r#"{"error":{"code":"com.github.nagyesta.lowkeyvault.service.exception.NotFoundException","message":"Entity not found."}}"#,
);
/// The Azure Key Vault Emulator, in .NET: the code is a sentence, and there may be no inner error.
const OF_NET: (u16, &str, &str) = (
    404,
    "application/json; charset=utf-8",
    r#"{"error":{"code":"Failed to perform request into Azure Key Vault Emulator","innererror":null,"message":"Could not find pump in vault."}}"#,
);
/// An error without a code, whose inner error is a text.
const WITHOUT_CODE: (u16, &str, &str) =
    (404, "application/json", r#"{"error":{"innererror":"KeyError: 'pump'","message":"not found"}}"#);
/// A gateway's page.
const PAGE: (u16, &str, &str) = (404, "text/html", "<html><body>404 Not Found</body></html>");
/// A gateway that says nothing.
const EMPTY: (u16, &str, &str) = (404, "text/plain", "");
/// What an API gateway says of a path that it doesn't know.
const OF_A_GATEWAY: (u16, &str, &str) =
    (404, "application/json", r#"{"statusCode":404,"message":"Resource not found"}"#);
/// What a Spring server says of a path that it doesn't know.
const OF_SPRING: (u16, &str, &str) = (
    404,
    "application/json",
    r#"{"timestamp":"2026-11-27","status":404,"error":"Not Found","path":"/secrets"}"#,
);

fn recorded((status, content_type, body): (u16, &str, &str)) -> VaultFault {
    VaultFault::Recorded { status, content_type: content_type.to_owned(), body: body.to_owned() }
}

/// From now on the vault answers so.
fn answers(world: &World, answer: (u16, &str, &str), operations: &[Operation], name: &str) {
    for operation in operations {
        world.vault.faults().add(FaultRule::new(recorded(answer)).on(*operation).named(name));
    }
}

#[tokio::test]
async fn create_new_works_with_a_vault_whose_error_codes_are_not_azures() {
    for (place, answer) in [OF_JAVA, OF_NET, WITHOUT_CODE].into_iter().enumerate() {
        let mut world = World::start().await;
        let pump = format!("pump-{place}");
        answers(&world, answer, &[Operation::SecretGetDeleted], &pump);
        // Until it is stored, the vault has no versions of it.
        let no_versions = FaultRule::new(recorded(answer)).on(Operation::SecretListVersions).named(&pump);
        world.vault.faults().add(no_versions.times(1));
        let made = world.create("a", vec![created("k", &pump, "v")]).await;
        assert_eq!(made.state(), State::Synced, "{made:?}");
        assert_eq!(world.edge("a").await.unwrap()["k"], "v");
    }
}

#[tokio::test]
async fn what_such_a_vault_does_not_have_is_not_found() {
    let mut world = World::start().await;
    for recorded in [OF_JAVA, OF_NET, WITHOUT_CODE] {
        let reads = [Operation::SecretGet, Operation::SecretListVersions, Operation::SecretGetDeleted];
        answers(&world, recorded, &reads, "pump");
        let named = GetVaultSecretRequest { name: vault_name("pump") };
        let got = told(&world.client.get_vault_secret(named).await.unwrap_err());
        assert_eq!((got.code, got.reason.as_str()), (Code::NotFound, "VAULT_SECRET_NOT_FOUND"));
        let parent = ListVaultSecretVersionsRequest { parent: vault_name("pump"), ..Default::default() };
        let listed = told(&world.client.list_vault_secret_versions(parent).await.unwrap_err());
        assert_eq!((listed.code, listed.reason.as_str()), (Code::NotFound, "VAULT_SECRET_NOT_FOUND"));
        let refused = world.client.create_synced_secret(create("a", vec![existing("k", "pump")])).await;
        assert_eq!(told(&refused.unwrap_err()).reason, "VAULT_SECRET_NOT_FOUND");
        world.vault.faults().clear();
    }
}

#[tokio::test]
async fn a_gateways_404_makes_no_secret_vanish_and_none_be_created() {
    let mut world = World::start().await.with_synced(&["a"], "one").await;
    for recorded in [PAGE, EMPTY, OF_A_GATEWAY, OF_SPRING] {
        for name in ["v", "fresh"] {
            let reads = [Operation::SecretGet, Operation::SecretListVersions, Operation::SecretGetDeleted];
            answers(&world, recorded, &reads, name);
        }
        let named = GetVaultSecretRequest { name: vault_name("v") };
        let got = told(&world.client.get_vault_secret(named).await.unwrap_err());
        assert_eq!(got.code, Code::Unavailable, "{recorded:?}: {}", got.message);
        assert!(got.message.contains("vault.uri"), "{}", got.message);
        assert!(!got.message.contains("html"), "{}", got.message);
        let refused = world.client.create_vault_secret(create_vault_secret("fresh", "x")).await;
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable, "{recorded:?}");
        world.vault.faults().clear();
    }
    assert_eq!(world.vault.requests().of(Operation::SecretSet), 0, "nothing was stored");
    assert_eq!(world.edge("a").await.unwrap()["k"], "one");
}

#[tokio::test]
async fn a_list_that_is_not_found_means_that_the_vault_is_not() {
    let mut world = World::start().await;
    for recorded in [OF_JAVA, PAGE] {
        answers(&world, recorded, &[Operation::SecretList], "");
        let refused = world.client.list_vault_secrets(ListVaultSecretsRequest::default()).await;
        let told = told(&refused.unwrap_err());
        assert_eq!(told.code, Code::Unavailable, "{}", told.message);
        assert!(told.message.contains("vault.uri"), "{}", told.message);
        world.vault.faults().clear();
    }
}

#[tokio::test]
async fn a_409_of_another_form_is_explained_by_the_deleted_secrets() {
    let mut world = World::start().await;
    world.seed("gone", "v").await;
    world.somebody.deletes("gone").await;
    // The checks before the write see nothing, as if it were deleted just now.
    let missing = FaultRule::new(recorded(OF_JAVA)).on(Operation::SecretGetDeleted).named("gone");
    world.vault.faults().add(missing.times(1));
    let of_java = (
        409,
        "application/json",
        r#"{"error":{"code":"com.github.nagyesta.lowkeyvault.service.exception.AlreadyExistsException"}}"#,
    );
    answers(&world, of_java, &[Operation::SecretSet], "gone");
    let refused = world.client.create_vault_secret(create_vault_secret("gone", "x")).await.unwrap_err();
    let told = told(&refused);
    assert_eq!(told.reason, "VAULT_SECRET_SOFT_DELETED", "{}", told.message);
}

/// The names of all vault secrets, a few a page, with something done after the first page.
async fn listed(world: &World, meanwhile: impl AsyncFnOnce(&World)) -> Vec<String> {
    let (mut names, mut page_token, mut meanwhile) = (Vec::new(), String::new(), Some(meanwhile));
    let mut client = world.client.clone();
    loop {
        let request = ListVaultSecretsRequest { page_size: 10, page_token, ..Default::default() };
        let page = client.list_vault_secrets(request).await.unwrap().into_inner();
        names.extend(page.vault_secrets.into_iter().map(|secret| secret.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return names;
        }
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile(world).await;
        }
    }
}

async fn with_many() -> (World, Vec<String>) {
    let world = World::start().await;
    let names: Vec<_> = (10..70).map(|number| format!("s-{number}")).collect();
    for name in &names {
        world.seed(name, "v").await;
    }
    (world, names.iter().map(|name| vault_name(name)).collect())
}

#[tokio::test]
async fn a_secret_that_is_added_between_two_pages_repeats_none() {
    let (world, mut expected) = with_many().await;
    let names = listed(&world, async |world| {
        // Before what was shown, and within the page of the vault that is not used up yet.
        world.seed("a", "v").await;
        world.seed("s-205", "v").await;
    })
    .await;
    expected.extend([vault_name("a"), vault_name("s-205")]);
    expected.sort();
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(sorted, expected, "in the order of the answers: {names:?}");
}

#[tokio::test]
async fn a_secret_that_is_deleted_between_two_pages_hides_none() {
    let (world, mut expected) = with_many().await;
    let names = listed(&world, async |world| {
        world.somebody.deletes("s-12").await;
        world.somebody.deletes("s-25").await;
    })
    .await;
    // The first was shown before it was deleted.
    expected.retain(|name| !name.ends_with("s-25"));
    assert_eq!(names, expected);
}
