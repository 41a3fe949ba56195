//! Certificates of the vault: one value, of which each key of a synced secret takes its part; the same bytes in both engines.

use std::{collections::BTreeMap, time::Duration};

use jiff::{Timestamp, ToSpan};
use key_vault_double::CertificateForm;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use secret_service::{
    model::SyncEngine,
    proto::{secret_reference::Part, synced_secret::State, *},
};
use tonic::Code;

use crate::support::{Options, World, requests::*, search::files_with, users};

const ENDPOINT: &str = "DataflowEndpoint.connectivity.iotoperations.azure.com";

/// A certificate with its key and the certificate of its issuer, in PEM with lines as OpenSSL ends them.
struct Pem {
    key: String,
    certificate: String,
    issuer: String,
}

impl Pem {
    /// Valid for this long.
    fn of(name: &str, days: i64) -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "Contoso");
        let authority_key = KeyPair::generate().unwrap();
        let issuer = authority.self_signed(&authority_key).unwrap().pem();
        let issued_by = Issuer::new(authority, authority_key);
        let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.distinguished_name.push(rcgen::DnType::CommonName, name);
        let until = Timestamp::now() + (24 * days).hours();
        leaf.not_after = time::OffsetDateTime::from_unix_timestamp(until.as_second()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = leaf.signed_by(&key, &issued_by).unwrap().pem();
        let unix = |text: String| text.replace("\r\n", "\n");
        Self { key: unix(key.serialize_pem()), certificate: unix(certificate), issuer: unix(issuer) }
    }

    fn bundle(&self) -> String {
        format!("{}{}{}", self.key, self.certificate, self.issuer)
    }
}

async fn certificate(world: &World, name: &str, pem: &Pem, form: CertificateForm) {
    world.vault.seed_certificate(name, pem.bundle().as_str().into(), form).await.unwrap();
}

fn part(key: &str, vault_secret: &str, part: Part) -> SecretReference {
    SecretReference { part: part.into(), ..existing(key, vault_secret) }
}

fn tls(id: &str, vault_secret: &str) -> CreateSyncedSecretRequest {
    let mut request = create(id, vec![existing("tls.crt", vault_secret), existing("tls.key", vault_secret)]);
    request.synced_secret.as_mut().unwrap().secret_type = "kubernetes.io/tls".to_owned();
    request
}

fn of_engine(engine: SyncEngine) -> Options {
    Options { engine, interval: Duration::from_millis(300), ..Options::default() }
}

async fn bytes(world: &World, id: &str) -> BTreeMap<String, Vec<u8>> {
    let data = world.secrets().get(id).await.unwrap().data.unwrap_or_default();
    data.into_iter().map(|(key, bytes)| (key, bytes.0)).collect()
}

async fn refused(world: &mut World, request: CreateSyncedSecretRequest) -> Told {
    let refused = told(&world.client.create_synced_secret(request).await.unwrap_err());
    assert!(world.edge("refused").await.is_none());
    refused
}

#[tokio::test]
async fn both_engines_write_the_same_bytes_of_a_certificate() {
    let (pem, pfx) = (Pem::of("pem.example.com", 365), Pem::of("pfx.example.com", 365));
    let mut written = Vec::new();
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let mut world = World::start_with(of_engine(engine)).await;
        certificate(&world, "pem", &pem, CertificateForm::Pem).await;
        certificate(&world, "pfx", &pfx, CertificateForm::Pfx).await;
        for (id, vault_secret) in [("tls-pem", "pem"), ("tls-pfx", "pfx")] {
            let made = world.client.create_synced_secret(tls(id, vault_secret)).await.unwrap().into_inner();
            assert_eq!(made.state(), State::Synced, "{made:?}");
        }
        let parts = vec![
            existing("pem", "pem"),
            existing("pem-of-pfx", "pfx"),
            part("certificate", "pem", Part::Certificate),
            part("certificate-of-pfx", "pfx", Part::Certificate),
            part("file.pfx", "pfx", Part::Pfx),
        ];
        let made = world.create("parts", parts).await;
        assert_eq!(made.state(), State::Synced, "{made:?}");
        let mut all = bytes(&world, "parts").await;
        for id in ["tls-pem", "tls-pfx"] {
            all.extend(
                bytes(&world, id).await.into_iter().map(|(key, value)| (format!("{id}/{key}"), value)),
            );
        }
        written.push(all);
    }
    let [direct, extension] = written.as_slice() else { panic!("two engines") };
    for (key, value) in direct {
        // The PFX has random salts: one vault made it for each engine.
        assert!(key == "file.pfx" || *value == extension[key], "{key}: {}", String::from_utf8_lossy(value));
    }
    assert_eq!(direct.len(), extension.len());
    let text = |key: &str| str::from_utf8(&direct[key]).unwrap();
    assert_eq!(text("certificate"), pem.certificate);
    assert_eq!(text("tls-pem/tls.crt"), format!("{}{}", pem.certificate, pem.issuer));
    assert_eq!(text("tls-pfx/tls.crt"), format!("{}{}", pfx.certificate, pfx.issuer));
    assert!(text("tls-pfx/tls.key").starts_with("-----BEGIN EC PRIVATE KEY-----\n"));
    for engine in [direct, extension] {
        assert_eq!(engine["file.pfx"][0], 0x30, "the bytes of the file, not their base64");
    }
}

