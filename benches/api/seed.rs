//! Databases of a given size, made through the API itself.

use futures::{StreamExt, TryStreamExt};
use secret_service::proto::{CreateSyncedSecretRequest, SyncedSecret};

use crate::support::{World, requests::*};

/// Made at a time.
const IN_FLIGHT: usize = 64;

/// A service with this many synced secrets, `s-00000` and on, of two references each.
pub async fn world(secrets: usize) -> World {
    let world = World::start().await;
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

/// What Get answers.
pub async fn example(world: &World) -> SyncedSecret {
    world.client.clone().get_synced_secret(get("s-00050")).await.expect("it is there").into_inner()
}
