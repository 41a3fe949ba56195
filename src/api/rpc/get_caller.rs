//! GetCaller: who the caller is, and which methods they may call.
//!
//! It tells what calls would be told, and nothing more: the same permissions are reviewed, within the same limits.

use std::collections::{HashMap, HashSet};

use tonic::{Request, Response};

use super::{
    Answer, Service,
    auth::{self, Authorizer},
    convert,
    method::METHODS,
    request::{NamedResource, RpcRequest},
};
use crate::{
    access::{AccessError, Proof, ProofKind},
    api::error::{access_refusal, plain},
    model::{Caller, Permission, Resource, RuledNames},
    proto::{self, GetCallerRequest, MethodPermission, caller::Authentication, method_permission::Access},
    secrets::Error,
};

impl RpcRequest for GetCallerRequest {
    const METHOD: &'static str = "GetCaller";

    fn required_permissions(&self) -> Vec<Permission> {
        Vec::new()
    }
}

/// What a caller may do.
struct Grants<'a> {
    authorizer: &'a Authorizer,
    caller: &'a Caller,
    refusals: HashMap<Permission, AccessError>,
}

pub(super) async fn call(service: &Service, request: Request<GetCallerRequest>) -> Answer<proto::Caller> {
    let request = service.authorizer.authorize_request(request).await?;
    let caller = auth::caller(request.extensions());
    let about = about(request.get_ref()).map_err(plain)?;
    let methods = METHODS.iter().filter(|method| method.name != GetCallerRequest::METHOD);
    let methods: Vec<_> = methods.map(|method| (method, (method.permissions_on)(about.as_ref()))).collect();
    let reference = reference(about.as_ref());
    let wanted = methods.iter().flat_map(|(_, required)| required).chain([&reference]).cloned().collect();
    let grants = Grants::of(&service.authorizer, &caller, wanted).await?;
    let proof = service.authorizer.proof(GetCallerRequest::METHOD, request.extensions()).await?;
    Ok(Response::new(proto::Caller {
        permissions: methods
            .iter()
            .map(|(method, required)| grants.permission(method.name, required, method.names_resource))
            .collect(),
        reference: Some(grants.permission("", std::slice::from_ref(&reference), true)),
        ..described(&caller, proof)
    }))
}

/// Who the caller is.
fn described(caller: &Caller, proof: Proof) -> proto::Caller {
    let identity = match caller {
        Caller::Known(identity) => Some(identity),
        Caller::Local(_) => None,
    };
    let authentication = match proof.kind {
        ProofKind::None => Authentication::None,
        ProofKind::ClusterToken => Authentication::ClusterToken,
        ProofKind::Certificate => Authentication::ClientCertificate,
        ProofKind::IssuerToken => Authentication::OpenidConnect,
    };
    proto::Caller {
        name: "caller".to_owned(),
        user: caller.to_string(),
        groups: identity.map(|identity| identity.groups.clone()).unwrap_or_default(),
        groups_incomplete: identity.is_some_and(|identity| identity.untold.is_some()),
        authentication: authentication.into(),
        expire_time: proof.expire_time.map(convert::timestamp),
        ..Default::default()
    }
}

/// The resource that the caller asks about.
pub(super) fn about(wire: &GetCallerRequest) -> Result<Option<NamedResource>, Error> {
    if !["", "caller"].contains(&wire.name.as_str()) {
        return Err(Error::invalid("name", "must be \"caller\": nobody learns what others may do"));
    }
    let (field, text) = ("resource", wire.resource.as_str());
    let (resource, name) = match text {
        "" => return Ok(None),
        _ if text.starts_with("vaultSecrets/") => {
            (Resource::VaultSecrets, convert::vault_secret_name(field, text)?.folded())
        }
        _ if text.starts_with("syncedSecrets/") => {
            (Resource::SyncedSecrets, convert::synced_secret_name(field, text)?.to_string())
        }
        _ => {
            let rule = "must be a resource name; use syncedSecrets/{id} or vaultSecrets/{name}";
            return Err(Error::invalid(field, rule));
        }
    };
    Ok(Some(NamedResource { resource, name }))
}

/// To refer to an existing vault secret.
fn reference(about: Option<&NamedResource>) -> Permission {
    let mut reference = Permission::reference(None);
    about.iter().for_each(|named| named.put_into(&mut reference));
    reference
}

// === impl Grants ===

impl<'a> Grants<'a> {
    async fn of(
        authorizer: &'a Authorizer,
        caller: &'a Caller,
        wanted: HashSet<Permission>,
    ) -> Result<Self, tonic::Status> {
        let refusals = authorizer.refusals(caller, GetCallerRequest::METHOD, wanted).await?;
        Ok(Self { authorizer, caller, refusals })
    }

    /// Whether the caller may call a method that requires these.
    fn permission(&self, method: &str, required: &[Permission], names_resource: bool) -> MethodPermission {
        let obstacles = required.iter().filter_map(|permission| self.obstacle(permission, names_resource));
        // A denial outweighs what depends on the name.
        let worst = obstacles.reduce(|worst, other| match (worst.0, other.0) {
            (Access::NotAllNames, Access::Denied) => other,
            _ => worst,
        });
        let (access, reason, message) = match worst {
            None => (Access::Allowed, "", String::new()),
            Some((access, error)) => {
                let (reason, message) = access_refusal(&error);
                (access, reason, message)
            }
        };
        let (method, reason) = (method.to_owned(), reason.to_owned());
        MethodPermission { method, access: access.into(), reason, message }
    }

    /// What is in the way of a permission. Whoever may not have it for every name may still have it for one, if the method names one.
    fn obstacle(&self, permission: &Permission, names_resource: bool) -> Option<(Access, AccessError)> {
        let is_for_any = names_resource && permission.name.is_none();
        let ruled = is_for_any.then(|| self.authorizer.access().ruled_names(self.caller, permission));
        // Where rules leave no name, no right in the cluster would help.
        if let (Some(refusal), Some(RuledNames::All | RuledNames::Some) | None) =
            (self.refusals.get(permission), ruled)
        {
            let access = if is_for_any { Access::NotAllNames } else { Access::Denied };
            return Some((access, refusal.clone()));
        }
        let (access, why) = match ruled? {
            RuledNames::All => return None,
            RuledNames::Some => (Access::NotAllNames, "rules restrict the names"),
            RuledNames::None => (Access::Denied, "rules deny all names"),
        };
        let (caller, permission) = (self.caller.to_string(), permission.clone());
        Some((access, AccessError::DeniedByRule { caller, permission, why: why.to_owned() }))
    }
}
