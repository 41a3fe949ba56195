//! Bodies of requests.

use serde::Deserialize;

use super::refusal::Refusal;

/// Reads a request body in JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    // serde_json's message may quote part of the value.
    serde_json::from_slice(body)
        .map_err(|_| Refusal::bad_parameter("The request body is not the JSON that this operation takes."))
}
