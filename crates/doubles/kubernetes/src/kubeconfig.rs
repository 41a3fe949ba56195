//! The admin's token and kubeconfig, readable by the owner only.

use std::{
    fs, io,
    io::Write as _,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::json;
use url::Url;

/// The token of a directory; created if there is none.
pub(super) fn admin_token(directory: &Path) -> io::Result<String> {
    let path = directory.join("kubernetes.token");
    match fs::read_to_string(&path) {
        Ok(token) => Ok(token),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 24];
            aws_lc_rs::rand::fill(&mut bytes).map_err(|_| io::Error::other("no randomness"))?;
            let token = hex::encode(bytes);
            private(&path, token.as_bytes())?;
            Ok(token)
        }
        Err(error) => Err(error),
    }
}

/// Writes the kubeconfig and returns its path.
pub(super) fn write(
    directory: &Path,
    server: &Url,
    ca_pem: &str,
    token: &str,
    namespace: &str,
) -> io::Result<PathBuf> {
    let (name, path) = ("secret-service-dev", directory.join("kubeconfig"));
    let server = server.as_str().trim_end_matches('/');
    let cluster = json!({ "server": server, "certificate-authority-data": STANDARD.encode(ca_pem) });
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": name, "cluster": cluster }],
        "users": [{ "name": name, "user": { "token": token } }],
        "contexts": [{ "name": name, "context": { "cluster": name, "user": name, "namespace": namespace } }],
        "current-context": name,
    });
    let text = serde_yaml_ng::to_string(&config).map_err(io::Error::other)?;
    private(&path, text.as_bytes())?;
    // Absolute, for programs that run in another directory.
    fs::canonicalize(path)
}

fn private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(bytes)
}
