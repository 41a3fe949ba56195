//! The RPCs of the contract.

pub(crate) mod auth;
pub(crate) mod convert;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
pub(crate) mod methods;
pub(crate) mod mutation;
pub(crate) mod pages;
pub(crate) mod permissions;
pub(crate) mod service;
pub(crate) mod token;
pub(crate) mod update_synced_secret;
pub(crate) mod watch_synced_secrets;
