//! A watch outlives the decisions that let it begin: its caller is authenticated and authorized again while
//! it lasts.

use tokio::time::Instant;
use tonic::{Request, Status};

use super::{authorizer::Authorizer, context::AuthContext, context::caller, key_visibility::KeyVisibility};
use crate::{
    api::rpc::request::RpcRequest,
    model::{Caller, Permission},
};

/// Repeats the authorization of a request whenever the last decision is no longer remembered.
pub(crate) struct Reauthorization {
    authorizer: Authorizer,
    /// Nothing for a local caller, who stays authorized.
    context: Option<AuthContext>,
    method: &'static str,
    required: Vec<Permission>,
    key_visibility: KeyVisibility,
    due: Instant,
}

// === impl Reauthorization ===

impl Reauthorization {
    /// Of a request that was authorized just now.
    pub(crate) async fn of<T: RpcRequest>(authorizer: &Authorizer, request: &Request<T>) -> Self {
        let is_known = |context: &&AuthContext| matches!(context.caller, Caller::Known(_));
        Self {
            key_visibility: KeyVisibility::of(authorizer, &caller(request.extensions())).await,
            authorizer: authorizer.clone(),
            context: request.extensions().get::<AuthContext>().filter(is_known).cloned(),
            method: T::METHOD,
            required: request.get_ref().required_permissions(),
            due: Instant::now() + authorizer.access().decision_life(),
        }
    }

    /// What the caller sees, according to the last authorization.
    pub(crate) fn key_visibility(&self) -> &KeyVisibility {
        &self.key_visibility
    }

    /// Returns when the caller is no longer authorized, and says why. The future may be dropped and awaited
    /// again.
    pub(crate) async fn revoked(&mut self) -> Status {
        let Some(context) = &self.context else { return std::future::pending().await };
        loop {
            tokio::time::sleep_until(self.due).await;
            match self.authorizer.caller(&context.credentials).await {
                Ok(caller) => {
                    if let Err(status) = self.authorizer.authorize(&caller, self.method, &self.required).await
                    {
                        return status;
                    }
                    self.key_visibility = KeyVisibility::of(&self.authorizer, &caller).await;
                }
                Err(error) => {
                    let actor = context.caller.to_string();
                    return self.authorizer.deny(&actor, self.method, "", error).await;
                }
            }
            self.due = Instant::now() + self.authorizer.access().decision_life();
        }
    }
}
