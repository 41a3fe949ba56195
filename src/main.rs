//! The process: its allocator and its exit code. All else is in the library, where it is compiled once.

#![forbid(unsafe_code)]

use std::{alloc::System, process::ExitCode};

use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is given back: values pass through buffers of the SDKs, of HTTP and of TLS, which do not wipe theirs.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    secret_service::cli::main()
}
