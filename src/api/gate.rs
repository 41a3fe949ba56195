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
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, Sleep},
};
use tonic::{Code, Status, body::Body, server::NamedService, service::Routes};
use uuid::Uuid;

use super::{
    auth::{self, Door},
    call::Deadline,
    crowd::{Crowd, Share},
    error::{of_server, status},
    line::{Line, OnLine},
    metrics::Metrics,
    options::Limits,
    service::Service,
};
use crate::{proto::secret_service_server::SecretServiceServer, secrets::Error};

/// In and out: the id under which a call stands in the logs of both sides.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Headers of which the first counts: whoever stands before us may have looked at another one. Of credentials the door says so.
const READ_ONCE: [HeaderName; 3] = [REQUEST_ID, HeaderName::from_static(GRPC_TIMEOUT), CONTENT_TYPE];
const GRPC_STATUS: &str = "grpc-status";
const GRPC_DETAILS: &str = "grpc-status-details-bin";
/// The answer leaves this much before the caller's deadline, or a tenth of the time where that is less.
const MARGIN: Duration = Duration::from_millis(20);

/// What lasts as long as its caller wants.
const WATCH: &str = "WatchSyncedSecrets";
/// The RPCs of the contract, as the access log names them: a path is the caller's text, these are ours.
const METHODS: [&str; 16] = [
    "GetSyncedSecret",
    "ListSyncedSecrets",
    "WatchSyncedSecrets",
    "CreateSyncedSecret",
    "UpdateSyncedSecret",
    "DeleteSyncedSecret",
    "SyncSyncedSecret",
    "AdoptSyncedSecret",
    "ListSecretUsages",
    "GetVault",
    "ListVaultSecrets",
    "GetVaultSecret",
    "ListVaultSecretVersions",
    "CreateVaultSecret",
    "AddVaultSecretVersion",
    "ListAuditEvents",
];

