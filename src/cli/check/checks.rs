//! The checks themselves: each tries what the service will do, under the deadlines of the configuration.

use std::{path::Path, time::Duration};

use rustix::fs::{Access, access, statvfs};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::report::{Report, Row};
use crate::{
    cli::{
        Failure,
        settings::{edge_options, usage_options, vault_options},
    },
    config::Config,
    edge::{Edge, EdgeError, Index, USAGE_VERBS, Usages},
    model::{Condition, ConditionType, Status},
    secrets::check_vault,
    store::{self, Schema},
    vault::{self, Vault},
};

/// What the database should be able to grow by.
const ROOM: u64 = 256 * 1024 * 1024;
/// Names of changed Secrets that a trial of the watch has room for; nobody reads them.
const CHANGED_BUFFER: usize = 1024;

const DATABASE: &str = "database: whole, of a known schema, writable";
const DISK: &str = "database: room on the disk";
const CLUSTER: &str = "cluster: configured";
const NAMESPACE: &str = "cluster: the namespace is there";
const RIGHTS: &str = "cluster: rights on Secrets";
const WATCH: &str = "cluster: Secrets can be watched";
const USES: &str = "cluster: what uses Secrets can be seen";

/// Runs them all.
pub(super) async fn run(config: &Config) -> Result<Report, Failure> {
    let options = vault_options(config)?;
    let (database, vault, cluster) =
        tokio::join!(database(&config.database.path), check_the_vault(&options), cluster(config));
    let mut rows =
        vec![Row::yes("configuration", "Every field is valid, and every file that it names is there.")];
    rows.extend(database);
    rows.extend(vault);
    rows.extend(cluster);
    Ok(Report(rows))
}

async fn database(path: &Path) -> Vec<Row> {
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // SQLite writes files beside the database, so the directory counts as much as the file.
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!(
            "The directory {} can't be written: {error}. Create it for the service's user, or set database.path.",
            directory.display()
        );
        return vec![Row::no(DATABASE, found), Row::unknown(DISK, "The directory can't be used.")];
    }
    let whole = match store::inspect(path).await {
        Ok(Schema::Absent) => {
            Row::yes(DATABASE, format!("{} will be made at the first start.", path.display()))
        }
        Ok(Schema::Current) => Row::yes(DATABASE, format!("{} is ready.", path.display())),
        Ok(Schema::Older { missing }) => {
            let found = format!("{} will be migrated at the next start ({missing} steps).", path.display());
            Row::yes(DATABASE, found)
        }
        Err(error) => {
            let remedy = "Look at the file's owner and mode, or restore a backup.";
            Row::no(DATABASE, format!("{}: {error}. {remedy}", path.display()))
        }
    };
    vec![whole, disk(directory)]
}

fn disk(directory: &Path) -> Row {
    match statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let found = format!("{} MiB are free.", free / (1024 * 1024));
            if free >= ROOM {
                Row::yes(DISK, found)
            } else {
                Row::no(DISK, format!("{found} Make room for {} MiB at least.", ROOM / (1024 * 1024)))
            }
        }
        Err(error) => Row::unknown(DISK, format!("The disk does not say: {error}.")),
    }
}

async fn check_the_vault(options: &vault::Options) -> Vec<Row> {
    let vault = match Vault::connect(options) {
        Ok(vault) => vault,
        Err(error) => return vec![Row::no("vault: configured", format!("{error}. {}", error.remedy()))],
    };
    let conditions = check_vault(&vault).await;
    let answers =
        conditions.iter().all(|held| held.kind != ConditionType::Reachable || held.status == Status::True);
    conditions.into_iter().map(|condition| of_condition(condition, answers)).collect()
}

