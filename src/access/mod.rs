//! Who may call, and what they may do: identities from certificates and tokens, decisions by the cluster and by the rules.
//!
//! The cluster is the authority: TokenReview says who a token belongs to, SubjectAccessReview what its user may do. What it
//! said is remembered for a short time, in caches of a bounded size. Where it does not answer, nobody is let in.

mod access_reviews;
mod certificate;
mod rate_limiter;
mod token_reviews;

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use secrecy::SecretString;

pub use certificate::CertificateError;
pub(crate) use rate_limiter::Rate;

use crate::{
    edge::{Edge, EdgeError},
    model::{AccessRules, ActorError, Caller, Permission},
    quote::Quote,
};
use access_reviews::Decisions;
use token_reviews::Tokens;

/// The longest that the owner of a token is remembered.
pub const LONGEST_TOKEN_LIFE: Duration = Duration::from_secs(60);
/// The longest that a decision is remembered.
pub const LONGEST_DECISION_LIFE: Duration = Duration::from_secs(10);

/// Who is let in, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether tokens of the cluster's service accounts count.
    pub tokens: Option<TokenOptions>,
    /// Whether callers on this machine need no credentials.
    pub anonymous: bool,
    /// How long a decision of the cluster is remembered; at most [`LONGEST_DECISION_LIFE`].
    pub decision_life: Duration,
    /// Reviews of rights on single names that one caller may cause in a second.
    pub reviews_per_second: NonZeroU32,
    /// Reviews of rights that are under way at a time. Of one caller an eighth at most.
    pub reviews_under_way: usize,
    /// What callers may name, whatever they are granted.
    pub rules: AccessRules,
}

/// How tokens are looked at.
#[derive(Clone, Debug)]
pub struct TokenOptions {
    /// Whom they must be for.
    pub audience: String,
    /// How long their owner is remembered, and never longer than the token is valid; at most [`LONGEST_TOKEN_LIFE`].
    pub life: Duration,
    /// Tokens a second from all addresses that nobody knows yet and of which the cluster is asked.
    pub unknown_per_second: NonZeroU32,
    /// The same from one address, or over the connections of one caller.
    pub unknown_per_second_per_address: NonZeroU32,
}

/// What a call shows of its caller.
#[derive(Debug)]
pub struct Credentials {
    /// A client certificate (DER) that was verified.
    pub certificate: Option<Vec<u8>>,
    /// A bearer token.
    pub token: Option<SecretString>,
    /// Where the call comes from.
    pub place: String,
    /// At whose expense a token is looked at that nobody knows.
    pub payer: Payer,
    /// Whether that is this machine.
    pub is_local: bool,
}

/// At whose expense a token is looked at that nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// A caller who was let in over the same connection before.
    Caller(Arc<str>),
    /// An address, where nobody was.
    Address(String),
}

/// Why a call is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// Nothing says who calls.
    #[error("the call shows no credentials")]
    NoCredentials,
    /// An `Authorization` that is no bearer token.
    #[error("the authorization header is no bearer token")]
    NotBearer,
    /// A token came where none counts.
    #[error("tokens are not accepted here")]
    TokensOff,
    /// The cluster does not know the token, or it is for another audience.
    #[error("the token is not valid, or not for the audience {0:?}")]
    TokenRejected(String),
    /// The owner of the token has a name that nobody may have here.
    #[error("the token's owner is not accepted: {0}")]
    TokenOfNoActor(ActorError),
    /// More than one `Authorization`: nobody can tell which one counts.
    #[error("the call has more than one authorization header")]
    CredentialsRepeated,
    /// The certificate names nobody, or is no longer valid.
    #[error("the client certificate is not accepted: {0}")]
    CertificateRejected(Quote),
    /// The cluster does not grant it.
    #[error("{caller:?} may not {} {resource}", .ask.verb.map_or("name", crate::model::Verb::as_str), resource = .ask.resource_name())]
    Forbidden {
        /// Who.
        caller: String,
        /// What.
        ask: Permission,
        /// Where.
        namespace: String,
    },
    /// A rule of the configuration denies it.
    #[error("{caller:?} may not name {resource}: {why}", resource = .ask.resource_name())]
    AgainstTheRules {
        /// Who.
        caller: String,
        /// What.
        ask: Permission,
        /// The rule.
        why: String,
    },
    /// Too many tokens that nobody has looked at yet.
    #[error("too many unknown tokens a second{} ({limit})", if *.of_payer { " from one address or caller" } else { "" })]
    TooManyTokens {
        /// As many are looked at.
        limit: u32,
        /// Whether that is of the caller's address alone, or of who was let in over its connection.
        of_payer: bool,
        /// When there is room again.
        wait: Duration,
    },
    /// Too many names for which a caller has no right on all of them.
    #[error("{caller:?} asks for more names than the cluster is asked about for one caller")]
    TooManyReviews {
        /// Who.
        caller: String,
        /// Until when.
        wait: Duration,
    },
    /// Nobody can tell now.
    #[error("whether the caller may do this can't be found out: the Kubernetes API does not say")]
    Undecided,
}

