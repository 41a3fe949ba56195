//! The Python client against the real binary: its own tests, which start, kill and restart `secret-service dev` as they need.

use std::{path::Path, process::Command};

/// What `scripts/python-client` ends with where there is no Python that the client runs on.
const NO_PYTHON: i32 = 77;

fn verb(verb: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(root.join("scripts/python-client"))
        .arg(verb)
        .current_dir(root)
        .env("SECRET_SERVICE_BINARY", env!("CARGO_BIN_EXE_secret-service"))
        .output()
        .expect("the script is there");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.code() == Some(NO_PYTHON) {
        eprintln!("SKIPPED the Python client's {verb}: {}", printed.trim());
        return;
    }
    assert!(output.status.success(), "scripts/python-client {verb}\n{printed}");
}

// One test, because both use the virtual environment that whoever comes first makes.
#[test]
fn the_python_client_is_clean_and_does_what_its_tests_promise() {
    verb("lint");
    verb("test");
}
