//! GetVault: what a fresh check of the vault and of the instance's settings finds.

use std::sync::Arc;

use jiff::Timestamp;
use url::Url;

use super::{Choice, Error, Secrets, Setup, check_setup};
use crate::{
    edge::{EdgeError, Standing, engine::is_delegated},
    model::{Condition, ConditionType, Reason, Status, SyncEngine, VaultSecretName},
    vault::{LastWrite, Priority, Vault, VaultError},
};

/// A name that nobody uses; nothing of it is ever stored, unless by a vault that takes secrets without a value.
const PROBE: &str = "secret-service-access-probe";

/// The vault and its state.
pub struct VaultStatus {
    /// Where it is.
    pub uri: Url,
    /// Whose it is, where known.
    pub tenant_id: Option<String>,
    /// How new synced secrets reach the edge; absent while the cluster has not said which engines it can do.
    pub engine: Option<SyncEngine>,
    /// What was found.
    pub conditions: Vec<Condition>,
    /// When.
    pub check_time: Timestamp,
}

impl Secrets {
    /// What the vault lets us do, and whether the instance is ready for secrets, as a check found that is at most some seconds old.
    /// Calls that come meanwhile share it. It is nobody's in particular: nobody waits for what another caller wants of the vault.
    pub async fn get_vault(&self) -> Result<Arc<VaultStatus>, Error> {
        let this = self.of("");
        let look = async move { Arc::new(this.look_at_vault().await) };
        self.0.looks.last(self.0.options.vault_look_life, look).await.ok_or(Error::Internal)
    }

    /// A check of now. Changes nothing.
    async fn look_at_vault(&self) -> VaultStatus {
        let (vault, edge, reconciler) = (self.vault(), &self.0.edge, &self.0.reconciler);
        let engine = reconciler.engine().ok();
        let options = reconciler.options();
        let is_held = reconciler.has_delegated();
        let choice = Choice { configured: options.engine, taken: engine, is_held };
        let (mut conditions, mut setup, edge) = tokio::join!(
            check_vault(vault, engine),
            check_setup(edge, &options.secret_store, choice),
            edge.ping()
        );
        setup.installed = self.with_what_waits(setup.installed);
        conditions.push(secure_settings(&conditions, edge, &setup));
        let leader = leader(&self.0.edge.leadership().standing());
        conditions.extend([setup.installed, setup.chosen, reconciler.compared(), leader]);
        VaultStatus {
            uri: vault.uri().clone(),
            tenant_id: vault.tenant_id(),
            engine,
            conditions,
            check_time: Timestamp::now(),
        }
    }

    /// What the cluster shows of the extension, unless a synced secret of ours waits for it in vain.
    fn with_what_waits(&self, installed: Condition) -> Condition {
        let records = self.0.store.view().snapshot().records;
        let waits = records.iter().find_map(|record| {
            let synced = record.secret.condition(ConditionType::Synced);
            let silence = synced.filter(|synced| synced.reason == Reason::EngineNotResponding)?;
            Some((record.secret.id.as_str(), silence))
        });
        match waits {
            Some((id, silence)) if installed.status != Status::False => {
                let message = format!("It does not answer the SecretSync {id:?}. {}", silence.message);
                Condition::new(installed.kind, Status::False, Reason::EngineNotResponding, message)
            }
            _ => installed,
        }
    }
}

/// What a fresh check of the vault alone finds: Reachable, CanList, CanGet, CanCreate. Changes nothing, and tries to change nothing: what
/// may be created is known from the last attempt.
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

/// CanCreate, tried by a write that has nothing in it to store. For a person who asks for it: it stands in the vault's log as a failed
/// write, and nobody knows what another vendor's vault makes of it.
pub async fn probe_writes(vault: &Vault) -> Condition {
    of_probe(vault.probe_set(&probe_name(), Priority::Interactive).await.err())
}

