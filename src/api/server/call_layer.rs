//! The call layer, which every call passes: request id, deadline, admission, panics, access log and metrics.
//!
//! It is one hand-written future and not a stack of tower layers. Each step ends in a gRPC status with our
//! error details, which the layers of tower and tower-http don't make; an admitted call holds its permits
//! until the peer has read the answer; and the log and the metrics count what any step answered, also after a
//! panic or a deadline.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body, service::Routes};

use super::{
    admission::{Admission, Admitted},
    headers::{self, REQUEST_ID},
    metrics::Metrics,
    route::{Route, route},
};
use crate::{
    api::{
        connection::{
            budget::Permit,
            tracked::{TrackedCall, TrackedConnection},
            tracker::ConnectionTracker,
            unauthenticated::{UnauthenticatedCall, UnauthenticatedCalls},
        },
        error::{server_status, status},
        options::Limits,
        rpc::{Service, deadline::Deadline, method::WATCH},
    },
    proto::secret_service_server::SecretServiceServer,
    secrets::Error,
};

const GRPC_STATUS: &str = "grpc-status";
const GRPC_DETAILS: &str = "grpc-status-details-bin";
/// An answer is sent this long before the caller's deadline, or a tenth of its timeout if that is less.
const ANSWER_BEFORE_DEADLINE: Duration = Duration::from_millis(20);
/// How long a client should wait before it retries when the service stops.
const RETRY_AFTER_STOP: Duration = Duration::from_secs(1);

/// The service behind all listeners.
#[derive(Clone)]
pub(crate) struct CallLayer {
    admission: Admission,
    contract: SecretServiceServer<Service>,
    /// Health and reflection.
    others: Routes,
    unauthenticated: UnauthenticatedCalls,
    metrics: Metrics,
    connections: ConnectionTracker,
    call_timeout: Duration,
    longest_call: Duration,
    /// Cancels the calls that are still in flight when the service must end.
    abort: CancellationToken,
}

pin_project! {
    /// A call in flight.
    pub(crate) struct CallFuture {
        #[pin]
        stage: Stage,
        #[pin]
        deadline: Sleep,
        #[pin]
        aborted: WaitForCancellationFutureOwned,
        method: &'static str,
        id: HeaderValue,
        begun: Instant,
        held: Option<Held>,
        tracked: Option<TrackedCall>,
        connections: ConnectionTracker,
        metrics: Metrics,
    }
}

/// What a call holds until the peer has read its answer. A watch has limits of its own and releases this when
/// it begins.
enum Held {
    Unauthenticated { _permit: Permit },
    Admitted { _admitted: Admitted },
}

pin_project! {
    #[project = StageProjection]
    enum Stage {
        Admitting {
            admission: BoxFuture<'static, Result<(Request<Body>, Admitted), Status>>,
            contract: SecretServiceServer<Service>,
        },
        Contract { #[pin] future: <SecretServiceServer<Service> as tower::Service<Request<Body>>>::Future },
        Unauthenticated {
            #[pin]
            future: <Routes as tower::Service<Request<Body>>>::Future,
            call: UnauthenticatedCall,
            calls: UnauthenticatedCalls,
        },
        Refused { status: Option<Status> },
    }
}

// === impl CallLayer ===

impl CallLayer {
    pub(super) fn new(
        admission: Admission,
        contract: SecretServiceServer<Service>,
        (others, unauthenticated): (Routes, UnauthenticatedCalls),
        (metrics, connections): (Metrics, ConnectionTracker),
        limits: &Limits,
        abort: CancellationToken,
    ) -> Self {
        let (call_timeout, longest_call) = (limits.call_timeout, limits.longest_call);
        Self {
            admission,
            contract,
            others,
            unauthenticated,
            metrics,
            connections,
            call_timeout,
            longest_call,
            abort,
        }
    }

    fn begin_unauthenticated(
        &mut self,
        call: UnauthenticatedCall,
        request: Request<Body>,
    ) -> (Option<Held>, Stage) {
        let peer = TrackedConnection::peer_of(request.extensions());
        match self.unauthenticated.begin(call, &peer) {
            Ok(permit) => {
                let request = request.map(|body| self.unauthenticated.request(call, body));
                let future = tower::Service::call(&mut self.others, request);
                let calls = self.unauthenticated.clone();
                (
                    Some(Held::Unauthenticated { _permit: permit }),
                    Stage::Unauthenticated { future, call, calls },
                )
            }
            Err(status) => (None, Stage::Refused { status: Some(status) }),
        }
    }
}

impl tower::Service<Request<Body>> for CallLayer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // The inner services are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> CallFuture {
        let begun = Instant::now();
        let (route, method) = route(request.uri().path());
        let tracked = TrackedConnection::of(request.extensions()).map(TrackedConnection::begin_call);
        let id = headers::request_id(request.headers());
        let requested = headers::timeout(request.headers());
        let timeout = requested.unwrap_or(self.call_timeout).min(self.longest_call);
        // A watch lasts as long as its caller wants; our timeout applies only until it begins.
        let lifetime = if method == WATCH { requested } else { Some(timeout) };
        if let Some(lifetime) = lifetime {
            request.extensions_mut().insert(Deadline(begun + lifetime));
        }
        let (held, stage) = match (headers::check_unique(request.headers()), route) {
            (Err(status), _) => (None, Stage::Refused { status: Some(status) }),
            (Ok(()), Route::Unauthenticated(call)) => {
                tracked.iter().for_each(TrackedCall::unauthenticated);
                self.begin_unauthenticated(call, request)
            }
            (Ok(()), Route::Contract(known)) => {
                let admission = Box::pin(self.admission.clone().admit((known, method), request));
                (None, Stage::Admitting { admission, contract: self.contract.clone() })
            }
        };
        let margin = ANSWER_BEFORE_DEADLINE.min(timeout / 10);
        CallFuture {
            stage,
            deadline: tokio::time::sleep_until(begun + timeout - margin),
            aborted: self.abort.clone().cancelled_owned(),
            method,
            id,
            begun,
            held,
            tracked,
            connections: self.connections.clone(),
            metrics: self.metrics.clone(),
        }
    }
}

