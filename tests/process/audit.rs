//! `secret-service audit verify` and `export`: the proof that the history is what was recorded.

use serde_json::Value;
use tokio::process::Command;

use super::process::{Process, command};
use crate::support::{Site, requests::*};

/// How a command on a site's database ended, and what it said.
pub async fn audit(site: &Site, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::from(command(&[&["audit"], arguments].concat()));
    let ended = command
        .env("SECRET_SERVICE_DATABASE_PATH", site.directory().join("serve.db"))
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (ended.status.code(), text(ended.stdout), text(ended.stderr))
}

async fn verified(site: &Site, arguments: &[&str]) -> Value {
    let (code, out, said) = audit(site, &[&["verify", "-o", "json"], arguments].concat()).await;
    assert_eq!(code, Some(0), "{out}{said}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_verifies_while_the_service_runs_and_later_against_an_anchor_from_the_log() {
    let site = Site::start().await;
    let mut process = Process::serve(&site).await;
    process.client.create_synced_secret(create("a", vec![created("k", "fresh", "canary-5a")])).await.unwrap();
    let before = verified(&site, &[]).await;
    process.client.delete_synced_secret(delete("a")).await.unwrap();
    let after = verified(&site, &["--anchor", before["anchor"].as_str().unwrap()]).await;
    assert!(after["events"].as_u64() > before["events"].as_u64());

    let log = std::fs::read_to_string(super::process::log(&site)).unwrap();
    let mut logged = log.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let logged = logged.rfind(|line| line["target"] == "secret_service::audit").unwrap();
    assert_eq!((&logged["sequence"], &logged["hash"]), (&after["sequence"], &after["hash"]));

    let file = site.directory().join("audit.jsonl");
    let file = file.to_str().unwrap();
    let (code, _, said) = audit(&site, &["export", "--to", file]).await;
    assert_eq!(code, Some(0), "{said}");
    let exported = std::fs::read_to_string(file).unwrap();
    assert!(!exported.contains("canary-5a"));
    assert_eq!(verified(&site, &["--file", file]).await["anchor"], after["anchor"]);

    std::fs::write(file, exported.replacen("anonymous", "autonomous", 1)).unwrap();
    let (code, _, said) = audit(&site, &["verify", "--file", file]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("is not what it was when it was recorded"), "{said}");
    let (code, _, said) = audit(&site, &["verify", "--anchor", &format!("1:{}", "0".repeat(64))]).await;
    assert_eq!(code, Some(1));
    assert!(said.contains("rewritten"), "{said}");
    let (code, _, _) = audit(&site, &["verify", "--anchor", "one"]).await;
    assert_eq!(code, Some(2));
    assert!(process.terminate().await.success());
}
