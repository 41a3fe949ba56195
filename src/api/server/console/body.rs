//! The body of an answer of the console, in small parts: the send timeout applies to each of them, so that a slow line is no
//! reason to cut it.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::body::Body;

/// The size of a part.
const PART: usize = 16 * 1024;

/// A body that shares its content with all others of the same file.
pub(super) struct ChunkedBody {
    rest: Bytes,
}

// === impl ChunkedBody ===

impl ChunkedBody {
    pub(super) fn body(content: Bytes) -> Body {
        Body::new(Self { rest: content })
    }
}

impl http_body::Body for ChunkedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let size = PART.min(self.rest.len());
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(size)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
