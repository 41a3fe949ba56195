//! Calls made of bytes: any frames under any headers, and whatever comes back.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tonic::{Code, Status};

use crate::support::PATIENCE;

/// How long a stream is listened to: no method but a watch has one, and none ends by itself.
const LISTENED: Duration = Duration::from_millis(30);

/// Headers of a call that is gRPC.
pub const GRPC: [(&str, &str); 3] =
    [("content-type", "application/grpc"), ("te", "trailers"), ("grpc-timeout", "3S")];

/// A client that sends what it is told: one of gRPC would see to time-outs itself.
pub type Client = legacy::Client<legacy::connect::HttpConnector, Full<Bytes>>;

pub fn client() -> Client {
    let mut connector = legacy::connect::HttpConnector::new();
    connector.set_nodelay(true);
    legacy::Client::builder(TokioExecutor::new()).http2_only(true).build(connector)
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub http: StatusCode,
    /// Absent where it isn't gRPC that answered, or where a stream goes on.
    pub status: Option<Status>,
    body: Vec<u8>,
}

// === impl Answer ===

impl Answer {
    /// Whether anything in it reads as this.
    pub fn shows(&self, text: &str) -> bool {
        let status = self.status.iter().flat_map(|status| [status.message().as_bytes(), status.details()]);
        let finder = memchr::memmem::Finder::new(text);
        status.chain([self.body.as_slice()]).any(|part| finder.find(part).is_some())
    }
}

/// A message in its frame.
pub fn frame(message: &[u8]) -> Vec<u8> {
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("no test sends more"));
    framed.put_slice(message);
    framed.into()
}

/// Sends a POST; panics where nothing comes back in time.
pub async fn call(client: &Client, uri: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
    let mut request = http::Request::post(uri).body(Full::from(body)).unwrap();
    let pairs = headers.iter().filter_map(|(name, value)| {
        Some((HeaderName::try_from(*name).ok()?, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    request.headers_mut().extend(pairs);
    let answered = tokio::time::timeout(PATIENCE, client.request(request)).await;
    let (head, body) = answered.expect("a call is answered in time").unwrap().into_parts();
    let (bytes, trailers) = listen(body).await;
    let status = Status::from_header_map(&head.headers);
    let status = status.or_else(|| trailers.as_ref().and_then(Status::from_header_map));
    Answer { http: head.status, status, body: bytes }
}

/// The data of a body and its trailers, until it ends, breaks, or is silent.
async fn listen(mut body: Incoming) -> (Vec<u8>, Option<HeaderMap>) {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    while let Ok(Some(frame)) = tokio::time::timeout(LISTENED, body.frame()).await {
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
            Err(error) => panic!("the answer broke off after {} bytes: {error}", bytes.len()),
        }
    }
    (bytes, trailers)
}

/// A call that could be made, with a message in form: what it ended with.
pub fn code(answer: &Answer) -> Code {
    answer.status.as_ref().map_or(Code::Ok, Status::code)
}
