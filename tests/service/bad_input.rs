//! What bad input gets: a canonical code, every field that is wrong at once, a remedy; nothing changed.

use prost_types::Duration;
use secret_service::proto::{
    CreateSyncedSecretRequest, CreateVaultSecretRequest, GetSyncedSecretRequest, ListAuditEventsRequest,
    ListSyncedSecretsRequest, ListVaultSecretsRequest, NewVaultSecret, SecretReference, SyncedSecret,
};
use tonic::Code;

use crate::support::{World, requests::*};

async fn refused(world: &mut World, request: CreateSyncedSecretRequest) -> Told {
    let told = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert!(!told.reason.is_empty(), "{}", told.message);
    told
}

#[tokio::test]
async fn every_mistake_of_a_create_is_reported_at_once_and_nothing_is_changed() {
    let mut world = World::start().await;
    let request = CreateSyncedSecretRequest {
        synced_secret_id: "Not_A_Name".to_owned(),
        synced_secret: Some(SyncedSecret {
            secret_type: "kubernetes.io/service-account-token".to_owned(),
            references: vec![
                SecretReference {
                    key: "a/b".to_owned(),
                    vault_secret: "bare".to_owned(),
                    ..Default::default()
                },
                SecretReference { version: "1".to_owned(), ..existing("k", "x") },
                SecretReference { version: "0".repeat(32), ..created("k", "y", "v") },
                created("empty", "z", ""),
                SecretReference { encoding: 77, ..existing("e", "x") },
            ],
            labels: [
                ("app.kubernetes.io/managed-by".to_owned(), "me".to_owned()),
                ("bad label".to_owned(), "x".to_owned()),
            ]
            .into(),
            ..Default::default()
        }),
        request_id: "not-a-uuid".to_owned(),
        wait: Some(Duration { seconds: -1, nanos: 0 }),
        ..Default::default()
    };

    let told = refused(&mut world, request).await;

    assert_eq!(told.code, Code::InvalidArgument);
    for field in [
        "synced_secret_id",
        "synced_secret.secret_type",
        "synced_secret.references[0].key",
        "synced_secret.references[0].vault_secret",
        "synced_secret.references[1].version",
        "synced_secret.references[2].version",
        "synced_secret.references[2].key",
        "synced_secret.references[3].create.value",
        "synced_secret.references[4].encoding",
        "request_id",
        "wait",
    ] {
        assert!(told.fields.iter().any(|named| named == field), "{field} is missing in {:#?}", told.fields);
    }
    assert!(told.fields.iter().any(|field| field.starts_with("synced_secret.labels")), "{:?}", told.fields);
    let bad = told.details.bad_request().unwrap();
    let shown = bad
        .field_violations
        .iter()
        .find(|one| one.field == "synced_secret.references[0].vault_secret")
        .unwrap();
    assert!(shown.description.contains("vaultSecrets/bare"), "{}", shown.description);
}

