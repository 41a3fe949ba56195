//! Calls to the service with retries, and lists with automatic paging.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;

use super::{
    bearer::Stub,
    call_error::{CallError, is_unanswered},
};
use crate::backoff::Backoff;

/// The pauses between retries, if the service gives no retry delay.
pub(super) const BACKOFF: Backoff = Backoff::doubling(Duration::from_millis(200), Duration::from_secs(5));
/// How long to retry a service that does not answer at all. A person who gave the wrong port should not wait
/// for the whole timeout of a call.
const UNANSWERED_TIMEOUT: Duration = Duration::from_secs(5);
/// The requested page size. The service may return less.
const PAGE_SIZE: usize = 1_000;

/// A client for the service.
#[derive(Clone)]
pub(super) struct Client {
    stub: Stub,
    timeout: Duration,
    address: String,
}

impl Client {
    pub fn new(stub: Stub, timeout: Duration, address: String) -> Self {
        Self { stub, timeout, address }
    }

    /// The generated client, for streaming calls.
    pub fn stub(&self) -> Stub {
        self.stub.clone()
    }

    /// Converts the status of such a call.
    pub fn error(&self, status: Status) -> CallError {
        CallError::new(status, &self.address)
    }

    /// A call without a server-side wait.
    pub async fn call<T: Clone, R>(
        &self,
        message: T,
        method: impl AsyncFn(Stub, Request<T>) -> Result<Response<R>, Status>,
    ) -> Result<R, CallError> {
        self.call_and_wait(message, Duration::ZERO, method).await
    }

    /// A call that may wait on the server for `wait`. It must be idempotent: a read, or with a request id.
    pub async fn call_and_wait<T: Clone, R>(
        &self,
        message: T,
        wait: Duration,
        method: impl AsyncFn(Stub, Request<T>) -> Result<Response<R>, Status>,
    ) -> Result<R, CallError> {
        let begun = Instant::now();
        let deadline = begun + self.timeout + wait;
        let mut failures = 0;
        loop {
            let mut request = Request::new(message.clone());
            request.set_timeout(deadline.saturating_duration_since(Instant::now()));
            let tried = tokio::time::timeout_at(deadline, method(self.stub(), request)).await;
            let status = match tried {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded("The service did not answer in time"),
            };
            let until =
                if is_unanswered(&status) { deadline.min(begun + UNANSWERED_TIMEOUT) } else { deadline };
            match retry_delay(&status, BACKOFF.pause(failures)) {
                Some(wait) if Instant::now() + wait < until => {
                    if failures == 0 {
                        self.announce_retry(&status);
                    }
                    tokio::time::sleep(wait).await;
                }
                _ => return Err(self.error(status)),
            }
            failures += 1;
        }
    }

    /// Tells a person at a terminal why the command takes longer.
    fn announce_retry(&self, status: &Status) {
        if io::stderr().is_terminal() {
            eprintln!("{}; retrying …", self.error(status.clone()).what());
        }
    }
}

/// Fetches all pages of a list, up to a limit.
pub(super) async fn pages<T>(
    limit: Option<usize>,
    page: impl AsyncFn(i32, String) -> Result<(Vec<T>, String), CallError>,
) -> Result<Vec<T>, CallError> {
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let left = limit.map_or(PAGE_SIZE, |limit| limit.saturating_sub(all.len()).min(PAGE_SIZE));
        if left == 0 {
            return Ok(all);
        }
        let (items, next) = page(i32::try_from(left).unwrap_or_default(), token).await?;
        all.extend(items.into_iter().take(left));
        if next.is_empty() {
            return Ok(all);
        }
        token = next;
    }
}

/// How long to wait before a retry; `None` if the call would fail again.
fn retry_delay(status: &Status, pause: Duration) -> Option<Duration> {
    let details = status.get_error_details();
    let requested = details.retry_info().and_then(|info| info.retry_delay);
    let in_progress = || details.error_info().is_some_and(|info| info.reason == "REQUEST_IN_PROGRESS");
    match status.code() {
        Code::Unavailable => Some(requested.unwrap_or(pause)),
        // Without a retry delay it is a limit that waiting does not lift.
        Code::ResourceExhausted => requested,
        // Our own first attempt, whose answer was lost.
        Code::Aborted if in_progress() => Some(requested.unwrap_or(pause)),
        Code::DeadlineExceeded => None,
        _ if is_unanswered(status) => Some(pause),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::ErrorDetails;

    use super::*;

    const PAUSE: Duration = Duration::from_millis(300);

    fn delay(code: Code, reason: &str, retry: Option<u64>) -> Option<Duration> {
        let mut details = ErrorDetails::with_error_info(reason, crate::api::DOMAIN, []);
        if let Some(seconds) = retry {
            details.set_retry_info(Some(Duration::from_secs(seconds)));
        }
        retry_delay(&Status::with_error_details(code, "m", details), PAUSE)
    }

    #[test]
    fn a_call_is_retried_after_the_given_delay_and_only_for_retryable_errors() {
        assert_eq!(delay(Code::Unavailable, "VAULT_UNREACHABLE", Some(5)), Some(Duration::from_secs(5)));
        assert_eq!(delay(Code::ResourceExhausted, "TOO_MANY_CALLS", Some(1)), Some(Duration::from_secs(1)));
        assert_eq!(delay(Code::Aborted, "REQUEST_IN_PROGRESS", None), Some(PAUSE));
        for (code, reason) in [
            (Code::ResourceExhausted, "MESSAGE_TOO_LARGE"),
            (Code::Aborted, "CHANGED_MEANWHILE"),
            (Code::NotFound, "SYNCED_SECRET_NOT_FOUND"),
            (Code::DeadlineExceeded, "DEADLINE_EXCEEDED"),
        ] {
            assert_eq!(delay(code, reason, None), None, "{reason}");
        }
        assert_eq!(retry_delay(&Status::unavailable("the connection failed"), PAUSE), Some(PAUSE));
    }

    #[tokio::test]
    async fn a_list_continues_to_its_last_page_or_to_the_limit() {
        let all: Vec<usize> = (0..10).collect();
        let page = async |size: i32, token: String| {
            let from: usize = token.parse().unwrap_or_default();
            let to = (from + 4.min(size.unsigned_abs() as usize)).min(all.len());
            let next = if to < all.len() { to.to_string() } else { String::new() };
            Ok((all[from..to].to_vec(), next))
        };
        assert_eq!(pages(None, page).await.unwrap(), all);
        assert_eq!(pages(Some(6), page).await.unwrap(), all[..6]);
        assert!(pages(Some(0), page).await.unwrap().is_empty());
    }
}
