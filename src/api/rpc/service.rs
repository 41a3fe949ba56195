//! The RPCs of the contract: each reads its request, calls its use case, and writes the answer.

use tonic::{Request, Response, Status};

use crate::api::{
    error::{about, plain},
    rpc::{
        auth::{self, Door},
        convert,
        mutation::{self, Changing, Mutation},
        pages::{self, Pages},
        permissions::Asking,
        watch_synced_secrets::{self, Watches},
    },
};
use crate::{
    model::{Caller, Permission},
    proto::{self, secret_service_server::SecretService},
    secrets::{Changes, Referable, Secrets},
};

type Answer<T> = Result<Response<T>, Status>;

/// The contract, carried out by the use cases.
pub(crate) struct Service {
    pub(crate) door: Door,
    pub(crate) secrets: Secrets,
    pub(crate) watches: Watches,
    pub(crate) pages: Pages,
}

// === impl Service ===

impl Service {
    /// The request of a caller who may do what it asks for.
    async fn message<T: Asking>(&self, request: Request<T>) -> Result<T, Status> {
        self.door.enter(request).await.map(Request::into_inner)
    }

    /// The same for a request that changes something.
    async fn mutation<T: Changing>(&self, request: Request<T>) -> Result<Mutation<T>, Status> {
        Ok(Mutation::of(&self.secrets, self.door.enter(request).await?))
    }

    /// The use cases for who calls.
    fn secrets_of<T>(&self, request: &Request<T>) -> Secrets {
        self.secrets.of(&auth::caller(request.extensions()).to_string())
    }

    /// What the references of an update may be: those that are new must be granted. Those that its synced secret has need not be; where
    /// they are, they count also when another caller takes them out meanwhile.
    async fn referable(&self, caller: &Caller, changes: &Changes) -> Result<Referable, Status> {
        let (mut referable, held) = self.secrets.referred_by_update(changes);
        self.may_refer(caller, "UpdateSyncedSecret", &referable).await?;
        // With an etag, nothing happens to what was changed meanwhile.
        for name in held.names().filter(|_| changes.etag.is_empty()) {
            if self.door.grants(caller, &Permission::reference(Some(name.clone()))).await {
                referable.add(name.clone());
            }
        }
        Ok(referable)
    }

    /// Whether a caller may refer to vault secrets that the request alone does not tell.
    async fn may_refer(
        &self,
        caller: &Caller,
        method: &'static str,
        referable: &Referable,
    ) -> Result<(), Status> {
        let asks: Vec<Permission> =
            referable.names().map(|name| Permission::reference(Some(name.clone()))).collect();
        self.door.permit(caller, method, &asks).await
    }
}

#[tonic::async_trait]
impl SecretService for Service {
    async fn create_synced_secret(
        &self,
        request: Request<proto::CreateSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let Mutation { call, mode, message, violations } = self.mutation(request).await?;
        let new = convert::new_synced_secret(message, violations).map_err(plain)?;
        let name = format!("syncedSecrets/{}", new.id);
        let created = self.secrets.create_synced_secret(call, new, mode).await.map_err(about(name))?;
        Ok(Response::new(convert::synced_secret(&created)))
    }

    async fn get_synced_secret(
        &self,
        request: Request<proto::GetSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let message = self.message(request).await?;
        let id = convert::synced_secret_name("name", &message.name).map_err(plain)?;
        let is_full = convert::is_full(message.view, true).map_err(plain)?;
        let record = self.secrets.get_synced_secret(&id).map_err(plain)?;
        Ok(Response::new(pages::synced_secret(&self.secrets, None, &record.secret, is_full)))
    }

    async fn list_synced_secrets(
        &self,
        request: Request<proto::ListSyncedSecretsRequest>,
    ) -> Answer<proto::ListSyncedSecretsResponse> {
        let request = self.door.enter(request).await?;
        let sight = self.door.sight(&auth::caller(request.extensions())).await;
        let page = self.pages.synced_secrets(&self.secrets, &sight, request.into_inner());
        page.map(Response::new).map_err(plain)
    }

    type WatchSyncedSecretsStream = watch_synced_secrets::Stream;

    async fn watch_synced_secrets(
        &self,
        request: Request<proto::WatchSyncedSecretsRequest>,
    ) -> Answer<watch_synced_secrets::Stream> {
        let request = self.door.enter(request).await?;
        let leave = self.door.leave(&request).await;
        self.watches.open(&self.secrets, request, leave).await.map(Response::new)
    }

    async fn update_synced_secret(
        &self,
        request: Request<proto::UpdateSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let caller = auth::caller(request.extensions());
        let Mutation { call, mode, message, violations } = self.mutation(request).await?;
        let mut changes = super::update_synced_secret::changes(message, violations).map_err(plain)?;
        changes.referable = self.referable(&caller, &changes).await?;
        let name = format!("syncedSecrets/{}", changes.id);
        let updated = self.secrets.update_synced_secret(call, changes, mode).await.map_err(about(name))?;
        Ok(Response::new(convert::synced_secret(&updated)))
    }

    async fn delete_synced_secret(
        &self,
        request: Request<proto::DeleteSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let Mutation { call, mode, message, violations } = self.mutation(request).await?;
        let deletion = convert::deletion(message, violations).map_err(plain)?;
        let name = format!("syncedSecrets/{}", deletion.id);
        let deleted = self.secrets.delete_synced_secret(call, deletion, mode).await.map_err(about(&*name))?;
        let never_there = || proto::SyncedSecret { name, ..Default::default() };
        Ok(Response::new(deleted.as_ref().map_or_else(never_there, convert::synced_secret)))
    }

