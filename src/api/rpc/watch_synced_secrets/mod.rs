//! WatchSyncedSecrets.

mod coalesce;
mod stream;

use std::{pin::Pin, time::Duration};

use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

use super::{
    Answer, Service,
    auth::{self, Reauthorization},
    convert,
    deadline::deadline,
    request::RpcRequest,
    token::TokenScope,
};
use crate::{
    api::{connection::caller_limits::CallerLimits, error::plain},
    model::{Permission, Resource::SyncedSecrets, Verb},
    proto::{WatchSyncedSecretsRequest, WatchSyncedSecretsResponse},
    secrets::FeedPlace,
};
use stream::Watch;

/// The responses of a watch.
pub(crate) type Stream =
    Pin<Box<dyn futures::Stream<Item = Result<WatchSyncedSecretsResponse, Status>> + Send>>;

/// What all watches share.
pub(crate) struct Watches {
    limits: CallerLimits,
    heartbeat: Duration,
    stop: CancellationToken,
}

impl RpcRequest for WatchSyncedSecretsRequest {
    const METHOD: &'static str = "WatchSyncedSecrets";

    fn required_permissions(&self) -> Vec<Permission> {
        vec![Permission::all(Verb::Watch, SyncedSecrets)]
    }
}

pub(super) async fn call(service: &Service, request: Request<WatchSyncedSecretsRequest>) -> Answer<Stream> {
    let request = service.authorizer.authorize_request(request).await?;
    let reauthorization = Reauthorization::of(&service.authorizer, &request).await;
    let Watches { limits, heartbeat, stop } = &service.watches;
    let permit = limits.watch(&auth::caller(request.extensions()).to_string())?;
    let deadline = deadline(&request);
    let message = request.into_inner();
    let wire = message.filter.unwrap_or_default();
    let method = WatchSyncedSecretsRequest::METHOD;
    let scope = TokenScope::watch(service.secrets.signer(), method, wire.encode_to_vec());
    let filter = convert::filter(wire).map_err(plain)?;
    let resume = scope.open::<FeedPlace>(&message.resume_token).map_err(plain)?;
    let watcher = service.secrets.watch_synced_secrets(filter, resume).await.map_err(plain)?;
    let watch = Watch {
        watcher,
        scope,
        permit,
        reauthorization,
        deadline,
        stop: stop.clone(),
        is_resumed: resume.is_some(),
    };
    Ok(Response::new(watch.stream(*heartbeat)))
}

// === impl Watches ===

impl Watches {
    pub(crate) fn new(limits: CallerLimits, heartbeat: Duration, stop: CancellationToken) -> Self {
        Self { limits, heartbeat, stop }
    }
}
