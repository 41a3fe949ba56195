//! The issuer's keys: fetched when they are needed, renewed after a while, and kept while the issuer can't be reached.
//!
//! All callers share a fetch, and from its end to the next one passes [`IssuerOptions::fetch_pause`], whatever keys tokens
//! name. Nobody waits for an issuer that failed lately while its last keys are valid, nor for long.

use std::{path::PathBuf, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{
    IssuerOptions, LONGEST_WAIT,
    fetch::{FetchError, Fetched, fetch},
    key::Key,
};
use crate::access::AccessError;

/// The keys. A clone shares them.
#[derive(Clone)]
pub(super) struct Keys(Arc<Inner>);

struct Inner {
    issuer: String,
    ca_file: Option<PathBuf>,
    life: Duration,
    pause: Duration,
    longest_outage: Duration,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    held: Option<Held>,
    /// The newest fetch.
    fetch: Option<Fetch>,
    /// The last fetch that has ended.
    last: Option<Attempt>,
}

/// What the issuer listed last.
#[derive(Clone)]
struct Held {
    keys: Arc<[Key]>,
    token_endpoint: Option<Arc<str>>,
    fetched: Instant,
}

/// A fetch, whose task holds the sender until it ends.
#[derive(Clone)]
struct Fetch {
    begun: Instant,
    under_way: watch::Receiver<()>,
}

struct Attempt {
    ended: Instant,
    failure: Option<FetchError>,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(options: &IssuerOptions) -> Self {
        Self(Arc::new(Inner {
            issuer: options.issuer.clone(),
            ca_file: options.ca_file.clone(),
            life: options.key_life,
            pause: options.fetch_pause,
            longest_outage: options.longest_outage,
            state: Mutex::default(),
        }))
    }

    /// The keys. When it is time to renew them, that happens in the background. Long after that, and the first time, the
    /// caller waits for it, unless the issuer failed lately.
    pub(super) async fn current(&self) -> Result<Arc<[Key]>, AccessError> {
        self.held().await.map(|held| held.keys)
    }

    /// Where clients get tokens, as the discovery document said that came with the keys.
    pub(super) async fn token_endpoint(&self) -> Option<Arc<str>> {
        self.held().await.ok()?.token_endpoint
    }

    async fn held(&self) -> Result<Held, AccessError> {
        let (held, is_failing) = {
            let state = self.0.state.lock();
            (self.0.valid(&state), state.is_failing())
        };
        if let Some(held) = held {
            let age = held.fetched.elapsed();
            if age < self.0.life {
                return Ok(held);
            }
            if is_failing || age < self.0.life.saturating_mul(2) {
                self.start();
                return Ok(held);
            }
        }
        self.wait().await;
        self.0.valid(&self.0.state.lock()).ok_or(AccessError::IssuerSilent)
    }

    /// The keys for a token that none of the known ones has signed: fetched again, unless that has happened since its
    /// verification began.
    pub(super) async fn renewed_since(&self, begun: Instant) -> Result<Arc<[Key]>, AccessError> {
        let must_wait = {
            let state = self.0.state.lock();
            if let Some(held) = state.listed_since(begun) {
                return Ok(held);
            }
            !state.is_failing()
        };
        match must_wait {
            true => self.wait().await,
            false => drop(self.start()),
        }
        let state = self.0.state.lock();
        if let Some(held) = state.listed_since(begun) {
            return Ok(held);
        }
        // A new key may have signed the token, which nobody can tell now.
        let is_under_way = state.fetch.as_ref().is_some_and(Fetch::is_under_way);
        match &state.last {
            Some(last) if !is_under_way && !state.is_failing() => {
                Err(AccessError::KeyNotFetched { wait: self.0.pause.saturating_sub(last.ended.elapsed()) })
            }
            Some(_) | None => Err(AccessError::IssuerSilent),
        }
    }

    /// Waits until a fetch ends, but not for long.
    async fn wait(&self) {
        let Some(Fetch { begun, mut under_way }) = self.start() else { return };
        // The sender sends nothing: it goes away.
        let _ended = timeout_at(begun + LONGEST_WAIT, under_way.changed()).await;
    }

    /// The fetch that is under way, or begins, if it is time for one. It goes on if the caller goes away.
    fn start(&self) -> Option<Fetch> {
        let mut state = self.0.state.lock();
        if let Some(fetch) = state.fetch.as_ref().filter(|fetch| fetch.is_under_way()) {
            return Some(fetch.clone());
        }
        if state.last.as_ref().is_some_and(|last| last.ended.elapsed() < self.0.pause) {
            return None;
        }
        let (sender, under_way) = watch::channel(());
        let fetch = Fetch { begun: Instant::now(), under_way };
        state.fetch = Some(fetch.clone());
        let inner = self.0.clone();
        tokio::spawn(async move {
            inner.renew().await;
            drop(sender);
        });
        Some(fetch)
    }
}

// === impl Fetch ===

impl Fetch {
    fn is_under_way(&self) -> bool {
        self.under_way.has_changed().is_ok()
    }
}

// === impl State ===

impl State {
    /// Whether the issuer could not be asked the last time.
    fn is_failing(&self) -> bool {
        let failure = self.last.as_ref().and_then(|last| last.failure.as_ref());
        failure.is_some_and(|failure| *failure != FetchError::NoKeys)
    }

    /// The keys, if the issuer has listed them since then.
    fn listed_since(&self, time: Instant) -> Option<Arc<[Key]>> {
        let is_new = !self.is_failing() && self.last.as_ref().is_some_and(|last| last.ended >= time);
        self.held.as_ref().filter(|_| is_new).map(|held| held.keys.clone())
    }
}

// === impl Inner ===

impl Inner {
    async fn renew(&self) {
        let begun = Instant::now();
        let fetched = fetch(&self.issuer, self.ca_file.as_deref()).await;
        let (fetched, failure) = match fetched {
            // An issuer that has withdrawn all of its keys has done so.
            Ok(fetched) if fetched.keys.is_empty() => (Some(fetched), Some(FetchError::NoKeys)),
            Ok(fetched) => (Some(fetched), None),
            Err(error) => (None, Some(error)),
        };
        let mut state = self.state.lock();
        if let Some(Fetched { keys, token_endpoint }) = fetched {
            let token_endpoint = token_endpoint.map(Arc::from);
            state.held = Some(Held { keys: keys.into(), token_endpoint, fetched: begun });
        }
        let before = state.last.take().and_then(|last| last.failure);
        if let Some(error) = failure.as_ref().filter(|failure| before.as_ref() != Some(*failure)) {
            tracing::warn!(%error, "can't fetch the keys of the OpenID Connect issuer");
        }
        if failure.is_none() && before.is_some() {
            tracing::info!("the OpenID Connect issuer answers again");
        }
        state.last = Some(Attempt { ended: Instant::now(), failure });
    }

    /// The keys, unless the issuer has been out of reach for too long.
    fn valid(&self, state: &State) -> Option<Held> {
        state.held.as_ref().filter(|held| held.fetched.elapsed() < self.longest_outage).cloned()
    }
}
