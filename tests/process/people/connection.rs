//! Reaching the service: across restarts, by what a `dev` says, over TLS and a Unix socket; and watching it.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::{line, say, type_into};
use crate::{
    process::{self, free_port},
    support::{NAMESPACE, Options, PATIENCE, Site, World},
};

/// The events of a watch, as they come.
struct Watch {
    _child: Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Watch {
    fn start(address: &str, arguments: &[&str]) -> Self {
        let mut command = line(address, &[&["secrets", "watch", "-o", "json"], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { _child: child, lines }
    }

    async fn next(&mut self) -> Value {
        let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await.expect("something comes");
        serde_json::from_str(&line.unwrap().expect("it goes on")).unwrap()
    }

    /// Reads until an event about a synced secret; fails where one comes that begins the story anew.
    async fn until(&mut self, kind: &str, id: &str) -> Value {
        loop {
            let event = self.next().await;
            let is_about = event["syncedSecret"]["name"] == format!("syncedSecrets/{id}");
            if event["type"] == kind && (id.is_empty() || is_about) {
                return event;
            }
            assert!(event["type"] != "TYPE_ADDED" || is_about, "waiting for {kind} {id}: {event}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_after_the_service_restarts() {
    let listen = format!("127.0.0.1:{}", free_port());
    let options = Options { listen: listen.parse().unwrap(), ..Options::default() };
    let mut world = World::start_with(options).await;
    world.seed("v", "1").await;
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();
    let mut watch = Watch::start(&listen, &[]);
    watch.until("TYPE_ADDED", "a").await;
    let told = watch.until("TYPE_BOOKMARK", "").await;

    world.restart().await;
    say(&world, &["secrets", "add", "b", "k=v"]).await.ok();
    // Without the first one again: it goes on.
    watch.until("TYPE_ADDED", "b").await;
    say(&world, &["secrets", "delete", "b", "--yes"]).await.ok();
    watch.until("TYPE_DELETED", "b").await;

    // Another one can go on from the same place.
    let token = told["resumeToken"].as_str().unwrap();
    let mut later = Watch::start(&listen, &["--resume-token", token]);
    later.until("TYPE_DELETED", "b").await;
    let forged = say(&world, &["secrets", "watch", "--resume-token", "forged"]).await;
    forged.failed(2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_waits_a_limited_time_for_a_restarting_service() {
    let listen = format!("127.0.0.1:{}", free_port());
    let options = Options { listen: listen.parse().unwrap(), ..Options::default() };
    let mut world = World::start_with(options).await;
    world.stop_service().await;
    let absent = type_into(line(&listen, &["secrets", "list", "--timeout", "300ms"]), "").await.failed(7);
    assert!(absent.contains(&listen) && absent.contains("--address"), "{absent}");
    let patient = line(&listen, &["vault", "create", "v", "--value-file", "-"]);
    let (said, ()) = tokio::join!(type_into(patient, "1"), async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        world.start_service().await;
    });
    said.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_finds_a_dev_service_in_the_current_directory() {
    let world = World::start().await;
    world.seed("v", "1").await;
    let here = world.directory().join("here");
    std::fs::create_dir_all(here.join(".secret-service")).unwrap();
    let told = serde_json::json!({"grpc": world.address().to_string(), "pid": std::process::id()});
    std::fs::write(here.join(".secret-service/dev.json"), told.to_string()).unwrap();
    let mut command = Command::from(process::command(&["vault", "list", "-o", "name"]));
    command.current_dir(&here);
    assert_eq!(type_into(command, "").await.ok(), "vaultSecrets/v\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_supports_tls_and_unix_sockets_and_sends_no_token_in_cleartext() {
    let site = Site::start().await;
    let (port, directory) = (free_port(), site.directory());
    let _serving = serve_tls(&site, port);
    let path = |name: &str| directory.join(name).display().to_string();
    let (address, socket) = (format!("localhost:{port}"), format!("unix:{}", path("s.sock")));
    std::fs::write(directory.join("token"), "canary-token\n").unwrap();
    let check = ["vault", "check", "-o", "name"];
    let tls = ["--ca-file", &path("cert.pem"), "--token-file", &path("token")];
    // It is still starting: its address is not taken at once.
    let begun = std::time::Instant::now();
    loop {
        let said = type_into(line(&socket, &check), "").await;
        if said.code == Some(0) {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "{said:?}");
    }
    assert_eq!(type_into(line(&address, &[check.as_slice(), &tls].concat()), "").await.ok(), "vault\n");
    let by_name = ["--server-name", "localhost"];
    let by_address = line(&format!("127.0.0.1:{port}"), &[check.as_slice(), &tls, &by_name].concat());
    type_into(by_address, "").await.ok();
    // Neither a certificate that nobody vouches for, nor a service that speaks something else.
    let untrusted = [check.as_slice(), &["--tls", "--timeout", "1s"]].concat();
    type_into(line(&address, &untrusted), "").await.failed(7);
    let clear = ["--token-file", &path("token"), "--address", "198.51.100.7:50051"];
    let refused = type_into(line(&address, &[check.as_slice(), &clear].concat()), "").await.failed(2);
    assert!(refused.contains("clear text") && !refused.contains("canary-token"), "{refused}");
}

/// A `serve` with TLS on TCP, and a Unix socket.
fn serve_tls(site: &Site, port: u16) -> Child {
    let directory: &Path = site.directory();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(directory.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    let path = |name: &str| directory.join(name).display().to_string();
    let server = format!(
        "[server]\ntls_cert_file = {:?}\ntls_key_file = {:?}\nunix_socket = {:?}\n",
        path("cert.pem"),
        path("key.pem"),
        path("s.sock")
    );
    let text = process::configuration(site, port).replace("[server]\n", &server);
    assert!(text.contains(NAMESPACE));
    std::fs::write(directory.join("tls.toml"), text).unwrap();
    let mut command = Command::from(process::command(&["serve", "--config", &path("tls.toml")]));
    command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap()
}
