//! What happens to a request: the faults that all doubles have, and room for those of one double.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

/// A fault that every double has. In JSON `{"kind": "latency", "milliseconds": 200}` and so on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Fault {
    /// An error answer in the form of the double's protocol.
    Status {
        /// The HTTP status.
        status: u16,
        /// The protocol's word for it: the error code of Key Vault, the `reason` of a Kubernetes `Status`.
        #[serde(default)]
        reason: String,
        /// The `Retry-After` header; absent for none.
        #[serde(
            default,
            rename = "retryAfterSeconds",
            with = "seconds",
            skip_serializing_if = "Option::is_none"
        )]
        retry_after: Option<Duration>,
    },
    /// The true answer, but later.
    Latency {
        /// How much later.
        #[serde(rename = "milliseconds", with = "milliseconds")]
        duration: Duration,
    },
    /// No answer, until the client gives up or the double stops.
    Hang,
    /// The connection (over HTTP/2, the stream) breaks without an answer.
    Reset,
    /// The connection breaks in the middle of the body.
    ResetMidBody,
    /// A complete HTTP message whose JSON stops in the middle.
    TruncatedBody,
    /// A body that is not JSON.
    MalformedJson,
    /// An HTML page with status 200, as from a captive portal or a proxy.
    HtmlPage,
}

/// A fault that every double has, or one of a double's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum AnyFault<S> {
    /// Every double has it.
    Common(Fault),
    /// This double has it.
    Own(S),
}

// === impl Fault ===

impl Fault {
    /// An error answer.
    pub fn status(status: u16, reason: &str) -> Self {
        Self::Status { status, reason: reason.to_owned(), retry_after: None }
    }

    /// An error answer with `Retry-After`.
    pub fn retry_after(status: u16, reason: &str, retry_after: Duration) -> Self {
        Self::Status { status, reason: reason.to_owned(), retry_after: Some(retry_after) }
    }

    /// The true answer, but so much later.
    pub fn latency(duration: Duration) -> Self {
        Self::Latency { duration }
    }
}

// === impl AnyFault ===

impl<S> From<Fault> for AnyFault<S> {
    fn from(fault: Fault) -> Self {
        Self::Common(fault)
    }
}

impl<S> PartialEq<Fault> for AnyFault<S> {
    fn eq(&self, other: &Fault) -> bool {
        matches!(self, Self::Common(fault) if fault == other)
    }
}

impl<'de, S: DeserializeOwned> Deserialize<'de> for AnyFault<S> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(from)?;
        let common = match Fault::deserialize(&value) {
            Ok(fault) => return Ok(Self::Common(fault)),
            Err(error) => error,
        };
        // Both errors: together they name every kind that this double has.
        S::deserialize(value).map(Self::Own).map_err(|own| D::Error::custom(format!("{common}; {own}")))
    }
}

/// A duration as a whole number of milliseconds.
mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

/// A duration, or none, as a whole number of seconds.
mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        duration.map(|duration| duration.as_secs()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(from)?.map(Duration::from_secs))
    }
}
