//! Checks the prerequisites of syncing in the instance's namespace: the engine, and whether the Secret Store extension works.
//! GetVault and `check` run it; every finding has a remedy.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

use crate::{
    edge::{
        ACCOUNT_RIGHTS, Edge, EdgeError, FederatedAccount, Usages,
        secret_store::{ExtensionIdentity, Options, PROVIDER, SecretProviderClass, SecretSync},
    },
    explain::Explain,
    model::{Condition, ConditionType, Reason, Status, SyncEngine},
    quote::Quote,
};

/// How the engine was chosen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice {
    /// The engine in the configuration; if absent, the cluster's kinds decide.
    pub configured: Option<SyncEngine>,
    /// The engine that a running service has chosen.
    pub taken: Option<SyncEngine>,
    /// Whether synced secrets use the Secret Store extension: they stay there until the configuration names
    /// the direct engine.
    pub is_held: bool,
}

/// The findings.
pub struct Setup {
    /// The engine of new synced secrets; absent if it is unknown what the cluster serves.
    pub engine: Option<SyncEngine>,
    /// EngineChosen: which, and why.
    pub chosen: Condition,
    /// SecretStoreInstalled.
    pub installed: Condition,
    /// The other prerequisites of the Secret Store engine; empty with the direct engine.
    pub needs: Vec<Need>,
}

/// A prerequisite of the Secret Store engine, and its state.
pub struct Need {
    /// The kind of prerequisite.
    pub kind: NeedKind,
    /// Whether it is in place.
    pub status: Status,
    /// The finding, and the remedy.
    pub message: String,
}

/// A kind of prerequisite of the Secret Store engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeedKind {
    /// The identity and the tenant that the extension uses for the vault.
    Access,
    /// The service account that is federated with that identity.
    ServiceAccount,
    /// No class of the namespace refers to another vault.
    OneVault,
}

/// Checks the namespace. Changes nothing.
pub async fn check_setup((edge, usages): (&Edge, &Usages), options: &Options, choice: Choice) -> Setup {
    let missing = edge.missing_store_resources().await;
    let served = missing.as_ref().ok().map(|missing| match missing.is_empty() {
        true => SyncEngine::SecretStore,
        false => SyncEngine::Direct,
    });
    let engine = choice.taken.or(choice.configured).or(served);
    let chosen = chosen(engine, choice, &missing);
    let (installed, needs) = match (engine, served) {
        (Some(SyncEngine::SecretStore), Some(SyncEngine::SecretStore)) => {
            tokio::join!(acting(edge, options), needs((edge, usages), options))
        }
        (engine, _) => (of_served(engine, &missing), Vec::new()),
    };
    Setup { engine, chosen, installed, needs }
}

fn chosen(engine: Option<SyncEngine>, choice: Choice, missing: &Result<Vec<String>, EdgeError>) -> Condition {
    let kind = ConditionType::EngineChosen;
    let Some(engine) = engine else {
        let error = missing.as_ref().err().map(EdgeError::explained).unwrap_or_default();
        return Condition::new(kind, Status::Unknown, Reason::Unknown, error);
    };
    let name = engine.as_str();
    if choice.configured.is_some() {
        let message = format!("{name}: sync.engine says so.");
        return Condition::new(kind, Status::True, Reason::Configured, message);
    }
    let again = "restart the service to choose anew";
    let why = match (engine, missing) {
        (SyncEngine::SecretStore, Ok(missing)) if missing.is_empty() => {
            "the cluster serves the Secret Store extension's resources".to_owned()
        }
        (SyncEngine::SecretStore, Ok(missing)) if choice.is_held => format!(
            "synced secrets use the Secret Store extension, although the cluster does not serve {}: install the extension again \
             with `az iot ops init`, or set sync.engine to direct to hand them over to the service",
            missing.join(" and ")
        ),
        (SyncEngine::SecretStore, Ok(missing)) => {
            format!("the cluster no longer serves {}: {again}", missing.join(" and "))
        }
        (SyncEngine::Direct, Ok(missing)) if missing.is_empty() => {
            format!(
                "the cluster serves the Secret Store extension's resources only since: {again} and to hand all synced secrets over"
            )
        }
        (SyncEngine::Direct, Ok(missing)) => format!("the cluster does not serve {}", missing.join(" and ")),
        (_, Err(_)) => "the service chose by what the cluster served when it started".to_owned(),
    };
    Condition::new(kind, Status::True, Reason::Detected, format!("{name}: sync.engine is auto, and {why}."))
}

