//! `secrets`, `vault` and `audit`: what a person types at a shell, against a service that runs.

mod certificates;
mod connection;
mod outcomes;
mod values;

use std::{process::Stdio, time::Duration};

use key_vault_double::{Fault, FaultRule};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, process::Command};

use super::process;
use crate::support::{Options, PATIENCE, Site, World, users};

/// How a command ended and what it said.
#[derive(Debug)]
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:?}");
        self.out
    }

    #[track_caller]
    fn failed(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{self:?}");
        self.err
    }
}

/// A command line that speaks to an address.
fn line(address: &str, arguments: &[&str]) -> Command {
    let mut command = Command::from(process::command(arguments));
    command.env("SECRET_SERVICE_ADDRESS", address).kill_on_drop(true);
    command
}

async fn type_into(mut command: Command, stdin: &str) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // One that ends before it has read everything is none the worse.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes()).await;
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

async fn say(world: &World, arguments: &[&str]) -> Said {
    pipe(world, "", arguments).await
}

async fn pipe(world: &World, stdin: &str, arguments: &[&str]) -> Said {
    type_into(line(&world.address().to_string(), arguments), stdin).await
}

async fn json(world: &World, arguments: &[&str]) -> Value {
    let said = say(world, arguments).await.ok();
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_the_three_user_stories_takes_a_few_commands() {
    let world = World::start().await;
    world.seed("pump-7-user", "admin").await;

    // Create new.
    let create = ["secrets", "create", "pump-7", "--new", "password=pump-7-password"];
    let rest = ["--value-file", "password=-", "--from", "username=pump-7-user", "--label", "line=4"];
    let created = pipe(&world, "hunter2\n", &[create.as_slice(), &rest].concat()).await.ok();
    assert!(created.contains("pump-7") && created.contains("Synced"), "{created}");
    let held = world.edge("pump-7").await.unwrap();
    assert_eq!((held["password"].as_str(), held["username"].as_str()), ("hunter2", "admin"));

    // Add from Azure Key Vault, as a new one and to one that is there.
    say(&world, &["secrets", "add", "oven", "user=pump-7-user"]).await.ok();
    say(&world, &["secrets", "add", "--to", "oven", "again=vaultSecrets/pump-7-user"]).await.ok();
    assert_eq!(world.edge("oven").await.unwrap().len(), 2);
    let taken = say(&world, &["secrets", "add", "--to", "oven", "again=pump-7-user"]).await.failed(2);
    assert!(taken.contains("secrets update --set again="), "{taken}");

    // Manage.
    let names = say(&world, &["secrets", "list", "-o", "name"]).await.ok();
    assert_eq!(names, "syncedSecrets/oven\nsyncedSecrets/pump-7\n");
    let labelled = say(&world, &["secrets", "list", "--label", "line=4", "-o", "name"]).await.ok();
    assert_eq!(labelled, "syncedSecrets/pump-7\n");
    let update = ["secrets", "update", "oven", "--remove", "again", "--description", "The oven"];
    say(&world, &update).await.ok();
    let shown = say(&world, &["secrets", "get", "syncedSecrets/oven"]).await.ok();
    assert!(shown.contains("The oven") && !shown.contains("again"), "{shown}");
    pipe(&world, "root", &["vault", "rotate", "pump-7-user", "--value-file", "-"]).await.ok();
    say(&world, &["secrets", "sync", "--all"]).await.ok();
    assert_eq!(world.edge("oven").await.unwrap()["user"], "root");
    let gone = say(&world, &["secrets", "delete", "oven", "pump-7", "--yes"]).await.ok();
    assert_eq!(gone, "oven deleted\npump-7 deleted\n");
    assert_eq!(world.edge("oven").await, None);
    assert_eq!(world.somebody.reads("pump-7-password").await, "hunter2", "the vault keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_have_an_exit_code_and_a_remedy() {
    let world = World::start().await;
    world.seed("v", "1").await;
    world.seed("gone", "1").await;
    world.somebody.deletes("gone").await;
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();

    let missing = say(&world, &["secrets", "get", "b"]).await.failed(3);
    assert!(missing.contains("`secrets list`"), "{missing}");
    say(&world, &["secrets", "add", "a", "k=v"]).await.failed(4);
    pipe(&world, "1", &["vault", "create", "gone", "--value-file", "-"]).await.failed(5);
    let stale = ["secrets", "update", "a", "--description", "d", "--etag", "\"old\""];
    say(&world, &stale).await.failed(8);
    let wrong = say(&world, &["secrets", "add", "c", "k=nowhere", "l=neither"]).await.failed(3);
    let lines: Vec<_> = wrong.lines().collect();
    assert!(
        lines[0].starts_with("error: ") && lines[1..].iter().all(|line| line.starts_with("  ")),
        "{wrong}"
    );
    assert!(wrong.contains("references[0].vault_secret: ") && wrong.contains("references[1].vault_secret: "));
    say(&world, &["secrets", "add", "c", "k=v", "--label", "a=not a label"]).await.failed(2);
    say(&world, &["secrets", "list", "--nonsense"]).await.failed(2);
    // Of several, those that can be are done.
    let some = say(&world, &["secrets", "sync", "a", "b"]).await;
    assert!(some.out.contains("Synced") && some.err.contains("\"b\""), "{some:?}");
    some.failed(3);
    // Recorded, and the edge does not hold it.
    world.somebody.enables("v", false).await;
    let behind = say(&world, &["secrets", "sync", "a"]).await.failed(9);
    assert!(behind.contains("a is recorded, but degraded: "), "{behind}");
}

#[tokio::test(flavor = "multi_thread")]
async fn uses_are_shown_filter_lists_and_block_deletions() {
    let site = Site::start().await;
    users::install(&site.kube).await;
    let mut world = World::start_on(site, Options::default()).await;
    world.seed("v", "1").await;
    for name in ["a", "b"] {
        say(&world, &["secrets", "add", name, "username=v"]).await.ok();
    }
    let profile = "AssetEndpointProfile.deviceregistry.microsoft.com";
    let spec = json!({ "authentication": { "usernamePasswordCredentials": { "usernameSecretName": "a/username" } } });
    for name in ["plc-1", "plc-2"] {
        world.applies(profile, name, spec.clone()).await;
    }
    world
        .until("a", |secret| {
            secret.usages.len() == 2 && secret.conditions.iter().any(|one| one.reason == "Used")
        })
        .await;

    let shown = say(&world, &["secrets", "usages", "a"]).await.ok();
    assert!(shown.contains("plc-1") && shown.contains("usernameSecretName"), "{shown}");
    assert!(say(&world, &["secrets", "get", "a"]).await.ok().contains("plc-2"));
    let by = ["secrets", "list", "-o", "name", "--used-by", "AssetEndpointProfile/plc-2"];
    assert_eq!(say(&world, &by).await.ok().trim(), "syncedSecrets/a");
    assert_eq!(
        say(&world, &["secrets", "list", "-o", "name", "--unused"]).await.ok().trim(),
        "syncedSecrets/b"
    );

    let refused = say(&world, &["secrets", "delete", "a", "--yes"]).await.failed(5);
    for words in ["--force", "`secrets usages`", &format!("{profile}/plc-1"), &format!("{profile}/plc-2")] {
        assert!(refused.contains(words), "{refused}");
    }
    say(&world, &["secrets", "delete", "a", "--yes", "--force"]).await.ok();
    assert!(world.edge("a").await.is_none());
    assert!(say(&world, &["secrets", "usages"]).await.ok().contains("the secret is missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn vault_check_fails_if_the_vault_does_not_answer() {
    let options = Options { vault_timeout: Duration::from_millis(700), ..Options::default() };
    let world = World::start_with(options).await;
    let table = say(&world, &["vault", "check"]).await.ok();
    assert!(table.contains("CanGet") && table.contains("Allowed"), "{table}");
    assert!(table.contains("EngineChosen") && table.contains("sync.engine says so"), "{table}");
    world.vault.faults().add(FaultRule::new(Fault::Hang));
    let broken = say(&world, &["vault", "check", "-o", "json"]).await;
    let vault: Value = serde_json::from_str(&broken.out).unwrap();
    let reachable =
        vault["conditions"].as_array().unwrap().iter().find(|condition| condition["type"] == "Reachable");
    assert_eq!(reachable.unwrap()["status"], "STATUS_FALSE");
    assert!(broken.failed(1).contains("Reachable"));
}

#[tokio::test(flavor = "multi_thread")]
async fn json_output_follows_the_contract_and_contains_all_pages() {
    let world = World::start().await;
    for number in 0..30 {
        world.seed(&format!("v-{number:02}"), "1").await;
    }
    say(&world, &["secrets", "add", "a", "k=v-01", "l=v-02"]).await.ok();
    let list = json(&world, &["secrets", "list", "-o", "json"]).await;
    assert_eq!(list["syncedSecrets"][0]["state"], "STATE_SYNCED");
    assert_eq!(list["syncedSecrets"][0]["references"][1]["vaultSecret"], "vaultSecrets/v-02");
    assert_eq!(list["totalSize"], 1);
    let all = json(&world, &["vault", "list", "-o", "json"]).await;
    assert_eq!(all["vaultSecrets"].as_array().unwrap().len(), 30, "the vault's own pages have 25");
    let some = json(&world, &["vault", "list", "--unsynced", "--limit", "27", "-o", "json"]).await;
    assert_eq!(some["vaultSecrets"].as_array().unwrap().len(), 27);
    let yaml = say(&world, &["secrets", "get", "a", "-o", "yaml"]).await.ok();
    let yaml: Value = serde_yaml_ng::from_str(&yaml).unwrap();
    assert_eq!(yaml, json(&world, &["secrets", "get", "a", "-o", "json"]).await);
    let history = json(&world, &["audit", "list", "--resource", "syncedSecrets/a", "-o", "json"]).await;
    let did = |action: &str| {
        history["auditEvents"].as_array().unwrap().iter().any(|event| event["action"] == action)
    };
    assert!(did("CreateSyncedSecret"), "{history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_who_they_are_and_what_they_may_do() {
    let world = World::start().await;
    let shown = say(&world, &["secrets", "whoami"]).await.ok();
    assert!(shown.contains("anonymous@127.0.0.1") && shown.contains("not needed on this machine"), "{shown}");
    let caller = json(&world, &["secrets", "whoami", "vaultSecrets/v", "-o", "json"]).await;
    assert_eq!(caller["permissions"][0], json!({"method": "GetVault", "access": "ACCESS_ALLOWED"}));
    assert!(say(&world, &["secrets", "whoami", "-o", "name"]).await.ok().starts_with("anonymous@"));
    let wrong = say(&world, &["secrets", "whoami", "v"]).await.failed(2);
    assert!(wrong.contains("syncedSecrets/{id} or vaultSecrets/{name}"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_is_listed_by_who_what_and_when() {
    let world = World::start().await;
    world.seed("v", "1").await;
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();
    let list = async |arguments: &[&str]| {
        let events = json(&world, &[&["audit", "list", "-o", "json"], arguments].concat()).await;
        let actions = events["auditEvents"].as_array().cloned().unwrap_or_default();
        actions.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&["--actor", "sync", "--resource", "syncedSecrets/a"]).await, ["Synced"]);
    let create = ["--action", "CreateSyncedSecret", "--outcome", "OK", "--since", "1h"];
    assert_eq!(list(&create).await, ["CreateSyncedSecret"]);
    for nothing in [["--until", "1h"].as_slice(), &["--failed"], &["--actor", "Sync"]] {
        assert!(list(nothing).await.is_empty(), "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_changes_all_take_effect() {
    let world = World::start().await;
    world.seed("v", "1").await;
    say(&world, &["secrets", "add", "a", "k=v"]).await.ok();
    let labels: Vec<_> = (0..4).map(|number| format!("l{number}=x")).collect();
    let arguments =
        labels.iter().map(|label| ["secrets", "update", "a", "--no-wait", "--label", label.as_str()]);
    let changes = arguments.map(async |arguments| say(&world, &arguments).await.ok());
    futures::future::join_all(changes).await;
    let shown = json(&world, &["secrets", "get", "a", "-o", "json"]).await;
    assert_eq!(shown["labels"].as_object().unwrap().len(), 4, "{shown}");
}

#[tokio::test]
async fn completions_and_manual_pages_know_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_str().unwrap();
    let nowhere = |arguments: &[&str]| type_into(line("127.0.0.1:1", arguments), "");
    nowhere(&["man", "--dir", path]).await.ok();
    let completions = nowhere(&["completions", "bash"]).await.ok();
    for command in [
        "secrets-create",
        "secrets-watch",
        "secrets-certificates",
        "vault-rotate",
        "vault-check",
        "audit-list",
    ] {
        let page = std::fs::read_to_string(directory.path().join(format!("secret-service-{command}.1")));
        assert!(page.unwrap().contains("address"), "{command}");
        assert!(completions.contains(&command.replace('-', ",")), "{command}");
    }
    assert!(directory.path().join("secret-service-secrets-certificates-add.1").exists());
    assert!(completions.contains("certificates,add)") && completions.contains("--vault-secret"));
    let help = nowhere(&["secrets", "--help"]).await.ok();
    assert!(help.contains("Exit codes:") && help.contains("NOT_FOUND"), "{help}");
}
