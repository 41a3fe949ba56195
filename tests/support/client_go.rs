//! Runs Kubernetes' own Go client (`tests/client-go`) on a cluster, and says what it says.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use super::script::say;

/// Runs the tests as the administrator of `kubeconfig`, and fails where they do. Skipped, said so, where there is no Go.
pub fn passes_on(cluster: &str, kubeconfig: &Path) {
    if !Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
        return say(&format!("SKIPPED client-go on {cluster}: there is no go"));
    }
    let output = Command::new("go")
        .args(["test", "-p", "2", "-count=1", "-v", "./..."])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client-go"))
        .env("KUBECONFIG", kubeconfig)
        .stdin(Stdio::null())
        .output()
        .expect("go was there a moment ago");
    let printed =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if !output.status.success() {
        say(&printed);
        panic!("client-go disagrees with {cluster}: its own output says where");
    }
    let count = |verdict: &str| printed.lines().filter(|line| line.starts_with(verdict)).count();
    let (passed, skipped) = (count("--- PASS"), count("--- SKIP"));
    assert!(passed > 0, "client-go has no tests:\n{printed}");
    for line in printed.lines().filter(|line| line.contains("SKIPPED") || line.starts_with("ok ")) {
        say(&format!("client-go on {cluster}: {}", line.trim()));
    }
    say(&format!("client-go on {cluster}: {passed} passed, {skipped} skipped"));
}
