//! What uses a synced secret: it shows, it is filtered by, and it stands in the way of a deletion and of a change.

mod deletion;
mod every_kind;
mod luck;
mod outputs;
mod shown;
mod silence;
mod workloads;

use std::time::Duration;

use kubernetes_double::{AnyFault, ClusterFault, Fault, FaultRule, OnResource};
use secret_service::{
    edge::UsageOptions,
    model::UsageRules,
    proto::{
        AdoptSyncedSecretRequest, AuditEvent, Condition, CreateSyncedSecretRequest, ListAuditEventsRequest,
        ListSecretUsagesRequest, ListSyncedSecretsRequest, SecretUsage, SyncedSecret, SyncedSecretFilter,
        synced_secret_filter::UsedBy,
    },
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Options, PATIENCE, Site, World, requests::*, users};

const PROFILE: &str = "AssetEndpointProfile.deviceregistry.microsoft.com";
const USERNAME: &str = "spec.authentication.usernamePasswordCredentials.usernameSecretName";

/// A service on a cluster with the kinds of AIO, and synced secrets with the keys `username` and `password`.
async fn made(ids: &[&str]) -> World {
    made_with_pauses(ids, options().usages.interval).await
}

/// The same, with a pause between two looks at what kinds there are.
async fn made_with_pauses(ids: &[&str], interval: Duration) -> World {
    let site = Site::start().await;
    users::install(&site.kube).await;
    let mut options = options();
    options.usages.interval = interval;
    made_on(site, ids, options).await
}

async fn made_on(site: Site, ids: &[&str], options: Options) -> World {
    let mut world = World::start_on(site, options).await;
    world.seed("v", "value").await;
    for id in ids {
        let references = vec![existing("username", "v"), existing("password", "v")];
        world.create(id, references).await;
    }
    world
}

fn options() -> Options {
    with_rules(&[])
}

fn with_rules(lines: &[String]) -> Options {
    let rules = UsageRules::with(lines.iter().map(|line| line.parse().unwrap()));
    let interval = Duration::from_millis(200);
    Options { usages: UsageOptions { rules, interval }, ..Options::default() }
}

/// What an asset endpoint profile says.
fn naming(username: &str) -> Value {
    json!({ "authentication": { "usernamePasswordCredentials": { "usernameSecretName": username } } })
}

async fn usages(world: &mut World, id: &str) -> Vec<SecretUsage> {
    let request = ListSecretUsagesRequest { parent: name(id), page_size: 1_000, ..Default::default() };
    world.client.list_secret_usages(request).await.unwrap().into_inner().usages
}

async fn until_usages(
    world: &mut World,
    id: &str,
    wanted: impl Fn(&[SecretUsage]) -> bool,
) -> Vec<SecretUsage> {
    let begun = Instant::now();
    loop {
        let usages = usages(world, id).await;
        if wanted(&usages) {
            return usages;
        }
        assert!(begun.elapsed() < PATIENCE, "{id} never came to be used as wanted: {usages:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

fn in_use(secret: &SyncedSecret) -> Option<&Condition> {
    condition_of(&secret.conditions, "InUse")
}

fn is_in_use(secret: &SyncedSecret, reason: &str) -> bool {
    in_use(secret).is_some_and(|condition| condition.reason == reason)
}

async fn ids(world: &mut World, used_by: UsedBy) -> Vec<String> {
    let filter = Some(SyncedSecretFilter { used_by: Some(used_by), ..Default::default() });
    let request = ListSyncedSecretsRequest { filter, ..Default::default() };
    let page = world.client.list_synced_secrets(request).await.unwrap().into_inner();
    assert_eq!(page.total_size as usize, page.synced_secrets.len());
    page.synced_secrets
        .iter()
        .map(|secret| secret.name.trim_start_matches("syncedSecrets/").to_owned())
        .collect()
}

async fn audited(world: &mut World, id: &str, action: &str) -> Option<String> {
    events(world, id, action).await.pop().map(|event| event.detail)
}

/// What the history has of an action, the oldest last.
async fn events(world: &mut World, id: &str, action: &str) -> Vec<AuditEvent> {
    let request = ListAuditEventsRequest { resource: name(id), page_size: 100, ..Default::default() };
    let events = world.client.list_audit_events(request).await.unwrap().into_inner().audit_events;
    events.into_iter().filter(|event| event.action == action).collect()
}

/// An asset endpoint profile that uses a synced secret, which is known.
async fn used(world: &mut World, profile: &str, id: &str) {
    world.applies(PROFILE, profile, naming(&format!("{id}/username"))).await;
    until_usages(world, id, |usages| usages.iter().any(|usage| usage.resource == profile)).await;
    world.until(id, |secret| is_in_use(secret, "Used")).await;
}

fn refused(code: u16) -> Fault {
    Fault::status(code, "")
}

async fn until_usages_end(world: &mut World, id: &str) {
    until_usages(world, id, <[_]>::is_empty).await;
    world.until(id, |secret| is_in_use(secret, "NotUsed")).await;
}
