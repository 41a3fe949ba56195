//! The file descriptors of the process: connections leave enough for the database, the vault, the cluster and
//! the TLS files.

use rustix::process::{Resource, getrlimit};

use crate::api::options::Limits;

/// The most file descriptors that anything but connections uses.
const RESERVED: usize = 256;

/// Lowers the limit on connections if the process may not open as many files.
pub(crate) fn fit(limits: &mut Limits) {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    if let Some(files) = files {
        fit_into(files, limits);
    }
}

fn fit_into(files: usize, limits: &mut Limits) {
    let room = files.saturating_sub(RESERVED + limits.unix_connections + limits.metrics_connections).max(1);
    if limits.connections > room {
        tracing::warn!(
            files,
            configured = limits.connections,
            connections = room,
            "lowered limits.connections: the process may not open enough files; raise its limit of open files (ulimit -n)"
        );
        limits.connections = room;
    }
    limits.open_connections = limits.open_connections.min(limits.connections);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_file_descriptors_for_everything_else() {
        let mut limits = Limits::default();
        fit_into(1_024, &mut limits);
        let taken = limits.connections + limits.unix_connections + limits.metrics_connections;
        assert_eq!(taken + RESERVED, 1_024);
        let mut roomy = Limits::default();
        fit_into(20_000, &mut roomy);
        assert_eq!(roomy.connections, Limits::default().connections);
    }
}
