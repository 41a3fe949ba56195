//! Restarts, watches that break, rights that are missing, kinds that come and go.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinitionVersion;
use secret_service::proto::{DeleteSyncedSecretRequest, condition::Status};
use tonic::{Code, Request};

use super::*;
use crate::support::until_so;

#[tokio::test]
async fn a_restart_keeps_the_uses_and_detects_changes_from_the_downtime() {
    let mut world = made(&["a", "b"]).await;
    used(&mut world, "p", "a").await;
    world.stop_service().await;
    world.withdraws(PROFILE, "p").await;
    world.applies(PROFILE, "q", naming("b/username")).await;
    world.start_service().await;
    world.until("a", |secret| is_in_use(secret, "NotUsed")).await;
    world.until("b", |secret| is_in_use(secret, "Used")).await;
    let refused = world.client.delete_synced_secret(delete("b")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "SYNCED_SECRET_IN_USE");
}

#[tokio::test]
async fn a_broken_watch_misses_nothing() {
    needs!(the_double);
    let mut world = made(&["a", "b"]).await;
    let faults: [AnyFault<ClusterFault>; 3] =
        [ClusterFault::WatchDrop.into(), ClusterFault::WatchExpired.into(), refused(500).into()];
    for (number, broken) in faults.into_iter().enumerate() {
        let verb = if matches!(broken, AnyFault::Common(_)) { "list" } else { "watch" };
        world
            .cluster()
            .faults()
            .add(FaultRule::new(broken).verb(verb).resource("assetendpointprofiles").times(2));
        world.cluster().faults().add(
            FaultRule::new(ClusterFault::WatchDrop).verb("watch").resource("assetendpointprofiles").times(1),
        );
        let profile = format!("p-{number}");
        used(&mut world, &profile, "a").await;
        world.cluster().faults().clear();
        world.withdraws(PROFILE, &profile).await;
        until_usages_end(&mut world, "a").await;
    }
    assert!(is_in_use(&world.get("b").await, "NotUsed"), "what is known holds meanwhile");
}

#[tokio::test]
async fn before_the_first_list_a_deletion_requires_force_and_recorded_uses_count() {
    needs!(the_double);
    let mut world = made(&["a", "b"]).await;
    used(&mut world, "p", "a").await;
    world.stop_service().await;
    world.cluster().faults().add(FaultRule::new(refused(503)).verb("list").resource("devices"));
    world.start_service().await;
    assert!(is_in_use(&world.get("a").await, "Used") && is_in_use(&world.get("b").await, "NotUsed"));

    let soon = Duration::from_millis(700);
    let mut deletion = Request::new(delete("b"));
    deletion.set_timeout(soon);
    let deletion = told(&world.client.delete_synced_secret(deletion).await.unwrap_err());
    let mut list = Request::new(ListSecretUsagesRequest { parent: name("-"), ..Default::default() });
    list.set_timeout(soon);
    let list = told(&world.client.list_secret_usages(list).await.unwrap_err());
    for refused in [deletion, list] {
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unavailable, "USAGES_NOT_YET_KNOWN"));
        assert!(refused.details.retry_info().is_some());
    }
    world.cluster().faults().clear();
    world.client.delete_synced_secret(delete("b")).await.unwrap();
    assert!(is_in_use(&world.get("a").await, "Used"));
}

