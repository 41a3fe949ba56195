//! The identity of a process in leader election: the host and the database file.
//!
//! A process that restarts on the same database keeps its identity and can lead again immediately:
//! [`super::lock`] prevents two processes on one file. A copy of the database, on another host or beside it,
//! gives another identity.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use crate::store::Signer;

/// Bytes of the digest that are used.
const DIGEST_BYTES: usize = 8;
/// The host name is truncated to the length of a Kubernetes label.
const HOST_CHARS: usize = 63;

/// `HOST_DIGEST`. The digest covers what makes this database unique: its key, its path and inode, and the
/// boot ID, which differs on a copy of the whole machine.
pub(super) fn holder_identity(database: &Path, signer: &Signer) -> String {
    let place = fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let file = fs::metadata(database).map(|file| (file.dev(), file.ino())).unwrap_or_default();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let content = format!("{}\0{}\0{}\0{}", boot.trim(), file.0, file.1, place.display());
    let digest = signer.sign("holder of the Lease", content.as_bytes());
    format!("{}_{}", host(), hex::encode(&digest[..DIGEST_BYTES]))
}

/// The host name; in a pod, the name of the pod.
fn host() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let is_plain = |character: &char| character.is_ascii_alphanumeric() || "-.".contains(*character);
    let plain: String = name.chars().filter(is_plain).take(HOST_CHARS).collect();
    if plain.is_empty() { "host".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    #[tokio::test]
    async fn the_identity_survives_a_restart_and_differs_on_a_copy_of_the_database() {
        let directory = tempfile::tempdir().unwrap();
        let (here, there) = (directory.path().join("a.db"), directory.path().join("b.db"));
        let store = Store::open(&here).await.unwrap();
        let first = holder_identity(&here, &store.signer());
        store.close().await;
        let again = Store::open(&here).await.unwrap();
        assert_eq!(holder_identity(&here, &again.signer()), first);
        again.close().await;

        fs::copy(&here, &there).unwrap();
        let copy = Store::open(&there).await.unwrap();
        assert_ne!(holder_identity(&there, &copy.signer()), first, "the copy beside it");
        copy.close().await;
        fs::rename(&there, &here).unwrap();
        let replaced = Store::open(&here).await.unwrap();
        assert_ne!(holder_identity(&here, &replaced.signer()), first, "the copy in its place");
        replaced.close().await;
        fs::remove_file(&here).unwrap();
        let other = Store::open(&here).await.unwrap();
        assert_ne!(holder_identity(&here, &other.signer()), first, "another one in its place");
        other.close().await;
        let (host, digest) = first.rsplit_once('_').unwrap();
        assert!(!host.is_empty() && digest.len() == 2 * DIGEST_BYTES, "{first}");
    }
}
