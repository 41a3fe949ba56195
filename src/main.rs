//! Parses the command line and runs one command.

#![forbid(unsafe_code)]

use std::{alloc::System, process::ExitCode};

use clap::Parser;
use secret_service::{cli::Cli, quote::Quote};
use zeroizing_alloc::ZeroAlloc;

/// Wipes all memory that is given back: values pass through buffers of the SDKs, of HTTP and of TLS, which do not wipe theirs.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads to work with: {}", Quote::error(&error));
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(run());
    // A thread that waits for a file on a disk that hangs is not waited for.
    runtime.shutdown_background();
    code
}

async fn run() -> ExitCode {
    let cli = Cli::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another cryptography provider was installed before ours");
        return ExitCode::FAILURE;
    }
    cli.run().await
}
