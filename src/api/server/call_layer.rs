//! The one layer that every call passes: its id, its deadline, the limit on calls at a time, who calls, and its line in the
//! access log.

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header::CONTENT_TYPE};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Code, Status, body::Body, service::Routes};
use uuid::Uuid;

use crate::api::{
    connection::{
        budget::Share,
        caller_limits::Crowd,
        request_body::Arriving,
        tracked::{Line, OnLine},
        tracker::Lines,
        unauthenticated::OpenCalls,
    },
    error::{of_server, status},
    options::Limits,
    rpc::{
        auth::{self, Door, Shown},
        methods::{Method, Open, Route, WATCH, route},
        mutation::Deadline,
        service::Service,
    },
    server::metrics::Metrics,
};
use crate::{proto::secret_service_server::SecretServiceServer, secrets::Error};

/// In and out: the id under which a call stands in the logs of both sides.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Headers of which the first counts: whoever stands before us may have looked at another one. Of credentials the door says so.
const READ_ONCE: [HeaderName; 3] = [REQUEST_ID, HeaderName::from_static(GRPC_TIMEOUT), CONTENT_TYPE];
const GRPC_STATUS: &str = "grpc-status";
const GRPC_DETAILS: &str = "grpc-status-details-bin";
/// The answer leaves this much before the caller's deadline, or a tenth of the time where that is less.
const MARGIN: Duration = Duration::from_millis(20);

/// What all calls go through, on every listener.
#[derive(Clone)]
pub(crate) struct Gate {
    door: Door,
    crowd: Crowd,
    metrics: Metrics,
    contract: SecretServiceServer<Service>,
    /// What needs no credentials: health and reflection.
    others: Routes,
    open: OpenCalls,
    call_timeout: Duration,
    longest_call: Duration,
    lines: Lines,
    /// Calls that are still under way when the service ends are cut off.
    too_late: CancellationToken,
}

pin_project! {
    /// A call under way.
    pub(crate) struct Call {
        #[pin]
        inner: Inner,
        #[pin]
        deadline: Sleep,
        #[pin]
        too_late: WaitForCancellationFutureOwned,
        method: &'static str,
        metrics: Metrics,
        id: HeaderValue,
        began: Instant,
        held: Option<Holding>,
        on_line: Option<OnLine>,
        lines: Lines,
    }
}

/// What a call takes of what all share, until its answer is taken; a watch has its own limits and gives this back at once.
enum Holding {
    Open { _share: Share },
    Entered { _held: Held },
}

/// What a call takes whose caller was let in.
struct Held {
    share: Share,
    _bytes: Arc<Share>,
}

/// What a call of the contract passes on its way in.
struct Entrance {
    door: Door,
    crowd: Crowd,
    open: OpenCalls,
}

pin_project! {
    #[project = InnerProjection]
    enum Inner {
        Entering {
            entering: BoxFuture<'static, Result<(Request<Body>, Held), Status>>,
            contract: SecretServiceServer<Service>,
        },
        Contract { #[pin] future: <SecretServiceServer<Service> as tower::Service<Request<Body>>>::Future },
        Open {
            #[pin]
            future: <Routes as tower::Service<Request<Body>>>::Future,
            open: Open,
            calls: OpenCalls,
        },
        Refused { status: Option<Status> },
    }
}

// === impl Gate ===

impl Gate {
    pub(crate) fn new(
        (door, crowd, metrics): (Door, Crowd, Metrics),
        contract: SecretServiceServer<Service>,
        (others, open): (Routes, OpenCalls),
        (limits, lines): (&Limits, Lines),
        too_late: CancellationToken,
    ) -> Self {
        let (call_timeout, longest_call) = (limits.call_timeout, limits.longest_call);
        Self { door, crowd, metrics, contract, others, open, call_timeout, longest_call, lines, too_late }
    }

    /// Begins what needs no credentials.
    fn open(&mut self, open: Open, request: Request<Body>) -> (Option<Holding>, Inner) {
        match self.open.begin(open, &auth::peer(request.extensions())) {
            Ok(share) => {
                let request = request.map(|body| self.open.request(open, body));
                let (future, calls) = (tower::Service::call(&mut self.others, request), self.open.clone());
                (Some(Holding::Open { _share: share }), Inner::Open { future, open, calls })
            }
            Err(status) => (None, Inner::Refused { status: Some(status) }),
        }
    }
}

impl tower::Service<Request<Body>> for Gate {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Call;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // None of the services behind us ever makes a caller wait here.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Call {
        let began = Instant::now();
        let (route, method) = route(request.uri().path());
        let on_line = Line::of(request.extensions()).map(Line::begin);
        let id = request.headers().get(&REQUEST_ID).filter(|id| is_id(id)).cloned().unwrap_or_else(new_id);
        let asked = timeout(request.headers());
        let time = asked.unwrap_or(self.call_timeout).min(self.longest_call);
        // A watch lasts as long as its caller wants; only its beginning has our limits.
        let lasts = if method == WATCH { asked } else { Some(time) };
        if let Some(lasts) = lasts {
            request.extensions_mut().insert(Deadline(began + lasts));
        }
        let (held, inner) = match (once(request.headers()), route) {
            (Err(status), _) => (None, Inner::Refused { status: Some(status) }),
            (Ok(()), Route::Open(open)) => {
                on_line.iter().for_each(OnLine::is_open);
                self.open(open, request)
            }
            (Ok(()), Route::Contract(known)) => {
                let (door, crowd, open) = (self.door.clone(), self.crowd.clone(), self.open.clone());
                let entering = Box::pin(Entrance { door, crowd, open }.enter((known, method), request));
                (None, Inner::Entering { entering, contract: self.contract.clone() })
            }
        };
        let deadline = tokio::time::sleep_until(began + time - MARGIN.min(time / 10));
        let (metrics, lines) = (self.metrics.clone(), self.lines.clone());
        let too_late = self.too_late.clone().cancelled_owned();
        Call { inner, deadline, too_late, method, metrics, id, began, held, on_line, lines }
    }
}

