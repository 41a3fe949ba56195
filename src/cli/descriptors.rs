//! The file descriptors that the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::quote::Quote;

/// More than all connections and everything else take. Not as many as the kernel may allow: some programs that we could start close each
/// one that there could be.
const ENOUGH: u64 = 65_536;

/// Takes as many as are allowed: what is allowed by default on many machines is for programs of thirty years ago.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!(error = %Quote::error(&error), "the limit of open files of this process can't be raised");
    }
}
