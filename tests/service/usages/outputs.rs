//! Secrets that another program writes: no synced secret may have their names.

use tonic::Code;

use super::*;
use crate::adoption::make_by_hand;

const LISTENER: &str = "BrokerListener.mqttbroker.iotoperations.azure.com";

/// A listener whose certificate cert-manager writes to a Secret.
fn certificate(secret: &str) -> Value {
    json!({ "ports": [{ "tls": { "mode": "Automatic", "certManagerCertificateSpec": { "secretName": secret } } }] })
}

/// Whether a call is refused because another program writes the Secret.
async fn is_refused(world: &mut World, call: impl AsyncFn(&mut World) -> Result<(), tonic::Status>) -> bool {
    let Err(status) = call(world).await else { return false };
    let refused = told(&status);
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::FailedPrecondition, "SECRET_WRITTEN_BY_ANOTHER")
    );
    assert!(refused.message.contains("BrokerListener default"), "{}", refused.message);
    true
}

#[tokio::test]
async fn the_secret_of_a_certificate_of_cert_manager_can_not_be_created() {
    let mut world = made(&[]).await;
    world.applies("Certificate.cert-manager.io", "web", json!({ "secretName": "web-tls" })).await;
    let begun = Instant::now();
    loop {
        let request = create("web-tls", vec![existing("k", "v")]);
        let request = CreateSyncedSecretRequest { validate_only: true, ..request };
        if let Err(refused) = world.client.create_synced_secret(request).await {
            assert_eq!(told(&refused).reason, "SECRET_WRITTEN_BY_ANOTHER");
            assert!(refused.message().contains("Certificate web (spec.secretName)"), "{refused}");
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the certificate is never seen");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_name_that_cert_manager_writes_can_not_be_created_or_adopted() {
    let mut world = made(&[]).await;
    world.applies(LISTENER, "default", certificate("listener-tls")).await;
    let create = async |world: &mut World| {
        let request = CreateSyncedSecretRequest {
            validate_only: true,
            ..create("listener-tls", vec![existing("k", "v")])
        };
        world.client.create_synced_secret(request).await.map(drop)
    };
    let begun = Instant::now();
    while !is_refused(&mut world, create).await {
        assert!(begun.elapsed() < PATIENCE, "the listener is never seen");
        sleep(Duration::from_millis(10)).await;
    }
    assert!(usages(&mut world, "-").await.is_empty(), "it is no use");

    make_by_hand(&world, "listener-tls", "Opaque", None).await;
    let adopt = async |world: &mut World| {
        let request = AdoptSyncedSecretRequest {
            references: vec![existing("k", "v")],
            ..AdoptSyncedSecretRequest { name: name("listener-tls"), ..Default::default() }
        };
        world.client.adopt_synced_secret(request).await.map(drop)
    };
    assert!(is_refused(&mut world, adopt).await);

    world.withdraws(LISTENER, "default").await;
    world.secrets().delete("listener-tls", &Default::default()).await.unwrap();
    let begun = Instant::now();
    while is_refused(&mut world, create).await {
        assert!(begun.elapsed() < PATIENCE, "the listener is never forgotten");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_listener_that_comes_later_to_a_name_is_told_by_the_synced_secret_until_it_is_gone() {
    let mut world = made(&["listener-tls"]).await;
    world.until("listener-tls", |secret| is_in_use(secret, "NotUsed")).await;
    world.applies(LISTENER, "default", certificate("listener-tls")).await;
    let is_told = |secret: &SyncedSecret| {
        let message = &in_use(secret).unwrap().message;
        message.contains("BrokerListener default (spec.ports[0].tls.certManagerCertificateSpec.secretName)")
            && message.contains("another program writes")
    };
    world.until("listener-tls", is_told).await;
    // It is no use: whoever sees it may delete the synced secret.
    world.withdraws(LISTENER, "default").await;
    world.until("listener-tls", |secret| !is_told(secret)).await;
}