// === impl Call ===

impl Future for Call {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let InnerProjection::Entering { entering, contract } = this.inner.as_mut().project()
            && let Poll::Ready(entered) = caught(|| entering.as_mut().poll(context), Err)
        {
            let next = match entered {
                Ok((request, held)) => {
                    if let Some(on_line) = this.on_line
                        && on_line.let_in(held.share.holder())
                    {
                        this.lines.let_in(held.share.holder());
                    }
                    *this.held = Some(Holding::Entered { _held: held });
                    Inner::Contract { future: tower::Service::call(contract, request) }
                }
                Err(status) => Inner::Refused { status: Some(status) },
            };
            this.inner.set(next);
        }
        let answered = match this.inner.project() {
            InnerProjection::Entering { .. } => Poll::Pending,
            InnerProjection::Contract { future } => {
                caught(|| future.poll(context), |status| Ok(status.into_http())).map_ok(with_details)
            }
            InnerProjection::Open { future, open, calls } => {
                let answered = future.poll(context);
                let line = this.on_line.as_ref().map(OnLine::line);
                answered.map_ok(|response| with_details(response).map(|body| calls.answer(*open, body, line)))
            }
            InnerProjection::Refused { status } => {
                Poll::Ready(Ok(status.take().unwrap_or_else(deadline_passed).into_http()))
            }
        };
        let mut response = match answered {
            Poll::Ready(Ok(response)) => response,
            // The timer costs something only once it is polled: calls that are answered at once never set it.
            Poll::Pending if this.too_late.poll(context).is_ready() => cut_off().into_http(),
            Poll::Pending => {
                std::task::ready!(this.deadline.poll(context));
                deadline_passed().into_http()
            }
        };
        let (code, took) = (status_of(&response), this.began.elapsed());
        log(this.method, code, took, this.id);
        this.metrics.called(this.method, code, took);
        response.headers_mut().insert(REQUEST_ID, this.id.clone());
        let held = this.held.take().filter(|_| *this.method != WATCH);
        Poll::Ready(Ok(match this.on_line.take() {
            Some(on_line) => response.map(|body| on_line.answer(body, held)),
            None => response,
        }))
    }
}

/// A defect of ours ends its own call alone, and with an answer.
fn caught<T>(poll: impl FnOnce() -> Poll<T>, answer: impl FnOnce(Status) -> T) -> Poll<T> {
    // What panicked is dropped, and nothing of it is seen again. The panic itself is on standard error by then.
    std::panic::catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|_| {
        tracing::error!("a call has died");
        Poll::Ready(answer(status(&Error::Internal, "")))
    })
}

// === impl Entrance ===

impl Entrance {
    /// Finds out who calls, takes its share of what all callers share, and asks for its right as far as that can be without the request.
    async fn enter(
        self,
        (method, name): (Option<&'static Method>, &'static str),
        mut request: Request<Body>,
    ) -> Result<(Request<Body>, Held), Status> {
        let Self { door, crowd, open } = self;
        let shown = Shown::take(&mut request);
        let is_unix = shown.peer().is_unix;
        // Until it is known who calls, it is a call like any other that shows no credentials.
        let visit = match door.recognizes(&shown) {
            true => None,
            false => Some(open.visit(shown.payer(), is_unix)?),
        };
        let request = door.clone().identify(name, shown, request).await?;
        drop(visit);
        let caller = auth::caller(request.extensions());
        let share = crowd.call(&caller.to_string(), is_unix)?;
        let is_decided = match method {
            Some(method) => door.foresees(&caller, method).await?,
            None => true,
        };
        let (terms, bytes) = crowd.request(share.holder(), method, is_decided)?;
        Ok((request.map(|body| Arriving::body(body, terms)), Held { share, _bytes: bytes }))
    }
}

