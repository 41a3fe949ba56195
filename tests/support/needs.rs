//! What a test needs of what it runs on. Where that is missing, the test says that it is skipped.

use secret_service::model::SyncEngine;

use super::{control_plane::CLUSTER, engine, script::say};

/// Ends a test that can't run here: `needs!(the_double, the_direct_engine);`.
#[allow(unused_macros)]
macro_rules! needs {
    ($($what:ident),+) => {
        if $(!$crate::support::needs::$what())||+ {
            return;
        }
    };
}

/// For tests that order faults of the cluster.
pub fn the_double() -> bool {
    is_there(!is_real(), "a real cluster has no faults to order")
}

/// For tests of what only the direct engine does.
pub fn the_direct_engine() -> bool {
    is_there(engine() == SyncEngine::Direct, "the Secret Store engine does not do this")
}

/// For tests of what only the Secret Store engine does.
pub fn the_secret_store_engine() -> bool {
    is_there(engine() == SyncEngine::SecretStore, "the direct engine does not do this")
}

/// For tests of a real control plane itself.
pub fn the_control_plane() -> bool {
    is_there(is_real(), &format!("{}={} is not set", CLUSTER.0, CLUSTER.1))
}

/// Whether the tests run on a real control plane.
pub fn is_real() -> bool {
    std::env::var(CLUSTER.0).is_ok_and(|value| value == CLUSTER.1)
}

fn is_there(is_there: bool, why_not: &str) -> bool {
    if !is_there {
        // The thread of a test has its name.
        let thread = std::thread::current();
        say(&format!("{}: SKIPPED, {why_not}", thread.name().unwrap_or("a test")));
    }
    is_there
}
