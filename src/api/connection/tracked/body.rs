//! The body of an answer: notes when the peer has room for more, and keeps what its call holds until it is
//! read.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::SizeHint;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tonic::{Status, body::Body};

use super::{super::PolledFrame, TrackedCall};

pin_project! {
    struct TrackedBody<Held> {
        #[pin]
        body: Body,
        call: TrackedCall,
        held: Held,
    }
}

/// The body of the answer to a call.
pub(super) fn tracked<Held: Send + 'static>(body: Body, call: TrackedCall, held: Held) -> Body {
    Body::new(TrackedBody { body, call, held })
}

// === impl TrackedBody ===

impl<Held> http_body::Body for TrackedBody<Held> {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> PolledFrame {
        let this = self.project();
        // The connection polls only if the peer has room for more.
        this.call.set_unread_since(None);
        let frame = ready!(this.body.poll_frame(context));
        this.call.set_unread_since(Some(Instant::now()));
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
