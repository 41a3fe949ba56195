//! Parses the command line and runs one command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::Parser;
use secret_service::cli::Cli;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("error: another cryptography provider was installed before ours");
        return ExitCode::FAILURE;
    }
    cli.run().await
}
