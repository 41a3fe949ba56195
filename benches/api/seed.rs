//! Databases of a given size, made through the API itself.

use futures::{StreamExt, TryStreamExt};
use secret_service::proto::{CreateSyncedSecretRequest, SyncedSecret, synced_secret_filter::UsedBy};
use serde_json::json;

use crate::support::{Options, Site, World, requests::*, users as kinds};

/// Made at a time.
const IN_FLIGHT: usize = 64;

/// A service with this many synced secrets, `s-00000` and on, of two references each.
pub async fn world(secrets: usize) -> World {
    world_on(Site::start().await, secrets).await
}

async fn world_on(site: Site, secrets: usize) -> World {
    let world = World::start_on(site, Options::default()).await;
    world.seed("seed-username", "alice").await;
    world.seed("seed-password", "correct horse").await;
    let made = futures::stream::iter(0..secrets).map(|number| {
        let mut client = world.client.clone();
        let references = vec![existing("username", "seed-username"), existing("password", "seed-password")];
        let request =
            CreateSyncedSecretRequest { wait: None, ..create(&format!("s-{number:05}"), references) };
        async move { client.create_synced_secret(request).await.map(drop) }
    });
    made.buffer_unordered(IN_FLIGHT).try_collect::<Vec<_>>().await.expect("the seed is made");
    let mut last = world;
    for number in [0, secrets / 2, secrets - 1] {
        let synced = secret_service::proto::synced_secret::State::Synced;
        last.until_state(&format!("s-{number:05}"), synced).await;
    }
    last
}

/// The same, and for each synced secret a resource of AIO that uses it.
pub async fn used(secrets: usize) -> World {
    let site = Site::start().await;
    kinds::install(&site.kube).await;
    let mut world = world_on(site, secrets).await;
    let apply = async |number: usize| {
        let credentials = json!({ "usernameSecretName": format!("s-{number:05}/username") });
        let spec = json!({ "authentication": { "usernamePasswordCredentials": credentials } });
        let kind = "AssetEndpointProfile.deviceregistry.microsoft.com";
        world.applies(kind, &format!("r-{number:05}"), spec).await;
    };
    futures::stream::iter(0..secrets).map(apply).buffer_unordered(IN_FLIGHT).collect::<Vec<()>>().await;
    let is_used =
        |secret: &SyncedSecret| secret.conditions.iter().any(|condition| condition.reason == "Used");
    for number in [0, secrets / 2, secrets - 1] {
        world.until(&format!("s-{number:05}"), is_used).await;
    }
    world
}

/// The kind that uses them.
pub fn users() -> UsedBy {
    UsedBy { kind: "AssetEndpointProfile".to_owned(), ..Default::default() }
}

/// What Get answers.
pub async fn example(world: &World) -> SyncedSecret {
    world.client.clone().get_synced_secret(get("s-00050")).await.expect("it is there").into_inner()
}
