//! From a request to its answer: who asks, whether they may, what breaks by order, and who answers.

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, Response, header::AUTHORIZATION, request::Parts},
};
use doubles_common::faults::Phase;

use super::{
    Server,
    auth::{API_AUDIENCE, User},
    control, decode, delete, discovery,
    faults::{Aim, Fault},
    openapi, read,
    request::{Query, ResourcePath, Target},
    resources::{Class, Served},
    reviews,
    status::{ApiError, Subject},
    view::View,
    watch,
    write::{APPLY, Write},
};

const MAX_BODY: usize = 3 * 1_024 * 1_024;

/// The connection is to break without an answer.
#[derive(Debug, thiserror::Error)]
#[error("reset by order")]
pub(super) struct Reset;

type Answer = Result<Response<Body>, ApiError>;

/// Answers one request.
pub(super) async fn serve<B>(server: Arc<Server>, request: Request<B>) -> Result<Response<Body>, Reset>
where
    B: axum::body::HttpBody<Data = axum::body::Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    if matches!(path, "/healthz" | "/livez" | "/readyz") {
        return Ok(Response::new(Body::from("ok")));
    }
    let Some(user) = authenticate(&server, &parts) else {
        return Ok(ApiError::unauthorized().into_response());
    };
    let body = match to_bytes(Body::new(body), MAX_BODY).await {
        Ok(body) => body,
        Err(_) => {
            let message = format!("Request entity too large: limit is {MAX_BODY}");
            return Ok(ApiError::new(413, "RequestEntityTooLarge", message).into_response());
        }
    };
    if let Some(what) = path.strip_prefix("/.double/") {
        let answer = control::answer(&server, &user, &parts.method, what, &body);
        return Ok(answer.unwrap_or_else(ApiError::into_response));
    }
    let query = Query::parse(&parts.uri);
    let resource = ResourcePath::parse(path).filter(|_| !path.starts_with("/openapi"));
    let Some(resource) = resource else {
        if let Some(fault) = server.faults.strike_path(parts.uri.path())
            && let Some(answer) = answered_by(fault, &server, "").await?
        {
            return Ok(answer);
        }
        return Ok(about_the_server(&server, &parts));
    };
    let Some(verb) = resource.verb(&parts.method, &query) else {
        return Ok(ApiError::method_not_allowed().into_response());
    };
    let request =
        ResourceRequest { server: &server, user: &user, parts: &parts, query: &query, path: &resource, verb };
    request.answer(&body).await
}

/// A request for a resource.
struct ResourceRequest<'a> {
    server: &'a Arc<Server>,
    user: &'a User,
    parts: &'a Parts,
    query: &'a Query,
    path: &'a ResourcePath,
    verb: &'static str,
}

// === impl ResourceRequest ===