/// The state of the extension, by the served resources alone.
fn of_served(engine: Option<SyncEngine>, missing: &Result<Vec<String>, EdgeError>) -> Condition {
    let is_needed = engine == Some(SyncEngine::SecretStore);
    let (status, reason, message) = match missing {
        Err(error) => (Status::Unknown, Reason::Unknown, error.explained()),
        Ok(missing) if missing.is_empty() => {
            let message = "The cluster serves the Secret Store extension's resources; the direct engine does not use them.";
            (Status::True, Reason::Installed, message.to_owned())
        }
        Ok(missing) => {
            let then = match is_needed {
                true => {
                    "Install the Secret Store extension with `az iot ops init`, or with `az k8s-extension create \
                     --extension-type microsoft.azure.secretstore`; or set sync.engine to direct."
                }
                false => "The direct engine does not need them.",
            };
            let message = format!("The cluster does not serve {}. {then}", missing.join(" and "));
            (Status::False, Reason::NotInstalled, message)
        }
    };
    Condition::new(ConditionType::SecretStoreInstalled, status, reason, message)
}

/// Whether the extension works, by the objects of the instance's namespace: the service can't read the
/// controller's own namespace.
async fn acting(edge: &Edge, options: &Options) -> Condition {
    match edge.list_syncs().await {
        Ok(syncs) => of_controller(&syncs, options, edge.clock().now()),
        Err(error) => {
            let kind = ConditionType::SecretStoreInstalled;
            Condition::new(kind, Status::Unknown, Reason::Unknown, error.explained())
        }
    }
}

/// The state of the extension's controller, by the SecretSyncs of the namespace.
fn of_controller(syncs: &[Arc<SecretSync>], options: &Options, now: Timestamp) -> Condition {
    let answers = syncs.iter().filter_map(|sync| answered(sync).map(|time| (time, &sync.metadata.name)));
    let last = answers.max();
    let age = |made: Timestamp| Duration::try_from(now.duration_since(made)).unwrap_or_default();
    let silent = syncs.iter().filter(|sync| answered(sync).is_none()).filter_map(|sync| {
        let made = sync.metadata.creation_timestamp.as_ref()?.0;
        (age(made) > options.patience && last.is_none_or(|(answer, _)| made > answer))
            .then_some((made, &sync.metadata.name))
    });
    let (status, reason, message) = match (silent.min(), last) {
        (Some((made, name)), _) => (
            Status::False,
            Reason::EngineNotResponding,
            format!(
                "The resources are served, but the SecretSync {:?} has had no answer since {made}. Look whether the extension's \
                 controller runs: `kubectl get pods --namespace azure-secret-store`.",
                name.as_deref().unwrap_or_default()
            ),
        ),
        (None, Some((answer, name))) => (
            Status::True,
            Reason::Installed,
            format!(
                "The resources are served, and the controller has last answered the SecretSync {:?}, at {answer}.",
                name.as_deref().unwrap_or_default()
            ),
        ),
        (None, None) => (
            Status::Unknown,
            Reason::Unknown,
            "The resources are served; whether the controller runs shows with the first SecretSync. To see it now: `kubectl get \
             pods --namespace azure-secret-store`."
                .to_owned(),
        ),
    };
    Condition::new(ConditionType::SecretStoreInstalled, status, reason, message)
}

/// When the controller last changed a condition of a SecretSync; none if it never did.
fn answered(sync: &SecretSync) -> Option<Timestamp> {
    let conditions = &sync.status.as_ref()?.conditions;
    let made = sync.metadata.creation_timestamp.as_ref().map(|time| time.0);
    conditions.iter().map(|condition| condition.last_transition_time.or(made)).max().flatten()
}

async fn needs((edge, usages): (&Edge, &Usages), options: &Options) -> Vec<Need> {
    let (classes, named, account) = tokio::join!(
        edge.list_classes(),
        usages.list_instances(),
        edge.service_account(&options.service_account)
    );
    let unknown =
        |kind, error: &EdgeError| Need { kind, status: Status::Unknown, message: error.explained() };
    let access = classes.as_ref().map(|classes| options.identity(classes, &named));
    let default = classes.as_ref().ok().and_then(|classes| options.default_class(classes, &named).ok()?);
    let identity = access.as_ref().ok().and_then(|access| Some(access.as_ref().ok()?.client_id.as_str()));
    let vaults = classes.as_ref().map(|classes| of_vaults(classes, options));
    vec![
        access.as_ref().map_or_else(
            |error| unknown(NeedKind::Access, error),
            |access| of_access(access, default.map(|default| default.why)),
        ),
        vaults.unwrap_or_else(|error| unknown(NeedKind::OneVault, error)),
        of_account(account, identity, edge.namespace(), options),
    ]
}

