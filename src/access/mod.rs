//! Authentication and authorization: identities from certificates and tokens, decisions by the cluster and by
//! the configured rules.
//!
//! The cluster decides: a TokenReview says whom a token belongs to, a SubjectAccessReview what that user may
//! do. Its answers are cached for a short time, in caches of bounded size. If it does not answer, calls are
//! denied. Tokens of an OpenID Connect issuer are verified here, and the cluster decides what their users may do.

mod access_reviews;
mod certificate;
mod oidc;
mod proof;
mod rate_limiter;
mod token_reviews;

use std::{
    collections::{HashMap, HashSet},
    num::NonZeroU32,
    sync::Arc,
    time::Duration,
};

use futures::future::try_join_all;
use secrecy::SecretString;

pub use certificate::CertificateError;
pub use oidc::{ClaimMapping, FetchError, IssuerOptions, TokenProblem, check_issuer};
pub use proof::{Proof, ProofKind};
pub(crate) use rate_limiter::KeyedRateLimiter;

use crate::{
    edge::{Edge, EdgeError},
    model::{AccessRules, ActorError, Caller, Identity, Permission, RuledNames},
    quote::Quote,
};
use access_reviews::AccessReviews;
use oidc::Issuer;
use token_reviews::TokenReviews;

/// The longest time that the owner of a token is cached.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest time that a decision is cached.
pub const LONGEST_DECISION_LIFE: Duration = Duration::from_secs(10);

/// The group of all authenticated users in Kubernetes.
const AUTHENTICATED: &str = "system:authenticated";

/// The options of access control.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to verify tokens; `None` to accept none.
    pub tokens: Option<TokenOptions>,
    /// Whether callers on this machine need no credentials.
    pub anonymous: bool,
    /// How long a decision of the cluster is cached; at most [`LONGEST_DECISION_LIFE`].
    pub decision_life: Duration,
    /// SubjectAccessReviews for single names a second that one caller may cause.
    pub reviews_per_second: NonZeroU32,
    /// Concurrent SubjectAccessReviews; of one caller at most an eighth of them.
    pub reviews_under_way: usize,
    /// Which names callers may use, whatever the cluster grants them.
    pub rules: AccessRules,
}

/// How tokens are verified.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Whether tokens of the cluster are accepted.
    pub of_cluster: bool,
    /// The OpenID Connect issuer whose tokens are accepted, too.
    pub issuer: Option<IssuerOptions>,
    /// The audience that tokens of the cluster must be for.
    pub audience: String,
    /// How long their owner is cached, but not longer than the token is valid; at most
    /// [`LONGEST_TOKEN_LIFE`].
    pub life: Duration,
    /// Unknown tokens a second that are verified, from all addresses.
    pub unknown_per_second: NonZeroU32,
    /// The same from one address, or over the connections of one caller.
    pub unknown_per_second_per_address: NonZeroU32,
}

/// The credentials of a call.
#[derive(Debug)]
pub struct Credentials {
    /// A client certificate (DER) that was verified.
    pub certificate: Option<Vec<u8>>,
    /// A bearer token.
    pub token: Option<SecretString>,
    /// Where the call comes from.
    pub place: String,
    /// Whose rate limit the review of an unknown token counts against.
    pub rate_limit_key: RateLimitKey,
    /// Whether it comes from this machine.
    pub is_local: bool,
}

/// How callers can say who they are: what anybody may know.
#[derive(Clone, Copy, Debug)]
pub struct Identification<'a> {
    /// Whether callers on this machine need no credentials.
    pub anonymous: bool,
    /// The audience of the tokens of the cluster, if they are accepted.
    pub audience: Option<&'a str>,
    /// The OpenID Connect issuer whose tokens are accepted.
    pub issuer: Option<&'a str>,
}

/// Whose rate limit the review of an unknown token counts against.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateLimitKey {
    /// The caller that was authorized on the same connection before.
    Caller(Arc<str>),
    /// The address of a connection without an authorized caller.
    Address(String),
}

