//! Tokens of an OpenID Connect issuer, verified here: its signature, whom it is for and how long, and whom it names.
//!
//! The rules, and what the settings are called, are those of kube-apiserver's structured authentication, so that
//! a user has the same name and groups here and there. What the user may do is the cluster's decision.

mod claims;
mod fetch;
mod key;
mod keys;

use std::{path::PathBuf, sync::Arc, time::Duration};

use jsonwebtoken::{
    Algorithm, Header, Validation,
    dangerous::insecure_decode_claims,
    decode, decode_header,
    errors::{Error, ErrorKind},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;

pub use claims::TokenProblem;
pub use fetch::FetchError;
use key::Key;
use keys::Keys;

use super::AccessError;
use crate::model::Identity;

/// The algorithms that are accepted: those with a public key. Never none, and no secret that is shared with the issuer.
const ALGORITHMS: [Algorithm; 8] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
];
/// How far the issuer's clock and ours may be apart, in seconds.
const LEEWAY: u64 = 60;
/// The shortest time between two fetches of the keys.
const FETCH_PAUSE: Duration = Duration::from_secs(10);
/// How long a call waits for a fetch of the keys, counted from when it begins. The fetch goes on.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How long keys stay valid while the issuer can't be reached.
const LONGEST_OUTAGE: Duration = Duration::from_secs(86_400);

/// How tokens of an OpenID Connect issuer are verified.
#[derive(Clone, Debug)]
pub struct IssuerOptions {
    /// The issuer, exactly as the claim `iss`.
    pub issuer: String,
    /// One of them must be in the claim `aud`.
    pub audiences: Vec<String>,
    /// CA certificates (PEM) for its TLS; `None` for the public ones.
    pub ca_file: Option<PathBuf>,
    /// Where the user's name is.
    pub username: ClaimMapping,
    /// Where the user's groups are.
    pub groups: ClaimMapping,
    /// Claims that a token must have, and their values.
    pub required_claims: Vec<(String, String)>,
    /// How long its keys are used before they are fetched again.
    pub key_life: Duration,
    /// The shortest time from the end of a fetch to the next one, whatever the tokens say.
    pub fetch_pause: Duration,
    /// How long its last keys stay valid while it can't be reached.
    pub longest_outage: Duration,
}

/// The claim with a name, and what is put before it.
#[derive(Clone, Debug)]
pub struct ClaimMapping {
    /// The claim.
    pub claim: String,
    /// The prefix; may be empty.
    pub prefix: String,
}

/// Verifies the tokens of one issuer.
pub(super) struct Issuer {
    options: IssuerOptions,
    keys: Keys,
}

/// The claim that names the issuer.
#[derive(Deserialize)]
struct Issued {
    iss: String,
}

/// Fetches the issuer's keys once, as for a first token. Returns how many are usable.
pub async fn check_issuer(options: &IssuerOptions) -> Result<usize, FetchError> {
    match fetch::fetch(&options.issuer, options.ca_file.as_deref()).await?.keys.len() {
        0 => Err(FetchError::NoKeys),
        usable => Ok(usable),
    }
}

// === impl IssuerOptions ===

impl IssuerOptions {
    /// An issuer whose users are named by the claim `sub`.
    pub fn new(issuer: String, audiences: Vec<String>) -> Self {
        let mapping = |claim: &str| ClaimMapping { claim: claim.to_owned(), prefix: "oidc:".to_owned() };
        Self {
            issuer,
            audiences,
            ca_file: None,
            username: mapping("sub"),
            groups: mapping("groups"),
            required_claims: Vec::new(),
            key_life: Duration::from_secs(600),
            fetch_pause: FETCH_PAUSE,
            longest_outage: LONGEST_OUTAGE,
        }
    }

    /// What a token must say, beside what maps to a user.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&self.audiences);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation
    }

    /// What is wrong with a token that a key has signed, or has not.
    fn problem(&self, error: &Error) -> TokenProblem {
        match error.kind() {
            ErrorKind::ExpiredSignature => TokenProblem::Expired,
            ErrorKind::ImmatureSignature => TokenProblem::NotYetValid,
            ErrorKind::InvalidAudience => TokenProblem::Audience(self.audiences.clone()),
            ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
                TokenProblem::Missing(claim.clone())
            }
            ErrorKind::Json(_) | ErrorKind::Utf8(_) | ErrorKind::Base64(_) | ErrorKind::InvalidIssuer => {
                TokenProblem::Malformed
            }
            _ => TokenProblem::Signature,
        }
    }
}

