//! The keys of a Secret that another tool made are told only to who may get it: a list is for all, and a Secret of somebody else is not.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kubernetes_double::Rule;
use secret_service::{access, model::ACCESS_GROUP, proto::*};
use serde_json::json;
use tokio::time::{Instant, sleep};
use tonic::Code;

use super::{REMEMBERED, locked};
use crate::{
    adoption::{adopt, listed, made_by_the_portal_for},
    support::{
        Options, PATIENCE, World,
        callers::{AUDIENCE, Caller},
        requests::*,
        users,
    },
};

const PROFILE: &str = "AssetEndpointProfile.deviceregistry.microsoft.com";

/// What the portal made, with one key that no reference can ask for, and one that is used and is not there.
async fn world() -> World {
    let mut options =
        Options { access: access::Options { anonymous: true, ..locked() }, ..Options::default() };
    options.usages.interval = Duration::from_millis(100);
    options.engine = secret_service::model::SyncEngine::SecretStore;
    let mut world = made_by_the_portal_for(options).await;
    users::install(&world.kube).await;
    listed(&mut world, "edp1secrets").await;
    let keys = [("opc-username", "opc-username"), ("opc-password", "opc-password"), ("no_name", "odd-key")];
    let data = keys.map(|(path, key)| json!({ "sourcePath": path, "targetKey": key }));
    let patch = Patch::Merge(json!({ "spec": { "secretObject": { "data": data } } }));
    world.syncs().patch("edp1secrets", &PatchParams::default(), &patch).await.unwrap();
    world.until("edp1secrets", |secret| format!("{secret:?}").contains("odd-key")).await;
    let reference = json!({ "usernameSecretName": "edp1secrets/of-the-profile" });
    let spec = json!({ "authentication": { "method": "UsernamePassword", "usernamePasswordCredentials": reference } });
    world.applies(PROFILE, "plc", spec).await;
    let begun = Instant::now();
    while usages(&mut world.client.clone()).await.is_none_or(|usage| !usage.key_missing) {
        assert!(begun.elapsed() < PATIENCE, "its use is never known");
        sleep(Duration::from_millis(20)).await;
    }
    world
}

async fn caller(world: &World, name: &str, verbs: &[&str], names: &[&str]) -> Caller {
    world.account(name, &["syncedsecrets"], verbs, names).await;
    world.caller(Some(&world.token(name, AUDIENCE).await)).await
}

/// The use of what the portal made, as the list of all uses has it.
async fn usages<T>(client: &mut secret_service_client::SecretServiceClient<T>) -> Option<SecretUsage>
where
    T: tonic::client::GrpcService<tonic::body::Body> + Send,
    T::Error: Into<tonic::codegen::StdError>,
    T::ResponseBody: tonic::codegen::Body<Data = tonic::codegen::Bytes> + Send + 'static,
    <T::ResponseBody as tonic::codegen::Body>::Error: Into<tonic::codegen::StdError> + Send,
    T::Future: Send,
{
    let request = ListSecretUsagesRequest { parent: "syncedSecrets/-".to_owned(), ..Default::default() };
    let usages = client.list_secret_usages(request).await.ok()?.into_inner().usages;
    usages.into_iter().find(|usage| usage.synced_secret == name("edp1secrets"))
}

/// What the portal made, as lists and watches show it.
async fn shown(caller: &mut Caller) -> [SyncedSecret; 2] {
    let request = ListSyncedSecretsRequest {
        view: SyncedSecretView::Full.into(),
        ..ListSyncedSecretsRequest::default()
    };
    let page = caller.list_synced_secrets(request).await.unwrap().into_inner().synced_secrets;
    let listed = page.into_iter().find(|secret| secret.name == name("edp1secrets")).unwrap();
    let watch = caller.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await;
    let watched = next(&mut watch.unwrap().into_inner()).await;
    [listed, watched]
}

