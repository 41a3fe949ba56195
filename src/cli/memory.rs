//! Keeps what is in memory there: no core dumps, and no look into the process by others of the same user.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::quote::Quote;

/// Asks the kernel for it; a kernel that refuses is no reason not to run.
pub(super) fn guard() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let guarded =
        setrlimit(Resource::Core, none).and_then(|()| set_dumpable_behavior(DumpableBehavior::NotDumpable));
    if let Err(error) = guarded {
        tracing::warn!(error = %Quote::error(&error), "the memory of this process is not guarded: a core dump could hold secret values");
    }
}