// === impl Issuer ===

impl Issuer {
    pub(super) fn new(options: IssuerOptions) -> Self {
        Self { keys: Keys::new(&options), options }
    }

    /// Whether it is up to this issuer to accept a token: it says that it is of this one, or of another one at the same
    /// host, such as another tenant or the same with a slash. Nobody else needs to see it. That alone proves nothing.
    pub(super) fn is_addressed_by(&self, token: &str) -> bool {
        let is_near = |issuer: &str| {
            let host = host_of(issuer);
            host.is_some() && host == host_of(&self.options.issuer)
        };
        issuer_of(token).is_some_and(|issuer| issuer == self.options.issuer || is_near(&issuer))
    }

    /// The user of a token.
    pub(super) async fn identity(&self, token: &str) -> Result<Identity, AccessError> {
        if issuer_of(token).as_ref() != Some(&self.options.issuer) {
            return Err(TokenProblem::Issuer(self.options.issuer.clone()).into());
        }
        let (header, begun) = (header(token)?, Instant::now());
        let keys = self.keys.current().await?;
        let claims = match self.verify(token, &header, &keys) {
            // The issuer may have a new key, even under the name of an old one.
            Err(TokenProblem::UnknownKey | TokenProblem::Signature) => {
                self.verify(token, &header, &self.keys.renewed_since(begun).await?)?
            }
            verified => verified?,
        };
        Ok(claims::identity(&claims, &self.options)?)
    }

    /// What the issuer is called.
    pub(super) fn url(&self) -> &str {
        &self.options.issuer
    }

    /// Where a client gets tokens, if the issuer says so. The first time, this waits for the answer, as for the keys.
    pub(super) async fn token_endpoint(&self) -> Option<Arc<str>> {
        self.keys.token_endpoint().await
    }

    /// Whether the users or groups of this issuer have names with this beginning.
    pub(super) fn owns_user(&self, name: &str) -> bool {
        self.options.username.owns(name)
    }

    /// The same for a group.
    pub(super) fn owns_group(&self, name: &str) -> bool {
        self.options.groups.owns(name)
    }

    /// The claims of a token that one of the keys has signed.
    fn verify(&self, token: &str, header: &Header, keys: &[Key]) -> Result<Map<String, Value>, TokenProblem> {
        let validation = self.options.validation(header.alg);
        let mut problem = TokenProblem::UnknownKey;
        for key in keys.iter().filter(|key| key.fits(header)) {
            match decode(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) if !matches!(error.kind(), ErrorKind::InvalidSignature) => {
                    return Err(self.options.problem(&error));
                }
                // The token may name no key, or several may have the same name.
                Err(_) if header.kid.is_some() => problem = TokenProblem::Signature,
                Err(_) => {}
            }
        }
        Err(problem)
    }
}

// === impl ClaimMapping ===

impl ClaimMapping {
    fn owns(&self, name: &str) -> bool {
        !self.prefix.is_empty() && name.starts_with(&self.prefix)
    }
}

/// Who a token says has issued it.
fn issuer_of(token: &str) -> Option<String> {
    insecure_decode_claims::<Issued>(token).ok().map(|issued| issued.iss)
}

fn host_of(issuer: &str) -> Option<String> {
    Url::parse(issuer).ok()?.host_str().map(str::to_owned)
}

/// Whether a token of this type proves who calls. Others, such as a logout token, may have the same issuer and audience.
fn proves_identity(kind: Option<&str>) -> bool {
    let Some(kind) = kind.map(str::to_ascii_lowercase) else { return true };
    matches!(kind.strip_prefix("application/").unwrap_or(&kind), "jwt" | "at+jwt")
}

/// The header of a token with a type and an algorithm that are accepted.
fn header(token: &str) -> Result<Header, TokenProblem> {
    let header = decode_header(token).map_err(|_| TokenProblem::Malformed)?;
    match header.crit {
        // It asks for something that we don't know.
        Some(_) => Err(TokenProblem::Malformed),
        None if !proves_identity(header.typ.as_deref()) => Err(TokenProblem::Type),
        None if ALGORITHMS.contains(&header.alg) => Ok(header),
        None => Err(TokenProblem::Algorithm),
    }
}

#[cfg(test)]
mod tests;
