//! GetVault: checks the vault and the settings of the instance.

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use super::{Choice, Error, Secrets, Setup, check_setup};
use crate::{
    edge::{EdgeError, LeaderState, engine::is_delegated},
    explain::{Explain as _, explanation},
    model::{Condition, ConditionType, Reason, Status, SyncEngine, VaultSecretName},
    vault::{LastWrite, Priority, Vault, VaultError},
};

/// A name that nobody uses. Only a vault that accepts secrets without a value ever stores it.
const PROBE: &str = "secret-service-access-probe";

/// The vault and its state.
pub struct VaultStatus {
    /// Where it is.
    pub uri: Url,
    /// The tenant that owns it, if known.
    pub tenant_id: Option<String>,
    /// How new synced secrets reach the edge; absent until the cluster's support for engines is known.
    pub engine: Option<SyncEngine>,
    /// The results of the check.
    pub conditions: Vec<Condition>,
    /// When it was checked.
    pub check_time: Timestamp,
}

impl Secrets {
    /// The permissions in the vault and the readiness of the instance, from a check that is at most some
    /// seconds old and that concurrent calls share. It has its own request queue in the vault client, so it
    /// waits for no caller's requests.
    pub async fn get_vault(&self) -> Result<Arc<VaultStatus>, Error> {
        let this = self.of("");
        let check = async move { Arc::new(this.run_vault_check().await) };
        self.0.vault_checks.last(self.0.options.vault_check_lifetime, check).await.ok_or(Error::Internal)
    }

    /// Runs the check. Changes nothing.
    async fn run_vault_check(&self) -> VaultStatus {
        let (vault, edge, reconciler) = (self.vault(), &self.0.edge, &self.0.reconciler);
        let engine = reconciler.engine().ok();
        let options = reconciler.options();
        let is_held = reconciler.has_delegated();
        let choice = Choice { configured: options.engine, taken: engine, is_held };
        let (mut conditions, mut setup, edge) = tokio::join!(
            check_vault(vault, engine),
            check_setup((edge, reconciler.usages()), &options.secret_store, choice),
            edge.ping()
        );
        setup.installed = self.with_unanswered(setup.installed);
        conditions.push(secure_settings(&conditions, edge, &setup));
        let leader = leader(&self.0.edge.leadership().state());
        conditions.extend([setup.installed, setup.chosen, reconciler.compared(), leader]);
        VaultStatus {
            uri: vault.uri().clone(),
            tenant_id: vault.tenant_id(),
            engine,
            conditions,
            check_time: Timestamp::now(),
        }
    }

    /// The condition of the extension: false if a managed synced secret waits for it in vain.
    fn with_unanswered(&self, installed: Condition) -> Condition {
        let records = self.0.store.view().snapshot().records;
        let waits = records.iter().find_map(|record| {
            let synced = record.secret.condition(ConditionType::Synced);
            let silence = synced.filter(|synced| synced.reason == Reason::EngineNotResponding)?;
            Some((record.secret.id.as_str(), silence))
        });
        match waits {
            Some((id, silence)) if installed.status != Status::False => {
                let message = format!("It does not respond to the SecretSync {id:?}. {}", silence.message);
                Condition::new(installed.kind, Status::False, Reason::EngineNotResponding, message)
            }
            _ => installed,
        }
    }
}

/// Checks the vault alone: Reachable, CanList, CanGet, CanCreate. Never tries to write: CanCreate reports the
/// last attempt.
pub async fn check_vault(vault: &Vault, engine: Option<SyncEngine>) -> Vec<Condition> {
    let name = probe_name();
    let (list, can_get) =
        tokio::join!(vault.list_page(None, Priority::Interactive), can_get(vault, &name, engine));
    vec![
        reachable(list.as_ref().err()),
        permission(ConditionType::CanList, list.as_ref().err()),
        can_get,
        can_create(vault.last_write()),
    ]
}

/// Checks CanCreate by a write without a value. Only on request: the vault logs it as a failed write, and
/// another vendor's vault may behave differently.
pub async fn probe_writes(vault: &Vault) -> Condition {
    probe_result(vault.probe_set(&probe_name(), Priority::Interactive).await.err())
}

fn probe_result(refused: Option<VaultError>) -> Condition {
    let kind = ConditionType::CanCreate;
    match refused {
        None => {
            let message = format!(
                "The permission is granted. This vault accepts secrets without a value and stored the \
                 probe: delete the secret {PROBE:?} in it."
            );
            Condition::new(kind, Status::True, Reason::Allowed, message)
        }
        Some(VaultError::Rejected { status: 400 | 413, .. } | VaultError::SoftDeleted { .. }) => {
            let message = "The permission is granted: the vault refused the probe only because it has no \
                value. Nothing was stored.";
            Condition::new(kind, Status::True, Reason::Allowed, message)
        }
        Some(error) => permission(kind, Some(&error)),
    }
}

fn probe_name() -> VaultSecretName {
    PROBE.parse().expect("the probe's name is valid")
}

fn can_create(last: Option<LastWrite>) -> Condition {
    let kind = ConditionType::CanCreate;
    match last {
        None => {
            let message = "Not checked: only a write can tell. The first vault secret that is created or \
                rotated here will show it; to check now, run `secret-service check --probe-writes`.";
            Condition::new(kind, Status::Unknown, Reason::NotChecked, message)
        }
        Some(LastWrite { time, refused: Some(error) }) => {
            let message = explanation(&format!("{error}, at {time:.0}"), &error.remedy());
            Condition::new(kind, Status::False, error.condition_reason(), message)
        }
        Some(LastWrite { time, refused: None }) => {
            let message = format!("The permission is granted: it was last used at {time:.0}.");
            Condition::new(kind, Status::True, Reason::Allowed, message)
        }
    }
}

