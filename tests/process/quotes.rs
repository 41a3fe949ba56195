//! What another program says is not repeated: a credential plugin of a kubeconfig that prints secrets and fails, at a start, in a check
//! and while the service runs.

use std::{os::unix::fs::PermissionsExt, path::Path};

use secret_service::proto::{GetVaultRequest, ListAuditEventsRequest, condition::Status};
use serde_yaml_ng::Value;
use tokio::process::Command;

use super::process::{Process, command, configuration, log};
use crate::support::{Site, requests::*};

/// What the plugin prints, in every way that it has.
const SECRET: &str = "canary-5d1e";

/// Gives the site's token, and asks for a new one with every request, until there is a file `fail` beside it: then it prints what it
/// should not and fails.
fn plugin(directory: &Path, token: &str) -> String {
    let file = directory.join("plugin");
    let (fail, complaint) = (directory.join("fail"), format!("{SECRET}-complaint"));
    let credential = format!(
        r#"{{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {{"token": "{token}", "expirationTimestamp": "2020-01-01T00:00:00Z"}}}}"#
    );
    let script = format!(
        "#!/bin/sh\necho {complaint} >&2\nif [ -e {fail} ]; then echo token: {SECRET}-token; exit 7; fi\necho '{credential}'\n",
        fail = fail.display(),
    );
    std::fs::write(&file, script).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
    file.display().to_string()
}

/// The site's kubeconfig, with a plugin in place of its token.
fn with_plugin(site: &mut Site) {
    let mut kubeconfig: Value =
        serde_yaml_ng::from_str(&std::fs::read_to_string(&site.kubeconfig).unwrap()).unwrap();
    let user = &mut kubeconfig["users"][0]["user"];
    let plugin = plugin(site.directory.path(), user["token"].as_str().unwrap());
    let exec = format!(
        "exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}, args: [--secret, {SECRET}-argument], env: [{{name: PASSWORD, value: {SECRET}-variable}}]}}"
    );
    *user = serde_yaml_ng::from_str(&exec).unwrap();
    site.kubeconfig = site.directory().join("with-plugin");
    std::fs::write(&site.kubeconfig, serde_yaml_ng::to_string(&kubeconfig).unwrap()).unwrap();
}

/// A configuration that leaves the plugin time to be started with every request.
fn patient(site: &Site) -> String {
    configuration(site, 0).replace("timeout = \"2s\"", "timeout = \"15s\"")
}

fn is_clean(what: &str, text: &str) {
    assert!(!text.contains(SECRET), "{what}: {text}");
}

/// Ends by itself: what it printed, and that it names the plugin and nothing of what that said.
async fn ends(site: &Site, arguments: &[&str]) {
    let file = site.directory().join("ends.toml");
    std::fs::write(&file, patient(site)).unwrap();
    let ended =
        Command::from(command(&[arguments, &["--config"]].concat())).arg(&file).output().await.unwrap();
    let said = [ended.stdout, ended.stderr].map(|said| String::from_utf8(said).unwrap()).concat();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    is_clean(arguments[0], &said);
    assert!(said.contains("credential plugin of the kubeconfig ended with exit status: 7"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_credential_plugin_appears_in_no_message_condition_audit_or_log() {
    needs!(the_double);
    let mut site = Site::start().await;
    with_plugin(&mut site);
    let fail = site.directory().join("fail");
    std::fs::write(&fail, "").unwrap();
    ends(&site, &["serve"]).await;
    ends(&site, &["check", "-o", "json"]).await;

    std::fs::remove_file(&fail).unwrap();
    let mut process = Process::serve_as(&site, &patient(&site), &[]).await;
    process.client.create_synced_secret(create("a", vec![created("k", "fresh", "1")])).await.unwrap();
    std::fs::write(&fail, "").unwrap();
    let mut said = Vec::new();
    said.push(format!("{:?}", process.client.sync_synced_secret(sync("a")).await));
    said.push(format!(
        "{:?}",
        process.client.create_synced_secret(create("b", vec![existing("k", "fresh")])).await
    ));
    said.push(format!("{:?}", process.client.get_synced_secret(get("a")).await));
    let vault = process.client.get_vault(GetVaultRequest::default()).await.unwrap().into_inner();
    said.push(format!("{vault:?}"));
    said.push(format!(
        "{:?}",
        process.client.list_audit_events(ListAuditEventsRequest::default()).await.unwrap()
    ));
    for said in &said {
        is_clean("an answer", said);
    }
    let settings = condition_of(&vault.conditions, "SecureSettings").unwrap();
    assert_eq!(settings.status(), Status::False, "{settings:?}");
    assert!(settings.message.contains("credential plugin of the kubeconfig"), "{settings:?}");
    assert!(process.terminate().await.success());
    let log = std::fs::read_to_string(log(&site)).unwrap();
    is_clean("the log", &log);
    assert!(log.contains("credential plugin of the kubeconfig"), "{log}");
}
