//! The browser guard: gRPC passes, and a request of a browser must come from an allowed origin.
//!
//! A page of another origin is refused by CORS and by the Origin header of the call itself. A page of the
//! same origin could be any site whose name resolves to this service (DNS rebinding), so the name in Host
//! must be one of this service. With that name, the console is served, and may call.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN},
    uri::Authority,
};
use pin_project_lite::pin_project;
use tonic::body::Body;
use tonic_web::{GrpcWebLayer, GrpcWebService};
use tower::{Layer, Service};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};

use super::{
    call_layer::{CallFuture, CallLayer},
    console::{self, Console},
    headers::REQUEST_ID,
};

/// How long a browser remembers the answer to a preflight request.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_secs(600);

/// The outermost service of a connection.
#[derive(Clone)]
pub(crate) struct BrowserGuard {
    calls: CallLayer,
    /// gRPC-Web, if it is enabled. Shared, because this service is cloned for every request.
    web: Option<Arc<Cors<GrpcWebService<CallLayer>>>>,
    console: Option<Console>,
    allowed: Arc<AllowedOrigins>,
}

/// The origins of pages that may call.
#[derive(Debug, Default)]
pub(crate) struct AllowedOrigins {
    origins: Vec<HeaderValue>,
    hosts: Vec<String>,
}

pin_project! {
    #[project = ResponseFutureProjection]
    pub(crate) enum ResponseFuture {
        Grpc { #[pin] call: CallFuture },
        Web { call: BoxFuture<'static, Result<Response<Body>, Infallible>> },
        Refused { why: Option<(StatusCode, &'static str)> },
    }
}

// === impl AllowedOrigins ===

impl AllowedOrigins {
    /// Parses origins as browsers send them, such as `https://console.example:8443`; the error is the first
    /// invalid one.
    pub(crate) fn new(origins: &[String]) -> Result<Self, String> {
        let mut allowed = Self::default();
        for origin in origins {
            let uri: Uri = origin.parse().map_err(|_| origin.clone())?;
            let web = matches!(uri.scheme_str(), Some("http" | "https"));
            let host = uri.host().filter(|_| web && uri.path() == "/" && !origin.ends_with('/'));
            let host = host.ok_or_else(|| origin.clone())?;
            let value = HeaderValue::from_str(&origin.to_ascii_lowercase()).map_err(|_| origin.clone())?;
            allowed.hosts.push(host.to_ascii_lowercase());
            allowed.origins.push(value);
        }
        Ok(allowed)
    }

    /// Whether the origins of a request are allowed; a request without any is. Our own pages may call, if there are any.
    fn allows_origin_of<B>(&self, request: &Request<B>, has_pages: bool) -> bool {
        let is_own = |origin: &HeaderValue| has_pages && self.own_origin(request).as_ref() == Some(origin);
        let mut origins = request.headers().get_all(ORIGIN).iter();
        origins.all(|origin| self.origins.contains(origin) || is_own(origin))
    }

    /// The origin of our pages, as a browser names it that sends this request: `http://127.0.0.1:50051`. None if the host is
    /// not ours.
    fn own_origin<B>(&self, request: &Request<B>) -> Option<HeaderValue> {
        let authority = authority(request).filter(|_| self.allows_host_of(request))?;
        let origin = origin_of(&authority, console::is_secured(request.extensions()));
        HeaderValue::try_from(origin).ok()
    }

    /// Whether the host of a request is an address, `localhost`, or that of an allowed origin: names that no
    /// other site can let resolve to us.
    fn allows_host_of<B>(&self, request: &Request<B>) -> bool {
        host(request).is_some_and(|host| is_of_any_machine(&host) || self.hosts.contains(&host))
    }
}

/// The origin of pages at an authority, as browsers name it: without the port if that is the usual one, which a proxy may name.
fn origin_of(authority: &Authority, is_secured: bool) -> String {
    let (scheme, usual_port) = if is_secured { ("https", ":443") } else { ("http", ":80") };
    let authority = authority.as_str();
    format!("{scheme}://{}", authority.strip_suffix(usual_port).unwrap_or(authority)).to_ascii_lowercase()
}

/// Whether the host of a request is a name that belongs to a service: that of an allowed origin, if the guard let it pass.
pub(super) fn has_own_name<B>(request: &Request<B>) -> bool {
    host(request).is_some_and(|host| !is_of_any_machine(&host))
}

/// Whether a host is `localhost` or an address, which other services of the machine have too.
fn is_of_any_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok()
}

/// The host of a request, without the brackets of an address.
fn host<B>(request: &Request<B>) -> Option<String> {
    let authority = authority(request)?;
    Some(authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase())
}

/// The host of a request with its port, if it has one and no more.
fn authority<B>(request: &Request<B>) -> Option<Authority> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.clone());
    }
    let mut all = request.headers().get_all(HOST).iter();
    let host = all.next()?.to_str().ok().filter(|_| all.next().is_none())?;
    host.parse().ok()
}

// === impl BrowserGuard ===

impl BrowserGuard {
    /// A console calls by gRPC-Web, which it needs.
    pub(crate) fn new(
        calls: CallLayer,
        allowed: AllowedOrigins,
        grpc_web: bool,
        console: Option<Console>,
    ) -> Self {
        let web = grpc_web.then(|| Arc::new(cors(&allowed).layer(GrpcWebLayer::new().layer(calls.clone()))));
        Self { calls, web, console, allowed: Arc::new(allowed) }
    }

