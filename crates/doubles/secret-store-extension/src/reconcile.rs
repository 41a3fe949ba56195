//! Reconciles one SecretSync, in the order of the real controller.

use std::num::NonZeroU32;

use jiff::Timestamp;
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Client, ResourceExt, api::PostParams};

use super::{
    LABEL, Options,
    azure::Azure,
    conditions::{self, CREATED, Reason, UPDATED},
    digest::sync_hash,
    failure::Failure,
    provider::Files,
    resources::{
        SecretObject, SecretProviderClass, SecretSync, SecretSyncStatus, secret_provider_classes,
        secret_syncs,
    },
    secret::{Content, Secrets, fetching_failed},
};

/// The audience of service account tokens.
const AUDIENCE: &str = "api://AzureADTokenExchange";
/// Their lifetime in seconds: the minimum that Kubernetes issues.
const TOKEN_LIFETIME: i64 = 600;

/// Syncs Secrets to their SecretSyncs.
pub(super) struct Reconciler {
    client: Client,
    azure: Azure,
    provider: String,
    partial_sync: bool,
    hash_iterations: NonZeroU32,
}

// === impl Reconciler ===

impl Reconciler {
    pub fn new(client: Client, azure: Azure, options: &Options) -> Self {
        let Options { provider, partial_sync, hash_iterations, .. } = options.clone();
        Self { client, azure, provider, partial_sync, hash_iterations }
    }

    /// Writes the Secret if its content differs from the last write, and the status if it changed. `sync` is the
    /// SecretSync as last seen, and afterwards as last written.
    pub async fn reconcile(&self, sync: &mut SecretSync) -> Result<(), Failure> {
        let mut status = sync.status.clone().unwrap_or_default();
        if status.conditions.len() < 2 {
            conditions::begin(&mut status.conditions);
            self.write_status(sync, &status).await?;
        }
        // The condition to set is chosen before this write.
        let condition = if status.sync_hash.is_none() { CREATED } else { UPDATED };
        let written = match self.gather(sync).await {
            Ok((content, class)) => self.write(sync, &mut status, &content, &class).await,
            Err(failure) => Err(failure),
        };
        let failure = match written {
            Ok(true) => return self.write_status(sync, &status).await,
            Ok(false) => return Ok(()),
            Err(failure) => failure,
        };
        let condition = if failure.reason == Reason::PartialSync { UPDATED } else { condition };
        set(&mut status, condition, "False", failure.reason, &failure.message);
        if let Err(unwritten) = self.write_status(sync, &status).await {
            tracing::debug!(error = %unwritten, "the failure of a SecretSync can't be told in its status");
        }
        Err(failure)
    }

    /// The content of the Secret. Every call fetches all objects of the class from the vault.
    async fn gather(&self, sync: &SecretSync) -> Result<(Content, SecretProviderClass), Failure> {
        check_reserved(&sync.spec.secret_object)?;
        let class = self.class(sync).await?;
        self.check_account(sync).await?;
        let files = Files::fetch(&self.azure, &class.spec.parameters, self.partial_sync).await;
        let files = files.map_err(|why| Failure::new(Reason::ProviderError, fetching_failed(&why)))?;
        Ok((Content::gather(sync, &files, &self.secrets(sync)).await?, class))
    }

    /// Whether the Secret was written.
    async fn write(
        &self,
        sync: &SecretSync,
        status: &mut SecretSyncStatus,
        content: &Content,
        class: &SecretProviderClass,
    ) -> Result<bool, Failure> {
        let hash = sync_hash(content, class, sync, self.hash_iterations).await;
        let changed = status.sync_hash.as_ref() != Some(&hash);
        if !changed && !conditions::tell_of_failure(&status.conditions) {
            return Ok(false);
        }
        if status.sync_hash.is_none() {
            set(status, CREATED, "True", Reason::CreateSuccessful, "Secret created successfully.");
        }
        // Where a failed look is repeated with what was written before, upstream writes the Secret and leaves the condition.
        if changed {
            set(status, UPDATED, "True", Reason::SecretUpToDate, "Secret contains last observed values.");
        }
        self.secrets(sync).apply(sync, content).await?;
        status.last_successful_sync_time = Some(Time::from(Timestamp::now()));
        status.sync_hash = Some(hash);
        if !content.missing.is_empty() {
            return Err(Failure::new(Reason::PartialSync, content.outcomes()));
        }
        Ok(true)
    }

