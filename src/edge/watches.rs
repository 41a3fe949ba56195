//! Detects watches that have gone silent. The client does this for every watch, so no watch can be forgotten.
//!
//! A connection may break without notice, and a server or a proxy may keep it open and send nothing. A
//! healthy watch is never silent for long: the API server sends a bookmark at the latest shortly before the
//! watch times out. If a watch is silent for longer, we end it with 410 Gone, as the API server does for a
//! watch that has fallen behind. The watcher then relists, and knows the current state again. A watch that
//! only resumed could be just as silent.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use kube::{Client, client::Body, runtime::watcher};
use parking_lot::{Mutex, MutexGuard};
use serde_json::json;
use tokio::time::{Instant, Sleep, sleep_until, timeout};
use tower::BoxError;
use url::form_urlencoded;

use super::PAGE;

/// The `timeoutSeconds` of each watch. The API server sends a bookmark some seconds before it ends the watch.
const WATCH_TIMEOUT_SECONDS: u32 = 45;
/// A connection without data for this long is dead: the API server would have ended any watch on it by then.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(WATCH_TIMEOUT_SECONDS as u64 + 5);
/// A watch without data for this long, over all its connections, has to relist: so the service knows every
/// change within a minute.
const SILENCE_LIMIT: Duration = Duration::from_secs(WATCH_TIMEOUT_SECONDS as u64 + 10);

/// The configuration of every watch of the service.
pub(super) fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE).timeout(WATCH_TIMEOUT_SECONDS)
}

/// When each watch last received data. Clones share the same state.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<HashMap<String, Instant>>>);

/// The body of a response. If it is that of a watch, its silence is limited.
pub(super) struct ResponseBody {
    body: Body,
    silence: Option<SilenceTimer>,
}

struct SilenceTimer {
    watches: Watches,
    watch: String,
    deadline: Pin<Box<Sleep>>,
    is_line_open: bool,
    is_over: bool,
}

// === impl Watches ===

impl Watches {
    /// Sends a request. `deadline` bounds the response headers of a watch; callers bound all other requests
    /// themselves.
    pub(super) async fn send(
        &self,
        client: Client,
        request: Request<Body>,
        deadline: Duration,
    ) -> Result<Response<ResponseBody>, BoxError> {
        let Some(watch) = watch_of(&request) else {
            return Ok(client.send(request).await?.map(|body| ResponseBody { body, silence: None }));
        };
        let last = *self.lock().entry(watch.clone()).or_insert_with(Instant::now);
        let response = timeout(deadline, client.send(request)).await??;
        let is_watch = response.status().is_success();
        let deadline = Box::pin(sleep_until(last + SILENCE_LIMIT));
        let timer =
            SilenceTimer { watches: self.clone(), watch, deadline, is_line_open: false, is_over: false };
        Ok(response.map(|body| ResponseBody { body, silence: is_watch.then_some(timer) }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock()
    }
}

/// Identifies the watch of a request, whatever version it resumes from. None if the request is not a watch.
fn watch_of(request: &Request<Body>) -> Option<String> {
    let pairs = || form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    pairs().find(|(name, value)| name == "watch" && matches!(value.as_ref(), "true" | "1"))?;
    let is_lasting = |name: &str| !matches!(name, "resourceVersion" | "timeoutSeconds");
    let selection = pairs().filter(|(name, _)| is_lasting(name));
    let selection = form_urlencoded::Serializer::new(String::new()).extend_pairs(selection).finish();
    Some(format!("{}?{selection}", request.uri().path()))
}

// === impl SilenceTimer ===

impl SilenceTimer {
    fn receive(&mut self, data: &[u8]) {
        let Some(last) = data.last() else { return };
        self.is_line_open = *last != b'\n';
        self.reset();
    }

    fn reset(&mut self) {
        let now = Instant::now();
        self.watches.lock().insert(self.watch.clone(), now);
        self.deadline.as_mut().reset(now + SILENCE_LIMIT);
    }

    /// Ends the watch, as the API server does for a watch that has fallen behind.
    fn end(&mut self) -> Bytes {
        tracing::info!(watch = self.watch, "a watch was silent for too long; relisting");
        self.is_over = true;
        // The next watch gets the full time.
        self.reset();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
            "message": "the watch was silent for too long",
        });
        let line = json!({ "type": "ERROR", "object": status });
        format!("{}{line}\n", if self.is_line_open { "\n" } else { "" }).into()
    }
}