/// What all calls go through, on every listener.
#[derive(Clone)]
pub(super) struct Gate {
    door: Door,
    crowd: Crowd,
    metrics: Metrics,
    contract: SecretServiceServer<Service>,
    /// Health and reflection.
    others: Routes,
    calls: Arc<Semaphore>,
    call_timeout: Duration,
    longest_call: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Route {
    Contract,
    Health,
    Other,
}

pin_project! {
    /// A call under way.
    pub(super) struct Call {
        #[pin]
        inner: Inner,
        #[pin]
        deadline: Sleep,
        method: &'static str,
        metrics: Metrics,
        id: HeaderValue,
        began: Instant,
        held: Held,
        on_line: Option<OnLine>,
    }
}

/// What a call takes of what all share, until its answer is taken; a watch has its own limits and gives this back at once.
#[derive(Default)]
struct Held {
    _permit: Option<OwnedSemaphorePermit>,
    share: Option<Share>,
}

pin_project! {
    #[project = InnerProjection]
    enum Inner {
        Entering {
            entering: BoxFuture<'static, Result<(Request<Body>, Share), Status>>,
            contract: SecretServiceServer<Service>,
        },
        Contract { #[pin] future: <SecretServiceServer<Service> as tower::Service<Request<Body>>>::Future },
        Other { #[pin] future: <Routes as tower::Service<Request<Body>>>::Future },
        Refused { status: Option<Status> },
    }
}

// === impl Gate ===

impl Gate {
    pub(super) fn new(
        (door, crowd, metrics): (Door, Crowd, Metrics),
        contract: SecretServiceServer<Service>,
        others: Routes,
        limits: &Limits,
    ) -> Self {
        Self {
            door,
            crowd,
            metrics,
            contract,
            others,
            calls: Arc::new(Semaphore::new(limits.concurrent_calls)),
            call_timeout: limits.call_timeout,
            longest_call: limits.longest_call,
        }
    }

    fn permit(&self, route: Route) -> Result<Option<OwnedSemaphorePermit>, Status> {
        // Whoever asks whether we are well must hear it also when we are busy.
        if route == Route::Health {
            return Ok(None);
        }
        self.calls.clone().try_acquire_owned().map(Some).map_err(|_| busy())
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
        let on_line = request.extensions().get::<Line>().map(Line::begin);
        let id = request.headers().get(&REQUEST_ID).filter(|id| is_id(id)).cloned().unwrap_or_else(new_id);
        let asked = timeout(request.headers());
        let time = asked.unwrap_or(self.call_timeout).min(self.longest_call);
        // A watch lasts as long as its caller wants; only its beginning has our limits.
        let lasts = if method == WATCH { asked } else { Some(time) };
        if let Some(lasts) = lasts {
            request.extensions_mut().insert(Deadline(began + lasts));
        }
        let allowed = once(request.headers()).and_then(|()| self.permit(route));
        let (permit, inner) = match allowed {
            Err(status) => (None, Inner::Refused { status: Some(status) }),
            Ok(permit) if route == Route::Contract => {
                let entering = Box::pin(enter(self.door.clone(), self.crowd.clone(), method, request));
                (permit, Inner::Entering { entering, contract: self.contract.clone() })
            }
            Ok(permit) => (permit, Inner::Other { future: self.others.call(request) }),
        };
        let deadline = tokio::time::sleep_until(began + time - MARGIN.min(time / 10));
        let held = Held { _permit: permit, share: None };
        let metrics = self.metrics.clone();
        Call { inner, deadline, method, metrics, id, began, held, on_line }
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
                Ok((request, share)) => {
                    this.held.share = Some(share);
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
            InnerProjection::Other { future } => future.poll(context),
            InnerProjection::Refused { status } => {
                Poll::Ready(Ok(status.take().unwrap_or_else(busy).into_http()))
            }
        };
        let mut response = match answered {
            Poll::Ready(Ok(response)) => response,
            // The timer costs something only once it is polled: calls that are answered at once never set it.
            Poll::Pending => {
                std::task::ready!(this.deadline.poll(context));
                deadline_passed().into_http()
            }
        };
        let (code, took) = (status_of(&response), this.began.elapsed());
        log(this.method, code, took, this.id);
        this.metrics.called(this.method, code, took);
        response.headers_mut().insert(REQUEST_ID, this.id.clone());
        let mut held = std::mem::take(this.held);
        if *this.method == WATCH {
            held = Held::default();
        }
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

/// Who calls, and its share of what all callers share.
async fn enter(
    door: Door,
    crowd: Crowd,
    method: &'static str,
    request: Request<Body>,
) -> Result<(Request<Body>, Share), Status> {
    let request = door.identify(method, request).await?;
    let share = crowd.call(&auth::caller(request.extensions()).to_string())?;
    Ok((request, share))
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

fn route(path: &str) -> (Route, &'static str) {
    let Some((service, method)) = path.strip_prefix('/').and_then(|path| path.split_once('/')) else {
        return (Route::Other, "other");
    };
    if service == SecretServiceServer::<Service>::NAME {
        let known = METHODS.into_iter().find(|known| *known == method);
        return (Route::Contract, known.unwrap_or("unknown"));
    }
    match service == "grpc.health.v1.Health" {
        true => (Route::Health, "health"),
        false => (Route::Other, "other"),
    }
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

fn busy() -> Status {
    let message = "The service is carrying out as many calls as it may. Try again in a second.";
    of_server(Code::ResourceExhausted, "TOO_MANY_CALLS", message, Some(Duration::from_secs(1)))
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
    fn the_access_log_names_methods_of_the_contract_and_no_text_of_the_caller() {
        let prefix = "/iotoperations.secrets.v1.SecretService";
        assert!(route(&format!("{prefix}/GetVault")) == (Route::Contract, "GetVault"));
        assert!(route(&format!("{prefix}/x\"y")) == (Route::Contract, "unknown"));
        assert!(route("/grpc.health.v1.Health/Check") == (Route::Health, "health"));
        assert!(route("/evil/GetVault") == (Route::Other, "other"));
        assert!(route("*") == (Route::Other, "other"));
    }

    #[test]
    fn every_rpc_of_the_contract_is_known_to_the_access_log() {
        let contract = include_str!("../../proto/iotoperations/secrets/v1/secret_service.proto");
        let rpcs = contract.lines().filter_map(|line| line.trim().strip_prefix("rpc ")?.split('(').next());
        let mut rpcs: Vec<_> = rpcs.collect();
        let mut known = METHODS.to_vec();
        rpcs.sort_unstable();
        known.sort_unstable();
        assert_eq!(rpcs, known);
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
