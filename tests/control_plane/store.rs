//! A control plane whose etcd is stopped, and started again; and what the service makes of it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use secret_service::proto::synced_secret::State;
use tonic::Code;

use crate::{
    control_plane::{self, ControlPlane},
    support::{Options, Site, World, requests::*},
    until,
};

#[tokio::test]
async fn an_etcd_outage_blocks_writes_and_loses_nothing() {
    needs!(the_control_plane);
    // One of its own: the others need their etcd.
    let plane = ControlPlane::start().await;
    let kubeconfig = plane.instance("without-etcd").await;
    let secrets: Api<Secret> = Api::namespaced(control_plane::client(&kubeconfig).await, "without-etcd");
    secrets.create(&PostParams::default(), &secret("before")).await.unwrap();

    plane.stop_etcd();
    let admin = plane.admin().await;
    let is_ready = async || {
        let ask = http::Request::get("/readyz").body(Vec::new()).unwrap();
        admin.request_text(ask).await.is_ok()
    };
    until("the API server isn't ready", async || !is_ready().await).await;

    plane.start_etcd();
    plane.until_ready().await;
    until("writes succeed", async || {
        secrets.create(&PostParams::default(), &secret("after")).await.is_ok()
            || secrets.get_opt("after").await.is_ok_and(|found| found.is_some())
    })
    .await;
    assert!(secrets.get_opt("before").await.unwrap().is_some());
}

#[tokio::test]
async fn the_service_degrades_without_etcd_and_recovers_by_itself() {
    needs!(the_control_plane);
    let plane = ControlPlane::start().await;
    let options = Options { edge_timeout: Duration::from_secs(2), ..Options::default() };
    let mut world = World::start_on(Site::on(&plane).await, options).await;
    world.seed("pump-user", "operator").await;
    let made = create("edp1", vec![existing("username", "pump-user")]);
    world.client.create_synced_secret(made).await.unwrap();

    plane.stop_etcd();
    world.client.add_vault_secret_version(add_version("pump-user", "new")).await.unwrap();
    let degraded = world.until_state("edp1", State::Degraded).await;
    assert_eq!(synced_reason(&degraded), "EdgeUnreachable");
    let another = create("edp2", vec![existing("username", "pump-user")]);
    let refused = told(&world.client.create_synced_secret(another).await.unwrap_err());
    assert_eq!(refused.code, Code::Unavailable, "{}", refused.message);
    assert!(refused.details.retry_info().is_some());

    plane.start_etcd();
    plane.until_ready().await;
    until("the edge holds the new value", async || {
        world.edge("edp1").await.is_some_and(|edge| edge["username"] == "new")
    })
    .await;
    world.until_state("edp1", State::Synced).await;
}

fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Secret::default()
    }
}
