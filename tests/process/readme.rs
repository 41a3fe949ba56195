//! The README's walk, word for word: its commands are run against a `dev` of its own, and what it shows must be what comes.

use std::{path::Path, process::Command};

use tempfile::TempDir;

use super::process::{BINARY, free_port};
use crate::support::{PATIENCE, script::say};

const README: &str = include_str!("../../README.md");

/// A command of the README and the lines that it shows beneath; a line `…` stands for any number of others.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn steps() -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let blocks =
        README.split("```console\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    for line in blocks.flat_map(str::lines) {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(step)) if is_open(&step.command) => {
                step.command.push('\n');
                step.command.push_str(line);
            }
            (None, Some(step)) => step.shown.push(line.trim().to_owned()),
            (None, None) => panic!("a block of the README begins with output: {line}"),
        }
    }
    steps
}

/// Whether a command goes on in the next line.
fn is_open(command: &str) -> bool {
    command.ends_with('\\') || command.matches('\'').count() % 2 == 1
}

/// Whether the lines that are shown come in this order, without gaps but where `…` stands.
fn comes(shown: &[String], printed: &str) -> Result<(), String> {
    let mut lines = printed.lines().map(str::trim).filter(|line| !line.is_empty());
    let mut gap = false;
    for wanted in shown.iter().filter(|line| !line.is_empty()) {
        if wanted == "…" {
            gap = true;
            continue;
        }
        let found = match gap {
            true => lines.any(|line| fits(wanted, line)),
            false => lines.next().is_some_and(|line| fits(wanted, line)),
        };
        if !found {
            return Err(format!("the README shows {wanted:?}, which does not come in\n{printed}"));
        }
        gap = false;
    }
    Ok(())
}

/// A `…` within a line stands for any text.
fn fits(wanted: &str, line: &str) -> bool {
    let mut rest = line;
    let parts: Vec<_> = wanted.split('…').collect();
    for (place, part) in parts.iter().enumerate() {
        match rest.find(part) {
            Some(at) if place > 0 || at == 0 => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty() || wanted.ends_with('…')
}

fn have(tool: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A `dev` on ports of its own. Dropped, it is killed.
struct Dev(std::process::Child);

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn dev(data: &Path, port: u16, engine: &str) -> Dev {
    let dev = Command::new(BINARY.as_str())
        .args(["dev", "--engine", engine, "--listen", &format!("127.0.0.1:{port}"), "--data-dir"])
        .arg(data)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let begun = std::time::Instant::now();
    while !data.join("dev.json").exists() {
        assert!(begun.elapsed() < PATIENCE, "dev was never ready");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Dev(dev)
}

#[test]
fn the_readme_walkthrough_produces_the_output_it_shows() {
    walk("direct");
}

#[test]
fn the_readme_walkthrough_is_the_same_with_the_secret_store_engine() {
    walk("secret-store");
}

fn walk(engine: &str) {
    let missing: Vec<_> = ["grpcurl", "kubectl"].into_iter().filter(|tool| !have(tool)).collect();
    if !missing.is_empty() {
        say(&format!("SKIPPED the README's walk: {} not installed", missing.join(" and ")));
        return;
    }
    let directory = TempDir::new().unwrap();
    let (data, port) = (directory.path().join("data"), free_port());
    let _dev = dev(&data, port, engine);
    let steps = steps();
    assert!(steps.len() >= 10, "the walk is in the README");
    for step in steps {
        let command = step
            .command
            .replace("127.0.0.1:50051", &format!("127.0.0.1:{port}"))
            .replace(".secret-service", data.to_str().unwrap());
        let output =
            Command::new("bash").args(["-c", &format!("set -o pipefail\n{command} 2>&1")]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        comes(&step.shown, &printed).unwrap_or_else(|error| panic!("$ {}\n{error}", step.command));
    }
}

#[test]
fn a_shown_line_with_an_ellipsis_matches_only_its_surrounding_text() {
    assert!(fits("a … c", "a b c") && fits("a…", "abc") && fits("abc", "abc"));
    assert!(!fits("a … c", "a b d") && !fits("b", "abc") && !fits("ab", "abc"));
}
