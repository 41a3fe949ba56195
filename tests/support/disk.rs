//! A small disk of a test's own, which needs the right to mount one.

#![allow(dead_code, reason = "not every tier fills one")]

use std::{io::Write, path::PathBuf, process::Command};

use super::{Site, script::say};

/// A disk of two megabytes. Dropped, it is gone.
pub struct Disk(PathBuf);

impl Disk {
    /// At a directory of the site; `None`, with a word, where this machine does not let us mount one.
    pub fn mount(site: &Site, test: &str) -> Option<Self> {
        let directory = site.directory().join("disk");
        std::fs::create_dir(&directory).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "secret-service-test"])
            .arg(&directory)
            .output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(directory));
        }
        say(&format!("{test}: SKIPPED, a disk can't be mounted here"));
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no byte.
    pub fn fill(&self) {
        let mut filler = std::fs::File::create(self.filler()).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
    }

    pub fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    /// Where a database is on it.
    pub fn database(&self) -> PathBuf {
        self.0.join("serve.db")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // What still has files open there goes on having them.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
