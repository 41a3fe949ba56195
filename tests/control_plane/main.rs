//! The real control plane of the tests: that it is the real thing, that the product's role is enough for the edge, that its tokens
//! open the vault, that what the double is held to is true, and that nothing of it is left behind.

#![allow(missing_docs)]

#[macro_use]
#[path = "../support/mod.rs"]
mod support;

mod access;
mod admission_policy;
mod client_go;
mod crash;
mod deployment;
mod edge;
mod leader;
mod objects;
mod rights;
mod store;
mod uses;
mod workload_identity;

use std::time::Duration;

use support::{control_plane, until_so_within};

/// A namespace's end takes seconds: the controllers ask again and again whether it is empty.
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again until the answer is yes.
async fn until(what: &str, is_so: impl AsyncFnMut() -> bool) {
    until_so_within(PATIENCE, what, is_so).await;
}

/// The status code of a refusal.
fn refusal<T: std::fmt::Debug>(answer: kube::Result<T>) -> u16 {
    match answer {
        Err(kube::Error::Api(status)) => status.code,
        other => panic!("not refused by the API server: {other:?}"),
    }
}
