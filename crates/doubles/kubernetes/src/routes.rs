//! From a request to its answer: authentication, faults, authorization and dispatch.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode, header::AUTHORIZATION, request::Parts},
};
use doubles_common::faults::{AnyFault, ConnectionReset, Fault, Phase};
use serde_json::json;

use super::{
    Server,
    auth::{API_AUDIENCE, User},
    control, decode, delete, discovery,
    faults::{self, ClusterFault, RequestInfo},
    openapi, read,
    request::{Query, ResourcePath, Target},
    resources::{Class, Served},
    reviews,
    status::{ApiError, Subject},
    view::{View, json_response},
    watch,
    write::{APPLY, Write},
};

const MAX_BODY: usize = 3 * 1_024 * 1_024;

type Answer = Result<Response<Body>, ApiError>;

/// Answers one request.
pub(super) async fn serve<B>(
    server: Arc<Server>,
    request: Request<B>,
) -> Result<Response<Body>, ConnectionReset>
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
        let answer = control::answer(&server, &user, &parts, what, body).await;
        return Ok(answer.unwrap_or_else(ApiError::into_response));
    }
    let query = Query::parse(&parts.uri);
    let resource = ResourcePath::parse(path).filter(|_| !path.starts_with("/openapi"));
    let Some(resource) = resource else {
        if let Some(fault) = faults::of_path(&server.faults, parts.uri.path())
            && let Some(answer) = in_place_of_request(fault, &server, "").await?
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
    /// The answer, with the faults that apply to it.
    async fn answer(&self, body: &[u8]) -> Result<Response<Body>, ConnectionReset> {
        let request = self.path.info(self.verb);
        self.server.counts.lock().count(self.verb, &self.path.plural);
        if let Some(fault) = self.fault(&request, Phase::Before)
            && let Some(answer) = in_place_of_request(fault, self.server, &self.path.namespace).await?
        {
            return Ok(answer);
        }
        let answer = self.dispatch(body).await.unwrap_or_else(ApiError::into_response);
        match self.fault(&request, Phase::After) {
            // A watch's body has no end to wait for.
            Some(AnyFault::Common(fault)) if fault.changes_body() && self.verb == "watch" => {
                in_place_of_answer(fault.into(), self.server, &self.path.namespace, stub()).await
            }
            Some(fault) => in_place_of_answer(fault, self.server, &self.path.namespace, answer).await,
            None => Ok(answer),
        }
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

    fn fault(&self, request: &RequestInfo<'_>, phase: Phase) -> Option<AnyFault<ClusterFault>> {
        faults::of_request(&self.server.faults, request, phase)
    }
}

/// What a fault answers in place of a request; nothing where it only delays the request.
async fn in_place_of_request(
    fault: AnyFault<ClusterFault>,
    server: &Server,
    namespace: &str,
) -> Result<Option<Response<Body>>, ConnectionReset> {
    if let AnyFault::Common(Fault::Latency { duration }) = fault {
        tokio::time::sleep(duration).await;
        return Ok(None);
    }
    in_place_of_answer(fault, server, namespace, stub()).await.map(Some)
}

/// What a fault makes of an answer.
async fn in_place_of_answer(
    fault: AnyFault<ClusterFault>,
    server: &Server,
    namespace: &str,
    answer: Response<Body>,
) -> Result<Response<Body>, ConnectionReset> {
    let AnyFault::Common(fault) = fault else {
        let gone = Subject { group: "", resource: "namespaces", name: namespace };
        return Ok(ApiError::not_found(gone).into_response());
    };
    let error = |status: StatusCode, reason: String, retry_after: Option<Duration>| {
        let mut error = ApiError::new(status.as_u16(), &reason, "set by a fault rule of the double");
        if let Some(after) = retry_after {
            error = error.retry_after(u32::try_from(after.as_secs()).unwrap_or(u32::MAX));
        }
        error.into_response()
    };
    fault.apply(answer, error, &server.closing).await
}

/// A body for faults to distort where the request isn't carried out.
fn stub() -> Response<Body> {
    json_response(200, &json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
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

/// The answer to unknown paths, which isn't a `Status`.
fn no_such_path() -> Response<Body> {
    let response = Response::builder().status(404).header("content-type", "text/plain; charset=utf-8");
    response.body(Body::from("404 page not found\n")).expect("the parts are valid headers")
}
