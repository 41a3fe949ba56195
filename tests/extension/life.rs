//! How it is installed, stopped and started again.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{Api, ResourceExt};
use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_store_extension_double::{Extension, install};

use crate::fixture::{Fixture, UPDATED, eventually};

const DEFINITIONS: [&str; 2] =
    ["secretsyncs.secret-sync.x-k8s.io", "secretproviderclasses.secrets-store.csi.x-k8s.io"];

#[tokio::test]
async fn a_second_installation_changes_nothing() {
    let fixture = Fixture::start().await;
    let definitions: Api<CustomResourceDefinition> = Api::all(fixture.site.kube.clone());
    let versions = async || {
        let [first, second] = DEFINITIONS.map(|name| definitions.get(name));
        [first.await, second.await].map(|definition| definition.unwrap().resource_version())
    };
    let before = versions().await;
    install(&fixture.site.kube).await.unwrap();
    assert_eq!(versions().await, before);
}

#[tokio::test]
async fn a_stopped_extension_does_nothing_and_catches_up_after_a_start() {
    let Fixture { site, extension, options, syncs, classes } = {
        let fixture = Fixture::start().await;
        fixture.synced("missed", "old").await;
        fixture
    };
    extension.stop().await;
    site.somebody.sets("missed", "new").await;
    assert_eq!(site.edge("missed").await.unwrap()["password"], "old");

    let extension = Extension::start(options.clone()).await.unwrap();
    let fixture = Fixture { site, extension, options, syncs, classes };
    fixture.until_edge("missed", "password", "new").await;
}

#[tokio::test]
async fn the_poll_picks_up_a_new_version() {
    let often = std::time::Duration::from_millis(300);
    let fixture = Fixture::start_with(|options| options.rotation_poll_interval = often).await;
    fixture.synced("rotated", "old").await;
    fixture.site.somebody.sets("rotated", "new").await;
    fixture.until_edge("rotated", "password", "new").await;
}

#[tokio::test]
async fn a_failed_status_write_is_retried() {
    needs!(the_double);
    let fixture = Fixture::start().await;
    fixture.synced("untold", "old").await;
    fixture.site.somebody.sets("untold", "new").await;
    let before = fixture.status("untold").await["syncHash"].clone();
    let fault = Fault::status(503, "ServiceUnavailable");
    let once = FaultRule::new(fault).verb("update").resource("secretsyncs").times(1);
    fixture.site.cluster().faults().add(once);
    fixture.extension.poll().await;
    assert_eq!(fixture.site.edge("untold").await.unwrap()["password"], "new");
    eventually("the status is written", async || fixture.status("untold").await["syncHash"] != before).await;
    assert_eq!(fixture.condition("untold", UPDATED).await.unwrap().reason, "SecretUpToDate");
}
