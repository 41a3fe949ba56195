//! Two services with two databases in one namespace: one writes, the other reads, and they change places without a moment in which both do.

mod partition;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use k8s_openapi::{api::coordination::v1::Lease, apimachinery::pkg::apis::meta::v1::MicroTime};
use key_vault_double::{Happened, OnOperation, Operation};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use kubernetes_double::{ClusterFault, Fault, FaultRule, OnResource};
use secret_service::proto::{
    Condition, CreateSyncedSecretRequest, CreateVaultSecretRequest, GetVaultRequest,
    ListSyncedSecretsRequest, ListVaultSecretVersionsRequest, SecretReference, SyncedSecret,
    condition::Status, secret_service_client::SecretServiceClient, synced_secret::State,
};
use serde_json::json;
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{Beside, Options, PATIENCE, Site, World, requests::*, until, until_so};

/// The next look of a service that stands by, and some.
const AT_ONCE: Duration = Duration::from_secs(5);
/// A Lease lasts 15 s.
const EXPIRED: Duration = Duration::from_secs(20);

type Client = SecretServiceClient<Channel>;

fn database(world: &World, name: &str) -> PathBuf {
    world.directory().join(format!("{name}.db"))
}

/// What GetVault says of who acts.
async fn leader(client: &mut Client) -> Condition {
    let vault = client.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    vault.conditions.into_iter().find(|condition| condition.r#type == "Leader").expect("Leader")
}

async fn create_vault_secret(client: &mut Client, id: &str) -> Result<(), tonic::Status> {
    let request = CreateVaultSecretRequest {
        vault_secret_id: id.to_owned(),
        secret: Some(new("value")),
        ..Default::default()
    };
    client.create_vault_secret(request).await.map(drop)
}

/// A change is refused, by a word on who holds the Lease.
async fn stands_by(client: &mut Client) -> String {
    let refused = told(&create_vault_secret(client, "refused").await.unwrap_err());
    assert_eq!(
        (refused.code, refused.reason.as_str()),
        (Code::Unavailable, "NOT_LEADER"),
        "{}",
        refused.message
    );
    let holder = refused.details.error_info().unwrap().metadata["holder"].clone();
    assert!(refused.message.contains(&holder), "{}", refused.message);
    assert!(refused.details.retry_info().is_some_and(|retry| retry.retry_delay.is_some()));
    holder
}

/// Waits until changes are accepted; how long that took.
async fn until_leading(client: &mut Client, id: &str) -> Duration {
    let begun = Instant::now();
    while let Err(refused) = create_vault_secret(client, id).await {
        assert!(begun.elapsed() < EXPIRED + AT_ONCE, "it never takes over: {refused:?}");
        sleep(Duration::from_millis(50)).await;
    }
    begun.elapsed()
}

async fn is_serving(address: SocketAddr) -> bool {
    let channel = tonic::transport::Endpoint::new(format!("http://{address}")).unwrap().connect_lazy();
    let answer = HealthClient::new(channel).check(HealthCheckRequest::default()).await;
    answer.is_ok_and(|answer| answer.into_inner().status() == ServingStatus::Serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_serves_reads_names_the_holder_and_takes_over_at_once_when_it_stops() {
    let mut world = World::start().await.with_synced(&["a"], "value").await;
    let first = leader(&mut world.client).await;
    assert_eq!((first.status(), first.reason.as_str()), (Status::True, "Leading"), "{}", first.message);

    let mut second = world.beside(&database(&world, "second")).await;
    let holder = stands_by(&mut second.client).await;
    let asked = CreateSyncedSecretRequest { validate_only: true, ..create("b", vec![existing("k", "v")]) };
    let refused = second.client.create_synced_secret(asked).await.unwrap_err();
    assert_eq!(told(&refused).reason, "NOT_LEADER");
    second.client.list_synced_secrets(ListSyncedSecretsRequest::default()).await.unwrap();
    until_so("it serves", async || is_serving(second.address()).await).await;
    let condition = leader(&mut second.client).await;
    assert_eq!((condition.status(), condition.reason.as_str()), (Status::False, "StandingBy"));
    assert!(condition.message.contains(&holder), "{}", condition.message);
    world.create("c", vec![existing("k", "v")]).await;

    world.stop_service().await;
    let took = until_leading(&mut second.client, "taken-over").await;
    assert!(took < AT_ONCE, "{took:?}");
    second.client.create_synced_secret(create("b", vec![existing("k", "v")])).await.unwrap();
    assert!(world.edge("a").await.is_some() && world.edge("c").await.is_some(), "another's are left alone");

    world.start_service().await;
    assert_ne!(stands_by(&mut world.client).await, holder, "it was the holder itself");
    assert_eq!(world.get("a").await.state(), State::Synced);
    second.stop().await;
    let took = until_leading(&mut world.client, "taken-back").await;
    assert!(took < AT_ONCE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_with_an_older_database_reverts_no_acknowledged_change() {
    let mut world = World::start().await;
    for (name, value) in [("v", "value"), ("w", "another")] {
        world.seed(name, value).await;
    }
    for id in ["changed", "deleted"] {
        world.create(id, vec![existing("k", "v")]).await;
    }
    world.stop_service().await;
    std::fs::copy(world.directory().join("secret-service.db"), database(&world, "copy")).unwrap();
    world.start_service().await;
    let mut second = world.beside(&database(&world, "copy")).await;
    stands_by(&mut second.client).await;

    let changed = SyncedSecret {
        name: name("changed"),
        references: vec![existing("k", "w")],
        ..SyncedSecret::default()
    };
    world.client.update_synced_secret(update(changed, &["references"])).await.unwrap();
    world.client.delete_synced_secret(delete("deleted")).await.unwrap();
    world.create("made", vec![existing("k", "w")]).await;
    world.stop_service().await;

    until_leading(&mut second.client, "taken-over").await;
    let told = second.client.get_synced_secret(get("changed")).await.unwrap().into_inner();
    assert_eq!(told.references[0].vault_secret, vault_name("w"));
    until(&mut second.client, "changed", |secret| secret.state() == State::Synced).await;
    until(&mut second.client, "made", |secret| secret.state() == State::Synced).await;
    let deleted = second.client.get_synced_secret(get("deleted")).await.unwrap().into_inner();
    assert_eq!(synced_reason(&deleted), "NotAtEdgeAfterRestore", "{deleted:?}");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.edge("deleted").await, None, "it does not come back by itself");
    assert_eq!(world.edge("changed").await.unwrap()["k"], "another");

    // The first one is behind now, and so it is told when it comes back.
    second.client.delete_synced_secret(delete("made")).await.unwrap();
    second.stop().await;
    world.start_service().await;
    let made = world.until("made", |secret| synced_reason(secret) == "NotAtEdgeAfterRestore").await;
    assert!(made.conditions[0].message.contains("Another process"), "{made:?}");
    assert_eq!(world.edge("made").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_service_resumes_at_once_on_its_own_database_and_on_a_copy_only_after_the_lease_expires() {
    let mut world = World::start().await;
    create_vault_secret(&mut world.client, "before").await.unwrap();
    world.kill_service().await;
    world.start_service().await;
    let took = until_leading(&mut world.client, "again").await;
    assert!(took < AT_ONCE, "{took:?}");

    world.kill_service().await;
    let killed = Instant::now();
    let copy = database(&world, "copy");
    for file in ["", "-wal"] {
        let of = |path: &Path| PathBuf::from(format!("{}{file}", path.display()));
        let _ = std::fs::copy(of(&database(&world, "secret-service")), of(&copy));
    }
    let mut copied = world.beside(&copy).await;
    stands_by(&mut copied.client).await;
    until_leading(&mut copied.client, "of-the-copy").await;
    let took = killed.elapsed();
    assert!(Duration::from_secs(10) < took && took < EXPIRED, "{took:?}");
    copied.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_lease_expires_by_our_own_clock_and_its_own_duration() {
    let mut world = World::start().await;
    create_vault_secret(&mut world.client, "it-leads").await.unwrap();
    let leases: Api<Lease> = Api::namespaced(world.kube.clone(), &world.namespace);
    for (years, id) in [(-1, "behind"), (1, "ahead")] {
        world.stop_service().await;
        let renewed = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(years * 365 * 24);
        let held = json!({ "spec": {
            "holderIdentity": "somebody", "leaseDurationSeconds": 4, "renewTime": MicroTime(renewed),
        } });
        leases.patch("secret-service", &PatchParams::default(), &Patch::Merge(held)).await.unwrap();
        world.start_service().await;
        assert_eq!(stands_by(&mut world.client).await, "somebody");
        let took = until_leading(&mut world.client, id).await;
        assert!(Duration::from_secs(3) < took && took < Duration::from_secs(8), "{took:?}");
    }
    let spec = leases.get("secret-service").await.unwrap().spec.unwrap();
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(15), Some(3)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_repairs_nothing_and_resynchronizes_when_it_takes_over() {
    needs!(the_double, the_direct_engine);
    // The other one is to leave all of this alone.
    let mut world = World::start_with(Options { rebuild: false, ..Options::default() }).await;
    for vault_secret in ["v", "w"] {
        world.seed(vault_secret, "value").await;
    }
    let request = ListVaultSecretVersionsRequest { parent: vault_name("v"), ..Default::default() };
    let versions = world.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions;
    let version = versions[0].name.rsplit_once('/').unwrap().1.to_owned();
    // What is pinned has nothing to do with the vault any more.
    for id in ["edited", "removed"] {
        let pinned = SecretReference { version: version.clone(), ..existing("k", "v") };
        world.create(id, vec![pinned]).await;
    }
    world.create("followed", vec![existing("k", "w")]).await;
    world.stop_service().await;
    let other = world.beside(&database(&world, "other")).await;
    until_leading(&mut other.client.clone(), "of-the-other").await;
    world.start_service().await;
    stands_by(&mut world.client).await;
    until_so("it watches", async || is_serving(world.address()).await).await;

    // It sees one change, and not the others.
    let edit = json!({ "stringData": { "k": "edited" } });
    world.secrets().patch("edited", &PatchParams::default(), &Patch::Merge(edit)).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    world.cluster().faults().add(FaultRule::new(ClusterFault::WatchSilent).resource("secrets"));
    world.secrets().delete("removed", &DeleteParams::default()).await.unwrap();
    world.somebody.sets("w", "newer").await;
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.edge("edited").await.unwrap()["k"], "edited");
    assert_eq!(world.edge("removed").await, None);
    assert_eq!(world.edge("followed").await.unwrap()["k"], "value");
    assert_eq!(
        world.get("edited").await.state(),
        State::Synced,
        "what it does not act for it does not judge"
    );

    other.stop().await;
    let looked = async {
        // The other one has recorded nothing, so nothing of this is its doing.
        for (id, value) in [("edited", "value"), ("removed", "value"), ("followed", "newer")] {
            let holds = async || world.edge(id).await.is_some_and(|data| data["k"] == value);
            until_so(id, holds).await;
        }
    };
    timeout(AT_ONCE * 2, looked).await.expect("without waiting for the watch or the next rotation check");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_the_lease_a_change_fails_and_names_the_right() {
    needs!(the_double);
    let mut world = World::start().await;
    let forbidden = Fault::status(403, "Forbidden");
    world.stop_service().await;
    world.cluster().faults().add(FaultRule::new(forbidden).resource("leases"));
    world.start_service().await;
    let wanted = SyncedSecret::default();
    let request = CreateSyncedSecretRequest {
        synced_secret_id: "a".to_owned(),
        synced_secret: Some(SyncedSecret { references: vec![existing("k", "v")], ..wanted }),
        ..Default::default()
    };
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert_eq!((refused.code, refused.reason.as_str()), (Code::PermissionDenied, "EDGE_FORBIDDEN"));
    assert!(refused.message.contains("create, get, update on leases"), "{}", refused.message);
    assert_eq!(leader(&mut world.client).await.status(), Status::Unknown);
    world.cluster().faults().clear();
    let took = until_leading(&mut world.client, "granted").await;
    assert!(took < AT_ONCE, "{took:?}");
}
