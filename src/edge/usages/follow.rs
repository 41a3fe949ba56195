//! Runs one watch per served kind, and starts and stops watches as kinds are added and removed.

use std::{collections::HashMap, pin::pin, time::Duration};

use futures::{StreamExt, TryStreamExt};
use kube::{
    api::DynamicObject,
    core::ApiResource,
    runtime::{
        watcher,
        watcher::{DefaultBackoff, Event},
    },
};
use tokio::{
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    EdgeError, Usages,
    list::{Listing, Named, group_kind},
    watches,
};
use crate::model::GroupKind;

/// The share of the interval by which each discovery comes earlier or later.
const JITTER: f64 = 0.2;
/// A kind that has not been served for this long is gone.
const GONE_AFTER: Duration = Duration::from_secs(5);
/// The pause before the next discovery after a watch has ended because its kind is gone, and while a kind
/// that existed before the start is missing.
const RECHECK_PAUSE: Duration = Duration::from_millis(500);

/// The running watches by kind, each with the version that it watches.
type Running = HashMap<GroupKind, (ApiResource, AbortHandle)>;

/// Why a watch has ended.
enum End {
    /// The kind is no longer served.
    Gone,
    /// It has fallen behind: the next watch begins with a list, which shows everything that was missed.
    Behind,
    /// It failed.
    Failed(EdgeError),
}

impl Usages {
    /// Watches until `stop` is cancelled.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.follow() => {}
            () = stop.cancelled() => {}
        }
    }

    async fn follow(&self) {
        let (mut watches, mut running) = (JoinSet::new(), Running::new());
        loop {
            self.adjust(&mut watches, &mut running).await;
            tokio::select! {
                () = sleep(self.next_discovery()) => {}
                Some(ended) = watches.join_next() => match ended {
                    Ok(_) => {
                        running.retain(|_, (_, watch)| !watch.is_finished());
                        sleep(RECHECK_PAUSE).await;
                    }
                    Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
                    // Stopped because the kind is gone or is served in another version.
                    Err(_) => {}
                }
            }
        }
    }

    /// Discovers the served kinds, and starts and stops watches.
    async fn adjust(&self, watches: &mut JoinSet<GroupKind>, running: &mut Running) {
        let patience = self.0.options.interval.min(GONE_AFTER);
        let mut are_all_known = true;
        for (group, served) in self.served().await {
            match served {
                Ok(served) => {
                    let kinds = served.iter().map(group_kind).collect();
                    let gone = self.change(|known| known.group_discovered(&group, &kinds, patience));
                    running.retain(|kind, (_, watch)| {
                        let stays = !gone.contains(kind);
                        if !stays {
                            watch.abort();
                        }
                        stays
                    });
                    served.into_iter().for_each(|kind| self.begin(kind, watches, running));
                }
                Err(error) => {
                    are_all_known = false;
                    if self.change(|known| known.group_failed(&group, error.clone())) {
                        tracing::warn!(%group, %error, "the kinds of an API group can't be discovered; retrying");
                    }
                }
            }
        }
        if are_all_known {
            self.change(|known| known.all_groups_discovered(patience));
        }
    }

    /// Starts a watch of a kind, unless one of this version is running.
    fn begin(&self, kind: ApiResource, watches: &mut JoinSet<GroupKind>, running: &mut Running) {
        let before = running.get(&group_kind(&kind));
        if before.is_some_and(|(watched, _)| *watched == kind) {
            return;
        }
        before.inspect(|(_, watch)| watch.abort());
        let watch = watches.spawn(self.clone().watch(kind.clone()));
        running.insert(group_kind(&kind), (kind, watch));
    }

    /// Watches one kind until it is gone.
    async fn watch(self, kind: ApiResource) -> GroupKind {
        let mut pauses = DefaultBackoff::default();
        loop {
            let mut listed = false;
            let end = self.watch_once(&kind, &mut listed).await;
            if listed {
                pauses = DefaultBackoff::default();
            }
            match end {
                End::Gone => return group_kind(&kind),
                End::Behind if listed => {}
                End::Behind => sleep(pauses.next().unwrap_or(RECHECK_PAUSE)).await,
                End::Failed(error) => {
                    let kind = group_kind(&kind);
                    if self.change(|known| known.kind_failed(&kind, error.clone())) {
                        tracing::warn!(%kind, %error, "a kind can't be watched for usages; retrying");
                    }
                    sleep(pauses.next().unwrap_or(RECHECK_PAUSE)).await;
                }
            }
        }
    }

    /// Lists, then watches from there. Returns why the watch ended.
    async fn watch_once(&self, kind: &ApiResource, listed: &mut bool) -> End {
        let mut events = pin!(watcher(self.api(kind), watches::config()).boxed());
        let mut listing = Listing::new();
        loop {
            match events.try_next().await {
                Ok(Some(event)) => *listed |= self.take(kind, event, &mut listing),
                Ok(None) => return End::Behind,
                Err(error) => return self.meaning(&error),
            }
        }
    }

    /// Processes an event. Returns whether it completed a list.
    fn take(&self, kind: &ApiResource, event: Event<DynamicObject>, listing: &mut Listing) -> bool {
        match event {
            Event::Init => listing.clear(),
            Event::InitApply(object) => {
                let (name, named) = self.names_in(kind, &object);
                listing.insert(name, named);
            }
            Event::InitDone => {
                let listed = std::mem::take(listing);
                self.change(|known| known.kind_listed(&group_kind(kind), listed));
                return true;
            }
            Event::Apply(object) => {
                let (name, named) = self.names_in(kind, &object);
                self.change(|known| known.resource_changed(&group_kind(kind), &name, named));
            }
            Event::Delete(object) => {
                let name = object.metadata.name.unwrap_or_default();
                self.change(|known| known.resource_changed(&group_kind(kind), &name, Named::default()));
            }
        }
        false
    }

    fn meaning(&self, error: &watcher::Error) -> End {
        use watcher::Error::{
            InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed,
        };
        let error = match error {
            WatchError(status) if status.code == 410 => return End::Behind,
            WatchError(status) => EdgeError::of(&kube::Error::Api(status.clone()), &self.0.edge.namespace),
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => {
                EdgeError::of(error, &self.0.edge.namespace)
            }
            NoResourceVersion => EdgeError::Rejected("this kind can't be watched".into()),
        };
        match error {
            EdgeError::NotFound(_) => End::Gone,
            error => End::Failed(error),
        }
    }

    fn next_discovery(&self) -> Duration {
        if self.read().is_expecting() {
            return RECHECK_PAUSE;
        }
        self.0.options.interval.mul_f64(1.0 + rand::random_range(-JITTER..=JITTER))
    }
}
