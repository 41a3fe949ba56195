//! Who the caller is and what they may do: what a user interface greys out, and why.

use std::time::Duration;

use kubernetes_double::{Fault, FaultRule, OnResource};
use secret_service::proto::{
    self, GetCallerRequest, MethodPermission, caller::Authentication, method_permission::Access, *,
};
use tonic::Code;

use super::world;
use crate::support::{
    World,
    callers::{AUDIENCE, BOTH, Caller},
    requests::*,
};

async fn caller(world: &World, account: &str) -> Caller {
    world.caller(Some(&world.token(account, AUDIENCE).await)).await
}

/// What the caller is told about a resource; about every name if it is empty.
async fn told_about(caller: &mut Caller, resource: &str) -> proto::Caller {
    let request = GetCallerRequest { name: "caller".to_owned(), resource: resource.to_owned() };
    caller.get_caller(request).await.unwrap().into_inner()
}

fn permission<'a>(told: &'a proto::Caller, method: &str) -> &'a MethodPermission {
    told.permissions.iter().find(|permission| permission.method == method).unwrap()
}

fn access(told: &proto::Caller, method: &str) -> Access {
    let permission = permission(told, method);
    let is_explained = !permission.message.is_empty() && !permission.reason.is_empty();
    assert_eq!(is_explained, permission.access() != Access::Allowed, "{permission:?}");
    permission.access()
}

/// The methods with this access.
fn with(told: &proto::Caller, access: Access) -> Vec<&str> {
    let permissions = told.permissions.iter().filter(|permission| permission.access() == access);
    permissions.map(|permission| permission.method.as_str()).collect()
}

#[tokio::test]
async fn an_editor_may_call_every_method_and_they_stand_in_the_order_of_the_contract() {
    let world = world(|_| {}).await;
    let told = told_about(&mut caller(&world, "editor").await, "").await;
    assert_eq!((told.name.as_str(), told.user.as_str()), ("caller", world.user("editor").as_str()));
    assert!(told.groups.contains(&"system:serviceaccounts".to_owned()), "{:?}", told.groups);
    assert_eq!(told.authentication(), Authentication::ClusterToken);
    let contract = include_str!("../../../proto/iotoperations/secrets/v1/secret_service.proto");
    let methods = contract.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
    let methods: Vec<_> = methods.filter(|method| *method != "GetCaller").collect();
    assert_eq!(with(&told, Access::Allowed), methods);
    assert_eq!(told.reference.unwrap().access(), Access::Allowed);
}

#[tokio::test]
async fn a_viewer_is_told_what_is_missing_as_the_call_would_tell() {
    let world = world(|_| {}).await;
    let mut viewer = caller(&world, "viewer").await;
    let told = told_about(&mut viewer, "").await;
    for method in ["GetVault", "ListSyncedSecrets", "WatchSyncedSecrets", "ListAuditEvents", "GetVaultSecret"]
    {
        assert_eq!(access(&told, method), Access::Allowed, "{method}");
    }
    // The cluster can't tell whether one name is allowed.
    assert_eq!(access(&told, "DeleteSyncedSecret"), Access::NotAllNames);
    assert_eq!(told.reference.unwrap().access(), Access::NotAllNames);

    let about_one = told_about(&mut viewer, "syncedSecrets/edp1").await;
    assert_eq!(access(&about_one, "DeleteSyncedSecret"), Access::Denied);
    assert_eq!(access(&about_one, "GetSyncedSecret"), Access::Allowed);
    assert_eq!(access(&about_one, "ListSecretUsages"), Access::Allowed);
    let refused = viewer.delete_synced_secret(delete("edp1")).await.unwrap_err();
    let shown = permission(&about_one, "DeleteSyncedSecret");
    assert_eq!((&*shown.message, &*shown.reason), (refused.message(), "CALLER_FORBIDDEN"));
    assert!(shown.message.contains("Grant the verb delete on syncedsecrets"), "{}", shown.message);
}

