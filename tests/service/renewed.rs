//! Files with secrets and certificates that are renewed on disk: taken up without a restart, and named while they are wrong.
//!
//! What is in a client certificate of a kubeconfig is held by the tests of `src/edge/client/tests.rs`, a workload's token file by those of
//! `src/vault/tests/identity.rs` and `tests/control_plane`, and the server's own files by `tests/service/access/certificates.rs`.

use std::{io::Write, os::unix::fs::OpenOptionsExt, path::PathBuf, time::Duration};

use doubles_common::tls::Authority;
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat};
use secrecy::ExposeSecret;
use secret_service::{
    proto::{Condition, GetVaultRequest, condition::Status, synced_secret::State},
    vault::Credential,
};
use tokio::time::{Instant, sleep};

use crate::support::{Options, PATIENCE, Site, World, requests::*};

/// A file of the site, as Kubernetes changes mounted ones: another file takes the name.
fn write(site: &Site, name: &str, text: &str) -> PathBuf {
    let (new, file) = (site.directory().join("new"), site.directory().join(name));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, &file).unwrap();
    file
}

async fn told(world: &mut World, kind: &str) -> Condition {
    let vault = world.client.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    vault.conditions.into_iter().find(|condition| condition.r#type == kind).expect(kind)
}

/// The condition is false and names a file, until that is renewed.
async fn names(world: &mut World, kind: &str, words: &[&str]) {
    let condition = told(world, kind).await;
    assert_eq!(condition.status(), Status::False, "{condition:?}");
    for word in words {
        assert!(condition.message.contains(word), "{word}: {}", condition.message);
    }
}

async fn until_true(world: &mut World, kind: &str) {
    let begun = Instant::now();
    loop {
        let condition = told(world, kind).await;
        if condition.status() == Status::True {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "it is never taken up: {condition:?}");
        sleep(Duration::from_millis(250)).await;
    }
}

#[tokio::test]
async fn a_renewed_client_secret_file_is_used_without_a_restart() {
    let site = Site::start().await;
    let secret_file = write(&site, "secret", "expired\n");
    let application = site.vault.credential().clone();
    let credential = Credential::ClientSecretFile {
        tenant_id: application.tenant_id.clone(),
        client_id: application.client_id.clone(),
        secret_file: secret_file.clone(),
    };
    let mut world =
        World::start_on(site, Options { credential: Some(credential), ..Options::default() }).await;
    names(&mut world, "Reachable", &["AADSTS", &secret_file.display().to_string()]).await;
    write(&world, "secret", &format!("{}\n", application.secret.expose_secret()));
    until_true(&mut world, "Reachable").await;
}

#[tokio::test]
async fn a_renewed_vault_ca_file_is_trusted_without_a_restart() {
    let mut site = Site::start().await;
    let good = std::fs::read_to_string(&site.ca).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let another = Authority::load_or_create(elsewhere.path()).unwrap();
    let another = std::fs::read_to_string(another.path()).unwrap();
    site.ca = write(&site, "authorities.pem", &another);
    let mut world = World::start_on(site, Options::default()).await;
    names(&mut world, "Reachable", &["TLS"]).await;
    write(&world, "authorities.pem", "half a certif");
    sleep(Duration::from_secs(11)).await;
    names(&mut world, "Reachable", &["TLS"]).await;
    write(&world, "authorities.pem", &format!("{another}{good}"));
    until_true(&mut world, "Reachable").await;
}

#[tokio::test]
async fn a_renewed_kubeconfig_is_used_without_a_restart() {
    needs!(the_double);
    let mut site = Site::start().await;
    let good = std::fs::read_to_string(&site.kubeconfig).unwrap();
    let mut expired: serde_yaml_ng::Value = serde_yaml_ng::from_str(&good).unwrap();
    expired["users"][0]["user"]["token"] = "expired".into();
    let expired = serde_yaml_ng::to_string(&expired).unwrap();
    site.kubeconfig = write(&site, "renewed", &expired);
    let file = site.kubeconfig.display().to_string();
    let mut world = World::start_on(site, Options::default()).await;
    names(&mut world, "SecureSettings", &["does not accept the service's credentials", &file]).await;
    write(&world, "renewed", "users: [canary");
    sleep(Duration::from_secs(11)).await;
    names(&mut world, "SecureSettings", &["does not accept the service's credentials", &file]).await;
    write(&world, "renewed", &good);
    until_true(&mut world, "SecureSettings").await;
}

#[tokio::test]
async fn a_renewed_cluster_ca_file_is_trusted_without_a_restart() {
    needs!(the_double);
    let mut site = Site::start().await;
    let good = std::fs::read_to_string(&site.ca).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let another = Authority::load_or_create(elsewhere.path()).unwrap();
    let named = write(&site, "cluster.pem", &std::fs::read_to_string(another.path()).unwrap());
    let text = std::fs::read_to_string(&site.kubeconfig).unwrap();
    let mut kubeconfig: serde_yaml_ng::Value = serde_yaml_ng::from_str(&text).unwrap();
    let cluster = kubeconfig["clusters"][0]["cluster"].as_mapping_mut().unwrap();
    cluster.remove("certificate-authority-data");
    cluster.insert("certificate-authority".into(), named.display().to_string().into());
    site.kubeconfig = write(&site, "renewed", &serde_yaml_ng::to_string(&kubeconfig).unwrap());
    let mut world = World::start_on(site, Options::default()).await;
    assert_ne!(told(&mut world, "SecureSettings").await.status(), Status::True);
    write(&world, "cluster.pem", &good);
    until_true(&mut world, "SecureSettings").await;
}

/// In the place of a file, one that says nothing to whoever reads it: as on a disk in the network that is gone.
fn hang(site: &Site, name: &str) -> PathBuf {
    let (new, file) = (site.directory().join("new"), site.directory().join(name));
    mknodat(CWD, &new, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    std::fs::rename(new, &file).unwrap();
    file
}

/// Says something to whoever reads it, where anybody does.
fn let_go(file: &PathBuf, text: &str) {
    let nonblocking = OFlags::NONBLOCK.bits().try_into().unwrap();
    let opened = std::fs::OpenOptions::new().write(true).custom_flags(nonblocking).open(file);
    opened.expect("somebody reads it").write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn files_on_a_hanging_disk_block_no_call() {
    let mut site = Site::start().await;
    let authority = std::fs::read_to_string(&site.ca).unwrap();
    let kubeconfig = std::fs::read_to_string(&site.kubeconfig).unwrap();
    site.ca = write(&site, "authorities.pem", &authority);
    site.kubeconfig = write(&site, "kubeconfig-of-the-service", &kubeconfig);
    let mut world = World::start_on(site, Options::default()).await.with_synced(&["before"], "value").await;
    let hanging = [hang(&world, "authorities.pem"), hang(&world, "kubeconfig-of-the-service")];
    // The next request makes them be looked at.
    sleep(Duration::from_secs(11)).await;
    for id in ["a", "b", "c"] {
        let call = world.client.create_synced_secret(create(id, vec![existing("k", "v")]));
        let made = tokio::time::timeout(PATIENCE, call).await.expect("no call waits for the disk").unwrap();
        assert_eq!(made.get_ref().state(), State::Synced);
    }
    for (file, text) in hanging.iter().zip([authority, kubeconfig]) {
        let_go(file, &text);
    }
}
