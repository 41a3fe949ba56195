//! Trust and issuer lists: their entries are files.

use std::path::Path;

use serde_json::Value;

use super::{json, say};
use crate::support::World;

const LIST: &str = "aio-opc-ua-broker-trust-list";

/// A certificate, as a file of this name.
fn certificate(world: &World, name: &str) -> (String, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let bytes = match Path::new(name).extension().unwrap().to_str() {
        Some("der") => made.cert.der().to_vec(),
        _ => made.cert.pem().into_bytes(),
    };
    let file = world.directory().join(name);
    std::fs::write(&file, &bytes).unwrap();
    (file.to_str().unwrap().to_owned(), bytes)
}

/// A revocation list, as a file of this name.
fn revocation_list(world: &World, name: &str) -> (String, Vec<u8>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(["ca".to_owned()]).unwrap();
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let issuer = rcgen::Issuer::new(parameters, key);
    let revoked = rcgen::CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 1, 1),
        next_update: rcgen::date_time_ymd(2099, 1, 1),
        crl_number: 1_u64.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: rcgen::KeyIdMethod::Sha256,
    };
    let bytes = revoked.signed_by(&issuer).unwrap().der().to_vec();
    let file = world.directory().join(name);
    std::fs::write(&file, &bytes).unwrap();
    (file.to_str().unwrap().to_owned(), bytes)
}

async fn bytes_at_the_edge(world: &World, key: &str) -> Option<Vec<u8>> {
    let secret = world.secrets().get(LIST).await.unwrap();
    secret.data.unwrap().remove(key).map(|bytes| bytes.0)
}

fn of<'a>(shown: &'a Value, key: &str) -> &'a Value {
    shown["references"].as_array().unwrap().iter().find(|one| one["key"] == key).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_a_list_are_added_listed_replaced_and_removed() {
    let world = World::start().await;
    let ((pump, pump_der), (ca, ca_pem)) = (certificate(&world, "pump-7.der"), certificate(&world, "ca.crt"));
    let (crl, crl_der) = revocation_list(&world, "ca.crl");
    let add = ["secrets", "certificates", "add", LIST];
    let absent = say(&world, &[&add[..], &[&pump]].concat()).await.failed(3);
    assert!(absent.contains("--create"), "{absent}");
    say(&world, &[&add[..], &[&pump, &ca, "--create"]].concat()).await.ok();
    say(&world, &[&add[..], &[&crl, "--create", "--vault-secret", "ca.crl=plant-crl"]].concat()).await.ok();
    for (key, bytes) in [("pump-7.der", &pump_der), ("ca.crt", &ca_pem), ("ca.crl", &crl_der)] {
        assert_eq!(bytes_at_the_edge(&world, key).await.as_ref(), Some(bytes), "{key}");
    }
    assert_eq!(world.somebody.reads("aio-opc-ua-broker-trust-list-pump-7-der").await, hex::encode(&pump_der));
    let kept = json(&world, &["vault", "list", "-o", "json"]).await;
    let kept = kept["vaultSecrets"].as_array().unwrap();
    let types: Vec<_> = kept.iter().map(|one| one["contentType"].as_str().unwrap()).collect();
    for kind in ["application/pkix-cert", "application/x-pem-file", "application/pkix-crl"] {
        assert!(types.contains(&kind), "{types:?}");
    }
    assert!(kept.iter().all(|one| one["tags"]["file-encoding"] == "hex"), "{kept:?}");

    let taken = say(&world, &[&add[..], &[&pump]].concat()).await.failed(2);
    assert!(taken.contains("certificates replace"), "{taken}");
    let table = say(&world, &["secrets", "certificates", "list", LIST]).await.ok();
    assert!(table.starts_with("KEY") && table.contains("plant-crl") && table.contains("Synced"), "{table}");

    let (_, newer) = certificate(&world, "newer.der");
    let newer_file = world.directory().join("newer.der");
    let replacement = format!("pump-7.der={}", newer_file.display());
    say(&world, &["secrets", "certificates", "replace", LIST, &replacement]).await.ok();
    assert_eq!(bytes_at_the_edge(&world, "pump-7.der").await, Some(newer));

    let shown = json(&world, &["secrets", "certificates", "list", LIST, "-o", "json"]).await;
    let version = of(&shown, "ca.crl")["syncedVersion"].as_str().map(str::to_owned);
    say(&world, &["secrets", "certificates", "remove", LIST, "pump-7.der", "ca.crt"]).await.ok();
    assert_eq!(bytes_at_the_edge(&world, "ca.crt").await, None);
    let last = say(&world, &["secrets", "certificates", "remove", LIST, "ca.crl"]).await.failed(2);
    assert!(last.contains("at least one"), "{last}");
    say(&world, &["secrets", "certificates", "remove", LIST, "pump-7.der"]).await.failed(3);

    // A pinned entry is pinned to the new version.
    let Some(version) = version else { return };
    let pin = format!("ca.crl=plant-crl@{version}");
    say(&world, &["secrets", "update", LIST, "--set", &pin]).await.ok();
    let (newer_crl, newer) = revocation_list(&world, "newer.crl");
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    say(&world, &["secrets", "certificates", "replace", LIST, &format!("ca.crl={newer_crl}")]).await.ok();
    assert_eq!(bytes_at_the_edge(&world, "ca.crl").await, Some(newer));
    let shown = json(&world, &["secrets", "certificates", "list", LIST, "-o", "json"]).await;
    let pinned = of(&shown, "ca.crl")["version"].as_str().unwrap();
    assert!(!pinned.is_empty() && pinned != version, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_add_entries_at_the_same_time_lose_none() {
    let world = World::start().await;
    let files: Vec<_> = (0..6).map(|number| certificate(&world, &format!("c{number}.der")).0).collect();
    let adds = files.iter().map(async |file| {
        let add = ["secrets", "certificates", "add", LIST, file, "--create", "--no-wait"];
        say(&world, &add).await.ok()
    });
    futures::future::join_all(adds).await;
    let shown = json(&world, &["secrets", "get", LIST, "-o", "json"]).await;
    assert_eq!(shown["references"].as_array().unwrap().len(), 6, "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_private_key_never_gets_into_a_list() {
    let world = World::start().await;
    let key = rcgen::KeyPair::generate().unwrap().serialize_pem();
    let file = world.directory().join("pump.pem");
    std::fs::write(&file, &key).unwrap();
    let add = ["secrets", "certificates", "add", LIST, file.to_str().unwrap(), "--create"];
    let refused = say(&world, &add).await.failed(2);
    assert!(refused.contains("private key"), "{refused}");
    let secret = key.lines().nth(1).unwrap();
    assert!(!refused.contains(secret));
    assert!(world.edge(LIST).await.is_none());
}
