//! The console: its sources against its linters, the page in the tree against its sources, and the page of the real binary in a real
//! browser, on doubles and on a real control plane.

#[macro_use]
mod support;
#[path = "process/process.rs"]
mod process;

use process::{Process, configuration};
use serde_json::json;
use support::{
    Site, control_plane,
    script::{passes, passes_with, say},
};

// One test, because all use the packages that whoever comes first installs, and a browser needs a processor for itself.
#[test]
fn the_console_passes_its_linters_and_tests_and_is_what_its_sources_make() {
    needs!(the_double, the_direct_engine);
    for verb in ["lint", "test", "check"] {
        passes("web-console", &[verb]);
    }
    let printed = passes("web-console", &["e2e"]).unwrap_or_default();
    for skipped in printed.lines().filter(|line| line.trim_start().starts_with("- ")) {
        say(&format!("SKIPPED in the browser: {}", skipped.trim()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn create_new_in_the_browser_reaches_a_real_control_plane() {
    needs!(the_control_plane, the_direct_engine);
    let site = Site::start().await;
    let served = format!("{}\n", configuration(&site, 0)).replace("[server]\n", "[server]\nconsole = true\n");
    let process = Process::serve_as(&site, &served, &[]).await;
    let place = json!({
        "url": format!("http://{}", process.address()),
        "kubeconfig": control_plane::shared().await.admin_kubeconfig(),
        "namespace": site.namespace,
    });
    let variables = [("E2E_PLACE", place.to_string())];
    let browser = move || {
        let variables = variables.each_ref().map(|(name, value)| (*name, value.as_str()));
        passes_with("web-console", &["e2e", "edge.spec.ts"], &variables)
    };
    tokio::task::spawn_blocking(browser).await.unwrap();
    assert!(process.terminate().await.success());
}
