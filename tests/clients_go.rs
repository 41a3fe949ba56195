//! The Go client against this build: what its own tools say of it, and its tests, which start and kill the real binary.

#[path = "support/script.rs"]
mod script;

use std::process::Command;

use script::say;

/// [`script::passes`] where there is a Go.
fn passes(name: &str, arguments: &[&str]) -> Option<String> {
    if Command::new("go").arg("version").output().is_err() {
        say(&format!("SKIPPED {name} {}: go is not installed", arguments.join(" ")));
        return None;
    }
    script::passes(name, arguments)
}

#[test]
fn the_go_client_passes_its_tests_against_this_binary() {
    let Some(printed) = passes("go-client", &["test", "-count=1", "-v"]) else { return };
    for line in printed.lines().filter(|line| line.contains("SKIPPED")) {
        say(line);
    }
    assert!(printed.contains("--- PASS: Example "), "its examples run:\n{printed}");
}

#[test]
fn the_go_client_passes_vet_and_staticcheck() {
    passes("go-client", &["lint"]);
}

#[test]
fn the_generated_go_code_matches_the_contract() {
    passes("go-client", &["current"]);
}

#[test]
fn the_contract_passes_lint_and_has_no_breaking_change() {
    passes("contract", &["lint"]);
    passes("contract", &["breaking"]);
}
