//! A thousand connections that mean harm, of a kind that the server has a limit for, or of several. What is cut comes back.

use std::{
    fmt,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::{BufMut, Bytes, BytesMut};
use futures::future::join_all;
use http::Request;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Handle,
    task::JoinSet,
    time::{Interval, interval, sleep},
};

use crate::dial::{Begun, Http2, Target};

/// Whoever was cut or refused comes back after this.
const BACK_AFTER: Duration = Duration::from_secs(1);
/// A message as large as one may be, and one twice as large.
const LARGE: usize = 1024 * 1024;
const OVERSIZED: usize = 2 * LARGE;
/// A request without its last byte, and one that is too large. All attackers share them.
static ENDLESS: LazyLock<Bytes> = LazyLock::new(|| framed(LARGE, LARGE - 1));
static TOO_LARGE: LazyLock<Bytes> = LazyLock::new(|| framed(OVERSIZED, OVERSIZED));
/// Connections of one kind.
const CROWD: usize = 1_000;

/// Who attacks in a measurement.
pub struct Kind {
    /// How it is chosen, and what its row is called.
    pub name: &'static str,
    crowd: &'static [(Attack, usize)],
}

/// All kinds, each for itself but the first.
pub static KINDS: [Kind; 15] = [
    Kind {
        name: "mixed",
        crowd: &[
            (Attack::SilentConnection, 200),
            (Attack::HalfHandshake, 200),
            (Attack::SlowHeaders, 150),
            (Attack::UnreadWatch, 200),
            (Attack::UnknownTokens { is_near: false }, 150),
            (Attack::OversizedMessages, 50),
            (Attack::Resets, 50),
        ],
    },
    Kind { name: "silent-connections", crowd: &[(Attack::SilentConnection, CROWD)] },
    Kind { name: "half-handshakes", crowd: &[(Attack::HalfHandshake, CROWD)] },
    Kind { name: "slow-headers", crowd: &[(Attack::SlowHeaders, CROWD)] },
    Kind { name: "unread-watches", crowd: &[(Attack::UnreadWatch, CROWD)] },
    Kind { name: "oversized-messages", crowd: &[(Attack::OversizedMessages, CROWD)] },
    Kind { name: "resets", crowd: &[(Attack::Resets, CROWD)] },
    Kind { name: "reflection-streams", crowd: &[(Attack::Streams(Stream::Reflection, 8), CROWD)] },
    Kind { name: "health-watches", crowd: &[(Attack::Streams(Stream::HealthWatch, 30), CROWD)] },
    Kind { name: "health-connections", crowd: &[(Attack::Streams(Stream::HealthWatch, 1), CROWD)] },
    Kind { name: "near-tokens", crowd: &[(Attack::UnknownTokens { is_near: true }, CROWD)] },
    Kind { name: "stalled-metrics", crowd: &[(Attack::StalledMetrics, CROWD)] },
    Kind { name: "endless-requests", crowd: &[(Attack::Streams(Stream::EndlessRequest, 2), CROWD)] },
    Kind { name: "silent-bodies", crowd: &[(Attack::Streams(Stream::SilentBody, 4), CROWD)] },
    Kind { name: "viewers-watches", crowd: &[(Attack::Streams(Stream::Watch, 1), CROWD)] },
];

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
    /// Calls ten times a second, with another token each time; near ones come from the address of the good caller, once a second.
    UnknownTokens { is_near: bool },
    /// Sends a message a second that is too large.
    OversizedMessages,
    /// Opens a stream and resets it, twenty times a second.
    Resets,
    /// Begins a request to the address of the metrics, and goes no further.
    StalledMetrics,
    /// Opens so many streams, and each again when it has ended.
    Streams(Stream, usize),
}

/// What is done on a stream.
#[derive(Clone, Copy, Debug)]
enum Stream {
    /// Asks for the contract, and never says what for.
    Reflection,
    /// Watches the health.
    HealthWatch,
    /// A request of the largest size, of which the end never comes.
    EndlessRequest,
    /// A request of which nothing comes.
    SilentBody,
    /// Watches everything, and reads.
    Watch,
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

/// Calls over a connection, no faster than at a pace.
struct Calls<'a> {
    http2: Http2,
    pace: Interval,
    deeds: &'a Deeds,
}

/// All of them, until they are dropped.
pub struct Attackers {
    deeds: Arc<Deeds>,
    _tasks: JoinSet<()>,
}

// === impl Attackers ===

