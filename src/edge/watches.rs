//! Watches that fall silent, and how that is found out: for every watch there is, because it is a property of
//! the client.
//!
//! A connection may be cut without a word, and a server or a proxy may leave it open and say nothing for
//! ever. So a watch has to be heard: the API server sends a bookmark at the latest when the time of a watch
//! is almost over. One that is not heard for longer is told what the API server tells whoever has missed too
//! much, 410: then it lists anew, whoever it is, and knows again what is there. To resume it where it was
//! could be as silent.

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

/// Seconds after which the API server is to end a watch, so that it is begun anew. It is heard some seconds
/// before.
const RENEWED: u32 = 45;
/// A connection that has brought nothing for so long is dead: by then the API server would have ended a watch
/// on it.
pub(super) const SILENT: Duration = Duration::from_secs(RENEWED as u64 + 5);
/// A watch that is not heard for so long, over all its connections, lists anew: whatever has happened is
/// known within a minute.
const UNHEARD: Duration = Duration::from_secs(RENEWED as u64 + 10);

/// How every watch of the service is run.
pub(super) fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE).timeout(RENEWED)
}

/// When each watch was last heard. A clone is about the same ones.
#[derive(Clone, Default)]
pub(super) struct Watches(Arc<Mutex<HashMap<String, Instant>>>);

/// The answer to a request: to that of a watch, with an ear for whether it falls silent.
pub(super) struct Answer {
    body: Body,
    ear: Option<Ear>,
}

struct Ear {
    watches: Watches,
    watch: String,
    unheard: Pin<Box<Sleep>>,
    is_line_open: bool,
    is_over: bool,
}

// === impl Watches ===

