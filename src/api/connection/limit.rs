//! Every limit on callers and connections: its option, and the error for a call that exceeds it.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::{Code, Status};

use crate::api::error::{catalogue::DocumentedError, server_status};

/// A limit, by its option in `limits`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Limit {
    ConcurrentCalls,
    CallsPerCaller,
    CallsPerSecond,
    Watchers,
    WatchesPerCaller,
    OpenCalls,
    OpenCallsPerAddress,
    OpenStreams,
    OpenStreamsPerAddress,
    ReflectionTimeout,
    HealthWatchTimeout,
    MessageBytes,
    SmallMessageBytes,
    ReceiveTimeout,
    Connections,
    ConnectionsPerCaller,
    OpenConnections,
    OpenConnectionsPerAddress,
    UnixCalls,
    UnknownTokens,
    UnknownTokensPerAddress,
    MetricsConnections,
    RequestBytes,
    RequestBytesPerCaller,
    UndecidedCalls,
    UndecidedCallsPerCaller,
    UndecidedBytes,
    UndecidedBytesPerCaller,
}

/// The option of a limit, and the error for a call that exceeds it.
struct Description {
    option: &'static str,
    code: Code,
    reason: &'static str,
    /// One sentence: which limit; its number follows in parentheses.
    happened: &'static str,
    /// One sentence: what to do.
    remedy: &'static str,
    /// When to retry, if waiting may help.
    retry: Option<Duration>,
}

/// Counts how often each limit refused or closed something.
#[derive(Clone, Debug, Default)]
pub(crate) struct LimitHits(Family<Label, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    limit: Limit,
}

/// Retry when a call has ended: calls are short.
const RETRY_AFTER_CALL: Option<Duration> = Some(Duration::from_secs(1));
/// Retry when a stream has ended: streams are long.
const RETRY_AFTER_STREAM: Option<Duration> = Some(Duration::from_secs(10));

// === impl Limit ===

impl Limit {
    /// The limits that a call can exceed, for `docs/errors.md`.
    pub(crate) const OF_CALLS: [Self; 14] = [
        Self::MessageBytes,
        Self::ReceiveTimeout,
        Self::CallsPerSecond,
        Self::CallsPerCaller,
        Self::WatchesPerCaller,
        Self::ConcurrentCalls,
        Self::Watchers,
        Self::OpenCallsPerAddress,
        Self::OpenCalls,
        Self::OpenStreamsPerAddress,
        Self::OpenStreams,
        Self::ReflectionTimeout,
        Self::RequestBytesPerCaller,
        Self::RequestBytes,
    ];

