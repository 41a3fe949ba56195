//! The mapping of denied calls.

use std::time::Duration;

use tonic::Code;

use super::{ErrorMapping, RETRY_LATER};
use crate::{
    access::{AccessError, TokenProblem},
    model::{ACCESS_GROUP, Verb},
};

impl ErrorMapping {
    /// The mapping of a denied call.
    pub(crate) fn of_access_error(error: &AccessError) -> Self {
        use Code::*;
        match error {
            AccessError::NoCredentials => Self::new(
                Unauthenticated,
                "CREDENTIALS_MISSING",
                "Send a service account token in the authorization header, or use a client certificate.",
            ),
            AccessError::TokensDisabled => Self::new(
                Unauthenticated,
                "TOKENS_NOT_ACCEPTED",
                "Use a client certificate, or ask the operator to enable authentication.tokens.",
            ),
            AccessError::NotBearerToken => {
                Self::new(Unauthenticated, "CREDENTIALS_REJECTED", "Send \"authorization: Bearer TOKEN\".")
            }
            AccessError::TokenRejected(audience) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                format!(
                    "Get a new one, for example with `kubectl create token ACCOUNT --audience {audience}`."
                ),
            ),
            AccessError::OnlyIssuerTokens => Self::new(
                Unauthenticated,
                "TOKENS_NOT_ACCEPTED",
                "Sign in with the OpenID Connect issuer, use a client certificate, or ask the operator to enable authentication.tokens.",
            ),
            AccessError::IssuerTokenRejected(problem) => {
                Self::new(Unauthenticated, "CREDENTIALS_REJECTED", after_rejection(problem))
            }
            AccessError::TokenOwnerRejected(_) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Use a token of an account with another name.",
            ),
            AccessError::DuplicateCredentials => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Send \"authorization: Bearer TOKEN\" once.",
            ),
            AccessError::CertificateRejected(_) => Self::new(
                Unauthenticated,
                "CREDENTIALS_REJECTED",
                "Use a valid one that names its owner.",
            ),
            AccessError::Forbidden { permission, namespace, too_many_groups, .. } => Self {
                resource: Some(permission.resource_name()),
                ..Self::new(
                    PermissionDenied,
                    "CALLER_FORBIDDEN",
                    format!(
                        "Grant the verb {} on {}.{ACCESS_GROUP} in the namespace {namespace:?} with a Role and a RoleBinding{}{}.",
                        permission.verb.map_or("get", Verb::as_str),
                        permission.resource.as_str(),
                        on_name(permission.name.as_deref()),
                        if *too_many_groups {
                            ", to the user; or have the issuer put fewer groups into the token (in Entra ID: groups assigned to the application)"
                        } else {
                            ""
                        },
                    ),
                )
            },
            AccessError::DeniedByRule { permission, .. } => Self {
                resource: Some(permission.resource_name()),
                ..Self::new(
                    PermissionDenied,
                    "NAME_NOT_ALLOWED",
                    "Use another name, or ask the operator to change authorization.rules.",
                )
            },
            AccessError::TooManyUnknownTokens { wait, .. } => Self::new(
                ResourceExhausted,
                "TOO_MANY_UNKNOWN_TOKENS",
                "Retry later with a valid token.",
            )
            .retry(at_least_a_moment(*wait)),
            AccessError::TooManyReviews { wait, .. } => Self::new(
                ResourceExhausted,
                "TOO_MANY_NAMES_ASKED",
                "Retry later, or have the permission granted on all names, with a Role without resourceNames: that takes a single review.",
            )
            .retry(at_least_a_moment(*wait)),
            // Denied, too; but the credentials may be valid, and waiting may help.
            AccessError::Undecided => Self::new(
                Unavailable,
                "ACCESS_UNDECIDED",
                "Retry later; if this continues, ask the operator to look at the service's log.",
            )
            .retry(RETRY_LATER),
            AccessError::KeyNotFetched { wait } => Self::new(
                Unavailable,
                "ACCESS_UNDECIDED",
                "Retry later; if this continues, sign in again.",
            )
            .retry(at_least_a_moment(*wait)),
            AccessError::IssuerSilent => Self::new(
                Unavailable,
                "ACCESS_UNDECIDED",
                "Retry later; if this continues, ask the operator to run `secret-service check`, which asks the issuer.",
            )
            .retry(RETRY_LATER),
        }
    }
}

/// A pause that clients do not take for none.
fn at_least_a_moment(wait: Duration) -> Duration {
    wait.max(Duration::from_millis(1))
}

/// What to do with a token of the OpenID Connect issuer that was rejected.
fn after_rejection(problem: &TokenProblem) -> &'static str {
    match problem {
        TokenProblem::Malformed
        | TokenProblem::Algorithm
        | TokenProblem::UnknownKey
        | TokenProblem::Signature
        | TokenProblem::Expired => "Sign in again.",
        TokenProblem::NotYetValid => {
            "Sign in again, or ask the operator to compare the service's clock with the issuer's."
        }
        TokenProblem::Type => "Send the ID token or the access token.",
        TokenProblem::Issuer(_) => {
            "Sign in with this issuer, or ask the operator to set authentication.oidc.issuer as the tokens have it, to the last slash."
        }
        TokenProblem::Audience(_) => {
            "Sign in for this service, or ask the operator to add the audience to authentication.oidc.audience."
        }
        TokenProblem::Missing(_) | TokenProblem::Required(_) => {
            "Ask the operator to compare authentication.oidc with what the issuer puts into tokens."
        }
        TokenProblem::EmailNotVerified => "Verify the address with the issuer.",
        TokenProblem::Reserved => "Ask the operator to set authentication.oidc.username_prefix.",
    }
}

/// How to grant the permission on this name only.
fn on_name(name: Option<&str>) -> String {
    name.map_or_else(String::new, |name| format!(", with resourceNames: [{name:?}] for this one only"))
}
