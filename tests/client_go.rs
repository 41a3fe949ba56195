//! Kubernetes' own Go client against the Kubernetes double. The same tests run on the real control plane, in
//! `tests/control_plane/client_go.rs`: what both pass is true of Kubernetes, and of the double.

#[path = "support/client_go.rs"]
mod client_go;
#[path = "support/script.rs"]
mod script;

use doubles_common::tls::Authority;
use kubernetes_double::{Cluster, Options};

#[tokio::test(flavor = "multi_thread")]
async fn kubernetes_go_client_works_with_the_double() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::load_or_create(directory.path()).unwrap();
    let options = Options {
        directory: directory.path().to_owned(),
        port: 0,
        namespace: "azure-iot-operations".to_owned(),
    };
    let cluster = Cluster::start(options, &authority).await.unwrap();
    let kubeconfig = cluster.kubeconfig().to_owned();
    tokio::task::spawn_blocking(move || client_go::passes_on("the double", &kubeconfig)).await.unwrap();
    cluster.stop().await;
}