    fn secrets(&self, sync: &SecretSync) -> Secrets {
        Secrets::of(&self.client, &namespace(sync))
    }

    async fn class(&self, sync: &SecretSync) -> Result<SecretProviderClass, Failure> {
        let misconfigured = |message| Failure::new(Reason::SecretProviderClassMisconfigured, message);
        let name = &sync.spec.secret_provider_class_name;
        let classes: Api<SecretProviderClass> =
            Api::namespaced_with(self.client.clone(), &namespace(sync), &secret_provider_classes());
        let class = classes.get(name).await;
        let class = class
            .map_err(|error| misconfigured(format!("failed to get SecretProviderClass {name:?}: {error}")))?;
        if class.spec.provider != self.provider {
            let why = format!("provider not found: provider {:?}", class.spec.provider);
            return Err(misconfigured(fetching_failed(&why)));
        }
        Ok(class)
    }

    /// Has the API server vouch for the service account, where it issues tokens. The token itself is not used: as whom the vault is
    /// asked is the double's configuration.
    async fn check_account(&self, sync: &SecretSync) -> Result<(), Failure> {
        let account = sync.spec.service_account_name.as_str();
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), &namespace(sync));
        let spec = TokenRequestSpec {
            audiences: Some(vec![AUDIENCE.to_owned()]),
            expiration_seconds: Some(TOKEN_LIFETIME),
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
        match accounts.create_token_request(account, &PostParams::default(), &request).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(refusal)) if is_not_served(&refusal, account) => Ok(()),
            Err(error) => {
                let why = format!("failed to fetch token: {error}");
                Err(Failure::new(Reason::ControllerSyncError, fetching_failed(&why)))
            }
        }
    }

    /// Writes the status; what stands in `sync` is what was written, or else what it was.
    async fn write_status(&self, sync: &mut SecretSync, status: &SecretSyncStatus) -> Result<(), Failure> {
        let syncs: Api<SecretSync> =
            Api::namespaced_with(self.client.clone(), &namespace(sync), &secret_syncs());
        let draft = SecretSync { status: Some(status.clone()), ..sync.clone() };
        let written = syncs.replace_status(&sync.name_any(), &PostParams::default(), &draft).await;
        *sync = written.map_err(|error| {
            Failure::new(Reason::ControllerSyncError, format!("failed to update the status: {error}"))
        })?;
        Ok(())
    }
}

/// What the custom resource's own rules refuse, where they are evaluated.
fn check_reserved(object: &SecretObject) -> Result<(), Failure> {
    if object.labels.get(LABEL).is_some_and(|value| !value.is_empty()) {
        let message = format!("label {LABEL} is reserved for use by the Secrets Store Sync Controller");
        return Err(Failure::new(Reason::InvalidClusterSecretLabelError, message));
    }
    if object.annotations.contains_key(LABEL) {
        let message = format!("annotation {LABEL} is reserved for use by the Secrets Store Sync Controller");
        return Err(Failure::new(Reason::InvalidClusterSecretAnnotationError, message));
    }
    Ok(())
}

/// Whether a 404 means that the API server issues no tokens, and not that the account is missing.
fn is_not_served(refusal: &kube::core::Status, account: &str) -> bool {
    refusal.code == 404 && refusal.details.as_ref().is_none_or(|details| details.name != account)
}

fn set(status: &mut SecretSyncStatus, condition: &str, to: &str, reason: Reason, message: &str) {
    conditions::set(&mut status.conditions, condition, to, reason, message.to_owned());
}

fn namespace(sync: &SecretSync) -> String {
    sync.namespace().unwrap_or_default()
}
