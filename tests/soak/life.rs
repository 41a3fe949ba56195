//! One life of the process, from its start to its end.

use std::{
    path::PathBuf,
    process::Stdio,
    time::{Duration, Instant},
};

use tokio::{
    net::TcpStream,
    process::{Child, Command},
    time::sleep,
};

use crate::{model::Ledger, process, world::World};

/// Nothing that starts or stops takes this long, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Life {
    child: Child,
    log: PathBuf,
    port: u16,
    begun: Instant,
}

impl Life {
    /// Starts the process, and does not wait for it.
    pub fn begin(world: &World, number: u64) -> Self {
        let log = world.path(&format!("logs/life-{number:05}.log"));
        let child = Command::from(process::command(&["serve", "--config"]))
            .arg(world.path("serve.toml"))
            .args(world.flags())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).expect("a log"))
            .kill_on_drop(true)
            .spawn()
            .expect("the process starts");
        world.ledger.say(format!("life {number} begins"));
        Self { child, log, port: world.port, begun: Instant::now() }
    }

    /// Waits until it listens; how long that took since it began.
    pub async fn listens(&mut self) -> Result<Duration, String> {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            self.has_not_ended()?;
            if self.begun.elapsed() > PATIENCE {
                return Err(format!("the process never listened\n{}", self.log_end()));
            }
            sleep(Duration::from_millis(1)).await;
        }
        Ok(self.begun.elapsed())
    }

    /// Nobody but us ends it.
    pub fn has_not_ended(&mut self) -> Result<(), String> {
        match self.child.try_wait().expect("its state is known") {
            None => Ok(()),
            Some(status) => Err(format!("the process ended by itself: {status}\n{}", self.log_end())),
        }
    }

    /// kill -9.
    pub async fn kill(mut self, world: &World) -> Result<(), String> {
        self.has_not_ended()?;
        note_kill(&world.ledger);
        self.child.kill().await.expect("it dies");
        Ok(())
    }

    /// SIGTERM, and it ends in order.
    pub async fn stop(mut self, world: &World) -> Result<(), String> {
        self.has_not_ended()?;
        world.ledger.say("the service is told to stop");
        let ended = tokio::time::timeout(PATIENCE, process::terminate(&mut self.child)).await;
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("the process ended with {status}\n{}", self.log_end())),
            Err(_) => Err(format!("the process never stopped\n{}", self.log_end())),
        }
    }

    fn log_end(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

fn note_kill(ledger: &Ledger) {
    let mut inner = ledger.lock();
    let moment = ledger.moment();
    inner.kills.push(moment);
    inner.trace.push((moment, "the service is killed".to_owned()));
}