#[tokio::test]
async fn a_kind_that_the_service_cannot_list_makes_uses_unknown_with_a_remedy() {
    let site = Site::start().await;
    users::install(&site.kube).await;
    let group = format!("t{}.example.com", uuid::Uuid::new_v4().simple());
    users::define(&site.kube, &users::definition(&group, "camera", "v1")).await;
    // A real cluster forbids what no role grants.
    if site.is_double() {
        site.cluster().faults().add(FaultRule::new(refused(403)).verb("list").resource("cameras"));
    }
    let rule = format!("Camera.{group} spec.passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a", "b"], with_rules(&[rule])).await;
    let unknown = world.until("a", |secret| is_in_use(secret, "Unknown")).await;
    let condition = in_use(&unknown).unwrap();
    assert_eq!(condition.status(), Status::Unknown);
    for word in [&*format!("Camera.{group}"), "list and watch", "deploy/manifests"] {
        assert!(condition.message.contains(word), "{}", condition.message);
    }
    let unused = || UsedBy { unused: true, ..Default::default() };
    assert!(ids(&mut world, unused()).await.is_empty(), "nobody knows that it is unused");
    let request = ListSecretUsagesRequest { parent: name("-"), ..Default::default() };
    let listed = world.client.list_secret_usages(request.clone()).await.unwrap().into_inner();
    assert_eq!(listed.unreachable, [format!("Camera.{group}")], "the list says what it lacks");
    let refused = told(&world.client.delete_synced_secret(delete("a")).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::FailedPrecondition, "USAGES_UNKNOWN"));
    used(&mut world, "p", "b").await;
    let refused = told(&world.client.delete_synced_secret(delete("b")).await.unwrap_err());
    assert_eq!(refused.reason, "SYNCED_SECRET_IN_USE", "what is known is named");
    let request = DeleteSyncedSecretRequest { force: true, ..delete("a") };
    world.client.delete_synced_secret(request).await.unwrap();
    assert!(world.edge("a").await.is_none());

    // The right is given.
    if world.is_double() {
        world.cluster().faults().clear();
    }
    world.allows(&group).await;
    world.withdraws(PROFILE, "p").await;
    world.until("b", |secret| is_in_use(secret, "NotUsed")).await;
    assert_eq!(ids(&mut world, unused()).await, ["b"]);
    world.client.delete_synced_secret(delete("b")).await.unwrap();
}

/// A site, and a group of its own that the service may look into.
async fn with_a_group() -> (Site, String) {
    let site = Site::start().await;
    let group = format!("t{}.example.com", uuid::Uuid::new_v4().simple());
    site.allows(&group).await;
    (site, group)
}

#[tokio::test]
async fn configured_rules_follow_kinds_that_are_installed_and_removed() {
    let (site, group) = with_a_group().await;
    let rule = format!("Camera.{group} spec.users[*].passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a"], with_rules(&[rule])).await;
    let (kind, cameras) = (format!("Camera.{group}"), users::definition(&group, "camera", "v1"));
    for _ in 0..2 {
        assert!(usages(&mut world, "a").await.is_empty());
        users::define(&world.kube, &cameras).await;
        world.applies(&kind, "front", json!({ "users": [{}, { "passwordSecretName": "a/password" }] })).await;
        let shown = until_usages(&mut world, "a", |usages| !usages.is_empty()).await;
        assert_eq!(
            (shown[0].field.as_str(), shown[0].key.as_str()),
            ("spec.users[1].passwordSecretName", "password")
        );
        users::undefine(&world.kube, &cameras).await;
        until_usages_end(&mut world, "a").await;
    }
    world.client.delete_synced_secret(delete("a")).await.unwrap();
}

#[tokio::test]
async fn a_kind_is_watched_in_the_preferred_version_of_its_group() {
    let (site, group) = with_a_group().await;
    let mut cameras = users::definition(&group, "camera", "v1");
    let newer = CustomResourceDefinitionVersion {
        name: "v2".to_owned(),
        storage: false,
        ..cameras.spec.versions[0].clone()
    };
    cameras.spec.versions.push(newer);
    users::define(&site.kube, &cameras).await;
    let rule = format!("Camera.{group} spec.passwordSecretName SECRET/KEY");
    let mut world = made_on(site, &["a"], with_rules(&[rule])).await;
    world.applies(&format!("Camera.{group}"), "front", json!({ "passwordSecretName": "a/password" })).await;
    for (v2_is_served, wanted) in [(true, "v2"), (false, "v1"), (true, "v2")] {
        cameras.spec.versions[1].served = v2_is_served;
        users::define(&world.kube, &cameras).await;
        let wanted = format!("{group}/{wanted}");
        until_usages(&mut world, "a", |usages| usages.iter().any(|usage| usage.api_version == wanted)).await;
        world.until("a", |secret| is_in_use(secret, "Used")).await;
    }
    users::undefine(&world.kube, &cameras).await;
}

