//! The HTTP transport to the vault and the token endpoint: TLS, proxies, connections, and a limit on response
//! sizes.

use std::{
    path::Path,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use azure_core::{
    Bytes,
    error::ErrorKind,
    http::{
        AsyncRawResponse, AsyncResponseBody, HttpClient, Method, Request, StatusCode,
        headers::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, Headers, WWW_AUTHENTICATE},
    },
};
use futures::StreamExt;
use reqwest::{Certificate, redirect, tls};
use url::Url;
use zeroize::Zeroizing;

use super::{Options, VaultError};
use crate::{
    fence::{Fence, FenceError},
    files::{Loader, Reloadable},
    peer_clock::PeerClock,
    quote::Quote,
};

/// Maximum size of a response. A page of 25 secrets with all tags has about 200 KiB.
const MAX_BODY: usize = 1024 * 1024;
/// Timeout for connecting, unless the deadline of calls is shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are closed soon, because their buffers contain the last values that went through them,
/// and before the vault or a firewall drops them.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

const DATE: HeaderName = HeaderName::from_static("date");

/// How often the CA file is checked for changes.
const CA_FILE_INTERVAL: Duration = Duration::from_secs(10);

/// An HTTP client for the SDK.
#[derive(Debug)]
pub(super) struct Transport {
    trusted: Reloadable<TrustLoader>,
    fence: Fence,
    requests: AtomicU64,
    challenge_tenant: OnceLock<String>,
    sends_tokens: AtomicBool,
    token_refused: AtomicBool,
    clock: PeerClock,
}

/// Whether to use the proxies in the environment (`HTTPS_PROXY`, `NO_PROXY` …).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxies {
    /// Use the proxy in the environment, if any.
    FromEnvironment,
    /// Use none: the endpoint is on this machine.
    None,
}

/// A response that is larger than any valid one.
#[derive(Debug, thiserror::Error)]
#[error("it is larger than {MAX_BODY} bytes")]
pub(super) struct ResponseTooLarge;

/// A response that neither the vault nor the token authority has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Intercepted {
    /// A web page: of a proxy, a firewall, or the sign-in to a network.
    #[error("a web page came in its place (status {0}), perhaps from a proxy or a firewall")]
    WebPage(u16),
    /// A proxy wants credentials.
    #[error("a proxy asks for credentials (status 407)")]
    ProxyCredentials,
}

// === impl Transport ===

impl Transport {
    /// A client that trusts the machine's CA certificates and those in `options.ca_file`.
    pub(super) fn new(options: &Options, proxies: Proxies, fence: Fence) -> Result<Arc<Self>, VaultError> {
        let trust = TrustLoader { options: options.clone(), proxies };
        let made = trust.load()?;
        // Without a file there is nothing to check.
        let every = if options.ca_file.is_some() { CA_FILE_INTERVAL } else { Duration::MAX };
        Ok(Arc::new(Self::with_client(Reloadable::new(trust, made, every), fence)))
    }

    /// A transport with the same connections and trust, but its own state.
    pub(super) fn share_connections(&self) -> Arc<Self> {
        Arc::new(Self::with_client(self.trusted.clone(), self.fence.clone()))
    }

    fn with_client(trusted: Reloadable<TrustLoader>, fence: Fence) -> Self {
        Self {
            trusted,
            fence,
            requests: AtomicU64::new(0),
            challenge_tenant: OnceLock::new(),
            sends_tokens: AtomicBool::new(false),
            token_refused: AtomicBool::new(false),
            clock: PeerClock::default(),
        }
    }

    /// The clock of the server.
    pub(super) fn clock(&self) -> &PeerClock {
        &self.clock
    }

    /// Number of requests sent.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The tenant that the vault's 401 challenge named.
    pub(super) fn challenge_tenant(&self) -> Option<&str> {
        self.challenge_tenant.get().map(String::as_str)
    }

    /// Whether requests carry a token by now. The first one doesn't, because its challenge says where to get
    /// tokens.
    pub(super) fn sends_tokens(&self) -> bool {
        self.sends_tokens.load(Ordering::Relaxed)
    }

