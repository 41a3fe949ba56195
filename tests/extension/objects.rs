//! What a class can say of its objects.

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

#[tokio::test]
async fn a_tls_secret_gets_certificate_and_key_out_of_one_pem_text() {
    let fixture = Fixture::start().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    // As OpenSSL ends lines: what comes out is compared with it.
    let (certificate, key) = (certificate.replace("\r\n", "\n"), key.serialize_pem().replace("\r\n", "\n"));
    fixture.site.seed("pair", &format!("{key}{certificate}")).await;
    fixture.class("tls", &["pair"]).await;
    fixture.sync_of("tls", "tls", "kubernetes.io/tls", &[("pair", "tls.crt"), ("pair", "tls.key")]).await;
    fixture.until("tls", CREATED, "CreateSuccessful").await;
    let edge = fixture.site.edge("tls").await.unwrap();
    assert_eq!((edge["tls.crt"].as_str(), edge["tls.key"].as_str()), (certificate.as_str(), key.as_str()));
}
