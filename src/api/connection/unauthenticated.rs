//! What needs no credentials: health and reflection. It lives on small budgets of its own, in all and for each address, and nothing of
//! it lasts for as long as its caller wants.

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

use crate::access::Payer;
use crate::api::{
    connection::{
        budget::{Budget, Share},
        limit::{Limit, Refusals},
        peer::Peer,
        request_body::{Arriving, Terms},
        tracked::Line,
    },
    options::Limits,
    rpc::methods::Open,
};

/// A stream of questions that the peer does not end is ended this long after that of the answers.
const AFTER_ANSWERS: Duration = Duration::from_secs(1);

/// The budgets of what needs no credentials. A clone shares them.
#[derive(Clone)]
pub(crate) struct OpenCalls {
    calls: Budget,
    streams: Budget,
    /// Calls of the contract about which nobody knows yet who calls.
    visits: Budget,
    /// Of all three, for the Unix socket.
    reserve: Budget,
    message_bytes: usize,
    receive_timeout: Duration,
    health_watch_timeout: Duration,
    reflection_timeout: Duration,
    refusals: Refusals,
}

pin_project! {
    /// An answer that ends with a status when it has lasted long enough.
    struct Lasting {
        #[pin]
        body: Body,
        #[pin]
        deadline: Sleep,
        limit: (Limit, Duration),
        // Where it may last after all: a client that looks after its own connection this way takes the end of the watch for ours.
        line: Option<Line>,
        refusals: Refusals,
        has_ended: bool,
    }
}

// === impl OpenCalls ===

impl OpenCalls {
    pub(crate) fn new(limits: &Limits, reserve: Budget, refusals: Refusals) -> Self {
        let budget = |all, each| Budget::new(all, each, refusals.clone());
        let calls = (Limit::OpenCalls, limits.open_calls);
        let calls_per_address = (Limit::OpenCallsPerAddress, limits.open_calls_per_address);
        Self {
            calls: budget(calls, calls_per_address),
            visits: budget(calls, calls_per_address),
            streams: budget(
                (Limit::OpenStreams, limits.open_streams),
                (Limit::OpenStreamsPerAddress, limits.open_streams_per_address),
            ),
            reserve,
            message_bytes: limits.small_message_bytes,
            receive_timeout: limits.receive_timeout,
            health_watch_timeout: limits.health_watch_timeout,
            reflection_timeout: limits.reflection_timeout,
            refusals,
        }
    }

    /// A call from somewhere, as long as the share is held.
    pub(crate) fn begin(&self, open: Open, peer: &Peer) -> Result<Share, Status> {
        let budget = match open {
            Open::Call => &self.calls,
            Open::HealthWatch | Open::Reflection => &self.streams,
        };
        self.take(budget, &peer.place, peer.is_unix)
    }

    /// A call of the contract, until it is known who calls.
    pub(crate) fn visit(&self, payer: &Payer, is_unix: bool) -> Result<Share, Status> {
        let payer = match payer {
            Payer::Caller(caller) => caller,
            Payer::Address(address) => address.as_str(),
        };
        self.take(&self.visits, payer, is_unix)
    }

    fn take(&self, budget: &Budget, holder: &str, is_unix: bool) -> Result<Share, Status> {
        match is_unix {
            true => budget.take_or(&self.reserve, holder, 1),
            false => budget.take(holder, 1),
        }
    }

    /// Its request: small, and soon.
    pub(crate) fn request(&self, open: Open, body: Body) -> Body {
        let time = match open {
            // The questions may come for as long as the answers, which end with the status.
            Open::Reflection => (Limit::ReflectionTimeout, self.reflection_timeout + AFTER_ANSWERS),
            Open::Call | Open::HealthWatch => (Limit::ReceiveTimeout, self.receive_timeout),
        };
        let largest = (Limit::SmallMessageBytes, self.message_bytes);
        let mut terms = Terms::new(largest, time, self.message_bytes, self.refusals.clone());
        terms.is_stream = open == Open::Reflection;
        Arriving::body(body, terms)
    }

    /// Its answer: a stream ends after a time, but for a watch of health on a connection on which somebody was let in.
    pub(crate) fn answer(&self, open: Open, body: Body, line: Option<&Line>) -> Body {
        let (limit, line) = match open {
            Open::Call => return body,
            Open::HealthWatch => ((Limit::HealthWatchTimeout, self.health_watch_timeout), line.cloned()),
            Open::Reflection => ((Limit::ReflectionTimeout, self.reflection_timeout), None),
        };
        let (deadline, refusals) = (tokio::time::sleep(limit.1), self.refusals.clone());
        Body::new(Lasting { body, deadline, limit, line, refusals, has_ended: false })
    }
}

// === impl Lasting ===

impl http_body::Body for Lasting {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.has_ended {
            return Poll::Ready(None);
        }
        let (limit, time) = *this.limit;
        while this.deadline.as_mut().poll(context).is_ready() {
            if this.line.as_ref().and_then(Line::owner).is_none() {
                *this.has_ended = true;
                this.refusals.count(limit);
                let mut trailers = HeaderMap::new();
                let written = limit.refusal(format!("{time:?}")).add_header(&mut trailers);
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
