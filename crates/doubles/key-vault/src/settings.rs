//! How the vault behaves, as a test sets it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::throttle::Throttle;

/// How the vault behaves. On the wire, what is absent takes its default.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// How long every request to the vault takes at least. Default 0, or what the double was started with.
    pub latency_milliseconds: u64,
    /// How long a delete, recover or purge stays in progress. Default 0.
    pub transition_milliseconds: u64,
    /// How long a token is valid. Default 3,600.
    pub token_lifetime_seconds: u64,
    /// The rate limit. Default: none.
    pub throttle: Option<Throttle>,
    /// Whether `/metadata/identity/oauth2/token` gives tokens to anybody on the machine. Default: no.
    pub instance_metadata: bool,
    /// Whether the token endpoint gives tokens to applications that it doesn't know, whatever secret or assertion they present.
    /// Default: no; `secret-service dev` switches it on, so that any client needs only its way to the vault and the CA.
    pub any_application: bool,
    /// Whether the challenge wants a token for the public cloud's vaults, whatever cloud the vault's name is of. Default: no.
    pub foreign_challenge: bool,
}

// === impl Settings ===

impl Settings {
    pub(super) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_milliseconds)
    }

    pub(super) fn transition(&self) -> Duration {
        Duration::from_millis(self.transition_milliseconds)
    }

    pub(super) fn token_lifetime(&self) -> Duration {
        Duration::from_secs(self.token_lifetime_seconds)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            latency_milliseconds: 0,
            transition_milliseconds: 0,
            token_lifetime_seconds: 3600,
            throttle: None,
            instance_metadata: false,
            any_application: false,
            foreign_challenge: false,
        }
    }
}
