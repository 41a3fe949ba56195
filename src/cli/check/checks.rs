//! The checks of the configuration, database, backups, TLS and vault, with the configured deadlines.

use std::{path::Path, time::Duration};

use jiff::{SignedDuration, Timestamp};
use rustix::fs::{Access, access, statvfs};

use super::{
    cluster,
    report::{Report, Row},
};
use crate::{
    api::{self, Expiry, ExpiryKind, ExpiryStatus},
    cli::{
        Failure,
        settings::{schedule, tls_options, vault_options},
    },
    config::Config,
    model::{Condition, ConditionType, Reason, Status, SyncEngine},
    peer_clock::TOLERATED_SKEW,
    quote::Quote,
    secrets::{check_vault, probe_writes},
    store::{self, Room, Schema},
    vault::{self, Vault},
};

/// Minimum free disk space for the database to grow.
const ROOM: u64 = 256 * 1024 * 1024;

const DATABASE: &str = "database: intact, known schema, writable";
const DISK: &str = "database: free disk space";
const VAULT_CLOCK: &str = "clock: agrees with the vault";
const BACKUP: &str = "backup: the newest is recent";
const TLS: &str = "tls: certificates and revocation lists are current";

/// Runs them all.
pub(super) async fn run(config: &Config, probes_writes: bool) -> Result<Report, Failure> {
    let options = vault_options(config);
    let (database, (engine, cluster)) = tokio::join!(database(config), cluster::check(config));
    // The rights that are needed in the vault depend on the engine.
    let vault = check_the_vault(&options, engine, probes_writes).await;
    let mut rows = vec![Row::yes("configuration", "Every field is valid, and every named file is readable.")];
    rows.extend(of_tls(config).await);
    rows.extend(database);
    rows.extend(vault);
    rows.extend(cluster);
    Ok(Report(rows))
}

async fn database(config: &Config) -> Vec<Row> {
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
            Row::no(DATABASE, found),
            Row::unknown(DISK, "Not checked: the directory is not usable."),
        ];
    }
    let whole = match store::inspect(path).await {
        Ok(Schema::Absent) => {
            Row::yes(DATABASE, format!("{} will be created at the first start.", path.display()))
        }
        Ok(Schema::Current) => Row::yes(DATABASE, format!("{} is ready.", path.display())),
        Ok(Schema::Older { missing }) => {
            let found = format!("{} will be migrated at the next start ({missing} steps).", path.display());
            Row::yes(DATABASE, found)
        }
        Err(error) => {
            let remedy = "Check the file's owner and mode. If it is damaged, stop the service and restore a backup with `secret-service \
                          restore FILE`, or move the file away if there is none: the next start rebuilds it \
                          from the cluster.";
            Row::no(DATABASE, format!("{}: {error}. {remedy}", path.display()))
        }
    };
    let taken = match path.exists() {
        true => store::measure(path).await.ok().map(|room| taken(&room, config)),
        false => None,
    };
    let mut rows = vec![whole, disk(directory, taken)];
    rows.extend(config.backup.directory.as_deref().map(|backups| backup(backups, config)));
    rows
}

/// The size of the database and of what grows in it.
fn taken(room: &Room, config: &Config) -> String {
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
fn backup(directory: &Path, config: &Config) -> Row {
    if let Err(error) = access(directory, Access::WRITE_OK | Access::EXEC_OK) {
        let found = format!(
            "The directory {} is not writable: {}. Mount or create it for the service's user, or set \
             backup.directory.",
            directory.display(),
            Quote::error(&error)
        );
        return Row::warning(BACKUP, found);
    }
    let newest = schedule(config).and_then(|schedule| schedule.newest().transpose());
    match newest {
        None => Row::yes(BACKUP, "There is no backup yet. The service makes one when it starts."),
        Some(Err(error)) => {
            Row::unknown(BACKUP, format!("The directory can't be read: {}.", Quote::error(&error)))
        }
        Some(Ok((file, made))) => {
            let found = format!("The newest backup is {}, made at {made:.0}.", file.display());
            let age = Timestamp::now().duration_since(made).unsigned_abs();
            match age > 2 * config.backup.interval {
                true => Row::warning(
                    BACKUP,
                    format!("{found} It is too old: see the service's log for the cause."),
                ),
                false => Row::yes(BACKUP, found),
            }
        }
    }
}

fn disk(directory: &Path, taken: Option<String>) -> Row {
    match statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let mut found = format!("{} MiB are free.", free / (1024 * 1024));
            if let Some(taken) = taken {
                found = format!("{found} {taken}");
            }
            if free >= ROOM {
                Row::yes(DISK, found)
            } else {
                Row::no(DISK, format!("{found} Free at least {} MiB.", ROOM / (1024 * 1024)))
            }
        }
        Err(error) => Row::unknown(DISK, format!("The free space can't be read: {}.", Quote::error(&error))),
    }
}

