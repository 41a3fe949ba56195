//! What bad requests get.

use http::Uri;
use tonic::{Code, codegen::Bytes};
use tonic_types::StatusExt;

use super::*;
use crate::{
    model::Outcome,
    proto::{self, *},
    secrets::{AuditFilter, Denial},
};

#[tokio::test]
async fn not_found_errors_name_the_resource_and_the_remedy() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let request = GetSyncedSecretRequest { name: "syncedSecrets/nobody".into(), view: 0 };
    let refused = client.get_synced_secret(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::NotFound, "SYNCED_SECRET_NOT_FOUND"));
    let resource = refused.get_details_resource_info().unwrap();
    assert_eq!(resource.resource_name, "syncedSecrets/nobody");
    assert_eq!(refused.get_details_error_info().unwrap().metadata["resource"], "syncedSecrets/nobody");
    assert_eq!(
        refused.message(),
        "There is no synced secret \"nobody\". Find existing ones with ListSyncedSecrets, or create it."
    );
}

#[tokio::test]
async fn all_violations_are_reported_at_once_and_nothing_is_recorded() {
    let running = serve(|_| ()).await;
    let mut client = running.client().await;
    let create = NewVaultSecret { value: "canary-7f3a".repeat(3_000), ..Default::default() };
    let references = vec![
        SecretReference { key: "a b".into(), vault_secret: "edp1-user".into(), ..Default::default() },
        SecretReference {
            key: "k".into(),
            vault_secret: "vaultSecrets/x".into(),
            version: "0".repeat(32),
            create: Some(create),
            ..Default::default()
        },
    ];
    let request = CreateSyncedSecretRequest {
        synced_secret_id: "Edp1".into(),
        synced_secret: Some(proto::SyncedSecret { references, ..Default::default() }),
        request_id: "seven".into(),
        ..Default::default()
    };
    let refused = client.create_synced_secret(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "INVALID_FIELD"));
    let mut fields = violated_fields(&refused);
    fields.sort();
    assert_eq!(
        fields,
        [
            "request_id",
            "synced_secret.references[0].key",
            "synced_secret.references[0].vault_secret",
            "synced_secret.references[1].create.value",
            "synced_secret.references[1].version",
            "synced_secret_id",
        ]
    );
    assert!(!format!("{refused:?}").contains("canary"));
    assert!(running.house.store.view().is_empty());
    assert!(running.house.store.audit_events(&Default::default(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_stale_etag_is_aborted() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    let request = DeleteSyncedSecretRequest {
        name: "syncedSecrets/a".into(),
        etag: "\"old\"".into(),
        ..Default::default()
    };
    let refused = running.client().await.delete_synced_secret(request).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Aborted, "CHANGED_MEANWHILE"));
}

#[tokio::test]
async fn a_request_id_repeats_its_request_and_is_refused_for_another() {
    let running = serve(|_| ()).await;
    running.house.insert(secret("a")).await;
    running.house.insert(secret("b")).await;
    let mut client = running.client().await;
    let request_id = Uuid::new_v4().to_string();
    let mut delete = async |name: &str, request_id: &str| {
        let request = DeleteSyncedSecretRequest {
            name: name.into(),
            request_id: request_id.into(),
            ..Default::default()
        };
        client.delete_synced_secret(request).await.map(|answer| answer.into_inner().generation)
    };
    assert_eq!(delete("syncedSecrets/a", &request_id).await.unwrap(), 2);
    assert_eq!(delete("syncedSecrets/a", &request_id.to_uppercase()).await.unwrap(), 2);
    let refused = delete("syncedSecrets/b", &request_id).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
    assert_eq!(violated_fields(&refused), ["request_id"]);
}

#[tokio::test]
async fn too_large_malformed_and_unknown_calls_get_details_too() {
    let running = serve(|options| options.limits.message_bytes = 1_000).await;
    let channel = running.channel().await;
    let name = "x".repeat(2_000);
    let request = GetSyncedSecretRequest { name, view: 0 };
    let large = SecretServiceClient::new(channel.clone()).get_synced_secret(request).await.unwrap_err();
    assert_eq!((large.code(), reason(&large).as_str()), (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"));

    let malformed = raw(channel.clone(), "GetSyncedSecret", b"\x0a\xff\xff").await;
    assert_eq!((malformed.code(), reason(&malformed).as_str()), (Code::InvalidArgument, "MALFORMED_MESSAGE"));
    let unknown = raw(channel, "DropEverything", b"").await;
    assert_eq!((unknown.code(), reason(&unknown).as_str()), (Code::Unimplemented, "NO_SUCH_METHOD"));
}

#[tokio::test]
async fn requests_other_than_grpc_are_refused() {
    let running = serve(|_| ()).await;
    let channel = running.channel().await;
    let uri: Uri = format!("http://{}/iotoperations.secrets.v1.SecretService/GetVault", running.address)
        .parse()
        .unwrap();
    let request = http::Request::post(uri).header("content-type", "text/plain");
    let request = request.body(tonic::body::Body::empty()).unwrap();
    let response = tower::ServiceExt::oneshot(channel, request).await.unwrap();
    assert_eq!(response.status(), 415);
}

#[tokio::test]
async fn a_denial_is_recorded_even_if_the_caller_hangs_up() {
    let house = house().await;
    let denial = Denial {
        actor: "anonymous@192.0.2.1".to_owned(),
        action: crate::model::AuditAction::GetSyncedSecret,
        resource: String::new(),
        outcome: Outcome("UNAUTHENTICATED".to_owned()),
        detail: "no credentials".to_owned(),
    };
    // Polled once, then dropped.
    let mut recording = Box::pin(house.secrets.record_denial(denial));
    assert!(futures::poll!(&mut recording).is_pending());
    drop(recording);
    house.secrets.drain().await;
    let events = house.store.audit_events(&AuditFilter::default(), 10).await.unwrap();
    let actors: Vec<_> = events.iter().map(|event| event.actor.as_str()).collect();
    assert_eq!(actors, ["anonymous@192.0.2.1"]);
}

/// The status of a call with exactly these bytes as its message.
async fn raw(channel: Channel, method: &str, message: &'static [u8]) -> Status {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let body = http_body_util::Full::new(Bytes::from(framed));
    let path = format!("http://localhost/iotoperations.secrets.v1.SecretService/{method}");
    let request =
        http::Request::post(path).header("content-type", "application/grpc").header("te", "trailers");
    let request = request.body(tonic::body::Body::new(body)).unwrap();
    let response = tower::ServiceExt::oneshot(channel, request).await.unwrap();
    Status::from_header_map(response.headers()).unwrap()
}
