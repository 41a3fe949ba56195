//! The checks of the cluster: the namespace, the rights in it, the engine and what the engine needs.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{
    clock::check_clock,
    names::{
        CALLERS, CLUSTER, CLUSTER_CLOCK, CheckName, ENGINE, EXTENSION, IDENTITY, LEASE, NAMESPACE, ONE_VAULT,
        RIGHTS, SERVICE_ACCOUNT, STORE_RESOURCES, USAGES, WATCH,
    },
    report::CheckResult,
};
use crate::{
    cli::settings::{configured_engine, edge_options, secret_store_options, usage_options},
    config::Config,
    edge::{
        DECISION_RIGHTS, Edge, EdgeError, Index, LeaseHolder, Rights, SECRET_RIGHTS, STORE_RIGHTS,
        STORE_SECRET_RIGHTS, Scope, TOKEN_RIGHTS, USAGE_VERBS, Usages,
    },
    explain::Explain,
    model::{Condition, Status, SyncEngine},
    secrets::{Choice, Need, NeedKind, Setup, check_setup},
};

/// Buffer for the names of changed Secrets during the trial watch. Nobody reads them.
const CHANGED_BUFFER: usize = 1024;

/// Runs all checks. Also returns the engine for new synced secrets, if it can be determined.
pub(super) async fn check(config: &Config) -> (Option<SyncEngine>, Vec<CheckResult>) {
    let edge = match Edge::connect(&edge_options(config)).await {
        Ok(edge) => edge,
        Err(error) => return (None, vec![from_result(CLUSTER, Err(error), "")]),
    };
    let found = format!("{} exists and accepts Secrets.", config.kubernetes.namespace.0);
    let namespace = edge.check_namespace().await;
    if namespace.as_ref().is_err_and(EdgeError::is_transient) {
        let nobody = |check| CheckResult::unknown(check, "Not checked: the cluster does not answer.");
        let unknown = [RIGHTS, WATCH, LEASE, CALLERS, USAGES, CLUSTER_CLOCK, ENGINE].map(nobody);
        return (None, [from_result(NAMESPACE, namespace, &found)].into_iter().chain(unknown).collect());
    }
    let usages = Usages::new(edge.clone(), usage_options(config));
    let (options, choice) =
        (secret_store_options(config), Choice { configured: configured_engine(config), ..Choice::default() });
    let (watch, lease, callers, uses, setup) = tokio::join!(
        watch(&edge, config.kubernetes.timeout),
        lease(&edge, &config.kubernetes.lease.0),
        callers(&edge, config),
        uses(&usages),
        check_setup((&edge, &usages), &options, choice)
    );
    let engine = setup.engine;
    let on_secrets = match engine {
        Some(SyncEngine::SecretStore) => STORE_SECRET_RIGHTS,
        Some(SyncEngine::Direct) | None => SECRET_RIGHTS,
    };
    let rights = rights(RIGHTS, &edge, &[on_secrets]).await;
    let clock = check_clock(CLUSTER_CLOCK, "the API server", edge.clock().skew());
    let mut rows =
        vec![from_result(NAMESPACE, namespace, &found), rights, watch, lease, callers, uses, clock];
    rows.extend(check_engine(&edge, setup).await);
    (engine, rows)
}

async fn rights(check: CheckName, edge: &Edge, needed: &[Rights]) -> CheckResult {
    match edge.missing_rights(needed).await {
        Ok(missing) if missing.is_empty() => {
            let all =
                needed.iter().map(|rights| format!("{} on {}", rights.verbs.join(", "), rights.resource));
            CheckResult::passed(check, format!("The service may {}.", all.collect::<Vec<_>>().join("; ")))
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
            CheckResult::failed(check, found)
        }
        Err(error) => from_result(check, Err(error), ""),
    }
}