    fn description(self) -> Description {
        let exceeded = |option, reason, happened, remedy, retry| Description {
            option,
            code: Code::ResourceExhausted,
            reason,
            happened,
            remedy,
            retry,
        };
        let connections = |option| {
            let happened = "Too many connections";
            exceeded(option, "", happened, "Connect again later.", RETRY_AFTER_STREAM)
        };
        let unknown_tokens = |option| {
            let happened = "Too many unknown tokens";
            exceeded(option, "TOO_MANY_UNKNOWN_TOKENS", happened, "Retry later.", RETRY_AFTER_CALL)
        };
        match self {
            Self::ConcurrentCalls => exceeded(
                "concurrent_calls",
                "TOO_MANY_CALLS",
                "Too many concurrent calls",
                "Retry after one completes.",
                RETRY_AFTER_CALL,
            ),
            Self::CallsPerCaller => exceeded(
                "calls_per_caller",
                "TOO_MANY_CALLS_OF_CALLER",
                "Too many concurrent calls of one caller, including those whose answers it has not read",
                "Retry after one of yours completes.",
                RETRY_AFTER_CALL,
            ),
            Self::CallsPerSecond => exceeded(
                "calls_per_second",
                "CALLING_TOO_FAST",
                "Too many calls a second of one caller",
                "Call less often, or ask the operator for a higher limits.calls_per_second.",
                RETRY_AFTER_CALL,
            ),
            Self::Watchers => exceeded(
                "watchers",
                "TOO_MANY_WATCHES",
                "Too many open watches",
                "Close one, or retry later.",
                RETRY_AFTER_STREAM,
            ),
            Self::WatchesPerCaller => exceeded(
                "watches_per_caller",
                "TOO_MANY_WATCHES_OF_CALLER",
                "Too many open watches of one caller",
                "Close one, or share one.",
                RETRY_AFTER_STREAM,
            ),
            Self::OpenCalls => exceeded(
                "open_calls",
                "TOO_MANY_OPEN_CALLS",
                "Too many concurrent calls without credentials, or whose credentials are being checked",
                "Retry after one completes.",
                RETRY_AFTER_CALL,
            ),
            Self::OpenCallsPerAddress => exceeded(
                "open_calls_per_address",
                "TOO_MANY_OPEN_CALLS_OF_ADDRESS",
                "Too many concurrent calls from one address without credentials, or whose credentials are being checked",
                "Retry after one completes.",
                RETRY_AFTER_CALL,
            ),
            Self::OpenStreams => exceeded(
                "open_streams",
                "TOO_MANY_OPEN_STREAMS",
                "Too many open streams of health watches and reflection",
                "Close one, or retry later.",
                RETRY_AFTER_STREAM,
            ),
            Self::OpenStreamsPerAddress => exceeded(
                "open_streams_per_address",
                "TOO_MANY_OPEN_STREAMS_OF_ADDRESS",
                "Too many open streams of health watches and reflection from one address",
                "Close one, or share one.",
                RETRY_AFTER_STREAM,
            ),
            Self::ReflectionTimeout | Self::HealthWatchTimeout => Description {
                code: Code::DeadlineExceeded,
                ..exceeded(
                    match self {
                        Self::ReflectionTimeout => "reflection_timeout",
                        _ => "health_watch_timeout",
                    },
                    "STREAM_TIMEOUT",
                    "The stream reached its maximum duration",
                    "Open it again.",
                    None,
                )
            },
            Self::MessageBytes | Self::SmallMessageBytes => exceeded(
                match self {
                    Self::MessageBytes => "message_bytes",
                    _ => "small_message_bytes",
                },
                "MESSAGE_TOO_LARGE",
                "The request is larger than this method accepts",
                "Send less in one request.",
                None,
            ),
            Self::MetricsConnections => connections("metrics_connections"),
            // The error comes from the authorizer.
            Self::UnknownTokens => unknown_tokens("unknown_tokens_per_second"),
            Self::UnknownTokensPerAddress => unknown_tokens("unknown_tokens_per_second_per_address"),
            Self::RequestBytes => exceeded(
                "request_bytes",
                "TOO_MANY_REQUEST_BYTES",
                "Too many bytes of requests in flight",
                "Retry after one completes.",
                RETRY_AFTER_CALL,
            ),
            Self::RequestBytesPerCaller => exceeded(
                "request_bytes_per_caller",
                "TOO_MANY_REQUEST_BYTES_OF_CALLER",
                "Too many bytes of requests of one caller in flight",
                "Retry after one of yours completes.",
                RETRY_AFTER_CALL,
            ),
            Self::UndecidedCalls | Self::UndecidedBytes => Description {
                happened: "Too many incoming requests of callers without a permission on all names",
                ..match self {
                    Self::UndecidedCalls => Self::ConcurrentCalls.description(),
                    _ => Self::RequestBytes.description(),
                }
            },
            Self::UndecidedCallsPerCaller | Self::UndecidedBytesPerCaller => Description {
                happened: "Too many incoming requests of one caller without a permission on all names",
                ..match self {
                    Self::UndecidedCallsPerCaller => Self::CallsPerCaller.description(),
                    _ => Self::RequestBytesPerCaller.description(),
                }
            },
            // A reserve: a call that finds it spent has exceeded the other limit, too.
            Self::UnixCalls => Description { option: "unix_calls", ..Self::ConcurrentCalls.description() },
            // No call gets these errors: the connection is closed.
            Self::Connections => connections("connections"),
            Self::ConnectionsPerCaller => connections("connections_per_caller"),
            Self::OpenConnections => connections("open_connections"),
            Self::OpenConnectionsPerAddress => connections("open_connections_per_address"),
            Self::ReceiveTimeout => Description {
                code: Code::DeadlineExceeded,
                ..exceeded(
                    "receive_timeout",
                    "REQUEST_TIMEOUT",
                    "The request did not arrive in time",
                    "Send it as soon as the call begins.",
                    None,
                )
            },
        }
    }

    /// The error for a call that exceeds the limit.
    pub(crate) fn exceeded(self, number: impl std::fmt::Display) -> Status {
        let retry = self.description().retry;
        self.exceeded_until(number, retry)
    }

    /// The same, if it is known when to retry.
    pub(crate) fn exceeded_until(self, number: impl std::fmt::Display, retry: Option<Duration>) -> Status {
        let Description { code, reason, happened, remedy, .. } = self.description();
        server_status(code, reason, &format!("{happened} ({number}). {remedy}"), retry)
    }

    /// The error for `docs/errors.md`.
    pub(crate) fn documented(self) -> DocumentedError {
        let Description { code, reason, happened, remedy, retry, .. } = self.description();
        let (happened, remedy) = (happened.to_owned(), remedy.to_owned());
        DocumentedError { reason, code, happened, remedy, is_retried: retry.is_some() }
    }
}

impl EncodeLabelValue for Limit {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.description().option.encode(encoder)
    }
}

// === impl LimitHits ===

impl LimitHits {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Calls refused, and connections refused or closed, by the limit that they exceeded";
        registry.register("limits_hit", help, self.0.clone());
    }

    pub(crate) fn count(&self, limit: Limit) {
        self.0.get_or_create(&Label { limit }).inc();
    }
}