#[tokio::test]
async fn one_vault_certificate_becomes_the_files_of_a_dataflow_endpoint() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("kafka.example.com", 365);
    certificate(&world, "kafka", &pem, CertificateForm::Pfx).await;
    let mut request = create(
        "kafka",
        vec![
            part("client_cert.pem", "kafka", Part::Certificate),
            part("client_key.pem", "kafka", Part::PrivateKey),
            part("client_intermediate_certs.pem", "kafka", Part::Chain),
        ],
    );
    request.purpose = "dataflow-x509".to_owned();
    let made = world.client.create_synced_secret(request).await.unwrap().into_inner();
    assert_eq!(made.state(), State::Synced, "{made:?}");
    let edge = world.edge("kafka").await.unwrap();
    assert_eq!(edge["client_cert.pem"], pem.certificate);
    assert_eq!(edge["client_intermediate_certs.pem"], pem.issuer);
    assert!(edge["client_key.pem"].starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(made.references[1].part(), Part::PrivateKey);
}

#[tokio::test]
async fn a_certificate_of_the_vault_serves_an_endpoint_until_and_after_it_is_renewed() {
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let mut world = World::start_with(of_engine(engine)).await;
        users::install(&world.kube).await;
        world.allows("connectivity.iotoperations.azure.com").await;
        let first = Pem::of("collector.example.com", 365);
        certificate(&world, "collector", &first, CertificateForm::Pfx).await;
        let made =
            world.client.create_synced_secret(tls("collector", "collector")).await.unwrap().into_inner();
        assert_eq!(made.state(), State::Synced, "{made:?}");
        world
            .applies(
                ENDPOINT,
                "collector",
                serde_json::json!({ "openTelemetrySettings": { "authentication": {
                    "method": "X509Certificate",
                    "x509CertificateSettings": { "secretRef": "collector" },
                } } }),
            )
            .await;
        let used = |secret: &SyncedSecret| {
            condition_of(&secret.conditions, "InUse").is_some_and(|condition| condition.reason == "Used")
        };
        world.until("collector", used).await;
        let refused = told(&world.client.delete_synced_secret(delete("collector")).await.unwrap_err());
        assert_eq!(refused.reason, "SYNCED_SECRET_IN_USE");

        let second = Pem::of("collector.example.com", 365);
        world.vault.renew_certificate("collector", second.bundle().as_str().into()).await.unwrap();
        let before = made.references[0].synced_version.clone();
        let secret = world
            .until("collector", |secret| {
                secret.state() == State::Synced
                    && secret.references.iter().all(|one| one.synced_version != before)
            })
            .await;
        assert!(used(&secret));
        let edge = world.edge("collector").await.unwrap();
        assert_eq!(edge["tls.crt"], format!("{}{}", second.certificate, second.issuer), "{engine:?}");
        world.withdraws(ENDPOINT, "collector").await;
    }
}

