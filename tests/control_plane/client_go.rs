//! Kubernetes' own Go client on the real control plane: that its tests, which `tests/client_go.rs` holds the double to, are true.

use crate::{control_plane::ControlPlane, support::client_go};

#[tokio::test(flavor = "multi_thread")]
async fn the_go_client_test_of_the_double_passes_against_kubernetes() {
    needs!(the_control_plane);
    // One of its own: it installs the definitions of the secret store, which others expect to be absent.
    let plane = ControlPlane::start().await;
    let kubeconfig = plane.admin_kubeconfig().to_owned();
    tokio::task::spawn_blocking(move || client_go::passes_on("a real control plane", &kubeconfig))
        .await
        .unwrap();
}
