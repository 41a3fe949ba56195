//! kill -9 at every point where the process waits for somebody else, and at moments of no choice: nothing that was asked for is
//! lost, nothing is done twice, nothing of others is touched.

use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use key_vault_double::{OnOperation, Operation};
use kube::api::PostParams;
use kubernetes_double::{Fault, FaultRule, OnResource};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use secret_service::proto::{
    AdoptSyncedSecretRequest, CreateSyncedSecretRequest, SyncedSecret, UpdateSyncedSecretRequest,
    synced_secret::State,
};
use tonic::Code;
use uuid::Uuid;

use super::audit::audit;
use super::process::{Process, log};
use crate::support::{PATIENCE, Site, requests::*, until, until_so};

mod extension;

/// Where the process is stopped: it waits for an answer that does not come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Point {
    Vault(Operation, bool),
    /// The verb and the resource.
    Edge(&'static str, &'static str, bool),
}

pub const POINTS: [Point; 10] = [
    Point::Vault(Operation::SecretGetDeleted, false),
    Point::Vault(Operation::SecretSet, false),
    Point::Vault(Operation::SecretSet, true),
    Point::Vault(Operation::SecretListVersions, false),
    Point::Vault(Operation::SecretGet, false),
    Point::Edge("get", "secrets", false),
    Point::Edge("patch", "secrets", false),
    Point::Edge("patch", "secrets", true),
    Point::Edge("delete", "secrets", false),
    Point::Edge("delete", "secrets", true),
];

/// A service with the pair at the edge, and the pair as an update changes it.
pub async fn with_pair_to_change(site: &Site) -> (Process, SyncedSecret) {
    let mut process = Process::serve(site).await;
    let made = process.client.create_synced_secret(pair()).await.unwrap().into_inner();
    (process, SyncedSecret { description: "changed".to_owned(), etag: String::new(), ..made })
}

fn hang(site: &Site, point: Point) {
    match point {
        Point::Vault(operation, after) => {
            let rule = FaultRule::new(Fault::Hang).on(operation);
            site.vault.faults().add(if after { rule.after() } else { rule });
        }
        Point::Edge(verb, resource, after) => {
            let hang = FaultRule::new(Fault::Hang).verb(verb).resource(resource);
            site.cluster().faults().add(if after { hang.after() } else { hang });
        }
    }
}

fn mend(site: &Site) {
    site.vault.faults().clear();
    site.cluster().faults().clear();
}

pub fn pair() -> CreateSyncedSecretRequest {
    let references = vec![
        created("username", "edp1-username", "alice-1"),
        created("password", "edp1-password", "secret-1"),
    ];
    CreateSyncedSecretRequest { request_id: Uuid::new_v4().to_string(), ..create("edp1secrets", references) }
}

/// How often the process has come to a point.
fn reached(site: &Site, point: Point) -> u64 {
    match point {
        Point::Vault(operation, _) => site.vault.requests().of(operation),
        Point::Edge(verb, resource, _) => site.cluster().requests().of(verb, resource),
    }
}

/// Calls, and kills the process while the call hangs at the point; after the call, where it does not come there. Whether it did.
pub async fn killed_at<T: Send + 'static>(
    site: &Site,
    process: Process,
    point: Point,
    call: impl Future<Output = Result<T, tonic::Status>> + Send + 'static,
) -> bool {
    hang(site, point);
    let before = reached(site, point);
    let call = tokio::spawn(call);
    let begun = tokio::time::Instant::now();
    while reached(site, point) == before && !call.is_finished() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What takes effect before its answer is lost has taken effect by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    process.kill().await;
    call.abort();
    mend(site);
    reached(site, point) > before
}

