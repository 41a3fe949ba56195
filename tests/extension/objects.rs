//! What a class can say of its objects.

use key_vault_double::{CertificateForm, Seed};

use crate::fixture::{CREATED, Fixture};

fn object(lines: &[&str]) -> String {
    format!("objectType: secret\n{}\n", lines.join("\n"))
}

#[tokio::test]
async fn aliases_encodings_and_version_histories_yield_the_expected_paths_and_values() {
    let fixture = Fixture::start().await;
    fixture.site.seed("text", "one").await;
    fixture.site.seed("encoded", "dHdv").await;
    fixture.site.seed("hexed", "7468726565").await;
    fixture.site.vault.clock().advance(std::time::Duration::from_secs(2));
    fixture.site.somebody.sets("text", "two").await;
    fixture.site.vault.clock().advance(std::time::Duration::from_secs(2));
    fixture.site.somebody.sets("text", "three").await;
    let objects = [
        object(&["objectName: text"]),
        object(&["objectName: text", "objectAlias: past", "objectVersionHistory: 2"]),
        object(&["objectName: encoded", "objectEncoding: base64"]),
        object(&["objectName: hexed", "objectEncoding: hex"]),
    ];
    fixture.class_of("all", &objects).await;
    let data =
        [("text", "now"), ("past/0", "latest"), ("past/1", "before"), ("encoded", "b"), ("hexed", "h")];
    fixture.sync("all", "all", &data).await;
    fixture.until("all", CREATED, "CreateSuccessful").await;
    let edge = fixture.site.edge("all").await.unwrap();
    let values = ["now", "latest", "before", "b", "h"].map(|key| edge[key].as_str());
    assert_eq!(values, ["three", "three", "two", "two", "three"]);
}

#[tokio::test]
async fn a_path_that_the_class_does_not_have_is_a_failed_fetch() {
    let fixture = Fixture::start().await;
    fixture.site.seed("there", "v").await;
    fixture.class("a", &["there"]).await;
    fixture.sync("a", "a", &[("elsewhere", "password")]).await;
    let failed = fixture.until("a", CREATED, "RemoteSecretStoreFetchFailed").await;
    assert!(failed.message.contains("elsewhere"), "{failed:?}");
}

/// A key and its certificates, root first, and what the real controller and provider make of them.
macro_rules! golden {
    ($file:literal) => {
        include_str!(concat!("../../crates/doubles/secret-store-extension/golden/", $file))
    };
}

/// The certificate of the key; the bundle begins with key and leaf.
fn leaf(bundle: &str) -> String {
    bundle
        .split_inclusive("-----END CERTIFICATE-----\n")
        .next()
        .unwrap()
        .split_once("-----BEGIN CERT")
        .map_or_else(String::new, |(_, certificate)| format!("-----BEGIN CERT{certificate}"))
}

async fn tls(fixture: &Fixture, name: &str, source: &str) -> (String, String) {
    fixture.sync_of(name, name, "kubernetes.io/tls", &[(source, "tls.crt"), (source, "tls.key")]).await;
    fixture.until(name, CREATED, "CreateSuccessful").await;
    let edge = fixture.site.edge(name).await.unwrap();
    (edge["tls.crt"].clone(), edge["tls.key"].clone())
}

#[tokio::test]
async fn a_tls_secret_gets_certificates_and_key_out_of_one_pem_text_the_key_in_the_form_of_its_algorithm() {
    let fixture = Fixture::start().await;
    for (name, pem, crt, key) in [
        ("rsa", golden!("rsa.pkcs8.pem"), golden!("rsa.tls.crt"), golden!("rsa.tls.key")),
        ("ec", golden!("p384.pkcs8.pem"), golden!("p384.tls.crt"), golden!("p384.tls.key")),
        ("sec1", golden!("p256.traditional.pem"), golden!("p256.tls.crt"), golden!("p256.tls.key")),
    ] {
        fixture.site.seed(name, pem).await;
        fixture.class(name, &[name]).await;
        assert_eq!(tls(&fixture, name, name).await, (crt.to_owned(), key.to_owned()));
    }
}

#[tokio::test]
async fn a_tls_secret_of_what_is_no_certificate_or_under_other_keys_is_a_failed_fetch() {
    let fixture = Fixture::start().await;
    fixture.site.seed("plain", "correct horse").await;
    fixture.site.seed("pair", golden!("p256.pkcs8.pem")).await;
    fixture.class("tls", &["plain", "pair"]).await;
    for (name, data, why) in [
        (
            "plain",
            ("plain", "tls.key"),
            "cert data for tls.key: pkcs12: error reading P12 data: asn1: structure error",
        ),
        (
            "other",
            ("pair", "ca.crt"),
            "cert data for ca.crt: key 'ca.crt' is not supported. Only 'tls.key' and",
        ),
    ] {
        fixture.sync_of(name, "tls", "kubernetes.io/tls", &[data]).await;
        let failed = fixture.until(name, CREATED, "RemoteSecretStoreFetchFailed").await;
        assert!(failed.message.contains(why), "{failed:?}");
    }
}