    /// Whether a token was rejected since the last [`Self::forget_token_refused`].
    pub(super) fn is_token_refused(&self) -> bool {
        self.token_refused.load(Ordering::Relaxed)
    }

    /// Resets [`Self::is_token_refused`], because the token is replaced.
    pub(super) fn forget_token_refused(&self) {
        self.token_refused.store(false, Ordering::Relaxed);
    }

    fn record_challenge(&self, request: &Request, headers: &Headers) {
        if let Some(tenant) = headers.get_optional_str(&WWW_AUTHENTICATE).and_then(tenant_of_challenge) {
            self.challenge_tenant.get_or_init(|| tenant);
        }
        if carries_token(request) {
            self.token_refused.store(true, Ordering::Relaxed);
        }
    }
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if carries_token(request) {
            self.sends_tokens.store(true, Ordering::Relaxed);
        }
        let trust = self.trusted.current();
        let send = || trust.client.execute_request(request);
        let answer = match is_write(request) {
            true => self.fence.guard(|_| send()).await.map_err(fenced)?,
            false => send().await,
        };
        let (status, headers, body) = answer?.deconstruct();
        if let Some(date) = headers.get_optional_str(&DATE) {
            self.clock.record_date(date);
        }
        if status == StatusCode::Unauthorized {
            self.record_challenge(request, &headers);
        }
        if let Some(intercepted) = Intercepted::of(status.into(), &headers) {
            return Err(azure_core::Error::new(ErrorKind::Other, intercepted));
        }
        let body = collect(&headers, body).await?;
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

// === impl Intercepted ===

impl Intercepted {
    /// Whether a response is none of Azure's, by its status and its headers. Azure's own gateways send web pages with
    /// some transient errors, which are retried as such.
    fn of(status: u16, headers: &Headers) -> Option<Self> {
        let content_type = headers.get_optional_str(&CONTENT_TYPE).unwrap_or_default();
        match status {
            407 => Some(Self::ProxyCredentials),
            408 | 429 | 500.. => None,
            _ => content_type
                .trim_start()
                .to_ascii_lowercase()
                .starts_with("text/html")
                .then_some(Self::WebPage(status)),
        }
    }
}

/// Whether a request changes something in the vault. A token request is a POST, too, but carries no token.
fn is_write(request: &Request) -> bool {
    match request.method() {
        Method::Get | Method::Head => false,
        Method::Post => carries_token(request),
        _ => true,
    }
}

fn fenced(fenced: FenceError) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Other, fenced)
}

fn carries_token(request: &Request) -> bool {
    request.headers().get_optional_str(&AUTHORIZATION).is_some()
}

/// Reads a body up to the limit. It may contain a value, so it is wiped when the SDK drops it. It is one
/// piece, because the SDK would leave copies behind while joining pieces.
async fn collect(headers: &Headers, mut body: AsyncResponseBody) -> azure_core::Result<Bytes> {
    let too_large = || azure_core::Error::new(ErrorKind::Other, ResponseTooLarge);
    let announced = headers.get_optional_str(&CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > MAX_BODY) {
        return Err(too_large());
    }
    let mut collected = Zeroizing::new(Vec::with_capacity(announced.unwrap_or_default()));
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if collected.len() + piece.len() > MAX_BODY {
            return Err(too_large());
        }
        collected.extend_from_slice(&piece);
    }
    Ok(Bytes::from_owner(collected))
}

/// Creates clients that trust the machine's CA certificates and those in a file.
#[derive(Debug)]
struct TrustLoader {
    options: Options,
    proxies: Proxies,
}

/// A client, and the content of the CA file that it was created from.
#[derive(Clone)]
struct TrustedClient {
    client: reqwest::Client,
    pem: Option<Arc<[u8]>>,
}

// === impl TrustLoader ===

impl TrustLoader {
    fn load(&self) -> Result<TrustedClient, VaultError> {
        let pem = read(&self.options)?;
        let client = client(&self.options, self.proxies, pem.as_deref())?;
        Ok(TrustedClient { client, pem: pem.map(Arc::from) })
    }
}

