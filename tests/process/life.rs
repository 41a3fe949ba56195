//! The life of the real process: it starts, says where everything is, survives a kill -9, and ends when it is told to.

use std::{
    fs,
    path::Path,
    process::{Child, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::process::command;
use crate::support::PATIENCE;

/// A running process; killed where a test ends early.
struct Process(Child);

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let child = command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(child.expect("the binary runs"))
    }

    fn dev(directory: &Path) -> Self {
        Self::start(&["dev", "--listen", "127.0.0.1:0", "--data-dir", directory.to_str().unwrap()])
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, signal).expect("the process is there");
    }

    /// The exit code; none where a signal ended it.
    fn ended(&mut self) -> Option<i32> {
        let status =
            wait_for("the end of the process", || self.0.try_wait().expect("a child can be waited for"));
        status.code()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn run(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary runs")
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// What dev mode says of itself, once it does.
fn place(directory: &Path) -> Value {
    let file = directory.join("dev.json");
    wait_for("dev.json", || {
        let text = fs::read(&file).ok()?;
        // It appears whole or not at all.
        Some(serde_json::from_slice(&text).expect("dev.json is JSON as soon as it is there"))
    })
}

/// Of two runs: `pid` says which.
fn place_of(directory: &Path, process: &Process) -> Value {
    wait_for("dev.json of this run", || {
        let place = place(directory);
        (place["pid"] == process.0.id()).then_some(place)
    })
}

#[test]
fn dev_mode_prints_its_endpoints_and_stops_cleanly_on_sigterm() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let mut dev = Process::dev(&directory);
    let place = place(&directory);

    for file in ["vault_ca", "kubeconfig", "database", "vault_token_request"] {
        let path = Path::new(place[file].as_str().unwrap());
        assert!(path.is_absolute() && path.is_file(), "{file}: {}", path.display());
    }
    assert!(place["vault_uri"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert_eq!(place["namespace"], "azure-iot-operations");
    let grpc = place["grpc"].as_str().unwrap();
    assert!(std::net::TcpStream::connect(grpc).is_ok());

    dev.signal(Signal::TERM);
    assert_eq!(dev.ended(), Some(0));
    assert!(!directory.join("dev.json").exists());
    let log = directory.join("secret-service.db-wal");
    assert!(!log.exists(), "the write-ahead log is in the database");
}

#[test]
fn after_a_kill_dev_mode_restarts_on_the_same_ports() {
    let parent = tempfile::tempdir().unwrap();
    let first = Process::dev(parent.path());
    let before = place_of(parent.path(), &first);
    drop(first);

    let mut second = Process::dev(parent.path());
    let after = place_of(parent.path(), &second);
    assert_eq!(after["vault_uri"], before["vault_uri"]);
    let kubeconfig = fs::read_to_string(after["kubeconfig"].as_str().unwrap()).unwrap();
    assert!(kubeconfig.contains("https://127.0.0.1:"));
    second.signal(Signal::INT);
    assert_eq!(second.ended(), Some(0));
}

#[test]
fn two_processes_never_share_a_data_directory() {
    let parent = tempfile::tempdir().unwrap();
    let first = Process::dev(parent.path());
    let place = place(parent.path());
    let second = run(&["dev", "--listen", "127.0.0.1:0", "--data-dir", parent.path().to_str().unwrap()]);
    assert_eq!(second.status.code(), Some(1));
    let error = String::from_utf8(second.stderr).unwrap();
    assert!(error.contains(&format!("process {}", first.0.id())), "{error}");
    assert_eq!(place, self::place(parent.path()), "the first one is undisturbed");
}

#[test]
fn dev_mode_refuses_other_interfaces_and_production() {
    let elsewhere = run(&["dev", "--listen", "0.0.0.0:0"]);
    assert_eq!(elsewhere.status.code(), Some(2));
    let in_pod = command(&["dev"]).env("KUBERNETES_SERVICE_HOST", "10.0.0.1").output().unwrap();
    assert_eq!(in_pod.status.code(), Some(2));
    assert!(String::from_utf8(in_pod.stderr).unwrap().contains("KUBERNETES_SERVICE_HOST"));
}

#[test]
fn an_invalid_configuration_exits_with_2_and_one_line_per_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("serve.toml");
    fs::write(&file, "[vault]\nurl = 'x'\n[sync]\nworkers = 0\n").unwrap();
    for name in ["serve", "check"] {
        let ended = run(&[name, "--config", file.to_str().unwrap()]);
        assert_eq!(ended.status.code(), Some(2));
        let lines = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(lines.lines().filter(|line| line.starts_with("error: ")).count(), 3, "{lines}");
        assert!(
            lines.contains("serve.toml:2: vault.url") && lines.contains("serve.toml:4: sync.workers"),
            "{lines}"
        );
    }
}

#[test]
fn serve_and_check_run_against_the_doubles_of_dev_mode() {
    let parent = tempfile::tempdir().unwrap();
    let dev = Process::dev(parent.path());
    let place = place_of(parent.path(), &dev);
    let form = fs::read(place["vault_token_request"].as_str().unwrap()).unwrap();
    let form: std::collections::HashMap<_, _> = url::form_urlencoded::parse(&form).into_owned().collect();
    let token_url: url::Url = place["vault_token_url"].as_str().unwrap().parse().unwrap();
    let tenant = token_url.path_segments().unwrap().next().unwrap().to_owned();
    let database = parent.path().join("serve.db");
    let text = |name: &str| place[name].as_str().unwrap().to_owned();
    let environment = [
        ("VAULT_URI", text("vault_uri")),
        ("VAULT_CA_FILE", text("vault_ca")),
        ("VAULT_VERIFY_CHALLENGE", "false".to_owned()),
        ("CREDENTIAL_KIND", "client-secret".to_owned()),
        ("CREDENTIAL_TENANT_ID", tenant),
        ("CREDENTIAL_CLIENT_ID", form["client_id"].clone()),
        ("CREDENTIAL_SECRET", form["client_secret"].clone()),
        ("CLOUD_NAME", "custom".to_owned()),
        ("CLOUD_AUTHORITY_HOST", text("vault_uri")),
        ("KUBERNETES_KUBECONFIG", text("kubeconfig")),
        ("SERVER_LISTEN", "127.0.0.1:0".to_owned()),
        ("DATABASE_PATH", database.to_str().unwrap().to_owned()),
    ];
    let with_environment = |arguments: &[&str]| {
        let mut command = command(arguments);
        command.envs(environment.iter().map(|(name, value)| (format!("SECRET_SERVICE_{name}"), value)));
        command
    };

    let checked = with_environment(&["check", "-o", "json"]).output().unwrap();
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!((checked.status.code(), &report["ok"]), (Some(0), &Value::Bool(true)), "{report:#}");
    assert!(!database.exists(), "a check changes nothing");

    let log = parent.path().join("log");
    let serving = with_environment(&["serve"]).stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
    let mut serving = Process(serving);
    let logged = |what: &str| fs::read_to_string(&log).unwrap_or_default().contains(what);
    wait_for("a service that is ready", || logged("\"ready\":true").then_some(()));
    serving.signal(Signal::TERM);
    assert_eq!(serving.ended(), Some(0));
    assert!(!logged(&form["client_secret"]));

    drop(dev);
    let checked = with_environment(&["check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let table = String::from_utf8(checked.stdout).unwrap();
    assert!(table.contains("NO") && table.contains("the vault does not answer"), "{table}");
}
