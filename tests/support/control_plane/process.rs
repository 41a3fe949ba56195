//! A process of the control plane: started on a leash, so that it can't outlive us.

use std::{
    fs::{File, OpenOptions},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// Names, for the wrappers in `tests/control-plane`, the directory that goes with the last of them.
const DIRECTORY: &str = "CONTROL_PLANE_DIRECTORY";

/// A running process. Dropped, it is killed.
///
/// It holds the reading end of a pipe whose other end is ours: when this process is gone, however it went, that one ends too.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts the program `name` of `bin`, with its log in `directory`.
    pub fn start(bin: &Path, name: &str, arguments: &[String], directory: &Path) -> Self {
        let log = directory.join(format!("{name}.log"));
        let output = || -> File { OpenOptions::new().create(true).append(true).open(&log).unwrap() };
        let child = Command::new(bin.join(name))
            .args(arguments)
            .env_clear()
            .env(DIRECTORY, directory)
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(output())
            .stderr(output())
            // A Ctrl-C on the terminal is for us alone.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} can't be started: {error}"));
        Self { child, log }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of its log, if it has ended by itself.
    pub fn last_words(&mut self) -> Option<String> {
        let status = self.child.try_wait().unwrap()?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        Some(format!(
            "{} ended, {status}:\n{}",
            self.log.display(),
            lines[lines.len().saturating_sub(20)..].join("\n")
        ))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
