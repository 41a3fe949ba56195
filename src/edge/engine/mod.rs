//! The two ways in which a synced secret reaches the edge: this service writes its Secret itself, or the Secret Store extension does.

pub(super) mod direct;
pub mod secret_store;
