//! How a process is told to end: the first SIGTERM or SIGINT asks it to finish, the second ends it at once.

use std::{io, pin::pin};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// What a shell shows for a process that a signal has ended: 128 and the signal's number.
const KILLED_BY: i32 = 128;

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

/// Runs `work`, which is told by the token that it should end.
pub async fn until_told<T>(work: impl AsyncFnOnce(CancellationToken) -> T) -> io::Result<T> {
    let mut signals =
        Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let stop = CancellationToken::new();
    let mut work = pin!(work(stop.clone()));
    tokio::select! {
        done = &mut work => return Ok(done),
        _ = signals.next() => {}
    }
    tracing::info!("stopping: what is under way is finished first; a second signal ends it at once");
    stop.cancel();
    tokio::select! {
        done = &mut work => Ok(done),
        number = signals.next() => std::process::exit(KILLED_BY + number.as_raw_value()),
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
