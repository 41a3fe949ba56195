//! The door of the contract: who calls, and whether they may. What is refused is in the audit.

use std::sync::Arc;

use http::{HeaderMap, header::AUTHORIZATION};
use secrecy::SecretString;
use tokio::time::Instant;
use tonic::{Extensions, Request, Status, body::Body};

use crate::api::{
    connection::{
        limit::{Limit, Refusals},
        peer::Peer,
        tls::Certificates,
        tracked::Line,
    },
    error::{code_name, mapping::Verdict, of_refusal},
    rpc::{methods::Method, permissions::Asking},
};
use crate::{
    access::{AccessControl, AccessError, Credentials, Payer},
    model::{Caller, Origin, Outcome, Permission, Resource, SyncedSecret, Verb},
    secrets::{Denial, Secrets},
};

/// How an `Authorization` header of ours begins, in any case.
const BEARER: &str = "bearer ";

/// Lets calls in.
#[derive(Clone)]
pub(crate) struct Door(Arc<Inner>);

struct Inner {
    access: AccessControl,
    secrets: Secrets,
    certificates: Option<Certificates>,
    refusals: Refusals,
}

/// Who was let in, and what was shown for it; an extension of the request.
#[derive(Clone)]
struct Pass {
    caller: Caller,
    shown: Arc<Shown>,
}

/// What a call showed of its caller.
pub(crate) struct Shown {
    peer: Arc<Peer>,
    payer: Payer,
    token: Result<Option<SecretString>, AccessError>,
}

/// What a caller is told of the synced secrets that a list shows and that another tool made: their keys only where it may get them.
#[derive(Clone)]
pub(crate) struct Sight {
    access: AccessControl,
    caller: Caller,
    /// Whether the cluster grants it to get all of them.
    is_granted: bool,
}

/// Leave to stay for as long as the caller may: what lasts longer than a call asks for it again and again.
pub(crate) struct Leave {
    door: Door,
    pass: Option<Pass>,
    method: &'static str,
    asks: Vec<Permission>,
    sight: Sight,
    due: Instant,
}

// === impl Door ===

impl Door {
    pub(crate) fn new(
        access: AccessControl,
        secrets: Secrets,
        certificates: Option<Certificates>,
        refusals: Refusals,
    ) -> Self {
        Self(Arc::new(Inner { access, secrets, certificates, refusals }))
    }

    /// Whether it takes no time to say who shows this, or only that of looking again at a token that was good lately.
    pub(crate) fn recognizes(&self, shown: &Shown) -> bool {
        match (self.certificate(&shown.peer), &shown.token) {
            (Ok(certificate), Ok(token)) => {
                self.0.access.recognizes(&shown.credentials(certificate, token.clone()))
            }
            // What is refused without asking anybody.
            (Err(_), _) | (_, Err(_)) => false,
        }
    }

    /// Finds out who calls, before the request is read. The caller is an extension of the request then.
    pub(crate) async fn identify(
        self,
        method: &'static str,
        shown: Shown,
        mut request: http::Request<Body>,
    ) -> Result<http::Request<Body>, Status> {
        match self.caller(&shown).await {
            Ok(caller) => {
                request.extensions_mut().insert(Pass { caller, shown: Arc::new(shown) });
                Ok(request)
            }
            Err(refusal) => Err(self.refuse(&shown.peer.place, method, "", refusal).await),
        }
    }

    /// Who shows this, as far as it is good now.
    async fn caller(&self, shown: &Shown) -> Result<Caller, AccessError> {
        let certificate = self.certificate(&shown.peer)?;
        self.0.access.identify(shown.credentials(certificate, shown.token.clone()?)).await
    }

    /// Lets a call in whose caller may do all that it asks for.
    pub(crate) async fn enter<T: Asking>(&self, request: Request<T>) -> Result<Request<T>, Status> {
        let asks = request.get_ref().asks();
        let caller = caller(request.extensions());
        self.permit(&caller, T::METHOD, &asks).await?;
        Ok(request)
    }

