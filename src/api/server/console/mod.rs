//! The console: the web page that the service serves itself, with what it must know before anybody has signed in.
//!
//! It needs no credentials: whoever may connect may read it, and it holds nothing that is secret. Its requests have a budget
//! of their own among those without credentials, and each counts until its answer is read, as calls do. The browser guard has
//! checked Host and Origin before.

mod asset;
mod body;
mod headers;
mod negotiation;
mod settings;

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version,
    header::{ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, RETRY_AFTER, VARY},
};
use tonic::{Status, body::Body, transport::server::TlsConnectInfo};

use super::browser_guard::has_own_name;
use crate::{
    access::AccessControl,
    api::{
        connection::{
            peer::Peer,
            tracked::{TrackedCall, TrackedConnection},
            unauthenticated::{UnauthenticatedCall, UnauthenticatedCalls},
        },
        options::{ConsoleOptions, Options},
    },
};
use asset::{Asset, Assets};
use body::{ChunkedBody, Pace};
use settings::Settings;

/// Where the page reads its settings.
const SETTINGS: &str = "/console.json";
/// Files whose names change with their content.
const HASHED: &str = "/assets/";
/// Used again only after a question whether it is current.
const REVALIDATED: HeaderValue = HeaderValue::from_static("no-cache");
/// Never asked for again.
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Never kept.
const NOT_STORED: HeaderValue = HeaderValue::from_static("no-store");

/// The service that answers requests for the page. A clone shares everything.
#[derive(Clone)]
pub(super) struct Console(Arc<Inner>);

struct Inner {
    options: ConsoleOptions,
    accepts_certificates: bool,
    send_timeout: Duration,
    access: AccessControl,
    assets: Assets,
    unauthenticated: UnauthenticatedCalls,
}

/// What a path leads to.
enum Target<'a> {
    /// The page itself.
    Page,
    /// The same, for a path of one of its screens.
    Screen,
    /// Another file of the page.
    File(&'a Asset),
    /// The settings.
    Settings,
    /// Nothing.
    Missing,
}

/// A request without its body, which nobody reads.
struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
    peer: Arc<Peer>,
    /// Whether its host is to be asked over TLS alone: it came over TLS, and to a name that no other service has.
    stays_secured: bool,
    /// The connection, if its buffers are filled by whoever answers.
    unpaced: Option<TrackedConnection>,
}

// === impl Console ===

impl Console {
    /// The console, if it is on.
    pub(super) fn new(
        options: &Options,
        access: &AccessControl,
        unauthenticated: &UnauthenticatedCalls,
    ) -> Option<Self> {
        Some(Self(Arc::new(Inner {
            options: options.console.clone()?,
            accepts_certificates: options.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some()),
            send_timeout: options.limits.send_timeout,
            access: access.clone(),
            assets: Assets::embedded(),
            unauthenticated: unauthenticated.clone(),
        })))
    }
}

impl tower::Service<Request<Body>> for Console {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.0.clone();
        let tracked = TrackedConnection::of(request.extensions()).map(TrackedConnection::begin_call);
        tracked.iter().for_each(TrackedCall::unauthenticated);
        let asked = Asked::of(request);
        Box::pin(async move {
            let (mut response, held) =
                match inner.unauthenticated.begin(UnauthenticatedCall::Page, &asked.peer) {
                    Ok(permit) => (inner.answer(&asked).await, Some(permit)),
                    Err(status) => (refused(&status), None),
                };
            headers::secure(response.headers_mut(), asked.stays_secured);
            // Over HTTP/2, nobody leaves it out for us: an answer to HEAD with a body is malformed.
            if asked.method == Method::HEAD {
                *response.body_mut() = Body::empty();
            }
            Ok(match tracked {
                Some(tracked) => response.map(|body| tracked.answer(body, held)),
                None => response,
            })
        })
    }
}

// === impl Inner ===

impl Inner {
    async fn answer(&self, asked: &Asked) -> Response<Body> {
        if !matches!(asked.method, Method::GET | Method::HEAD) {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "Use GET or HEAD.\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match target(&self.assets, &asked.path, negotiation::accepts_html(&asked.headers)) {
            Target::Page => self.page(asked, "accept-encoding").await,
            Target::Screen => self.page(asked, "accept, accept-encoding").await,
            Target::File(asset) => self.file(asset, asset.tag(""), asked, "accept-encoding"),
            Target::Settings => self.settings(asked),
            Target::Missing => {
                let mut response = plain(StatusCode::NOT_FOUND, "There is nothing here.\n");
                response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
                response
            }
        }
    }

