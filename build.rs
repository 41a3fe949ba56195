//! Compiles the contract with protox, so that a build needs no `protoc`, and compresses the console's page.

use std::{
    env,
    error::Error,
    fmt::Write as _,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use brotli::CompressorWriter;
use flate2::{Compression, write::GzEncoder};

const CONTRACT: &str = "iotoperations/secrets/v1/secret_service.proto";
/// The messages that carry a secret value: `src/lib.rs` gives them a `Debug` that hides it.
const WITH_VALUES: [&str; 2] =
    [".iotoperations.secrets.v1.NewVaultSecret", ".iotoperations.secrets.v1.CheckResourceRequest"];

/// What Vite makes of the console.
const PAGE: &str = "clients/web/console/dist";
/// What is in it, by the endings of the files.
const MEDIA_TYPES: [(&str, &str); 10] = [
    ("css", "text/css; charset=utf-8"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("webmanifest", "application/manifest+json"),
    ("woff2", "font/woff2"),
];
/// Brotli's best quality, its largest ordinary window, and the size of its buffer.
const BROTLI: (u32, u32, usize) = (11, 22, 64 * 1024);

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rerun-if-changed={PAGE}");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile_contract(&out)?;
    embed_page(Path::new(PAGE), &out)
}

fn compile_contract(out: &Path) -> Result<(), Box<dyn Error>> {
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_file(CONTRACT)?;
    fs::write(out.join("contract.bin"), compiler.encode_file_descriptor_set())?;
    tonic_prost_build::configure()
        .build_transport(true)
        .btree_map(".")
        .skip_debug(WITH_VALUES)
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Compresses each file of the page, and writes the table of them that `src/api/server/console/asset.rs` includes.
fn embed_page(page: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    if !page.join("index.html").is_file() {
        let how = "run `npm ci && npm run build` in clients/web/console, or take back the files of the repository with \
                   `git checkout clients/web/console/dist`";
        return Err(format!("{PAGE}/index.html, the console's page, is missing: {how}").into());
    }
    let mut table = String::from("[\n");
    for (number, file) in files(page)?.iter().enumerate() {
        let path =
            file.strip_prefix(page)?.to_str().ok_or("a file of the page has a name that is not UTF-8")?;
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let media_type =
            MEDIA_TYPES.iter().find(|(known, _)| *known == ending).map(|(_, media_type)| media_type);
        let media_type = media_type.ok_or_else(|| {
            format!("{PAGE}/{path}: add the media type of .{ending} to MEDIA_TYPES in build.rs")
        })?;
        let content = fs::read(file)?;
        let (br, gz) = (out.join(format!("page-{number}.br")), out.join(format!("page-{number}.gz")));
        fs::write(&br, brotli(&content)?)?;
        fs::write(&gz, gzip(&content)?)?;
        writeln!(
            table,
            "File {{ path: {:?}, media_type: {media_type:?}, length: {}, brotli: include_bytes!({br:?}), \
             gzip: include_bytes!({gz:?}) }},",
            format!("/{path}"),
            content.len(),
        )?;
    }
    table.push(']');
    fs::write(out.join("page.rs"), table)?;
    Ok(())
}

/// All files below a directory, in an order that does not depend on the disk.
fn files(directory: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        match path.is_dir() {
            true => found.extend(files(&path)?),
            false => found.push(path),
        }
    }
    found.sort();
    Ok(found)
}

fn brotli(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let (quality, window, buffer) = BROTLI;
    let mut compressor = CompressorWriter::new(Vec::new(), buffer, quality, window);
    compressor.write_all(content)?;
    compressor.flush()?;
    Ok(compressor.into_inner())
}

fn gzip(content: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut compressor = GzEncoder::new(Vec::new(), Compression::best());
    compressor.write_all(content)?;
    Ok(compressor.finish()?)
}