    /// Whether a caller may do what a method does, before the request is read: false where it depends on what that names.
    pub(crate) async fn foresees(&self, caller: &Caller, method: &Method) -> Result<bool, Status> {
        let asks = (method.asks)();
        if !method.is_named {
            return self.permit(caller, method.name, &asks).await.map(|()| true);
        }
        match self.0.access.grants(caller, &asks).await {
            Ok(is_granted) => Ok(is_granted),
            Err(refusal) => Err(self.refuse_asks(caller, method.name, &asks, refusal).await),
        }
    }

    /// Leave to stay for who was let in with a request.
    pub(crate) async fn leave<T: Asking>(&self, request: &Request<T>) -> Leave {
        let known = |pass: &&Pass| matches!(pass.caller, Caller::Known(_));
        Leave {
            sight: self.sight(&caller(request.extensions())).await,
            door: self.clone(),
            pass: request.extensions().get::<Pass>().filter(known).cloned(),
            method: T::METHOD,
            asks: request.get_ref().asks(),
            due: Instant::now() + self.0.access.decision_life(),
        }
    }

    /// Whether a caller may do all this, in a call of a method.
    pub(crate) async fn permit(
        &self,
        caller: &Caller,
        method: &'static str,
        asks: &[Permission],
    ) -> Result<(), Status> {
        match self.0.access.permit(caller, asks).await {
            Ok(()) => Ok(()),
            Err(refusal) => Err(self.refuse_asks(caller, method, asks, refusal).await),
        }
    }

    /// What a caller is told in lists. Asked once for all that they show.
    pub(crate) async fn sight(&self, caller: &Caller) -> Sight {
        let is_granted = self.grants(caller, &Permission::all(Verb::Get, Resource::SyncedSecrets)).await;
        Sight { access: self.0.access.clone(), caller: caller.clone(), is_granted }
    }

    /// Whether a caller may do something besides what the call needs.
    pub(crate) async fn grants(&self, caller: &Caller, ask: &Permission) -> bool {
        self.0.access.permit(caller, std::slice::from_ref(ask)).await.is_ok()
    }

    /// The certificate that the client showed. It was good at the handshake; here it must be good now.
    fn certificate(&self, peer: &Peer) -> Result<Option<Vec<u8>>, AccessError> {
        let (Some(chain), Some(certificates)) = (&peer.chain, &self.0.certificates) else { return Ok(None) };
        certificates.clients().verify(chain).map_err(AccessError::CertificateRejected)?;
        Ok(chain.first().map(|leaf| leaf.to_vec()))
    }

    async fn refuse_asks(
        &self,
        caller: &Caller,
        method: &'static str,
        asks: &[Permission],
        refusal: AccessError,
    ) -> Status {
        let resource = asks.first().map(Permission::resource_name).unwrap_or_default();
        self.refuse(&caller.to_string(), method, &resource, refusal).await
    }

    async fn refuse(
        &self,
        actor: &str,
        method: &'static str,
        resource: &str,
        refusal: AccessError,
    ) -> Status {
        if let AccessError::TooManyTokens { of_payer, .. } = refusal {
            self.0.refusals.count(match of_payer {
                true => Limit::UnknownTokensPerAddress,
                false => Limit::UnknownTokens,
            });
        }
        let verdict = Verdict::of_refusal(&refusal);
        let denial = Denial {
            actor: actor.to_owned(),
            action: method.into(),
            resource: resource.to_owned(),
            outcome: Outcome(code_name(verdict.code).to_owned()),
            detail: refusal.to_string(),
        };
        self.0.secrets.record_denial(denial).await;
        of_refusal(&refusal, &verdict)
    }
}

// === impl Sight ===

impl Sight {
    /// Whether the caller is told the keys of a synced secret.
    pub(crate) fn has_keys_of(&self, secret: &SyncedSecret) -> bool {
        let may_name = || {
            let ask = Permission::synced_secret(Verb::Get, Some(secret.id.clone()));
            self.access.refusal_by_rule(&self.caller, &ask).is_none()
        };
        secret.origin == Origin::Managed || self.is_granted && may_name()
    }
}

// === impl Shown ===

