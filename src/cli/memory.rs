//! Keeps secret values in memory out of core dumps and away from other processes of the same user.

use rustix::{
    io,
    process::{Resource, Rlimit, setrlimit},
};

use crate::quote::Quote;

/// Turns off core dumps and, on Linux, inspection by other processes. If the kernel refuses, the process runs
/// anyway.
pub(super) fn protect() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none).and_then(|()| forbid_inspection()) {
        tracing::warn!(
            error = %Quote::error(&error),
            "can't protect the memory of this process: a core dump could contain secret values"
        );
    }
}

/// Forbids other processes of the same user to attach to this one or to read its memory.
#[cfg(target_os = "linux")]
fn forbid_inspection() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

/// Only Linux has this switch. macOS protects signed binaries by itself; dev builds can be inspected there.
#[cfg(not(target_os = "linux"))]
fn forbid_inspection() -> io::Result<()> {
    Ok(())
}
