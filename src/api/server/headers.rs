//! The headers of a call that the server reads and writes itself.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use tonic::{Code, Status};
use uuid::Uuid;

use crate::api::error::server_status;

/// The id of a call in the logs of both sides, in its request and its answer.
pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC_TIMEOUT: &str = "grpc-timeout";
/// Headers that a request may have once: a proxy in front of the service may have checked another one than
/// the first. The authorizer checks the header with the credentials.
const UNIQUE: [HeaderName; 3] = [REQUEST_ID, HeaderName::from_static(GRPC_TIMEOUT), CONTENT_TYPE];

/// Refuses a request with a header that must be unique and is not.
pub(super) fn check_unique(headers: &HeaderMap) -> Result<(), Status> {
    let is_repeated = |name: &&HeaderName| headers.get_all(*name).iter().nth(1).is_some();
    match UNIQUE.iter().find(is_repeated) {
        Some(name) => {
            let message = format!("The header {name} was sent more than once. Send it once.");
            Err(server_status(Code::InvalidArgument, "HEADER_REPEATED", &message, None))
        }
        None => Ok(()),
    }
}

/// The timeout of a call, as gRPC over HTTP/2 writes it: at most eight digits and a unit.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(GRPC_TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount: u64 = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(amount * 3600),
        "M" => Duration::from_secs(amount * 60),
        "S" => Duration::from_secs(amount),
        "m" => Duration::from_millis(amount),
        "u" => Duration::from_micros(amount),
        "n" => Duration::from_nanos(amount),
        _ => return None,
    })
}

/// The caller's request id if it may stand in our logs, otherwise a new one.
pub(super) fn request_id(headers: &HeaderMap) -> HeaderValue {
    headers.get(&REQUEST_ID).filter(|id| is_valid_id(id)).cloned().unwrap_or_else(new_id)
}

fn is_valid_id(id: &HeaderValue) -> bool {
    (1..=128).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic)
}

fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    let text = Uuid::new_v4().hyphenated().encode_lower(&mut text);
    HeaderValue::from_str(text).expect("a UUID is visible ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_grpc_timeout_format_is_accepted() {
        let read = |text: &str| {
            timeout(&HeaderMap::from_iter([(
                HeaderName::from_static(GRPC_TIMEOUT),
                HeaderValue::from_str(text).unwrap(),
            )]))
        };
        assert_eq!(read("3S"), Some(Duration::from_secs(3)));
        assert_eq!(read("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        assert_eq!(read("250m"), Some(Duration::from_millis(250)));
        assert_eq!(read("7u"), Some(Duration::from_micros(7)));
        for bad in ["", "S", "3", "3s", "-1S", "+1S", "100000000S", "1.5S", "S3"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn an_id_of_the_caller_is_short_and_printable() {
        assert!(is_valid_id(&HeaderValue::from_static("run-7/step:1")));
        for bad in ["", "a b", &"x".repeat(129)] {
            assert!(!is_valid_id(&HeaderValue::from_str(bad).unwrap()), "{bad:?}");
        }
        assert!(is_valid_id(&new_id()));
    }
}
