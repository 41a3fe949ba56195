//! The operations on the vault.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use azure_core::http::{
    ClientOptions, RetryOptions, Transport as SdkTransport, headers::Headers, pager::PagerOptions,
    response::ResponseBody,
};
use azure_security_keyvault_secrets::{
    SecretClient, SecretClientOptions,
    models::{
        Secret, SecretAttributes, SecretClientGetSecretOptions, SecretClientListSecretPropertiesOptions,
        SecretClientListSecretPropertiesVersionsOptions, SecretClientUpdateSecretPropertiesOptions,
        SetSecretParameters, UpdateSecretPropertiesParameters,
    },
};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};
use url::Url;
use zeroize::Zeroize;

use super::{
    Options, Page, Priority, VaultError, convert,
    paging::{List, PAGE_SIZE, first_page},
    rate_limiter::{Limits, Owner, RateLimiter, Rejected},
    renewable_credential::RenewableCredential,
    sdk_error::{Operation, date, map_error},
    transport::{Proxies, Transport},
};
use crate::{
    fence::Fence,
    model::{NewVaultSecret, VaultSecret, VaultSecretName, VaultSecretVersion, VaultValue, VaultVersion},
    peer_clock::PeerClock,
    quote::Quote,
};

/// Maximum pages of versions of one secret. Nobody has 25,000 versions; a vault that says so is broken.
const MAX_PAGES: usize = 1_000;
/// Attempts in all for idempotent requests.
const IDEMPOTENT_ATTEMPTS: u32 = 3;
/// Back-off before the second attempt. It is four times as long before the third. Half of it is jitter.
const BACK_OFF: Duration = Duration::from_millis(200);

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
    may_set: RwLock<Option<LastSet>>,
    /// The file to renew if the credential is no longer accepted.
    credential_file: Option<PathBuf>,
    configured_tenant: Option<String>,
    environment_tenant: Option<String>,
}