// === impl CallFuture ===

impl Future for CallFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let StageProjection::Admitting { admission, contract } = this.stage.as_mut().project()
            && let Poll::Ready(result) = catch_panic(|| admission.as_mut().poll(context), Err)
        {
            let next = match result {
                Ok((request, admitted)) => {
                    if let Some(tracked) = this.tracked
                        && tracked.authorized(admitted.caller())
                    {
                        this.connections.authorized(admitted.caller());
                    }
                    *this.held = Some(Held::Admitted { _admitted: admitted });
                    Stage::Contract { future: tower::Service::call(contract, request) }
                }
                Err(status) => Stage::Refused { status: Some(status) },
            };
            this.stage.set(next);
        }
        let answered = match this.stage.project() {
            StageProjection::Admitting { .. } => Poll::Pending,
            StageProjection::Contract { future } => {
                catch_panic(|| future.poll(context), |status| Ok(status.into_http())).map_ok(with_details)
            }
            StageProjection::Unauthenticated { future, call, calls } => {
                let answered = future.poll(context);
                let connection = this.tracked.as_ref().map(TrackedCall::connection);
                answered.map_ok(|response| {
                    with_details(response).map(|body| calls.answer(*call, body, connection))
                })
            }
            StageProjection::Refused { status } => {
                Poll::Ready(Ok(status.take().unwrap_or_else(deadline_exceeded).into_http()))
            }
        };
        let mut response = match answered {
            Poll::Ready(Ok(response)) => response,
            // A timer costs something when it is first polled: calls that are answered at once never poll it.
            Poll::Pending if this.aborted.poll(context).is_ready() => aborted().into_http(),
            Poll::Pending => {
                ready!(this.deadline.poll(context));
                deadline_exceeded().into_http()
            }
        };
        let (code, duration) = (status_of(&response), this.begun.elapsed());
        log(this.method, code, duration, this.id);
        this.metrics.called(this.method, code, duration);
        response.headers_mut().insert(REQUEST_ID, this.id.clone());
        let held = this.held.take().filter(|_| *this.method != WATCH);
        Poll::Ready(Ok(match this.tracked.take() {
            Some(tracked) => response.map(|body| tracked.answer(body, held)),
            None => response,
        }))
    }
}

/// Turns a panic into an answer, so that a bug ends only its own call.
fn catch_panic<T>(poll: impl FnOnce() -> Poll<T>, answer: impl FnOnce(Status) -> T) -> Poll<T> {
    // Unwind safety: the future that panicked is dropped and never polled again. The panic message is on
    // standard error.
    std::panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|_| {
        tracing::error!("a call panicked");
        Poll::Ready(answer(status(&Error::Internal, "")))
    })
}

/// Logs a call. Successes are logged for debugging; failures of the service are logged for its operator.
fn log(method: &'static str, code: Code, duration: Duration, id: &HeaderValue) {
    let request_id = id.to_str().unwrap_or_default();
    let milliseconds = duration.as_micros() as f64 / 1_000.0;
    match code {
        Code::Ok => tracing::debug!(method, request_id, milliseconds, "answered"),
        Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable => {
            tracing::warn!(method, ?code, request_id, milliseconds, "failed");
        }
        _ => tracing::info!(method, ?code, request_id, milliseconds, "refused"),
    }
}

/// The code of an answer that consists of a status only; other answers are OK so far.
fn status_of(response: &Response<Body>) -> Code {
    let status = response.headers().get(GRPC_STATUS);
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// Replaces errors of tonic, which have no details, and codes with another meaning in our contract.
fn with_details(response: Response<Body>) -> Response<Body> {
    let code = status_of(&response);
    if code == Code::Ok || response.headers().contains_key(GRPC_DETAILS) {
        return response;
    }
    let (code, reason, message) = match code {
        Code::OutOfRange => (
            Code::ResourceExhausted,
            "MESSAGE_TOO_LARGE",
            "The request is larger than the service accepts. Send less in one request.",
        ),
        Code::Internal => (
            Code::InvalidArgument,
            "MALFORMED_MESSAGE",
            "The request is not a valid message of this method. Send the message that the proto defines.",
        ),
        Code::Unimplemented => (
            Code::Unimplemented,
            "NO_SUCH_METHOD",
            "The service has no such method, or not in this form. List the methods by reflection.",
        ),
        _ => return response,
    };
    server_status(code, reason, message, None).into_http()
}

fn aborted() -> Status {
    let message = "The service is stopping and no longer waits for this call; recorded changes continue. Retry with the same request_id \
                   when it is back.";
    server_status(Code::Unavailable, "STOPPING", message, Some(RETRY_AFTER_STOP))
}

fn deadline_exceeded() -> Status {
    let message = "The deadline has passed; recorded changes continue. Look at the result with Get, or retry with the same request_id and \
                   a longer deadline.";
    server_status(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn a_call_that_panics_gets_the_error_internal() {
        let Poll::Ready(status) = catch_panic(|| panic!("in a test"), |status| status) else {
            panic!("it is answered at once");
        };
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "INTERNAL");
    }
}
