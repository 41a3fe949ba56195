//! The checks of the cluster: the namespace, the rights in it, the engine and what the engine needs.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{checks::of_clock, report::Row};
use crate::{
    cli::settings::{configured_engine, edge_options, secret_store_options, usage_options},
    config::Config,
    edge::{
        DECISION_RIGHTS, Edge, EdgeError, Index, LeaseHolder, Rights, SECRET_RIGHTS, SEEN_SECRET_RIGHTS,
        STORE_RIGHTS, Scope, TOKEN_RIGHTS, USAGE_VERBS, Usages,
    },
    model::{Condition, Status, SyncEngine},
    secrets::{Choice, Need, NeedKind, Setup, check_setup},
};

/// Buffer for the names of changed Secrets during the trial watch. Nobody reads them.
const CHANGED_BUFFER: usize = 1024;

const CLUSTER: &str = "cluster: configured";
const NAMESPACE: &str = "cluster: the namespace exists";
const RIGHTS: &str = "cluster: rights on Secrets";
const WATCH: &str = "cluster: Secrets can be watched";
const CALLERS: &str = "cluster: token and access reviews are allowed";
const USES: &str = "cluster: usages of Secrets can be read";
const LEASE: &str = "cluster: leader election";
const CLOCK: &str = "clock: agrees with the cluster";
const ENGINE: &str = "engine: which one, and why";
const STORE_RIGHTS_ROW: &str = "secret store: rights on its resources";
const EXTENSION: &str = "secret store: the extension is installed and running";
const ACCESS: &str = "secret store: identity and tenant are known";
const ACCOUNT: &str = "secret store: the service account has that identity";
const ONE_VAULT: &str = "secret store: all classes use this vault";

/// Runs all checks. Also returns the engine for new synced secrets, if it can be determined.
pub(super) async fn check(config: &Config) -> (Option<SyncEngine>, Vec<Row>) {
    let edge = match Edge::connect(&edge_options(config)).await {
        Ok(edge) => edge,
        Err(error) => return (None, vec![row(CLUSTER, Err(error), "")]),
    };
    let found = format!("{} exists and accepts Secrets.", config.kubernetes.namespace.0);
    let namespace = edge.check_namespace().await;
    if namespace.as_ref().is_err_and(EdgeError::is_transient) {
        let nobody = |check| Row::unknown(check, "Not checked: the cluster does not answer.");
        let unknown = [RIGHTS, WATCH, LEASE, CALLERS, USES, CLOCK, ENGINE].map(nobody);
        return (None, [row(NAMESPACE, namespace, &found)].into_iter().chain(unknown).collect());
    }
    let usages = Usages::new(edge.clone(), usage_options(config));
    let (options, choice) =
        (secret_store_options(config), Choice { configured: configured_engine(config), ..Choice::default() });
    let (watch, lease, callers, uses, setup) = tokio::join!(
        watch(&edge, config.kubernetes.timeout),
        lease(&edge, &config.kubernetes.lease.0),
        callers(&edge, config),
        uses(&usages),
        check_setup(&edge, &options, choice)
    );
    let engine = setup.engine;
    let on_secrets = match engine {
        Some(SyncEngine::SecretStore) => SEEN_SECRET_RIGHTS,
        Some(SyncEngine::Direct) | None => SECRET_RIGHTS,
    };
    let rights = rights(RIGHTS, &edge, &[on_secrets]).await;
    let clock = of_clock(CLOCK, "the API server", edge.clock().skew());
    let mut rows = vec![row(NAMESPACE, namespace, &found), rights, watch, lease, callers, uses, clock];
    rows.extend(of_setup(&edge, setup).await);
    (engine, rows)
}

async fn rights(check: &'static str, edge: &Edge, needed: &[Rights]) -> Row {
    match edge.missing_rights(needed).await {
        Ok(missing) if missing.is_empty() => {
            let all =
                needed.iter().map(|rights| format!("{} on {}", rights.verbs.join(", "), rights.resource));
            Row::yes(check, format!("The service may {}.", all.collect::<Vec<_>>().join("; ")))
        }
        Ok(missing) => {
            let place = match needed.iter().any(|rights| rights.scope == Scope::Cluster) {
                true => "ClusterRole with these verbs".to_owned(),
                false => format!("Role with these verbs in the namespace {}", edge.namespace()),
            };
            let missing = missing.join("; ");
            let found = format!(
                "The service may not {missing}. Bind its service account to a {place}, as in \
                 deploy/manifests."
            );
            Row::no(check, found)
        }
        Err(error) => row(check, Err(error), ""),
    }
}