/// What a write said about the right to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSet {
    /// When it was sent.
    pub time: Timestamp,
    /// The error, if the right was missing.
    pub refused: Option<VaultError>,
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
            may_set: RwLock::default(),
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

    /// Lists a page of secrets.
    pub async fn list_page(
        &self,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecret>, VaultError> {
        let list = List::secrets(&self.inner.uri);
        let from = list.continuation(from)?;
        let operation = Operation { operation: "list secrets", name: None, version: None };
        let (items, next) = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), IDEMPOTENT_ATTEMPTS, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options =
                    SecretClientListSecretPropertiesOptions { maxresults: Some(PAGE_SIZE), method_options };
                first_page(self.inner.sdk.list_secret_properties(Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::secret).collect::<Result<_, _>>()?, next })
    }

    /// Lists a page of versions of a secret. For an unknown name the vault returns an empty page.
    pub async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        self.inner.versions_page(name, from, &self.owner(priority), self.inner.deadline()).await
    }

    /// Lists all versions of a secret.
    pub async fn versions_all(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<Vec<VaultSecretVersion>, VaultError> {
        let mut versions = Vec::new();
        let mut seen = HashSet::new();
        let mut from: Option<String> = None;
        loop {
            let page = self.versions_page(name, from.as_deref(), priority).await?;
            versions.extend(page.items);
            let Some(next) = page.next else { return Ok(versions) };
            if seen.len() >= MAX_PAGES || !seen.insert(next.clone()) {
                return Err(VaultError::Malformed("its pages form a loop".into()));
            }
            from = Some(next);
        }
    }

    /// The version that [`Vault::get`] would read, without its value. Needs a request for every 25 versions.
    ///
    /// Returns several if the latest is ambiguous: times have whole seconds, and the list has no order within
    /// a second.
    pub async fn describe(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
        priority: Priority,
    ) -> Result<Vec<VaultSecretVersion>, VaultError> {
        let mut versions = self.versions_all(name, priority).await?;
        let is_known = !versions.is_empty();
        let last = versions.iter().filter_map(|listed| listed.create_time).max();
        versions.retain(|listed| match version {
            Some(version) => listed.version == *version,
            None => listed.create_time == last,
        });
        match version {
            Some(version) if is_known && versions.is_empty() => {
                Err(VaultError::VersionNotFound { name: name.clone(), version: version.clone() })
            }
            _ if versions.is_empty() => Err(VaultError::NotFound { name: name.clone() }),
            version if versions.iter().all(|listed| !listed.enabled) => {
                Err(VaultError::Disabled { name: name.clone(), version: version.cloned() })
            }
            _ => Ok(versions),
        }
    }

    fn owner(&self, priority: Priority) -> Owner {
        match priority {
            Priority::Interactive => Owner::Caller(self.caller.clone()),
            Priority::Background => Owner::Background,
        }
    }

    /// Reads the value of a version, or of the latest one.
    pub async fn get(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
        priority: Priority,
    ) -> Result<VaultValue, VaultError> {
        let deadline = self.inner.deadline();
        let operation = Operation { operation: "read values", name: Some(name), version };
        let read = self
            .inner
            .call(operation, &self.owner(priority), deadline, IDEMPOTENT_ATTEMPTS, || async {
                let secret_version = version.map(|version| version.as_str().to_owned());
                let options = SecretClientGetSecretOptions { secret_version, ..Default::default() };
                let answer = self.inner.sdk.get_secret(name.as_str(), Some(options)).await?;
                let (_, headers, body) = answer.deconstruct();
                Ok((headers, parse_and_wipe(body)?))
            })
            .await;
        match read {
            Ok((headers, secret)) => value(&headers, secret),
            Err(missing @ VaultError::VersionNotFound { .. }) => {
                Err(self.inner.distinguish_not_found(name, missing, &self.owner(priority), deadline).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores a value, as a new secret or as a new version of an existing one. Sent only once: after
    /// `Unreachable`, `Timeout` or `Malformed` the value may or may not be stored.
    pub async fn set(
        &self,
        name: &VaultSecretName,
        new: &NewVaultSecret,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let operation = Operation { operation: "create secrets", name: Some(name), version: None };
        let stored = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), 1, || async {
                let parameters = Into::into(convert::set_request(new)?);
                let answer = self.inner.sdk.set_secret(name.as_str(), parameters, None).await?;
                parse_and_wipe(answer.into_body())
            })
            .await;
        self.inner.record_write_result(stored.as_ref().err());
        without_value(stored?)
    }

    /// What the last write said about the right to write; `None` before the first.
    pub fn last_set(&self) -> Option<LastSet> {
        self.inner.may_set.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Checks the right to store values, with a request that has no value. A vault rejects it because of the
    /// missing right, or else because of the missing value. A version is only returned by vaults that accept
    /// secrets without a value.
    pub async fn try_set(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let operation = Operation { operation: "create secrets", name: Some(name), version: None };
        let stored = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), 1, || async {
                let nothing = SetSecretParameters::default().try_into()?;
                let answer = self.inner.sdk.set_secret(name.as_str(), nothing, None).await?;
                parse_and_wipe(answer.into_body())
            })
            .await?;
        without_value(stored)
    }

    /// Enables or disables a version.
    pub async fn set_enabled(
        &self,
        name: &VaultSecretName,
        version: &VaultVersion,
        enabled: bool,
        priority: Priority,
    ) -> Result<(), VaultError> {
        let deadline = self.inner.deadline();
        let operation = Operation { operation: "change secrets", name: Some(name), version: Some(version) };
        let changed = self
            .inner
            .call(operation, &self.owner(priority), deadline, IDEMPOTENT_ATTEMPTS, || async {
                let parameters = UpdateSecretPropertiesParameters {
                    secret_attributes: Some(SecretAttributes {
                        enabled: Some(enabled),
                        ..Default::default()
                    }),
                    ..Default::default()
                };
                let options = SecretClientUpdateSecretPropertiesOptions {
                    secret_version: Some(version.as_str().to_owned()),
                    ..Default::default()
                };
                let parameters = parameters.try_into()?;
                self.inner.sdk.update_secret_properties(name.as_str(), parameters, Some(options)).await
            })
            .await;
        match changed {
            Err(missing @ VaultError::VersionNotFound { .. }) => {
                Err(self.inner.distinguish_not_found(name, missing, &self.owner(priority), deadline).await)
            }
            other => other.map(drop),
        }
    }

    /// The name of a deleted secret in the vault's spelling; `None` if there is none.
    pub async fn deleted(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<Option<VaultSecretName>, VaultError> {
        let operation = Operation { operation: "see deleted secrets", name: Some(name), version: None };
        let found = self
            .inner
            .call(operation, &self.owner(priority), self.inner.deadline(), IDEMPOTENT_ATTEMPTS, || async {
                self.inner.sdk.get_deleted_secret(name.as_str(), None).await?.into_model()
            })
            .await;
        match found {
            Ok(deleted) => convert::name_of(&deleted).map(Some),
            Err(VaultError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

// === impl Inner ===

impl Inner {
    /// Records what a write said about the right to write. The vault checks the right before the content, so
    /// most errors say nothing about it.
    fn record_write_result(&self, error: Option<&VaultError>) {
        let refused = match error {
            None | Some(VaultError::Rejected { .. } | VaultError::SoftDeleted { .. }) => None,
            Some(error @ VaultError::Forbidden { .. }) => Some(error.clone()),
            Some(_) => return,
        };
        let last = LastSet { time: crate::model::now(), refused };
        *self.may_set.write().unwrap_or_else(PoisonError::into_inner) = Some(last);
    }

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
                Err(Rejected::DeadlineExceeded | Rejected::QueueFull) => return Err(VaultError::TooManyWait),
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
            let pause = BACK_OFF.mul_f64(4f64.powi(attempted as i32) * rand::random_range(0.5..=1.0));
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

    async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        owner: &Owner,
        deadline: Instant,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        let list = List::versions(&self.uri, name);
        let from = list.continuation(from)?;
        let operation = Operation { operation: "list secrets", name: Some(name), version: None };
        let (items, next) = self
            .call(operation, owner, deadline, IDEMPOTENT_ATTEMPTS, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options = SecretClientListSecretPropertiesVersionsOptions {
                    maxresults: Some(PAGE_SIZE),
                    method_options,
                };
                first_page(self.sdk.list_secret_properties_versions(name.as_str(), Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::version).collect::<Result<_, _>>()?, next })
    }

    /// The vault returns the same error for a missing version and a missing secret. The list of versions
    /// tells which.
    async fn distinguish_not_found(
        &self,
        name: &VaultSecretName,
        missing: VaultError,
        owner: &Owner,
        deadline: Instant,
    ) -> VaultError {
        match self.versions_page(name, None, owner, deadline).await {
            Ok(page) if page.items.is_empty() => VaultError::NotFound { name: name.clone() },
            Err(error @ VaultError::NotFound { .. }) => error,
            // Without the right to list, keep the error.
            Ok(_) | Err(_) => missing,
        }
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

fn value(headers: &Headers, mut secret: Secret) -> Result<VaultValue, VaultError> {
    let value = secret.value.take().map(SecretString::from);
    let value = value.ok_or_else(|| VaultError::Malformed("a secret without a value".into()))?;
    let read_time = convert::time(date(headers)).unwrap_or_else(Timestamp::now);
    Ok(VaultValue { value, version: convert::version_of(secret)?, read_time })
}

/// The stored version. The vault returns the value, too, which is wiped.
fn without_value(mut stored: Secret) -> Result<VaultSecretVersion, VaultError> {
    stored.value.zeroize();
    convert::version_of(stored)
}
