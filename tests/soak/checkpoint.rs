//! A round of the soak: a busy time, and the checkpoint after it, which leaves a clean ground for the next one.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use secret_service::{
    model::SyncEngine,
    proto::{DeleteSyncedSecretRequest, ListSyncedSecretsRequest, SyncedSecret, synced_secret::Origin},
};
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    busy::{self, People},
    checks::{End, check},
    database,
    life::Life,
    model::{Inner, VaultChange},
    others,
    settings::{INTERVAL, Settings},
    somebody::Somebody,
    tally::Tally,
    watchers::Watcher,
    world::{NAMESPACE, World},
};

/// After the faults, everything has settled by then.
const SETTLING: Duration = Duration::from_secs(60);
/// A list is answered by then.
const ANSWER: Duration = Duration::from_secs(20);
/// Then requests and rows are counted for so many intervals of the rotation check.
const QUIET: u32 = 3;

pub struct Soak {
    pub world: World,
    life: Option<Life>,
    /// The watcher of the whole run, while nobody runs it.
    watcher: Option<Watcher>,
    anchor: Option<String>,
    round: u64,
}

/// The watchers of a round: one of the whole run, and one that came late.
struct Watching {
    stop: CancellationToken,
    first: JoinHandle<Watcher>,
    late: JoinHandle<Watcher>,
    /// When the faults ended.
    calm: Instant,
}

impl Soak {
    pub async fn start(settings: &Settings) -> Self {
        let world = World::start(settings.plan(0)).await;
        Self { world, life: None, watcher: Some(Watcher::default()), anchor: None, round: 0 }
    }

    /// One round, and all that does not hold of it.
    pub async fn go_on(&mut self, settings: &Settings, tally: &mut Tally) -> Result<(), Vec<String>> {
        self.round += 1;
        self.world.plan = settings.plan(self.round);
        self.world.seed_vault().await;
        let world = Arc::new(self.world.clone());
        let watching = self.busy(&world, settings, tally).await.map_err(|why| vec![why])?;
        let settled = self.settles(&world, watching.calm).await.map_err(|why| vec![why])?;
        tally.settled = tally.settled.max(settled);
        let found = self.examine(&world, watching, tally).await;
        if !found.is_empty() {
            return Err(found);
        }
        tally.checkpoints += 1;
        self.wipe(&world).await.map_err(|why| vec![why])
    }

    async fn busy(
        &mut self,
        world: &Arc<World>,
        settings: &Settings,
        tally: &mut Tally,
    ) -> Result<Watching, String> {
        let life = match self.life.take() {
            Some(life) => life,
            None => busy::first_start(world, tally).await?,
        };
        let stop = CancellationToken::new();
        let mut watcher = self.watcher.take().unwrap_or_default();
        watcher.told.changes.clear();
        let first = tokio::spawn(watcher.watch(world.clone(), stop.clone()));
        let people = People::begin(world, self.round);
        let late = tokio::spawn({
            let (world, stop) = (world.clone(), stop.clone());
            async move {
                sleep(Duration::from_secs(5)).await;
                Watcher::default().watch(world, stop).await
            }
        });
        let life = busy::kill_again_and_again(world, life, settings, tally).await?;
        self.life = Some(life);
        let calm = people.end(world).await?;
        others::let_go(world).await;
        Ok(Watching { stop, first, late, calm })
    }

