//! `make kube`: a real Kubernetes control plane in the foreground, until Ctrl-C.

#[path = "../tests/support/control_plane/mod.rs"]
mod control_plane;

use std::time::Instant;

use control_plane::ControlPlane;
use tokio::signal::unix::{SignalKind, signal};

/// The namespace that the README speaks of.
const NAMESPACE: &str = "azure-iot-operations";

#[tokio::main]
async fn main() {
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).unwrap(), signal(SignalKind::terminate()).unwrap());
    let plane = tokio::select! {
        plane = start() => plane,
        _ = interrupt.recv() => return,
        _ = terminate.recv() => return,
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    drop(plane);
    println!("\nstopped, and its data removed");
}

async fn start() -> ControlPlane {
    let begun = Instant::now();
    let plane = ControlPlane::start().await;
    let instance = plane.instance(NAMESPACE).await;
    println!(
        "A Kubernetes control plane (RBAC, no nodes) is ready at {url} after {seconds:.1} s.

  as its administrator         export KUBECONFIG={admin}
  as the service's account     export KUBECONFIG={instance}
                               (namespace {NAMESPACE}; what it may do: deploy/manifests)
  for `secret-service serve`   kubernetes.kubeconfig = \"{instance}\"
                               kubernetes.namespace = \"{NAMESPACE}\"
  its certificate authority    {ca}
  its logs and its data        {directory}

  kubectl get secrets -n {NAMESPACE}

Ctrl-C stops it and removes its data.",
        url = plane.url(),
        seconds = begun.elapsed().as_secs_f32(),
        admin = plane.admin_kubeconfig().display(),
        instance = instance.display(),
        ca = plane.ca().display(),
        directory = plane.directory().display(),
    );
    plane
}
