//! The console: its sources against its linters, the page in the tree against its sources, and the page in a browser against the
//! real binary.

#[macro_use]
mod support;

use support::script::passes;

/// What the browser's tests may take of the machine, beside all that runs meanwhile.
#[test]
fn the_console_passes_its_linters_and_tests() {
    needs!(the_double, the_direct_engine);
    passes("web-console", &["lint"]);
    passes("web-console", &["test"]);
}
