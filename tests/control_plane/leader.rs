//! Leader election on the real API server, with the rights of the chart and without the right on the Lease.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use secret_service::proto::{SyncedSecret, secret_service_client::SecretServiceClient, synced_secret::State};
use serde_json::{Value, json};
use tokio::time::Instant;
use tonic::{Code, transport::Channel};

use crate::{
    control_plane,
    rights::singles,
    support::{Site, World, requests::*},
    until,
};

async fn change(client: &SecretServiceClient<Channel>, id: &str) -> Result<(), tonic::Status> {
    client.clone().create_vault_secret(create_vault_secret(id, "value")).await.map(drop)
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rights_of_the_chart_one_process_writes_and_the_other_takes_over() {
    needs!(the_control_plane);
    let mut world = World::start_on(Site::on(control_plane::shared().await).await, Default::default()).await;
    world.seed("v", "value").await;
    let made: SyncedSecret = world.create("a", vec![existing("k", "v")]).await;
    assert_eq!(made.state(), State::Synced);
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), &world.namespace);
    let spec = async || leases.get("secret-service").await.unwrap().spec.unwrap();
    let first = spec().await;
    assert_eq!((first.lease_duration_seconds, first.lease_transitions), (Some(15), Some(1)), "{first:?}");
    let holder = first.holder_identity.unwrap();

    let second = world.beside(&world.directory().join("second.db")).await;
    let refused = told(&change(&second.client, "b").await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "NOT_LEADER"));
    assert!(refused.message.contains(&holder), "{}", refused.message);
    until("it is renewed", async || spec().await.renew_time > first.renew_time).await;

    world.stop_service().await;
    let stopped = Instant::now();
    until("the second acts", async || change(&second.client, "b").await.is_ok()).await;
    assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
    let now = spec().await;
    assert_eq!((now.holder_identity.as_ref() == Some(&holder), now.lease_transitions), (false, Some(2)));
    second.stop().await;
    assert_eq!(spec().await.holder_identity.as_deref(), Some(""), "it is given back");
}

/// The account of the chart without a verb on Leases.
fn without(account: &[Value], verb: &str) -> Vec<Value> {
    let mut account = account.to_vec();
    for object in &mut account {
        let kept = singles(object).into_iter().filter(|single| {
            let is_missing = single.resource == "leases" && single.verb == verb;
            !is_missing
        });
        let kept: Vec<Value> = kept.map(|single| single.rule()).collect();
        if !kept.is_empty() {
            object["rules"] = json!(kept);
        }
    }
    account
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_right_on_the_lease_nothing_is_written_and_errors_name_the_right() {
    needs!(the_control_plane);
    let plane = control_plane::shared().await;
    let account = control_plane::account(&control_plane::manifest("direct"));
    for verb in ["create", "get", "update"] {
        let namespace = format!("l-{}", uuid::Uuid::new_v4());
        let kubeconfig = plane.instance_of(&namespace, without(&account, verb)).await;
        let site = Site::of_account(plane, namespace, kubeconfig).await;
        let world = World::start_on(site, Default::default()).await;
        let missing = format!("cannot {verb} resource \"leases\"");
        let refused = async || told(&change(&world.client, "b").await.unwrap_err());
        until(&missing, async || refused().await.message.contains(&missing)).await;
        let refused = refused().await;
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "EDGE_FORBIDDEN"));
        assert!(refused.message.contains("create, get, update on leases"), "{}", refused.message);
        assert_eq!(world.vault.requests().of(key_vault_double::Operation::SecretSet), 0);
    }
}
