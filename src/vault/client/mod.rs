//! The client of the vault: connection, identity, and how requests are sent. The operations are in `read` and `write`.

mod read;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use azure_core::http::{ClientOptions, RetryOptions, Transport as SdkTransport, response::ResponseBody};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions, models::Secret};
use parking_lot::RwLock;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};
use url::Url;
use zeroize::Zeroize;

use super::{
    Options, Priority, VaultError,
    rate_limiter::{Limits, Owner, RateLimiter, Rejected},
    renewable_credential::RenewableCredential,
    sdk_error::{Operation, map_error},
    transport::{Proxies, Transport},
};
use crate::{backoff::Backoff, fence::Fence, peer_clock::PeerClock, quote::Quote};
pub use write::LastWrite;

/// Attempts in all for idempotent requests.
const IDEMPOTENT_ATTEMPTS: u32 = 3;
/// The pauses before the second attempt and before the third. Half of each is jitter.
const BACKOFF: Backoff = Backoff::growing(4.0, Duration::from_millis(200), Duration::from_millis(800));

/// A client of a Key Vault, for one caller. Cheap to clone: clones share connections, token and rate limiter.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
    /// The caller of interactive requests.
    caller: Arc<str>,
}

struct Inner {
    uri: Url,
    sdk: SecretClient,
    transport: Arc<Transport>,
    rate_limiter: Arc<RateLimiter>,
    /// Held by the first request, while the others wait for its authentication challenge.
    first_request: Mutex<()>,
    timeout: Duration,
    /// What the last write said about the right to write; `None` before the first.
    last_write: RwLock<Option<LastWrite>>,
    /// The file to renew if the credential is no longer accepted.
    credential_file: Option<PathBuf>,
    configured_tenant: Option<String>,
    environment_tenant: Option<String>,
}

// === impl Vault ===

impl Vault {
    /// Creates the client. It connects with the first request.
    pub fn connect(options: &Options) -> Result<Self, VaultError> {
        Self::connect_behind(options, Fence::always())
    }

    /// The same with a fence that only lets writes through while this process is the leader.
    pub fn connect_behind(options: &Options, fence: Fence) -> Result<Self, VaultError> {
        if options.uri.scheme() != "https" || options.uri.host().is_none() {
            return Err(VaultError::Configuration(format!("{} is not an https:// URI", options.uri).into()));
        }
        let transport = Transport::new(options, Proxies::FromEnvironment, fence)?;
        let defaults = SecretClientOptions::default();
        let sdk_options = SecretClientOptions {
            api_version: options.api_version.clone().unwrap_or(defaults.api_version),
            verify_challenge_resource: Some(options.verify_challenge),
            client_options: ClientOptions {
                transport: Some(SdkTransport::new(transport.clone())),
                // Retries are ours: see `Inner::call`.
                retry: RetryOptions::none(),
                ..Default::default()
            },
        };
        let credential = RenewableCredential::new(options, transport.clone())?;
        let sdk = SecretClient::new(options.uri.as_str(), credential, Some(sdk_options))
            .map_err(|error| VaultError::Configuration(Quote::error(&error)))?;
        let limits = Limits {
            in_flight: options.concurrency,
            waiting: options.waiting,
            per_window: options.requests_per_10s,
        };
        let inner = Inner {
            uri: options.uri.clone(),
            sdk,
            transport,
            rate_limiter: RateLimiter::new(limits),
            first_request: Mutex::default(),
            timeout: options.timeout,
            last_write: RwLock::default(),
            credential_file: options.credential.file().map(Path::to_owned),
            configured_tenant: options.credential.tenant_id().map(str::to_owned),
            environment_tenant: options.credential.tenant_id_of_environment(),
        };
        Ok(Self { inner: Arc::new(inner), caller: Arc::default() })
    }

    /// The vault's clock, for comparing the vault's timestamps.
    pub fn clock(&self) -> &PeerClock {
        self.inner.transport.clock()
    }

    /// A client for a caller, whose requests have their own queue.
    pub fn of(&self, caller: &str) -> Self {
        Self { inner: self.inner.clone(), caller: caller.into() }
    }

