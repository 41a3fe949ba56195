//! Finds out who calls and whether they may, and records every refusal in the audit.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use tonic::{Extensions, Request, Status, body::Body};

use super::{
    context::{AuthContext, caller},
    credentials::PresentedCredentials,
};
use crate::{
    access::{AccessControl, AccessError, Proof},
    api::{
        connection::{
            limit::{Limit, LimitHits},
            peer::Peer,
            tls::Certificates,
        },
        error::{access_denied, code_name, mapping::ErrorMapping},
        rpc::{method::Method, request::RpcRequest},
    },
    model::{Caller, Outcome, Permission},
    secrets::{Denial, Secrets},
};

/// Authenticates and authorizes calls. A clone shares everything.
#[derive(Clone)]
pub(crate) struct Authorizer(Arc<Inner>);

struct Inner {
    access: AccessControl,
    secrets: Secrets,
    certificates: Option<Certificates>,
    limit_hits: LimitHits,
}

// === impl Authorizer ===

impl Authorizer {
    pub(crate) fn new(
        access: AccessControl,
        secrets: Secrets,
        certificates: Option<Certificates>,
        limit_hits: LimitHits,
    ) -> Self {
        Self(Arc::new(Inner { access, secrets, certificates, limit_hits }))
    }

    /// Whether these credentials can be authenticated without asking the cluster about an unknown token.
    pub(crate) fn recognizes(&self, presented: &PresentedCredentials) -> bool {
        match (self.certificate(presented.peer()), presented.token()) {
            (Ok(certificate), Ok(token)) => self.0.access.recognizes(&presented.with(certificate, token)),
            // Refused without asking anybody.
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// Authenticates a request before its message is read; [`caller`] returns the caller afterwards.
    pub(crate) async fn authenticate(
        self,
        method: &'static str,
        presented: PresentedCredentials,
        mut request: http::Request<Body>,
    ) -> Result<http::Request<Body>, Status> {
        match self.caller(&presented).await {
            Ok(caller) => {
                let context = AuthContext { caller, credentials: Arc::new(presented) };
                request.extensions_mut().insert(context);
                Ok(request)
            }
            Err(error) => Err(self.deny(&presented.peer().place, method, "", error).await),
        }
    }

    /// The caller with these credentials, if they are valid now.
    pub(super) async fn caller(&self, presented: &PresentedCredentials) -> Result<Caller, AccessError> {
        let certificate = self.certificate(presented.peer())?;
        self.0.access.authenticate(presented.with(certificate, presented.token()?)).await
    }

    /// Authorizes a request: its caller needs every permission that it requires.
    pub(crate) async fn authorize_request<T: RpcRequest>(
        &self,
        request: Request<T>,
    ) -> Result<Request<T>, Status> {
        let required = request.get_ref().required_permissions();
        self.authorize(&caller(request.extensions()), T::METHOD, &required).await?;
        Ok(request)
    }

    /// Authorizes a method before its request is read; false if the decision depends on what the request
    /// names.
    pub(crate) async fn authorize_method(&self, caller: &Caller, method: &Method) -> Result<bool, Status> {
        let required = (method.required_permissions)();
        if required.is_empty() {
            // Everybody may call it, whoever has no other right included: such a caller counts as undecided.
            return Ok(false);
        }
        if !method.names_resource {
            return self.authorize(caller, method.name, &required).await.map(|()| true);
        }
        match self.0.access.is_granted(caller, &required).await {
            Ok(is_granted) => Ok(is_granted),
            Err(error) => Err(self.deny_permissions(caller, method.name, &required, error).await),
        }
    }

    /// Authorizes a caller of a method to do all this.
    pub(crate) async fn authorize(
        &self,
        caller: &Caller,
        method: &'static str,
        required: &[Permission],
    ) -> Result<(), Status> {
        match self.0.access.authorize(caller, required).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.deny_permissions(caller, method, required, error).await),
        }
    }

    /// Whether a caller has a permission that the call does not require; a no is not recorded.
    pub(crate) async fn is_allowed(&self, caller: &Caller, permission: &Permission) -> bool {
        self.0.access.authorize(caller, std::slice::from_ref(permission)).await.is_ok()
    }

    /// What a caller of a method lacks of permissions that the call does not require; that is not recorded.
    pub(crate) async fn refusals(
        &self,
        caller: &Caller,
        method: &'static str,
        wanted: HashSet<Permission>,
    ) -> Result<HashMap<Permission, AccessError>, Status> {
        match self.0.access.refusals(caller, wanted).await {
            Ok(refusals) => Ok(refusals),
            Err(error) => Err(self.deny_permissions(caller, method, &[], error).await),
        }
    }

    /// How the caller of a method proved who they are.
    pub(crate) async fn proof(&self, method: &'static str, request: &Extensions) -> Result<Proof, Status> {
        let Some(AuthContext { caller, credentials }) = request.get() else { return Ok(Proof::NONE) };
        let proof = |(certificate, token)| self.0.access.proof(&credentials.with(certificate, token));
        let presented =
            self.certificate(credentials.peer()).and_then(|found| Ok((found, credentials.token()?)));
        match presented.map(proof) {
            Ok(proof) => Ok(proof),
            // The certificate was valid a moment ago.
            Err(error) => Err(self.deny_permissions(caller, method, &[], error).await),
        }
    }

    pub(in crate::api::rpc) fn access(&self) -> &AccessControl {
        &self.0.access
    }

    /// The client certificate of a connection. It was valid at the handshake; here it must be valid now.
    fn certificate(&self, peer: &Peer) -> Result<Option<Vec<u8>>, AccessError> {
        let (Some(chain), Some(certificates)) = (&peer.chain, &self.0.certificates) else { return Ok(None) };
        certificates.clients().verify(chain).map_err(AccessError::CertificateRejected)?;
        Ok(chain.first().map(|leaf| leaf.to_vec()))
    }

    async fn deny_permissions(
        &self,
        caller: &Caller,
        method: &'static str,
        required: &[Permission],
        error: AccessError,
    ) -> Status {
        let resource = required.first().map(Permission::resource_name).unwrap_or_default();
        self.deny(&caller.to_string(), method, &resource, error).await
    }

    /// Records a refusal, and makes the status that the caller gets.
    pub(super) async fn deny(
        &self,
        actor: &str,
        method: &'static str,
        resource: &str,
        error: AccessError,
    ) -> Status {
        if let AccessError::TooManyUnknownTokens { per_caller, .. } = error {
            self.0.limit_hits.count(match per_caller {
                true => Limit::UnknownTokensPerAddress,
                false => Limit::UnknownTokens,
            });
        }
        let mapping = ErrorMapping::of_access_error(&error);
        let denial = Denial {
            actor: actor.to_owned(),
            action: method.into(),
            resource: resource.to_owned(),
            outcome: Outcome(code_name(mapping.code).to_owned()),
            detail: error.to_string(),
        };
        self.0.secrets.record_denial(denial).await;
        access_denied(&error, &mapping)
    }
}
