//! Shutdown by signals: the first SIGTERM or SIGINT asks the process to finish, the second ends it
//! immediately.

use std::{io, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process that a signal ended, as shells show it: 128 plus the signal's number.
const SIGNAL_EXIT_BASE: i32 = 128;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Runs `work` and cancels its token on the first signal.
pub async fn run_until_signal<T>(work: impl AsyncFnOnce(CancellationToken) -> T) -> io::Result<T> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let stop = CancellationToken::new();
    let mut work = pin!(work(stop.clone()));
    tokio::select! {
        done = &mut work => return Ok(done),
        _ = signals.next() => {}
    }
    tracing::info!("shutting down after the work in flight; a second signal stops immediately");
    stop.cancel();
    tokio::select! {
        done = &mut work => Ok(done),
        number = signals.next() => std::process::exit(SIGNAL_EXIT_BASE + number.as_raw_value()),
    }
}

impl Signals {
    async fn next(&mut self) -> SignalKind {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate(),
            _ = self.interrupt.recv() => SignalKind::interrupt(),
        }
    }
}
