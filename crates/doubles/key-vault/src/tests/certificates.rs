//! Certificates and their secrets.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Method;
use serde_json::json;

use super::World;
use crate::{
    CertificateForm::{self, Pem, Pfx},
    Fault, FaultRule, OnOperation, Operation, Seed, SeedError, Seeded, Throttle, VaultFault,
};

/// A certificate, as its owner has it.
struct Made {
    /// The key, the authority's certificate, then the leaf.
    pem: String,
    leaf: Vec<u8>,
    key: KeyPair,
}

fn made() -> Made {
    let params = |name: &str| {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2027, 1, 1);
        params
    };
    let (authority_key, key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let mut authority = params("authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let leaf = params("leaf").signed_by(&key, &Issuer::new(authority, authority_key)).unwrap();
    let pem = format!("{}{}{}", key.serialize_pem(), root.pem(), leaf.pem());
    Made { pem, leaf: leaf.der().to_vec(), key }
}

async fn seed(world: &World, made: &Made, form: CertificateForm) {
    let seeded = world.double.seed_certificate("Web", made.pem.as_str().into(), form).await.unwrap();
    assert_eq!(seeded, Seeded::Created);
}

#[tokio::test]
async fn a_certificate_is_shown_with_the_ids_of_its_key_and_secret_and_the_leaf_alone() {
    for form in [Pem, Pfx] {
        let (world, made) = (World::start().await, made());
        seed(&world, &made, form).await;
        let secret = world.get("secrets/web").await;
        let got = world.get("certificates/web/").await;
        assert_eq!(got.status, 200);
        let (uri, version) = (world.double.uri(), secret.version());
        assert_eq!(got.body["id"], format!("{uri}certificates/Web/{version}"));
        assert_eq!(got.body["sid"], secret.body["id"]);
        assert_eq!(got.body["kid"], secret.body["kid"]);
        assert_eq!(got.body["cer"], STANDARD.encode(&made.leaf));
        let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &made.leaf);
        assert_eq!(got.body["x5t"], URL_SAFE_NO_PAD.encode(sha1));
        assert_eq!(got.body["contentType"], form.content_type());
        assert_eq!(got.body["attributes"], secret.body["attributes"]);
        assert_eq!(got.body["attributes"]["nbf"], 1_767_225_600);
        assert_eq!(got.body["attributes"]["exp"], 1_798_761_600);
        assert_eq!(world.get(&format!("certificates/WEB/{version}")).await.body, got.body);
        assert_eq!(secret.body["contentType"], form.content_type());
        assert_eq!(secret.body["managed"], true);
    }
}

#[tokio::test]
async fn the_secret_of_a_certificate_holds_pem_or_a_pfx_without_a_password() {
    let (world, made) = (World::start().await, made());
    seed(&world, &made, Pem).await;
    assert_eq!(world.get("secrets/web").await.body["value"], made.pem);

    let world = World::start().await;
    seed(&world, &made, Pfx).await;
    let got = world.get("secrets/web").await;
    let pfx = STANDARD.decode(got.body["value"].as_str().unwrap()).unwrap();
    let archive = p12_keystore::Pkcs12Archive::from_pkcs12(&pfx, "").unwrap();
    assert_eq!(archive.keys[0].key.as_der(), made.key.serialize_der());
    assert_eq!((archive.certs.len(), archive.certs[0].cert.as_der()), (2, made.leaf.as_slice()));
}

#[tokio::test]
async fn a_renewal_adds_a_version_of_certificate_and_secret_with_the_form_and_tags_of_before() {
    let (world, old, new) = (World::start().await, made(), made());
    let mut seed = Seed::certificate("web", old.pem.as_str().into(), Pfx).unwrap();
    seed.tags.insert("line".to_owned(), "4".to_owned());
    world.double.seed_all(vec![seed]).await.unwrap();
    let first = world.get("certificates/web").await;
    let version = world.double.renew_certificate("WEB", new.pem.as_str().into()).await.unwrap();

    let latest = world.get("certificates/web").await;
    assert_eq!(latest.version(), version);
    assert_eq!(latest.body["cer"], STANDARD.encode(&new.leaf));
    assert_eq!(latest.body["tags"], json!({"line": "4"}));
    let secret = world.get("secrets/web").await;
    assert_eq!(
        (secret.version(), &secret.body["contentType"]),
        (version.as_str(), &json!("application/x-pkcs12"))
    );
    let before = world.get(&format!("certificates/web/{}", first.version())).await;
    assert_eq!(before.body, first.body);

    let list = world.get("certificates/web/versions?maxresults=1").await;
    assert_eq!(list.body["value"].as_array().unwrap().len(), 1);
    let next = list.body["nextLink"].as_str().unwrap();
    assert!(next.starts_with(&format!("{}certificates/web/versions?", world.double.uri())), "{next}");
    let all = world.get("certificates/web/versions").await;
    let items = all.body["value"].as_array().unwrap();
    let item = items.iter().find(|item| item["id"] == latest.body["id"]).unwrap();
    assert_eq!((items.len(), &item["x5t"], item.get("cer")), (2, &latest.body["x5t"], None));

    let world = world.restart().await;
    assert_eq!(world.get("certificates/web").await.body["cer"], latest.body["cer"]);
}

