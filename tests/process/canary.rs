//! That no value stays anywhere: marked values go through all that the service does, then every byte that it has written, said or
//! still holds in memory is searched for them.

use std::{fmt::Write as _, fs::File, os::unix::fs::FileExt, path::Path, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use secret_service::proto::*;
use tokio::time::{Instant, sleep};

use super::{
    audit::audit,
    process::{Process, said_at_start},
};
use crate::support::{Site, requests::*, script::say};

/// How long buffers may take to be given back once the connections are closed that they belong to.
const GIVEN_BACK: Duration = Duration::from_secs(20);

/// A value that stands nowhere else.
fn canary(name: &str) -> String {
    format!("canary-{name}-{}", uuid::Uuid::new_v4().simple())
}

/// A value as it may be written: as it is, in base64 at any place, in hex, in UTF-16.
fn forms(value: &str) -> Vec<(&'static str, Vec<u8>)> {
    let hex = value.bytes().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut forms = vec![
        ("as it is", value.as_bytes().to_vec()),
        ("in hex", hex.into_bytes()),
        ("in UTF-16", value.encode_utf16().flat_map(u16::to_le_bytes).collect()),
    ];
    for before in 0..3 {
        let text = BASE64_STANDARD.encode([vec![b'x'; before], value.as_bytes().to_vec()].concat());
        // What depends on the neighbours is left out on both sides.
        forms.push(("in base64", text.as_bytes()[4..text.len() - 4].to_vec()));
    }
    forms
}

fn found(place: &str, bytes: &[u8], values: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for value in values {
        for (form, needle) in forms(value) {
            if memchr::memmem::find(bytes, &needle).is_some() {
                let name = value.rsplit_once('-').map_or("", |(name, _)| name);
                found.push(format!("{name} {form} in {place}"));
            }
        }
    }
    found
}

/// Everything that a process holds in memory, region by region.
fn search_memory(pid: u32, values: &[String]) -> std::io::Result<Vec<String>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let memory = File::open(format!("/proc/{pid}/mem"))?;
    let mut all = Vec::new();
    for line in maps.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let from = u64::from_str_radix(from, 16).unwrap();
        let length = u64::from_str_radix(to, 16).unwrap() - from;
        if !rest.starts_with('r') || line.contains("[v") {
            continue;
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        // A region may be gone since.
        if memory.read_exact_at(&mut bytes, from).is_ok() {
            all.extend(found(&format!("memory, {rest}"), &bytes, values));
        }
    }
    Ok(all)
}

fn search_files(directory: &Path, values: &[String]) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().contains("serve")) {
            all.extend(found(&path.display().to_string(), &std::fs::read(&path).unwrap(), values));
        }
    }
    all
}

/// All that is done with values, also what goes wrong; what was answered.
async fn walk(process: &mut Process, values: &mut Vec<String>) -> String {
    let mut fresh = |name: &str| {
        values.push(canary(name));
        values.last().unwrap().clone()
    };
    let (client, mut said) = (&mut process.client, String::new());
    let mut heard = |what: String| said += &what;
    let created = create("a", vec![created("k", "first", &fresh("created"))]);
    heard(format!("{:?}", client.create_synced_secret(created.clone()).await.unwrap()));
    heard(format!("{:?}", client.create_synced_secret(created).await.unwrap_err()));
    let secret = |value: String| Some(NewVaultSecret { value, ..Default::default() });
    let new = CreateVaultSecretRequest {
        vault_secret_id: "second".to_owned(),
        secret: secret(fresh("second")),
        ..Default::default()
    };
    heard(format!("{:?}", client.create_vault_secret(new.clone()).await.unwrap()));
    heard(format!("{:?}", client.create_vault_secret(new).await.unwrap_err()));
    let wrong = CreateVaultSecretRequest {
        vault_secret_id: "not a name!".to_owned(),
        secret: secret(fresh("wrong")),
        ..Default::default()
    };
    heard(format!("{:?}", client.create_vault_secret(wrong).await.unwrap_err()));
    heard(format!(
        "{:?}",
        client.add_vault_secret_version(add_version("first", &fresh("rotated"))).await.unwrap()
    ));
    heard(format!("{:?}", client.sync_synced_secret(sync("a")).await.unwrap()));
    let updated = SyncedSecret {
        name: name("a"),
        references: vec![existing("k", "first"), self::new_reference(&fresh("updated"))],
        ..Default::default()
    };
    heard(format!("{:?}", client.update_synced_secret(update(updated, &["references"])).await.unwrap()));
    heard(format!("{:?}", client.get_synced_secret(get("a")).await.unwrap()));
    heard(format!("{:?}", client.list_vault_secrets(ListVaultSecretsRequest::default()).await.unwrap()));
    heard(format!("{:?}", client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap()));
    heard(format!("{:?}", client.delete_synced_secret(delete("a")).await.unwrap()));
    said
}

fn new_reference(value: &str) -> SecretReference {
    created("l", "third", value)
}

/// What the process tells Prometheus.
async fn metrics(site: &Site) -> String {
    let address = said_at_start(site, "metrics").expect("it serves metrics");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client.get(format!("http://{address}/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(page.contains("secret_service_calls_total"), "{page}");
    page
}

async fn no_value_stays(engine: &str) {
    let mut site = Site::start().await;
    if engine == "secret-store" {
        site.install_extension().await;
    }
    let flags = ["--log-level", "trace", "--server-metrics-listen", "127.0.0.1:0"];
    let mut process = Process::serve_with(engine, &site, &flags).await;
    let (mut values, pid) = (Vec::new(), process.id());
    let said = walk(&mut process, &mut values).await;
    let mut all = found("an answer", said.as_bytes(), &values);

    all.extend(found("the metrics", metrics(&site).await.as_bytes(), &values));

    // The connection of the caller has buffers of its own; it goes when the caller does.
    let process = process.hang_up();
    let (code, exported, _) = audit(&site, &["export"]).await;
    assert_eq!(code, Some(0));
    all.extend(found("the export of the audit", exported.as_bytes(), &values));
    all.extend(search_files(site.directory(), &values));
    assert!(all.is_empty(), "{all:#?}");

    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let begun = Instant::now();
    loop {
        match search_memory(pid, &values) {
            Err(error) => {
                say(&format!("the memory of {engine}: SKIPPED, it may not be read: {error}"));
                break;
            }
            Ok(left) if left.is_empty() => break,
            Ok(left) => assert!(begun.elapsed() < GIVEN_BACK, "{left:#?}"),
        }
        sleep(Duration::from_millis(500)).await;
    }
    drop(process);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_stays_in_files_output_or_memory() {
    no_value_stays("direct").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_stays_in_the_secret_store_engine_either() {
    no_value_stays("secret-store").await;
}

#[test]
fn the_search_finds_a_value_that_is_kept() {
    let kept = canary("kept");
    // This very process keeps it.
    let found = search_memory(std::process::id(), std::slice::from_ref(&kept)).unwrap();
    assert!(found.iter().any(|line| line.starts_with("canary-kept as it is")), "{found:?}");
    assert!(
        !self::found(
            "a text",
            format!("{{\"a\":\"{}\"}}", BASE64_STANDARD.encode(&kept)).as_bytes(),
            &[kept]
        )
        .is_empty()
    );
}
