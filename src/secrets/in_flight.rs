//! Calls with a `request_id` that are in flight. A retry waits until the first call has ended, before
//! anything is checked. Then it gets the same refusal, or finds what the first call recorded: one call, one
//! effect, one answer.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::{sync::watch, time::timeout_at};
use uuid::Uuid;

use super::{Call, Error, Problem, Request, sync::RESPONSE_MARGIN};

/// The calls in flight, by caller and request id.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<HashMap<Key, InFlightCall>>>);

type Key = (String, Uuid);

struct InFlightCall {
    method: &'static str,
    fingerprint: [u8; 32],
    /// Closes when the call ends; holds the refusal if it was refused.
    end: watch::Receiver<Option<Refusal>>,
}

/// While this exists, no other call runs with this caller and request id.
#[must_use]
pub(super) struct Turn {
    in_flight: InFlight,
    key: Key,
    /// Dropped after the entry is removed, so that a waiting retry finds the slot free.
    end: watch::Sender<Option<Refusal>>,
}

/// Why a call was refused, for its retries. A failure of the service itself is not kept: the retry runs
/// again.
#[derive(Clone)]
enum Refusal {
    Problems(Vec<Problem>),
    Stale(String),
}

impl Turn {
    /// Tells waiting retries how the call ended.
    pub(super) fn end<T>(&self, answer: &Result<T, Error>) {
        let refusal = match answer {
            Err(Error::Refused(problems)) => Refusal::Problems(problems.clone()),
            Err(Error::Stale(name)) => Refusal::Stale(name.clone()),
            _ => return,
        };
        self.end.send_replace(Some(refusal));
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Problems(problems) => Self::Refused(problems),
            Refusal::Stale(name) => Self::Stale(name),
        }
    }
}

impl InFlight {
    /// Waits until no other call with this request id is in flight, or until the deadline. Returns at once
    /// without an id.
    pub(super) async fn enter(&self, call: &Call) -> Result<Option<Turn>, Error> {
        let Some(request) = &call.request else { return Ok(None) };
        loop {
            let mut end = match self.try_enter(request)? {
                Ok(turn) => return Ok(Some(turn)),
                Err(end) => end,
            };
            let ended =
                timeout_at(call.deadline - RESPONSE_MARGIN, async { while end.changed().await.is_ok() {} });
            ended.await.map_err(|_| Error::InProgress)?;
            let refusal = end.borrow().clone();
            if let Some(refusal) = refusal {
                return Err(refusal.into());
            }
        }
    }

    fn try_enter(&self, request: &Request) -> Result<Result<Turn, watch::Receiver<Option<Refusal>>>, Error> {
        let key = (request.caller.clone(), request.id);
        let mut calls = self.0.lock();
        match calls.entry(key.clone()) {
            Entry::Occupied(other) => {
                let other = other.get();
                match other.method == request.method && other.fingerprint == request.fingerprint {
                    true => Ok(Err(other.end.clone())),
                    false => Err(Error::RequestIdReused),
                }
            }
            Entry::Vacant(vacant) => {
                let (sender, end) = watch::channel(None);
                vacant.insert(InFlightCall { method: request.method, fingerprint: request.fingerprint, end });
                Ok(Ok(Turn { in_flight: self.clone(), key, end: sender }))
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.in_flight.0.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::*;

    fn call(caller: &str, id: Uuid, content: u8) -> Call {
        let (begun, caller) = (Instant::now(), caller.to_owned());
        let request =
            Request { caller: caller.clone(), id, method: "CreateSyncedSecret", fingerprint: [content; 32] };
        Call { actor: caller, begun, deadline: begun + Duration::from_secs(5), request: Some(request) }
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_call_waits_for_the_end_of_the_first_one() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let first = in_flight.enter(&call("alice", id, 1)).await.unwrap();
        let again = tokio::spawn({
            let in_flight = in_flight.clone();
            async move { in_flight.enter(&call("alice", id, 1)).await.map(|turn| turn.is_some()) }
        });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(!again.is_finished());
        drop(first);
        assert!(again.await.unwrap().unwrap());
        assert!(in_flight.0.lock().is_empty(), "nothing is kept of calls that ended");
    }

    /// Whether the same call gets its turn that comes while the first one is under way, which fails.
    async fn again_beside(in_flight: &InFlight, id: Uuid, error: Error) -> Result<bool, Error> {
        let first = in_flight.enter(&call("alice", id, 1)).await.unwrap().unwrap();
        let again = async { in_flight.enter(&call("alice", id, 1)).await.map(|turn| turn.is_some()) };
        let failure = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            first.end::<()>(&Err(error));
            drop(first);
        };
        tokio::join!(again, failure).0
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_call_gets_the_refusal_of_the_first_one() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let again = again_beside(&in_flight, id, Error::Stale("syncedSecrets/a".to_owned())).await;
        assert!(matches!(again, Err(Error::Stale(_))));
        assert!(in_flight.enter(&call("alice", id, 1)).await.unwrap().is_some(), "later it is judged anew");
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_gets_the_same_conflict_as_the_first_call() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let again = again_beside(&in_flight, id, Error::invalid("description", "it is too long")).await;
        let Err(Error::Refused(problems)) = again else { panic!("{again:?}") };
        assert_eq!(
            problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(),
            ["description"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_retries_what_failed_inside_the_service() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let again = again_beside(&in_flight, id, Error::Internal).await;
        assert!(again.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn a_retry_that_reaches_its_deadline_learns_that_the_call_is_in_flight() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let _first = in_flight.enter(&call("alice", id, 1)).await.unwrap();
        let begun = Instant::now();
        assert!(matches!(in_flight.enter(&call("alice", id, 1)).await, Err(Error::InProgress)));
        assert!(begun.elapsed() < Duration::from_secs(5), "the answer arrives before the deadline");
    }

    #[tokio::test(start_paused = true)]
    async fn different_content_is_refused_at_once_and_another_caller_is_independent() {
        let (in_flight, id) = (InFlight::default(), Uuid::new_v4());
        let _first = in_flight.enter(&call("alice", id, 1)).await.unwrap();
        assert!(matches!(in_flight.enter(&call("alice", id, 2)).await, Err(Error::RequestIdReused)));
        let _other = in_flight.enter(&call("bob", id, 2)).await.unwrap();
    }
}
