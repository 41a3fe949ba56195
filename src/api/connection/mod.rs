//! Connections: listeners, TLS, tracked connections, and the limits on what callers and connections use.

pub(crate) mod budget;
pub(crate) mod caller_limits;
pub(crate) mod file_descriptors;
pub(crate) mod limit;
pub(crate) mod listen;
pub(crate) mod peer;
pub(crate) mod request_body;
pub(crate) mod tls;
pub(crate) mod tracked;
pub(crate) mod tracker;
pub(crate) mod unauthenticated;

use std::task::Poll;

use bytes::Bytes;
use http_body::Frame;
use tonic::Status;

/// What a body of a request or of an answer returns when it is polled.
type PolledFrame = Poll<Option<Result<Frame<Bytes>, Status>>>;