fn of_condition(condition: Condition, answers: bool) -> Row {
    let check = match condition.kind {
        ConditionType::Reachable => "vault: answers, and accepts our token",
        ConditionType::CanList => "vault: may list secrets",
        ConditionType::CanGet => "vault: may read values",
        ConditionType::CanCreate => "vault: may create secrets",
        other => other.as_str(),
    };
    match condition.status {
        Status::True => Row::yes(check, condition.message),
        Status::False => Row::no(check, condition.message),
        Status::Unknown if answers => Row::unknown(check, condition.message),
        Status::Unknown => Row::unknown(check, "Nobody can tell before the vault answers."),
    }
}

async fn cluster(config: &Config) -> Vec<Row> {
    let edge = match Edge::connect(&edge_options(config)).await {
        Ok(edge) => edge,
        Err(error) => return vec![row(CLUSTER, Err(error), "")],
    };
    let found = format!("{} is there and takes Secrets.", config.kubernetes.namespace.0);
    let namespace = edge.check_namespace().await;
    if namespace.as_ref().is_err_and(EdgeError::is_transient) {
        let nobody = |check| Row::unknown(check, "Nobody can tell before the cluster answers.");
        return vec![row(NAMESPACE, namespace, &found), nobody(RIGHTS), nobody(WATCH), nobody(USES)];
    }
    let usages = Usages::new(edge.clone(), usage_options(config));
    let (rights, watch, uses) =
        tokio::join!(rights(&edge), watch(&edge, config.kubernetes.timeout), uses(&usages));
    vec![row(NAMESPACE, namespace, &found), rights, watch, uses]
}

async fn rights(edge: &Edge) -> Row {
    let permissions = match edge.permissions().await {
        Ok(permissions) => permissions,
        Err(error) => return row(RIGHTS, Err(error), ""),
    };
    let verbs = |allowed: bool| {
        let verbs = permissions.iter().filter(|permission| permission.allowed == allowed);
        verbs.map(|permission| permission.verb).collect::<Vec<_>>().join(", ")
    };
    match verbs(false) {
        missing if missing.is_empty() => Row::yes(RIGHTS, format!("May {} Secrets.", verbs(true))),
        missing => {
            let found = format!(
                "May not {missing} Secrets. Bind the service's account to a Role with these verbs in the namespace {}.",
                edge.namespace()
            );
            Row::no(RIGHTS, found)
        }
    }
}

async fn uses(usages: &Usages) -> Row {
    match usages.forbidden_groups().await {
        Ok(groups) if groups.is_empty() => {
            Row::yes(USES, "May list and watch all kinds that the rules look into.")
        }
        Ok(groups) => {
            let found = format!(
                "May not {} the resources of {}. Bind the service's account to a Role as deploy/role.yaml has it; without, \
                 nobody knows what uses a synced secret, and deletions need force.",
                USAGE_VERBS.join(" and "),
                groups.join(", ")
            );
            Row::no(USES, found)
        }
        Err(error) => row(USES, Err(error), ""),
    }
}

/// Watches until the first list is complete.
async fn watch(edge: &Edge, timeout: Duration) -> Row {
    let (index, stop) = (Index::new(), CancellationToken::new());
    let (changed, _names) = mpsc::channel(CHANGED_BUFFER);
    let mut healthy = index.healthy();
    let up = async {
        // The sender lives in the watch, which runs beside this.
        let up = tokio::time::timeout(timeout, healthy.wait_for(|healthy| healthy.is_some())).await;
        let up = matches!(up, Ok(Ok(healthy)) if *healthy == Some(true));
        stop.cancel();
        up
    };
    let ((), up) = tokio::join!(index.run(edge.clone(), changed, stop.clone()), up);
    match up {
        true => Row::yes(WATCH, "The watch is up."),
        false => {
            let found =
                "The watch does not come up. Grant list and watch, and see that no proxy cuts long answers.";
            Row::no(WATCH, found)
        }
    }
}

fn row(check: &'static str, found: Result<(), EdgeError>, good: &str) -> Row {
    match found {
        Ok(()) => Row::yes(check, good),
        Err(error) => Row::no(check, format!("{error}. {}", error.remedy())),
    }
}