    /// The console, if a request is for it: none of gRPC by its content type, nor by its path.
    fn console_for(&self, request: &Request<Body>) -> Option<Console> {
        let is_of_calls =
            is_web(request) || is_grpc(request.headers()) || console::is_of_grpc(request.uri().path());
        self.console.clone().filter(|_| !is_of_calls)
    }
}

impl Service<Request<Body>> for BrowserGuard {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> ResponseFuture {
        if !self.allowed.allows_origin_of(&request, self.console.is_some()) {
            return refused(
                &request,
                StatusCode::FORBIDDEN,
                "This origin is not allowed to call this service. Add it to allowed_origins.\n",
            );
        }
        let (web, console) = (is_web(&request), self.console_for(&request));
        if !web && console.is_none() && request.version() == Version::HTTP_2 {
            return match is_grpc(request.headers()) {
                true => ResponseFuture::Grpc { call: self.calls.call(request) },
                false => refused(&request, StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is a gRPC service.\n"),
            };
        }
        match (&self.web, console) {
            (Some(_), _) if !self.allowed.allows_host_of(&request) => refused(
                &request,
                StatusCode::FORBIDDEN,
                "This service does not accept this host name. Add its origin to allowed_origins.\n",
            ),
            (Some(_), Some(mut console)) => ResponseFuture::Web { call: console.call(request) },
            (Some(stack), None) if web => {
                ResponseFuture::Web { call: Box::pin(stack.as_ref().clone().call(request)) }
            }
            _ => refused(&request, StatusCode::UNSUPPORTED_MEDIA_TYPE, "This is a gRPC service.\n"),
        }
    }
}

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            ResponseFutureProjection::Grpc { call } => call.poll(context),
            ResponseFutureProjection::Web { call } => call.as_mut().poll(context),
            ResponseFutureProjection::Refused { why } => {
                let (status, text) = why.take().unwrap_or((StatusCode::BAD_REQUEST, ""));
                let mut response = Response::new(Body::new(text.to_owned()));
                *response.status_mut() = status;
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
                Poll::Ready(Ok(response))
            }
        }
    }
}

fn cors(allowed: &AllowedOrigins) -> CorsLayer {
    let name = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed.origins.clone()))
        .allow_methods([Method::POST])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            REQUEST_ID,
            name("x-grpc-web"),
            name("x-user-agent"),
            name("grpc-timeout"),
            name("traceparent"),
        ])
        .expose_headers([
            REQUEST_ID,
            name("grpc-status"),
            name("grpc-message"),
            name("grpc-status-details-bin"),
        ])
        .max_age(PREFLIGHT_MAX_AGE)
}

/// Whether a request is gRPC-Web, or a preflight request of a browser.
fn is_web<B>(request: &Request<B>) -> bool {
    request.method() == Method::OPTIONS || content_type(request.headers()).starts_with("application/grpc-web")
}

fn is_grpc(headers: &HeaderMap) -> bool {
    content_type(headers)
        .strip_prefix("application/grpc")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('+') || rest.starts_with(';'))
}

fn content_type(headers: &HeaderMap) -> &str {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The refusal of a request. The answer to HEAD has no body, which over HTTP/2 nobody leaves out for us.
fn refused<B>(request: &Request<B>, status: StatusCode, text: &'static str) -> ResponseFuture {
    let text = if request.method() == Method::HEAD { "" } else { text };
    ResponseFuture::Refused { why: Some((status, text)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_scheme_and_authority_and_nothing_more() {
        let allowed = |origin: &str| AllowedOrigins::new(&[origin.to_owned()]);
        assert!(allowed("https://console.example:8443").is_ok());
        assert!(allowed("http://127.0.0.1:3000").is_ok());
        for bad in ["*", "", "null", "console.example", "https://a/b", "https://a/", "file:///x"] {
            assert_eq!(allowed(bad).unwrap_err(), bad);
        }
    }

    #[test]
    fn only_hosts_safe_from_dns_rebinding_are_allowed() {
        let allowed = AllowedOrigins::new(&["https://console.example".to_owned()]).unwrap();
        let host = |host: &str| {
            allowed.allows_host_of(&Request::builder().uri("/").header(HOST, host).body(()).unwrap())
        };
        for ours in ["127.0.0.1:50051", "[::1]:50051", "localhost:50051", "LOCALHOST", "console.example:443"]
        {
            assert!(host(ours), "{ours}");
        }
        for not_ours in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:50051", "", "a b"]
        {
            assert!(!host(not_ours), "{not_ours}");
        }
    }

    #[test]
    fn an_origin_names_no_port_that_is_the_usual_one() {
        let origin =
            |authority: &str, is_secured| origin_of(&Authority::try_from(authority).unwrap(), is_secured);
        assert_eq!(origin("10.0.0.5:443", true), "https://10.0.0.5");
        assert_eq!(origin("[::1]:443", true), "https://[::1]");
        assert_eq!(origin("LOCALHOST:80", false), "http://localhost");
        for other in ["10.0.0.5:80", "10.0.0.5:8443", "10.0.0.5", "[::443]"] {
            assert_eq!(origin(other, true), format!("https://{other}"));
        }
        assert_eq!(origin("localhost:443", false), "http://localhost:443");
    }

    #[test]
    fn only_grpc_content_types_are_grpc() {
        let is = |value: &'static str| {
            is_grpc(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]))
        };
        assert!(is("application/grpc") && is("application/grpc+proto"));
        assert!(!is("text/plain") && !is("application/grpcx") && !is("application/json"));
    }
}