/// The edge holds one complete set, or nothing.
pub async fn is_complete(site: &Site, sets: &[[&str; 2]]) -> bool {
    match site.edge("edp1secrets").await {
        None => true,
        Some(data) => {
            let held = [data["username"].as_str(), data["password"].as_str()];
            data.len() == 2 && sets.contains(&held)
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_killed_anywhere_is_finished_by_its_retry_and_nothing_is_stored_twice() {
    for point in POINTS.into_iter().filter(|point| !matches!(point, Point::Edge("delete", ..))) {
        let site = Site::start().await;
        let process = Process::serve(&site).await;
        let (mut client, request) = (process.client.clone(), pair());
        killed_at(&site, process, point, {
            let request = request.clone();
            async move { client.create_synced_secret(request).await }
        })
        .await;

        let mut process = Process::serve(&site).await;
        let made = process
            .client
            .create_synced_secret(request)
            .await
            .unwrap_or_else(|status| panic!("{point:?}: {status}"))
            .into_inner();
        assert_eq!(made.state(), State::Synced, "{point:?}: {made:?}");
        let edge = site.edge("edp1secrets").await.unwrap();
        assert_eq!(
            (edge["username"].as_str(), edge["password"].as_str()),
            ("alice-1", "secret-1"),
            "{point:?}"
        );
        for name in ["edp1-username", "edp1-password"] {
            let request = secret_service::proto::ListVaultSecretVersionsRequest {
                parent: vault_name(name),
                ..Default::default()
            };
            let versions =
                process.client.list_vault_secret_versions(request).await.unwrap().into_inner().versions;
            assert_eq!(versions.len(), 1, "{point:?}: {name} was stored twice");
        }
    }
}

/// Creates the pair, and is killed meanwhile.
pub async fn killed_in_create(site: &Site, point: Point) {
    let process = Process::serve(site).await;
    let mut client = process.client.clone();
    killed_at(site, process, point, async move { client.create_synced_secret(pair()).await }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_killed_and_not_retried_is_finished_or_reports_a_remedy() {
    for point in POINTS.into_iter().filter(|point| !matches!(point, Point::Edge("delete", ..))) {
        let site = Site::start().await;
        killed_in_create(&site, point).await;

        let mut process = Process::serve(&site).await;
        let before_intent = matches!(
            point,
            Point::Vault(Operation::SecretGetDeleted, _)
                | Point::Vault(Operation::SecretListVersions, _)
                | Point::Edge("get", ..)
        );
        match process.client.get_synced_secret(get("edp1secrets")).await {
            Err(status) => {
                assert!(before_intent && status.code() == Code::NotFound, "{point:?}: {status}");
                continue;
            }
            Ok(_) => {
                let settled = |secret: &SyncedSecret| matches!(secret.state(), State::Synced | State::Failed);
                let secret = until(&mut process.client, "edp1secrets", settled).await;
                if secret.state() == State::Failed {
                    assert_eq!(synced_reason(&secret), "ValueNotStored", "{point:?}");
                    assert!(
                        secret.conditions[0].message.contains("request_id"),
                        "{}",
                        secret.conditions[0].message
                    );
                }
            }
        }
        assert!(is_complete(&site, &[["alice-1", "secret-1"]]).await, "{point:?}");
        process.client.delete_synced_secret(delete("edp1secrets")).await.unwrap();
        assert!(site.edge("edp1secrets").await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_a_rotation_and_a_delete_resume_by_themselves_after_a_kill() {
    for point in POINTS {
        let site = Site::start().await;
        let (process, wanted) = with_pair_to_change(&site).await;
        let mut client = process.client.clone();
        let request = UpdateSyncedSecretRequest { wait: None, ..update(wanted, &["description"]) };
        killed_at(&site, process, point, async move {
            client.update_synced_secret(request).await?;
            client.add_vault_secret_version(add_version("edp1-username", "alice-2")).await
        })
        .await;
        assert!(is_complete(&site, &[["alice-1", "secret-1"], ["alice-2", "secret-1"]]).await, "{point:?}");

        let process = Process::serve(&site).await;
        let mut client = process.client.clone();
        let secret = until(&mut client, "edp1secrets", |secret| secret.synced_generation == 2).await;
        assert_eq!((secret.description.as_str(), secret.state()), ("changed", State::Synced), "{point:?}");
        client.sync_synced_secret(sync("edp1secrets")).await.unwrap();
        let latest = site.somebody.reads("edp1-username").await;
        assert_eq!(site.edge("edp1secrets").await.unwrap()["username"], latest, "{point:?}");

        killed_at(
            &site,
            process,
            point,
            async move { client.delete_synced_secret(delete("edp1secrets")).await },
        )
        .await;
        let process = Process::serve(&site).await;
        let mut client = process.client.clone();
        let gone = async {
            while client.get_synced_secret(get("edp1secrets")).await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone).await.unwrap_or_else(|_| panic!("{point:?}: never deleted"));
        assert!(site.edge("edp1secrets").await.is_none(), "{point:?}");
        assert_eq!(site.somebody.reads("edp1-password").await, "secret-1", "the vault is not touched");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adoption_that_is_killed_anywhere_is_finished_by_its_retry_and_keeps_the_secret() {
    let may_come = |point: &Point| {
        matches!(point, Point::Vault(Operation::SecretGet, _) | Point::Edge("get" | "patch", ..))
    };
    let mut met = 0;
    for point in POINTS.into_iter().filter(may_come) {
        let site = Site::start().await;
        site.seed("pump-user", "operator").await;
        let mut secret = Secret::default();
        secret.metadata.name = Some("by-hand".to_owned());
        secret.string_data = Some([("username".to_owned(), "operator".to_owned())].into());
        let kubectl =
            PostParams { field_manager: Some("kubectl-create".to_owned()), ..PostParams::default() };
        let before = site.secrets().create(&kubectl, &secret).await.unwrap();
        let process = Process::serve(&site).await;
        let references = vec![existing("username", "pump-user")];
        let request_id = Uuid::new_v4().to_string();
        let request = AdoptSyncedSecretRequest {
            name: name("by-hand"),
            references,
            request_id,
            ..AdoptSyncedSecretRequest::default()
        };
        let (mut client, first) = (process.client.clone(), request.clone());
        met += usize::from(
            killed_at(&site, process, point, async move { client.adopt_synced_secret(first).await }).await,
        );
        assert_eq!(site.edge("by-hand").await.unwrap()["username"], "operator", "{point:?}");

        let mut process = Process::serve(&site).await;
        let again = process.client.adopt_synced_secret(request).await;
        again.unwrap_or_else(|status| panic!("{point:?}: {status}"));
        until(&mut process.client, "by-hand", |secret| secret.state() == State::Synced).await;
        let after = site.secrets().get("by-hand").await.unwrap();
        assert_eq!(after.metadata.uid, before.metadata.uid, "{point:?}: it is the same Secret");
        assert_eq!(site.edge("by-hand").await.unwrap()["username"], "operator", "{point:?}");
        // It follows the vault from now on.
        site.somebody.sets("pump-user", "another").await;
        let held = async || site.edge("by-hand").await.is_some_and(|data| data["username"] == "another");
        until_so("it follows the vault", held).await;
    }
    assert!(met >= 2, "an adoption waits at {met} of these points");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_kills_at_random_moments_lose_nothing_acknowledged() {
    let mut random = StdRng::seed_from_u64(20_261_124);
    let site = Site::start().await;
    site.seed("shared", "the shared value").await;
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let process = Process::serve(&site).await;
        let client = process.client.clone();
        let calls = tokio::spawn(async move {
            let mut done = Vec::new();
            for number in 0..200 {
                let id = format!("r{round:02}-{number:03}");
                let references =
                    vec![existing("shared", "shared"), created("own", &format!("own-{id}"), &id)];
                let request = CreateSyncedSecretRequest { wait: None, ..create(&id, references) };
                match client.clone().create_synced_secret(request).await {
                    Ok(_) => done.push(id),
                    Err(_) => break,
                }
            }
            done
        });
        tokio::time::sleep(Duration::from_millis(random.random_range(5..600))).await;
        process.kill().await;
        acknowledged.extend(calls.await.unwrap());
    }
    assert!(acknowledged.len() > 12, "the process did something between the kills: {}", acknowledged.len());

    let mut process = Process::serve(&site).await;
    for id in &acknowledged {
        until(&mut process.client, id, |secret| secret.state() == State::Synced).await;
        let edge = site.edge(id).await.unwrap_or_else(|| panic!("{id} is not at the edge"));
        assert_eq!(
            (edge["own"].as_str(), edge["shared"].as_str(), edge.len()),
            (id.as_str(), "the shared value", 2)
        );
    }
    let left = site.secrets().list(&Default::default()).await.unwrap().items;
    for secret in left {
        let id = secret.metadata.name.unwrap();
        assert!(
            process.client.get_synced_secret(get(&id)).await.is_ok(),
            "{id} at the edge belongs to nobody"
        );
    }
    assert!(process.terminate().await.success());
    let (code, told, broken) = audit(&site, &["verify"]).await;
    assert_eq!(code, Some(0), "no kill breaks the chain of the audit: {told}{broken}");

    let log = std::fs::read_to_string(log(&site)).unwrap();
    assert!(!log.contains("the shared value"));
}