// === impl ResponseBody ===

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        let Self { body, silence } = self.get_mut();
        let Some(timer) = silence else { return Pin::new(body).poll_frame(context) };
        if timer.is_over {
            return Poll::Ready(None);
        }
        match Pin::new(body).poll_frame(context) {
            Poll::Pending => {
                ready!(timer.deadline.as_mut().poll(context));
                Poll::Ready(Some(Ok(Frame::data(timer.end()))))
            }
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    timer.receive(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.silence.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{Stream, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tower::service_fn;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(5);
    const BOOKMARK: &[u8] = b"{\"type\":\"BOOKMARK\"}\n";

    type Piece = Result<Frame<Bytes>, Infallible>;

    fn piece(text: &'static [u8]) -> Piece {
        Ok(Frame::data(Bytes::from_static(text)))
    }

    /// An API server that answers with these pieces.
    fn server<S>(pieces: impl Fn() -> S + Clone + Send + Sync + 'static) -> Client
    where
        S: Stream<Item = Piece> + Send + 'static,
    {
        let answer = move |_: Request<Body>| {
            let body = StreamBody::new(pieces().boxed());
            async move { Ok::<_, Infallible>(Response::new(body)) }
        };
        Client::new(service_fn(answer), "default")
    }

    fn request(query: &str) -> Request<Body> {
        Request::get(format!("/api/v1/namespaces/x/secrets?{query}")).body(Body::empty()).unwrap()
    }

    async fn watch(watches: &Watches, server: &Client, version: u32) -> ResponseBody {
        let request = request(&format!("watch=true&timeoutSeconds=45&resourceVersion={version}"));
        watches.send(server.clone(), request, DEADLINE).await.unwrap().into_body()
    }

    /// The whole text of a response.
    async fn text_of(answer: ResponseBody) -> String {
        String::from_utf8(answer.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn is_end(line: &str) -> bool {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["type"] == "ERROR" && line["object"]["code"] == 410
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_watch_is_told_to_relist() {
        let (watches, server, begun) = (Watches::default(), server(stream::pending), Instant::now());
        let text = text_of(watch(&watches, &server, 1).await).await;
        assert!(is_end(&text), "{text}");
        assert_eq!(begun.elapsed().as_secs(), SILENCE_LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_silent_over_all_its_connections_relists() {
        let ends = || {
            stream::once(tokio::time::sleep(Duration::from_secs(u64::from(WATCH_TIMEOUT_SECONDS))))
                .filter_map(|()| async { None })
        };
        let (watches, server, begun) = (Watches::default(), server(ends), Instant::now());
        assert_eq!(text_of(watch(&watches, &server, 1).await).await, "");
        let text = text_of(watch(&watches, &server, 2).await).await;
        assert!(is_end(&text), "{text}");
        assert_eq!(begun.elapsed().as_secs(), SILENCE_LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_with_bookmarks_never_times_out() {
        let bookmarks = || {
            stream::iter(0..1_000).then(|_| async {
                tokio::time::sleep(SILENCE_LIMIT - Duration::from_secs(1)).await;
                piece(BOOKMARK)
            })
        };
        let (watches, server) = (Watches::default(), server(bookmarks));
        assert_eq!(text_of(watch(&watches, &server, 1).await).await.lines().count(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_truncated_line_is_not_mixed_with_the_end_event() {
        let half = || stream::iter([piece(BOOKMARK), piece(b"{\"type\":\"ADD")]).chain(stream::pending());
        let (watches, server) = (Watches::default(), server(half));
        let text = text_of(watch(&watches, &server, 1).await).await;
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "{\"type\":\"ADD");
        assert!(is_end(lines[2]), "{text}");
    }

    #[tokio::test(start_paused = true)]
    async fn requests_other_than_watches_are_left_alone() {
        let late = || {
            stream::once(async {
                tokio::time::sleep(2 * SILENCE_LIMIT).await;
                piece(b"{}")
            })
        };
        let (watches, server) = (Watches::default(), server(late));
        let answer = watches.send(server, request("limit=500&watch=false"), DEADLINE).await.unwrap();
        assert_eq!(text_of(answer.into_body()).await, "{}");
    }

    /// Folders that start the doubles, or contain a client of another kind.
    const OTHERS: [&str; 2] = ["cli/dev", "cli/client"];

    /// A client built elsewhere would not detect silent watches.
    #[test]
    fn every_client_of_the_api_server_and_every_watch_is_made_in_one_place() {
        let makes =
            regex::Regex::new(r"\bClient::(new|try_from|try_default)\(|watcher::Config::|WatchParams")
                .unwrap();
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let (mut directories, mut made_in) = (vec![root.clone()], Vec::new());
        while let Some(directory) = directories.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let place = path.strip_prefix(&root).unwrap().display().to_string();
                if path.is_dir() && !OTHERS.contains(&place.as_str()) {
                    directories.push(path);
                } else if place.ends_with(".rs") && makes.is_match(&std::fs::read_to_string(&path).unwrap()) {
                    made_in.push(place);
                }
            }
        }
        made_in.sort();
        assert_eq!(made_in, ["edge/client.rs", "edge/watches.rs"]);
    }
}
