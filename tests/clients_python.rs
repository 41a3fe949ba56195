//! The Python client against the real binary: its own tests, which start, kill and restart `secret-service dev` as they need.

#[path = "support/script.rs"]
mod script;

use script::passes;

// One test, because both use the virtual environment that whoever comes first makes.
#[test]
fn the_python_client_passes_its_linters_and_tests() {
    passes("python-client", &["lint"]);
    passes("python-client", &["test"]);
}
