//! What a fault does to an answer.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{StreamExt, stream};
use tokio_util::sync::CancellationToken;

use super::Fault;

/// The answers of the doubles are smaller than this.
const MAX_ANSWER: usize = 64 << 20;
/// How long the first half of a body has to go out before its connection breaks.
const BEFORE_RESET: Duration = Duration::from_millis(10);
const HTML_PAGE: &str =
    "<!DOCTYPE html><html><title>Sign in</title><body>Sign in to this network.</body></html>";

/// The connection (over HTTP/2, the stream) is to break without an answer. The HTTP server does that where its service fails.
///
/// A handler that can't fail answers it as a response with this extension, for [`ConnectionReset::check`] to find.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("reset by a fault rule")]
pub struct ConnectionReset;

// === impl Fault ===

impl Fault {
    /// What the client gets in place of an answer. `error` makes an answer of an HTTP status, a reason and `Retry-After`.
    pub async fn apply(
        self,
        answer: Response,
        error: impl FnOnce(StatusCode, String, Option<Duration>) -> Response,
        stopping: &CancellationToken,
    ) -> Result<Response, ConnectionReset> {
        Ok(match self {
            Self::Status { status, reason, retry_after } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                error(status, reason, retry_after)
            }
            Self::Latency { duration } => {
                tokio::time::sleep(duration).await;
                answer
            }
            Self::Hang => {
                stopping.cancelled().await;
                return Err(ConnectionReset);
            }
            Self::Reset => return Err(ConnectionReset),
            Self::ResetMidBody => with_body(answer, break_in_the_middle).await,
            Self::TruncatedBody => with_body(answer, |bytes| first_half(&bytes).into()).await,
            Self::MalformedJson => with_body(answer, |_| Body::from(r#"{"value": nothing}"#)).await,
            Self::HtmlPage => {
                let html = HeaderValue::from_static("text/html; charset=utf-8");
                ([(header::CONTENT_TYPE, html)], HTML_PAGE).into_response()
            }
        })
    }

    /// Whether it needs a whole body to work on.
    pub fn changes_body(&self) -> bool {
        matches!(self, Self::ResetMidBody | Self::TruncatedBody | Self::MalformedJson)
    }
}

// === impl ConnectionReset ===

impl ConnectionReset {
    /// Finds it in a response that was made of it.
    pub fn check(response: Response) -> Result<Response, Self> {
        match response.extensions().get::<Self>() {
            Some(reset) => Err(*reset),
            None => Ok(response),
        }
    }
}

impl IntoResponse for ConnectionReset {
    fn into_response(self) -> Response {
        let mut response = Response::default();
        response.extensions_mut().insert(self);
        response
    }
}

/// So that [`ConnectionReset::check`] can follow a service that can't fail.
impl From<Infallible> for ConnectionReset {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The same answer with another body, which gets a content length of its own.
pub async fn with_body(answer: Response, change: impl FnOnce(Bytes) -> Body) -> Response {
    let (mut parts, body) = answer.into_parts();
    // The doubles' own bodies don't fail.
    let bytes = axum::body::to_bytes(body, MAX_ANSWER).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, change(bytes))
}

fn first_half(bytes: &Bytes) -> Bytes {
    bytes.slice(..bytes.len() / 2)
}

fn break_in_the_middle(bytes: Bytes) -> Body {
    let half = first_half(&bytes);
    let broken = async {
        tokio::time::sleep(BEFORE_RESET).await;
        Err(io::Error::other(ConnectionReset))
    };
    Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(broken)))
}