#[tokio::test]
async fn a_reference_says_what_its_certificate_is_and_when_it_expires() {
    for (engine, read_certificates) in
        [(SyncEngine::Direct, false), (SyncEngine::SecretStore, true), (SyncEngine::SecretStore, false)]
    {
        let mut world = World::start_with(Options { read_certificates, ..of_engine(engine) }).await;
        let pem = Pem::of("press.example.com", 7);
        certificate(&world, "press", &pem, CertificateForm::Pem).await;
        let made = world.client.create_synced_secret(tls("press", "press")).await.unwrap().into_inner();
        let expiring = condition_of(&made.conditions, "Expiring").unwrap();
        let Some(facts) = &made.references[0].certificate else {
            assert!(engine == SyncEngine::SecretStore && !read_certificates, "{made:?}");
            continue;
        };
        assert_eq!(facts.subject, "CN=press.example.com");
        assert_eq!((facts.issuer.as_str(), facts.is_ca, facts.certificate_count), ("CN=Contoso", false, 2));
        assert_eq!(facts.subject_alternative_names, ["DNS:press.example.com"]);
        assert_eq!((facts.sha1_thumbprint.len(), facts.sha256_thumbprint.len()), (40, 64));
        // Where the extension writes, nobody looks at the private key.
        assert_eq!(facts.key_matches, (engine == SyncEngine::Direct).then_some(true));
        assert!(made.references[1].certificate.is_none(), "a key is no certificate");
        assert_eq!(expiring.reason, "ExpiresSoon");
        let days = facts.expire_time.unwrap().seconds - Timestamp::now().as_second();
        assert!((6 * 86_400..=7 * 86_400).contains(&days), "{days}");
        assert_eq!(world.get("press").await.references[0].certificate, made.references[0].certificate);
        // It is known again after a restart.
        world.restart().await;
        assert_eq!(world.get("press").await.references[0].certificate, made.references[0].certificate);
    }
}

#[tokio::test]
async fn a_certificate_that_expires_before_its_version_is_told() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("valve.example.com", 7);
    // A plain secret without dates of its own.
    world.seed("valve", &pem.certificate).await;
    let made = world.create("valve", vec![existing("ca.crt", "valve")]).await;
    let expiring = condition_of(&made.conditions, "Expiring").unwrap();
    assert_eq!(expiring.reason, "ExpiresSoon");
    assert!(
        expiring.message.starts_with("The certificate of valve (key ca.crt) expires at"),
        "{}",
        expiring.message
    );
}

#[tokio::test]
async fn a_key_of_another_certificate_is_told() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let (one, other) = (Pem::of("a.example.com", 365), Pem::of("b.example.com", 365));
    world.seed("one", &one.certificate).await;
    world.seed("other", &other.key).await;
    let made = world.create("pair", vec![existing("tls.crt", "one"), existing("tls.key", "other")]).await;
    assert_eq!(made.references[0].certificate.as_ref().unwrap().key_matches, Some(false));
}

#[tokio::test]
async fn a_value_that_nobody_could_use_is_refused_and_never_told_synced() {
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let mut world = World::start_with(of_engine(engine)).await;
        world.seed("text", "hunter2").await;
        let mut request = tls("refused", "text");
        match engine {
            SyncEngine::Direct => {
                let refused = refused(&mut world, request).await;
                assert_eq!(
                    (refused.code, refused.reason.as_str()),
                    (Code::FailedPrecondition, "VALUE_NOT_A_CERTIFICATE")
                );
                assert!(!refused.message.contains("hunter2"), "{}", refused.message);
            }
            // It never reads the value: the extension says so.
            SyncEngine::SecretStore => {
                request.synced_secret_id = "told".to_owned();
                world.client.create_synced_secret(request).await.unwrap();
                let told = world.until_state("told", State::Failed).await;
                assert_eq!(synced_reason(&told), "InvalidCertificate", "{told:?}");
                let problem = told.references[0].problem.as_ref().unwrap();
                assert!(problem.message.contains("UpdateSyncedSecret"), "{}", problem.message);
            }
        }
        // The good Secret stays, when what follows is no certificate.
        let pem = Pem::of("pump.example.com", 365);
        world.seed("pump", &pem.bundle()).await;
        world.client.create_synced_secret(tls("pump", "pump")).await.unwrap();
        world.until_state("pump", State::Synced).await;
        let before = bytes(&world, "pump").await;
        world.vault.clock().advance(Duration::from_secs(2));
        world.somebody.sets("pump", "hunter2").await;
        let secret = world.until_state("pump", State::Degraded).await;
        assert_eq!(synced_reason(&secret), "InvalidCertificate", "{secret:?}");
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(bytes(&world, "pump").await, before);
    }
}

