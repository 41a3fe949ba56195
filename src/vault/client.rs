//! The operations on the vault.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Arc,
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
use parking_lot::RwLock;
use secrecy::SecretString;
use tokio::{
    sync::Mutex,
    time::{Instant, sleep, timeout_at},
};
use url::Url;
use zeroize::Zeroize;

use super::{
    Options, Page, Priority, VaultError, convert,
    pace::{Limits, Pace, Party, Refused},
    paging::{List, PAGE, one_page},
    renewal::Renewable,
    sdk_error::{Asked, date, explain},
    transport::{Proxies, Transport},
};
use crate::{
    fence::Fence,
    model::{NewVaultSecret, VaultSecret, VaultSecretName, VaultSecretVersion, VaultValue, VaultVersion},
    peer_clock::PeerClock,
    quote::Quote,
};

/// Pages of versions of one secret: 25,000 versions are more than anyone has, and a vault that says so is not one.
const MOST_PAGES: usize = 1_000;
/// How often a request that changes nothing more by being sent again is tried in all.
const TRIES: u32 = 3;
/// The wait before the second try; the third waits four times as long. Half of it is jitter.
const BACK_OFF: Duration = Duration::from_millis(200);

/// A Key Vault, as one of those who use it. Cheap to clone; all clones share connections, token and pace.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
    /// Whom requests are for that a person waits for.
    caller: Arc<str>,
}

struct Inner {
    uri: Url,
    sdk: SecretClient,
    transport: Arc<Transport>,
    pace: Arc<Pace>,
    /// Held by the request that goes ahead of all others.
    ahead: Mutex<()>,
    timeout: Duration,
    /// What the last attempt to store a value said of the right to; nothing before the first.
    may_set: RwLock<Option<LastSet>>,
    /// What is renewed where the credential is no longer accepted.
    credential_file: Option<PathBuf>,
    configured_tenant: Option<String>,
    environment_tenant: Option<String>,
}

/// What an attempt to store a value said of the right to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSet {
    /// When.
    pub time: Timestamp,
    /// The refusal, where the right was missing.
    pub refused: Option<VaultError>,
}

// === impl Vault ===

impl Vault {
    /// Prepares the client; the vault is first asked when something is needed of it.
    pub fn connect(options: &Options) -> Result<Self, VaultError> {
        Self::connect_behind(options, Fence::always())
    }

