//! The checks of the configuration, database, backups, TLS and vault, with the configured deadlines.

use std::path::Path;

use jiff::Timestamp;
use rustix::fs::{Access, access, statvfs};

use super::{
    clock::check_clock,
    cluster,
    names::{
        BACKUP, CONFIGURATION, CheckName, DATABASE, DISK, ISSUER, TLS, VAULT, VAULT_CLOCK, VAULT_CREATE,
        VAULT_GET, VAULT_LIST, VAULT_REACHABLE,
    },
    report::{CheckResult, Report},
};
use crate::{
    access,
    api::{self, Expiry, ExpiryKind, ExpiryStatus},
    cli::{
        CommandError,
        settings::{backup_schedule, issuer_options, tls_options, vault_options},
    },
    config::Config,
    explain::Explain,
    model::{Condition, ConditionType, Reason, Status, SyncEngine},
    quote::Quote,
    secrets::{check_vault, probe_writes},
    store::{self, DiskUsage, Schema},
    vault::{self, Vault},
};

/// Minimum free disk space for the database to grow.
const MIN_FREE_SPACE: u64 = 256 * 1024 * 1024;

/// Runs them all.
pub(super) async fn run(config: &Config, probes_writes: bool) -> Result<Report, CommandError> {
    let options = vault_options(config);
    let (database, (engine, cluster)) = tokio::join!(database(config), cluster::check(config));
    // The rights that are needed in the vault depend on the engine.
    let vault = check_the_vault(&options, engine, probes_writes).await;
    let mut rows =
        vec![CheckResult::passed(CONFIGURATION, "Every field is valid, and every named file is readable.")];
    rows.extend(check_tls(config).await);
    rows.extend(check_oidc(config).await);
    rows.extend(database);
    rows.extend(vault);
    rows.extend(cluster);
    Ok(Report(rows))
}

async fn database(config: &Config) -> Vec<CheckResult> {
    let path = config.database.path.as_path();
    let directory = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    // SQLite writes files beside the database, so the directory counts as much as the file.
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!(
            "The directory {} is not writable: {}. Create it for the service's user, or set database.path.",
            directory.display(),
            Quote::error(&error)
        );
        return vec![
            CheckResult::failed(DATABASE, found),
            CheckResult::unknown(DISK, "Not checked: the directory is not usable."),
        ];
    }
    let whole = match store::inspect(path).await {
        Ok(Schema::Absent) => {
            CheckResult::passed(DATABASE, format!("{} will be created at the first start.", path.display()))
        }
        Ok(Schema::Current) => CheckResult::passed(DATABASE, format!("{} is ready.", path.display())),
        Ok(Schema::Older { missing }) => {
            let found = format!("{} will be migrated at the next start ({missing} steps).", path.display());
            CheckResult::passed(DATABASE, found)
        }
        Err(error) => {
            let remedy = "Check the file's owner and mode. If it is damaged, stop the service and restore a backup with `secret-service \
                          restore FILE`, or move the file away if there is none: the next start rebuilds it \
                          from the cluster.";
            CheckResult::failed(DATABASE, format!("{}: {error}. {remedy}", path.display()))
        }
    };
    let taken = match path.exists() {
        true => store::measure(path).await.ok().map(|room| describe_size(&room, config)),
        false => None,
    };
    let mut rows = vec![whole, disk(directory, taken)];
    rows.extend(config.backup.directory.as_deref().map(|backups| backup(backups, config)));
    rows
}

/// The size of the database and of what grows in it.
fn describe_size(room: &DiskUsage, config: &Config) -> String {
    let mib = |bytes: u64| format!("{:.1} MiB", bytes as f64 / (1024.0 * 1024.0));
    let growing = &room.growing;
    let mut text = format!(
        "The database takes {} ({} of it reusable), its write-ahead log {}. The audit log takes {} of {}, \
         the change feed {} of {}.",
        mib(room.database),
        mib(growing.free),
        mib(room.log),
        mib(growing.audit.bytes),
        mib(config.audit.bytes.get() as u64),
        mib(growing.feed.bytes),
        mib(config.database.feed_bytes.get() as u64),
    );
    if let Some(bytes) = growing.audit_bytes_a_day(Timestamp::now()) {
        text.push_str(&format!(" The audit log grows by {} a day.", mib(bytes)));
    }
    text
}

/// Checks that backups can be written, and that the newest is recent.
fn backup(directory: &Path, config: &Config) -> CheckResult {
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!(
            "The directory {} is not writable: {}. Mount or create it for the service's user, or set \
             backup.directory.",
            directory.display(),
            Quote::error(&error)
        );
        return CheckResult::warning(BACKUP, found);
    }
    let newest = backup_schedule(config).and_then(|schedule| schedule.newest().transpose());
    match newest {
        None => CheckResult::passed(BACKUP, "There is no backup yet. The service makes one when it starts."),
        Some(Err(error)) => {
            CheckResult::unknown(BACKUP, format!("The directory can't be read: {}.", Quote::error(&error)))
        }
        Some(Ok((file, made))) => {
            let found = format!("The newest backup is {}, made at {made:.0}.", file.display());
            let age = Timestamp::now().duration_since(made).unsigned_abs();
            match age > 2 * config.backup.interval {
                true => CheckResult::warning(
                    BACKUP,
                    format!("{found} It is too old: see the service's log for the cause."),
                ),
                false => CheckResult::passed(BACKUP, found),
            }
        }
    }
}

