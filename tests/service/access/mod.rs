//! Locked doors: who may call, what they may do, and that what is refused is recorded.

mod caller;
mod certificates;
mod denials;
mod floods;
mod headers;
mod keys;
mod oidc;
mod references;
mod requests;
mod table;

use std::time::Duration;

use secret_service::access;

use crate::support::{
    Options, World,
    callers::{AUDIENCE, BOTH, EVERYTHING, LOOKING},
};

/// How long what the cluster said is remembered in these tests.
const REMEMBERED: Duration = Duration::from_millis(500);

/// Only who shows a token of the cluster is let in.
pub fn locked() -> access::Options {
    let tokens = access::TokenOptions {
        audience: AUDIENCE.to_owned(),
        life: REMEMBERED,
        ..access::TokenOptions::default()
    };
    access::Options {
        tokens: Some(tokens),
        anonymous: false,
        decision_life: REMEMBERED,
        ..access::Options::local_only()
    }
}

/// A locked world with a viewer and an editor.
pub async fn world(change: impl FnOnce(&mut access::Options)) -> World {
    let mut options = Options { access: locked(), ..Options::default() };
    change(&mut options.access);
    world_with(options).await
}

/// With more choices.
pub async fn world_with(options: Options) -> World {
    let world = World::start_with(options).await;
    world.account("viewer", &BOTH, &LOOKING, &[]).await;
    world.account("editor", &BOTH, &EVERYTHING, &[]).await;
    world
}