    /// The same, with a fence that lets writes through only while this process acts for the instance.
    pub fn connect_behind(options: &Options, fence: Fence) -> Result<Self, VaultError> {
        if options.uri.scheme() != "https" || options.uri.host().is_none() {
            return Err(VaultError::Configuration(format!("{} is not an https:// URI", options.uri).into()));
        }
        let transport = Transport::new(options, Proxies::OfEnvironment, fence)?;
        let defaults = SecretClientOptions::default();
        let sdk_options = SecretClientOptions {
            api_version: options.api_version.clone().unwrap_or(defaults.api_version),
            verify_challenge_resource: Some(options.verify_challenge),
            client_options: ClientOptions {
                transport: Some(SdkTransport::new(transport.clone())),
                // Tries are ours: see `Inner::call`.
                retry: RetryOptions::none(),
                ..Default::default()
            },
        };
        let credential = Renewable::new(options, transport.clone())?;
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
            pace: Pace::new(limits),
            ahead: Mutex::default(),
            timeout: options.timeout,
            may_set: RwLock::default(),
            credential_file: options.credential.file().map(Path::to_owned),
            configured_tenant: options.credential.tenant_id().map(str::to_owned),
            environment_tenant: options.credential.tenant_id_of_environment(),
        };
        Ok(Self { inner: Arc::new(inner), caller: Arc::default() })
    }

    /// The clock of the vault: what it dates is judged by it.
    pub fn clock(&self) -> &PeerClock {
        self.inner.transport.clock()
    }

    /// For a caller: its requests wait for each other, and for nobody else's.
    pub fn of(&self, caller: &str) -> Self {
        Self { inner: self.inner.clone(), caller: caller.into() }
    }

    /// Where it is.
    pub fn uri(&self) -> &Url {
        &self.inner.uri
    }

    /// Whose it is: the configured tenant, or the one of its challenge; absent while neither is known.
    pub fn tenant_id(&self) -> Option<String> {
        let configured = self.inner.configured_tenant.as_deref();
        let known = configured.or_else(|| self.inner.transport.challenger());
        known.map(str::to_owned).or_else(|| self.inner.environment_tenant.clone())
    }

    /// HTTP requests that were sent to the vault so far, those without an answer included.
    pub fn requests(&self) -> u64 {
        self.inner.transport.requests()
    }

    /// A page of the secrets.
    pub async fn list_page(
        &self,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecret>, VaultError> {
        let list = List::of_secrets(&self.inner.uri);
        let from = list.continuation(from)?;
        let asked = Asked { operation: "list secrets", name: None, version: None };
        let (items, next) = self
            .inner
            .call(asked, &self.party(priority), self.inner.deadline(), TRIES, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options =
                    SecretClientListSecretPropertiesOptions { maxresults: Some(PAGE), method_options };
                one_page(self.inner.sdk.list_secret_properties(Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::secret).collect::<Result<_, _>>()?, next })
    }

    /// A page of the versions of a secret. The vault answers an empty page for a name that it doesn't have.
    pub async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        priority: Priority,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        self.inner.versions_page(name, from, &self.party(priority), self.inner.deadline()).await
    }

    /// All versions of a secret.
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
            if seen.len() >= MOST_PAGES || !seen.insert(next.clone()) {
                return Err(VaultError::Malformed("its pages go round in circles".into()));
            }
            from = Some(next);
        }
    }

    /// A version, or the latest one, without its value: what [`Vault::get`] would read. Costs a call for every 25 versions.
    ///
    /// Several where nobody can tell: times have whole seconds, and the list does not say which of a second came last.
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

    fn party(&self, priority: Priority) -> Party {
        match priority {
            Priority::Interactive => Party::Caller(self.caller.clone()),
            Priority::Background => Party::Background,
        }
    }

    /// The value of a version, or of the latest one.
    pub async fn get(
        &self,
        name: &VaultSecretName,
        version: Option<&VaultVersion>,
        priority: Priority,
    ) -> Result<VaultValue, VaultError> {
        let deadline = self.inner.deadline();
        let asked = Asked { operation: "read values", name: Some(name), version };
        let read = self
            .inner
            .call(asked, &self.party(priority), deadline, TRIES, || async {
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
                Err(self.inner.which_is_missing(name, missing, &self.party(priority), deadline).await)
            }
            Err(error) => Err(error),
        }
    }

    /// Stores a value: a new secret, or a new version of one that is there. Sent once: after `Unreachable`, `Timeout` or
    /// `Malformed` the value may or may not be stored.
    pub async fn set(
        &self,
        name: &VaultSecretName,
        new: &NewVaultSecret,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let asked = Asked { operation: "create secrets", name: Some(name), version: None };
        let stored = self
            .inner
            .call(asked, &self.party(priority), self.inner.deadline(), 1, || async {
                let parameters = Into::into(convert::set_request(new)?);
                let answer = self.inner.sdk.set_secret(name.as_str(), parameters, None).await?;
                parse_and_wipe(answer.into_body())
            })
            .await;
        self.inner.note_set(stored.as_ref().err());
        without_value(stored?)
    }

    /// What the last attempt to store a value said of the right to; nothing before the first.
    pub fn last_set(&self) -> Option<LastSet> {
        self.inner.may_set.read().clone()
    }

    /// Tries whether a value could be stored, by a request that has none: a vault refuses it for the missing right, or for the missing
    /// value where the right is there. The version is what a vault has made of it that takes secrets without a value.
    pub async fn try_set(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<VaultSecretVersion, VaultError> {
        let asked = Asked { operation: "create secrets", name: Some(name), version: None };
        let stored = self
            .inner
            .call(asked, &self.party(priority), self.inner.deadline(), 1, || async {
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
        let asked = Asked { operation: "change secrets", name: Some(name), version: Some(version) };
        let changed = self
            .inner
            .call(asked, &self.party(priority), deadline, TRIES, || async {
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
                Err(self.inner.which_is_missing(name, missing, &self.party(priority), deadline).await)
            }
            other => other.map(drop),
        }
    }

    /// The name of a deleted secret as the vault spells it; `None` where there is none of that name.
    pub async fn deleted(
        &self,
        name: &VaultSecretName,
        priority: Priority,
    ) -> Result<Option<VaultSecretName>, VaultError> {
        let asked = Asked { operation: "see deleted secrets", name: Some(name), version: None };
        let found = self
            .inner
            .call(asked, &self.party(priority), self.inner.deadline(), TRIES, || async {
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
    /// Remembers what an attempt to store a value said of the right to. The vault asks for the right before it looks at what is to be
    /// stored; what never came that far says nothing.
    fn note_set(&self, error: Option<&VaultError>) {
        let refused = match error {
            None | Some(VaultError::Rejected { .. } | VaultError::SoftDeleted { .. }) => None,
            Some(error @ VaultError::Forbidden { .. }) => Some(error.clone()),
            Some(_) => return,
        };
        let last = LastSet { time: crate::model::now(), refused };
        *self.may_set.write() = Some(last);
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// A credential that is not accepted is renewed in its file; the service reads it again by itself.
    fn with_file(&self, error: VaultError) -> VaultError {
        match (error, &self.credential_file) {
            (VaultError::Unauthenticated(why), Some(file)) => VaultError::Unauthenticated(
                format!("{why}, with the credential in {}", file.display()).into(),
            ),
            (error, _) => error,
        }
    }

    /// Sends a request at the client's pace until its deadline.
    ///
    /// The SDK's own retries are off. They would sleep through a Retry-After that is longer than the deadline, where the
    /// caller should hear `Throttled`; they would hold a slot while they sleep; and they would send a PUT again whose answer
    /// was lost, which makes a second version. So: a 429 is not tried again here, it slows down the whole client, and callers
    /// come back when it says; a vault that fails or can't be reached is tried `tries` times.
    async fn call<T, F>(
        &self,
        asked: Asked<'_>,
        party: &Party,
        deadline: Instant,
        tries: u32,
        request: impl Fn() -> F,
    ) -> Result<T, VaultError>
    where
        F: Future<Output = azure_core::Result<T>>,
    {
        let mut tried = 0;
        loop {
            let permit = match self.pace.enter(party, deadline).await {
                Ok(permit) => permit,
                Err(Refused::Pausing(left)) => return Err(VaultError::Throttled { retry_after: Some(left) }),
                Err(Refused::TooLate) if *party == Party::Background => {
                    return Err(VaultError::Timeout { after: self.timeout });
                }
                Err(Refused::TooLate | Refused::TooMany) => return Err(VaultError::TooManyWait),
            };
            let answer = match timeout_at(deadline, self.challenged_once(request())).await {
                Ok(answer) => answer.map_err(|error| self.with_file(explain(&error, asked))),
                Err(_) => Err(VaultError::Timeout { after: self.timeout }),
            };
            match &answer {
                Ok(_) => self.pace.succeeded(),
                Err(VaultError::Throttled { retry_after }) => self.pace.throttled(*retry_after),
                Err(_) => {}
            }
            drop(permit);
            let pause = BACK_OFF.mul_f64(4f64.powi(tried as i32) * rand::random_range(0.5..=1.0));
            tried += 1;
            match answer {
                Err(VaultError::Unreachable(_)) if tried < tries && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                }
                answer => return answer,
            }
        }
    }

    /// Sends a request. The SDK learns from a challenge where tokens come from, and sends without one until then: so one request
    /// goes ahead, and those that come meanwhile wait for its end, or each of them would be challenged too.
    async fn challenged_once<T>(&self, request: impl Future<Output = T>) -> T {
        if self.transport.sends_tokens() {
            return request.await;
        }
        let _ahead = match self.ahead.try_lock() {
            Ok(ahead) => Some(ahead),
            // However it ended: where it failed, nobody else stands in line for the same failure.
            Err(_) => {
                drop(self.ahead.lock().await);
                None
            }
        };
        request.await
    }

    async fn versions_page(
        &self,
        name: &VaultSecretName,
        from: Option<&str>,
        party: &Party,
        deadline: Instant,
    ) -> Result<Page<VaultSecretVersion>, VaultError> {
        let list = List::of_versions(&self.uri, name);
        let from = list.continuation(from)?;
        let asked = Asked { operation: "list secrets", name: Some(name), version: None };
        let (items, next) = self
            .call(asked, party, deadline, TRIES, || async {
                let method_options = PagerOptions { continuation: from.clone(), ..Default::default() };
                let options = SecretClientListSecretPropertiesVersionsOptions {
                    maxresults: Some(PAGE),
                    method_options,
                };
                one_page(self.sdk.list_secret_properties_versions(name.as_str(), Some(options))?).await
            })
            .await?;
        let next = list.next(next, from.as_ref())?;
        Ok(Page { items: items.into_iter().map(convert::version).collect::<Result<_, _>>()?, next })
    }

    /// The vault says the same of a missing version and of a missing secret; its versions tell them apart.
    async fn which_is_missing(
        &self,
        name: &VaultSecretName,
        missing: VaultError,
        party: &Party,
        deadline: Instant,
    ) -> VaultError {
        match self.versions_page(name, None, party, deadline).await {
            Ok(page) if page.items.is_empty() => VaultError::NotFound { name: name.clone() },
            Err(error @ VaultError::NotFound { .. }) => error,
            // Who may not list is told what is known.
            Ok(_) | Err(_) => missing,
        }
    }
}

/// Parses a body that holds a value, and wipes it: the SDK's copy is the only one by then.
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

/// What the vault says of a value that it stored; it sends the value along.
fn without_value(mut stored: Secret) -> Result<VaultSecretVersion, VaultError> {
    stored.value.zeroize();
    convert::version_of(stored)
}