#[tokio::test]
async fn what_the_extension_cant_take_out_is_refused_with_the_way_out() {
    let mut world = World::start_with(of_engine(SyncEngine::SecretStore)).await;
    let pem = Pem::of("pump.example.com", 365);
    certificate(&world, "pem", &pem, CertificateForm::Pem).await;
    certificate(&world, "pfx", &pem, CertificateForm::Pfx).await;
    world.seed("text", &pem.bundle()).await;
    let base64 =
        SecretReference { encoding: secret_reference::Encoding::Base64.into(), ..existing("k1", "pfx") };
    for (reference, way_out) in [
        (part("k1", "pem", Part::PrivateKey), "kubernetes.io/tls"),
        (part("k1", "pem", Part::Chain), "direct engine"),
        (part("k1", "pem", Part::FullChain), "leave the part out"),
        (part("k1", "text", Part::Certificate), "leave the part out"),
        (part("k1", "pem", Part::Pfx), "in PEM"),
        (base64, "PFX"),
    ] {
        let refused = refused(&mut world, create("refused", vec![reference])).await;
        assert_eq!(refused.code, Code::InvalidArgument, "{}", refused.message);
        let violations = &refused.details.bad_request().unwrap().field_violations;
        let told = &violations[0].description;
        assert!(told.contains(way_out), "{way_out}: {told}");
    }
    let mut with_ca = tls("refused", "pem");
    with_ca.synced_secret.as_mut().unwrap().references.push(existing("ca.crt", "text"));
    let refused = refused(&mut world, with_ca).await;
    assert_eq!(refused.fields, ["synced_secret.references[2].key"]);
}

#[tokio::test]
async fn another_part_needs_the_right_to_the_value_and_is_synced_as_a_change() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("pump.example.com", 365);
    certificate(&world, "pump", &pem, CertificateForm::Pem).await;
    let made = world.create("pump", vec![part("k", "pump", Part::Certificate)]).await;
    assert_eq!(world.edge("pump").await.unwrap()["k"], pem.certificate);
    let changed = with_references("pump", vec![part("k", "pump", Part::Chain)]);
    world.client.update_synced_secret(changed).await.unwrap();
    let secret = world.until("pump", |secret| secret.synced_generation > made.generation).await;
    assert_eq!((secret.generation, secret.references[0].part()), (2, Part::Chain));
    assert_eq!(world.edge("pump").await.unwrap()["k"], pem.issuer);
    let audit = world.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap().into_inner();
    let details: Vec<_> = audit.audit_events.iter().map(|event| event.detail.as_str()).collect();
    assert!(details.iter().any(|detail| detail.contains("k=pump (chain)")), "{details:?}");
}

#[tokio::test]
async fn a_lost_database_finds_the_parts_at_the_edge() {
    let mut world = World::start().await;
    let pem = Pem::of("pump.example.com", 365);
    certificate(&world, "pump", &pem, CertificateForm::Pem).await;
    world.create("pump", vec![part("k1", "pump", Part::Certificate)]).await;
    world.lose_database().await;
    let secret = world.until_state("pump", State::Synced).await;
    assert_eq!(secret.references[0].part(), Part::Certificate);
    assert_eq!(world.edge("pump").await.unwrap()["k1"], pem.certificate);
}