    /// The vault's URI.
    pub fn uri(&self) -> &Url {
        &self.inner.uri
    }

    /// The vault's tenant, from the configuration or from its challenge; `None` while neither is known.
    pub fn tenant_id(&self) -> Option<String> {
        let configured = self.inner.configured_tenant.as_deref();
        let known = configured.or_else(|| self.inner.transport.challenge_tenant());
        known.map(str::to_owned).or_else(|| self.inner.environment_tenant.clone())
    }

    /// HTTP requests sent to the vault so far, including those without a response.
    pub fn requests(&self) -> u64 {
        self.inner.transport.requests()
    }

    fn owner(&self, priority: Priority) -> Owner {
        match priority {
            Priority::Interactive => Owner::Caller(self.caller.clone()),
            Priority::Background => Owner::Background,
        }
    }
}

// === impl Inner ===

impl Inner {
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Adds the credential's file to an authentication error: somebody has to renew it, and the service
    /// rereads it.
    fn with_file(&self, error: VaultError) -> VaultError {
        match (error, &self.credential_file) {
            (VaultError::Unauthenticated(why), Some(file)) => VaultError::Unauthenticated(
                format!("{why}, with the credential in {}", file.display()).into(),
            ),
            (error, _) => error,
        }
    }

    /// Sends a request through the rate limiter, with retries until its deadline.
    ///
    /// The SDK's own retries are off. They would sleep through a Retry-After beyond the deadline, when the
    /// caller should get `Throttled`; they would hold a slot while they sleep; and they would repeat a PUT
    /// whose response was lost, which creates a second version. So a 429 is not retried here: it slows down
    /// the whole client, and callers retry after the given delay. If the vault fails or can't be reached, the
    /// request is sent up to `attempts` times.
    async fn call<T, F>(
        &self,
        operation: Operation<'_>,
        owner: &Owner,
        deadline: Instant,
        attempts: u32,
        request: impl Fn() -> F,
    ) -> Result<T, VaultError>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let mut attempted = 0;
        loop {
            let permit = match self.rate_limiter.enter(owner, deadline).await {
                Ok(permit) => permit,
                Err(Rejected::Paused(left)) => return Err(VaultError::Throttled { retry_after: Some(left) }),
                Err(Rejected::DeadlineExceeded) if *owner == Owner::Background => {
                    return Err(VaultError::Timeout { after: self.timeout });
                }
                Err(Rejected::DeadlineExceeded | Rejected::QueueFull) => return Err(VaultError::QueueFull),
            };
            let answer = match timeout_at(deadline, self.after_challenge(request())).await {
                Ok(answer) => answer.map_err(|error| self.with_file(map_error(&error, operation))),
                Err(_) => Err(VaultError::Timeout { after: self.timeout }),
            };
            match &answer {
                Ok(_) => self.rate_limiter.succeeded(),
                Err(VaultError::Throttled { retry_after }) => self.rate_limiter.throttled(*retry_after),
                Err(_) => {}
            }
            drop(permit);
            let pause = BACKOFF.with_equal_jitter(attempted);
            attempted += 1;
            match answer {
                Err(VaultError::Unreachable(_))
                    if attempted < attempts && Instant::now() + pause < deadline =>
                {
                    sleep(pause).await;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a request. The SDK learns from a challenge where to get tokens, and sends none until then. So
    /// one request goes first, and the others wait for it; otherwise each would be challenged.
    async fn after_challenge<T>(&self, request: impl Future<Output = T>) -> T {
        if self.transport.sends_tokens() {
            return request.await;
        }
        let _ahead = match self.first_request.try_lock() {
            Ok(first_request) => Some(first_request),
            // Even if it failed: the others then run concurrently instead of failing one after the other.
            Err(_) => {
                drop(self.first_request.lock().await);
                None
            }
        };
        request.await
    }
}

/// Parses a body that contains a value, and wipes it. The SDK's copy is the only one by then.
fn parse_and_wipe(body: ResponseBody) -> azure_core::Result<Secret> {
    let secret = body.json();
    if let Ok(mut bytes) = azure_core::Bytes::from(body).try_into_mut() {
        bytes.as_mut().zeroize();
    }
    secret
}
