//! `serve` and `check` with an OpenID Connect issuer in their configuration.

use secret_service::proto::{GetVaultRequest, ListSyncedSecretsRequest};
use serde_json::{Value, json};
use tokio::process::Command;
use tonic::transport::Endpoint;

use super::process::{Process, command, configuration};
use crate::support::{
    Site,
    callers::{BOTH, LOOKING, client},
    issuer::{CLIENT, Issuer},
    requests::*,
};

/// The configuration of a service that trusts an issuer, in the shape of Entra's tokens.
fn trusting(site: &Site, issuer: &Issuer) -> String {
    let lines = format!(
        "[authentication.oidc]\nissuer = {:?}\naudience = [\"other\", \"{CLIENT}\"]\nca_file = {:?}\n\
         username_claim = \"preferred_username\"\nusername_prefix = \"entra:\"\ngroups_prefix = \"entra-group:\"\n\
         required_claims = [\"tid=tenant\"]\n",
        issuer.url(),
        issuer.ca_file()
    );
    format!("{}\n{lines}", configuration(site, 0))
}

/// The row of the issuer in the report: what holds, and what was found.
async fn check(site: &Site, configuration: &str) -> (String, String) {
    check_row(site, configuration, "oidc.issuer").await
}

/// A row of the report.
async fn check_row(site: &Site, configuration: &str, id: &str) -> (String, String) {
    let file = site.directory().join("check.toml");
    std::fs::write(&file, configuration).unwrap();
    let ended =
        Command::from(command(&["check", "-o", "json", "--config"])).arg(&file).output().await.unwrap();
    let report: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let row = report["checks"].as_array().unwrap().iter().find(|row| row["id"] == id).unwrap();
    (row["holds"].as_str().unwrap().to_owned(), row["found"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tells_whether_the_issuer_answers_and_its_keys_can_be_read() {
    let (site, issuer) = (Site::start().await, Issuer::start());
    let configured = trusting(&site, &issuer);
    let (holds, found) = check(&site, &configured).await;
    assert_eq!(holds, "yes", "{found}");
    assert!(found.contains("Usable keys: 1."), "{found}");

    issuer.list("{\"keys\": []}");
    let (holds, found) = check(&site, &configured).await;
    assert_eq!(holds, "no", "{found}");
    assert!(
        found.contains("no RSA or elliptic-curve key") && found.contains("Nobody can sign in"),
        "{found}"
    );
    issuer.set_down(true);
    let (holds, found) = check(&site, &configured).await;
    assert_eq!(holds, "no", "{found}");
    assert!(found.contains("the discovery document can't be fetched: the status is 503"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_requires_the_right_to_ask_the_cluster_about_people_without_tokens_of_the_cluster() {
    needs!(the_double);
    let (site, issuer) = (Site::start().await, Issuer::start());
    let configured = trusting(&site, &issuer);
    assert!(configured.contains("\ntokens = false\n"), "{configured}");
    let (holds, found) = check_row(&site, &configured, "cluster.reviews").await;
    assert_eq!(holds, "yes", "{found}");
    assert!(found.contains("subjectaccessreviews") && !found.contains("tokenreviews"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_the_configured_claims_and_prefixes() {
    needs!(the_double);
    let (site, issuer) = (Site::start().await, Issuer::start());
    site.grant("entra:ada@contoso.example", &BOTH, &LOOKING, &[]).await;
    site.grant("entra-group:operators", &BOTH, &LOOKING, &[]).await;
    let mut process = Process::serve_as(&site, &trusting(&site, &issuer), &[]).await;
    // Nobody needs a token on this machine here.
    process.client.get_vault(GetVaultRequest { name: "vault".to_owned() }).await.unwrap();

    let channel = Endpoint::new(format!("http://{}", process.address())).unwrap().connect().await.unwrap();
    let list = async |changes: Value| {
        let token = issuer.sign(&issuer.claims_but("pairwise", changes));
        let mut caller = client(channel.clone(), Some(&token));
        caller.list_synced_secrets(ListSyncedSecretsRequest::default()).await.map_err(|status| told(&status))
    };
    let ada = "ada@contoso.example";
    list(json!({ "preferred_username": ada, "tid": "tenant" }))
        .await
        .unwrap_or_else(|told| panic!("{}", told.message));
    list(json!({ "preferred_username": "eve", "tid": "tenant", "groups": ["operators"] }))
        .await
        .unwrap_or_else(|told| panic!("{}", told.message));
    for (changes, reason) in [
        (json!({ "preferred_username": "eve", "tid": "tenant" }), "CALLER_FORBIDDEN"),
        (json!({ "preferred_username": ada, "tid": "other" }), "CREDENTIALS_REJECTED"),
        (json!({ "tid": "tenant" }), "CREDENTIALS_REJECTED"),
        (json!({ "preferred_username": ada, "tid": "tenant", "aud": "elsewhere" }), "CREDENTIALS_REJECTED"),
    ] {
        let refused = list(changes.clone()).await.expect_err("it is let in");
        assert_eq!(refused.reason, reason, "{changes}: {}", refused.message);
    }
    assert!(process.terminate().await.success());
}
