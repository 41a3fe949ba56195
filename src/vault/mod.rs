//! The Key Vault client on top of the Azure SDK: secrets and versions in terms of the model, with deadlines,
//! rate limiting and fair queueing.

mod assertion;
mod client;
mod convert;
mod credential;
mod credential_error;
mod error;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod paging;
mod rate_limiter;
mod renewable_credential;
mod sdk_error;
#[cfg(test)]
mod tests;
mod transport;

use std::{path::PathBuf, time::Duration};

use url::Url;

pub use client::{LastWrite, Vault};
pub use credential::{Cloud, Credential};
pub use error::VaultError;

/// The tracing targets that telemetry limits to `warn`. At `debug` and `trace` the SDK logs URLs and headers
/// of requests, and the HTTP and TLS crates below it log frames and headers, including tokens.
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

/// Options of the client.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vault, for example `https://contoso.vault.azure.net/`.
    pub uri: Url,
    /// The identity of the client.
    pub credential: Credential,
    /// The cloud that issues tokens.
    pub cloud: Cloud,
    /// The `api-version` of every request; `None` for the SDK's default.
    pub api_version: Option<String>,
    /// Whether to check that the vault's 401 challenge names a resource in the vault's own domain.
    pub verify_challenge: bool,
    /// Certificates (PEM) to trust in addition to the public ones.
    pub ca_file: Option<PathBuf>,
    /// Deadline of every call, including retries.
    pub timeout: Duration,
    /// Maximum requests in flight. Each uses a connection. One caller gets at most half of those that others
    /// leave free.
    pub concurrency: usize,
    /// Maximum queued requests. One caller gets at most an eighth.
    pub waiting: usize,
    /// Maximum requests in any ten seconds; `None` for no limit. Key Vault allows 4,000 for all its clients.
    pub requests_per_10s: Option<u32>,
}

#[cfg(test)]
impl Options {
    /// For tests that ask the vault for nothing.
    pub(crate) fn of_tests() -> Self {
        Self {
            uri: "https://contoso.vault.azure.net/".parse().unwrap(),
            credential: Credential::AzureCli { tenant_id: None },
            cloud: Cloud::Public,
            api_version: None,
            verify_challenge: true,
            ca_file: None,
            timeout: Duration::from_secs(1),
            concurrency: 1,
            waiting: 2_048,
            requests_per_10s: None,
        }
    }
}

/// Who waits for the result of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// A caller of the API, see [`Vault::of`]. Goes first.
    Interactive,
    /// Nobody: the service's own work.
    Background,
}

/// A page of a list in the vault.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// In the vault's order; at most 25.
    pub items: Vec<T>,
    /// The vault's opaque continuation; `None` on the last page.
    pub next: Option<String>,
}