/// Why a call is denied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Neither a token nor a certificate.
    #[error("the call has no credentials")]
    NoCredentials,
    /// An `Authorization` header without a bearer token.
    #[error("the authorization header is not a bearer token")]
    NotBearerToken,
    /// A token, but the service accepts none.
    #[error("the service does not accept tokens")]
    TokensDisabled,
    /// The cluster does not accept the token, or it is for another audience.
    #[error("the token is invalid, or not for the audience {0:?}")]
    TokenRejected(String),
    /// The token is of no issuer that is accepted.
    #[error("the service accepts only tokens of its OpenID Connect issuer, and this is none")]
    OnlyIssuerTokens,
    /// The token says that it is of the OpenID Connect issuer, and is not accepted.
    #[error("the token of the OpenID Connect issuer is not accepted: {0}")]
    IssuerTokenRejected(#[from] TokenProblem),
    /// The owner of the token has a name that is not allowed.
    #[error("the token's owner is not accepted: {0}")]
    TokenOwnerRejected(ActorError),
    /// More than one `Authorization` header, so it is not clear which one counts.
    #[error("the call has more than one authorization header")]
    DuplicateCredentials,
    /// The certificate names no user, or is no longer valid.
    #[error("the client certificate is not accepted: {0}")]
    CertificateRejected(Quote),
    /// The cluster does not grant it.
    #[error("{caller:?} may not {} {resource}{}", .permission.verb.map_or("name", crate::model::Verb::as_str), omitted(*.too_many_groups), resource = .permission.resource_name())]
    Forbidden {
        /// The caller.
        caller: String,
        /// What it lacks.
        permission: Permission,
        /// The namespace of the instance.
        namespace: String,
        /// Whether the caller's token has too many groups to list them.
        too_many_groups: bool,
    },
    /// A rule of the configuration denies it.
    #[error("{caller:?} may not use {resource}: {why}", resource = .permission.resource_name())]
    DeniedByRule {
        /// The caller.
        caller: String,
        /// What it lacks.
        permission: Permission,
        /// The rule, as part of a sentence.
        why: String,
    },
    /// Too many reviews of unknown tokens.
    #[error("too many unknown tokens a second{} ({limit})", if *.per_caller { " from one address or caller" } else { "" })]
    TooManyUnknownTokens {
        /// The limit.
        limit: u32,
        /// Whether it is the limit for one address or caller.
        per_caller: bool,
        /// When to retry.
        wait: Duration,
    },
    /// Too many reviews for single names of a caller without a permission on all names.
    #[error("{caller:?} uses more names than the service reviews for one caller")]
    TooManyReviews {
        /// The caller.
        caller: String,
        /// When to retry.
        wait: Duration,
    },
    /// The cluster does not answer.
    #[error("access could not be checked: the Kubernetes API did not answer")]
    Undecided,
    /// The key of the token may be a new one, and it is too early to ask the OpenID Connect issuer for its keys once more.
    #[error(
        "the token could not be verified: the keys of the OpenID Connect issuer that are known have not signed it"
    )]
    KeyNotFetched {
        /// When to retry.
        wait: Duration,
    },
    /// The OpenID Connect issuer does not answer, so it is unknown who has signed the token.
    #[error("the token could not be verified: the OpenID Connect issuer did not answer")]
    IssuerSilent,
}

/// Authenticates and authorizes callers. A clone shares everything.
#[derive(Clone)]
pub struct AccessControl(Arc<Inner>);

struct Inner {
    tokens: Option<TokenReviews>,
    anonymous: bool,
    decisions: AccessReviews,
    rules: AccessRules,
    namespace: String,
}

// === impl TokenOptions ===

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            of_cluster: true,
            issuer: None,
            audience: "secret-service".to_owned(),
            life: LONGEST_TOKEN_LIFE,
            unknown_per_second: const { NonZeroU32::new(200).expect("it is not zero") },
            unknown_per_second_per_address: const { NonZeroU32::new(20).expect("it is not zero") },
        }
    }
}

// === impl Options ===

impl Options {
    /// Callers on this machine may do everything; others nothing.
    pub fn local_only() -> Self {
        Self {
            tokens: None,
            anonymous: true,
            decision_life: LONGEST_DECISION_LIFE,
            reviews_per_second: NonZeroU32::new(20).expect("it is not zero"),
            reviews_under_way: 64,
            rules: AccessRules::default(),
        }
    }
}

// === impl AccessControl ===

impl AccessControl {
    /// Access control of an instance. The first call asks the cluster.
    pub fn new(edge: Edge, options: Options) -> Self {
        Self(Arc::new(Inner {
            namespace: edge.namespace().to_owned(),
            decisions: AccessReviews::new(edge.clone(), &options),
            tokens: options.tokens.map(|tokens| TokenReviews::new(edge, tokens)),
            anonymous: options.anonymous,
            rules: options.rules,
        }))
    }

