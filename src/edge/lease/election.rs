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

use super::{LEASE_DURATION, LeaderState, Leadership, RENEW_DEADLINE, RETRY_PERIOD};
use crate::edge::{Edge, EdgeError, FIELD_MANAGER};

/// The deadline of a request about the Lease. Two requests fit in before the holder has to stop, as in
/// kube-controller-manager.
const REQUEST_TIMEOUT: Duration = RENEW_DEADLINE.checked_div(2).expect("two is not zero");
/// How many times a conflict on the Lease is retried at once.
const CONFLICT_RETRIES: usize = 3;

/// The leader election of this process.
pub struct Election {
    edge: Edge,
    leases: Api<Lease>,
    name: String,
    identity: String,
    /// The position of this process's database, for the next leader.
    position: Position,
    leadership: Leadership,
    observed: Option<ObservedLease>,
    /// The Lease as this process wrote it last, while it considers itself the holder.
    held: Option<Lease>,
    /// The error of the last renewal, if it failed.
    last_error: Option<EdgeError>,
    has_tried: bool,
}

/// Returns the current position of a database in its history.
pub type Position = Box<dyn Fn() -> String + Send + Sync>;

/// Annotation: the position of the holder's database. A successor whose database never reached it is behind.
const POSITION: &str = "secret-service.iotoperations/place";

/// The Lease as it was last observed.
struct ObservedLease {
    spec: LeaseSpec,
    /// When this version was first observed, by the clock of this process.
    since: Instant,
}

/// The result of an attempt to acquire or renew the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// This process holds it, by a request that was sent at `sent`. `is_acquired`: whether another process,
    /// or nobody, held it before.
    Held { sent: Instant, is_acquired: bool },
    /// Another process holds it.
    HeldBy(String),
}

/// The holder of a Lease, as the Lease names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseHolder {
    /// Its `holderIdentity`.
    pub identity: String,
    /// When it was last renewed, by the holder's clock.
    pub renewed: Option<Timestamp>,
}

impl Edge {
    /// A candidate with this identity for the Lease `name`. `position` returns the position of its database.
    pub fn election(&self, name: &str, identity: String, position: Position) -> Election {
        Election {
            leases: self.leases(),
            edge: self.clone(),
            name: name.to_owned(),
            identity,
            position,
            leadership: self.leadership().clone(),
            observed: None,
            held: None,
            last_error: None,
            has_tried: false,
        }
    }

    /// The current holder of a Lease; none if the Lease doesn't exist or was released. Changes nothing.
    pub async fn lease_holder(&self, name: &str) -> Result<Option<LeaseHolder>, EdgeError> {
        let spec = self.lease(name).await?.and_then(|lease| lease.spec);
        Ok(spec.and_then(|spec| {
            let identity = spec.holder_identity.filter(|holder| !holder.is_empty())?;
            Some(LeaseHolder { identity, renewed: spec.renew_time.map(|time| time.0) })
        }))
    }

    /// The Lease; none if it doesn't exist. A 404 that does not name the Lease is an error: the kind or the
    /// server may be missing.
    async fn lease(&self, name: &str) -> Result<Option<Lease>, EdgeError> {
        let leases = self.leases();
        self.call_found(name, leases.get(name)).await
    }

    /// Bypasses the fence: a process that is not the leader must be able to acquire the Lease.
    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.open_client().clone(), self.namespace())
    }
}

// === impl Election ===

impl Election {
    /// Acquires the Lease when it is free, and renews it, until `stop` is cancelled. All writers have stopped
    /// by then, so it releases the Lease.
    pub async fn run(mut self, stop: CancellationToken) {
        let leadership = self.leadership.clone();
        loop {
            let started = Instant::now();
            let outcome = tokio::select! {
                outcome = self.try_acquire_or_renew() => outcome,
                () = renewal_overdue(&leadership) => Err(EdgeError::Timeout(RENEW_DEADLINE)),
                () = stop.cancelled() => break,
            };
            self.record(outcome);
            tokio::select! {
                () = sleep_until(started + RETRY_PERIOD) => {}
                () = renewal_overdue(&leadership) => {}
                () = stop.cancelled() => break,
            }
        }
        leadership.ended();
        self.release().await;
    }

    fn record(&mut self, outcome: Result<Outcome, EdgeError>) {
        let is_first = !std::mem::replace(&mut self.has_tried, true);
        match outcome {
            // The first term after a start needs no relist: everything is listed anyway.
            Ok(Outcome::Held { sent, is_acquired }) => {
                self.last_error = None;
                self.leadership.renewed(sent, &self.identity, is_acquired && !is_first);
            }
            Ok(Outcome::HeldBy(holder)) => {
                (self.held, self.last_error) = (None, None);
                self.leadership.lost_to(&holder);
            }
            Err(error) if self.leadership.is_leading() => {
                self.last_error = Some(error);
            }
            Err(error) => match self.leadership.state() {
                // The last known holder may still be there.
                LeaderState::Standby { .. } => {}
                LeaderState::Leader { .. } => {
                    self.leadership.unknown(self.last_error.take().unwrap_or(error))
                }
                LeaderState::Undecided | LeaderState::Unknown(_) => self.leadership.unknown(error),
            },
        }
    }

