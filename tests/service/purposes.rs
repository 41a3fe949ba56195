//! What a synced secret can be for, and creations for a purpose.

use secret_service::proto::{
    CreateSyncedSecretRequest, ListSecretPurposesRequest, SecretPurpose, SecretReference,
    synced_secret::State,
};
use tonic::Code;

use crate::support::{World, requests::*};

async fn page(world: &mut World, page_size: i32, page_token: &str) -> (Vec<SecretPurpose>, String) {
    let request = ListSecretPurposesRequest { page_size, page_token: page_token.to_owned() };
    let page = world.client.list_secret_purposes(request).await.unwrap().into_inner();
    (page.purposes, page.next_page_token)
}

fn for_purpose(purpose: &str, references: Vec<SecretReference>) -> CreateSyncedSecretRequest {
    CreateSyncedSecretRequest { purpose: purpose.to_owned(), ..create("a", references) }
}

fn with_type(secret_type: &str, mut request: CreateSyncedSecretRequest) -> CreateSyncedSecretRequest {
    request.synced_secret.as_mut().unwrap().secret_type = secret_type.to_owned();
    request
}

#[tokio::test]
async fn purposes_come_in_pages_that_neither_skip_nor_repeat() {
    let mut world = World::start().await;
    let (all, token) = page(&mut world, 0, "").await;
    assert!(all.len() > 10 && token.is_empty(), "{}", all.len());
    let sasl = all.iter().find(|purpose| purpose.id == "kafka-sasl-credentials").unwrap();
    let keys: Vec<_> = sasl.keys.iter().map(|key| (key.key.as_str(), key.required, key.free_name)).collect();
    assert_eq!(keys, [("username", true, false), ("password", true, false)]);
    assert_eq!(sasl.fields[0].field, "spec.kafkaSettings.authentication.saslSettings.secretRef");
    assert_eq!(sasl.fields[0].kind, "DataflowEndpoint");

    let (mut paged, mut token) = (Vec::new(), String::new());
    loop {
        let (purposes, next) = page(&mut world, 4, &token).await;
        paged.extend(purposes);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(paged, all);
    let forged = ListSecretPurposesRequest { page_token: "forged".to_owned(), ..Default::default() };
    assert_eq!(told(&world.client.list_secret_purposes(forged).await.unwrap_err()).fields, ["page_token"]);
    let negative = ListSecretPurposesRequest { page_size: -1, ..Default::default() };
    assert_eq!(told(&world.client.list_secret_purposes(negative).await.unwrap_err()).fields, ["page_size"]);
}

#[tokio::test]
async fn keys_that_fit_no_use_of_a_purpose_are_refused_with_those_that_are_missing() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let of = |keys: &[&str]| keys.iter().map(|key| existing(key, "v")).collect::<Vec<_>>();
    let (references, key) = ("synced_secret.references", "synced_secret.references[1].key");
    for (purpose, keys, fields) in [
        ("kafka-sasl-credentials", &["username", "user"][..], &[key, references][..]),
        ("kafka-sasl-credentials", &["password"], &[references]),
        ("kafka-sasl-token", &["token", "username"], &[key]),
        ("dataflow-x509", &["client_cert.pem", "client_key.pen"], &[key, references]),
        ("device-credentials", &["username"], &[references]),
        ("nothing", &["token"], &["purpose"]),
    ] {
        for validate_only in [true, false] {
            let request = CreateSyncedSecretRequest { validate_only, ..for_purpose(purpose, of(keys)) };
            let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
            let mut told_fields = refused.fields.clone();
            told_fields.sort();
            let mut wanted: Vec<_> = fields.iter().map(ToString::to_string).collect();
            wanted.sort();
            assert_eq!((refused.code, told_fields), (Code::InvalidArgument, wanted), "{purpose} {keys:?}");
        }
    }
    assert!(world.edge("a").await.is_none());

    let made = for_purpose("device-credentials", of(&["of-line-1", "secret-of-line-1"]));
    let made = world.client.create_synced_secret(made).await.unwrap().into_inner();
    assert_eq!((made.state(), made.secret_type.as_str()), (State::Synced, "Opaque"));
}

#[tokio::test]
async fn a_text_that_is_no_key_is_not_repeated_by_the_check_of_a_purpose() {
    let mut world = World::start().await;
    world.seed("v", "value").await;
    let request =
        for_purpose("kafka-sasl-token", vec![existing("token", "v"), existing("canary pass!", "v")]);
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!(refused.fields, ["synced_secret.references[1].key"], "once");
}

#[tokio::test]
async fn a_purpose_gives_the_type_and_refuses_one_that_does_not_fit() {
    let mut world = World::start().await;
    world.seed("pull", r#"{"auths":{}}"#).await;
    let pull = || for_purpose("registry-pull-secret", vec![existing(".dockerconfigjson", "pull")]);
    let refused = told(&world.client.create_synced_secret(with_type("Opaque", pull())).await.unwrap_err());
    assert_eq!(
        (refused.code, refused.fields),
        (Code::InvalidArgument, vec!["synced_secret.secret_type".to_owned()])
    );
    let made = world.client.create_synced_secret(pull()).await.unwrap().into_inner();
    assert_eq!(made.secret_type, "kubernetes.io/dockerconfigjson");
    let type_at_edge = world.secrets().get("a").await.unwrap().type_;
    assert_eq!(type_at_edge.as_deref(), Some("kubernetes.io/dockerconfigjson"));

    let pair = rcgen::generate_simple_self_signed(["broker".to_owned()]).unwrap();
    world.seed("pair", &format!("{}{}", pair.signing_key.serialize_pem(), pair.cert.pem())).await;
    let tls = || for_purpose("broker-tls", vec![existing("tls.crt", "pair"), existing("tls.key", "pair")]);
    let checked = |secret_type: &str| CreateSyncedSecretRequest {
        synced_secret_id: "b".to_owned(),
        validate_only: true,
        ..with_type(secret_type, tls())
    };
    for (given, wanted) in [("", "kubernetes.io/tls"), ("Opaque", "Opaque")] {
        let would_be = world.client.create_synced_secret(checked(given)).await.unwrap().into_inner();
        assert_eq!(would_be.secret_type, wanted);
    }
}