    /// How callers can say who they are.
    pub fn identification(&self) -> Identification<'_> {
        let tokens = self.0.tokens.as_ref();
        Identification {
            anonymous: self.0.anonymous,
            audience: tokens.and_then(TokenReviews::audience),
            issuer: tokens.and_then(TokenReviews::issuer).map(Issuer::url),
        }
    }

    /// Where a client of the OpenID Connect issuer gets tokens. The first call waits a moment for the issuer; all share the
    /// fetches of its keys, which are few.
    pub async fn token_endpoint(&self) -> Option<String> {
        let issuer = self.0.tokens.as_ref().and_then(TokenReviews::issuer)?;
        issuer.token_endpoint().await.map(|url| url.to_string())
    }

    /// How long a decision is valid: a call that lasts longer must be authorized again.
    pub fn decision_life(&self) -> Duration {
        self.0.decisions.life()
    }

    /// Whether these credentials can be authenticated without a review of an unknown token.
    pub fn recognizes(&self, credentials: &Credentials) -> bool {
        match (&credentials.certificate, &credentials.token, &self.0.tokens) {
            (Some(_), ..) => true,
            (None, Some(token), Some(tokens)) => tokens.recognizes(token),
            (None, ..) => credentials.is_local && self.0.anonymous,
        }
    }

    /// The caller with these credentials. A certificate takes precedence over a token, as in Kubernetes. A
    /// caller with invalid credentials is never treated as an anonymous one.
    pub async fn authenticate(&self, credentials: Credentials) -> Result<Caller, AccessError> {
        let Credentials { certificate, token, place, rate_limit_key, is_local } = credentials;
        if let Some(certificate) = certificate {
            let identity = certificate::identity(&certificate);
            let identity = identity.and_then(|identity| self.apart_from_issuer(identity));
            let identity =
                identity.map_err(|error| AccessError::CertificateRejected(Quote::error(&error)))?;
            return Ok(Caller::Known(Arc::new(identity)));
        }
        if let (Some(token), Some(tokens)) = (&token, &self.0.tokens) {
            return tokens.owner(token, rate_limit_key).await.map(Caller::Known);
        }
        match token {
            _ if is_local && self.0.anonymous => Ok(Caller::Local(place)),
            Some(_) => Err(AccessError::TokensDisabled),
            None => Err(AccessError::NoCredentials),
        }
    }

    /// The identity of a certificate, if nobody of the OpenID Connect issuer can have its name; without such groups.
    fn apart_from_issuer(&self, mut identity: Identity) -> Result<Identity, CertificateError> {
        let Some(issuer) = self.0.tokens.as_ref().and_then(TokenReviews::issuer) else { return Ok(identity) };
        if issuer.owns_user(&identity.name) {
            return Err(CertificateError::OfIssuer);
        }
        identity.groups.retain(|group| !issuer.owns_group(group));
        Ok(identity)
    }

    /// Whether the cluster grants a caller all these permissions, whatever the rules say about the names.
    pub async fn is_granted(&self, caller: &Caller, required: &[Permission]) -> Result<bool, AccessError> {
        let Caller::Known(identity) = caller else { return Ok(true) };
        for permission in required {
            let Some(verb) = permission.verb else { continue };
            if !self.0.decisions.is_granted(identity, verb, permission).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Succeeds if a caller has all these permissions, from the cluster and by the rules.
    pub async fn authorize(&self, caller: &Caller, required: &[Permission]) -> Result<(), AccessError> {
        for permission in required {
            if let (Caller::Known(identity), Some(verb)) = (caller, permission.verb) {
                let is_granted = self.0.decisions.is_granted(identity, verb, permission).await?;
                if !is_granted {
                    let namespace = self.0.namespace.clone();
                    return Err(AccessError::Forbidden {
                        caller: caller.to_string(),
                        permission: permission.clone(),
                        namespace,
                        too_many_groups: identity.has_too_many_groups(),
                    });
                }
            }
            if let Some(why) = self.denied_by_rule(caller, permission) {
                return Err(AccessError::DeniedByRule {
                    caller: caller.to_string(),
                    permission: permission.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// What a caller lacks of these permissions, and why. Each permission is reviewed once.
    pub async fn refusals(
        &self,
        caller: &Caller,
        wanted: HashSet<Permission>,
    ) -> Result<HashMap<Permission, AccessError>, AccessError> {
        let review = async |permission: Permission| match self
            .authorize(caller, std::slice::from_ref(&permission))
            .await
        {
            Ok(()) => Ok(None),
            Err(refusal @ (AccessError::Forbidden { .. } | AccessError::DeniedByRule { .. })) => {
                Ok(Some((permission, refusal)))
            }
            Err(undecided) => Err(undecided),
        };
        let reviewed = try_join_all(wanted.into_iter().map(review)).await?;
        Ok(reviewed.into_iter().flatten().collect())
    }

    /// Which names of a resource the rules let a caller use.
    pub fn ruled_names(&self, caller: &Caller, permission: &Permission) -> RuledNames {
        self.0.rules.names(caller, permission.resource)
    }

    /// How a caller with these credentials, which were accepted, proved who they are.
    pub fn proof(&self, credentials: &Credentials) -> Proof {
        match (&credentials.certificate, &credentials.token, &self.0.tokens) {
            (Some(certificate), ..) => {
                Proof { kind: ProofKind::Certificate, expire_time: certificate::expire_time(certificate) }
            }
            (None, Some(token), Some(tokens)) => tokens.proof(token),
            (None, ..) => Proof::NONE,
        }
    }

    /// Why the rules deny a permission, whatever the cluster grants; `None` if they allow it.
    pub fn denied_by_rule(&self, caller: &Caller, permission: &Permission) -> Option<String> {
        self.0.rules.refusal(caller, permission)
    }
}

/// What a refusal adds for a caller whose groups are unknown.
fn omitted(are_omitted: bool) -> &'static str {
    if are_omitted {
        "; the token has too many groups to list them, so no group counts that it leaves out"
    } else {
        ""
    }
}

/// The log says why; the caller, who is not authenticated yet, learns only that it failed.
fn undecided(error: &EdgeError) -> AccessError {
    tracing::warn!(%error, "denied a call: the cluster did not answer a TokenReview or SubjectAccessReview");
    AccessError::Undecided
}
