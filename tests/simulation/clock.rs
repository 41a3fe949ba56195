//! The simulated time: one thread under tokio's paused clock, in which time passes only when nothing is left to do.
//!
//! Tokio's clock looks at timers and tasks alone: with bytes waiting in a socket it would still leap to the next timer. So before the
//! thread parks, the runtime's own poll is asked whether something is ready; while it is, the thread is kept from parking.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open},
};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::Notify,
    time::Instant,
};

/// The variable with the file in which `shim.c` reads the time.
pub const CLOCK: &str = "SIMULATION_CLOCK";

/// What one seed runs in.
pub struct Simulated {
    runtime: Runtime,
    database: Runtime,
}

/// What the hooks of the runtime share.
struct Hooks {
    sockets: OnceLock<OwnedFd>,
    busy: Notify,
    wall: Option<File>,
    begun: OnceLock<Instant>,
    written: AtomicU64,
}

impl Simulated {
    pub fn new() -> Self {
        let wall = std::env::var_os(CLOCK).map(|path| {
            File::options()
                .write(true)
                .open(PathBuf::from(path))
                .expect("the parent has made the clock's file")
        });
        let hooks = Arc::new(Hooks {
            sockets: OnceLock::new(),
            busy: Notify::new(),
            wall,
            begun: OnceLock::new(),
            written: AtomicU64::new(0),
        });
        let (park, unpark) = (hooks.clone(), hooks.clone());
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .on_thread_park(move || park.before_park())
            .on_thread_unpark(move || unpark.after_park())
            .build()
            .expect("a runtime");
        // The one epoll of this process so far.
        let _ = hooks.sockets.set(epoll());
        let stays = hooks.clone();
        runtime.block_on(async {
            let _ = stays.begun.set(Instant::now());
        });
        // Woken, it does nothing: that is enough for the thread not to park.
        runtime.spawn(async move {
            loop {
                hooks.busy.notified().await;
            }
        });
        let database = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime for the database");
        Self { runtime, database }
    }

    pub fn run<T>(&self, simulation: impl Future<Output = T>) -> T {
        self.runtime.block_on(simulation)
    }

    /// Where the pools of the database live.
    pub fn database(&self) -> Handle {
        self.database.handle().clone()
    }
}

impl Hooks {
    fn before_park(&self) {
        let Some(sockets) = self.sockets.get() else { return };
        let mut fds = [PollFd::new(sockets, PollFlags::IN)];
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        if poll(&mut fds, Some(&at_once)).is_ok_and(|ready| ready > 0) {
            self.busy.notify_one();
        }
    }

    fn after_park(&self) {
        let (Some(wall), Some(begun)) = (&self.wall, self.begun.get()) else { return };
        let elapsed = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        if self.written.swap(elapsed, Ordering::Relaxed) != elapsed {
            wall.write_all_at(&elapsed.to_ne_bytes(), 0).expect("the clock's file");
        }
    }
}

/// A copy of the file descriptor of the one epoll of this process.
fn epoll() -> OwnedFd {
    let found = std::fs::read_dir("/proc/self/fd").expect("Linux").filter_map(Result::ok).find(|entry| {
        std::fs::read_link(entry.path()).is_ok_and(|target| target.to_string_lossy().contains("eventpoll"))
    });
    let number =
        found.and_then(|entry| entry.file_name().to_str()?.parse().ok()).expect("tokio polls by epoll");
    let this = pidfd_open(getpid(), PidfdFlags::empty()).expect("a handle of this process");
    pidfd_getfd(this, number, PidfdGetfdFlags::empty()).expect("a copy of a descriptor of this process")
}
