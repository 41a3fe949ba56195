//! kill -9 in the middle of a hand-over between the engines: it ends in one owner, and the Secret is the same all the time.

use std::{collections::BTreeMap, time::Duration};

use kube::ResourceExt;
use kubernetes_double::{Fault, FaultRule, OnResource, Phase};
use secret_service::proto::{SyncedSecret, synced_secret::State};

use super::{process::Process, rebuild::lose_database};
use crate::support::{PATIENCE, Site, requests::*, until};

/// What a Secret holds.
type Held = BTreeMap<String, String>;

/// Where the process is stopped: it waits for the API server's answer to this verb on this resource.
type Point = (&'static str, &'static str);

const TO_THE_EXTENSION: [Point; 3] =
    [("patch", "secrets"), ("patch", "secretproviderclasses"), ("patch", "secretsyncs")];
/// The class goes with the SecretSync that owns it, before we come to it.
const BACK: [Point; 3] = [("patch", "secretsyncs"), ("patch", "secrets"), ("delete", "secretsyncs")];

/// A site with one synced secret in an engine; nobody serves it now.
async fn synced_in(engine: &str) -> Site {
    let mut site = Site::start().await;
    site.install_extension().await;
    site.seed("pump-user", "operator").await;
    let mut process = Process::serve_in(engine, &site).await;
    process.create("edp1", vec![existing("username", "pump-user")]).await;
    until(&mut process.client, "edp1", |secret| secret.state() == State::Synced).await;
    process.kill().await;
    site
}

/// Starts the other engine and kills it at the point, before or after the request took effect.
async fn killed_at(site: &Site, engine: &str, (verb, resource): Point, phase: Phase) {
    let hang = FaultRule { phase, ..FaultRule::new(Fault::Hang).verb(verb).resource(resource) };
    site.cluster().faults().add(hang);
    let before = site.cluster().requests().of(verb, resource);
    let process = Process::serve_in(engine, site).await;
    let begun = tokio::time::Instant::now();
    while site.cluster().requests().of(verb, resource) == before {
        assert!(begun.elapsed() < PATIENCE, "it never came to {verb} {resource}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What takes effect before its answer is lost has taken effect by now.
    tokio::time::sleep(Duration::from_millis(100)).await;
    process.kill().await;
    site.cluster().faults().clear();
}

/// Waits until the edge is as the engine leaves it: one owner.
async fn settled(site: &Site, engine: &str) {
    let begun = tokio::time::Instant::now();
    loop {
        let secret = site.secrets().get("edp1").await.expect("the Secret is there all the time");
        let owners = secret.metadata.owner_references.unwrap_or_default();
        let is_owned = owners.iter().any(|owner| owner.kind == "SecretSync");
        let sync = site.syncs().get_opt("edp1").await.unwrap();
        let class = site.classes().get_opt("edp1").await.unwrap();
        let is_so = match engine {
            "direct" => !is_owned && sync.is_none() && class.is_none(),
            _ => {
                is_owned
                    && class.is_some()
                    && sync.is_some_and(|sync| sync.spec.secret_provider_class_name == "edp1")
            }
        };
        if is_so {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{engine}: there is never one owner");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn before_and_after(points: &[Point]) -> impl Iterator<Item = (Point, Phase)> {
    points.iter().flat_map(|point| [(*point, Phase::Before), (*point, Phase::After)])
}

/// A site whose synced secret one engine made, and another was killed in taking over; the uid and the data of the Secret before.
async fn killed_between(
    from: &str,
    to: &str,
    point: Point,
    phase: Phase,
) -> (Site, Option<String>, Option<Held>) {
    let site = synced_in(from).await;
    let (uid, held) = (site.secrets().get("edp1").await.unwrap().uid(), site.edge("edp1").await);
    killed_at(&site, to, point, phase).await;
    (site, uid, held)
}

async fn survives(from: &str, to: &str, points: &[Point]) {
    for (point, phase) in before_and_after(points) {
        let (site, uid, held) = killed_between(from, to, point, phase).await;
        assert_eq!(
            site.secrets().get("edp1").await.unwrap().uid(),
            uid,
            "{from} to {to}, killed at {point:?}, {phase:?}"
        );

        let mut process = Process::serve_in(to, &site).await;
        settled(&site, to).await;
        until(&mut process.client, "edp1", |secret| secret.state() == State::Synced).await;
        // Garbage collection would have come by now.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(
            site.secrets().get("edp1").await.unwrap().uid(),
            uid,
            "{from} to {to}, killed at {point:?}, {phase:?}"
        );
        assert_eq!(site.edge("edp1").await, held);
        process.kill().await;
    }
}

/// Where the database is lost in the middle, the Secret stays as it is: it is a synced secret again, or nobody can tell and it is listed.
async fn survives_without_its_database(from: &str, to: &str, points: &[Point]) {
    for (point, phase) in before_and_after(points) {
        let (site, uid, held) = killed_between(from, to, point, phase).await;
        lose_database(&site).await;

        let mut process = Process::serve_in(to, &site).await;
        let is_told =
            |secret: &SyncedSecret| secret.state() == State::Synced || synced_reason(secret) == "NotRecorded";
        let told = until(&mut process.client, "edp1", is_told).await;
        if told.state() == State::Synced {
            settled(&site, to).await;
        }
        // Garbage collection would have come by now.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let secret = site.secrets().get("edp1").await.unwrap();
        assert_eq!(secret.uid(), uid, "{from} to {to}, killed at {point:?}, {phase:?}: {told:?}");
        assert_eq!(site.edge("edp1").await, held, "{from} to {to}, killed at {point:?}, {phase:?}: {told:?}");
        process.kill().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_that_is_killed_anywhere_and_loses_its_database_leaves_the_secret_unchanged() {
    needs!(the_double);
    survives_without_its_database("direct", "secret-store", &TO_THE_EXTENSION).await;
    survives_without_its_database("secret-store", "direct", &BACK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_to_the_extension_that_is_killed_anywhere_completes_with_the_same_secret() {
    needs!(the_double);
    survives("direct", "secret-store", &TO_THE_EXTENSION).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_back_that_is_killed_anywhere_completes_with_the_same_secret() {
    needs!(the_double);
    survives("secret-store", "direct", &BACK).await;
}