#[tokio::test]
async fn a_value_of_25600_bytes_is_accepted_and_one_byte_more_is_not() {
    let mut world = World::start().await;
    let fits = "x".repeat(25_600);
    world.create("fits", vec![created("k", "fits", &fits)]).await;
    assert_eq!(world.edge("fits").await.unwrap()["k"], fits);

    let told = refused(&mut world, create("more", vec![created("k", "more", &format!("{fits}x"))])).await;
    assert_eq!(told.code, Code::InvalidArgument);
    assert_eq!(told.fields, ["synced_secret.references[0].create.value"]);
    assert!(!told.message.contains("xxxx"));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_before_it_is_read() {
    let mut world = World::start().await;
    let request = create("big", vec![created("k", "big", &"x".repeat(5 << 20))]);
    let code = world.client.create_synced_secret(request).await.unwrap_err().code();
    assert!(matches!(code, Code::OutOfRange | Code::ResourceExhausted), "{code:?}");
}

#[tokio::test]
async fn no_references_and_too_many_are_refused() {
    let mut world = World::start().await;
    let told = refused(&mut world, create("none", vec![])).await;
    assert_eq!(
        (told.code, told.fields),
        (Code::InvalidArgument, vec!["synced_secret.references".to_owned()])
    );
    let many = (0..101).map(|number| existing(&format!("k{number}"), "v")).collect();
    let told = refused(&mut world, create("many", many)).await;
    assert_eq!(
        (told.code, told.fields),
        (Code::InvalidArgument, vec!["synced_secret.references".to_owned()])
    );
}

#[tokio::test]
async fn an_error_for_a_bare_id_suggests_the_full_name() {
    let mut world = World::start().await;
    let request = GetSyncedSecretRequest { name: "edp1secrets".to_owned(), ..Default::default() };
    let told = told(&world.client.get_synced_secret(request).await.unwrap_err());
    assert_eq!(told.code, Code::InvalidArgument);
    let shown = &told.details.bad_request().unwrap().field_violations[0].description;
    assert!(shown.contains("syncedSecrets/edp1secrets"), "{shown}");
}

#[tokio::test]
async fn page_sizes_and_tokens_follow_the_rules() {
    let mut world = World::start().await;
    for number in 0..30 {
        world.seed(&format!("v{number}"), "x").await;
    }
    let negative = ListSyncedSecretsRequest { page_size: -1, ..Default::default() };
    assert_eq!(told(&world.client.list_synced_secrets(negative).await.unwrap_err()).fields, ["page_size"]);

    let first = ListVaultSecretsRequest { page_size: 5, ..Default::default() };
    let token = world.client.list_vault_secrets(first.clone()).await.unwrap().into_inner().next_page_token;
    let flipped: String = token.chars().rev().collect();
    let forged = ListVaultSecretsRequest { page_token: flipped, ..first.clone() };
    let forged = told(&world.client.list_vault_secrets(forged).await.unwrap_err());
    assert_eq!((forged.code, forged.fields), (Code::InvalidArgument, vec!["page_token".to_owned()]));

    let other_filter =
        ListVaultSecretsRequest { page_token: token.clone(), name_contains: "v".to_owned(), ..first };
    assert_eq!(
        told(&world.client.list_vault_secrets(other_filter).await.unwrap_err()).fields,
        ["page_token"]
    );
    let other_method = ListAuditEventsRequest { page_token: token, ..Default::default() };
    assert_eq!(told(&world.client.list_audit_events(other_method).await.unwrap_err()).fields, ["page_token"]);
}

#[tokio::test]
async fn an_unknown_path_in_a_mask_is_refused() {
    let mut world = World::start().await.with_synced(&["a"], "x").await;
    let secret = world.get("a").await;
    let told = told(
        &world.client.update_synced_secret(update(secret, &["secret_type", "labels"])).await.unwrap_err(),
    );
    assert_eq!(told.code, Code::InvalidArgument);
    assert!(told.fields[0].starts_with("update_mask"), "{:?}", told.fields);
}

#[tokio::test]
async fn a_value_that_is_not_in_its_encoding_is_refused_and_not_shown() {
    needs!(the_direct_engine);
    let mut world = World::start().await;
    world.seed("v", "hunter2!").await;
    let reference = SecretReference { encoding: 1, ..existing("k", "v") };
    let told = refused(&mut world, create("a", vec![reference])).await;
    assert_eq!(
        (told.code, told.fields),
        (Code::FailedPrecondition, vec!["synced_secret.references[0].encoding".to_owned()])
    );
    assert!(!told.message.contains("hunter2"));
}

#[tokio::test]
async fn vault_secret_names_and_tags_follow_the_rules_of_the_vault() {
    let mut world = World::start().await;
    let request = CreateVaultSecretRequest {
        vault_secret_id: "../../etc".to_owned(),
        secret: Some(NewVaultSecret {
            tags: (0..16).map(|number| (format!("t{number}"), String::new())).collect(),
            content_type: "x".repeat(256),
            ..new("v")
        }),
        ..Default::default()
    };
    let told = told(&world.client.create_vault_secret(request).await.unwrap_err());
    assert_eq!(told.code, Code::InvalidArgument);
    for field in ["vault_secret_id", "secret.tags", "secret.content_type"] {
        assert!(told.fields.iter().any(|named| named.starts_with(field)), "{field}: {:?}", told.fields);
    }
}

#[tokio::test]
async fn a_taken_name_at_the_edge_is_refused_with_the_remedy() {
    let mut world = World::start().await;
    world.seed("v", "x").await;
    let theirs = k8s_openapi::api::core::v1::Secret {
        metadata: kube::api::ObjectMeta { name: Some("theirs".to_owned()), ..Default::default() },
        string_data: Some([("k".to_owned(), "untouched".to_owned())].into()),
        ..Default::default()
    };
    world.secrets().create(&Default::default(), &theirs).await.unwrap();

    let told = refused(&mut world, create("theirs", vec![existing("k", "v")])).await;

    assert_eq!(told.code, Code::AlreadyExists);
    assert!(told.message.contains("Adopt"), "{}", told.message);
    assert_eq!(world.edge("theirs").await.unwrap()["k"], "untouched");
    world.create("ours", vec![existing("k", "v")]).await;
    let told = refused(&mut world, create("ours", vec![existing("k", "v")])).await;
    assert_eq!(told.code, Code::AlreadyExists);
}