#[tokio::test]
async fn a_caller_without_any_right_is_told_so_and_that_is_no_denial_in_the_audit() {
    let world = world(|_| {}).await;
    // A verb that no method asks for: a Role has to have one.
    world.account("stranger", &BOTH, &["deletecollection"], &[]).await;
    let mut stranger = caller(&world, "stranger").await;
    let told = told_about(&mut stranger, "vaultSecrets/pump").await;
    assert_eq!(told.user, world.user("stranger"));
    assert!(with(&told, Access::Allowed).is_empty());
    assert_eq!(access(&told, "GetVaultSecret"), Access::Denied);
    // These don't name a resource: there is nothing that may be allowed.
    for method in ["GetVault", "ListVaultSecrets", "WatchSyncedSecrets", "ListAuditEvents"] {
        assert_eq!(access(&told, method), Access::Denied, "{method}");
    }
    let request = ListAuditEventsRequest { actor: world.user("stranger"), ..Default::default() };
    let events = caller(&world, "editor").await.list_audit_events(request).await.unwrap().into_inner();
    assert!(events.audit_events.is_empty(), "{events:?}");
}

#[tokio::test]
async fn rights_on_single_names_are_told_for_the_name_and_left_open_without_one() {
    let world = world(|_| {}).await;
    world.account("line-1", &["syncedsecrets"], &["get", "delete"], &["line1"]).await;
    let mut line = caller(&world, "line-1").await;
    for (resource, expected) in [
        ("", Access::NotAllNames),
        ("syncedSecrets/line1", Access::Allowed),
        ("syncedSecrets/line2", Access::Denied),
        // Says nothing about synced secrets.
        ("vaultSecrets/line1", Access::NotAllNames),
    ] {
        let told = told_about(&mut line, resource).await;
        for method in ["GetSyncedSecret", "DeleteSyncedSecret", "ListSecretUsages"] {
            assert_eq!(access(&told, method), expected, "{method} of {resource}");
        }
        assert_eq!(access(&told, "ListSyncedSecrets"), Access::Denied);
    }
}

#[tokio::test]
async fn an_adoption_needs_both_of_its_rights() {
    let world = world(|_| {}).await;
    world.account("blind", &["syncedsecrets"], &["adopt"], &[]).await;
    let told = told_about(&mut caller(&world, "blind").await, "syncedSecrets/theirs").await;
    assert_eq!(access(&told, "AdoptSyncedSecret"), Access::Denied);
    let message = &permission(&told, "AdoptSyncedSecret").message;
    assert!(message.contains("the verb get"), "{message}");
}

#[tokio::test]
async fn rules_narrow_what_the_cluster_grants() {
    let rules = ["deny * vaultSecrets/prod-*", "allow * syncedSecrets/*"];
    let world = world(|access| access.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect()).await;
    let mut editor = caller(&world, "editor").await;
    let told = told_about(&mut editor, "").await;
    assert_eq!(access(&told, "UpdateVaultSecret"), Access::NotAllNames);
    assert_eq!(permission(&told, "UpdateVaultSecret").reason, "NAME_NOT_ALLOWED");
    assert_eq!(told.reference.as_ref().unwrap().access(), Access::NotAllNames);
    for method in ["GetVault", "ListVaultSecrets", "UpdateSyncedSecret", "ListAuditEvents"] {
        assert_eq!(access(&told, method), Access::Allowed, "{method}");
    }
    let denied = told_about(&mut editor, "vaultSecrets/Prod-pump").await;
    assert_eq!(access(&denied, "UpdateVaultSecret"), Access::Denied);
    assert_eq!(denied.reference.unwrap().reason, "NAME_NOT_ALLOWED");
    let allowed = told_about(&mut editor, "vaultSecrets/test-pump").await;
    assert_eq!(access(&allowed, "UpdateVaultSecret"), Access::Allowed);
    assert_eq!(allowed.reference.unwrap().access(), Access::Allowed);
}

