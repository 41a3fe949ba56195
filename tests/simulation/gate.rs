//! Gates: the TCP connections of the service pass through them, so that a partition, a slow network and the end of a process cost
//! nobody else anything. What a killed service had open is cut, and nothing that it still does reaches anybody.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// Where connections go, and what becomes of them.
pub struct Gate {
    pub address: SocketAddr,
    state: Mutex<State>,
    /// Is told before and after every piece that passes; may end the service.
    passed: Box<dyn Fn() + Send + Sync>,
}

struct State {
    target: Option<SocketAddr>,
    /// Of the connections that are open.
    cut: CancellationToken,
    /// How long a piece takes at most.
    latency: Duration,
    random: StdRng,
}

impl Gate {
    /// A gate that is closed.
    pub async fn start(seed: u64, passed: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let state = State {
            target: None,
            cut: CancellationToken::new(),
            latency: Duration::ZERO,
            random: StdRng::seed_from_u64(seed),
        };
        let gate = Arc::new(Self {
            address: listener.local_addr().expect("an address"),
            state: Mutex::new(state),
            passed: Box::new(passed),
        });
        tokio::spawn(gate.clone().serve(listener));
        gate
    }

    /// Lets connections through, to a target.
    pub fn open(&self, target: SocketAddr) {
        self.lock().target = Some(target);
    }

    /// Cuts every connection, and lets none through.
    pub fn close(&self) {
        let mut state = self.lock();
        state.target = None;
        std::mem::take(&mut state.cut).cancel();
    }

    /// Cuts every connection; new ones pass.
    pub fn cut(&self) {
        std::mem::take(&mut self.lock().cut).cancel();
    }

    pub fn set_latency(&self, latency: Duration) {
        self.lock().latency = latency;
    }

    async fn serve(self: Arc<Self>, listener: TcpListener) {
        while let Ok((from, _)) = listener.accept().await {
            let (target, cut) = {
                let state = self.lock();
                (state.target, state.cut.clone())
            };
            let Some(target) = target else { continue };
            let gate = self.clone();
            tokio::spawn(async move {
                cut.run_until_cancelled(gate.connect(from, target, &cut)).await;
            });
        }
    }

    async fn connect(&self, from: TcpStream, target: SocketAddr, cut: &CancellationToken) {
        let Ok(to) = TcpStream::connect(target).await else { return };
        let _ = (from.set_nodelay(true), to.set_nodelay(true));
        let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
        tokio::join!(self.forward(from_read, to_write, cut), self.forward(to_read, from_write, cut));
    }

    async fn forward(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf, cut: &CancellationToken) {
        let mut buffer = vec![0; 16_384];
        while let Ok(length @ 1..) = from.read(&mut buffer).await {
            let pause = self.pause();
            if !pause.is_zero() {
                sleep(pause).await;
            }
            (self.passed)();
            if cut.is_cancelled() || to.write_all(&buffer[..length]).await.is_err() {
                break;
            }
            (self.passed)();
        }
        let _ = to.shutdown().await;
    }

    fn pause(&self) -> Duration {
        let mut state = self.lock();
        let most = u64::try_from(state.latency.as_millis()).unwrap_or(u64::MAX);
        if most == 0 { Duration::ZERO } else { Duration::from_millis(state.random.random_range(0..=most)) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no one panics while holding it")
    }
}