impl ResourceRequest<'_> {
    /// The answer, with the faults that are ordered for it.
    async fn answer(&self, body: &[u8]) -> Result<Response<Body>, Reset> {
        let aim = self.path.aim(self.verb);
        self.server.counts.lock().count(self.verb, &self.path.plural);
        if let Some(answer) = self.strike(&aim, Phase::Before).await? {
            return Ok(answer);
        }
        let answer = self.dispatch(body).await.unwrap_or_else(ApiError::into_response);
        Ok(self.strike(&aim, Phase::After).await?.unwrap_or(answer))
    }

    async fn dispatch(&self, body: &[u8]) -> Answer {
        let path = self.path;
        let wanted = path.attributes(self.verb);
        if !self.server.policy.may(self.user, &wanted) {
            let subject = Subject { group: &path.group, resource: &path.plural, name: &path.name };
            return Err(ApiError::forbidden(subject, &wanted.refusal(self.user)));
        }
        let Some(served) = self.server.registry.find(&path.group, &path.version, &path.plural) else {
            return match self.server.registry.has_version(&path.group, &path.version) {
                true => Err(ApiError::no_such_resource()),
                false => Ok(no_such_path()),
            };
        };
        let view = View::negotiate(&self.parts.headers, self.query.get("includeObject"))?;
        if served.resource.class == Class::Review {
            return self.review(&served, view, body);
        }
        let target = self.target(served)?;
        let (server, query) = (self.server, self.query);
        let media_type = decode::media_type(&self.parts.headers);
        query.check_options(self.verb, self.verb == "patch" && media_type == APPLY)?;
        let write = Write { server, target: &target, query, headers: &self.parts.headers, view };
        let sent = (media_type, body);
        match self.verb {
            "get" => read::get(server, &target, query, view),
            "list" => read::list(server, &target, query, view),
            "watch" => watch::watch(server, &target, query, view),
            "create" => write.create(body).await,
            "update" => write.update(body).await,
            "patch" => write.patch(body).await,
            "delete" => delete::one(server, &target, query, view, sent).await,
            "deletecollection" => delete::collection(server, &target, query, view, sent).await,
            _ => Err(ApiError::method_not_allowed()),
        }
    }

    fn target(&self, served: Served) -> Result<Target, ApiError> {
        let path = self.path;
        let single = !path.name.is_empty();
        if served.resource.namespaced && path.namespace.is_empty() && (single || self.verb == "create") {
            return Err(match single {
                true => ApiError::no_such_resource(),
                false => ApiError::method_not_allowed(),
            });
        }
        if !served.resource.namespaced && !path.namespace.is_empty() {
            return Err(ApiError::no_such_resource());
        }
        match (path.subresource.as_str(), self.verb) {
            ("", "create") if single => return Err(ApiError::method_not_allowed()),
            ("", _) => {}
            ("status", "get" | "update" | "patch") if served.version().status => {}
            _ => return Err(ApiError::no_such_resource()),
        }
        Ok(Target {
            served,
            namespace: path.namespace.clone(),
            name: path.name.clone(),
            subresource: path.subresource.clone(),
        })
    }

    fn review(&self, served: &Served, view: View, body: &[u8]) -> Answer {
        if self.verb != "create" {
            return Err(ApiError::method_not_allowed());
        }
        let mut review = decode::parse(decode::media_type(&self.parts.headers), body)?;
        decode::check_type(&mut review, served)?;
        let review = reviews::answer(self.server, self.user, &served.resource.kind, review)?;
        Ok(view.one(201, served, &review, &[]))
    }

    /// What the first fault that strikes answers instead.
    async fn strike(&self, aim: &Aim<'_>, phase: Phase) -> Result<Option<Response<Body>>, Reset> {
        match self.server.faults.strike(aim, phase) {
            Some(fault) => answered_by(fault, self.server, &self.path.namespace).await,
            None => Ok(None),
        }
    }
}

/// What a fault answers instead; nothing where it has only taken time.
async fn answered_by(
    fault: Fault,
    server: &Server,
    namespace: &str,
) -> Result<Option<Response<Body>>, Reset> {
    if let Some(delay) = fault.delay() {
        tokio::time::sleep(delay).await;
        return Ok(None);
    }
    match fault {
        Fault::Status { code, reason, retry_after } => {
            let mut error = ApiError::new(code, &reason, "ordered by a fault rule of the double");
            if let Some(seconds) = retry_after {
                error = error.retry_after(seconds);
            }
            Ok(Some(error.into_response()))
        }
        Fault::NamespaceGone => {
            let gone = ApiError::not_found(Subject { group: "", resource: "namespaces", name: namespace });
            Ok(Some(gone.into_response()))
        }
        Fault::Hang => {
            server.closing.cancelled().await;
            Err(Reset)
        }
        _ => Err(Reset),
    }
}

fn authenticate(server: &Server, parts: &Parts) -> Option<User> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let token = header.strip_prefix("Bearer ")?.trim();
    server.policy.authenticate(token, &[API_AUDIENCE]).map(|(user, _)| user)
}

/// Discovery and OpenAPI.
fn about_the_server(server: &Server, parts: &Parts) -> Response<Body> {
    if parts.method != Method::GET {
        return ApiError::method_not_allowed().into_response();
    }
    let path = parts.uri.path();
    let found = discovery::answer(server, path, &parts.headers);
    found.or_else(|| openapi::answer(server, path)).unwrap_or_else(no_such_path)
}

/// The answer to paths that nobody serves isn't a `Status`.
fn no_such_path() -> Response<Body> {
    let response = Response::builder().status(404).header("content-type", "text/plain; charset=utf-8");
    response.body(Body::from("404 page not found\n")).expect("the parts are valid headers")
}