    /// Renews the Lease, acquires it, or finds out who holds it.
    async fn try_acquire_or_renew(&mut self) -> Result<Outcome, EdgeError> {
        let mut conflicts = 0;
        loop {
            match self.try_once().await {
                Err(EdgeError::Changed(_)) if conflicts < CONFLICT_RETRIES => conflicts += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_once(&mut self) -> Result<Outcome, EdgeError> {
        if let Some(held) = self.held.clone() {
            match self.update(held).await {
                // Another process has written or deleted the Lease: read it.
                Err(EdgeError::Changed(_) | EdgeError::NotFound(_)) => self.held = None,
                outcome => return outcome,
            }
        }
        let found = self.with_timeout(self.edge.lease(&self.name)).await?;
        let lease = match found {
            Some(lease) => lease,
            None => self.create().await?,
        };
        self.observe(&lease);
        match self.other_holder() {
            Some(holder) => Ok(Outcome::HeldBy(holder)),
            None => self.update(lease).await,
        }
    }

    /// Creates the Lease without a holder. It is then acquired by an update, so that a missing right to
    /// update shows at once, and not at the first renewal.
    async fn create(&self) -> Result<Lease, EdgeError> {
        let metadata = ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() };
        let spec = LeaseSpec { lease_transitions: Some(0), ..LeaseSpec::default() };
        let lease = Lease { metadata, spec: Some(spec) };
        self.with_timeout(self.edge.call(self.leases.create(&parameters(), &lease))).await
    }

    /// Writes this process into the Lease as its holder. Fails if the Lease was written since it was read.
    async fn update(&mut self, mut lease: Lease) -> Result<Outcome, EdgeError> {
        let before = lease.spec.take().unwrap_or_default();
        let is_acquired = before.holder_identity.as_deref() != Some(self.identity.as_str());
        lease.spec = Some(held_spec(before, &self.identity, is_acquired));
        if self.held.is_none() {
            let position =
                lease.metadata.annotations.as_ref().and_then(|annotations| annotations.get(POSITION));
            self.leadership.set_predecessor(position.cloned());
        }
        self.annotate_position(&mut lease);
        let sent = Instant::now();
        let written =
            self.with_timeout(self.edge.call(self.leases.replace(&self.name, &parameters(), &lease))).await?;
        self.observe(&written);
        self.held = Some(written);
        Ok(Outcome::Held { sent, is_acquired })
    }

    /// Writes the position of the database into the Lease. Not before this process has caught up with its
    /// predecessor: the next leader must catch up with that one, too.
    fn annotate_position(&self, lease: &mut Lease) {
        if self.leadership.predecessor().is_none() {
            lease.metadata.annotations.get_or_insert_default().insert(POSITION.to_owned(), (self.position)());
        }
    }

    /// Remembers the spec of the Lease, and since when it is unchanged.
    fn observe(&mut self, lease: &Lease) {
        let spec = lease.spec.clone().unwrap_or_default();
        if self.observed.as_ref().is_none_or(|observed| observed.spec != spec) {
            self.observed = Some(ObservedLease { spec, since: Instant::now() });
        }
    }

    /// The other process that holds the Lease, by what this process has observed.
    fn other_holder(&self) -> Option<String> {
        let ObservedLease { spec, since } = self.observed.as_ref()?;
        let holder = spec.holder_identity.as_ref().filter(|holder| !holder.is_empty())?;
        let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = duration.filter(|seconds| *seconds > 0).map_or(LEASE_DURATION, Duration::from_secs);
        (*holder != self.identity && since.elapsed() < duration).then(|| holder.clone())
    }

    /// Releases the Lease, so that another process can acquire it at once.
    async fn release(&mut self) {
        let Some(mut lease) = self.held.take() else { return };
        self.annotate_position(&mut lease);
        let now = MicroTime(Timestamp::now());
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(String::new()),
            lease_duration_seconds: Some(1),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            ..lease.spec.take().unwrap_or_default()
        });
        let released =
            self.with_timeout(self.edge.call(self.leases.replace(&self.name, &parameters(), &lease))).await;
        self.leadership.released(released.err());
    }

    async fn with_timeout<T>(
        &self,
        request: impl Future<Output = Result<T, EdgeError>>,
    ) -> Result<T, EdgeError> {
        tokio::time::timeout(REQUEST_TIMEOUT, request)
            .await
            .unwrap_or(Err(EdgeError::Timeout(REQUEST_TIMEOUT)))
    }
}

/// Returns when this process is the leader but has not renewed the Lease within the deadline.
async fn renewal_overdue(leadership: &Leadership) {
    match leadership.fence().begin_before() {
        Some(moment) if matches!(leadership.state(), LeaderState::Leader { .. }) => sleep_until(moment).await,
        _ => std::future::pending().await,
    }
}

/// The spec of a Lease that this holder acquires or renews.
fn held_spec(before: LeaseSpec, identity: &str, is_acquired: bool) -> LeaseSpec {
    let now = MicroTime(Timestamp::now());
    let transitions = before.lease_transitions.unwrap_or_default();
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
        acquire_time: if is_acquired { Some(now.clone()) } else { before.acquire_time.clone() },
        renew_time: Some(now),
        lease_transitions: Some(transitions.saturating_add(i32::from(is_acquired))),
        ..before
    }
}

fn parameters() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