fn disk(directory: &Path, taken: Option<String>) -> CheckResult {
    match statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let mut found = format!("{} MiB are free.", free / (1024 * 1024));
            if let Some(taken) = taken {
                found = format!("{found} {taken}");
            }
            if free >= MIN_FREE_SPACE {
                CheckResult::passed(DISK, found)
            } else {
                CheckResult::failed(
                    DISK,
                    format!("{found} Free at least {} MiB.", MIN_FREE_SPACE / (1024 * 1024)),
                )
            }
        }
        Err(error) => {
            CheckResult::unknown(DISK, format!("The free space can't be read: {}.", Quote::error(&error)))
        }
    }
}

/// Checks that the certificates are usable and current.
async fn check_tls(config: &Config) -> Option<CheckResult> {
    let tls = tls_options(config)?;
    let requires_current = tls.revocation.require_current;
    let dates = match api::tls_expiries(tls).await {
        Ok(dates) => dates,
        Err(error) => return Some(CheckResult::failed(TLS, format!("{error}. Fix the files named above."))),
    };
    let now = Timestamp::now();
    let problems = dates.iter().filter_map(|dated| dated.problem(now)).collect::<Vec<_>>().join(" ");
    let first = dates.iter().filter_map(|dated| dated.time).min();
    // An expired file that locks out all clients is a failure; the others are warnings.
    let is_broken = |dated: &Expiry| match dated.kind {
        ExpiryKind::Serving => true,
        ExpiryKind::ClientAuthority => false,
        ExpiryKind::RevocationList => requires_current,
    };
    let ended = |dated: &Expiry| dated.status(now) == ExpiryStatus::Expired;
    Some(match (problems.is_empty(), dates.iter().any(|dated| ended(dated) && is_broken(dated))) {
        (true, _) => CheckResult::passed(
            TLS,
            first.map_or_else(String::new, |first| format!("The first expires at {first}.")),
        ),
        (false, true) => CheckResult::failed(TLS, problems),
        (false, false) => CheckResult::warning(TLS, problems),
    })
}

/// Checks that the OpenID Connect issuer answers, and that it has keys for signatures that are accepted.
async fn check_oidc(config: &Config) -> Option<CheckResult> {
    let options = issuer_options(config)?;
    Some(match access::check_issuer(&options).await {
        Ok(keys) => CheckResult::passed(ISSUER, format!("{} answers. Usable keys: {keys}.", options.issuer)),
        Err(error) => {
            let remedy = "Nobody can sign in. Check authentication.oidc.issuer and authentication.oidc.ca_file, and the network.";
            CheckResult::failed(ISSUER, format!("{}: {error}. {remedy}", options.issuer))
        }
    })
}

async fn check_the_vault(
    options: &vault::Options,
    engine: Option<SyncEngine>,
    probes_writes: bool,
) -> Vec<CheckResult> {
    let vault = match Vault::connect(options) {
        Ok(vault) => vault,
        Err(error) => {
            return vec![CheckResult::failed(VAULT, error.explained())];
        }
    };
    let mut conditions = check_vault(&vault, engine).await;
    if probes_writes {
        let probed = probe_writes(&vault).await;
        conditions.iter_mut().filter(|held| held.kind == probed.kind).for_each(|held| *held = probed.clone());
    }
    let answers =
        conditions.iter().all(|held| held.kind != ConditionType::Reachable || held.status == Status::True);
    let rows = conditions.into_iter().map(|condition| from_condition(condition, answers));
    rows.chain([check_clock(VAULT_CLOCK, "the vault", vault.clock().skew())]).collect()
}

fn from_condition(condition: Condition, answers: bool) -> CheckResult {
    let check = match condition.kind {
        ConditionType::Reachable => VAULT_REACHABLE,
        ConditionType::CanList => VAULT_LIST,
        ConditionType::CanGet => VAULT_GET,
        ConditionType::CanCreate => VAULT_CREATE,
        other => CheckName::of_condition(other),
    };
    match condition.status {
        Status::True => CheckResult::passed(check, condition.message),
        Status::Unknown if condition.kind == ConditionType::CanCreate && answers => {
            CheckResult::warning(check, condition.message)
        }
        Status::Unknown
            if condition.reason == Reason::NotChecked && condition.kind != ConditionType::CanCreate =>
        {
            CheckResult::passed(check, condition.message)
        }
        Status::False if condition.kind == ConditionType::CanCreate => {
            let needed_for = "It is only needed to create or rotate vault secrets through the service.";
            CheckResult::warning(check, format!("{} {needed_for}", condition.message))
        }
        Status::False => CheckResult::failed(check, condition.message),
        Status::Unknown if answers => CheckResult::unknown(check, condition.message),
        Status::Unknown => CheckResult::unknown(check, "Not checked: the vault does not answer."),
    }
}
