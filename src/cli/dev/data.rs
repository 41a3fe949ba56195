//! The data directory of dev mode: private to its owner, used by one process at a time, ignored by version
//! control.

use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::cli::{CommandError, lock::Lock};

/// Addresses and files of dev mode; exists while it is ready.
const ENDPOINTS_FILE: &str = "dev.json";
/// State that is kept between runs.
const STATE_FILE: &str = "remembered.json";
/// Also marks a directory as created by dev mode.
const GITIGNORE: &str = ".gitignore";

/// A locked data directory.
pub(super) struct DataDirectory {
    path: PathBuf,
    _lock: Lock,
}

/// State that a run leaves for the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct State {
    /// The port of the Key Vault.
    pub vault_port: u16,
    /// The port of the proxy that routes Azure's host names to it.
    pub proxy_port: u16,
    /// The port of the Kubernetes API.
    pub kube_port: u16,
    /// Whether the vault got its sample secrets, and the cluster the resources that name secrets.
    pub seeded: bool,
}

impl DataDirectory {
    /// Locks the directory, creates it if it does not exist, and removes the dev.json of an earlier run.
    pub fn open(path: &Path) -> Result<Self, CommandError> {
        let failed =
            |error: io::Error| CommandError::failed(format!("--data-dir {}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
        let path = path.canonicalize().map_err(failed)?;
        if is_foreign(&path).map_err(failed)? {
            return Err(CommandError::usage(format!(
                "--data-dir {}: not empty, and not created by dev mode. Choose another directory; it need \
                 not exist",
                path.display()
            )));
        }
        fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(failed)?;
        fs::write(path.join(GITIGNORE), "*\n").map_err(failed)?;
        let lock = Lock::acquire(&path, path.join("dev.lock")).map_err(CommandError::failed)?;
        let directory = Self { path, _lock: lock };
        directory.unpublish();
        Ok(directory)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn database(&self) -> PathBuf {
        self.path.join("secret-service.db")
    }

    /// A subdirectory, created if it does not exist.
    pub fn subdirectory(&self, name: &str) -> Result<PathBuf, CommandError> {
        let path = self.path.join(name);
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&path)
            .map_err(|error| CommandError::failed(format!("{}: {error}", path.display())))?;
        Ok(path)
    }

    /// The state of the last run; the default if there is none or it can't be read.
    pub fn load_state(&self) -> State {
        let text = fs::read(self.path.join(STATE_FILE)).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Stores the state for the next run.
    pub fn save_state(&self, remembered: &State) -> Result<(), CommandError> {
        self.write(STATE_FILE, &to_json(remembered)).map(|_| ())
    }

    /// Writes dev.json.
    pub fn publish(&self, place: &impl Serialize) -> Result<PathBuf, CommandError> {
        self.write(ENDPOINTS_FILE, &to_json(place))
    }

    /// Removes dev.json, because it is no longer true.
    pub fn unpublish(&self) {
        let path = self.path.join(ENDPOINTS_FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, path = %path.display(), "can't remove an outdated file");
            }
            _ => {}
        }
    }

    /// Writes a file that only its owner can read, atomically.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, CommandError> {
        let (path, draft) = (self.path.join(name), self.path.join(format!(".{name}.draft")));
        let written = || {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&draft, &path)
        };
        written().map_err(|error| CommandError::failed(format!("{}: {error}", path.display())))?;
        Ok(path)
    }
}

/// Whether the directory is not empty and was not created by dev mode.
fn is_foreign(path: &Path) -> io::Result<bool> {
    let is_ours = fs::read_to_string(path.join(GITIGNORE)).is_ok_and(|text| text == "*\n");
    Ok(!is_ours && fs::read_dir(path)?.next().is_some())
}

fn to_json(value: &impl Serialize) -> Vec<u8> {
    let mut json = serde_json::to_vec_pretty(value).expect("plain data is always JSON");
    json.push(b'\n');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn the_directory_is_private_to_its_owner_and_ignored_by_git() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(&parent.path().join("a/b")).unwrap();
        assert_eq!(mode(data.path()), 0o700);
        assert_eq!(fs::read_to_string(data.path().join(".gitignore")).unwrap(), "*\n");
        let published = data.publish(&serde_json::json!({"grpc": "127.0.0.1:1"})).unwrap();
        assert_eq!(mode(&published), 0o600);
    }

    #[test]
    fn opening_the_directory_removes_a_stale_dev_json_and_loads_the_saved_state() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDirectory::open(parent.path()).unwrap();
        let remembered = State { vault_port: 1, proxy_port: 3, kube_port: 2, seeded: true };
        data.save_state(&remembered).unwrap();
        data.publish(&serde_json::json!({})).unwrap();
        drop(data);

        let data = DataDirectory::open(parent.path()).unwrap();
        assert!(!data.path().join("dev.json").exists());
        assert_eq!(data.load_state(), remembered);
    }

    #[test]
    fn a_second_dev_mode_and_a_directory_of_someone_else_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataDirectory::open(parent.path()).unwrap();
        assert!(DataDirectory::open(parent.path()).is_err());
        drop(held);

        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("thesis.tex"), "").unwrap();
        assert!(DataDirectory::open(home.path()).is_err());
        assert!(!home.path().join(".gitignore").exists());
    }
}