/// Checks the rights on the Lease, and shows its holder.
async fn lease(edge: &Edge, name: &str) -> CheckResult {
    let missing = match edge.missing_lease_verbs(name).await {
        Ok(missing) => missing,
        Err(error) => return from_result(LEASE, Err(error), ""),
    };
    if !missing.is_empty() {
        let found = format!(
            "The service may not {} on the Lease {name:?}. Bind its service account to a Role with these \
             verbs on leases in the namespace {}, as in deploy/manifests. Without them the service writes \
             nothing.",
            missing.join(", "),
            edge.namespace()
        );
        return CheckResult::failed(LEASE, found);
    }
    match edge.lease_holder(name).await {
        Ok(Some(LeaseHolder { identity, renewed })) => {
            let renewed = renewed.map_or_else(String::new, |time| format!(", last renewed at {time:.0}"));
            CheckResult::passed(LEASE, format!("{identity:?} holds the Lease {name:?}{renewed}."))
        }
        Ok(None) => CheckResult::passed(
            LEASE,
            format!("Nobody holds the Lease {name:?}: the next process that starts takes it."),
        ),
        Err(error) => from_result(LEASE, Err(error), ""),
    }
}

/// Without these rights every caller with credentials is refused.
async fn callers(edge: &Edge, config: &Config) -> CheckResult {
    let (authentication, oidc) = (&config.authentication, &config.authentication_oidc);
    if authentication.tokens {
        rights(CALLERS, edge, &[TOKEN_RIGHTS, DECISION_RIGHTS]).await
    } else if oidc.issuer.is_some() || authentication.client_ca_file.is_some() {
        rights(CALLERS, edge, &[DECISION_RIGHTS]).await
    } else {
        CheckResult::passed(CALLERS, "Not needed: only callers on this machine, without credentials.")
    }
}

/// The engine and, for the secret-store engine, its prerequisites.
async fn check_engine(edge: &Edge, setup: Setup) -> Vec<CheckResult> {
    let Setup { engine, chosen, installed, needs } = setup;
    let mut rows = vec![from_condition(ENGINE, chosen, CheckResult::unknown)];
    if engine == Some(SyncEngine::SecretStore) {
        rows.push(rights(STORE_RESOURCES, edge, &STORE_RIGHTS).await);
        rows.push(from_condition(EXTENSION, installed, CheckResult::warning));
        rows.extend(needs.into_iter().map(from_need));
    }
    rows
}

fn from_condition(
    check: CheckName,
    held: Condition,
    unknown: fn(CheckName, String) -> CheckResult,
) -> CheckResult {
    match held.status {
        Status::True => CheckResult::passed(check, held.message),
        Status::False => CheckResult::failed(check, held.message),
        Status::Unknown => unknown(check, held.message),
    }
}

fn from_need(Need { kind, status, message }: Need) -> CheckResult {
    let check = match kind {
        NeedKind::Access => IDENTITY,
        NeedKind::ServiceAccount => SERVICE_ACCOUNT,
        NeedKind::OneVault => ONE_VAULT,
    };
    match status {
        Status::True => CheckResult::passed(check, message),
        Status::False => CheckResult::failed(check, message),
        // The extension may have access to the vault although the service can't see how.
        Status::Unknown if kind == NeedKind::ServiceAccount => CheckResult::warning(check, message),
        Status::Unknown => CheckResult::unknown(check, message),
    }
}

async fn uses(usages: &Usages) -> CheckResult {
    match usages.forbidden_groups().await {
        Ok(groups) if groups.is_empty() => {
            CheckResult::passed(USAGES, "The service may list and watch all kinds in the usage rules.")
        }
        Ok(groups) => {
            let found = format!(
                "The service may not {} the resources of {}. Bind its service account to a Role as in \
                 deploy/manifests. Without it, usages are unknown and deletions need force.",
                USAGE_VERBS.join(" and "),
                groups.join(", ")
            );
            CheckResult::failed(USAGES, found)
        }
        Err(error) => from_result(USAGES, Err(error), ""),
    }
}

/// Starts a watch and waits until its first list is complete.
async fn watch(edge: &Edge, timeout: Duration) -> CheckResult {
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
        true => CheckResult::passed(WATCH, "The watch works."),
        false => {
            let found = "The watch does not start. Grant list and watch, and check that no proxy cuts long responses.";
            CheckResult::failed(WATCH, found)
        }
    }
}

fn from_result(check: CheckName, found: Result<(), EdgeError>, good: &str) -> CheckResult {
    match found {
        Ok(()) => CheckResult::passed(check, good),
        Err(error) => CheckResult::failed(check, error.explained()),
    }
}