impl Watches {
    /// Sends a request. One for a watch is answered at once or not at all; for others, whoever asks has a
    /// deadline.
    pub(super) async fn send(
        &self,
        client: Client,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Response<Answer>, BoxError> {
        let Some(watch) = watch_of(&request) else {
            return Ok(client.send(request).await?.map(|body| Answer { body, ear: None }));
        };
        let last = *self.lock().entry(watch.clone()).or_insert_with(Instant::now);
        let response = timeout(patience, client.send(request)).await??;
        let is_watch = response.status().is_success();
        let unheard = Box::pin(sleep_until(last + UNHEARD));
        let ear = Ear { watches: self.clone(), watch, unheard, is_line_open: false, is_over: false };
        Ok(response.map(|body| Answer { body, ear: is_watch.then_some(ear) }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Instant>> {
        self.0.lock()
    }
}

/// What a request watches, wherever it goes on from; nothing where it is for something else.
fn watch_of(request: &Request<Body>) -> Option<String> {
    let pairs = || form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
    pairs().find(|(name, value)| name == "watch" && matches!(value.as_ref(), "true" | "1"))?;
    let is_lasting = |name: &str| !matches!(name, "resourceVersion" | "timeoutSeconds");
    let selection = pairs().filter(|(name, _)| is_lasting(name));
    let selection = form_urlencoded::Serializer::new(String::new()).extend_pairs(selection).finish();
    Some(format!("{}?{selection}", request.uri().path()))
}

// === impl Ear ===

impl Ear {
    fn hear(&mut self, data: &[u8]) {
        let Some(last) = data.last() else { return };
        self.is_line_open = *last != b'\n';
        self.note();
    }

    fn note(&mut self) {
        let now = Instant::now();
        self.watches.lock().insert(self.watch.clone(), now);
        self.unheard.as_mut().reset(now + UNHEARD);
    }

    /// Ends the watch, as the API server does for whoever has missed too much.
    fn end(&mut self) -> Bytes {
        tracing::info!(watch = self.watch, "a watch was silent for too long and lists anew");
        self.is_over = true;
        // It has all the time again to begin anew.
        self.note();
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
            "message": "the watch was silent for too long",
        });
        let line = json!({ "type": "ERROR", "object": status });
        format!("{}{line}\n", if self.is_line_open { "\n" } else { "" }).into()
    }
}

// === impl Answer ===

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        let Self { body, ear } = self.get_mut();
        let Some(ear) = ear else { return Pin::new(body).poll_frame(context) };
        if ear.is_over {
            return Poll::Ready(None);
        }
        match Pin::new(body).poll_frame(context) {
            Poll::Pending => {
                ready!(ear.unheard.as_mut().poll(context));
                Poll::Ready(Some(Ok(Frame::data(ear.end()))))
            }
            Poll::Ready(frame) => {
                if let Some(Ok(frame)) = &frame {
                    ear.hear(frame.data_ref().map(Bytes::as_ref).unwrap_or_default());
                }
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ear.is_none() && self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::{Stream, StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tower::service_fn;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);
    const BOOKMARK: &[u8] = b"{\"type\":\"BOOKMARK\"}\n";

    type Piece = Result<Frame<Bytes>, Infallible>;

    fn piece(text: &'static [u8]) -> Piece {
        Ok(Frame::data(Bytes::from_static(text)))
    }

    /// An API server whose answers are made of these pieces.
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

    async fn watch(watches: &Watches, server: &Client, version: u32) -> Answer {
        let request = request(&format!("watch=true&timeoutSeconds=45&resourceVersion={version}"));
        watches.send(server.clone(), request, PATIENCE).await.unwrap().into_body()
    }

    /// All that an answer brings.
    async fn brought(answer: Answer) -> String {
        String::from_utf8(answer.collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    fn is_end(line: &str) -> bool {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["type"] == "ERROR" && line["object"]["code"] == 410
    }

    #[tokio::test(start_paused = true)]
    async fn a_watch_that_is_never_heard_is_told_to_list_anew() {
        let (watches, server, begun) = (Watches::default(), server(stream::pending), Instant::now());
        let brought = brought(watch(&watches, &server, 1).await).await;
        assert!(is_end(&brought), "{brought}");
        assert_eq!(begun.elapsed().as_secs(), UNHEARD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_ends_in_time_and_is_never_heard_is_told_too_over_all_its_connections() {
        let ends = || {
            stream::once(tokio::time::sleep(Duration::from_secs(u64::from(RENEWED))))
                .filter_map(|()| async { None })
        };
        let (watches, server, begun) = (Watches::default(), server(ends), Instant::now());
        assert_eq!(brought(watch(&watches, &server, 1).await).await, "");
        let brought = brought(watch(&watches, &server, 2).await).await;
        assert!(is_end(&brought), "{brought}");
        assert_eq!(begun.elapsed().as_secs(), UNHEARD.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_quiet_watch_with_bookmarks_goes_on_for_ever() {
        let bookmarks = || {
            stream::iter(0..1_000).then(|_| async {
                tokio::time::sleep(UNHEARD - Duration::from_secs(1)).await;
                piece(BOOKMARK)
            })
        };
        let (watches, server) = (Watches::default(), server(bookmarks));
        assert_eq!(brought(watch(&watches, &server, 1).await).await.lines().count(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_cut_off_in_the_middle_of_a_line_is_not_mixed_with_the_end() {
        let half = || stream::iter([piece(BOOKMARK), piece(b"{\"type\":\"ADD")]).chain(stream::pending());
        let (watches, server) = (Watches::default(), server(half));
        let brought = brought(watch(&watches, &server, 1).await).await;
        let lines: Vec<_> = brought.lines().collect();
        assert_eq!(lines[1], "{\"type\":\"ADD");
        assert!(is_end(lines[2]), "{brought}");
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_is_no_watch_is_left_alone() {
        let late = || {
            stream::once(async {
                tokio::time::sleep(2 * UNHEARD).await;
                piece(b"{}")
            })
        };
        let (watches, server) = (Watches::default(), server(late));
        let answer = watches.send(server, request("limit=500&watch=false"), PATIENCE).await.unwrap();
        assert_eq!(brought(answer.into_body()).await, "{}");
    }

    /// Those who run the doubles, and a client of another kind.
    const OTHERS: [&str; 2] = ["cli/dev", "cli/client"];

    /// What is not made by these is not known to be alive.
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