fn of_access(access: &Result<ExtensionIdentity, EdgeError>, default: Option<String>) -> Need {
    let (status, message) = match access {
        Ok(access) => {
            let why = default.unwrap_or_else(|| "secret_store.client_id says so".to_owned());
            let message = format!(
                "The extension comes to the vault {} as the identity {} of the tenant {}: {why}.",
                access.vault_name,
                Quote::from(&access.client_id),
                Quote::from(&access.tenant_id)
            );
            (Status::True, message)
        }
        Err(error) => (Status::False, error.explained()),
    };
    Need { kind: NeedKind::Access, status, message }
}

/// The extension uses the identity in the class; the account's annotation names the one that it is federated with. A missing
/// annotation may be right, a different one is wrong.
fn of_account(
    found: Result<Option<FederatedAccount>, EdgeError>,
    identity: Option<&str>,
    namespace: &str,
    options: &Options,
) -> Need {
    let account = &options.service_account;
    let annotate = |identity: &str| {
        format!(
            "`kubectl annotate serviceaccount {account} --namespace {namespace} --overwrite \
             azure.workload.identity/client-id={identity}`"
        )
    };
    let annotated = found.map(|found| found.map(|found| found.client_id));
    let (status, message) = match (annotated, identity) {
        (Err(EdgeError::Forbidden(_)), _) => {
            let right = ACCOUNT_RIGHTS.verbs.join(", ");
            let message = format!(
                "The service may not look at the service account {account}. Give its account the verb {right} on \
                 {}, as deploy/manifests does.",
                ACCOUNT_RIGHTS.resource
            );
            (Status::Unknown, message)
        }
        (Err(error), _) => (Status::Unknown, error.explained()),
        (Ok(None), _) => {
            let message = format!(
                "There is no service account {account} in the namespace {namespace}. Enable secret sync on the instance with `az iot \
                 ops secretsync enable`, or set secret_store.service_account."
            );
            (Status::False, message)
        }
        (Ok(Some(None)), identity) => {
            let message = format!(
                "The service account {account} has no annotation azure.workload.identity/client-id, so nobody can tell whether it \
                 is federated with the identity of the class. If it is, say so: {}.",
                annotate(identity.unwrap_or("CLIENT_ID"))
            );
            (Status::Unknown, message)
        }
        (Ok(Some(Some(annotated))), Some(identity)) if !annotated.eq_ignore_ascii_case(identity) => {
            let message = format!(
                "The service account {account} is annotated with the identity {annotated}, but the extension is configured to use \
                 {identity}. Set secret_store.client_id, or {}.",
                annotate(identity)
            );
            (Status::False, message)
        }
        (Ok(Some(Some(annotated))), _) => (
            Status::True,
            format!("The service account {account} is annotated with the identity {annotated}."),
        ),
    };
    Need { kind: NeedKind::ServiceAccount, status, message }
}

fn of_vaults(classes: &[Arc<SecretProviderClass>], options: &Options) -> Need {
    let mut others: Vec<String> =
        classes.iter().filter_map(|class| of_another_vault(class, options)).collect();
    others.sort();
    let (status, message) = match others.is_empty() {
        true => (Status::True, format!("No class leads to another vault than {}.", options.vault_name)),
        false => {
            let message = format!(
                "An instance has one vault, this one has {}; other vaults are named by the classes {}. Delete them or change their \
                 keyvaultName, or set secret_store.vault_name.",
                options.vault_name,
                others.join(", ")
            );
            (Status::False, message)
        }
    };
    Need { kind: NeedKind::OneVault, status, message }
}

/// `CLASS (VAULT)` if a Key Vault class refers to another vault.
fn of_another_vault(class: &SecretProviderClass, options: &Options) -> Option<String> {
    let vault = class.spec.parameters.get("keyvaultName")?;
    let is_other = class.spec.provider == PROVIDER && !vault.eq_ignore_ascii_case(&options.vault_name);
    is_other
        .then(|| format!("{} ({})", class.metadata.name.as_deref().unwrap_or_default(), Quote::from(vault)))
}