fn of_probe(refused: Option<VaultError>) -> Condition {
    let kind = ConditionType::CanCreate;
    match refused {
        None => {
            let message = format!(
                "The right is there. This vault takes secrets without a value and has stored the trial: delete the secret {PROBE:?} in it."
            );
            Condition::new(kind, Status::True, Reason::Allowed, message)
        }
        Some(VaultError::Rejected { status: 400 | 413, .. } | VaultError::SoftDeleted { .. }) => {
            let message = "The right is there: the vault refused a write that had no value for that alone. Nothing was stored.";
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
            let message = "Not tried: who only looks never writes. It shows with the first vault secret that is created or rotated here; \
                           to try it now, run `secret-service check --probe-writes`.";
            Condition::new(kind, Status::Unknown, Reason::NotChecked, message)
        }
        Some(LastWrite { time, refused: Some(error) }) => {
            let message = format!("{error}, at {time:.0}. {}", error.remedy());
            Condition::new(kind, Status::False, error.condition_reason(), message)
        }
        Some(LastWrite { time, refused: None }) => {
            let message = format!("The right is there: it was last used at {time:.0}.");
            Condition::new(kind, Status::True, Reason::Allowed, message)
        }
    }
}

/// Whoever never reads a value does not ask for the right: each refusal would stand in the vault's log.
async fn can_get(vault: &Vault, name: &VaultSecretName, engine: Option<SyncEngine>) -> Condition {
    if engine.is_some_and(is_delegated) {
        let message =
            "Not tried: in the Secret Store engine the service reads no values, the extension does.";
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
        // Whoever refuses is there.
        None
        | Some(VaultError::Forbidden { .. } | VaultError::Throttled { .. } | VaultError::Rejected { .. }) => {
            Condition::new(ConditionType::Reachable, Status::True, Reason::Reached, "The vault answers.")
        }
        Some(error) => explained(ConditionType::Reachable, Status::False, error),
    }
}

fn permission(kind: ConditionType, error: Option<&VaultError>) -> Condition {
    match error {
        None => Condition::new(kind, Status::True, Reason::Allowed, "The right is there."),
        Some(error @ VaultError::Forbidden { .. }) => explained(kind, Status::False, error),
        Some(error) => explained(kind, Status::Unknown, error),
    }
}

fn explained(kind: ConditionType, status: Status, error: &VaultError) -> Condition {
    Condition::new(kind, status, error.condition_reason(), format!("{error}. {}", error.remedy()))
}

/// Whether this process acts for the instance.
fn leader(standing: &Standing) -> Condition {
    let (status, reason, message) = match standing {
        Standing::Leading { .. } => {
            (Status::True, Reason::Leading, "This process acts for the instance.".to_owned())
        }
        Standing::StandingBy { holder } => {
            let message = format!(
                "{holder:?} holds the Lease and acts for the instance. This process shows what its own database holds, writes nothing, \
                 and takes over when that one has ended."
            );
            (Status::False, Reason::StandingBy, message)
        }
        Standing::Unknown(error) => (Status::Unknown, Reason::Unknown, error.explained()),
        Standing::Unasked => {
            let message = "The process has just started, and has not been told yet who holds the Lease.";
            (Status::Unknown, Reason::Unknown, message.to_owned())
        }
    };
    Condition::new(ConditionType::Leader, status, reason, message)
}

/// What syncing needs: a vault that gives what the engine asks of it, an edge that answers, and the engine's own settings.
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
        // What else the cluster says is worth something only where it answers.
        Ok(()) => found.extend(unmet(setup)),
    }
    // What stands in the way of two looks is told once.
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

/// What the Secret Store engine needs and does not have, or may not have.
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
    fn a_vault_that_has_stored_the_trial_is_told_with_the_name_to_delete() {
        let stored = of_probe(None);
        assert_eq!(stored.status, Status::True);
        assert!(
            stored.message.contains("delete the secret \"secret-service-access-probe\""),
            "{}",
            stored.message
        );
        let refused = of_probe(Some(VaultError::Rejected { status: 400, code: "BadParameter".to_owned() }));
        assert!(refused.message.contains("Nothing was stored"), "{}", refused.message);
        assert_eq!(refused.status, Status::True);
    }
}
