//! Applies a fault to one request and its answer.

use axum::{
    body::Body,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use doubles_common::faults::{self, AnyFault, ConnectionReset, Fault, FaultRule, Phase};

use super::{
    faults::{OperationMatch, VaultFault},
    operation::Operation,
    refusal::Refusal,
    shared::{Shared, challenge},
};

/// A request and the fault rule that applies to it, if any.
pub(super) struct Faulted<'a> {
    pub(super) rule: Option<FaultRule<OperationMatch>>,
    pub(super) operation: Operation,
    /// The host that the client reached us by.
    pub(super) host: &'a str,
    /// Path and query of the request.
    pub(super) here: &'a str,
    pub(super) shared: &'a Shared,
}

// === impl Faulted ===

impl Faulted<'_> {
    /// Carries the request out, as far as the fault lets it; answers what the client gets.
    pub(super) async fn around(mut self, request: impl Future<Output = Response>) -> Response {
        let Some(FaultRule { phase, fault, .. }) = self.rule.take() else { return request.await };
        let applied = match fault {
            AnyFault::Common(Fault::Latency { duration }) if phase == Phase::Before => {
                tokio::time::sleep(duration).await;
                Ok(request.await)
            }
            AnyFault::Common(fault) => {
                let answer = match phase {
                    Phase::Before => self.stub(),
                    Phase::After => request.await,
                };
                self.replace(fault, answer).await
            }
            AnyFault::Own(fault) => {
                // A list's link can be changed only in the true answer.
                let needs_answer = matches!(fault, VaultFault::PageLoop | VaultFault::ForeignNextLink { .. });
                let answer = match phase {
                    Phase::Before if !needs_answer => Response::default(),
                    _ => request.await,
                };
                Ok(self.replace_with_own(fault, answer).await)
            }
        };
        applied.unwrap_or_else(IntoResponse::into_response)
    }

    /// A body for faults to distort where the operation isn't carried out.
    fn stub(&self) -> Response {
        format!(r#"{{"id":"https://{}/secrets/stub","attributes":{{"enabled":true}}}}"#, self.host)
            .into_response()
    }

    async fn replace(&self, fault: Fault, answer: Response) -> Result<Response, ConnectionReset> {
        let error = |status, code: String, retry_after| {
            Refusal { retry_after, ..Refusal::new(status, code, "A fault that was set.") }.into_response()
        };
        fault.apply(answer, error, &self.shared.stopping).await
    }

    async fn replace_with_own(&self, fault: VaultFault, answer: Response) -> Response {
        match fault {
            VaultFault::ForbiddenByRbac => {
                Refusal::forbidden_by_rbac(self.operation.action()).into_response()
            }
            VaultFault::ForbiddenByFirewall => Refusal::forbidden_by_firewall().into_response(),
            VaultFault::ExpiredToken => {
                challenge(self.host, self.shared.tenant(), Some("The token has expired."))
            }
            VaultFault::PageLoop => relink(answer, format!("https://{}{}", self.host, self.here)).await,
            VaultFault::ForeignNextLink { authority } => {
                relink(answer, format!("https://{authority}{}", self.here)).await
            }
            VaultFault::Recorded { status, content_type, body } => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                (status, [(header::CONTENT_TYPE, content_type)], body).into_response()
            }
        }
    }
}

/// A list with another next link; what is not a list stays as it is.
async fn relink(answer: Response, next: String) -> Response {
    faults::with_body(answer, |bytes| {
        let Ok(mut list) = serde_json::from_slice::<serde_json::Value>(&bytes) else { return bytes.into() };
        if let Some(link) = list.get_mut("nextLink") {
            *link = next.into();
        }
        Body::from(list.to_string())
    })
    .await
}
