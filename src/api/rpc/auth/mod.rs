//! Authentication and authorization of calls. Refused calls are recorded in the audit.

mod authorizer;
mod context;
mod credentials;
mod key_visibility;
mod reauthorization;

pub(crate) use authorizer::Authorizer;
pub(crate) use context::caller;
pub(crate) use credentials::PresentedCredentials;
pub(crate) use key_visibility::KeyVisibility;
pub(crate) use reauthorization::Reauthorization;
