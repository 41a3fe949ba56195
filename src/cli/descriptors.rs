//! The limit of open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::quote::Quote;

/// More than all connections and everything else need. Not as many as the kernel may allow: some child
/// processes close every possible descriptor one by one.
const WANTED_FILES: u64 = 65_536;

/// Raises the soft limit: its default on many machines is far too low for a server.
pub(super) fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED_FILES, |maximum| maximum.min(WANTED_FILES));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!(error = %Quote::error(&error), "can't raise the limit of open files");
    }
}
