//! The authenticated caller of a request.

use std::sync::Arc;

use tonic::Extensions;

use super::credentials::PresentedCredentials;
use crate::{api::connection::tracked::TrackedConnection, model::Caller};

/// Who calls, and the credentials that proved it; an extension of the request.
#[derive(Clone)]
pub(super) struct AuthContext {
    pub(super) caller: Caller,
    pub(super) credentials: Arc<PresentedCredentials>,
}

/// The caller of a request. A request that the authorizer has not seen is that of the connection's peer.
pub(crate) fn caller(request: &Extensions) -> Caller {
    match request.get::<AuthContext>() {
        Some(context) => context.caller.clone(),
        None => Caller::Local(TrackedConnection::peer_of(request).place.clone()),
    }
}