#[tokio::test]
async fn what_is_no_certificate_is_not_found_and_its_secret_stays_the_vaults() {
    let (world, made) = (World::start().await, made());
    world.set("plain", "v").await;
    let odd = Seed {
        name: "odd".to_owned(),
        value: "pem".into(),
        content_type: Some(Pem.content_type().to_owned()),
        tags: [].into(),
        managed: true,
    };
    world.double.seed_all(vec![odd]).await.unwrap();
    for name in ["plain", "odd", "nobody"] {
        let missing = world.get(&format!("certificates/{name}")).await;
        assert_eq!(missing.error(), (404, "CertificateNotFound", ""));
        let begins = format!("A certificate with (name/id) {name} was not found in this key vault.");
        assert!(missing.message().starts_with(&begins), "{}", missing.message());
        assert_eq!(world.get(&format!("certificates/{name}/versions")).await.body["value"], json!([]));
    }
    seed(&world, &made, Pem).await;
    let version = world.get(&format!("certificates/web/{}", "0".repeat(32))).await;
    assert_eq!(version.error(), (404, "CertificateNotFound", ""));
    assert_eq!(world.send(Method::PATCH, "certificates/web", Some(json!({}))).await.status, 405);
    assert_eq!(world.set("web", "v").await.error(), (403, "Forbidden", "SecretManagedByKeyVault"));
}

#[tokio::test]
async fn a_certificate_that_key_vault_would_not_import_can_not_be_seeded_or_renewed() {
    let (world, made) = (World::start().await, made());
    world.set("plain", "v").await;
    let certificates = &made.pem[made.pem.find("-----BEGIN CERTIFICATE").unwrap()..];
    for (pem, why) in [
        (certificates, "the PEM has no key in PKCS#8"),
        (&made.key.serialize_pem(), "the PEM has no certificate"),
    ] {
        let refused = world.double.seed_certificate("web", pem.into(), Pem).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the secret \"web\" can't be seeded: {why}"));
    }
    for name in ["plain", "nobody"] {
        let refused = world.double.renew_certificate(name, made.pem.as_str().into()).await.unwrap_err();
        assert!(matches!(refused, SeedError::Invalid { .. }), "{refused}");
    }
}

#[tokio::test]
async fn requests_for_certificates_need_a_token_and_meet_faults_and_throttling() {
    let (mut world, made) = (World::start().await, made());
    seed(&world, &made, Pem).await;
    world
        .double
        .faults()
        .add(FaultRule::new(VaultFault::ForbiddenByRbac).on(Operation::CertificateGet).times(1));
    let refused = world.get("certificates/web").await;
    assert_eq!(refused.error(), (403, "Forbidden", "ForbiddenByRbac"));
    assert!(
        refused.message().contains("'Microsoft.KeyVault/vaults/certificates/read'"),
        "{}",
        refused.message()
    );
    let unavailable = Fault::status(503, "Down");
    world.double.faults().add(FaultRule::new(unavailable).named("web").times(1));
    assert_eq!(world.get("certificates/web").await.status, 503);
    assert_eq!(world.double.requests().of(Operation::CertificateGet), 2);

    world.double.configure(|settings| {
        settings.throttle = Some(Throttle { per_second: 0.001, burst: 1.0, retry_after_seconds: None });
    });
    assert_eq!(world.get("certificates/web").await.status, 200);
    assert_eq!(world.get("certificates/web").await.error(), (429, "Throttled", ""));
    world.token = "none".to_owned();
    assert_eq!(world.get("certificates/web").await.status, 401);
}
