//! Client certificates: whom they name, and that they stop working when they are revoked or over, on open connections too.

use std::{path::Path, time::Duration};

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa,
    KeyIdMethod, KeyPair, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use secret_service::{
    access::{self, IssuerOptions},
    api::{Revocation, Tls},
    proto::{
        GetCallerRequest, ListSyncedSecretsRequest, caller::Authentication,
        secret_service_client::SecretServiceClient,
    },
};
use time::OffsetDateTime;
use tokio::time::{Instant, sleep};
use tonic::{
    Code,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use super::locked;
use crate::support::{
    Options, Site, World,
    callers::{BOTH, LOOKING},
    requests::*,
};

/// How long a certificate that is no longer good may still work, and a moment.
const CACHE_TIME: Duration = Duration::from_secs(12);

/// Who vouches for clients here, and for the server.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
struct Made {
    cert: String,
    key: String,
}

// === impl Authority ===

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "people of the plant");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn issue(&self, name: &str, serial: u64, life: Duration) -> Made {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.distinguished_name.push(DnType::OrganizationName, "operators");
        params.serial_number = Some(SerialNumber::from(serial));
        params.not_after = OffsetDateTime::now_utc() + life;
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Made { cert: cert.pem(), key: key.serialize_pem() }
    }

    /// An authority that this one vouches for.
    fn between(&self, serial: u64) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "people of one line");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.serial_number = Some(SerialNumber::from(serial));
        Self(CertifiedIssuer::signed_by(params, KeyPair::generate().unwrap(), &self.0).unwrap())
    }

    /// A certificate under an authority in between, which the client shows too.
    fn issue_with_chain(&self, name: &str, serial: u64) -> Made {
        let made = self.issue(name, serial, Duration::from_secs(3_600));
        Made { cert: format!("{}{}", made.cert, self.0.pem()), ..made }
    }

    /// What it took back.
    fn revocations(&self, serials: &[u64]) -> String {
        self.revocations_until(serials, OffsetDateTime::now_utc() + Duration::from_secs(3_600))
    }

    fn revocations_until(&self, serials: &[u64], next_update: OffsetDateTime) -> String {
        let now = OffsetDateTime::now_utc() - Duration::from_secs(3_600);
        let revoked = |serial: &u64| RevokedCertParams {
            serial_number: SerialNumber::from(*serial),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        };
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update,
            crl_number: SerialNumber::from(serials.len() as u64 + 1),
            issuing_distribution_point: None,
            revoked_certs: serials.iter().map(revoked).collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

/// A locked world that speaks TLS, with an authority for its clients and an empty list of what it took back.
async fn world(authority: &Authority) -> World {
    world_with(authority, &authority.revocations(&[]), Revocation::default()).await
}

/// The same with other lists, and other rules for what they do not say.
async fn world_with(authority: &Authority, lists: &str, revocation: Revocation) -> World {
    world_of(authority, lists, revocation, locked()).await
}

/// The same with other tokens.
async fn world_of(
    authority: &Authority,
    lists: &str,
    revocation: Revocation,
    access: access::Options,
) -> World {
    let site = Site::start().await;
    let directory = site.directory();
    let file = |name: &str, text: &str| {
        std::fs::write(directory.join(name), text).unwrap();
        directory.join(name)
    };
    let server = authority.issue("server", 1, Duration::from_secs(3_600));
    let tls = Tls {
        cert_file: file("server.pem", &server.cert),
        key_file: file("server.key", &server.key),
        client_ca_file: Some(file("clients.pem", &authority.0.pem())),
        client_crl_file: Some(file("revoked.pem", lists)),
        revocation,
    };
    let world = World::start_on(site, Options { access, tls: Some(tls), ..Options::default() }).await;
    world.grant("console", &BOTH, &LOOKING, &[]).await;
    world
}

async fn connect(
    world: &World,
    authority: &Authority,
    client: Option<&Made>,
) -> Result<Channel, tonic::transport::Error> {
    let mut config = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(authority.0.pem()))
        .domain_name("localhost");
    if let Some(made) = client {
        config = config.identity(Identity::from_pem(&made.cert, &made.key));
    }
    let endpoint = Endpoint::new(format!("https://{}", world.address())).unwrap();
    endpoint.tls_config(config).unwrap().connect().await
}

async fn list(channel: &Channel) -> Result<(), Told> {
    let mut client = SecretServiceClient::new(channel.clone());
    let answer = client.list_synced_secrets(ListSyncedSecretsRequest::default()).await;
    answer.map(|_| ()).map_err(|status| told(&status))
}

