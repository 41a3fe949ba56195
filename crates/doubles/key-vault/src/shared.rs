//! What all requests share.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    http::{HeaderMap, HeaderValue, Uri, header},
    response::{IntoResponse, Response},
};
use doubles_common::faults::FaultRules;
use parking_lot::{Mutex, RwLock};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    clock::Clock,
    faults::OperationMatch,
    hosts::{self, Cloud},
    identity::Identity,
    refusal::Refusal,
    requests::{Counters, Issued},
    secrets::Vault,
    settings::Settings,
    throttle::Bucket,
};

/// What all requests share.
pub(super) struct Shared {
    pub(super) vault: Vault,
    pub(super) identity: Identity,
    pub(super) faults: Arc<FaultRules<OperationMatch>>,
    pub(super) settings: RwLock<Settings>,
    pub(super) counters: Counters,
    pub(super) issued: Mutex<BTreeSet<Issued>>,
    pub(super) clock: Clock,
    pub(super) bucket: Bucket,
    /// The writes in progress: each is completed even if its client is gone.
    pub(super) changes: TaskTracker,
    /// Cancelled when the double stops.
    pub(super) stopping: CancellationToken,
    /// The host of requests without a `Host`.
    pub(super) address: String,
}

impl Shared {
    /// How the vault behaves now.
    pub(super) fn settings(&self) -> Settings {
        *self.settings.read()
    }

    /// The tenant that the challenge names.
    pub(super) fn tenant(&self) -> &str {
        &self.identity.credential().tenant_id
    }

    /// The host whose challenge is given at a vault: its own, unless the vault wants the token of another cloud.
    pub(super) fn challenging(&self, host: &str) -> String {
        match self.settings().foreign_challenge {
            true => hosts::public_host("another"),
            false => host.to_owned(),
        }
    }
}

/// The host, with its port, by which the client reached us.
pub(super) fn host_of(shared: &Shared, uri: &Uri, headers: &HeaderMap) -> String {
    hosts::reached(uri, headers, &shared.address)
}

/// 401 with the challenge: which authority issues tokens for which resource.
pub(super) fn challenge(host: &str, tenant: &str, error: Option<&str>) -> Response {
    let error = error.map(|message| format!(", error=\"invalid_token\", error_description=\"{message}\""));
    let challenge = format!(
        "Bearer authorization=\"https://{}/{tenant}\", resource=\"{}\"{}",
        hosts::authority(host),
        Cloud::of_vault(host).unwrap_or(Cloud::PUBLIC).resource(),
        error.as_deref().unwrap_or_default()
    );
    let message = match error {
        Some(_) => "AKV10032: The token is not accepted.",
        None => "AKV10000: Request is missing a Bearer or PoP token.",
    };
    let mut response = Refusal::unauthorized(message).into_response();
    if let Ok(challenge) = HeaderValue::from_str(&challenge) {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}