#[tokio::test]
async fn whoever_needs_no_credentials_may_do_everything() {
    let mut world = World::start().await;
    let told = world.client.get_caller(GetCallerRequest::default()).await.unwrap().into_inner();
    assert!(told.user.starts_with("anonymous@"), "{}", told.user);
    assert_eq!((told.authentication(), told.expire_time), (Authentication::None, None));
    assert!(told.groups.is_empty());
    assert_eq!(with(&told, Access::Allowed).len(), told.permissions.len());
}

#[tokio::test]
async fn other_callers_and_what_is_no_resource_are_refused() {
    let world = world(|_| {}).await;
    let mut viewer = caller(&world, "viewer").await;
    let long = format!("syncedSecrets/{}", "a".repeat(5_000));
    for (name, resource, field) in [
        ("callers/ada", "", "name"),
        ("caller", "vault", "resource"),
        ("caller", "pump", "resource"),
        ("caller", "syncedSecrets/", "resource"),
        ("caller", "syncedSecrets/-", "resource"),
        ("caller", "syncedSecrets/A\u{1b}[2J\0", "resource"),
        ("caller", "vaultSecrets/pump/versions/1", "resource"),
        ("caller", &long, "resource"),
    ] {
        let request = GetCallerRequest { name: name.to_owned(), resource: resource.to_owned() };
        let refused = told(&viewer.get_caller(request).await.unwrap_err());
        assert_eq!((refused.code, &*refused.fields), (Code::InvalidArgument, &[field.to_owned()][..]));
        assert!(refused.message.len() < 500 && !refused.message.contains('\u{1b}'), "{}", refused.message);
    }
}

#[tokio::test]
async fn each_right_is_reviewed_once() {
    needs!(the_double);
    let world = world(|access| access.decision_life = Duration::from_secs(10)).await;
    let reviews = || world.cluster().requests().of("create", "subjectaccessreviews");
    let mut viewer = caller(&world, "viewer").await;
    let before = reviews();
    told_about(&mut viewer, "").await;
    // Eight verbs on synced secrets, six on vault secrets.
    assert_eq!(reviews() - before, 14);
    told_about(&mut viewer, "").await;
    assert_eq!(reviews() - before, 14, "they are remembered");
    told_about(&mut viewer, "syncedSecrets/pump").await;
    // Not get, list and watch, which are granted for every name.
    assert_eq!(reviews() - before, 14 + 5, "only what is not granted for every name is asked for the name");
}

#[tokio::test]
async fn questions_about_many_names_stay_within_the_limit_of_their_caller() {
    needs!(the_double);
    let world = world(|access| access.decision_life = Duration::from_secs(10)).await;
    let mut viewer = caller(&world, "viewer").await;
    let mut reasons = Vec::new();
    for number in 0..40 {
        let request = GetCallerRequest { name: String::new(), resource: format!("syncedSecrets/n{number}") };
        reasons.extend(viewer.get_caller(request).await.err().map(|status| told(&status).reason));
    }
    assert!(
        !reasons.is_empty() && reasons.iter().all(|reason| reason == "TOO_MANY_NAMES_ASKED"),
        "{reasons:?}"
    );
    told_about(&mut viewer, "").await;
}

#[tokio::test]
async fn while_the_cluster_does_not_answer_nothing_is_told() {
    needs!(the_double);
    let world = world(|_| {}).await;
    let mut viewer = caller(&world, "viewer").await;
    told_about(&mut viewer, "").await;
    world
        .cluster()
        .faults()
        .add(FaultRule::new(Fault::status(503, "ServiceUnavailable")).resource("subjectaccessreviews"));
    tokio::time::sleep(super::REMEMBERED * 2).await;
    let refused = told(&viewer.get_caller(GetCallerRequest::default()).await.unwrap_err());
    assert_eq!((refused.code, &*refused.reason), (Code::Unavailable, "ACCESS_UNDECIDED"));
}