/// Checks the rights on the Lease, and shows its holder.
async fn lease(edge: &Edge, name: &str) -> Row {
    let missing = match edge.missing_lease_verbs(name).await {
        Ok(missing) => missing,
        Err(error) => return row(LEASE, Err(error), ""),
    };
    if !missing.is_empty() {
        let found = format!(
            "The service may not {} on the Lease {name:?}. Bind its service account to a Role with these \
             verbs on leases in the namespace {}, as in deploy/manifests. Without them the service writes \
             nothing.",
            missing.join(", "),
            edge.namespace()
        );
        return Row::no(LEASE, found);
    }
    match edge.lease_holder(name).await {
        Ok(Some(LeaseHolder { identity, renewed })) => {
            let renewed = renewed.map_or_else(String::new, |time| format!(", last renewed at {time:.0}"));
            Row::yes(LEASE, format!("{identity:?} holds the Lease {name:?}{renewed}."))
        }
        Ok(None) => Row::yes(
            LEASE,
            format!("Nobody holds the Lease {name:?}: the next process that starts takes it."),
        ),
        Err(error) => row(LEASE, Err(error), ""),
    }
}

/// Without these rights every caller with credentials is refused.
async fn callers(edge: &Edge, config: &Config) -> Row {
    match config.authentication.tokens {
        true => rights(CALLERS, edge, &[TOKEN_RIGHTS, DECISION_RIGHTS]).await,
        false => Row::yes(CALLERS, "Not needed: authentication.tokens is off."),
    }
}

/// The engine and, for the secret-store engine, its prerequisites.
async fn of_setup(edge: &Edge, setup: Setup) -> Vec<Row> {
    let Setup { engine, chosen, installed, needs } = setup;
    let mut rows = vec![of_condition(ENGINE, chosen, Row::unknown)];
    if engine == Some(SyncEngine::SecretStore) {
        rows.push(rights(STORE_RIGHTS_ROW, edge, &STORE_RIGHTS).await);
        rows.push(of_condition(EXTENSION, installed, Row::warning));
        rows.extend(needs.into_iter().map(of_need));
    }
    rows
}

fn of_condition(check: &'static str, held: Condition, unknown: fn(&'static str, String) -> Row) -> Row {
    match held.status {
        Status::True => Row::yes(check, held.message),
        Status::False => Row::no(check, held.message),
        Status::Unknown => unknown(check, held.message),
    }
}

fn of_need(Need { kind, status, message }: Need) -> Row {
    let check = match kind {
        NeedKind::Access => ACCESS,
        NeedKind::ServiceAccount => ACCOUNT,
        NeedKind::OneVault => ONE_VAULT,
    };
    match status {
        Status::True => Row::yes(check, message),
        Status::False => Row::no(check, message),
        // The extension may have access to the vault although the service can't see how.
        Status::Unknown if kind == NeedKind::ServiceAccount => Row::warning(check, message),
        Status::Unknown => Row::unknown(check, message),
    }
}

async fn uses(usages: &Usages) -> Row {
    match usages.forbidden_groups().await {
        Ok(groups) if groups.is_empty() => {
            Row::yes(USES, "The service may list and watch all kinds in the usage rules.")
        }
        Ok(groups) => {
            let found = format!(
                "The service may not {} the resources of {}. Bind its service account to a Role as in \
                 deploy/manifests. Without it, usages are unknown and deletions need force.",
                USAGE_VERBS.join(" and "),
                groups.join(", ")
            );
            Row::no(USES, found)
        }
        Err(error) => row(USES, Err(error), ""),
    }
}

/// Starts a watch and waits until its first list is complete.
async fn watch(edge: &Edge, timeout: Duration) -> Row {
    let (index, stop) = (Index::new(), CancellationToken::new());
    let (changed, _names) = mpsc::channel(CHANGED_BUFFER);
    let mut healthy = index.healthy();
    let up = async {
        // The watch, which runs concurrently, holds the sender.
        let up = tokio::time::timeout(timeout, healthy.wait_for(|healthy| healthy.is_some())).await;
        let up = matches!(up, Ok(Ok(healthy)) if *healthy == Some(true));
        stop.cancel();
        up
    };
    let ((), up) = tokio::join!(index.run(edge.clone(), changed, stop.clone()), up);
    match up {
        true => Row::yes(WATCH, "The watch works."),
        false => {
            let found = "The watch does not start. Grant list and watch, and check that no proxy cuts long responses.";
            Row::no(WATCH, found)
        }
    }
}

fn row(check: &'static str, found: Result<(), EdgeError>, good: &str) -> Row {
    match found {
        Ok(()) => Row::yes(check, good),
        Err(error) => Row::no(check, error.explained()),
    }
}
