//! The TypeScript client against the real binary: its own tests, which start, kill and restart `secret-service dev` as they need.

#[path = "support/script.rs"]
mod script;

use script::{passes, say};

// One test, because both use the packages that whoever comes first installs.
#[test]
fn the_typescript_client_passes_its_linters_and_tests() {
    for verb in ["lint", "test"] {
        let printed = passes("web-client", &[verb]).unwrap_or_default();
        for skipped in printed.lines().filter(|line| line.contains("# SKIP")) {
            say(&format!("SKIPPED in the TypeScript client's {verb}: {}", skipped.trim()));
        }
    }
}
