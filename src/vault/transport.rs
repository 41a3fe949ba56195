//! How bytes travel to the vault and to whoever gives tokens: TLS, proxies, connections, and a bound on what comes back.

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
        headers::{AUTHORIZATION, CONTENT_LENGTH, HeaderName, Headers, WWW_AUTHENTICATE},
    },
};
use futures::StreamExt;
use reqwest::{Certificate, redirect, tls};
use url::Url;
use zeroize::Zeroizing;

use super::{Options, VaultError};
use crate::{
    fence::{Fence, Fenced},
    files::{Followed, Source},
    peer_clock::PeerClock,
    quote::Quote,
};

/// No answer of a vault or of a token endpoint is larger: a page of 25 secrets with all their tags has some 200 KiB.
const LARGEST_BODY: usize = 1024 * 1024;
/// A connection that is not made by then won't be; less where the deadline of calls is shorter.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Idle connections are given up soon: their buffers hold the values that went through them last. (And before the vault's side or a
/// firewall on the way forgets them.)
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

const DATE: HeaderName = HeaderName::from_static("date");

/// How often the CA file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// An HTTP client for the SDK.
#[derive(Debug)]
pub(super) struct Transport {
    trusted: Followed<Trust>,
    fence: Fence,
    requests: AtomicU64,
    challenger: OnceLock<String>,
    sends_tokens: AtomicBool,
    token_refused: AtomicBool,
    clock: PeerClock,
}

/// Whether the proxies of the environment (`HTTPS_PROXY`, `NO_PROXY` …) are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proxies {
    /// Where the environment names one.
    OfEnvironment,
    /// Never: the other side is on this machine.
    None,
}

/// An answer that is larger than any that is expected.
#[derive(Debug, thiserror::Error)]
#[error("the answer is larger than {LARGEST_BODY} bytes")]
pub(super) struct TooLarge;

// === impl Transport ===

impl Transport {
    /// A client that trusts the machine's certificates and those of `options.ca_file`.
    pub(super) fn new(options: &Options, proxies: Proxies, fence: Fence) -> Result<Arc<Self>, VaultError> {
        let trust = Trust { options: options.clone(), proxies };
        let made = trust.made()?;
        // Where there is no file, there is nothing to look at.
        let every = if options.ca_file.is_some() { LOOK_EVERY } else { Duration::MAX };
        Ok(Arc::new(Self::over(Followed::new(trust, made, every), fence)))
    }

    /// The same connections and trust, with notes of its own.
    pub(super) fn beside(&self) -> Arc<Self> {
        Arc::new(Self::over(self.trusted.clone(), self.fence.clone()))
    }

    fn over(trusted: Followed<Trust>, fence: Fence) -> Self {
        Self {
            trusted,
            fence,
            requests: AtomicU64::new(0),
            challenger: OnceLock::new(),
            sends_tokens: AtomicBool::new(false),
            token_refused: AtomicBool::new(false),
            clock: PeerClock::default(),
        }
    }

    /// The clock of who answers.
    pub(super) fn clock(&self) -> &PeerClock {
        &self.clock
    }

    /// Requests sent.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The tenant that a 401 named as the one to get tokens from.
    pub(super) fn challenger(&self) -> Option<&str> {
        self.challenger.get().map(String::as_str)
    }

    /// Whether requests carry a token by now: the first can't, because the challenge to it tells where tokens come from.
    pub(super) fn sends_tokens(&self) -> bool {
        self.sends_tokens.load(Ordering::Relaxed)
    }

    /// Whether a token was refused since that was last forgotten.
    pub(super) fn is_token_refused(&self) -> bool {
        self.token_refused.load(Ordering::Relaxed)
    }

    /// The refused token is replaced.
    pub(super) fn forget_token_refused(&self) {
        self.token_refused.store(false, Ordering::Relaxed);
    }