#[tokio::test]
async fn whether_a_secret_is_missing_is_not_told_before_the_first_list() {
    needs!(the_double);
    for fault in [refused(503), Fault::Hang] {
        let mut world = made(&["a"]).await;
        // A Secret that is not ours, in use as well.
        let mut foreign = k8s_openapi::api::core::v1::Secret::default();
        foreign.metadata.name = Some("foreign".to_owned());
        world.secrets().create(&Default::default(), &foreign).await.unwrap();
        used(&mut world, "p", "a").await;
        world.applies(PROFILE, "q", naming("foreign/username")).await;
        until_usages(&mut world, "foreign", |usages| usages.iter().any(|usage| !usage.secret_missing)).await;
        let before = world.get("a").await;
        world.stop_service().await;
        world.cluster().faults().add(FaultRule::new(fault).verb("list").resource("secrets"));
        world.start_service().await;

        // Long enough for the first list to fail, and for what is believed to be gone to be looked for.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            for id in ["a", "foreign", "-"] {
                let mut request =
                    Request::new(ListSecretUsagesRequest { parent: name(id), ..Default::default() });
                request.set_timeout(Duration::from_millis(700));
                let refused = told(&world.client.list_secret_usages(request).await.unwrap_err());
                assert_eq!(
                    (refused.code, refused.reason.as_str()),
                    (Code::Unavailable, "SECRETS_NOT_YET_KNOWN"),
                    "neither missing nor there"
                );
            }
            let now = world.get("a").await;
            assert_eq!(now.state(), before.state());
            assert!(!now.usages.is_empty() && now.usages.iter().all(|usage| !usage.secret_missing));
            sleep(Duration::from_millis(50)).await;
        }
        world.secrets().delete("foreign", &Default::default()).await.unwrap();
        world.cluster().faults().clear();
        let request = ListSecretUsagesRequest { parent: name("foreign"), ..Default::default() };
        until_so("the Secrets are known", async || {
            world.client.list_secret_usages(request.clone()).await.is_ok()
        })
        .await;
        until_usages(&mut world, "foreign", |usages| usages.iter().all(|usage| usage.secret_missing)).await;
        world.withdraws(PROFILE, "q").await;
    }
}

#[tokio::test]
async fn the_uses_of_a_kind_that_is_briefly_not_served_are_kept() {
    needs!(the_double);
    let mut world = made_with_pauses(&["a"], Duration::from_secs(1)).await;
    used(&mut world, "p", "a").await;
    for path in ["/apis/deviceregistry.microsoft.com", "/apis/deviceregistry.microsoft.com/v1"] {
        world.cluster().faults().add(FaultRule::new(refused(404)).resource(path).times(1));
        // Long enough for a look that meets the fault and for one that doesn't.
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            assert!(!usages(&mut world, "a").await.is_empty(), "{path}");
            sleep(Duration::from_millis(5)).await;
        }
        assert!(world.cluster().faults().list().is_empty(), "it was asked");
        let refused = world.client.delete_synced_secret(delete("a")).await.unwrap_err();
        assert_eq!(told(&refused).reason, "SYNCED_SECRET_IN_USE");
    }
}

#[tokio::test]
async fn recorded_uses_hold_after_a_start_until_their_kind_is_served() {
    needs!(the_double);
    let mut world = made_with_pauses(&["a", "b"], Duration::from_secs(3)).await;
    used(&mut world, "p", "a").await;
    world.stop_service().await;
    let missing = FaultRule::new(refused(404)).resource("/apis/deviceregistry.microsoft.com");
    world.cluster().faults().add(missing.clone().times(1));
    world.start_service().await;
    let refused = world.client.delete_synced_secret(delete("a")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "SYNCED_SECRET_IN_USE");
    assert!(world.cluster().faults().list().is_empty(), "it was asked");

    // A kind that stays away holds nothing up for long.
    world.stop_service().await;
    world.cluster().faults().add(missing);
    world.start_service().await;
    world.until("a", |secret| is_in_use(secret, "NotUsed")).await;
    world.client.delete_synced_secret(delete("a")).await.unwrap();
}
