//! What a caller may not see, a check does not tell it either.

use secret_service::{access, model::SyncEngine, proto::ListAuditEventsRequest};
use tonic::Code;

use super::*;
use crate::{
    access::locked,
    adoption::{listed, made_by_the_portal_for},
    support::callers::{AUDIENCE, Caller},
};

async fn caller(world: &World, name: &str, verbs: &[&str]) -> Caller {
    world.account(name, &["syncedsecrets"], verbs, &[]).await;
    world.caller(Some(&world.token(name, AUDIENCE).await)).await
}

async fn reasons(caller: &mut Caller, manifest: &str) -> Vec<(String, String, Status)> {
    let request = asking(manifest);
    let resources = caller.check_resource(request).await.unwrap().into_inner().resources;
    resources.iter().flat_map(|resource| &resource.usages).map(of_usage).collect()
}

#[tokio::test]
async fn a_caller_that_may_not_list_is_told_nothing_and_that_is_recorded() {
    let world =
        made_with(Options { access: access::Options { anonymous: true, ..locked() }, ..Options::default() })
            .await;
    let mut getter = caller(&world, "getter", &["get"]).await;
    for manifest in [DEVICE, "no manifest ["] {
        let refused = told(&getter.check_resource(asking(manifest)).await.unwrap_err());
        assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "CALLER_FORBIDDEN"));
        assert!(refused.message.contains("may not list"), "{}", refused.message);
    }
    let audited = world.client.clone().list_audit_events(ListAuditEventsRequest::default()).await.unwrap();
    let events = audited.into_inner().audit_events;
    let denied = events.iter().find(|event| event.action == "CheckResource").expect("it is recorded");
    assert_eq!(denied.outcome, "PERMISSION_DENIED");
    assert!(!format!("{events:?}").contains("manifest ["), "{events:?}");
}

#[tokio::test]
async fn a_caller_that_may_only_list_is_not_told_what_other_tools_have_made() {
    let mut options =
        Options { access: access::Options { anonymous: true, ..locked() }, ..Options::default() };
    options.engine = SyncEngine::SecretStore;
    let mut world = made_by_the_portal_for(options).await;
    listed(&mut world, "edp1secrets").await;
    world.create("ours", vec![existing("username", "opc-username")]).await;
    let mut lister = caller(&world, "lister", &["list"]).await;
    let mut viewer = caller(&world, "viewer", &["get", "list"]).await;

    // Of what the service manages, a list shows the keys.
    let ours = device("ours/username", "ours/password");
    let wanted = [row("password", "KeyMissing", Status::False), row("username", "", WELL)];
    assert_eq!(reasons(&mut lister, &ours).await, wanted);
    // Keys that are there and keys that aren't look the same.
    let theirs = device("edp1secrets/opc-username", "edp1secrets/none");
    let unknown = |key: &str| row(key, "KeysUnknown", Status::Unknown);
    assert_eq!(reasons(&mut lister, &theirs).await, [unknown("none"), unknown("opc-username")]);
    let told = reasons(&mut viewer, &theirs).await;
    assert_eq!(told, [row("none", "KeyMissing", Status::False), row("opc-username", "", WELL)]);

    // So do Secrets that are no synced secrets, and names that nothing has.
    let secrets = world.secrets();
    let metadata = kube::api::ObjectMeta { name: Some("by-hand".to_owned()), ..Default::default() };
    let by_hand = k8s_openapi::api::core::v1::Secret { metadata, ..Default::default() };
    secrets.create(&Default::default(), &by_hand).await.unwrap();
    let others = device("by-hand/k", "nothing/k");
    crate::support::until_so("the viewer is told", async || {
        let told = reasons(&mut viewer, &others).await;
        told == [row("k", "SecretMissing", Status::False), row("k", "KeysUnknown", Status::Unknown)]
    })
    .await;
    assert_eq!(
        reasons(&mut lister, &others).await,
        ["k", "k"].map(|key| row(key, "Unknown", Status::Unknown))
    );
    let request = asking(others);
    let shown = lister.check_resource(request).await.unwrap().into_inner().resources;
    assert!(shown[0].usages.iter().all(|one| !one.usage.as_ref().unwrap().secret_missing), "{shown:?}");
}