/// Not checked with an engine that never reads a value: each refusal would show up in the vault's log.
async fn can_get(vault: &Vault, name: &VaultSecretName, engine: Option<SyncEngine>) -> Condition {
    if engine.is_some_and(is_delegated) {
        let message = "Not checked: with the Secret Store engine, the extension reads the values and this \
            service does not.";
        return Condition::new(ConditionType::CanGet, Status::Unknown, Reason::NotChecked, message);
    }
    match vault.get(name, None, Priority::Interactive).await {
        Err(VaultError::NotFound { .. } | VaultError::SoftDeleted { .. } | VaultError::Disabled { .. }) => {
            permission(ConditionType::CanGet, None)
        }
        other => permission(ConditionType::CanGet, other.as_ref().err()),
    }
}

fn reachable(error: Option<&VaultError>) -> Condition {
    match error {
        // A vault that refuses is reachable.
        None
        | Some(VaultError::Forbidden { .. } | VaultError::Throttled { .. } | VaultError::Rejected { .. }) => {
            Condition::new(ConditionType::Reachable, Status::True, Reason::Reached, "The vault answers.")
        }
        Some(error) => explained(ConditionType::Reachable, Status::False, error),
    }
}

fn permission(kind: ConditionType, error: Option<&VaultError>) -> Condition {
    match error {
        None => Condition::new(kind, Status::True, Reason::Allowed, "The permission is granted."),
        Some(error @ VaultError::Forbidden { .. }) => explained(kind, Status::False, error),
        Some(error) => explained(kind, Status::Unknown, error),
    }
}

fn explained(kind: ConditionType, status: Status, error: &VaultError) -> Condition {
    Condition::new(kind, status, error.condition_reason(), error.explained())
}

/// Whether this process is the leader of the instance.
fn leader(state: &LeaderState) -> Condition {
    let (status, reason, message) = match state {
        LeaderState::Leader { .. } => {
            (Status::True, Reason::Leading, "This process is the leader of the instance.".to_owned())
        }
        LeaderState::Standby { holder } => {
            let message = format!(
                "{holder:?} holds the Lease and is the leader of the instance. This process serves reads \
                 from its own database, writes nothing, and takes over when that process ends."
            );
            (Status::False, Reason::StandingBy, message)
        }
        LeaderState::Unknown(error) => (Status::Unknown, Reason::Unknown, error.explained()),
        LeaderState::Undecided => {
            let message = "The process has just started and does not know yet who holds the Lease.";
            (Status::Unknown, Reason::Unknown, message.to_owned())
        }
    };
    Condition::new(ConditionType::Leader, status, reason, message)
}

/// Whether syncing can work: the vault grants what the engine needs, the edge answers, and the engine's
/// settings exist.
fn secure_settings(vault: &[Condition], edge: Result<(), EdgeError>, setup: &Setup) -> Condition {
    let kind = ConditionType::SecureSettings;
    let needed: &[ConditionType] = match setup.engine {
        Some(engine) if is_delegated(engine) => &[ConditionType::Reachable, ConditionType::CanList],
        _ => &[ConditionType::Reachable, ConditionType::CanList, ConditionType::CanGet],
    };
    let missing = vault.iter().find(|held| needed.contains(&held.kind) && held.status != Status::True);
    let mut found: Vec<(Status, String)> =
        missing.map(|missing| (Status::False, missing.message.clone())).into_iter().collect();
    match edge {
        Err(error) => found.push((Status::False, error.explained())),
        // The other findings about the cluster only count if it answers.
        Ok(()) => found.extend(unmet(setup)),
    }
    // Two checks may report the same problem.
    found.dedup();
    let message = found.iter().map(|(_, message)| message.as_str()).collect::<Vec<_>>().join(" ");
    if found.is_empty() {
        let message = "The vault and the edge are ready for syncing.";
        return Condition::new(kind, Status::True, Reason::Ready, message);
    }
    match found.iter().any(|(status, _)| *status == Status::False) {
        true => Condition::new(kind, Status::False, Reason::NotReady, message),
        false => Condition::new(kind, Status::Unknown, Reason::Unknown, message),
    }
}

/// What the engine needs and is missing or unknown.
fn unmet(setup: &Setup) -> Vec<(Status, String)> {
    let installed = &setup.installed;
    let is_needed = setup.engine.is_some_and(is_delegated);
    let absent = (is_needed && installed.status == Status::False)
        .then(|| (installed.status, installed.message.clone()));
    let needs = setup.needs.iter().filter(|need| need.status != Status::True);
    absent.into_iter().chain(needs.map(|need| (need.status, need.message.clone()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_trial_secret_is_reported_with_the_name_to_delete() {
        let stored = probe_result(None);
        assert_eq!(stored.status, Status::True);
        assert!(
            stored.message.contains("delete the secret \"secret-service-access-probe\""),
            "{}",
            stored.message
        );
        let refused =
            probe_result(Some(VaultError::Rejected { status: 400, code: "BadParameter".to_owned() }));
        assert!(refused.message.contains("Nothing was stored"), "{}", refused.message);
        assert_eq!(refused.status, Status::True);
    }
}
