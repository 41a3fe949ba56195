//! A request while it arrives: how large it may be, and how long it may take.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Sleep;
use tonic::{Status, body::Body};

use crate::api::connection::{
    budget::{Budget, Share},
    limit::{Limit, Refusals},
};

/// How long a request may be on its way before it counts as late: the head of a request may come before the rest.
const SOON: Duration = Duration::from_millis(250);
/// A flag and a length stand before each message of gRPC.
const PREFIX: usize = 5;

/// How a request may arrive.
pub(crate) struct Terms {
    /// Bytes of its messages: of all together, or of each where it is a stream.
    largest: (Limit, usize),
    pub(crate) is_stream: bool,
    /// Bytes of messages that have begun, where they count together.
    arrived: usize,
    /// Until all of it is there.
    time: (Limit, Duration),
    /// What the bytes of a message that is larger than this are taken from: however many small ones there are, they are few bytes.
    pub(crate) bytes: (usize, Vec<Arc<Share>>),
    /// What it takes from the budget of a caller, where it is longer on its way than most are.
    pub(crate) late: Option<(Budget, String)>,
    refusals: Refusals,
}

pin_project! {
    /// A body that arrives on terms.
    pub(crate) struct Arriving {
        #[pin]
        body: Body,
        // It costs something only where the body makes us wait.
        #[pin]
        deadline: Option<Sleep>,
        messages: Messages,
        terms: Terms,
        // What it holds since it is late.
        late: Option<Share>,
        is_refused: bool,
    }
}

/// Finds the lengths of messages in the data of a body.
#[derive(Default)]
struct Messages {
    prefix: [u8; PREFIX],
    /// Bytes of the prefix that are there.
    filled: usize,
    /// Bytes of the message that are not there yet.
    missing: usize,
}

// === impl Arriving ===

impl Arriving {
    pub(crate) fn body(body: Body, terms: Terms) -> Body {
        // Of what is there already nothing can be late or too large.
        if body.is_end_stream() {
            return body;
        }
        let messages = Messages::default();
        Body::new(Self { body, deadline: None, messages, terms, late: None, is_refused: false })
    }
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut this = self.project();
        if *this.is_refused {
            return Poll::Ready(None);
        }
        let frame = match this.body.poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => {
                if this.deadline.is_none() {
                    this.deadline.set(Some(tokio::time::sleep(this.terms.first_wait())));
                }
                loop {
                    if let Some(deadline) = this.deadline.as_mut().as_pin_mut() {
                        ready!(deadline.poll(context));
                    }
                    match this.terms.wait_on() {
                        Ok((share, wait)) => {
                            *this.late = Some(share);
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
            && let Err(status) = this.messages.pass(data, |length| this.terms.admit(length))
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

// === impl Terms ===

impl Terms {
    /// Of a call whose messages may be so large, all together, and have so much time. Messages up to `small` cost nothing.
    pub(crate) fn new(
        largest: (Limit, usize),
        time: (Limit, Duration),
        small: usize,
        refusals: Refusals,
    ) -> Self {
        Self { largest, is_stream: false, arrived: 0, time, bytes: (small, Vec::new()), late: None, refusals }
    }

    /// A message of a length, before any of it is kept.
    fn admit(&mut self, length: usize) -> Result<(), Status> {
        let (limit, largest) = self.largest;
        if length > largest - self.arrived {
            self.refusals.count(limit);
            return Err(limit.refusal(format!("{largest} bytes")));
        }
        if !self.is_stream {
            self.arrived += length;
        }
        let (small, budgets) = &self.bytes;
        budgets.iter().filter(|_| length > *small).try_for_each(|share| share.grow(length))
    }

    fn first_wait(&self) -> Duration {
        match self.late {
            Some(_) => SOON.min(self.time.1),
            None => self.time.1,
        }
    }

    /// What a request holds that is late, and how long it may still be on its way.
    fn wait_on(&mut self) -> Result<(Share, Duration), Status> {
        let wait = self.time.1.saturating_sub(SOON);
        match self.late.take() {
            Some((budget, holder)) if !wait.is_zero() => Ok((budget.take(&holder, 1)?, wait)),
            _ => Err(self.too_late()),
        }
    }

    fn too_late(&self) -> Status {
        let (limit, time) = self.time;
        self.refusals.count(limit);
        limit.refusal(format!("{time:?}"))
    }
}

// === impl Messages ===

impl Messages {
    /// Looks at the next data, and asks for each message that begins in it.
    fn pass(
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
            let passed = (PREFIX - self.filled).min(data.len());
            self.prefix[self.filled..self.filled + passed].copy_from_slice(&data[..passed]);
            self.filled += passed;
            data = &data[passed..];
            if self.filled == PREFIX {
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
        fn messages_are_found_however_the_bytes_are_cut(
            lengths in proptest::collection::vec(0..40_usize, 0..6),
            cut in 1..20_usize,
        ) {
            let (mut messages, mut found) = (Messages::default(), Vec::new());
            for part in framed(&lengths).chunks(cut) {
                messages.pass(part, |length| { found.push(length); Ok(()) }).unwrap();
            }
            prop_assert_eq!(found, lengths);
        }
    }

    fn terms(is_stream: bool) -> Terms {
        let (largest, time) =
            ((Limit::SmallMessageBytes, 10), (Limit::ReceiveTimeout, Duration::from_secs(1)));
        Terms { is_stream, ..Terms::new(largest, time, 10, Refusals::default()) }
    }

    #[test]
    fn messages_of_a_stream_are_as_large_as_one_may_be_and_those_of_a_call_all_together() {
        let (mut stream, mut call) = (terms(true), terms(false));
        for terms in [&mut stream, &mut call] {
            terms.admit(10).unwrap();
        }
        stream.admit(10).unwrap();
        assert!(stream.admit(11).is_err());
        assert!(call.admit(1).is_err());
    }
}