    async fn sync_synced_secret(
        &self,
        request: Request<proto::SyncSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let Mutation { call, mode, message, mut violations } = self.mutation(request).await?;
        let id = violations.synced_secret("name", &message.name);
        let id = violations.finish(id).map_err(plain)?;
        let name = format!("syncedSecrets/{id}");
        let synced = self.secrets.sync_synced_secret(call, id, mode.wait).await.map_err(about(name))?;
        Ok(Response::new(convert::synced_secret(&synced)))
    }

    async fn adopt_synced_secret(
        &self,
        request: Request<proto::AdoptSyncedSecretRequest>,
    ) -> Answer<proto::SyncedSecret> {
        let caller = auth::caller(request.extensions());
        let Mutation { call, mode, message, violations } = self.mutation(request).await?;
        let mut adoption = convert::adoption(message, violations).map_err(plain)?;
        adoption.referable = self.secrets.referred_by_adoption(&adoption);
        self.may_refer(&caller, "AdoptSyncedSecret", &adoption.referable).await?;
        let name = format!("syncedSecrets/{}", adoption.id);
        let adopted = self.secrets.adopt_synced_secret(call, adoption, mode.validate_only).await;
        Ok(Response::new(convert::synced_secret(&adopted.map_err(about(name))?)))
    }

    async fn list_secret_usages(
        &self,
        request: Request<proto::ListSecretUsagesRequest>,
    ) -> Answer<proto::ListSecretUsagesResponse> {
        let request = self.door.enter(request).await?;
        let deadline = mutation::deadline(&request);
        let caller = auth::caller(request.extensions());
        let message = request.into_inner();
        let parent = message.parent.clone();
        // Who asks about one was asked whether it may get it.
        let sight = match convert::synced_secret_or_all("parent", &parent) {
            Ok(None) => Some(self.door.sight(&caller).await),
            _ => None,
        };
        let page = self.pages.secret_usages(&self.secrets, sight.as_ref(), deadline, message).await;
        page.map(Response::new).map_err(about(parent))
    }

    async fn get_vault(&self, request: Request<proto::GetVaultRequest>) -> Answer<proto::Vault> {
        let secrets = self.secrets_of(&request);
        let message = self.message(request).await?;
        convert::vault_name(&message.name).map_err(plain)?;
        let found = secrets.get_vault().await.map_err(plain)?;
        Ok(Response::new(convert::vault(&found)))
    }

    async fn list_vault_secrets(
        &self,
        request: Request<proto::ListVaultSecretsRequest>,
    ) -> Answer<proto::ListVaultSecretsResponse> {
        let secrets = self.secrets_of(&request);
        let message = self.message(request).await?;
        let page = self.pages.vault_secrets(&secrets, message).await;
        page.map(Response::new).map_err(about("vault"))
    }

    async fn get_vault_secret(
        &self,
        request: Request<proto::GetVaultSecretRequest>,
    ) -> Answer<proto::VaultSecret> {
        let secrets = self.secrets_of(&request);
        let message = self.message(request).await?;
        let name = convert::vault_secret_name("name", &message.name).map_err(plain)?;
        let found = secrets.get_vault_secret(&name).await;
        let found = found.map_err(about(format!("vaultSecrets/{name}")))?;
        Ok(Response::new(convert::listed_vault_secret(found)))
    }

    async fn list_vault_secret_versions(
        &self,
        request: Request<proto::ListVaultSecretVersionsRequest>,
    ) -> Answer<proto::ListVaultSecretVersionsResponse> {
        let secrets = self.secrets_of(&request);
        let message = self.message(request).await?;
        let parent = message.parent.clone();
        let page = self.pages.vault_secret_versions(&secrets, message).await;
        page.map(Response::new).map_err(about(parent))
    }

    async fn create_vault_secret(
        &self,
        request: Request<proto::CreateVaultSecretRequest>,
    ) -> Answer<proto::VaultSecret> {
        let Mutation { call, mode, message, violations } = self.mutation(request).await?;
        let (name, new) = convert::create_vault_secret(message, violations).map_err(plain)?;
        let resource = about(format!("vaultSecrets/{name}"));
        let created = self.secrets.create_vault_secret(call, name, new, mode.validate_only).await;
        Ok(Response::new(convert::listed_vault_secret(created.map_err(resource)?)))
    }

    async fn add_vault_secret_version(
        &self,
        request: Request<proto::AddVaultSecretVersionRequest>,
    ) -> Answer<proto::VaultSecretVersion> {
        let Mutation { call, message, violations, .. } = self.mutation(request).await?;
        let (name, new) = convert::new_version(message, violations).map_err(plain)?;
        let resource = about(format!("vaultSecrets/{name}"));
        let added = self.secrets.add_vault_secret_version(call, name, new).await.map_err(resource)?;
        Ok(Response::new(convert::vault_secret_version(&added)))
    }

    async fn list_audit_events(
        &self,
        request: Request<proto::ListAuditEventsRequest>,
    ) -> Answer<proto::ListAuditEventsResponse> {
        let message = self.message(request).await?;
        let page = self.pages.audit_events(&self.secrets, message).await;
        page.map(Response::new).map_err(plain)
    }
}
