//! What the database and the logs are held to: the history verifies, and nothing grows or leaks.

use std::path::Path;

use sqlx::{ConnectOptions, Row, sqlite::SqliteConnectOptions};
use tokio::process::Command;

use crate::{checks::FOREIGN, process, world::World};

/// The rows of all tables.
pub async fn rows(world: &World) -> Vec<(String, i64)> {
    let options = SqliteConnectOptions::new().filename(world.path("serve.db")).read_only(true);
    let mut connection = options.connect().await.expect("the database opens");
    let tables = sqlx::query("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name");
    let tables = tables.fetch_all(&mut connection).await.expect("there are tables");
    let mut rows = Vec::new();
    for table in tables {
        let table: String = table.get(0);
        let count = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM \"{table}\""));
        let count: i64 = sqlx::query_scalar(count).fetch_one(&mut connection).await.expect("a table");
        rows.push((table, count));
    }
    rows
}

/// Has the audit's chain verified, also against the anchor of the last time; the anchor of this time.
pub async fn verify_audit(world: &World, anchor: Option<&str>) -> Result<String, String> {
    let mut command = Command::from(process::command(&["audit", "verify", "-o", "json"]));
    command.env("SECRET_SERVICE_DATABASE_PATH", world.path("serve.db"));
    if let Some(anchor) = anchor {
        command.args(["--anchor", anchor]);
    }
    let output = command.output().await.expect("the command runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let verified: serde_json::Value = serde_json::from_str(&told).unwrap_or_default();
    match verified["anchor"].as_str() {
        Some(anchor) if output.status.success() => Ok(anchor.to_owned()),
        _ => Err(format!("the audit does not verify: {told}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Looks for panics in the logs, and for secret values in the logs and in the database; the logs that are fine are removed.
pub fn look_through_files(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    let logs = std::fs::read_dir(world.path("logs")).expect("a directory");
    let logs: Vec<_> = logs.map(|log| log.expect("a log").path()).collect();
    for log in &logs {
        if holds(log, "panicked at") {
            found.push(format!("nothing dies: {} tells of a panic", log.display()));
        }
    }
    let database = ["serve.db", "serve.db-wal"].map(|file| world.path(file));
    for file in logs.iter().chain(&database) {
        // Values of others, which no caller uses for anything else.
        for value in [&format!("{FOREIGN}vault-"), "seeded-"] {
            if holds(file, value) {
                found.push(format!("6: no value is found: {} holds one, {value:?}…", file.display()));
            }
        }
    }
    if found.is_empty() {
        logs.iter().for_each(|log| drop(std::fs::remove_file(log)));
    }
    found
}

fn holds(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).unwrap_or_default();
    memchr::memmem::find(&bytes, text.as_bytes()).is_some()
}
