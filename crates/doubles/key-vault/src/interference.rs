//! What a fault does to one request and its answer.

use std::{io, time::Duration};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use doubles_common::faults::Phase;
use futures::{StreamExt, stream};

use super::{
    faults::Action,
    operation::Operation,
    refusal::Refusal,
    router::{Shared, challenge},
};

/// The answers of the double are smaller than this.
const LARGEST_ANSWER: usize = 64 << 20;
/// How long a connection that is to break stays whole.
const BEFORE_THE_BREAK: Duration = Duration::from_millis(10);

/// A request on its way through the fault that it meets, if any.
pub(super) struct Interference<'a> {
    pub(super) fault: Option<(Phase, Action)>,
    pub(super) operation: Operation,
    /// The host that the client reached us by.
    pub(super) host: &'a str,
    /// Path and query of the request.
    pub(super) here: &'a str,
    pub(super) shared: &'a Shared,
}

// === impl Interference ===

impl Interference<'_> {
    /// Carries the request out, as far as the fault lets it; answers what the client gets.
    pub(super) async fn around(mut self, request: impl Future<Output = Response>) -> Response {
        match self.fault.take() {
            None => request.await,
            Some((Phase::Before, Action::Delay { duration })) => {
                tokio::time::sleep(duration).await;
                request.await
            }
            // These have nothing to work on but the true answer.
            Some((Phase::After, action))
            | Some((_, action @ (Action::PageLoop | Action::ForeignNextLink { .. }))) => {
                let answer = request.await;
                self.replace(action, answer).await
            }
            Some((Phase::Before, action)) => {
                let stub = format!(
                    r#"{{"id":"https://{}/secrets/stub","attributes":{{"enabled":true}}}}"#,
                    self.host
                );
                self.replace(action, stub.into_response()).await
            }
        }
    }

    async fn replace(self, action: Action, answer: Response) -> Response {
        match action {
            Action::Status { status, code, inner, retry_after } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let inner = inner.map(Into::into);
                Refusal { inner, retry_after, ..Refusal::new(status, code, "A fault that was set.") }
                    .into_response()
            }
            Action::ForbiddenByRbac => Refusal::forbidden_by_rbac(self.operation).into_response(),
            Action::ForbiddenByFirewall => Refusal::forbidden_by_firewall().into_response(),
            Action::Hang => {
                self.shared.stopping.cancelled().await;
                Refusal::internal("The double stops.").into_response()
            }
            Action::Delay { duration } => {
                tokio::time::sleep(duration).await;
                answer
            }
            Action::ResetMidBody => with_body(answer, reset).await,
            Action::Truncate => with_body(answer, |bytes| bytes.slice(..bytes.len() / 2).into()).await,
            Action::MalformedJson => with_body(answer, |_| Body::from(r#"{"value": nothing}"#)).await,
            Action::WrongContent => {
                let page =
                    "<!DOCTYPE html><html><title>Sign in</title><body>Sign in to this network.</body></html>";
                ([(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"))], page)
                    .into_response()
            }
            Action::PageLoop => relink(answer, format!("https://{}{}", self.host, self.here)).await,
            Action::ForeignNextLink { authority } => {
                relink(answer, format!("https://{authority}{}", self.here)).await
            }
            Action::ExpiredToken => {
                challenge(self.host, self.shared.tenant(), Some("The token has expired."))
            }
        }
    }
}

/// The same answer with another body, which gets a content length of its own.
async fn with_body(answer: Response, change: impl FnOnce(Bytes) -> Body) -> Response {
    let (mut parts, body) = answer.into_parts();
    // The double's own bodies don't fail.
    let bytes = axum::body::to_bytes(body, LARGEST_ANSWER).await.unwrap_or_default();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, change(bytes))
}

/// Half of a body, then a broken connection. The pause lets the half go out before it.
fn reset(bytes: Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let broken = async {
        tokio::time::sleep(BEFORE_THE_BREAK).await;
        Err(io::Error::other("a fault that was set"))
    };
    Body::from_stream(stream::iter([Ok(half)]).chain(stream::once(broken)))
}

/// A list with another next link; what is no list stays as it is.
async fn relink(answer: Response, next: String) -> Response {
    with_body(answer, |bytes| {
        let Ok(mut list) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes.into() };
        if let Some(link) = list.get_mut("nextLink") {
            *link = next.into();
        }
        Body::from(list.to_string())
    })
    .await
}