#[tokio::test]
async fn a_reference_that_is_sent_again_without_a_part_keeps_it() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("pump.example.com", 365);
    certificate(&world, "pump", &pem, CertificateForm::Pem).await;
    world.create("pump", vec![part("k", "pump", Part::Certificate)]).await;
    // A caller that knows no parts adds a key.
    let again = with_references("pump", vec![existing("k", "pump"), existing("all", "pump")]);
    let secret = world.client.update_synced_secret(again).await.unwrap().into_inner();
    assert_eq!(secret.references[0].part(), Part::Certificate);
    world.until("pump", |secret| secret.state() == State::Synced && secret.synced_generation == 2).await;
    let edge = world.edge("pump").await.unwrap();
    assert_eq!((edge["k"].as_str(), edge["all"].as_str()), (pem.certificate.as_str(), pem.bundle().as_str()));
    let whole = with_references("pump", vec![part("k", "pump", Part::Whole)]);
    let secret = world.client.update_synced_secret(whole).await.unwrap().into_inner();
    assert_eq!(secret.references[0].part(), Part::Unspecified);
    world.until("pump", |secret| secret.state() == State::Synced && secret.synced_generation == 3).await;
    assert_eq!(world.edge("pump").await.unwrap()["k"], pem.bundle());
}

#[tokio::test]
async fn a_part_that_the_extension_cant_take_is_not_handed_over_to_it() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("pump.example.com", 365);
    world.seed("plain", &pem.bundle()).await;
    world.create("pump", vec![part("k1", "plain", Part::Certificate)]).await;
    let before = world.secrets().get("pump").await.unwrap();
    world.switch_engine(SyncEngine::SecretStore).await;
    let told = world.until_state("pump", State::Degraded).await;
    assert_eq!(synced_reason(&told), "EdgeRejected", "{told:?}");
    assert!(told.conditions[0].message.contains("leave the part out"), "{}", told.conditions[0].message);
    assert!(world.syncs().get_opt("pump").await.unwrap().is_none());
    assert_eq!(world.secrets().get("pump").await.unwrap().data, before.data);
    let whole = with_references("pump", vec![part("k1", "plain", Part::Whole)]);
    world.client.update_synced_secret(whole).await.unwrap();
    world.until("pump", |secret| secret.state() == State::Synced && secret.synced_generation == 2).await;
    assert!(world.syncs().get_opt("pump").await.unwrap().is_some());
    assert_eq!(world.edge("pump").await.unwrap()["k1"], pem.bundle());
}

#[tokio::test]
async fn a_pfx_that_the_vault_did_not_make_is_not_opened() {
    let mut world = World::start_with(of_engine(SyncEngine::Direct)).await;
    let pem = Pem::of("pump.example.com", 365);
    certificate(&world, "pfx", &pem, CertificateForm::Pfx).await;
    let value = world.somebody.reads("pfx").await;
    world.seed("plain", &value).await;
    let refused = refused(&mut world, create("refused", vec![part("k", "plain", Part::Certificate)])).await;
    assert_eq!(refused.reason, "VALUE_NOT_A_CERTIFICATE");
    assert!(refused.message.contains("a PFX must be a certificate of the vault"), "{}", refused.message);
    // As a text or as bytes, it is a value like any other.
    let made = world.create("whole", vec![existing("k", "plain")]).await;
    assert_eq!(made.state(), State::Synced);
    assert_eq!(world.edge("whole").await.unwrap()["k"], value);
}

#[tokio::test]
async fn a_private_key_stands_in_no_file_and_no_answer() {
    for engine in [SyncEngine::Direct, SyncEngine::SecretStore] {
        let options = Options { read_certificates: true, ..of_engine(engine) };
        let mut world = World::start_with(options).await;
        let pem = Pem::of("pump.example.com", 365);
        certificate(&world, "pump", &pem, CertificateForm::Pem).await;
        let made = world.client.create_synced_secret(tls("pump", "pump")).await.unwrap();
        let mut mismatched = tls("refused", "pump");
        mismatched.synced_secret.as_mut().unwrap().references[1].part = Part::Pfx.into();
        let refused = world.client.create_synced_secret(mismatched).await.unwrap_err();
        let audit = world.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap();
        let answers = format!("{made:?} {refused:?} {audit:?} {:?}", world.get("pump").await);
        let edge = world.edge("pump").await.unwrap();
        for line in pem.key.lines().chain(edge["tls.key"].lines()).filter(|line| line.len() == 64) {
            let (files, found) = files_with(line.as_bytes(), world.directory());
            assert!(files > 5 && found.is_empty(), "a line of the key stands in {found:?}");
            assert!(!answers.contains(line), "{engine:?}");
        }
        assert!(answers.contains("CN=pump.example.com"), "what everybody may know is told");
    }
}