impl Loader for TrustLoader {
    type Value = TrustedClient;
    type Error = VaultError;

    /// A new client also drops connections to servers that the file no longer trusts.
    fn reload(&self, before: &TrustedClient) -> Result<Option<TrustedClient>, VaultError> {
        if read(&self.options)?.as_deref() == before.pem.as_deref() {
            return Ok(None);
        }
        self.load().map(Some)
    }

    fn log_reloaded(&self, _: &TrustedClient) {
        tracing::info!(file = ?self.options.ca_file, "the vault's CA file changed and was reloaded");
    }

    fn log_unusable(&self, error: &VaultError) {
        tracing::warn!(%error, "can't use the vault's CA file; its previous content stays in effect. Fix the file");
    }
}

fn client(options: &Options, proxies: Proxies, ca_pem: Option<&[u8]>) -> Result<reqwest::Client, VaultError> {
    let mut builder = reqwest::Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .tls_version_min(tls::Version::TLS_1_2)
        .connect_timeout(CONNECT_TIMEOUT.min(options.timeout))
        .pool_max_idle_per_host(options.concurrency.max(1))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .tls_certs_merge(extra_certificates(options, ca_pem)?);
    if proxies == Proxies::None {
        builder = builder.no_proxy();
    }
    // Uses the process's crypto provider if one is installed, otherwise aws-lc-rs.
    builder.build().map_err(|error| {
        VaultError::Configuration(format!("can't create the HTTP client: {}", Quote::cause(&error)).into())
    })
}

/// The content of the CA file, if there is one.
fn read(options: &Options) -> Result<Option<Vec<u8>>, VaultError> {
    let read = options.ca_file.as_ref().map(std::fs::read).transpose();
    read.map_err(|error| unusable(options, &Quote::error(&error)))
}

fn extra_certificates(options: &Options, pem: Option<&[u8]>) -> Result<Vec<Certificate>, VaultError> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(options, &"it contains no certificate".into())),
        Err(error) => Err(unusable(options, &Quote::cause(&error))),
    }
}

fn unusable(options: &Options, why: &Quote) -> VaultError {
    let file = options.ca_file.as_deref().unwrap_or(Path::new("")).display();
    VaultError::Configuration(format!("the CA file {file}: {why}").into())
}

/// `Bearer authorization="https://login.microsoftonline.com/TENANT", resource="https://vault.azure.net"`
fn tenant_of_challenge(challenge: &str) -> Option<String> {
    let (_, rest) = challenge.split_once("authorization")?;
    let (_, rest) = rest.split_once("=\"")?;
    let (authority, _) = rest.split_once('"')?;
    let authority = Url::parse(authority).ok()?;
    let tenant = authority.path_segments()?.next()?;
    let valid = (1..=253).contains(&tenant.len())
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    valid.then(|| tenant.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_page_and_a_proxy_are_no_answer_of_the_vault() {
        let of = |status, content_type: &str| {
            let mut headers = Headers::new();
            headers.insert(CONTENT_TYPE, content_type.to_owned());
            Intercepted::of(status, &headers)
        };
        for status in [200, 302, 401, 403, 404] {
            assert_eq!(of(status, "text/html; charset=utf-8"), Some(Intercepted::WebPage(status)));
            assert_eq!(of(status, "application/json"), None);
        }
        assert_eq!(of(407, "text/plain"), Some(Intercepted::ProxyCredentials));
        assert_eq!(of(503, "text/html"), None, "a gateway of Azure's, too");
    }

    #[test]
    fn the_tenant_is_read_from_the_challenge() {
        let challenge = |authority: &str| {
            tenant_of_challenge(&format!(
                "Bearer authorization=\"{authority}\", resource=\"https://vault.azure.net\""
            ))
        };
        assert_eq!(challenge("https://login.microsoftonline.com/a1-b2"), Some("a1-b2".to_owned()));
        for bad in ["https://login.microsoftonline.com", "nonsense", "https://x/a%20b", ""] {
            assert_eq!(challenge(bad), None, "{bad}");
        }
        assert_eq!(tenant_of_challenge("Basic realm=\"x\""), None);
    }
}