    fn note_challenge(&self, request: &Request, headers: &Headers) {
        if let Some(tenant) = headers.get_optional_str(&WWW_AUTHENTICATE).and_then(tenant_of_challenge) {
            self.challenger.get_or_init(|| tenant);
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
        let answer = match writes(request) {
            true => self.fence.guard(|_| send()).await.map_err(fenced)?,
            false => send().await,
        };
        let (status, headers, body) = answer?.deconstruct();
        if let Some(date) = headers.get_optional_str(&DATE) {
            self.clock.hear(date);
        }
        if status == StatusCode::Unauthorized {
            self.note_challenge(request, &headers);
        }
        let body = collect(&headers, body).await?;
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}

/// Whether a request changes something in the vault. Who gives tokens is asked by a POST, which carries none.
fn writes(request: &Request) -> bool {
    match request.method() {
        Method::Get | Method::Head => false,
        Method::Post => carries_token(request),
        _ => true,
    }
}

fn fenced(fenced: Fenced) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Other, fenced)
}

fn carries_token(request: &Request) -> bool {
    request.headers().get_optional_str(&AUTHORIZATION).is_some()
}

/// Reads a body up to the bound. It may hold a value, so it is wiped when the SDK lets go of it; and it comes as one piece,
/// because the SDK would leave copies behind while it puts pieces together.
async fn collect(headers: &Headers, mut body: AsyncResponseBody) -> azure_core::Result<Bytes> {
    let too_large = || azure_core::Error::new(ErrorKind::Other, TooLarge);
    let announced = headers.get_optional_str(&CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    if announced.is_some_and(|length| length > LARGEST_BODY) {
        return Err(too_large());
    }
    let mut collected = Zeroizing::new(Vec::with_capacity(announced.unwrap_or_default()));
    while let Some(piece) = body.next().await {
        let piece = piece?;
        if collected.len() + piece.len() > LARGEST_BODY {
            return Err(too_large());
        }
        collected.extend_from_slice(&piece);
    }
    Ok(Bytes::from_owner(collected))
}

/// What a client is made from: the machine's certificates, and those of a file.
#[derive(Debug)]
struct Trust {
    options: Options,
    proxies: Proxies,
}

/// A client, and what the file held that it was made from.
#[derive(Clone)]
struct Trusting {
    client: reqwest::Client,
    pem: Option<Arc<[u8]>>,
}

// === impl Trust ===

impl Trust {
    fn made(&self) -> Result<Trusting, VaultError> {
        let pem = read(&self.options)?;
        let client = client(&self.options, self.proxies, pem.as_deref())?;
        Ok(Trusting { client, pem: pem.map(Arc::from) })
    }
}

impl Source for Trust {
    type Made = Trusting;
    type Problem = VaultError;

    /// Connections to whom the file no longer vouches for end with the client before.
    fn look(&self, before: &Trusting) -> Result<Option<Trusting>, VaultError> {
        if read(&self.options)?.as_deref() == before.pem.as_deref() {
            return Ok(None);
        }
        self.made().map(Some)
    }

    fn tell_taken(&self, _: &Trusting) {
        tracing::info!(file = ?self.options.ca_file, "the CA file of the vault has changed and is used now");
    }

    fn tell_unusable(&self, error: &VaultError) {
        tracing::warn!(%error, "what the CA file of the vault said before still counts. Mend it");
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
    // Uses the process's crypto provider where one is installed and aws-lc-rs otherwise.
    builder.build().map_err(|error| {
        VaultError::Configuration(format!("the HTTP client can't be made: {}", Quote::cause(&error)).into())
    })
}

/// What the CA file holds, where there is one.
fn read(options: &Options) -> Result<Option<Vec<u8>>, VaultError> {
    let read = options.ca_file.as_ref().map(std::fs::read).transpose();
    read.map_err(|error| unusable(options, &Quote::error(&error)))
}

fn extra_certificates(options: &Options, pem: Option<&[u8]>) -> Result<Vec<Certificate>, VaultError> {
    let Some(pem) = pem else { return Ok(Vec::new()) };
    match Certificate::from_pem_bundle(pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(unusable(options, &"it has no certificate".into())),
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
