//! Searches every file below a directory for what must not stand in any.

use std::{io::ErrorKind, path::Path};

/// How many files were looked at, and those that hold the needle.
pub fn files_with(needle: &[u8], directory: &Path) -> (usize, Vec<String>) {
    let (mut looked_at, mut found) = (0, Vec::new());
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let (below, found_below) = files_with(needle, &path);
            looked_at += below;
            found.extend(found_below);
        } else {
            // SQLite takes its log away when the last connection closes, which may be between the look and the read.
            let bytes = match std::fs::read(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                bytes => bytes.unwrap(),
            };
            looked_at += 1;
            if bytes.windows(needle.len()).any(|window| window == needle) {
                found.push(path.display().to_string());
            }
        }
    }
    (looked_at, found)
}
