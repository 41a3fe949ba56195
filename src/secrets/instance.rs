//! GetVault: what a fresh check of the vault and of the instance's settings finds.

use jiff::Timestamp;
use secrecy::SecretString;
use url::Url;

use super::Secrets;
use crate::{
    edge::EdgeError,
    model::{Condition, ConditionType, NewVaultSecret, Reason, Status, SyncEngine, VaultSecretName},
    vault::{Priority, Vault, VaultError},
};

/// A name that nobody uses; it is never created.
const PROBE: &str = "secret-service-access-probe";
/// More than any vault accepts as a value: who may create is told that it is too large, who may not that they may not.
const TOO_LARGE: usize = 64 * 1024;

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
    /// Checks the vault afresh: reachable, may list, may read, may create. Changes nothing.
    pub async fn get_vault(&self) -> VaultStatus {
        let vault = &self.0.vault;
        let (mut conditions, extension, edge) =
            tokio::join!(check_vault(vault), self.0.edge.has_secret_store(), self.0.edge.ping());
        conditions.push(secure_settings(&conditions, edge));
        conditions.push(secret_store(extension));
        VaultStatus {
            uri: vault.uri().clone(),
            tenant_id: vault.tenant_id(),
            engine: self.0.reconciler.engine().ok(),
            conditions,
            check_time: Timestamp::now(),
        }
    }
}

/// What a fresh check of the vault alone finds: Reachable, CanList, CanGet, CanCreate. Changes nothing.
pub async fn check_vault(vault: &Vault) -> Vec<Condition> {
    let name: VaultSecretName = PROBE.parse().expect("the probe's name is valid");
    let new = NewVaultSecret {
        value: SecretString::from("x".repeat(TOO_LARGE)),
        content_type: String::new(),
        not_before_time: None,
        expire_time: None,
        tags: Default::default(),
    };
    let (list, get, set) = tokio::join!(
        vault.list_page(None, Priority::Interactive),
        vault.get(&name, None, Priority::Interactive),
        vault.set(&name, &new, Priority::Interactive),
    );
    let get = match get {
        Err(VaultError::NotFound { .. } | VaultError::SoftDeleted { .. } | VaultError::Disabled { .. }) => {
            Ok(())
        }
        other => other.map(|_| ()),
    };
    let set = match set {
        Err(VaultError::Rejected { status: 400 | 413, .. } | VaultError::SoftDeleted { .. }) => Ok(()),
        other => other.map(|_| ()),
    };
    vec![
        reachable(list.as_ref().err()),
        permission(ConditionType::CanList, list.as_ref().err()),
        permission(ConditionType::CanGet, get.as_ref().err()),
        permission(ConditionType::CanCreate, set.as_ref().err()),
    ]
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

/// What syncing in the direct engine needs: a vault that lists and reads, and an edge that answers.
fn secure_settings(vault: &[Condition], edge: Result<(), EdgeError>) -> Condition {
    let kind = ConditionType::SecureSettings;
    let needed = [ConditionType::Reachable, ConditionType::CanList, ConditionType::CanGet];
    let missing = vault.iter().find(|held| needed.contains(&held.kind) && held.status != Status::True);
    match (missing, edge) {
        (Some(missing), _) => Condition::new(kind, Status::False, Reason::NotReady, missing.message.clone()),
        (None, Err(error)) => {
            Condition::new(kind, Status::False, Reason::NotReady, format!("{error}. {}", error.remedy()))
        }
        (None, Ok(())) => {
            let message = "The vault and the edge are ready for syncing.";
            Condition::new(kind, Status::True, Reason::Ready, message)
        }
    }
}

fn secret_store(installed: Result<bool, EdgeError>) -> Condition {
    let kind = ConditionType::SecretStoreInstalled;
    match installed {
        Ok(true) => {
            Condition::new(kind, Status::True, Reason::Installed, "The Secret Store extension is installed.")
        }
        Ok(false) => {
            let message = "The Secret Store extension is not installed; the direct engine does not need it.";
            Condition::new(kind, Status::False, Reason::NotInstalled, message)
        }
        Err(error) => {
            Condition::new(kind, Status::Unknown, Reason::Unknown, format!("{error}. {}", error.remedy()))
        }
    }
}
