//! A tonic server with nothing behind it: what any service on this stack could reach at most.

use std::net::SocketAddr;

use secret_service::proto::secret_service_server::{SecretService, SecretServiceServer};
use secret_service::proto::*;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

/// Answers every Get with the same synced secret.
struct Bare(SyncedSecret);

/// Serves until the process ends.
pub async fn serve(answer: SyncedSecret) -> SocketAddr {
    let incoming = TcpIncoming::bind("127.0.0.1:0".parse().expect("an address")).expect("a port");
    // Without it, answers wait for the client's delayed acknowledgement.
    let incoming = incoming.with_nodelay(Some(true));
    let address = incoming.local_addr().expect("an address");
    let service = SecretServiceServer::new(Bare(answer));
    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
    address
}

macro_rules! unimplemented_methods {
    ($($name:ident: $request:ty => $response:ty;)+) => {
        #[tonic::async_trait]
        impl SecretService for Bare {
            type WatchSyncedSecretsStream = tokio_stream::Empty<Result<WatchSyncedSecretsResponse, Status>>;

            async fn get_synced_secret(
                &self,
                _: Request<GetSyncedSecretRequest>,
            ) -> Result<Response<SyncedSecret>, Status> {
                Ok(Response::new(self.0.clone()))
            }

            async fn watch_synced_secrets(
                &self,
                _: Request<WatchSyncedSecretsRequest>,
            ) -> Result<Response<Self::WatchSyncedSecretsStream>, Status> {
                Err(Status::unimplemented(""))
            }

            $(async fn $name(&self, _: Request<$request>) -> Result<Response<$response>, Status> {
                Err(Status::unimplemented(""))
            })+
        }
    };
}

unimplemented_methods! {
    get_vault: GetVaultRequest => Vault;
    list_vault_secrets: ListVaultSecretsRequest => ListVaultSecretsResponse;
    get_vault_secret: GetVaultSecretRequest => VaultSecret;
    list_vault_secret_versions: ListVaultSecretVersionsRequest => ListVaultSecretVersionsResponse;
    create_vault_secret: CreateVaultSecretRequest => VaultSecret;
    add_vault_secret_version: AddVaultSecretVersionRequest => VaultSecretVersion;
    update_vault_secret: UpdateVaultSecretRequest => VaultSecretVersion;
    recover_vault_secret: RecoverVaultSecretRequest => VaultSecret;
    create_synced_secret: CreateSyncedSecretRequest => SyncedSecret;
    list_synced_secrets: ListSyncedSecretsRequest => ListSyncedSecretsResponse;
    update_synced_secret: UpdateSyncedSecretRequest => SyncedSecret;
    delete_synced_secret: DeleteSyncedSecretRequest => SyncedSecret;
    sync_synced_secret: SyncSyncedSecretRequest => SyncedSecret;
    adopt_synced_secret: AdoptSyncedSecretRequest => SyncedSecret;
    list_secret_usages: ListSecretUsagesRequest => ListSecretUsagesResponse;
    check_resource: CheckResourceRequest => CheckResourceResponse;
    list_secret_purposes: ListSecretPurposesRequest => ListSecretPurposesResponse;
    list_audit_events: ListAuditEventsRequest => ListAuditEventsResponse;
    get_caller: GetCallerRequest => Caller;
}
