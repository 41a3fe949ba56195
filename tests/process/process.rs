//! A running `secret-service`, to be asked, told to stop or killed.

// The benchmarks use it too, each its own part.
#![allow(dead_code)]

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::LazyLock,
    time::Duration,
};

use secret_service::proto::{SecretReference, SyncedSecret, secret_service_client::SecretServiceClient};
use tokio::process::{Child, Command};
use tonic::transport::Channel;

use crate::support::{PATIENCE, Site, VAULT, configuration::Configuration, requests::create};

/// The service: what cargo built for the tests, or for `make bench-image` what the image has.
pub static BINARY: LazyLock<String> = LazyLock::new(|| {
    std::env::var("BENCH_BINARY").unwrap_or_else(|_| env!("CARGO_BIN_EXE_secret-service").to_owned())
});

/// A `serve` on a site. Dropped, it is killed.
pub struct Process {
    child: Child,
    address: SocketAddr,
    pub client: SecretServiceClient<Channel>,
}

impl Process {
    /// Starts `serve` on a site, and waits until it answers.
    pub async fn serve(site: &Site) -> Self {
        Self::serve_as(site, &configuration(site, 0), &[]).await
    }

    /// The same in an engine: `direct` or `secret-store`.
    #[allow(dead_code, reason = "the benches have the default one")]
    pub async fn serve_in(engine: &str, site: &Site) -> Self {
        Self::serve_with(engine, site, &[]).await
    }

    /// The same with flags besides.
    #[allow(dead_code, reason = "the benches have the default one")]
    pub async fn serve_with(engine: &str, site: &Site, more: &[&str]) -> Self {
        let identity = site.vault.credential();
        let flags = [
            ["--sync-engine", engine],
            ["--secret-store-client-id", &identity.client_id],
            ["--secret-store-tenant-id", &identity.tenant_id],
            ["--secret-store-vault-name", VAULT],
        ];
        let flags = [flags.as_flattened(), more].concat();
        Self::serve_as(site, &configuration(site, 0), &flags).await
    }

    /// The same with another configuration, and flags that come before it.
    pub async fn serve_as(site: &Site, configuration: &str, flags: &[&str]) -> Self {
        Self::started(site, configuration, flags, command(&["serve", "--config"])).await
    }

    /// The same with variables besides.
    #[allow(dead_code, reason = "the benches set none")]
    pub async fn serve_in_environment(site: &Site, configuration: &str, more: &[(&str, &Path)]) -> Self {
        let mut serve = command(&["serve", "--config"]);
        serve.envs(more.iter().copied());
        Self::started(site, configuration, &[], serve).await
    }

    /// The same with no more file descriptors than so many.
    #[allow(dead_code, reason = "the benches have all")]
    pub async fn serve_limited(site: &Site, configuration: &str, flags: &[&str], descriptors: usize) -> Self {
        let limited = format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"");
        let serve = command_of("sh", &["-c", &limited, &BINARY, "serve", "--config"]);
        Self::started(site, configuration, flags, serve).await
    }

    async fn started(site: &Site, configuration: &str, flags: &[&str], serve: std::process::Command) -> Self {
        let config = site.directory().join("serve.toml");
        std::fs::write(&config, configuration).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log(site)).unwrap();
        let logged_before = log.metadata().unwrap().len();
        let child =
            Command::from(serve).arg(&config).args(flags).stderr(log).kill_on_drop(true).spawn().unwrap();
        let address = started(site, logged_before).await;
        let client = connect(&format!("http://{address}")).await;
        Self { child, address: address.parse().expect("it listens at one address"), client }
    }

    /// Creates a synced secret, and waits for the edge.
    pub async fn create(&mut self, id: &str, references: Vec<SecretReference>) -> SyncedSecret {
        self.client.create_synced_secret(create(id, references)).await.unwrap().into_inner()
    }

    /// Where it listens.
    #[allow(dead_code, reason = "the tests have a client")]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Of the process.
    #[allow(dead_code, reason = "the benches measure it")]
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Ends the connection to it, and leaves it running.
    #[allow(dead_code, reason = "the benches stay connected")]
    pub fn hang_up(self) -> Child {
        self.child
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// How it ends by itself.
    #[allow(dead_code, reason = "the benches end theirs")]
    pub async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends in time").unwrap()
    }

    /// SIGTERM, and how it ended.
    pub async fn terminate(mut self) -> ExitStatus {
        terminate(&mut self.child).await
    }
}

/// Where a `serve` listens, as it says when it has started. It takes a free port itself, so that nobody is faster.
async fn started(site: &Site, logged_before: u64) -> String {
    let begun = tokio::time::Instant::now();
    loop {
        let logged = std::fs::read_to_string(log(site)).unwrap();
        if let Some(address) = field(&logged[usize::try_from(logged_before).unwrap()..], "addresses") {
            return address;
        }
        assert!(begun.elapsed() < PATIENCE, "serve never started: {logged}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What the first `serve` on a site said of itself when it started.
pub fn said_at_start(site: &Site, name: &str) -> Option<String> {
    field(&std::fs::read_to_string(log(site)).unwrap(), name)
}

/// The first text in a log under a name.
fn field(log: &str, name: &str) -> Option<String> {
    let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    lines.find_map(|line| line[name].as_str().map(str::to_owned))
}

/// Where a site's `serve` writes its log.
pub fn log(site: &Site) -> PathBuf {
    site.directory().join("serve.log")
}

/// The binary, in an environment that sets nothing of ours: what the machine has set must not decide a test.
pub fn command(arguments: &[&str]) -> std::process::Command {
    command_of(&BINARY, arguments)
}

fn command_of(program: &str, arguments: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(program);
    command.args(arguments).stdin(Stdio::null());
    for (variable, _) in std::env::vars() {
        if ["SECRET_SERVICE_", "AZURE_", "KUBE", "RUST_LOG"].iter().any(|prefix| variable.starts_with(prefix))
        {
            command.env_remove(variable);
        }
    }
    command
}

pub async fn terminate(child: &mut Child) -> ExitStatus {
    let pid = child.id().expect("it runs").to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends in time").unwrap()
}

/// Connects to a server that is about to listen.
pub async fn connect(address: &str) -> SecretServiceClient<Channel> {
    let begun = tokio::time::Instant::now();
    loop {
        match SecretServiceClient::connect(address.to_owned()).await {
            Ok(client) => return client,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{address} never answered: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A port that nobody listens on right now.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What another test installs on a real cluster must not decide.
pub const DIRECT: &str = "engine = \"direct\"\n";

pub fn configuration(site: &Site, port: u16) -> String {
    let configuration = Configuration {
        vault: &site.vault,
        ca: &site.ca,
        kubeconfig: &site.kubeconfig,
        namespace: &site.namespace,
        directory: site.directory(),
        port,
        // What a test asks for is what it has just ordered.
        lines_of_vault: "look_cache = \"1ms\"\n",
        sync: &format!("{DIRECT}interval = \"1s\"\n"),
    };
    configuration.text()
}
