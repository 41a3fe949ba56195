//! A control plane whose etcd is stopped, and started again.

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use crate::{
    control_plane::{self, ControlPlane},
    until,
};

#[tokio::test]
async fn without_etcd_nothing_is_written_and_with_it_again_nothing_is_lost() {
    if !control_plane::is_asked_for("a stopped etcd") {
        return;
    }
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

fn secret(name: &str) -> Secret {
    Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Secret::default()
    }
}
