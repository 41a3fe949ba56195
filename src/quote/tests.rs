//! What holds of every quote, and that nobody in the house repeats somebody else's error in another way.

use std::{
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Output},
};

use regex::Regex;

use super::*;

fn failed_plugin() -> AuthError {
    let out = Output {
        status: ExitStatus::from_raw(7 << 8),
        stdout: b"canary-token".to_vec(),
        stderr: b"canary-complaint".to_vec(),
    };
    AuthError::AuthExecRun { cmd: "PASSWORD=canary plugin --secret canary".to_owned(), out: Box::new(out) }
}

#[test]
fn a_long_text_keeps_its_beginning_and_the_cause_at_its_end() {
    assert_eq!(&*Quote::from("a\n\tshort   one"), "a short one");
    let long = format!("failed to patch secret: {}: the cause", "on and on ".repeat(200));
    let short = Quote::from(&long);
    assert!(short.starts_with("failed to patch secret:") && short.ends_with(": the cause"), "{short}");
    assert!(short.chars().count() <= 303, "{}", short.chars().count());
    assert!(Quote::from("ü".repeat(1_000)).chars().count() <= 303);
}

#[test]
fn a_quote_contains_no_control_characters_and_no_line_breaks() {
    let quote = Quote::from("a\u{1b}[2Jb\r\nerror: forged\u{202e}c\u{9b}d\0e");
    assert_eq!(&*quote, "a [2Jb error: forged c d e");
    assert!(!quote.contains(is_unprintable));
}

#[test]
fn the_input_and_output_of_a_credential_plugin_are_never_reported() {
    let wrapped = kube::Error::Service(Box::new(failed_plugin()));
    let hidden = io::Error::other(kube::Error::Auth(failed_plugin()));
    for error in [&failed_plugin() as &(dyn Error + 'static), &wrapped, &hidden] {
        for quote in [Quote::error(error), Quote::cause(error)] {
            assert!(!quote.contains("canary"), "{quote}");
            assert!(quote.contains("exit status: 7") && quote.contains("credential plugin"), "{quote}");
        }
    }
    let expiry = "canary".parse::<jiff::Timestamp>().unwrap_err();
    let quote = Quote::error(&AuthError::MalformedTokenExpirationDate(expiry));
    assert!(!quote.contains("canary"), "{quote}");
}

#[test]
fn an_unreadable_document_is_reported_only_by_its_position() {
    let kubeconfig = "users:\n- name: a\n  user:\n    token: [canary\n";
    let error = kube::config::Kubeconfig::from_yaml(kubeconfig).unwrap_err();
    let quote = Quote::error(&error);
    assert!(!quote.contains("canary") && quote.contains("line "), "{quote}");

    let error = serde_json::from_str::<Vec<u8>>("\n\"canary\"").unwrap_err();
    assert!(error.to_string().contains("canary"), "or this test shows nothing");
    let quote = Quote::error(&kube::Error::SerdeError(error));
    assert!(!quote.contains("canary") && quote.contains("line 2"), "{quote}");
}

#[tokio::test]
async fn a_panic_message_is_never_quoted() {
    let died = tokio::spawn(async { panic!("canary") }).await.unwrap_err();
    assert_eq!(&*Quote::error(&died), "it panicked");
}

/// Who may have an error in hand that isn't ours: files that name one of these.
const LIBRARIES: &str = r"\b(kube|k8s_openapi|sqlx|azure_\w+|reqwest|rustls|tokio_rustls|rustls_pki_types|serde_json|serde_yaml_ng|toml|x509_parser|hyper|tonic_reflection|transport|rustix|url|io|fs|JoinError)::";
/// How an error is repeated as it is, or with its `Debug`.
const RAW: &str = r#"\b(error|err|e|cause|source|died|ended)\.to_string\(\)|[%?](error|err|e|cause|source|died)\b|"[^"]*\{(error|err|e|cause|source|died)(:[^}"]*)?\}|format!\([^;]*, (error|err|e)\)"#;
/// The error of a variant that is told as it is. Ours are.
const VARIANT: &str = r#"#\[error\("[^"\n]*\{(?:0|error|source)(?::\?)?\}[^"\n]*"\)\]\s*\w+\s*[({]([^)}]*)"#;
/// Errors of ours: what they pass on of others went through a quote when they were made.
const OURS: [&str; 11] = [
    "EdgeError",
    "VaultError",
    "StoreError",
    "ServerError",
    "LockError",
    "BackupError",
    "EncodingError",
    "CertificateError",
    "ContentError",
    "NameError",
    "ActorError",
];
/// Files that have others' errors in hand too, and how often each repeats an error of ours, or only looks into another one.
const ALLOWED: [(&str, usize); 22] = [
    ("access/oidc/keys.rs", 1),
    ("api/error/catalogue.rs", 3),
    ("api/rpc/convert/vault_secret.rs", 1),
    ("cli/check/checks.rs", 3),
    ("cli/mod.rs", 1),
    ("cli/rebuild.rs", 1),
    ("config/types.rs", 2),
    ("edge/client.rs", 1),
    ("edge/engine/secret_store/sync_status.rs", 1),
    ("edge/recovery.rs", 3),
    ("edge/usages/follow.rs", 2),
    ("quote.rs", 2),
    ("reconcile/last_reason.rs", 1),
    ("reconcile/rebuild.rs", 1),
    ("reconcile/restore.rs", 1),
    ("secrets/instance.rs", 1),
    ("secrets/vault_secrets.rs", 2),
    ("store/backup/schedule.rs", 1),
    ("store/fault.rs", 1),
    ("vault/credential_error.rs", 2),
    ("vault/renewable_credential.rs", 1),
    ("vault/transport.rs", 1),
];

/// The sources of what runs in production; the commands for people tell them about their own files and terminal.
fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_test = name.ends_with("tests.rs")
            || ["tests", "fuzzing.rs", "quote"].contains(&name)
            || ["cli/client", "cli/dev"].iter().any(|directory| path.ends_with(directory));
        match path.is_dir() {
            _ if is_test => {}
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

#[test]
fn foreign_errors_are_repeated_only_through_a_quote() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (root, model) = (package.join("src"), package.join("crates/model/src"));
    let (mut files, mut raw) = (Vec::new(), Vec::new());
    sources(&root, &mut files);
    let of_service = files.len();
    sources(&model, &mut files);
    assert!(files.len() - of_service > 10, "the model is looked at, too");
    let pattern = |text| Regex::new(text).unwrap();
    let (libraries, told, variant) = (pattern(LIBRARIES), pattern(RAW), pattern(VARIANT));
    assert!(files.len() > 150, "they are all looked at");
    for file in files {
        let name = file.strip_prefix(&root).or(file.strip_prefix(package)).unwrap().display().to_string();
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        for found in variant.captures_iter(text) {
            let holds = &found[1];
            if holds.contains("Error") && !OURS.iter().any(|ours| holds.contains(ours)) {
                raw.push(format!("{name}: {}", found[0].replace('\n', " ")));
            }
        }
        if !libraries.is_match(text) {
            continue;
        }
        let lines = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//") && !line.starts_with("#[error"));
        let lines = lines
            .filter(|line| told.is_match(line))
            .map(|line| format!("{name}: {line}"))
            .collect::<Vec<_>>();
        let allowed = ALLOWED.iter().find(|(file, _)| *file == name).map_or(0, |(_, count)| *count);
        if lines.len() != allowed {
            raw.extend(lines);
        }
    }
    assert!(
        raw.is_empty(),
        "pass these through crate::quote::Quote, or count what repeats an error of ours in ALLOWED:\n{}",
        raw.join("\n")
    );
}
