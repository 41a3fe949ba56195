//! `kubectl` against the double; skipped with a message if there is no kubectl.

use std::{path::Path, process::Stdio};

use tokio::{io::AsyncWriteExt, process::Command};

use super::{Fixture, NAMESPACE, eventually};

/// kubectl's output.
struct Ran {
    success: bool,
    out: String,
    err: String,
}

fn has_kubectl() -> bool {
    let found = std::process::Command::new("kubectl").arg("version").arg("--client").output().is_ok();
    if !found {
        eprintln!("SKIPPED: there is no kubectl on this machine");
    }
    found
}

async fn kubectl(fixture: &Fixture, arguments: &str, input: &str) -> Ran {
    let mut child = Command::new("kubectl")
        .args(arguments.split_whitespace())
        .env("KUBECONFIG", fixture.cluster.kubeconfig())
        .env("HOME", fixture.directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { success: output.status.success(), out: text(output.stdout), err: text(output.stderr) }
}

/// Runs kubectl, which must succeed without a warning.
async fn ok(fixture: &Fixture, arguments: &str, input: &str) -> String {
    let ran = kubectl(fixture, arguments, input).await;
    assert!(ran.success && ran.err.is_empty(), "kubectl {arguments}: {}{}", ran.out, ran.err);
    ran.out
}

/// Waits until there is a watch on Secrets.
async fn until_watched(fixture: &Fixture) {
    eventually("a watch", || async { fixture.cluster.requests().of("watch", "secrets") > 0 }).await;
}

fn columns(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}

const SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata: {name: one, labels: {app: x}}
stringData: {key: first}
"#;

#[tokio::test]
async fn secrets_are_applied_shown_described_edited_and_deleted() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    let f = &fixture;
    assert_eq!(ok(f, "apply -f -", SECRET).await, "secret/one created\n");
    assert_eq!(ok(f, "apply -f -", &SECRET.replace("first", "second")).await, "secret/one configured\n");
    let table = ok(f, "get secrets -o wide", "").await;
    assert_eq!(columns(&table)[0], ["NAME", "TYPE", "DATA", "AGE"]);
    assert_eq!(columns(&table)[1][..3], ["one", "Opaque", "1"]);
    let yaml = ok(f, "get secret one -o yaml", "").await;
    assert!(yaml.contains("key: c2Vjb25k") && yaml.contains("kind: Secret"), "{yaml}");
    let described = ok(f, "describe secret one", "").await;
    assert!(described.contains("key:  6 bytes"), "{described}");
    assert_eq!(ok(f, "label secret one tier=db", "").await, "secret/one labeled\n");
    assert!(ok(f, "get secrets -l app=x,tier=db -o name", "").await.contains("secret/one"));
    assert_eq!(ok(f, r#"patch secret one -p {"data":{"key":"dGhpcmQ="}}"#, "").await, "secret/one patched\n");
    assert_eq!(ok(f, "get secret one -o jsonpath={.data.key}", "").await, "dGhpcmQ=");
    assert_eq!(ok(f, "delete secret one", "").await, "secret \"one\" deleted\n");
    let gone = kubectl(f, "get secret one", "").await;
    assert_eq!(gone.err, "Error from server (NotFound): secrets \"one\" not found\n");
    assert!(ok(f, "create secret generic two --from-literal=a=b", "").await.contains("created"));
    assert!(ok(f, "get secrets -A", "").await.contains(NAMESPACE));
}

#[tokio::test]
async fn server_side_apply_works_and_conflicts() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    let apply = "apply --server-side -f -";
    let object = SECRET.replace("stringData: {key: first}", "data: {key: Zmlyc3Q=}");
    assert_eq!(ok(&fixture, apply, &object).await, "secret/one serverside-applied\n");
    assert_eq!(ok(&fixture, apply, &object).await, "secret/one serverside-applied\n");
    let other = object.replace("Zmlyc3Q=", "c2Vjb25k");
    let refused = kubectl(&fixture, &format!("{apply} --field-manager=other"), &other).await;
    assert!(!refused.success);
    assert!(
        refused.err.contains("conflict with \"kubectl\"") && refused.err.contains(".data.key"),
        "{}",
        refused.err
    );
    ok(&fixture, &format!("{apply} --field-manager=other --force-conflicts"), &other).await;
    assert!(ok(&fixture, "diff --server-side --field-manager=other -f -", &other).await.is_empty());
}

#[tokio::test]
async fn unknown_fields_are_refused_before_anything_is_written() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    let refused = kubectl(&fixture, "apply -f -", &SECRET.replace("stringData", "stringDate")).await;
    assert!(!refused.success);
    assert!(refused.err.contains("unknown field \"stringDate\""), "{}", refused.err);
}