impl Attackers {
    pub fn start(runtime: &Handle, target: &Arc<Target>, kind: &Kind) -> Self {
        let (deeds, mut tasks) = (Arc::new(Deeds::default()), JoinSet::new());
        let total: usize = kind.crowd.iter().map(|(_, many)| many).sum();
        let kinds = kind.crowd.iter().flat_map(|(attack, many)| std::iter::repeat_n(*attack, *many));
        for (number, attack) in kinds.enumerate() {
            let (target, deeds) = (target.clone(), deeds.clone());
            tasks.spawn_on(
                async move {
                    // One after the other, so that what they do every second they don't do at once.
                    sleep(BACK_AFTER.mul_f64(number as f64 / total as f64)).await;
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

// === impl Calls ===

impl<'a> Calls<'a> {
    fn over(http2: Http2, pace: Duration, deeds: &'a Deeds) -> Self {
        Self { http2, pace: interval(pace), deeds }
    }

    /// The next call when it is time for it, without the data of its request.
    async fn next(&mut self, method: &str, token: &str) -> Result<Begun, h2::Error> {
        self.pace.tick().await;
        self.deeds.calls.fetch_add(1, Ordering::Relaxed);
        self.http2.begin(request(method, token)).await
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
            Self::UnknownTokens { is_near } => unknown_tokens(target, (number, is_near), deeds).await,
            Self::StalledMetrics => {
                let mut stream = target.tcp_to(target.metrics, number).await?;
                stream.write_all(b"GET /metrics HTTP/1.1\r\nHost:").await?;
                until_cut(stream).await
            }
            Self::Streams(stream, many) => streams(target, number, (stream, many), deeds).await,
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
    let http2 = target.http2(number).await?;
    deeds.calls.fetch_add(1, Ordering::Relaxed);
    let (answer, mut body) = http2.begin(request("WatchSyncedSecrets", &target.tokens[0])).await?;
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

async fn unknown_tokens(target: &Target, (number, is_near): (usize, bool), deeds: &Deeds) -> Ended {
    let (http2, pace) = match is_near {
        true => (target.http2_near().await?, BACK_AFTER),
        false => (target.http2(number).await?, Duration::from_millis(100)),
    };
    let mut calls = Calls::over(http2, pace, deeds);
    loop {
        let made_up = format!("made-up-{number}-{}", deeds.calls.load(Ordering::Relaxed));
        let (answer, mut body) = calls.next("GetVault", &made_up).await?;
        body.send_data(framed(0, 0), true)?;
        answer.await?;
    }
}

async fn oversized_messages(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let mut calls = Calls::over(target.http2(number).await?, Duration::from_secs(1), deeds);
    loop {
        let (answer, mut body) = calls.next("CreateSyncedSecret", &target.tokens[0]).await?;
        // What the server does not take stays in the client; it goes with the stream.
        let _ = body.send_data(TOO_LARGE.clone(), true);
        answer.await?;
    }
}

async fn resets(target: &Target, number: usize, deeds: &Deeds) -> Ended {
    let mut calls = Calls::over(target.http2(number).await?, Duration::from_millis(50), deeds);
    loop {
        let (_, mut body) = calls.next("ListSyncedSecrets", &target.tokens[0]).await?;
        body.send_reset(h2::Reason::CANCEL);
    }
}

/// So many streams over a connection, each of which is opened again when it has ended.
async fn streams(target: &Target, number: usize, (stream, many): (Stream, usize), deeds: &Deeds) -> Ended {
    let http2 = target.http2(number).await?;
    let token = &target.tokens[number % target.tokens.len()];
    // Together they come back as often as one.
    let back_after = BACK_AFTER.mul_f64(many as f64);
    let all = join_all((0..many).map(|_| stream.again_and_again((&http2, token), back_after, deeds))).await;
    all.into_iter().collect()
}

impl Stream {
    /// Until the connection ends.
    async fn again_and_again(
        self,
        (http2, token): (&Http2, &str),
        back_after: Duration,
        deeds: &Deeds,
    ) -> Ended {
        loop {
            deeds.calls.fetch_add(1, Ordering::Relaxed);
            self.carry_out(http2, token).await?;
            sleep(back_after).await;
        }
    }

    /// Until the stream ends; an error is one of the connection.
    async fn carry_out(self, http2: &Http2, token: &str) -> Ended {
        let request = match self {
            Self::Reflection => open_request("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            Self::HealthWatch => open_request("grpc.health.v1.Health/Watch"),
            Self::EndlessRequest => request("CreateSyncedSecret", token),
            Self::SilentBody => request("GetSyncedSecret", token),
            Self::Watch => request("WatchSyncedSecrets", token),
        };
        let (answer, mut body) = http2.begin(request).await?;
        match self {
            Self::Reflection | Self::SilentBody => {}
            Self::HealthWatch | Self::Watch => body.send_data(framed(0, 0), true)?,
            Self::EndlessRequest => body.send_data(ENDLESS.clone(), false)?,
        }
        // It is reset when it has had enough of us.
        let Ok(answer) = answer.await else { return Ok(()) };
        let mut answer = answer.into_body();
        while let Some(Ok(part)) = answer.data().await {
            let _ = answer.flow_control().release_capacity(part.len());
        }
        Ok(())
    }
}

fn open_request(path: &str) -> Request<()> {
    Request::post(format!("https://localhost/{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .expect("it is a request")
}

fn request(method: &str, token: &str) -> Request<()> {
    let mut request = open_request(&format!("iotoperations.secrets.v1.SecretService/{method}"));
    let authorization = format!("Bearer {token}").try_into().expect("it is a token");
    request.headers_mut().insert("authorization", authorization);
    request
}

/// A frame of gRPC that says it has so many bytes, and has so many.
fn framed(says: usize, has: usize) -> Bytes {
    let mut frame = BytesMut::zeroed(5);
    frame[1..].copy_from_slice(&u32::try_from(says).expect("no attack sends more").to_be_bytes());
    frame.put_bytes(b'x', has);
    frame.freeze()
}