#[tokio::test]
async fn a_certificate_in_the_vault_is_fetched_alone_as_pem_or_with_its_key_out_of_either_form() {
    let fixture = Fixture::start().await;
    let pem = golden!("rsa.pkcs8.pem");
    for (name, form) in [("as-pem", CertificateForm::Pem), ("as-pfx", CertificateForm::Pfx)] {
        fixture.site.vault.seed_certificate(name, pem.into(), form).await.unwrap();
    }
    let objects = [
        object(&["objectName: as-pem"]),
        object(&["objectName: as-pfx"]),
        object(&["objectName: as-pfx", "objectAlias: raw", "objectFormat: pfx"]),
        object(&["objectName: as-pfx", "objectAlias: bytes", "objectFormat: pfx", "objectEncoding: base64"]),
        "objectType: cert\nobjectName: as-pfx\nobjectAlias: leaf\n".to_owned(),
    ];
    fixture.class_of("all", &objects).await;
    let data = [("as-pem", "pem"), ("as-pfx", "pfx"), ("raw", "raw"), ("leaf", "leaf")];
    fixture.sync("all", "all", &data).await;
    fixture.until("all", CREATED, "CreateSuccessful").await;
    let edge = fixture.site.edge("all").await.unwrap();
    let bundle = golden!("rsa.bundle.pem");
    assert_eq!((edge["pem"].as_str(), edge["pfx"].as_str()), (pem, bundle));
    assert_eq!(edge["leaf"], leaf(bundle));
    assert!(edge["raw"].starts_with("MII"), "base64 of the PFX");

    fixture.class_of("of-bytes", &objects).await;
    let (crt, key) = tls(&fixture, "of-bytes", "bytes").await;
    assert!(crt.contains("friendlyName: ") && crt.matches("BEGIN CERTIFICATE").count() == 3, "{crt}");
    assert_eq!(key, golden!("rsa.tls.key"));
}

#[tokio::test]
async fn a_renewed_certificate_comes_with_the_next_poll_and_both_versions_can_be_fetched() {
    let fixture = Fixture::start().await;
    let vault = &fixture.site.vault;
    vault.seed_certificate("web", golden!("p256.pkcs8.pem").into(), CertificateForm::Pfx).await.unwrap();
    fixture.class("web", &["web"]).await;
    let before = tls(&fixture, "web", "web").await;
    assert_eq!(before.1, golden!("p256.tls.key"));
    vault.clock().advance(std::time::Duration::from_secs(2));
    vault.renew_certificate("web", golden!("p384.pkcs8.pem").into()).await.unwrap();
    fixture.extension.poll().await;
    let edge = fixture.site.edge("web").await.unwrap();
    assert_eq!(edge["tls.key"], golden!("p384.tls.key"));
    assert_ne!(edge["tls.crt"], before.0);

    let history = "objectType: cert\nobjectName: web\nobjectVersionHistory: 2\n".to_owned();
    fixture.class_of("history", &[history]).await;
    fixture.sync("history", "history", &[("web/0", "now"), ("web/1", "before")]).await;
    fixture.until("history", CREATED, "CreateSuccessful").await;
    let edge = fixture.site.edge("history").await.unwrap();
    assert_eq!(edge["now"], leaf(golden!("p384.bundle.pem")));
    assert_eq!(edge["before"], leaf(golden!("p256.bundle.pem")));
}

#[tokio::test]
async fn what_the_provider_does_not_do_with_certificates_is_its_error() {
    let fixture = Fixture::start().await;
    let odd = Seed {
        name: "odd".to_owned(),
        value: golden!("p256.pkcs8.pem").into(),
        content_type: Some("text/plain".to_owned()),
        tags: [].into(),
        managed: true,
    };
    fixture.site.vault.seed_all(vec![odd]).await.unwrap();
    fixture.site.seed("plain", "v").await;
    for (name, object, why) in [
        ("odd", object(&["objectName: odd"]), "failed to get certificate. unknown content type 'text/plain'"),
        ("plain", "objectType: cert\nobjectName: plain\n".to_owned(), "CertificateNotFound"),
        (
            "encoded",
            "objectType: cert\nobjectName: plain\nobjectEncoding: base64\n".to_owned(),
            "objectEncoding only supported for objectType: secret",
        ),
    ] {
        fixture.class_of(name, &[object]).await;
        fixture.sync(name, name, &[(name, "a")]).await;
        let failed = fixture.until(name, CREATED, "ProviderError").await;
        assert!(failed.message.contains(why), "{failed:?}");
    }
}
