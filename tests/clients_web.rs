//! The TypeScript client against the real binary: its own tests, which start, kill and restart `secret-service dev` as they need.

use std::{path::Path, process::Command};

/// What `scripts/web-client` ends with where there is no Node that the client runs on.
const NO_NODE: i32 = 77;

fn verb(verb: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("scripts/web-client"))
        .arg(verb)
        .current_dir(root)
        .env("SECRET_SERVICE_BINARY", env!("CARGO_BIN_EXE_secret-service"))
        .output()
        .expect("the script is there");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NO_NODE) {
        eprintln!("SKIPPED the TypeScript client's {verb}: {}", printed.trim());
        return;
    }
    assert!(output.status.success(), "scripts/web-client {verb}\n{printed}");
    for skipped in printed.lines().filter(|line| line.contains("# SKIP")) {
        eprintln!("SKIPPED in the TypeScript client's {verb}: {}", skipped.trim());
    }
}

// One test, because both use the packages that whoever comes first installs.
#[test]
fn the_typescript_client_is_clean_and_does_what_its_tests_promise() {
    verb("lint");
    verb("test");
}
