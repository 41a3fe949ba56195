//! Calls without credentials: health, reflection, and requests for the console's page. They have small budgets of their own, in
//! total and for each address, and a maximum duration; that of an answer of the page is the page's own.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tonic::{Status, body::Body};

use super::{
    PolledFrame,
    budget::{Budget, Permit},
    limit::{Limit, LimitHits},
    peer::Peer,
    request_body::{BodyLimits, LimitedBody},
    tracked::TrackedConnection,
};
use crate::{access::RateLimitKey, api::options::Limits};

/// The requests of a reflection stream may end this long after its answers.
const REQUESTS_END_AFTER_ANSWERS: Duration = Duration::from_secs(1);

/// The budgets of calls without credentials. A clone shares them.
#[derive(Clone)]
pub(crate) struct UnauthenticatedCalls {
    calls: Budget,
    streams: Budget,
    /// Calls of the contract whose credentials are being checked.
    authenticating: Budget,
    /// Requests for the console's page.
    pages: Budget,
    /// Calls of all four kinds that are reserved for the Unix socket.
    reserve: Budget,
    message_bytes: usize,
    receive_timeout: Duration,
    health_watch_timeout: Duration,
    reflection_timeout: Duration,
    limit_hits: LimitHits,
}

/// A kind of call without credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnauthenticatedCall {
    /// A unary call, answered at once.
    Unary,
    /// A health watch.
    HealthWatch,
    /// A reflection stream.
    Reflection,
    /// A request for the console's page.
    Page,
}

pin_project! {
    /// An answer that ends with a status after its maximum duration.
    struct TimeLimitedBody {
        #[pin]
        body: Body,
        #[pin]
        deadline: Sleep,
        limit: (Limit, Duration),
        // Without a maximum once a caller is authorized on the connection: a client that uses the watch to
        // check its own connection would take its end for that of the connection.
        exempt: Option<TrackedConnection>,
        limit_hits: LimitHits,
        has_ended: bool,
    }
}

// === impl UnauthenticatedCalls ===

impl UnauthenticatedCalls {
    pub(crate) fn new(limits: &Limits, reserve: Budget, limit_hits: LimitHits) -> Self {
        let budget = |all, each| Budget::new(all, each, limit_hits.clone());
        let calls = (Limit::OpenCalls, limits.open_calls);
        let calls_per_address = (Limit::OpenCallsPerAddress, limits.open_calls_per_address);
        Self {
            calls: budget(calls, calls_per_address),
            authenticating: budget(calls, calls_per_address),
            pages: budget(calls, calls_per_address),
            streams: budget(
                (Limit::OpenStreams, limits.open_streams),
                (Limit::OpenStreamsPerAddress, limits.open_streams_per_address),
            ),
            reserve,
            message_bytes: limits.small_message_bytes,
            receive_timeout: limits.receive_timeout,
            health_watch_timeout: limits.health_watch_timeout,
            reflection_timeout: limits.reflection_timeout,
            limit_hits,
        }
    }

    /// Begins a call; the permit lasts as long as the call.
    pub(crate) fn begin(&self, call: UnauthenticatedCall, peer: &Peer) -> Result<Permit, Status> {
        let budget = match call {
            UnauthenticatedCall::Unary => &self.calls,
            UnauthenticatedCall::HealthWatch | UnauthenticatedCall::Reflection => &self.streams,
            UnauthenticatedCall::Page => &self.pages,
        };
        self.take(budget, &peer.place, peer.is_unix)
    }

    /// Begins the authentication of a call of the contract.
    pub(crate) fn authenticate(&self, key: &RateLimitKey, is_unix: bool) -> Result<Permit, Status> {
        let holder = match key {
            RateLimitKey::Caller(caller) => caller,
            RateLimitKey::Address(address) => address.as_str(),
        };
        self.take(&self.authenticating, holder, is_unix)
    }

    fn take(&self, budget: &Budget, holder: &str, is_unix: bool) -> Result<Permit, Status> {
        match is_unix {
            true => budget.take_or(&self.reserve, holder, 1),
            false => budget.take(holder, 1),
        }
    }

    /// Its request must be small and arrive in time.
    pub(crate) fn request(&self, call: UnauthenticatedCall, body: Body) -> Body {
        let time = match call {
            // The requests may last as long as the answers, which end with the status.
            UnauthenticatedCall::Reflection => {
                (Limit::ReflectionTimeout, self.reflection_timeout + REQUESTS_END_AFTER_ANSWERS)
            }
            UnauthenticatedCall::Unary | UnauthenticatedCall::HealthWatch | UnauthenticatedCall::Page => {
                (Limit::ReceiveTimeout, self.receive_timeout)
            }
        };
        let largest = (Limit::SmallMessageBytes, self.message_bytes);
        let mut limits = BodyLimits::new(largest, time, self.message_bytes, self.limit_hits.clone());
        limits.is_stream = call == UnauthenticatedCall::Reflection;
        LimitedBody::body(body, limits)
    }

    /// Its answer. A stream has a maximum duration, except a health watch on a connection with an authorized
    /// caller.
    pub(crate) fn answer(
        &self,
        call: UnauthenticatedCall,
        body: Body,
        connection: Option<&TrackedConnection>,
    ) -> Body {
        let (limit, exempt) = match call {
            UnauthenticatedCall::Unary | UnauthenticatedCall::Page => return body,
            UnauthenticatedCall::HealthWatch => {
                ((Limit::HealthWatchTimeout, self.health_watch_timeout), connection.cloned())
            }
            UnauthenticatedCall::Reflection => ((Limit::ReflectionTimeout, self.reflection_timeout), None),
        };
        let (deadline, limit_hits) = (tokio::time::sleep(limit.1), self.limit_hits.clone());
        Body::new(TimeLimitedBody { body, deadline, limit, exempt, limit_hits, has_ended: false })
    }
}

// === impl TimeLimitedBody ===

impl http_body::Body for TimeLimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> PolledFrame {
        let mut this = self.project();
        if *this.has_ended {
            return Poll::Ready(None);
        }
        let (limit, time) = *this.limit;
        while this.deadline.as_mut().poll(context).is_ready() {
            if this.exempt.as_ref().and_then(TrackedConnection::owner).is_none() {
                *this.has_ended = true;
                this.limit_hits.count(limit);
                let mut trailers = HeaderMap::new();
                let written = limit.exceeded(format!("{time:?}")).add_header(&mut trailers);
                return Poll::Ready(Some(written.map(|()| Frame::trailers(trailers))));
            }
            this.deadline.as_mut().reset(Instant::now() + time);
        }
        this.body.poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
