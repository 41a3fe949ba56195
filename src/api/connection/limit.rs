//! Every limit on what callers and connections take of what all share: its option, and what whoever runs into it is told.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};
use tonic::{Code, Status};

use crate::api::error::of_server;

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

/// What a limit is called, and what it means to whoever runs into it.
struct Described {
    option: &'static str,
    code: Code,
    reason: &'static str,
    /// One sentence: which limit; its number follows in parentheses.
    happened: &'static str,
    /// One sentence: what to do.
    remedy: &'static str,
    /// When to try again, where waiting may be enough.
    retry: Option<Duration>,
}

/// Counts by limit what was refused or cut.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refusals(Family<Label, Counter>);

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Label {
    limit: Limit,
}

/// After a call: they are short.
const A_CALL_LATER: Option<Duration> = Some(Duration::from_secs(1));
/// After a stream: they are long.
const A_STREAM_LATER: Option<Duration> = Some(Duration::from_secs(10));

// === impl Limit ===

impl Limit {
    /// All that a call can run into, for the reference in `docs/errors.md`.
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

    fn described(self) -> Described {
        let described = |option, reason, happened, remedy, retry| Described {
            option,
            code: Code::ResourceExhausted,
            reason,
            happened,
            remedy,
            retry,
        };
        let connections = |option| {
            let happened = "Too many connections";
            described(option, "", happened, "Connect again later.", A_STREAM_LATER)
        };
        let unknown_tokens = |option| {
            let happened = "Too many unknown tokens";
            described(option, "TOO_MANY_UNKNOWN_TOKENS", happened, "Retry later.", A_CALL_LATER)
        };
        match self {
            Self::ConcurrentCalls => described(
                "concurrent_calls",
                "TOO_MANY_CALLS",
                "Too many concurrent calls",
                "Retry after one completes.",
                A_CALL_LATER,
            ),
            Self::CallsPerCaller => described(
                "calls_per_caller",
                "TOO_MANY_CALLS_OF_CALLER",
                "Too many concurrent calls of one caller, including those whose answers it has not read",
                "Retry after one of yours completes.",
                A_CALL_LATER,
            ),
            Self::CallsPerSecond => described(
                "calls_per_second",
                "CALLING_TOO_FAST",
                "Too many calls a second of one caller",
                "Call less often, or ask the operator for a higher limits.calls_per_second.",
                A_CALL_LATER,
            ),
            Self::Watchers => described(
                "watchers",
                "TOO_MANY_WATCHES",
                "Too many open watches",
                "Close one, or retry later.",
                A_STREAM_LATER,
            ),
            Self::WatchesPerCaller => described(
                "watches_per_caller",
                "TOO_MANY_WATCHES_OF_CALLER",
                "Too many open watches of one caller",
                "Close one, or share one.",
                A_STREAM_LATER,
            ),
            Self::OpenCalls => described(
                "open_calls",
                "TOO_MANY_OPEN_CALLS",
                "Too many concurrent calls without credentials, or whose credentials are being checked",
                "Retry after one completes.",
                A_CALL_LATER,
            ),
            Self::OpenCallsPerAddress => described(
                "open_calls_per_address",
                "TOO_MANY_OPEN_CALLS_OF_ADDRESS",
                "Too many concurrent calls from one address without credentials, or whose credentials are being checked",
                "Retry after one completes.",
                A_CALL_LATER,
            ),
            Self::OpenStreams => described(
                "open_streams",
                "TOO_MANY_OPEN_STREAMS",
                "Too many open streams of health watches and reflection",
                "Close one, or retry later.",
                A_STREAM_LATER,
            ),
            Self::OpenStreamsPerAddress => described(
                "open_streams_per_address",
                "TOO_MANY_OPEN_STREAMS_OF_ADDRESS",
                "Too many open streams of health watches and reflection from one address",
                "Close one, or share one.",
                A_STREAM_LATER,
            ),
            Self::ReflectionTimeout | Self::HealthWatchTimeout => Described {
                code: Code::DeadlineExceeded,
                ..described(
                    match self {
                        Self::ReflectionTimeout => "reflection_timeout",
                        _ => "health_watch_timeout",
                    },
                    "STREAM_TIMEOUT",
                    "The stream has lasted as long as it may",
                    "Open it again.",
                    None,
                )
            },
            Self::MessageBytes | Self::SmallMessageBytes => described(
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
            // The refusal is that of the door.
            Self::UnknownTokens => unknown_tokens("unknown_tokens_per_second"),
            Self::UnknownTokensPerAddress => unknown_tokens("unknown_tokens_per_second_per_address"),
            Self::RequestBytes => described(
                "request_bytes",
                "TOO_MANY_REQUEST_BYTES",
                "Too many bytes of requests in flight",
                "Retry after one completes.",
                A_CALL_LATER,
            ),
            Self::RequestBytesPerCaller => described(
                "request_bytes_per_caller",
                "TOO_MANY_REQUEST_BYTES_OF_CALLER",
                "Too many bytes of requests of one caller in flight",
                "Retry after one of yours completes.",
                A_CALL_LATER,
            ),
            Self::UndecidedCalls | Self::UndecidedBytes => Described {
                happened: "Too many requests are arriving from callers without a right to all names",
                ..match self {
                    Self::UndecidedCalls => Self::ConcurrentCalls.described(),
                    _ => Self::RequestBytes.described(),
                }
            },
            Self::UndecidedCallsPerCaller | Self::UndecidedBytesPerCaller => Described {
                happened: "Too many requests are arriving from one caller without a right to all names",
                ..match self {
                    Self::UndecidedCallsPerCaller => Self::CallsPerCaller.described(),
                    _ => Self::RequestBytesPerCaller.described(),
                }
            },
            // A reserve: who finds it spent has run into the limit before it.
            Self::UnixCalls => Described { option: "unix_calls", ..Self::ConcurrentCalls.described() },
            // No call is told of these: the connection ends.
            Self::Connections => connections("connections"),
            Self::ConnectionsPerCaller => connections("connections_per_caller"),
            Self::OpenConnections => connections("open_connections"),
            Self::OpenConnectionsPerAddress => connections("open_connections_per_address"),
            Self::ReceiveTimeout => Described {
                code: Code::DeadlineExceeded,
                ..described(
                    "receive_timeout",
                    "REQUEST_TIMEOUT",
                    "The request did not arrive in time",
                    "Send it as soon as the call begins.",
                    None,
                )
            },
        }
    }

    /// What a call is told that runs into it.
    pub(crate) fn refusal(self, number: impl std::fmt::Display) -> Status {
        let retry = self.described().retry;
        self.refusal_until(number, retry)
    }

    /// The same, where it is known when there is room again.
    pub(crate) fn refusal_until(self, number: impl std::fmt::Display, retry: Option<Duration>) -> Status {
        let Described { code, reason, happened, remedy, .. } = self.described();
        of_server(code, reason, &format!("{happened} ({number}). {remedy}"), retry)
    }

    /// Code, reason, what happened, what to do, and whether waiting may be enough.
    pub(crate) fn documented(self) -> (Code, &'static str, &'static str, &'static str, bool) {
        let Described { code, reason, happened, remedy, retry, .. } = self.described();
        (code, reason, happened, remedy, retry.is_some())
    }
}

impl EncodeLabelValue for Limit {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        self.described().option.encode(encoder)
    }
}

// === impl Refusals ===

impl Refusals {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let help = "Calls that were refused, and connections that were cut or refused, by the limit that they ran into";
        registry.register("limits_hit", help, self.0.clone());
    }

    pub(crate) fn count(&self, limit: Limit) {
        self.0.get_or_create(&Label { limit }).inc();
    }
}
