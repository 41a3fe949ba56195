//! The RPCs of the contract, one file each: the permissions that the RPC requires, how its request is read,
//! the use case that it calls, and its answer.
//!
//! Beside them stands what they share: `auth` (who calls and whether they may), `request` and `mutation`
//! (what requests have in common), `convert` (resources on the wire and in the model), `pages` and `token`
//! (lists). `method` lists all RPCs for the server's layers.

mod add_vault_secret_version;
mod adopt_synced_secret;
pub(crate) mod auth;
mod check_resource;
mod convert;
mod create_synced_secret;
mod create_vault_secret;
pub(crate) mod deadline;
mod delete_synced_secret;
#[cfg(any(fuzzing, test))]
pub(crate) mod fuzzing;
mod get_caller;
mod get_synced_secret;
mod get_vault;
mod get_vault_secret;
mod list_audit_events;
mod list_secret_purposes;
mod list_secret_usages;
mod list_synced_secrets;
mod list_vault_secret_versions;
mod list_vault_secrets;
pub(crate) mod method;
mod mutation;
pub(crate) mod pages;
mod purpose;
mod recover_vault_secret;
mod request;
mod sync_synced_secret;
pub(crate) mod token;
mod update_synced_secret;
mod update_vault_secret;
mod view;
pub(crate) mod watch_synced_secrets;

use tonic::{Request, Response, Status};

use crate::{
    model::{Caller, Permission},
    proto,
    secrets::{Referable, Secrets},
};
use auth::Authorizer;
use mutation::{Mutation, MutationRequest};
use pages::Pages;
use request::RpcRequest;
use watch_synced_secrets::Watches;

type Answer<T> = Result<Response<T>, Status>;

/// The contract, carried out by the use cases.
pub(crate) struct Service {
    pub(crate) authorizer: Authorizer,
    pub(crate) secrets: Secrets,
    pub(crate) watches: Watches,
    pub(crate) pages: Pages,
}

// === impl Service ===

impl Service {
    /// The request, once its caller is authorized.
    async fn authorized<T: RpcRequest>(&self, request: Request<T>) -> Result<T, Status> {
        self.authorizer.authorize_request(request).await.map(Request::into_inner)
    }

    /// The same for a request that changes something.
    async fn mutation<T: MutationRequest>(&self, request: Request<T>) -> Result<Mutation<T>, Status> {
        Ok(Mutation::of(&self.secrets, self.authorizer.authorize_request(request).await?))
    }

    /// The use cases on behalf of the caller.
    fn secrets_for<T>(&self, request: &Request<T>) -> Secrets {
        self.secrets.of(&auth::caller(request.extensions()).to_string())
    }

    /// Authorizes references to vault secrets that only the use case can tell, because they don't stand in
    /// the request.
    async fn authorize_references(
        &self,
        caller: &Caller,
        method: &'static str,
        referable: &Referable,
    ) -> Result<(), Status> {
        let required: Vec<_> =
            referable.names().map(|name| Permission::reference(Some(name.clone()))).collect();
        self.authorizer.authorize(caller, method, &required).await
    }
}

/// Implements the generated trait: each method is the function `call` of its file.
macro_rules! contract {
    ($($method:ident: $request:ident -> $answer:ty;)+) => {
        #[tonic::async_trait]
        impl proto::secret_service_server::SecretService for Service {
            type WatchSyncedSecretsStream = watch_synced_secrets::Stream;

            $(async fn $method(&self, request: Request<proto::$request>) -> Answer<$answer> {
                $method::call(self, request).await
            })+
        }
    };
}

contract! {
    create_synced_secret: CreateSyncedSecretRequest -> proto::SyncedSecret;
    get_synced_secret: GetSyncedSecretRequest -> proto::SyncedSecret;
    list_synced_secrets: ListSyncedSecretsRequest -> proto::ListSyncedSecretsResponse;
    watch_synced_secrets: WatchSyncedSecretsRequest -> watch_synced_secrets::Stream;
    update_synced_secret: UpdateSyncedSecretRequest -> proto::SyncedSecret;
    delete_synced_secret: DeleteSyncedSecretRequest -> proto::SyncedSecret;
    sync_synced_secret: SyncSyncedSecretRequest -> proto::SyncedSecret;
    adopt_synced_secret: AdoptSyncedSecretRequest -> proto::SyncedSecret;
    list_secret_usages: ListSecretUsagesRequest -> proto::ListSecretUsagesResponse;
    list_secret_purposes: ListSecretPurposesRequest -> proto::ListSecretPurposesResponse;
    check_resource: CheckResourceRequest -> proto::CheckResourceResponse;
    get_vault: GetVaultRequest -> proto::Vault;
    list_vault_secrets: ListVaultSecretsRequest -> proto::ListVaultSecretsResponse;
    get_vault_secret: GetVaultSecretRequest -> proto::VaultSecret;
    list_vault_secret_versions: ListVaultSecretVersionsRequest -> proto::ListVaultSecretVersionsResponse;
    create_vault_secret: CreateVaultSecretRequest -> proto::VaultSecret;
    add_vault_secret_version: AddVaultSecretVersionRequest -> proto::VaultSecretVersion;
    update_vault_secret: UpdateVaultSecretRequest -> proto::VaultSecretVersion;
    recover_vault_secret: RecoverVaultSecretRequest -> proto::VaultSecret;
    list_audit_events: ListAuditEventsRequest -> proto::ListAuditEventsResponse;
    get_caller: GetCallerRequest -> proto::Caller;
}