/// What a watch tells next of what the portal made.
async fn next(watch: &mut tonic::Streaming<WatchSyncedSecretsResponse>) -> SyncedSecret {
    loop {
        let told =
            tokio::time::timeout(PATIENCE, watch.message()).await.expect("it is told").unwrap().unwrap();
        if let Some(secret) = told.synced_secret.filter(|secret| secret.name == name("edp1secrets")) {
            return secret;
        }
    }
}

#[track_caller]
fn tells_no_key(secret: &SyncedSecret) {
    let text = format!("{secret:?}");
    for key in ["opc-username", "opc-password", "odd-key", "no_name"] {
        assert!(!text.contains(key), "{key} in {text}");
    }
    assert!(secret.usages.iter().all(|usage| !usage.key_missing), "{text}");
    assert!(!secret.conditions.is_empty(), "it is told how it stands");
}

#[tokio::test]
async fn a_caller_that_may_only_list_sees_no_keys_of_unmanaged_secrets() {
    let world = world().await;
    let mut lister = caller(&world, "lister", &["list", "watch"], &[]).await;
    let mut of_another = caller(&world, "of-another", &["list", "watch"], &[]).await;
    world.account("of-another", &["syncedsecrets"], &["get"], &["edp1secrets"]).await;
    for caller in [&mut lister, &mut of_another] {
        for secret in shown(caller).await {
            tells_no_key(&secret);
        }
        assert!(!usages(caller).await.unwrap().key_missing);
    }
    // By its name it is told to who may get just this one.
    let got = of_another.get_synced_secret(get("edp1secrets")).await.unwrap().into_inner();
    assert!(got.references.len() == 2 && got.conditions[0].message.contains("odd-key"), "{got:?}");
    let refused = told(&lister.get_synced_secret(get("edp1secrets")).await.unwrap_err());
    assert_eq!(refused.code, Code::PermissionDenied);

    let mut viewer = caller(&world, "viewer", &["get", "list", "watch"], &[]).await;
    for secret in shown(&mut viewer).await {
        assert!(secret.references.len() == 2 && format!("{secret:?}").contains("odd-key"), "{secret:?}");
    }
    assert!(usages(&mut viewer).await.unwrap().key_missing);
}

#[tokio::test]
async fn an_adoption_requires_get_because_it_shows_keys() {
    let world = world().await;
    let mut adopter = caller(&world, "adopter", &["adopt"], &[]).await;
    for validate_only in [true, false] {
        let request = AdoptSyncedSecretRequest { validate_only, ..adopt("edp1secrets", vec![]) };
        let refused = told(&adopter.adopt_synced_secret(request).await.unwrap_err());
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
        assert!(refused.message.contains("may not get syncedSecrets/edp1secrets"), "{}", refused.message);
    }
}

#[tokio::test]
async fn a_watch_stops_sending_keys_when_its_caller_loses_the_right_to_get_them() {
    needs!(the_double);
    let world = world().await;
    let mut viewer = caller(&world, "viewer", &["get", "list", "watch"], &[]).await;
    let watch = viewer.watch_synced_secrets(WatchSyncedSecretsRequest::default()).await;
    let mut watch = watch.unwrap().into_inner();
    assert!(!next(&mut watch).await.references.is_empty());
    let texts = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
    let namespaces = vec![world.namespace.clone()];
    let (verbs, groups, resources) = (texts(&["get"]), texts(&[ACCESS_GROUP]), texts(&["syncedsecrets"]));
    world
        .cluster()
        .policy()
        .deny(&world.user("viewer"), Rule { verbs, groups, resources, namespaces, names: vec![] });
    sleep(REMEMBERED * 4).await;
    let patch = Patch::Merge(json!({ "spec": { "secretObject": { "labels": { "line": "1" } } } }));
    world.syncs().patch("edp1secrets", &PatchParams::default(), &patch).await.unwrap();
    // What was told before may still be on its way.
    let mut told = next(&mut watch).await;
    while !told.labels.contains_key("line") {
        told = next(&mut watch).await;
    }
    tells_no_key(&told);
}
