//! "Create new": one call stores the values in the vault and brings them to the edge.

use secret_service::proto::{
    AddVaultSecretVersionRequest, CreateVaultSecretRequest, GetVaultSecretRequest, SecretReference,
    secret_reference::Encoding, synced_secret::State,
};
use tonic::Code;

use crate::support::{World, requests::*};

#[tokio::test]
async fn one_call_creates_the_vault_secrets_and_the_edge_holds_their_values() {
    let mut world = World::start().await;

    let references =
        vec![created("username", "edp1-username", "alice"), created("password", "edp1-password", "s3cret-1")];
    let secret = world.create("edp1secrets", references).await;

    assert_eq!(secret.state(), State::Synced, "{secret:?}");
    assert_eq!((secret.generation, secret.synced_generation), (1, 1));
    assert!(secret.references.iter().all(|reference| reference.synced_version.len() == 32));
    assert!(secret.references.iter().all(|reference| reference.create.is_none()));
    let edge = world.edge("edp1secrets").await.unwrap();
    assert_eq!((edge["username"].as_str(), edge["password"].as_str()), ("alice", "s3cret-1"));
    assert_eq!(edge.len(), 2);
    let held = world
        .client
        .get_vault_secret(GetVaultSecretRequest { name: vault_name("edp1-username") })
        .await
        .unwrap();
    assert_eq!(held.into_inner().synced_secrets, [name("edp1secrets")]);
}

#[tokio::test]
async fn the_edge_secret_records_its_owner_and_the_source_of_its_keys() {
    needs!(the_direct_engine);
    let mut world = World::start().await;
    let mut request = create("pump", vec![created("k", "pump-k", "v")]);
    let asked = request.synced_secret.as_mut().unwrap();
    asked.labels.insert("line".to_owned(), "7".to_owned());
    asked.description = "pump of line 7".to_owned();

    let uid = world.client.create_synced_secret(request).await.unwrap().into_inner().uid;

    let secret = world.secrets().get("pump").await.unwrap();
    let (labels, notes) = (secret.metadata.labels.unwrap(), secret.metadata.annotations.unwrap());
    assert_eq!(labels["app.kubernetes.io/managed-by"], "secret-service");
    assert_eq!(labels["secret-service.iotoperations/uid"], uid);
    assert_eq!(labels["line"], "7");
    assert_eq!(notes["secret-service.iotoperations/vault"], world.vault.uri().to_string());
    assert!(notes["secret-service.iotoperations/references"].contains("pump-k"));
    let managers = secret.metadata.managed_fields.unwrap();
    assert_eq!(managers.len(), 1, "one write by one manager: {managers:?}");
    assert_eq!(managers[0].manager.as_deref(), Some("secret-service"));
    assert_eq!(secret.type_.as_deref(), Some("Opaque"));
}

#[tokio::test]
async fn a_create_never_overwrites_what_the_vault_holds() {
    let mut world = World::start().await;
    world.seed("taken", "theirs").await;

    let refused = world
        .client
        .create_synced_secret(create("a", vec![created("k", "Taken", "mine")]))
        .await
        .unwrap_err();

    let told = told(&refused);
    assert_eq!(told.code, Code::AlreadyExists, "{told:?}", told = told.message);
    assert!(
        told.fields.contains(&"synced_secret.references[0].vault_secret".to_owned()),
        "{:?}",
        told.fields
    );
    assert!(world.edge("a").await.is_none());
    let listed = world.client.create_synced_secret(create("b", vec![existing("k", "taken")])).await.unwrap();
    assert_eq!(listed.into_inner().state(), State::Synced);
    assert_eq!(world.edge("b").await.unwrap()["k"], "theirs");
}

#[tokio::test]
async fn encodings_decide_which_bytes_the_edge_gets() {
    let mut world = World::start().await;
    let encoded = |key: &str, value: &str, encoding: Encoding| SecretReference {
        encoding: encoding.into(),
        ..created(key, &format!("enc-{key}"), value)
    };
    let references = vec![
        encoded("plain", "aGk=", Encoding::Unspecified),
        encoded("base64", "aGk=", Encoding::Base64),
        encoded("hex", "6869", Encoding::Hex),
    ];
    world.create("enc", references).await;

    let edge = world.edge("enc").await.unwrap();
    assert_eq!((edge["plain"].as_str(), edge["base64"].as_str(), edge["hex"].as_str()), ("aGk=", "hi", "hi"));
}

#[tokio::test]
async fn vault_secrets_can_be_created_and_rotated_without_a_synced_secret() {
    let mut world = World::start().await;
    let request = CreateVaultSecretRequest {
        vault_secret_id: "historian-token".to_owned(),
        secret: Some(new("one")),
        ..Default::default()
    };
    let made = world.client.create_vault_secret(request.clone()).await.unwrap().into_inner();
    assert_eq!(made.name, vault_name("historian-token"));
    assert!(made.enabled && made.synced_secrets.is_empty());

    let again = world.client.create_vault_secret(request).await.unwrap_err();
    assert_eq!(told(&again).code, Code::AlreadyExists);

    let version = world
        .client
        .add_vault_secret_version(add_version("historian-token", "two"))
        .await
        .unwrap()
        .into_inner();
    assert!(version.name.starts_with("vaultSecrets/historian-token/versions/"));
    world.create("h", vec![existing("token", "historian-token")]).await;
    assert_eq!(world.edge("h").await.unwrap()["token"], "two");

    let nowhere = AddVaultSecretVersionRequest { parent: vault_name("nowhere"), ..add_version("x", "y") };
    assert_eq!(world.client.add_vault_secret_version(nowhere).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_soft_deleted_name_is_refused_with_a_remedy() {
    let mut world = World::start().await;
    world.seed("gone", "v").await;
    world.somebody.deletes("gone").await;

    let refused =
        world.client.create_synced_secret(create("a", vec![created("k", "gone", "mine")])).await.unwrap_err();

    let told = told(&refused);
    assert_eq!(told.code, Code::FailedPrecondition);
    assert!(told.message.contains("ecover"), "{}", told.message);
    assert!(world.client.get_synced_secret(get("a")).await.is_err(), "nothing is kept of it");
}

#[tokio::test]
async fn validate_only_checks_everything_and_changes_nothing() {
    let mut world = World::start().await;
    world.seed("taken", "theirs").await;
    let mut request = create("a", vec![created("k", "fresh", "v"), existing("l", "taken")]);
    request.validate_only = true;
    let would_be = world.client.create_synced_secret(request.clone()).await.unwrap().into_inner();
    assert_eq!((would_be.uid.as_str(), would_be.etag.as_str()), ("", ""), "it is not there");

    assert!(world.client.get_synced_secret(get("a")).await.is_err());
    assert!(world.edge("a").await.is_none());
    let fresh = world.client.get_vault_secret(GetVaultSecretRequest { name: vault_name("fresh") }).await;
    assert_eq!(fresh.unwrap_err().code(), Code::NotFound);
    let audit = world
        .client
        .list_audit_events(secret_service::proto::ListAuditEventsRequest::default())
        .await
        .unwrap();
    assert!(audit.into_inner().audit_events.is_empty());

    request.synced_secret.as_mut().unwrap().references[1].version = "0".repeat(32);
    assert_eq!(world.client.create_synced_secret(request).await.unwrap_err().code(), Code::NotFound);
}
