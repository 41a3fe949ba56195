//! Certificates and revocation lists that end: told at start, by `check`, by metrics, and after they were renewed no longer.

use std::{path::Path, time::Duration};

use rcgen::{
    CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod, KeyPair,
    KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;
use tokio::process::{Child, Command};

use super::process::{command, configuration, log, said_at_start, terminate};
use crate::support::{Site, until_so};

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// The files of TLS, with what is left of each; none where it has ended.
struct Left {
    serving: Option<Duration>,
    authority: Option<Duration>,
    list: Option<Duration>,
}

fn ends(left: Option<Duration>) -> OffsetDateTime {
    OffsetDateTime::now_utc() + left.map_or(time::Duration::days(-1), |left| left.try_into().unwrap())
}

fn params(name: &str, left: Option<Duration>) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_after = ends(left);
    params
}

/// As Kubernetes changes mounted files: another file takes the name.
fn write(directory: &Path, name: &str, text: &str) {
    std::fs::write(directory.join("new"), text).unwrap();
    std::fs::rename(directory.join("new"), directory.join(name)).unwrap();
}

fn make(directory: &Path, left: &Left) {
    let mut authority = params("people", left.authority);
    authority.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let serving = params("service", left.serving).signed_by(&key, &authority).unwrap();
    let list = CertificateRevocationListParams {
        this_update: OffsetDateTime::now_utc() - 7 * DAY,
        next_update: ends(left.list),
        crl_number: SerialNumber::from(1),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    write(directory, "clients.pem", &authority.pem());
    write(directory, "revoked.pem", &list.signed_by(&authority).unwrap().pem().unwrap());
    write(directory, "server.key", &key.serialize_pem());
    write(directory, "server.pem", &serving.pem());
}

fn with_tls(site: &Site) -> String {
    let file = |name: &str| site.directory().join(name).display().to_string();
    let tls = format!(
        "[server]\ntls_cert_file = {:?}\ntls_key_file = {:?}\nmetrics_listen = \"127.0.0.1:0\"\n",
        file("server.pem"),
        file("server.key")
    );
    let clients = format!(
        "[authentication]\nclient_ca_file = {:?}\nclient_crl_file = {:?}\n",
        file("clients.pem"),
        file("revoked.pem")
    );
    configuration(site, 0).replace("[server]\n", &tls).replace("[authentication]\n", &clients)
}

/// The exit code, whether the check of TLS holds, and what it found.
async fn check(site: &Site) -> (i32, String, String) {
    let file = site.directory().join("tls.toml");
    std::fs::write(&file, with_tls(site)).unwrap();
    let ended =
        Command::from(command(&["check", "-o", "json", "--config"])).arg(&file).output().await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    let rows = report["checks"].as_array().unwrap();
    let row = rows.iter().find(|row| row["id"] == "tls").unwrap();
    let text = |field: &str| row[field].as_str().unwrap().to_owned();
    (ended.status.code().unwrap(), text("holds"), text("found"))
}

async fn serve(site: &Site) -> Child {
    let file = site.directory().join("tls.toml");
    std::fs::write(&file, with_tls(site)).unwrap();
    let log_file = std::fs::File::create(log(site)).unwrap();
    let child = Command::from(command(&["serve", "--config"]))
        .arg(&file)
        .stderr(log_file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    until_so("it starts", async || said_at_start(site, "metrics").is_some()).await;
    child
}

/// Days from now until the time that a metric says.
async fn days(site: &Site, metric: &str) -> f64 {
    let url = format!("http://{}/metrics", said_at_start(site, "metrics").unwrap());
    let page = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let line =
        page.lines().find_map(|line| line.strip_prefix(metric)).unwrap_or_else(|| panic!("{metric}: {page}"));
    let seconds = line.trim().parse::<i64>().unwrap() - OffsetDateTime::now_utc().unix_timestamp();
    seconds as f64 / DAY.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
async fn expiring_certificates_are_reported_at_start_by_check_and_by_metrics_until_renewed() {
    let site = Site::start().await;
    let good = Left { serving: Some(90 * DAY), authority: Some(900 * DAY), list: Some(DAY) };
    make(site.directory(), &good);
    let (code, holds, found) = check(&site).await;
    assert_eq!((code, holds.as_str()), (0, "yes"), "{found}");

    make(site.directory(), &Left { serving: Some(10 * DAY), authority: None, list: None });
    let (code, holds, found) = check(&site).await;
    assert_eq!((code, holds.as_str()), (0, "warning"), "{found}");
    for words in [
        "serving certificate \"CN=service\" expires soon",
        "server.tls_cert_file",
        "client CA \"CN=people\" expired at",
        "revocation list of \"CN=people\" expired at",
        "authentication.client_crl_file",
    ] {
        assert!(found.contains(words), "{words}: {found}");
    }

    make(site.directory(), &Left { serving: None, ..good });
    let (code, holds, found) = check(&site).await;
    assert_eq!((code, holds.as_str()), (1, "no"), "{found}");
    assert!(found.contains("expired at"), "{found}");

    make(site.directory(), &Left { serving: None, authority: Some(20 * DAY), list: None });
    let mut serving = serve(&site).await;
    let logged = |words: &str| std::fs::read_to_string(log(&site)).unwrap().matches(words).count();
    let [ended, soon, old] = [
        "serving certificate \\\"CN=service\\\" expired at",
        "client CA \\\"CN=people\\\" expires soon",
        "revocation list of \\\"CN=people\\\" expired at",
    ];
    until_so("it is logged", async || [ended, soon, old].map(logged) == [1; 3]).await;
    let certificate =
        |which: &str| format!("secret_service_certificate_not_after_seconds{{certificate=\"{which}\"}} ");
    let list = "secret_service_revocation_list_next_update_seconds ";
    let found = (
        days(&site, &certificate("serving")).await,
        days(&site, &certificate("client_ca")).await,
        days(&site, list).await,
    );
    assert_eq!((found.0.round(), found.1.round(), found.2.round()), (-1.0, 20.0, -1.0));

    make(site.directory(), &good);
    until_so("it is read again", async || days(&site, &certificate("serving")).await.round() == 90.0).await;
    assert_eq!(days(&site, list).await.round(), 1.0);
    make(site.directory(), &Left { serving: Some(10 * DAY), ..good });
    until_so("what was renewed with too little is told", async || logged("expires soon") == 2).await;
    assert_eq!([ended, old].map(logged), [1; 2], "once each");
    assert!(terminate(&mut serving).await.success());
}
