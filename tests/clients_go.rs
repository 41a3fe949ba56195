//! The Go client against this build: what its own tools say of it, and its tests, which start and kill the real binary.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_secret-service");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A script of this repository, with the binary of this build; `None`, with the reason printed, where there is no Go.
fn script(name: &str, arguments: &[&str]) -> Option<Output> {
    if Command::new("go").arg("version").output().is_err() {
        eprintln!("SKIPPED {name} {}: go is not installed", arguments.join(" "));
        return None;
    }
    let output = Command::new(format!("{ROOT}/scripts/{name}"))
        .args(arguments)
        .env("SECRET_SERVICE_BINARY", BINARY)
        .env("PATH", format!("{ROOT}/.cache/bin:{}", std::env::var("PATH").unwrap_or_default()))
        .output()
        .unwrap();
    Some(output)
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Runs it, and fails with all that it printed where it fails.
fn passes(name: &str, arguments: &[&str]) -> Option<String> {
    let output = script(name, arguments)?;
    let printed = printed(&output);
    assert!(output.status.success(), "{name} {}:\n{printed}", arguments.join(" "));
    Some(printed)
}

#[test]
fn its_tests_pass_against_this_binary() {
    let Some(printed) = passes("go-client", &["test", "-count=1", "-v"]) else { return };
    for line in printed.lines().filter(|line| line.contains("SKIPPED")) {
        eprintln!("{line}");
    }
    assert!(printed.contains("--- PASS: Example "), "its examples run:\n{printed}");
}

#[test]
fn vet_and_staticcheck_find_nothing_in_it() {
    passes("go-client", &["lint"]);
}

#[test]
fn its_generated_code_is_what_the_contract_says() {
    passes("go-client", &["current"]);
}

#[test]
fn the_contract_follows_its_rules_and_breaks_nothing_that_landed() {
    passes("contract", &["lint"]);
    passes("contract", &["breaking"]);
}
