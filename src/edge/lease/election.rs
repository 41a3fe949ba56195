//! The leader election: acquires and renews the Lease, checks another holder's, and releases it at the end.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{LEASE_DURATION, Leadership, RENEW_DEADLINE, RETRY_PERIOD, Standing};
use crate::edge::{Edge, EdgeError, FIELD_MANAGER};

/// The deadline of a request about the Lease. Two requests fit in before the holder has to stop, as in
/// kube-controller-manager.
const REQUEST_TIMEOUT: Duration = RENEW_DEADLINE.checked_div(2).expect("two is not zero");
/// How many times a conflict on the Lease is retried at once.
const CONFLICT_RETRIES: usize = 3;

/// One process's part in the election.
pub struct Election {
    edge: Edge,
    leases: Api<Lease>,
    name: String,
    identity: String,
    /// How far the database of this process is, for its successor.
    place: Place,
    leadership: Leadership,
    seen: Option<ObservedLease>,
    /// The Lease as this process wrote it last, while it considers itself the holder.
    held: Option<Lease>,
    /// The error of the last attempt, if it failed.
    trouble: Option<EdgeError>,
    has_looked: bool,
}

/// The position of a database in its history.
pub type Place = Box<dyn Fn() -> String + Send + Sync>;

/// Annotation: the position of the holder's database. A successor whose database never reached it is behind.
const PLACE: &str = "secret-service.iotoperations/place";

/// The Lease as it was last observed.
struct ObservedLease {
    spec: LeaseSpec,
    /// When this version was first observed, by the clock of this process.
    since: Instant,
}

/// How a look at the Lease ended.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    /// This process holds it, by a request that was sent then; `anew` where another one, or nobody, held it
    /// before.
    Ours { sent: Instant, anew: bool },
    /// Another one does.
    Theirs(String),
}

/// Who holds the Lease, as it says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Its `holderIdentity`.
    pub identity: String,
    /// When it was last renewed, by the holder's clock.
    pub renewed: Option<Timestamp>,
}

impl Edge {
    /// Takes part in the election for the Lease of a name, as somebody of this identity, whose database is at
    /// that place.
    pub fn election(&self, name: &str, identity: String, place: Place) -> Election {
        Election {
            leases: self.leases(),
            edge: self.clone(),
            name: name.to_owned(),
            identity,
            place,
            leadership: self.leadership().clone(),
            seen: None,
            held: None,
            trouble: None,
            has_looked: false,
        }
    }

    /// Who holds the Lease of a name now; nobody where it is not there or was given back. Changes nothing.
    pub async fn lease_holder(&self, name: &str) -> Result<Option<LeaseHolder>, EdgeError> {
        let spec = self.lease(name).await?.and_then(|lease| lease.spec);
        Ok(spec.and_then(|spec| {
            let identity = spec.holder_identity.filter(|holder| !holder.is_empty())?;
            Some(LeaseHolder { identity, renewed: spec.renew_time.map(|time| time.0) })
        }))
    }

    /// The Lease; none where the API server says that it has none of this name.
    async fn lease(&self, name: &str) -> Result<Option<Lease>, EdgeError> {
        let leases = self.leases();
        self.call_found(name, leases.get(name)).await
    }

    /// Past the fence: whoever does not hold the Lease must be able to take it.
    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.open_client().clone(), self.namespace())
    }
}

// === impl Election ===

impl Election {
    /// Takes the Lease whenever it can be had, and renews it, until told to stop. Nothing writes any more by
    /// then: it gives the Lease back.
    pub async fn run(mut self, stop: CancellationToken) {
        let leadership = self.leadership.clone();
        loop {
            let looked = Instant::now();
            let look = tokio::select! {
                look = self.look() => look,
                () = overdue(&leadership) => Err(EdgeError::Timeout(RENEW_DEADLINE)),
                () = stop.cancelled() => break,
            };
            self.settle(look);
            tokio::select! {
                () = sleep_until(looked + RETRY_PERIOD) => {}
                () = overdue(&leadership) => {}
                () = stop.cancelled() => break,
            }
        }
        leadership.ended();
        self.remove_traces().await;
    }

    fn settle(&mut self, look: Result<Look, EdgeError>) {
        let is_first = !std::mem::replace(&mut self.has_looked, true);
        match look {
            // At the start, everything is looked at anyway.
            Ok(Look::Ours { sent, anew }) => {
                self.trouble = None;
                self.leadership.renewed(sent, &self.identity, anew && !is_first);
            }
            Ok(Look::Theirs(holder)) => {
                (self.held, self.trouble) = (None, None);
                self.leadership.taken(&holder);
            }
            Err(error) if self.leadership.is_leading() => {
                self.trouble = Some(error);
            }
            Err(error) => match self.leadership.standing() {
                // It was there when somebody last looked.
                Standing::StandingBy { .. } => {}
                Standing::Leading { .. } => self.leadership.unknown(self.trouble.take().unwrap_or(error)),
                Standing::Unasked | Standing::Unknown(_) => self.leadership.unknown(error),
            },
        }
    }

