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
fn its_tests_pass_against_this_binary() {
    let Some(printed) = passes("go-client", &["test", "-count=1", "-v"]) else { return };
    for line in printed.lines().filter(|line| line.contains("SKIPPED")) {
        say(line);
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
