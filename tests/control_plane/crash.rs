//! The process that started a control plane ends, in whatever way: nothing runs on, nothing lies around.

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use crate::control_plane::{CLUSTER, ControlPlane};

/// Makes the test below, in a process of its own, start a control plane and keep it.
const HOLD: &str = "SECRET_SERVICE_TEST_HOLD_CONTROL_PLANE";
/// Within this everything is gone.
const GONE: Duration = Duration::from_secs(2);

#[test]
fn a_killed_parent_leaves_no_process_of_the_control_plane() {
    needs!(the_control_plane);
    let (mut parent, processes, directory) = holder();
    assert_eq!(processes.len(), 3);
    assert!(processes.iter().all(|id| runs(id)) && directory.exists());
    parent.kill().unwrap();
    parent.wait().unwrap();
    until_gone(&processes, &directory);
}

#[tokio::test]
async fn a_dropped_control_plane_leaves_nothing() {
    needs!(the_control_plane);
    let plane = ControlPlane::start().await;
    let processes: Vec<String> = plane.ids().iter().map(ToString::to_string).collect();
    let directory = plane.directory().to_owned();
    drop(plane);
    assert!(!processes.iter().any(|id| runs(id)) && !directory.exists());
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn holds_a_control_plane_for_the_kill_test() {
    if std::env::var_os(HOLD).is_none() {
        return;
    }
    let plane = ControlPlane::start().await;
    let ids: Vec<String> = plane.ids().iter().map(ToString::to_string).collect();
    // Past the capture of the test runner.
    writeln!(std::io::stdout(), "\nholding {} {}", plane.directory().display(), ids.join(" ")).unwrap();
    std::future::pending::<()>().await;
}

/// Another process with a control plane: it, the ids of the plane's processes, and its directory.
fn holder() -> (Child, Vec<String>, PathBuf) {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::holds_a_control_plane_for_the_kill_test", "--nocapture"])
        .env(HOLD, "1")
        .env(CLUSTER.0, CLUSTER.1)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let held = lines.map(Result::unwrap).find_map(|line| Some(line.strip_prefix("holding ")?.to_owned()));
    let held = held.expect("it says what it holds");
    let mut words = held.split(' ').map(str::to_owned);
    let directory = PathBuf::from(words.next().unwrap());
    (parent, words.collect(), directory)
}

fn until_gone(processes: &[String], directory: &Path) {
    let begun = Instant::now();
    while processes.iter().any(|id| runs(id)) || directory.exists() {
        assert!(begun.elapsed() < GONE, "left behind: {processes:?}, {}", directory.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process is there and does something; what has ended may wait for someone who asks how.
fn runs(id: &str) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { return false };
    stat.rsplit(") ").next().is_some_and(|rest| !rest.starts_with('Z'))
}