#[tokio::test]
async fn namespaces_are_created_and_deleted() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    assert_eq!(ok(&fixture, "create namespace extra", "").await, "namespace/extra created\n");
    let table = ok(&fixture, "get ns", "").await;
    assert!(columns(&table).iter().any(|row| row[..2] == ["extra", "Active"]), "{table}");
    assert!(ok(&fixture, "describe ns extra", "").await.contains("Active"));
    assert_eq!(ok(&fixture, "delete ns extra", "").await, "namespace \"extra\" deleted\n");
    assert!(ok(&fixture, "create serviceaccount robot", "").await.contains("created"));
    assert!(ok(&fixture, "get sa,cm,leases,events", "").await.contains("robot"));
}

#[tokio::test]
async fn can_i_reports_rights_and_waiting_for_a_deletion_ends() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    assert_eq!(ok(&fixture, "auth can-i get secrets", "").await, "yes\n");
    assert!(ok(&fixture, "auth can-i --list", "").await.contains("*.*"));
    assert!(ok(&fixture, "auth whoami", "").await.contains("admin"));
    ok(&fixture, "apply -f -", SECRET).await;
    let wait = ok(&fixture, "wait --for=delete secret/one --timeout=10s", "");
    let delete = async {
        until_watched(&fixture).await;
        ok(&fixture, "delete secret one", "").await
    };
    tokio::join!(wait, delete);
}

#[tokio::test]
async fn a_watch_reports_changes_until_its_timeout() {
    if !has_kubectl() {
        return;
    }
    let fixture = Fixture::start().await;
    let change = async {
        until_watched(&fixture).await;
        ok(&fixture, "apply -f -", SECRET).await
    };
    let watch = kubectl(&fixture, "get secrets -w --request-timeout=4s", "");
    let (watched, _) = tokio::join!(watch, change);
    let rows = columns(&watched.out);
    assert!(rows.iter().any(|row| row[0] == "one"), "{}{}", watched.out, watched.err);
    assert_eq!(rows[0], ["NAME", "TYPE", "DATA", "AGE"]);
}

#[tokio::test]
async fn the_definitions_of_the_secret_store_are_installed_and_used() {
    if !has_kubectl() {
        return;
    }
    let directory = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../examples/crds/secret-store"));
    let fixture = Fixture::start().await;
    let f = &fixture;
    for file in ["secretproviderclasses.yaml", "secretsyncs.yaml"] {
        let arguments = format!("apply --server-side -f {}", directory.join(file).display());
        assert!(ok(f, &arguments, "").await.contains("serverside-applied"));
    }
    ok(f, "wait --for=condition=Established crd/secretsyncs.secret-sync.x-k8s.io --timeout=5s", "").await;
    let sync = r#"{"apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": {"name": "s"},
        "spec": {"secretProviderClassName": "c", "serviceAccountName": "a",
                 "secretObject": {"type": "Opaque", "data": [{"sourcePath": "p", "targetKey": "k"}]}}}"#;
    assert!(ok(f, "apply -f -", sync).await.contains("created"));
    assert!(ok(f, "apply -f -", &sync.replace("\"p\"", "\"q\"")).await.contains("configured"));
    assert_eq!(ok(f, "get secretsyncs s -o jsonpath={.spec.secretObject.type}", "").await, "Opaque");
    assert!(ok(f, "get secretsync", "").await.starts_with("NAME"));
    assert!(ok(f, "describe secretsync s", "").await.contains("Secret Provider Class Name"));
    assert!(ok(f, "explain secretsync.spec.secretObject.data", "").await.contains("targetKey"));
    let refused = kubectl(
        f,
        "apply -f -",
        &sync.replace("\"name\": \"s\"", "\"name\": \"t\"").replace("\"c\"", "\"\""),
    )
    .await;
    assert!(refused.err.contains("spec.secretProviderClassName"), "{}", refused.err);
    assert!(ok(f, "delete secretsync s", "").await.contains("deleted"));
    assert!(ok(f, "api-resources", "").await.contains("secretsyncs"));
}
