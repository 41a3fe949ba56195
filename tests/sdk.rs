//! The truth tier: Azure's own Python and Go SDKs on their production defaults, against the Key Vault double of `secret-service dev`,
//! which they reach under Azure's own names through its proxy. Each SDK has a `dev` of its own.

#[path = "support/script.rs"]
mod script;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use script::say;
use serde_json::Value;
use tempfile::TempDir;

/// Nothing on loopback takes this long, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn azures_python_sdk_works_with_the_double() {
    let made = Command::new(root().join("scripts/python-sdk")).output().expect("the script is there");
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "scripts/python-sdk: {said}");
    let python = root().join(".cache/python-sdk/bin/python");
    if !python.exists() {
        return say(&format!("SKIPPED Azure's Python SDK: {said}"));
    }
    let mut command = Command::new(python);
    let tests = root().join("tests/sdk/python");
    command.args(["-B", "-m", "pytest", "-q", "-p", "no:cacheprovider"]).arg(tests);
    Dev::start().run("Azure's Python SDK", command);
}

#[test]
fn azures_go_sdk_works_with_the_double() {
    if !Command::new("go").arg("version").output().is_ok_and(|output| output.status.success()) {
        return say("SKIPPED Azure's Go SDK: there is no go");
    }
    // Built before the way to the outside is closed: a cold machine downloads modules.
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("azure-go-sdk");
    let mut build = Command::new("go");
    build.args(["test", "-p", "2", "-c", "-o"]).arg(&program).current_dir(root().join("tests/sdk/go"));
    let built = build.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut command = Command::new(program);
    command.arg("-test.v");
    Dev::start().run("Azure's Go SDK", command);
}

/// A `dev` on a directory and ports of its own. Dropped, it is killed.
struct Dev {
    child: Child,
    place: PathBuf,
    told: Value,
    _directory: TempDir,
}

impl Dev {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let place = directory.path().join("data/dev.json");
        let mut command = Command::new(env!("CARGO_BIN_EXE_secret-service"));
        command.args(["dev", "--listen", "127.0.0.1:0", "--data-dir"]).arg(directory.path().join("data"));
        for (variable, _) in std::env::vars() {
            // What the machine has set must not decide a test.
            if ["SECRET_SERVICE_", "AZURE_", "KUBE"].iter().any(|prefix| variable.starts_with(prefix)) {
                command.env_remove(variable);
            }
        }
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let mut dev =
            Self { child: command.spawn().unwrap(), place, told: Value::Null, _directory: directory };
        let begun = Instant::now();
        while !dev.place.exists() {
            assert!(begun.elapsed() < PATIENCE, "dev was never ready");
            std::thread::sleep(Duration::from_millis(20));
        }
        dev.told = serde_json::from_slice(&std::fs::read(&dev.place).unwrap()).unwrap();
        dev
    }

    /// Runs tests whose only way to the vault is what `dev` says of it; shows what they print, and fails as they do.
    fn run(&self, what: &str, mut command: Command) {
        let told = |key: &str| self.told[key].as_str().unwrap_or_else(|| panic!("dev.json lacks {key}"));
        let (ca, secret) = (told("vault_ca"), std::fs::read_to_string(told("vault_client_secret_file")));
        command
            .envs([("HTTPS_PROXY", told("vault_proxy")), ("SSL_CERT_FILE", ca), ("REQUESTS_CA_BUNDLE", ca)])
            .env("AZURE_TENANT_ID", told("vault_tenant_id"))
            .env("AZURE_CLIENT_ID", told("vault_client_id"))
            .env("AZURE_CLIENT_SECRET", secret.unwrap())
            .env("DEV_JSON", &self.place)
            .stdin(Stdio::null());
        for variable in ["https_proxy", "NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        say(&format!("{what}:\n{out}{err}"));
        assert!(output.status.success(), "{what} disagrees with the double: its own output says where");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
