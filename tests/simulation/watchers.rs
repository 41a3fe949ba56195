//! Watchers of the synced secrets: they resume where they were cut off, also across the end of a process.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use secret_service::proto::{SyncedSecret, WatchSyncedSecretsRequest, watch_synced_secrets_response::Type};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::{model::Moment, world::World};

/// What a watcher was told.
#[derive(Default)]
pub struct Told {
    /// What is there now, as far as it knows.
    pub current: BTreeMap<String, SyncedSecret>,
    /// The changes since it last began anew, its initial state left out.
    pub changes: Vec<(Moment, Type, SyncedSecret)>,
    /// What it should not have been told.
    pub wrong: Vec<String>,
    /// How often it was told to begin anew.
    pub too_old: usize,
}

/// Watches until told to stop.
pub async fn watch(world: Arc<World>, stop: CancellationToken) -> Told {
    Watcher::default().watch(world, stop).await.told
}

/// What a watcher was told, and where it goes on from there.
#[derive(Default)]
pub struct Watcher {
    pub told: Told,
    token: String,
}

impl Watcher {
    /// Goes on from where it stands, until told to stop.
    pub async fn watch(mut self, world: Arc<World>, stop: CancellationToken) -> Self {
        loop {
            let ended = stop.run_until_cancelled(follow(&world, &mut self.told, &mut self.token)).await;
            let Some(status) = ended else { return self };
            if status.code() == Code::OutOfRange {
                (self.told.too_old, self.token) = (self.told.too_old + 1, String::new());
            }
            let pause = world.plan.lasts(Duration::from_secs(1));
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return self;
            }
        }
    }
}

async fn follow(world: &World, told: &mut Told, token: &mut String) -> Status {
    let request = WatchSyncedSecretsRequest { resume_token: token.clone(), ..Default::default() };
    let mut stream = match world.client().watch_synced_secrets(request).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return status,
    };
    let mut initial = token.is_empty();
    if initial {
        told.current.clear();
        told.changes.clear();
    }
    loop {
        let event = match stream.message().await {
            Ok(Some(event)) => event,
            Ok(None) => return Status::unavailable("the stream has ended"),
            Err(status) => return status,
        };
        if !event.resume_token.is_empty() {
            token.clone_from(&event.resume_token);
        }
        match (event.r#type(), event.synced_secret) {
            (Type::Bookmark, _) => initial = false,
            (kind, Some(secret)) => told.take(world, kind, secret, initial),
            (kind, None) => told.wrong.push(format!("{kind:?} without a synced secret")),
        }
    }
}

impl Told {
    fn take(&mut self, world: &World, kind: Type, secret: SyncedSecret, initial: bool) {
        let before = match kind {
            Type::Deleted => self.current.remove(&secret.name),
            _ => self.current.insert(secret.name.clone(), secret.clone()),
        };
        let fits = match kind {
            Type::Added => before.is_none(),
            _ => before.as_ref().is_some_and(|before| before.uid == secret.uid),
        };
        if !fits {
            self.wrong
                .push(format!("{kind:?} of {} uid {} where it knew {before:?}", secret.name, secret.uid));
        }
        if !initial {
            self.changes.push((world.ledger.moment(), kind, secret));
        }
    }
}
