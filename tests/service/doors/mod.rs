//! Who wears the service out: floods by whoever shows no credentials, and by whoever has a token and few rights. Each ends in a
//! refusal that names its limit, and others are served meanwhile.

mod connections;
mod open;
mod page;
mod requests;
mod tokens;
pub mod wire;

use secret_service::{api, proto::ListSyncedSecretsRequest};
use tonic::{Code, Status};

use crate::support::{Options, World, requests::told};

/// A world with limits, where everybody on this machine may do everything.
async fn limited(change: impl FnOnce(&mut api::Limits)) -> World {
    let mut options = Options::default();
    change(&mut options.limits);
    World::start_with(options).await
}

/// That somebody who means well is served.
async fn serves(world: &World) {
    let mut good = world.client.clone();
    good.list_synced_secrets(ListSyncedSecretsRequest::default()).await.expect("others are served");
}

/// That a call was refused for a limit, which the message names with its number.
#[track_caller]
fn is_refused(status: &Status, code: Code, reason: &str, number: &str) {
    let told = told(status);
    assert_eq!((told.code, told.reason.as_str()), (code, reason), "{}", told.message);
    assert!(told.message.contains(&format!("({number})")), "{}", told.message);
}
