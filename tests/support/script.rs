//! Runs a script of this repository against the binary of this build, and says what a runner would keep to itself.

// Each test binary uses its own part of this.
#![allow(dead_code, missing_docs)]

use std::{io::Write, path::Path, process::Command};

/// What a script ends with where the machine lacks what it needs; it has printed what.
const NOT_HERE: i32 = 77;

/// Says something that shows also where the test passes: a skip is never silent.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// Runs `scripts/NAME ARGUMENTS`, and fails with all that it printed where it fails; else what it printed. `None`, said so, where
/// the machine lacks what it needs.
pub fn passes(name: &str, arguments: &[&str]) -> Option<String> {
    passes_with(name, arguments, &[])
}

/// The same with variables besides.
pub fn passes_with(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tools = root.join(".cache/bin");
    let output = Command::new(root.join("scripts").join(name))
        .args(arguments)
        .current_dir(root)
        .envs(variables.iter().copied())
        .env("SECRET_SERVICE_BINARY", env!("CARGO_BIN_EXE_secret-service"))
        .env("PATH", format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default()))
        .output()
        .expect("the script is there");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NOT_HERE) {
        say(&format!("SKIPPED {name} {}: {}", arguments.join(" "), printed.trim()));
        return None;
    }
    assert!(output.status.success(), "scripts/{name} {}\n{printed}", arguments.join(" "));
    Some(printed)
}