/// The authority over all calls.
#[derive(Clone)]
pub struct AccessControl(Arc<Inner>);

struct Inner {
    tokens: Option<Tokens>,
    anonymous: bool,
    decisions: Decisions,
    rules: AccessRules,
    namespace: String,
}

// === impl TokenOptions ===

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            audience: "secret-service".to_owned(),
            life: LONGEST_TOKEN_LIFE,
            unknown_per_second: const { NonZeroU32::new(200).expect("it is not zero") },
            unknown_per_second_per_address: const { NonZeroU32::new(20).expect("it is not zero") },
        }
    }
}

// === impl Options ===

impl Options {
    /// Who calls from this machine may do everything, and nobody else anything.
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
    /// The authority of an instance; the cluster is first asked when somebody calls.
    pub fn new(edge: Edge, options: Options) -> Self {
        Self(Arc::new(Inner {
            namespace: edge.namespace().to_owned(),
            decisions: Decisions::new(edge.clone(), &options),
            tokens: options.tokens.map(|tokens| Tokens::new(edge, tokens)),
            anonymous: options.anonymous,
            rules: options.rules,
        }))
    }

    /// How long a decision holds: what lasts longer than this asks anew.
    pub fn decision_life(&self) -> Duration {
        self.0.decisions.life()
    }

    /// Whether nothing needs to be asked, or the cluster about a token that was good lately, to say who calls.
    pub fn recognizes(&self, credentials: &Credentials) -> bool {
        match (&credentials.certificate, &credentials.token, &self.0.tokens) {
            (Some(_), ..) => true,
            (None, Some(token), Some(tokens)) => tokens.recognizes(token),
            (None, ..) => credentials.is_local && self.0.anonymous,
        }
    }

    /// Who calls. A certificate comes before a token, as in Kubernetes; who shows credentials is never taken for somebody else
    /// because they are bad.
    pub async fn identify(&self, credentials: Credentials) -> Result<Caller, AccessError> {
        let Credentials { certificate, token, place, payer, is_local } = credentials;
        if let Some(certificate) = certificate {
            let identity = certificate::identity(&certificate);
            let identity =
                identity.map_err(|error| AccessError::CertificateRejected(Quote::error(&error)))?;
            return Ok(Caller::Known(Arc::new(identity)));
        }
        if let (Some(token), Some(tokens)) = (&token, &self.0.tokens) {
            return tokens.owner(token, payer).await.map(Caller::Known);
        }
        match token {
            _ if is_local && self.0.anonymous => Ok(Caller::Local(place)),
            Some(_) => Err(AccessError::TokensOff),
            None => Err(AccessError::NoCredentials),
        }
    }

    /// Whether the cluster grants a caller all this, whatever the rules say about the names.
    pub async fn grants(&self, caller: &Caller, asks: &[Permission]) -> Result<bool, AccessError> {
        let Caller::Known(identity) = caller else { return Ok(true) };
        for ask in asks {
            let Some(verb) = ask.verb else { continue };
            if !self.0.decisions.is_granted(identity, verb, ask).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a caller may do all that a call asks for.
    pub async fn permit(&self, caller: &Caller, asks: &[Permission]) -> Result<(), AccessError> {
        for ask in asks {
            if let (Caller::Known(identity), Some(verb)) = (caller, ask.verb) {
                let is_granted = self.0.decisions.is_granted(identity, verb, ask).await?;
                if !is_granted {
                    let namespace = self.0.namespace.clone();
                    return Err(AccessError::Forbidden {
                        caller: caller.to_string(),
                        ask: ask.clone(),
                        namespace,
                    });
                }
            }
            if let Some(why) = self.refusal_by_rule(caller, ask) {
                return Err(AccessError::AgainstTheRules {
                    caller: caller.to_string(),
                    ask: ask.clone(),
                    why,
                });
            }
        }
        Ok(())
    }

    /// Why the rules do not let a caller name something, whatever the cluster grants. Nothing where they do.
    pub fn refusal_by_rule(&self, caller: &Caller, ask: &Permission) -> Option<String> {
        self.0.rules.refusal(caller, ask)
    }
}

/// The operator is told why; the caller, whom nobody knows yet, only that.
fn undecided(error: &EdgeError) -> AccessError {
    tracing::warn!(%error, "the cluster does not say who a caller is or what it may do; the call is refused");
    AccessError::Undecided
}
