//! When the caller of a request no longer waits.

use tokio::time::Instant;
use tonic::Request;

/// The deadline of a call; an extension of its request, set by the call layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub(crate) Instant);

/// The deadline of a call, if it has one.
pub(super) fn deadline<T>(request: &Request<T>) -> Option<Instant> {
    request.extensions().get::<Deadline>().map(|deadline| deadline.0)
}