    /// The page itself, with a policy that lets it connect to the issuer. The policy is part of its tag: browsers may keep an
    /// old policy when they learn that the content has not changed.
    async fn page(&self, asked: &Asked, vary: &'static str) -> Response<Body> {
        let policy = headers::policy(&self.connectable().await);
        let index = self.assets.index();
        let mut response = self.file(index, index.tag(&policy), asked, vary);
        headers::set_policy(response.headers_mut(), policy);
        response
    }

    /// A file, in the coding that the client likes best, unless the client has it already.
    fn file(&self, asset: &Asset, tag: HeaderValue, asked: &Asked, vary: &'static str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let is_hashed = asset.file.path.starts_with(HASHED);
        headers.insert(CACHE_CONTROL, if is_hashed { IMMUTABLE } else { REVALIDATED });
        headers.insert(VARY, HeaderValue::from_static(vary));
        headers.insert(ETAG, tag.clone());
        if negotiation::has(&asked.headers, &tag) {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        let coding = negotiation::coding(&asked.headers);
        if let Some(name) = coding.name() {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(name));
        }
        self.filled(response, asset.file.media_type, asset.content(coding), asked)
    }

    fn settings(&self, asked: &Asked) -> Response<Body> {
        let settings = Settings::new(self, &asked.peer).to_json();
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(CACHE_CONTROL, NOT_STORED);
        self.filled(response, "application/json", settings.into(), asked)
    }

    /// A response with its content.
    fn filled(
        &self,
        mut response: Response<Body>,
        media_type: &'static str,
        content: Bytes,
        asked: &Asked,
    ) -> Response<Body> {
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CONTENT_LENGTH, content.len().into());
        let pace = asked.unpaced.as_ref().map(|connection| Pace::of(connection, self.send_timeout));
        *response.body_mut() = ChunkedBody::body(content, self.send_timeout, pace);
        response
    }

    /// The URLs to which the page connects, beside this service: the issuer and its token endpoint.
    async fn connectable(&self) -> Vec<String> {
        match (&self.options.client, self.access.identification().issuer) {
            (Some(_), Some(issuer)) => {
                let token_endpoint = self.access.token_endpoint().await;
                std::iter::once(issuer.to_owned()).chain(token_endpoint).collect()
            }
            _ => Vec::new(),
        }
    }
}

// === impl Asked ===

impl Asked {
    fn of(request: Request<Body>) -> Self {
        let stays_secured = is_secured(request.extensions()) && has_own_name(&request);
        let (head, _body) = request.into_parts();
        Self {
            peer: TrackedConnection::peer_of(&head.extensions),
            stays_secured,
            unpaced: TrackedConnection::of(&head.extensions)
                .filter(|_| head.version < Version::HTTP_2)
                .cloned(),
            path: head.uri.path().to_owned(),
            method: head.method,
            headers: head.headers,
        }
    }
}

/// Whether a request came over TLS.
pub(super) fn is_secured(request: &http::Extensions) -> bool {
    request.get::<TlsConnectInfo<TrackedConnection>>().is_some()
}

/// Whether a path is that of a gRPC method, `/package.Service/Method`, and so never the console's.
pub(super) fn is_of_grpc(path: &str) -> bool {
    let first = path.strip_prefix('/').and_then(|path| path.split_once('/'));
    first.is_some_and(|(service, _)| service.contains('.'))
}

/// What a path leads to. Files are found by their exact names alone. Screens have no dot in their first part, as files and
/// gRPC services have.
fn target<'a>(assets: &'a Assets, path: &str, accepts_html: bool) -> Target<'a> {
    if path == "/" {
        return Target::Page;
    }
    if path == SETTINGS {
        return Target::Settings;
    }
    if let Some(asset) = assets.find(path) {
        return Target::File(asset);
    }
    let first = path.strip_prefix('/').and_then(|path| path.split('/').next());
    let is_screen =
        first.is_some_and(|first| first != "assets" && !first.contains('.')) && !path.contains("//");
    if is_screen && accepts_html { Target::Screen } else { Target::Missing }
}

/// A response of one line, which nobody keeps.
fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::new(text.to_owned()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(CACHE_CONTROL, NOT_STORED);
    response
}

/// The refusal of a request that exceeds a limit.
fn refused(status: &Status) -> Response<Body> {
    let mut response = plain(StatusCode::TOO_MANY_REQUESTS, "");
    *response.body_mut() = Body::new(format!("{}\n", status.message()));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

/// The values of a header, as one list.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests;