    /// Renews the Lease, takes it, or finds out who has it.
    async fn look(&mut self) -> Result<Look, EdgeError> {
        let mut raced = 0;
        loop {
            match self.look_once().await {
                Err(EdgeError::Changed(_)) if raced < CONFLICT_RETRIES => raced += 1,
                looked => return looked,
            }
        }
    }

    async fn look_once(&mut self) -> Result<Look, EdgeError> {
        if let Some(held) = self.held.clone() {
            match self.take(held).await {
                // Somebody has written to it, or removed it: it says itself what holds.
                Err(EdgeError::Changed(_) | EdgeError::NotFound(_)) => self.held = None,
                taken => return taken,
            }
        }
        let found = self.ask(self.edge.lease(&self.name)).await?;
        let lease = match found {
            Some(lease) => lease,
            None => self.create().await?,
        };
        self.note(&lease);
        match self.other_holder() {
            Some(holder) => Ok(Look::Theirs(holder)),
            None => self.take(lease).await,
        }
    }

    /// Makes it without a holder. It is taken like any other, so that a right that is missing shows at once,
    /// and not at the first renewal.
    async fn create(&self) -> Result<Lease, EdgeError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let spec = LeaseSpec { lease_transitions: Some(0), ..LeaseSpec::default() };
        let lease = Lease { metadata, spec: Some(spec) };
        self.ask(self.edge.call(self.leases.create(&parameters(), &lease))).await
    }

    /// Writes ourselves into the Lease, unless somebody has written to it since it was read.
    async fn take(&mut self, mut lease: Lease) -> Result<Look, EdgeError> {
        let before = lease.spec.take().unwrap_or_default();
        let anew = before.holder_identity.as_deref() != Some(self.identity.as_str());
        lease.spec = Some(taken(before, &self.identity, anew));
        if self.held.is_none() {
            let place = lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(PLACE));
            self.leadership.follows(place.cloned());
        }
        self.tell_place(&mut lease);
        let sent = Instant::now();
        let written =
            self.ask(self.edge.call(self.leases.replace(&self.name, &parameters(), &lease))).await?;
        self.note(&written);
        self.held = Some(written);
        Ok(Look::Ours { sent, anew })
    }

    /// Until this process has caught up with the one before, whoever comes after it must do that too.
    fn tell_place(&self, lease: &mut Lease) {
        if self.leadership.predecessor().is_none() {
            lease.metadata.annotations.get_or_insert_default().insert(PLACE.to_owned(), (self.place)());
        }
    }

    /// Takes note of what the Lease says, and since when.
    fn note(&mut self, lease: &Lease) {
        let spec = lease.spec.clone().unwrap_or_default();
        if self.seen.as_ref().is_none_or(|seen| seen.spec != spec) {
            self.seen = Some(ObservedLease { spec, since: Instant::now() });
        }
    }

    /// Who else holds the Lease, as far as this process has seen.
    fn other_holder(&self) -> Option<String> {
        let ObservedLease { spec, since } = self.seen.as_ref()?;
        let holder = spec.holder_identity.as_ref().filter(|holder| !holder.is_empty())?;
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.filter(|seconds| *seconds > 0).map_or(LEASE_DURATION, Duration::from_secs);
        (*holder != self.identity && since.elapsed() < lasts).then(|| holder.clone())
    }

    /// Lets others take it at once.
    async fn remove_traces(&mut self) {
        let Some(mut lease) = self.held.take() else { return };
        self.tell_place(&mut lease);
        let now = MicroTime(Timestamp::now());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..lease.spec.take().unwrap_or_default()
        });
        let given = self.ask(self.edge.call(self.leases.replace(&self.name, &parameters(), &lease))).await;
        self.leadership.given_back(given.err());
    }

    async fn ask<T>(&self, question: impl Future<Output = Result<T, EdgeError>>) -> Result<T, EdgeError> {
        tokio::time::timeout(REQUEST_TIMEOUT, question)
            .await
            .unwrap_or(Err(EdgeError::Timeout(REQUEST_TIMEOUT)))
    }
}

/// Returns when this process was to act, and the time in which writes begin is over.
async fn overdue(leadership: &Leadership) {
    match leadership.fence().begin_before() {
        Some(moment) if matches!(leadership.standing(), Standing::Leading { .. }) => {
            sleep_until(moment).await
        }
        _ => std::future::pending().await,
    }
}

/// The Lease in the hands of a holder.
fn taken(before: LeaseSpec, identity: &str, anew: bool) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: if anew { Some(now.clone()) } else { before.acquire_time.clone() },
        renew_time: Some(now),
        lease_transitions: Some(transitions.saturating_add(i32::from(anew))),
        ..before
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