/// Checks that the certificates are usable and current.
async fn of_tls(config: &Config) -> Option<Row> {
    let tls = tls_options(config)?;
    let requires_current = tls.revocation.require_current;
    let dates = match api::tls_expiries(tls).await {
        Ok(dates) => dates,
        Err(error) => return Some(Row::no(TLS, format!("{error}. Fix the files named above."))),
    };
    let now = Timestamp::now();
    let problems = dates.iter().filter_map(|dated| dated.problem(now)).collect::<Vec<_>>().join(" ");
    let first = dates.iter().filter_map(|dated| dated.time).min();
    // What lets nobody in any more is broken; of the rest somebody should know.
    let is_broken = |dated: &Expiry| match dated.kind {
        ExpiryKind::Serving => true,
        ExpiryKind::ClientAuthority => false,
        ExpiryKind::RevocationList => requires_current,
    };
    let ended = |dated: &Expiry| dated.status(now) == ExpiryStatus::Expired;
    Some(match (problems.is_empty(), dates.iter().any(|dated| ended(dated) && is_broken(dated))) {
        (true, _) => {
            Row::yes(TLS, first.map_or_else(String::new, |first| format!("The first expires at {first}.")))
        }
        (false, true) => Row::no(TLS, problems),
        (false, false) => Row::warning(TLS, problems),
    })
}

async fn check_the_vault(
    options: &vault::Options,
    engine: Option<SyncEngine>,
    probes_writes: bool,
) -> Vec<Row> {
    let vault = match Vault::connect(options) {
        Ok(vault) => vault,
        Err(error) => return vec![Row::no("vault: configured", format!("{error}. {}", error.remedy()))],
    };
    let mut conditions = check_vault(&vault, engine).await;
    if probes_writes {
        let probed = probe_writes(&vault).await;
        conditions.iter_mut().filter(|held| held.kind == probed.kind).for_each(|held| *held = probed.clone());
    }
    let answers =
        conditions.iter().all(|held| held.kind != ConditionType::Reachable || held.status == Status::True);
    let rows = conditions.into_iter().map(|condition| of_condition(condition, answers));
    rows.chain([of_clock(VAULT_CLOCK, "the vault", vault.clock().skew())]).collect()
}

/// Compares this machine's clock with that of a peer.
pub(super) fn of_clock(check: &'static str, peer: &str, skew: Option<SignedDuration>) -> Row {
    let Some(skew) = skew else {
        return Row::unknown(check, format!("Not checked: {peer} does not answer."));
    };
    let by = humantime::format_duration(Duration::from_secs(skew.abs().as_secs().unsigned_abs()));
    match (skew.abs() <= TOLERATED_SKEW, skew.is_negative()) {
        (true, _) => Row::yes(check, format!("Within {} s of {peer}.", TOLERATED_SKEW.as_secs())),
        (false, is_behind) => {
            let side = if is_behind { "behind" } else { "ahead of" };
            let remedy = "Correct the clock that is wrong, preferably with NTP (chrony, systemd-timesyncd): the validity of \
                          certificates and tokens depends on the time, and the audit log uses this machine's \
                          clock.";
            Row::warning(check, format!("This machine's clock is {by} {side} {peer}. {remedy}"))
        }
    }
}

fn of_condition(condition: Condition, answers: bool) -> Row {
    let check = match condition.kind {
        ConditionType::Reachable => "vault: reachable, accepts the token",
        ConditionType::CanList => "vault: right to list secrets",
        ConditionType::CanGet => "vault: right to read values",
        ConditionType::CanCreate => "vault: right to create secrets",
        other => other.as_str(),
    };
    match condition.status {
        Status::True => Row::yes(check, condition.message),
        Status::Unknown if condition.kind == ConditionType::CanCreate && answers => {
            Row::warning(check, condition.message)
        }
        Status::Unknown
            if condition.reason == Reason::NotChecked && condition.kind != ConditionType::CanCreate =>
        {
            Row::yes(check, condition.message)
        }
        Status::False if condition.kind == ConditionType::CanCreate => {
            let needed_for = "It is only needed to create or rotate vault secrets through the service.";
            Row::warning(check, format!("{} {needed_for}", condition.message))
        }
        Status::False => Row::no(check, condition.message),
        Status::Unknown if answers => Row::unknown(check, condition.message),
        Status::Unknown => Row::unknown(check, "Not checked: the vault does not answer."),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::report::Holds, *};

    #[test]
    fn a_clock_that_is_off_by_more_than_seconds_is_a_warning_that_says_how_far_and_what_to_do() {
        let row = |seconds| of_clock(VAULT_CLOCK, "the vault", Some(SignedDuration::from_secs(seconds)));
        for near in [-5, 0, 5] {
            assert_eq!(row(near).holds, Holds::Yes, "{near}");
        }
        for (far, word) in [(-3_600, "1h behind the vault"), (86_400, "1day ahead of the vault")] {
            let row = row(far);
            assert_eq!(row.holds, Holds::Warning, "{far}");
            assert!(row.found.contains(word) && row.found.contains("NTP"), "{}", row.found);
        }
        assert_eq!(of_clock(VAULT_CLOCK, "the vault", None).holds, Holds::Unknown);
    }
}
