//! What the page must know before anybody has signed in. All of it is public: whoever reaches the service can read it.

use serde::Serialize;

use super::Inner;
use crate::{
    access::Identification,
    api::{connection::peer::Peer, options::TokenKind},
};

/// `/console.json`.
#[derive(Serialize)]
pub(super) struct Settings<'a> {
    /// The release that runs.
    version: &'static str,
    authentication: Authentication<'a>,
}

/// How callers can say who they are.
#[derive(Serialize)]
struct Authentication<'a> {
    /// What is accepted on this connection. None needs a hint for the page, but `token` and `oidc`.
    kinds: Vec<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<ClusterToken<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oidc: Option<Oidc<'a>>,
}

/// A way to say who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    /// Nobody needs credentials, because the connection comes from this machine.
    Anonymous,
    /// A token of a service account in the cluster.
    Token,
    /// Signing in at the OpenID Connect issuer.
    Oidc,
    /// The certificate of the browser.
    Certificate,
}

/// Tokens of the cluster: `kubectl create token ACCOUNT --audience AUDIENCE`.
#[derive(Serialize)]
struct ClusterToken<'a> {
    audience: &'a str,
}

/// How to sign in: by the authorization code flow with PKCE, as a public client. The endpoints are in the issuer's discovery
/// document.
#[derive(Serialize)]
struct Oidc<'a> {
    /// The issuer.
    issuer: &'a str,
    /// The client that the page is.
    client_id: &'a str,
    /// What it asks for.
    scopes: &'a [String],
    /// Which of the tokens that it gets is sent with calls: `id` or `access`.
    token: TokenKind,
}

// === impl Settings ===

impl<'a> Settings<'a> {
    /// The settings for a connection from there.
    pub(super) fn new(console: &'a Inner, peer: &Peer) -> Self {
        let Identification { anonymous, audience, issuer } = console.access.identification();
        let client = console.options.client.as_ref();
        let oidc = issuer.zip(client).map(|(issuer, client)| Oidc {
            issuer,
            client_id: &client.client_id,
            scopes: &client.scopes,
            token: client.token,
        });
        let kinds = [
            (Kind::Anonymous, anonymous && peer.is_local),
            (Kind::Certificate, console.accepts_certificates && !peer.is_unix),
            (Kind::Oidc, oidc.is_some()),
            (Kind::Token, audience.is_some()),
        ];
        let kinds = kinds.into_iter().filter_map(|(kind, is_accepted)| is_accepted.then_some(kind)).collect();
        let token = audience.map(|audience| ClusterToken { audience });
        Self { version: env!("CARGO_PKG_VERSION"), authentication: Authentication { kinds, token, oidc } }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and lists can be written")
    }
}
