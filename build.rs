//! Compiles the contract with protox, so that a build needs no `protoc`.

use std::{env, fs, path::PathBuf};

const CONTRACT: &str = "iotoperations/secrets/v1/secret_service.proto";
/// The messages that carry a secret value: `src/lib.rs` gives them a `Debug` that hides it.
const WITH_VALUES: [&str; 2] =
    [".iotoperations.secrets.v1.NewVaultSecret", ".iotoperations.secrets.v1.CheckResourceRequest"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");

    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_file(CONTRACT)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("contract.bin"), compiler.encode_file_descriptor_set())?;

    tonic_prost_build::configure()
        .build_transport(true)
        .btree_map(".")
        .skip_debug(WITH_VALUES)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