impl Shown {
    /// Takes from a request what it shows of its caller.
    pub(crate) fn take<B>(request: &mut http::Request<B>) -> Self {
        let peer = peer(request.extensions());
        let payer = match Line::of(request.extensions()).and_then(Line::owner) {
            Some(owner) => Payer::Caller(owner.clone()),
            None => Payer::Address(peer.place.clone()),
        };
        let shown = Self { peer, payer, token: bearer(request.headers()) };
        request.headers_mut().remove(AUTHORIZATION);
        shown
    }

    /// Where it comes from.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// At whose expense it is found out who this is.
    pub(crate) fn payer(&self) -> &Payer {
        &self.payer
    }

    fn credentials(&self, certificate: Option<Vec<u8>>, token: Option<SecretString>) -> Credentials {
        let (place, payer) = (self.peer.place.clone(), self.payer.clone());
        Credentials { certificate, token, place, payer, is_local: self.peer.is_local }
    }
}

// === impl Leave ===

impl Leave {
    /// What the caller is told, as it was when it was asked last.
    pub(crate) fn sight(&self) -> &Sight {
        &self.sight
    }

    /// Ends when the leave does, with the reason. Nothing is lost where this is dropped and begun again.
    pub(crate) async fn lost(&mut self) -> Status {
        let Some(pass) = &self.pass else { return std::future::pending().await };
        loop {
            tokio::time::sleep_until(self.due).await;
            match self.door.caller(&pass.shown).await {
                Ok(caller) => {
                    if let Err(status) = self.door.permit(&caller, self.method, &self.asks).await {
                        return status;
                    }
                    self.sight = self.door.sight(&caller).await;
                }
                Err(refusal) => {
                    let actor = pass.caller.to_string();
                    return self.door.refuse(&actor, self.method, "", refusal).await;
                }
            }
            self.due = Instant::now() + self.door.0.access.decision_life();
        }
    }
}

/// Where a request comes from.
pub(crate) fn peer(connection: &Extensions) -> Arc<Peer> {
    Line::of(connection).map_or_else(|| Arc::new(Peer::nobody()), Line::peer)
}

/// Who calls, as the door found out; where a call did not come through it, where from.
pub(crate) fn caller(connection: &Extensions) -> Caller {
    match connection.get::<Pass>() {
        Some(pass) => pass.caller.clone(),
        None => Caller::Local(peer(connection).place.clone()),
    }
}

/// The token of a call, where it brings one.
fn bearer(headers: &HeaderMap) -> Result<Option<SecretString>, AccessError> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    let Some(header) = all.next() else { return Ok(None) };
    // Whoever stands before us may have looked at another one than we would.
    if all.next().is_some() {
        return Err(AccessError::CredentialsRepeated);
    }
    let text = header.to_str().ok().and_then(|text| {
        let scheme = text.get(..BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| text[BEARER.len()..].trim())
    });
    let token = text.filter(|token| !token.is_empty()).ok_or(AccessError::NotBearer)?;
    Ok(Some(SecretString::from(token)))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_token_is_what_stands_behind_bearer_and_another_scheme_is_no_credential() {
        let read = |value: &str| {
            bearer(&HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]))
                .map(|token| token.unwrap().expose_secret().to_owned())
        };
        assert_eq!(read("Bearer abc").unwrap(), "abc");
        assert_eq!(read("bearer  abc ").unwrap(), "abc");
        for bad in ["", "Bearer", "Bearer ", "Basic abc", "Bear", "ä"] {
            assert_eq!(read(bad), Err(AccessError::NotBearer), "{bad:?}");
        }
        assert!(bearer(&HeaderMap::new()).unwrap().is_none());
        let mut twice = HeaderMap::new();
        for value in ["Bearer abc", "Bearer abc"] {
            twice.append(AUTHORIZATION, value.parse().unwrap());
        }
        assert_eq!(bearer(&twice).err(), Some(AccessError::CredentialsRepeated));
    }

    #[test]
    fn a_call_that_comes_from_nowhere_is_nobodys_neighbour() {
        let peer = peer(&Extensions::new());
        assert!(!peer.is_local);
        assert_eq!(peer.place, "anonymous");
    }
}
