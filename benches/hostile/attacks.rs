//! A thousand connections that mean harm, of every kind that the server has a limit for. What is cut comes back.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    task::JoinSet,
    time::{interval, sleep},
};

use crate::dial::Target;

/// Whoever was cut comes back after this.
const BACK_AFTER: Duration = Duration::from_secs(1);
/// A message twice as large as one may be.
const OVERSIZED: usize = 2 * 1024 * 1024;

/// How many do what.
const CROWD: [(Attack, usize); 7] = [
    (Attack::SilentConnection, 200),
    (Attack::HalfHandshake, 200),
    (Attack::SlowHeaders, 150),
    (Attack::UnreadWatch, 200),
    (Attack::UnknownTokens, 150),
    (Attack::OversizedMessages, 50),
    (Attack::Resets, 50),
];

fn total() -> usize {
    CROWD.iter().map(|(_, many)| many).sum()
}

#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Connects, and says nothing.
    SilentConnection,
    /// Begins a handshake of TLS, and goes no further.
    HalfHandshake,
    /// Begins a request, and sends a byte of its headers a second.
    SlowHeaders,
    /// Watches everything with a token that is good for it, and never reads.
    UnreadWatch,
    /// Calls ten times a second, with another token each time.
    UnknownTokens,
    /// Sends a message a second that is too large.
    OversizedMessages,
    /// Opens a stream and resets it, twenty times a second.
    Resets,
}

/// The server had enough, and said so or did not.
type Ended = Result<(), Box<dyn std::error::Error + Send + Sync>>;

/// What the attackers did so far.
#[derive(Default)]
struct Deeds {
    connections: AtomicUsize,
    open: AtomicUsize,
    calls: AtomicUsize,
}

/// All of them, until they are dropped.
pub struct Attackers {
    deeds: Arc<Deeds>,
    _tasks: JoinSet<()>,
}

// === impl Attackers ===

impl Attackers {
    pub fn start(runtime: &Handle, target: &Arc<Target>) -> Self {
        let (deeds, mut tasks) = (Arc::new(Deeds::default()), JoinSet::new());
        let kinds = CROWD.iter().flat_map(|(attack, many)| std::iter::repeat_n(*attack, *many));
        for (number, attack) in kinds.enumerate() {
            let (target, deeds) = (target.clone(), deeds.clone());
            tasks.spawn_on(
                async move {
                    // One after the other, so that what they do every second they don't do at once.
                    sleep(BACK_AFTER.mul_f64(number as f64 / total() as f64)).await;
                    loop {
                        deeds.connections.fetch_add(1, Ordering::Relaxed);
                        deeds.open.fetch_add(1, Ordering::Relaxed);
                        // It ends with an error when the server cuts it, as it should.
                        let _ = attack.carry_out(&target, number, &deeds).await;
                        deeds.open.fetch_sub(1, Ordering::Relaxed);
                        sleep(BACK_AFTER).await;
                    }
                },
                runtime,
            );
        }
        Self { deeds, _tasks: tasks }
    }
}

impl fmt::Display for Attackers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [open, connections, calls] = [&self.deeds.open, &self.deeds.connections, &self.deeds.calls]
            .map(|number| number.load(Ordering::Relaxed));
        write!(f, "{open} hostile connections at the end of a round, {connections} in all, {calls} calls.")
    }
}

// === impl Attack ===

impl Attack {
    /// Until the server has had enough.
    async fn carry_out(self, target: &Target, number: usize, deeds: &Deeds) -> Ended {
        match self {
            Self::SilentConnection => until_cut(target.tcp(number).await?).await,
            Self::HalfHandshake => {
                let mut stream = target.tcp(number).await?;
                // A record of a handshake that says it has 512 bytes, and the first of them.
                stream.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc").await?;
                until_cut(stream).await
            }
            Self::SlowHeaders => slow_headers(target, number).await,
            Self::UnreadWatch => unread_watch(target, number, deeds).await,
            Self::UnknownTokens => unknown_tokens(target, number, deeds).await,
            Self::OversizedMessages => oversized_messages(target, number, deeds).await,
            Self::Resets => resets(target, number, deeds).await,
        }
    }
}

async fn until_cut(mut stream: impl AsyncReadExt + Unpin) -> Ended {
    let mut answer = [0; 64];
    while stream.read(&mut answer).await? > 0 {}
    Ok(())
}

async fn slow_headers(target: &Target, number: usize) -> Ended {
    let mut stream = target.tls(number).await?;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00").await?;
    // A frame of headers of stream 1 that says it has 4,096 bytes.
    stream.write_all(b"\x00\x10\x00\x01\x04\x00\x00\x00\x01").await?;
    let mut second = interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        stream.write_all(b"\x82").await?;
        stream.flush().await?;
    }
}

async fn unread_watch(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let mut http2 = target.http2(number).await?;
    deeds.calls.fetch_add(1, Ordering::Relaxed);
    let request = request("WatchSyncedSecrets", &target.token);
    let (answer, mut body) = http2.send.send_request(request, false)?;
    body.send_data(framed(0, 0), true)?;
    let (head, mut body) = answer.await?.into_parts();
    if head.headers.contains_key("grpc-status") {
        return Ok(());
    }
    // Reading is what makes room for more; nothing is made.
    while let Some(part) = body.data().await {
        part?;
    }
    Ok(())
}

async fn unknown_tokens(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let http2 = target.http2(number).await?;
    let mut pace = interval(Duration::from_millis(100));
    loop {
        pace.tick().await;
        let call = deeds.calls.fetch_add(1, Ordering::Relaxed);
        let request = request("GetVault", &format!("made-up-{number}-{call}"));
        let (answer, mut body) = http2.send.clone().ready().await?.send_request(request, false)?;
        body.send_data(framed(0, 0), true)?;
        answer.await?;
    }
}

async fn oversized_messages(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let http2 = target.http2(number).await?;
    let mut second = interval(Duration::from_secs(1));
    loop {
        second.tick().await;
        deeds.calls.fetch_add(1, Ordering::Relaxed);
        let request = request("CreateSyncedSecret", &target.token);
        let (answer, mut body) = http2.send.clone().ready().await?.send_request(request, false)?;
        // What the server does not take stays in the client; it goes with the stream.
        let _ = body.send_data(framed(OVERSIZED, OVERSIZED), true);
        answer.await?;
    }
}

async fn resets(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let http2 = target.http2(number).await?;
    let mut pace = interval(Duration::from_millis(50));
    loop {
        pace.tick().await;
        deeds.calls.fetch_add(1, Ordering::Relaxed);
        let request = request("ListSyncedSecrets", &target.token);
        let (_, mut body) = http2.send.clone().ready().await?.send_request(request, false)?;
        body.send_reset(h2::Reason::CANCEL);
    }
}

fn request(method: &str, token: &str) -> Request<()> {
    let uri = format!("https://localhost/iotoperations.secrets.v1.SecretService/{method}");
    Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .body(())
        .expect("it is a request")
}

/// A frame of gRPC that says it has so many bytes, and has so many.
fn framed(says: usize, has: usize) -> Bytes {
    let mut frame = BytesMut::zeroed(5);
    frame[1..].copy_from_slice(&u32::try_from(says).expect("no attack sends more").to_be_bytes());
    frame.put_bytes(b'x', has);
    frame.freeze()
}
