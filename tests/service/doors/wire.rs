//! Connections by hand, from any address of this machine: what no client that means well would do needs one that does what it is told.

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::select_all;
use h2::{
    RecvStream, SendStream,
    client::{ResponseFuture, SendRequest},
};
use http::{HeaderMap, Request};
use socket2::SockRef;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_util::task::AbortOnDropHandle;
use tonic::Status;

use crate::support::PATIENCE;

pub const SERVICE: &str = "/iotoperations.secrets.v1.SecretService";
pub const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
pub const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
pub const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";

/// A connection that speaks HTTP/2, as long as it is kept.
pub struct Http2 {
    send: SendRequest<Bytes>,
    _connection: AbortOnDropHandle<()>,
}

/// A call that has begun: it goes on as long as this is kept.
pub struct Begun {
    pub answer: ResponseFuture,
    pub body: SendStream<Bytes>,
}

/// A connection from 127.0.0.`place`.
pub async fn tcp(address: SocketAddr, place: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::new(127, 0, 0, place), 0).into()).unwrap();
    socket.connect(address).await.unwrap()
}

/// A connection for which this machine keeps little that was sent and not read yet, as for a peer far away: the service learns
/// soon how much was read.
pub async fn narrow_tcp(address: SocketAddr) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    SockRef::from(&socket).set_tcp_mss(536).unwrap();
    socket.connect(address).await.unwrap()
}

/// A frame of gRPC that says it has so many bytes, and has so many.
pub fn framed(says: usize, has: usize) -> Bytes {
    let mut frame = BytesMut::zeroed(1);
    frame.put_u32(u32::try_from(says).unwrap());
    frame.put_bytes(b'x', has);
    frame.freeze()
}

// === impl Http2 ===

impl Http2 {
    pub async fn connect(address: SocketAddr, place: u8) -> Self {
        Self::built(&h2::client::Builder::new(), tcp(address, place).await).await
    }

    /// One that leaves no room for any answer.
    pub async fn without_room(address: SocketAddr, place: u8) -> Self {
        Self::with_room(address, place, 0).await
    }

    /// One with room for so many bytes of each answer, until they are released.
    pub async fn with_room(address: SocketAddr, place: u8, bytes: u32) -> Self {
        Self::built(h2::client::Builder::new().initial_window_size(bytes), tcp(address, place).await).await
    }

    async fn built(builder: &h2::client::Builder, stream: TcpStream) -> Self {
        let (send, connection) = builder.handshake(stream).await.unwrap();
        let connection = AbortOnDropHandle::new(tokio::spawn(async move { drop(connection.await) }));
        Self { send, _connection: connection }
    }

    /// Whether a call over it is answered.
    pub async fn is_open(&self) -> bool {
        let check = async {
            let call = self.try_begin(HEALTH_CHECK, None, framed(0, 0), true).await?;
            call.head().await.map(drop)
        };
        check.await.is_ok()
    }

    /// Asks for a page, and reads nothing of it.
    pub async fn get(&self, path: &str) -> ResponseFuture {
        let request = Request::get(format!("http://localhost{path}")).header("accept", "text/html");
        let mut send = self.send.clone().ready().await.expect("the connection is open");
        send.send_request(request.body(()).unwrap(), true).expect("the connection is open").0
    }

    /// Begins a call: its headers, and as much of its body as is given.
    pub async fn begin(&self, path: &str, token: Option<&str>, data: Bytes, is_end: bool) -> Begun {
        self.try_begin(path, token, data, is_end).await.expect("the connection is open")
    }

    pub async fn try_begin(
        &self,
        path: &str,
        token: Option<&str>,
        data: Bytes,
        is_end: bool,
    ) -> Result<Begun, h2::Error> {
        let request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = match token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let mut send = self.send.clone().ready().await?;
        let (answer, mut body) = send.send_request(request.body(()).unwrap(), false)?;
        if is_end || !data.is_empty() {
            body.send_data(data, is_end)?;
        }
        Ok(Begun { answer, body })
    }
}

// === impl Begun ===

impl Begun {
    /// The head of the answer, and its body where it is not over with the head.
    pub async fn head(self) -> Result<Result<RecvStream, Status>, h2::Error> {
        let Self { answer, body: _body } = self;
        let answer = timeout(PATIENCE, answer).await.expect("an answer begins in time")?;
        Ok(match status(answer.headers()) {
            Some(status) => Err(status),
            None => Ok(answer.into_body()),
        })
    }

    /// How the call ends.
    pub async fn end(self) -> Status {
        match self.head().await.expect("the connection stays") {
            Ok(body) => end(body).await,
            Err(status) => status,
        }
    }

    /// Whether there is no answer yet after some time.
    pub async fn is_waiting(&mut self) -> bool {
        timeout(Duration::from_millis(200), &mut self.answer).await.is_err()
    }
}

/// How the first of some calls ends that does. The service may begin calls of one connection in any order.
pub async fn first_end(calls: &mut Vec<Begun>) -> Status {
    let answers = select_all(calls.iter_mut().map(|call| &mut call.answer));
    let (answer, ended, _) = timeout(PATIENCE, answers).await.expect("an answer begins in time");
    let _ended = calls.remove(ended);
    let answer = answer.expect("the connection stays");
    match status(answer.headers()) {
        Some(status) => status,
        None => end(answer.into_body()).await,
    }
}

/// How a body ends.
pub async fn end(mut body: RecvStream) -> Status {
    let ended = async {
        while let Some(data) = body.data().await {
            let data = data.expect("the stream ends with a status");
            let _ = body.flow_control().release_capacity(data.len());
        }
        body.trailers().await.unwrap().as_ref().and_then(status).expect("a status")
    };
    timeout(PATIENCE, ended).await.expect("it ends in time")
}

fn status(headers: &HeaderMap) -> Option<Status> {
    Status::from_header_map(headers)
}