/// A line of the access log: successes are for debugging, what the service can't do is for its operator.
fn log(method: &'static str, code: Code, took: Duration, id: &HeaderValue) {
    let request_id = id.to_str().unwrap_or_default();
    let milliseconds = took.as_micros() as f64 / 1_000.0;
    match code {
        Code::Ok => tracing::debug!(method, request_id, milliseconds, "answered"),
        Code::Internal | Code::Unknown | Code::DataLoss | Code::Unavailable => {
            tracing::warn!(method, ?code, request_id, milliseconds, "failed");
        }
        _ => tracing::info!(method, ?code, request_id, milliseconds, "refused"),
    }
}

/// The code of an answer that has nothing but a status; others are well so far.
fn status_of(response: &Response<Body>) -> Code {
    let status = response.headers().get(GRPC_STATUS);
    status.map_or(Code::Ok, |status| Code::from_bytes(status.as_bytes()))
}

/// Errors of tonic itself come without details, and under codes that mean something else in our contract.
fn with_details(response: Response<Body>) -> Response<Body> {
    let code = status_of(&response);
    if code == Code::Ok || response.headers().contains_key(GRPC_DETAILS) {
        return response;
    }
    let status = match code {
        Code::OutOfRange => {
            let message = "The request is larger than the service accepts. Send less in one request.";
            of_server(Code::ResourceExhausted, "MESSAGE_TOO_LARGE", message, None)
        }
        Code::Internal => {
            let message = "The request is not a message of this method. Send it as the proto says.";
            of_server(Code::InvalidArgument, "MALFORMED_MESSAGE", message, None)
        }
        Code::Unimplemented => {
            let message =
                "The contract has no such method, or not in this form. See the methods by reflection.";
            of_server(Code::Unimplemented, "NO_SUCH_METHOD", message, None)
        }
        _ => return response,
    };
    status.into_http()
}

/// Refuses what comes more than once and counts once.
fn once(headers: &HeaderMap) -> Result<(), Status> {
    let is_repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    match READ_ONCE.iter().find(is_repeated) {
        Some(name) => {
            let message = format!("The header {name} comes more than once. Send it once.");
            Err(of_server(Code::InvalidArgument, "HEADER_REPEATED", &message, None))
        }
        None => Ok(()),
    }
}

/// The time that a caller gives us, as gRPC over HTTP/2 writes it: at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// An id of the caller's that may stand in our logs.
fn is_id(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is visible ASCII")
}

fn cut_off() -> Status {
    let message = "The service is stopping and waits no longer for the end of this call; what was recorded until now goes on. Call again \
                   with the same request_id when it is back.";
    of_server(Code::Unavailable, "STOPPING", message, Some(Duration::from_secs(1)))
}

fn deadline_passed() -> Status {
    let message = "The deadline has passed; what was recorded until now goes on. See what it is now with Get, or call \
                   again with the same request_id and more time.";
    of_server(Code::DeadlineExceeded, "DEADLINE_EXCEEDED", message, None)
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    #[test]
    fn a_timeout_is_read_as_grpc_writes_it_and_nothing_else() {
        let read = |text: &str| {
            timeout(&HeaderMap::from_iter([(
                HeaderName::from_static(GRPC_TIMEOUT),
                HeaderValue::from_str(text).unwrap(),
            )]))
        };
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for bad in ["", "S", "3", "3s", "-1S", "+1S", "100000000S", "1.5S", "S3"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_call_that_panics_is_answered_like_any_other_failure_of_ours() {
        let Poll::Ready(status) = caught(|| panic!("in a test"), |status| status) else {
            panic!("it is answered at once");
        };
        assert_eq!(status.code(), Code::Internal);
        assert_eq!(status.get_error_details().error_info().unwrap().reason, "INTERNAL");
    }

    #[test]
    fn an_id_of_the_caller_is_short_and_printable() {
        assert!(is_id(&HeaderValue::from_static("run-7/step:1")));
        for bad in ["", "a b", &"x".repeat(129)] {
            assert!(!is_id(&HeaderValue::from_str(bad).unwrap()), "{bad:?}");
        }
        assert!(is_id(&new_id()));
    }
}