    /// Waits until all that must settle has, and nothing has changed for longer than it takes to look at everything once; how long
    /// that took.
    async fn settles(&self, world: &World, calm: Instant) -> Result<Duration, String> {
        let begun = Instant::now();
        let is_direct = world.plan.engine == SyncEngine::Direct;
        let (mut rows, mut since) = (database::rows(world).await, begun);
        loop {
            let end = End {
                listed: list(world).await?,
                watchers: Vec::new(),
                requests: (0, 0),
                intervals: 0,
                is_direct,
                writes_come_late: true,
            };
            let (rows_now, settled) =
                (database::rows(world).await, check(&world.ledger.lock(), &end).is_empty());
            if rows_now != rows || !settled {
                (rows, since) = (rows_now, Instant::now());
            }
            if since.elapsed() > INTERVAL * 3 / 2 || begun.elapsed() > SETTLING {
                return Ok(since - calm);
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// All that does not hold.
    async fn examine(&mut self, world: &World, watching: Watching, tally: &mut Tally) -> Vec<String> {
        let (rows, requests) = (database::rows(world).await, world.requests());
        sleep(INTERVAL * QUIET).await;
        let (rows_after, requests_after) = (database::rows(world).await, world.requests());
        let listed = match list(world).await {
            Ok(listed) => listed,
            Err(why) => return vec![why],
        };
        let (mut first, late) = watching.end().await;
        let end = End {
            listed,
            watchers: vec![std::mem::take(&mut first.told), late.told],
            requests: (requests_after.0 - requests.0, requests_after.1 - requests.1),
            intervals: u64::from(QUIET),
            is_direct: world.plan.engine == SyncEngine::Direct,
            writes_come_late: true,
        };
        let mut found = check(&world.ledger.lock(), &end);
        for ((table, before), (_, after)) in rows.iter().zip(&rows_after) {
            if after > before {
                found.push(format!(
                    "15: nothing grows: {table} has grown from {before} to {after} rows without a call"
                ));
            }
        }
        match database::verify_audit(world, self.anchor.as_deref()).await {
            Ok(anchor) => self.anchor = Some(anchor),
            Err(why) => found.push(why),
        }
        found.extend(database::look_through_files(world));
        if let Some(Err(why)) = self.life.as_mut().map(Life::has_not_ended) {
            found.push(why);
        }
        first.told = end.watchers.into_iter().next().expect("a watcher");
        tally.add(&world.ledger.lock(), first.told.changes.len());
        self.watcher = Some(first);
        found
    }

    /// Deletes everything, as a caller at the service and as others in the vault and at the edge, and forgets what happened.
    async fn wipe(&mut self, world: &World) -> Result<(), String> {
        delete_all(world).await?;
        let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), NAMESPACE);
        let all = secrets.list(&ListParams::default()).await.expect("the Secrets are listed").items;
        for secret in all {
            let name = secret.metadata.name.unwrap_or_default();
            if secret
                .metadata
                .labels
                .is_some_and(|labels| labels.contains_key(secret_service::edge::UID_LABEL))
            {
                return Err(format!("9: everything was deleted, but the Secret {name} is still at the edge"));
            }
            let _hand = world.hand(&name);
            secrets.delete(&name, &DeleteParams::default()).await.expect("it is deleted");
        }
        let somebody = Somebody::at(&world.vault, &world.ca);
        let names: BTreeSet<String> =
            world.ledger.lock().vault.iter().map(|(_, change)| name_of(change)).collect();
        for name in names {
            somebody.deletes(&name).await;
            somebody.purges(&name).await;
        }
        *world.ledger.lock() = Inner::default();
        Ok(())
    }
}

impl Watching {
    async fn end(self) -> (Watcher, Watcher) {
        self.stop.cancel();
        (self.first.await.expect("a watcher"), self.late.await.expect("a watcher"))
    }
}

/// Deletes all synced secrets, and waits until none is listed.
async fn delete_all(world: &World) -> Result<(), String> {
    let (begun, mut told) = (Instant::now(), BTreeSet::new());
    loop {
        let mut managed = list(world).await?;
        managed.retain(|secret| secret.origin() == Origin::Managed);
        if managed.is_empty() {
            return Ok(());
        }
        if begun.elapsed() > SETTLING {
            return Err(format!("5/14: a deletion never ends: {managed:?}"));
        }
        for secret in managed {
            if !told.insert(secret.uid) {
                continue;
            }
            let request = DeleteSyncedSecretRequest {
                name: secret.name,
                force: true,
                allow_missing: true,
                ..Default::default()
            };
            world.client().delete_synced_secret(request).await.map_err(|status| {
                format!("5/14: nothing stands in its way, but a deletion fails: {status}")
            })?;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// What is listed.
async fn list(world: &World) -> Result<Vec<SyncedSecret>, String> {
    let request = ListSyncedSecretsRequest { page_size: 1000, ..Default::default() };
    match timeout(ANSWER, world.client().list_synced_secrets(request)).await {
        Ok(Ok(listed)) => Ok(listed.into_inner().synced_secrets),
        Ok(Err(status)) => Err(format!("14: all is quiet, but a list fails: {status}")),
        Err(_) => Err("14: all is quiet, but a list is not answered".to_owned()),
    }
}

fn name_of(change: &VaultChange) -> String {
    match change {
        VaultChange::Version(version) => version.name.clone(),
        VaultChange::Deleted(name) | VaultChange::Recovered(name) | VaultChange::Purged(name) => name.clone(),
    }
}
