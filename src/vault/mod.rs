//! The Key Vault, through the Azure SDK: secrets and versions in the model's terms, under deadlines, at a pace that the vault
//! bears.

mod assertion;
mod cause;
mod client;
mod convert;
mod credential;
mod error;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod pace;
mod paging;
mod renewal;
mod sdk_error;
#[cfg(test)]
mod tests;
mod transport;

use std::{path::PathBuf, time::Duration};

use url::Url;

pub use client::{LastSet, Vault};
pub use credential::{Cloud, Credential};
pub use error::VaultError;

/// The tracing targets that telemetry pins to `warn`. At `debug` and `trace` the SDK logs URLs and headers of requests, and the
/// HTTP and TLS crates below it log frames and headers as they travel, tokens among them.
pub const QUIET_TARGETS: &[&str] = &[
    "azure_core",
    "azure_identity",
    "azure_security_keyvault_secrets",
    "h2",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustls",
    "typespec",
    "typespec_client_core",
];

/// Which vault, as whom, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// For example `https://contoso.vault.azure.net/`.
    pub uri: Url,
    /// As whom.
    pub credential: Credential,
    /// Where tokens come from.
    pub cloud: Cloud,
    /// The `api-version` of every request; the SDK's own where absent.
    pub api_version: Option<String>,
    /// Whether the resource named by the vault's 401 challenge must be of the vault's own domain.
    pub verify_challenge: bool,
    /// Certificates (PEM) to trust besides the public ones.
    pub ca_file: Option<PathBuf>,
    /// Deadline of every call, retries included.
    pub timeout: Duration,
    /// Requests in flight at a time: each is a connection. Of one caller half of those that the others leave, at most.
    pub concurrency: usize,
    /// Requests that wait for their turn. Of one caller an eighth at most.
    pub waiting: usize,
    /// Requests in any ten seconds; Key Vault bears 4,000 over all its callers. Unlimited where absent.
    pub requests_per_10s: Option<u32>,
}

/// Who waits for a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A person, or who calls for one, see [`Vault::of`]: goes first.
    Interactive,
    /// Nobody.
    Background,
}

/// A page of a list that the vault keeps.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In the vault's order; at most 25.
    pub items: Vec<T>,
    /// The vault's own continuation, opaque; absent after the last page.
    pub next: Option<String>,
}
