//! The admission of a call to the contract: authentication, the limits of its caller, and authorization as
//! far as the method tells.

use std::sync::Arc;

use http::Request;
use tonic::{Status, body::Body};

use crate::api::{
    connection::{
        budget::Permit, caller_limits::CallerLimits, request_body::LimitedBody,
        unauthenticated::UnauthenticatedCalls,
    },
    rpc::{
        auth::{self, Authorizer, PresentedCredentials},
        method::Method,
    },
};

/// What admits calls. A clone shares everything.
#[derive(Clone)]
pub(crate) struct Admission {
    authorizer: Authorizer,
    limits: CallerLimits,
    unauthenticated: UnauthenticatedCalls,
}

/// What an admitted call holds until its answer is read.
pub(crate) struct Admitted {
    call: Permit,
    _bytes: Arc<Permit>,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(
        authorizer: Authorizer,
        limits: CallerLimits,
        unauthenticated: UnauthenticatedCalls,
    ) -> Self {
        Self { authorizer, limits, unauthenticated }
    }

    /// Admits a call, before its message is read.
    pub(super) async fn admit(
        self,
        (method, name): (Option<&'static Method>, &'static str),
        mut request: Request<Body>,
    ) -> Result<(Request<Body>, Admitted), Status> {
        let Self { authorizer, limits, unauthenticated } = self;
        let presented = PresentedCredentials::take(&mut request);
        let is_unix = presented.peer().is_unix;
        // Until its caller is known, it counts as a call without credentials.
        let authenticating = match authorizer.recognizes(&presented) {
            true => None,
            false => Some(unauthenticated.authenticate(presented.rate_limit_key(), is_unix)?),
        };
        let request = authorizer.clone().authenticate(name, presented, request).await?;
        drop(authenticating);
        let caller = auth::caller(request.extensions());
        let call = limits.call(&caller.to_string(), is_unix)?;
        let is_authorized = match method {
            Some(method) => authorizer.authorize_method(&caller, method).await?,
            None => true,
        };
        let carries_values = method.is_some_and(|method| method.carries_values);
        let (body_limits, bytes) = limits.request(call.holder(), carries_values, is_authorized)?;
        let request = request.map(|body| LimitedBody::body(body, body_limits));
        Ok((request, Admitted { call, _bytes: bytes }))
    }
}

// === impl Admitted ===

impl Admitted {
    /// The caller.
    pub(super) fn caller(&self) -> &str {
        self.call.holder()
    }
}
