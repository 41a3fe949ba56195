//! The body of a request while it arrives: how large it may be, and how long it may take.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::{Status, body::Body};

use super::{
    PolledFrame,
    budget::{Budget, Permit},
    limit::{Limit, LimitHits},
};

/// A request that takes longer than this is late. It counts from the head of the request, which may arrive
/// before the rest.
const LATE_AFTER: Duration = Duration::from_millis(250);
/// Each gRPC message begins with a flag and its length.
const PREFIX_BYTES: usize = 5;

/// The limits on a body.
pub(crate) struct BodyLimits {
    /// Bytes of all its messages together; of a stream, of each message.
    largest: (Limit, usize),
    pub(crate) is_stream: bool,
    /// Bytes of the messages that have begun; not counted for a stream.
    arrived: usize,
    /// How long all of it may take.
    time: (Limit, Duration),
    /// A message larger than this takes its bytes from these permits. Smaller ones are free: even many of
    /// them are few bytes.
    pub(crate) bytes: (usize, Vec<Arc<Permit>>),
    /// A late request takes one call of this caller from this budget.
    pub(crate) late: Option<(Budget, String)>,
    limit_hits: LimitHits,
}

pin_project! {
    /// A body with limits.
    pub(crate) struct LimitedBody {
        #[pin]
        body: Body,
        // Set only when the body is not there yet, because a timer costs something.
        #[pin]
        deadline: Option<Sleep>,
        messages: MessageFraming,
        limits: BodyLimits,
        // Held once the request is late.
        late: Option<Permit>,
        is_refused: bool,
    }
}

/// Finds the messages in the data of a body, by their prefixes.
#[derive(Default)]
struct MessageFraming {
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of the prefix that have arrived.
    filled: usize,
    /// Bytes of the message that have not arrived yet.
    missing: usize,
}

// === impl LimitedBody ===

impl LimitedBody {
    pub(crate) fn body(body: Body, limits: BodyLimits) -> Body {
        // A body that has ended cannot be late or too large.
        if body.is_end_stream() {
            return body;
        }
        let messages = MessageFraming::default();
        Body::new(Self { body, deadline: None, messages, limits, late: None, is_refused: false })
    }
}

impl http_body::Body for LimitedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> PolledFrame {
        let mut this = self.project();
        if *this.is_refused {
            return Poll::Ready(None);
        }
        let frame = match this.body.poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                if this.deadline.is_none() {
                    this.deadline.set(Some(tokio::time::sleep(this.limits.first_wait())));
                }
                loop {
                    if let Some(deadline) = this.deadline.as_mut().as_pin_mut() {
                        ready!(deadline.poll(context));
                    }
                    match this.limits.become_late() {
                        Ok((permit, wait)) => {
                            *this.late = Some(permit);
                            this.deadline.set(Some(tokio::time::sleep(wait)));
                        }
                        Err(status) => {
                            *this.is_refused = true;
                            return Poll::Ready(Some(Err(status)));
                        }
                    }
                }
            }
        };
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
            && let Err(status) = this.messages.scan(data, |length| this.limits.admit(length))
        {
            *this.is_refused = true;
            return Poll::Ready(Some(Err(status)));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.is_refused || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl BodyLimits ===

impl BodyLimits {
    /// The limits of a unary call. Messages of up to `small` bytes are free.
    pub(crate) fn new(
        largest: (Limit, usize),
        time: (Limit, Duration),
        small: usize,
        limit_hits: LimitHits,
    ) -> Self {
        Self {
            largest,
            is_stream: false,
            arrived: 0,
            time,
            bytes: (small, Vec::new()),
            late: None,
            limit_hits,
        }
    }

    /// Admits a message of this length, before any of it is buffered.
    fn admit(&mut self, length: usize) -> Result<(), Status> {
        let (limit, largest) = self.largest;
        if length > largest - self.arrived {
            self.limit_hits.count(limit);
            return Err(limit.exceeded(format!("{largest} bytes")));
        }
        if !self.is_stream {
            self.arrived += length;
        }
        let (small, permits) = &self.bytes;
        permits.iter().filter(|_| length > *small).try_for_each(|permit| permit.grow(length))
    }

    fn first_wait(&self) -> Duration {
        match self.late {
            Some(_) => LATE_AFTER.min(self.time.1),
            None => self.time.1,
        }
    }

    /// Counts a request as late; returns what it holds from now on, and how long it may still take.
    fn become_late(&mut self) -> Result<(Permit, Duration), Status> {
        let wait = self.time.1.saturating_sub(LATE_AFTER);
        match self.late.take() {
            Some((budget, holder)) if !wait.is_zero() => Ok((budget.take(&holder, 1)?, wait)),
            _ => Err(self.timed_out()),
        }
    }

    fn timed_out(&self) -> Status {
        let (limit, time) = self.time;
        self.limit_hits.count(limit);
        limit.exceeded(format!("{time:?}"))
    }
}

// === impl MessageFraming ===

impl MessageFraming {
    /// Scans the next data, and asks for each message that begins in it.
    fn scan(
        &mut self,
        mut data: &[u8],
        mut admit: impl FnMut(usize) -> Result<(), Status>,
    ) -> Result<(), Status> {
        while !data.is_empty() {
            if self.missing > 0 {
                let passed = self.missing.min(data.len());
                self.missing -= passed;
                data = &data[passed..];
                continue;
            }
            let passed = (PREFIX_BYTES - self.filled).min(data.len());
            self.prefix[self.filled..self.filled + passed].copy_from_slice(&data[..passed]);
            self.filled += passed;
            data = &data[passed..];
            if self.filled == PREFIX_BYTES {
                let [_, length @ ..] = self.prefix;
                self.missing = u32::from_be_bytes(length) as usize;
                self.filled = 0;
                admit(self.missing)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(lengths: &[usize]) -> Vec<u8> {
        let frame = |length: &usize| {
            let prefix = u32::try_from(*length).unwrap().to_be_bytes();
            [&[0][..], &prefix, &vec![7; *length]].concat()
        };
        lengths.iter().flat_map(frame).collect()
    }

    proptest! {
        #[test]
        fn messages_are_found_however_the_data_is_split(
            lengths in proptest::collection::vec(0..40_usize, 0..6),
            cut in 1..20_usize,
        ) {
            let (mut messages, mut found) = (MessageFraming::default(), Vec::new());
            for part in framed(&lengths).chunks(cut) {
                messages.scan(part, |length| { found.push(length); Ok(()) }).unwrap();
            }
            prop_assert_eq!(found, lengths);
        }
    }

    fn limits(is_stream: bool) -> BodyLimits {
        let (largest, time) =
            ((Limit::SmallMessageBytes, 10), (Limit::ReceiveTimeout, Duration::from_secs(1)));
        BodyLimits { is_stream, ..BodyLimits::new(largest, time, 10, LimitHits::default()) }
    }

    #[test]
    fn the_size_limit_applies_to_each_message_of_a_stream_and_to_a_whole_unary_call() {
        let (mut stream, mut call) = (limits(true), limits(false));
        for limits in [&mut stream, &mut call] {
            limits.admit(10).unwrap();
        }
        stream.admit(10).unwrap();
        assert!(stream.admit(11).is_err());
        assert!(call.admit(1).is_err());
    }
}