/// Waits until an open connection is no longer let in.
async fn until_refused(channel: &Channel) -> Told {
    let begun = Instant::now();
    loop {
        match list(channel).await {
            Err(refused) => return refused,
            Ok(()) => assert!(begun.elapsed() < CACHE_TIME, "it is let in for too long"),
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn write(path: &Path, text: &str) {
    // As Kubernetes changes mounted files: another file takes the name.
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}

#[tokio::test]
async fn the_certificate_names_the_client_and_without_one_only_health_answers() {
    let authority = Authority::new();
    let world = world(&authority).await;
    let console = authority.issue("console", 2, Duration::from_secs(3_600));
    let channel = connect(&world, &authority, Some(&console)).await.unwrap();
    list(&channel).await.unwrap_or_else(|told| panic!("{}", told.message));
    let delete = SecretServiceClient::new(channel).delete_synced_secret(delete("pump")).await.unwrap_err();
    assert_eq!(told(&delete).reason, "CALLER_FORBIDDEN");
    assert!(delete.message().contains("\"console\""), "{}", delete.message());

    let stranger = connect(&world, &authority, None).await.unwrap();
    let refused = list(&stranger).await.unwrap_err();
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_MISSING"));
    HealthClient::new(stranger).check(HealthCheckRequest::default()).await.unwrap();

    let others = Authority::new().issue("console", 2, Duration::from_secs(3_600));
    // TLS 1.3 tells a client only after its side of the handshake is done.
    if let Ok(channel) = connect(&world, &authority, Some(&others)).await {
        assert!(list(&channel).await.is_err(), "nobody here vouches for it");
    }
}

#[tokio::test]
async fn the_owner_of_a_certificate_is_told_who_they_are_and_until_when() {
    let authority = Authority::new();
    let world = world(&authority).await;
    let ends = OffsetDateTime::now_utc() + Duration::from_secs(3_600);
    let console = authority.issue("console", 2, Duration::from_secs(3_600));
    let channel = connect(&world, &authority, Some(&console)).await.unwrap();
    let caller = SecretServiceClient::new(channel).get_caller(GetCallerRequest::default()).await;
    let caller = caller.unwrap().into_inner();
    assert_eq!((&*caller.user, caller.authentication()), ("console", Authentication::ClientCertificate));
    assert_eq!(caller.groups, ["operators", "system:authenticated"]);
    let apart = caller.expire_time.unwrap().seconds - ends.unix_timestamp();
    assert!((-60..=60).contains(&apart), "{apart} s apart");
}

#[tokio::test]
async fn a_revoked_or_expired_certificate_stops_working_on_an_open_connection() {
    let authority = Authority::new();
    let world = world(&authority).await;
    let revoked = authority.issue("console", 7, Duration::from_secs(3_600));
    let short = authority.issue("console", 8, Duration::from_secs(4));
    let good = authority.issue("console", 9, Duration::from_secs(3_600));
    let mut channels = Vec::new();
    for made in [&revoked, &short, &good] {
        let channel = connect(&world, &authority, Some(made)).await.unwrap();
        list(&channel).await.unwrap_or_else(|told| panic!("{}", told.message));
        channels.push(channel);
    }
    write(&world.directory().join("revoked.pem"), &authority.revocations(&[7]));
    for channel in &channels[..2] {
        let refused = until_refused(channel).await;
        assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
    }
    list(&channels[2]).await.unwrap_or_else(|told| panic!("{}", told.message));
    if let Ok(channel) = connect(&world, &authority, Some(&revoked)).await {
        assert!(list(&channel).await.is_err(), "it is refused at the handshake too");
    }
}

#[tokio::test]
async fn a_renewed_server_certificate_is_used_without_a_restart_and_an_invalid_one_is_not() {
    let authority = Authority::new();
    let world = world(&authority).await;
    let console = authority.issue("console", 2, Duration::from_secs(3_600));
    let before = connect(&world, &authority, Some(&console)).await.unwrap();
    write(&world.directory().join("server.pem"), "half a certif");
    let (others, begun) = (Authority::new(), Instant::now());
    sleep(CACHE_TIME / 2).await;
    connect(&world, &authority, Some(&console)).await.expect("what was there before still counts");

    let renewed = others.issue("server", 3, Duration::from_secs(3_600));
    write(&world.directory().join("server.key"), &renewed.key);
    write(&world.directory().join("server.pem"), &renewed.cert);
    while connect(&world, &others, Some(&console)).await.is_err() {
        assert!(begun.elapsed() < CACHE_TIME * 2, "the new certificate is never used");
        sleep(Duration::from_millis(200)).await;
    }
    list(&before).await.unwrap_or_else(|told| panic!("an open connection goes on: {}", told.message));
}

/// Whether somebody who shows this is let in on a new connection.
async fn is_let_in(world: &World, authority: &Authority, made: &Made) -> bool {
    match connect(world, authority, Some(made)).await {
        Ok(channel) => list(&channel).await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn a_certificate_under_a_revoked_ca_is_refused_on_an_open_connection_too() {
    let root = Authority::new();
    let line = root.between(70);
    let lists = |revoked: &[u64]| format!("{}{}", root.revocations(revoked), line.revocations(&[]));
    let world = world_with(&root, &lists(&[]), Revocation::default()).await;
    let console = line.issue_with_chain("console", 7);
    let channel = connect(&world, &root, Some(&console)).await.unwrap();
    list(&channel).await.unwrap_or_else(|told| panic!("{}", told.message));

    write(&world.directory().join("revoked.pem"), &lists(&[70]));
    let refused = until_refused(&channel).await;
    assert_eq!((refused.code, refused.reason.as_str()), (Code::Unauthenticated, "CREDENTIALS_REJECTED"));
    assert!(!is_let_in(&world, &root, &console).await, "it is refused at the handshake too");
}

#[tokio::test]
async fn an_intermediate_ca_without_a_revocation_list_is_refused_unless_the_configuration_allows_it() {
    let root = Authority::new();
    let line = root.between(70);
    let (console, lists) = (line.issue_with_chain("console", 7), root.revocations(&[]));
    let strict = world_with(&root, &lists, Revocation::default()).await;
    assert!(!is_let_in(&strict, &root, &console).await);
    let lenient = Revocation { allow_unknown: true, ..Revocation::default() };
    let lenient = world_with(&root, &lists, lenient).await;
    assert!(is_let_in(&lenient, &root, &console).await);
    // What a list does say counts all the same.
    write(&lenient.directory().join("revoked.pem"), &root.revocations(&[70]));
    sleep(CACHE_TIME).await;
    assert!(!is_let_in(&lenient, &root, &console).await);
}

#[tokio::test]
async fn an_outdated_revocation_list_still_revokes_and_admits_nobody_if_it_must_be_current() {
    let authority = Authority::new();
    let lists = authority.revocations_until(&[7], OffsetDateTime::now_utc() - Duration::from_secs(60));
    let issue = |serial| authority.issue("console", serial, Duration::from_secs(3_600));
    let (revoked, good) = (issue(7), issue(8));
    let world = world_with(&authority, &lists, Revocation::default()).await;
    assert!(is_let_in(&world, &authority, &good).await);
    assert!(!is_let_in(&world, &authority, &revoked).await);

    let current = Revocation { require_current: true, ..Revocation::default() };
    let world = world_with(&authority, &lists, current).await;
    assert!(!is_let_in(&world, &authority, &good).await);
    write(&world.directory().join("revoked.pem"), &authority.revocations(&[7]));
    sleep(CACHE_TIME).await;
    assert!(is_let_in(&world, &authority, &good).await, "the list was renewed");
    assert!(!is_let_in(&world, &authority, &revoked).await);
}

#[tokio::test]
async fn no_certificate_impersonates_the_service_or_an_unnamed_caller() {
    let authority = Authority::new();
    let world = world(&authority).await;
    for name in ["sync", "others", "anonymous@127.0.0.1", "unix:uid=0", "console\u{1b}[2J", "console\nsync"] {
        let made = authority.issue(name, 2, Duration::from_secs(3_600));
        let channel = connect(&world, &authority, Some(&made)).await.unwrap();
        let refused = list(&channel).await.expect_err(name);
        assert_eq!(
            (refused.code, refused.reason.as_str()),
            (Code::Unauthenticated, "CREDENTIALS_REJECTED"),
            "{name:?}"
        );
    }
}

#[tokio::test]
async fn no_certificate_has_the_name_of_a_user_of_the_issuer_or_one_of_its_groups() {
    let authority = Authority::new();
    let mut access = locked();
    let mut issuer = IssuerOptions::new("https://issuer.example".to_owned(), vec!["console".to_owned()]);
    // The organization of every certificate here is operators.
    issuer.groups.prefix = "oper".to_owned();
    access.tokens.as_mut().unwrap().issuer = Some(issuer);
    let world = world_of(&authority, &authority.revocations(&[]), Revocation::default(), access).await;
    world.grant("oidc:ada", &BOTH, &LOOKING, &[]).await;
    world.grant("operators", &BOTH, &LOOKING, &[]).await;
    for (name, code, reason) in [
        ("oidc:ada", Code::Unauthenticated, "CREDENTIALS_REJECTED"),
        ("visitor", Code::PermissionDenied, "CALLER_FORBIDDEN"),
    ] {
        let made = authority.issue(name, 2, Duration::from_secs(3_600));
        let refused = list(&connect(&world, &authority, Some(&made)).await.unwrap()).await.expect_err(name);
        assert_eq!((refused.code, refused.reason.as_str()), (code, reason), "{name}");
    }
    let console = authority.issue("console", 3, Duration::from_secs(3_600));
    assert!(is_let_in(&world, &authority, &console).await);
}
