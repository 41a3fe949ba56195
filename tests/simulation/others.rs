//! Others: who works on the cluster and on the vault besides the service.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use secret_service::edge::secret_store::SecretSync;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    checks::FOREIGN,
    somebody::Somebody,
    world::{NAMESPACE, World},
};

/// The finalizer that somebody sets, and takes away again.
const FINALIZER: &str = "tests.example/held";

/// Works on the Secrets of the namespace, in the synced secrets' names.
pub async fn edit_at_the_edge(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("the edge");
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), NAMESPACE);
    let mut count = 0;
    while pause(&mut random, most, &stop).await {
        count += 1;
        let what = random.random_range(0..115);
        if what >= 100 {
            storm(&world, &secrets, what < 108).await;
            continue;
        }
        let name = format!("secret-{}", random.random_range(0..world.plan.synced_secrets));
        let hand = world.hand(&name);
        world.ledger.say(format!("somebody at the edge: {what} on {name}"));
        let done =
            timeout(Duration::from_secs(30), deed(&world, &secrets, &name, what, count, &mut random)).await;
        match done {
            Ok(()) => drop(hand),
            // It may still come.
            Err(_) => std::mem::forget(hand),
        }
    }
}

/// Deletes all Secrets at once, or changes a key of each: more to do than the service has workers.
async fn storm(world: &World, secrets: &Api<Secret>, deletes: bool) {
    world.ledger.say(format!("somebody at the edge: all at once, deleted: {deletes}"));
    let all = (0..world.plan.synced_secrets).map(|number| async move {
        let name = format!("secret-{number}");
        let hand = world.hand(&name);
        let deed = async {
            match deletes {
                true => drop(secrets.delete(&name, &DeleteParams::default()).await),
                false => {
                    let value = base64(&format!("{FOREIGN}storm"));
                    merge(secrets, &name, json!({ "data": { "key-0": value } })).await;
                }
            }
        };
        match timeout(Duration::from_secs(30), deed).await {
            Ok(()) => drop(hand),
            Err(_) => std::mem::forget(hand),
        }
    });
    futures::future::join_all(all).await;
}

async fn deed(world: &World, secrets: &Api<Secret>, name: &str, what: u32, count: u32, random: &mut StdRng) {
    let value = format!("{FOREIGN}{count}");
    // Whatever comes of it: somebody else isn't told either.
    match what {
        0..20 => drop(secrets.delete(name, &DeleteParams::default()).await),
        20..40 => {
            let key = format!("key-{}", random.random_range(0..3));
            merge(secrets, name, json!({ "data": { key: base64(&value) } })).await;
        }
        40..50 => {
            let key = format!("key-{}", random.random_range(0..3));
            merge(secrets, name, json!({ "data": { key: Value::Null } })).await;
        }
        50..58 => {
            let label = json!({ "secret-service.iotoperations/uid": Value::Null });
            merge(secrets, name, json!({ "metadata": { "labels": label } })).await;
        }
        58..63 => {
            merge(secrets, name, json!({ "metadata": { "finalizers": [FINALIZER] } })).await;
            sleep(world.plan.lasts(Duration::from_secs(random.random_range(5..30)))).await;
            merge(secrets, name, json!({ "metadata": { "finalizers": [] } })).await;
        }
        // A controller that puts its own back.
        63..70 => {
            for _ in 0..random.random_range(2..8) {
                merge(secrets, name, json!({ "data": { "key-0": base64(&value) } })).await;
                sleep(world.plan.lasts(Duration::from_millis(random.random_range(200..3_000)))).await;
            }
        }
        // A Secret of somebody's own, just where one of ours was or will be.
        70..78 => {
            let _ = secrets.delete(name, &DeleteParams::default()).await;
            make(secrets, name, &value).await;
        }
        _ => make(secrets, name, &value).await,
    }
}

async fn make(secrets: &Api<Secret>, name: &str, value: &str) {
    let secret = Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([("theirs".to_owned(), "yes".to_owned())])),
            ..Default::default()
        },
        data: Some(BTreeMap::from([("theirs".to_owned(), ByteString(value.as_bytes().to_vec()))])),
        type_: Some("Opaque".to_owned()),
        ..Default::default()
    };
    let parameters = PostParams { field_manager: Some("somebody".to_owned()), ..Default::default() };
    let _ = secrets.create(&parameters, &secret).await;
}

async fn merge(secrets: &Api<Secret>, name: &str, patch: Value) {
    let parameters = PatchParams { field_manager: Some("somebody".to_owned()), ..Default::default() };
    let _ = secrets.patch(name, &parameters, &Patch::Merge(patch)).await;
}

/// Takes away what would hold a deletion for good.
pub async fn let_go(world: &World) {
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), NAMESPACE);
    for number in 0..world.plan.synced_secrets {
        let name = format!("secret-{number}");
        let held = secrets.get_metadata_opt(&name).await.ok().flatten();
        if held.is_some_and(|held| held.metadata.finalizers.is_some_and(|all| !all.is_empty())) {
            let _hand = world.hand(&name);
            merge(&secrets, &name, json!({ "metadata": { "finalizers": [] } })).await;
        }
    }
}

/// Makes a Secret of the name of a SecretSync that has just come, now and then, before the extension makes its own.
pub async fn come_first(world: Arc<World>, stop: CancellationToken) {
    let mut random = world.plan.random("who comes first");
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), NAMESPACE);
    let syncs: Api<SecretSync> = Api::namespaced(world.kube.clone(), NAMESPACE);
    let watch = watcher(syncs, watcher::Config::default()).default_backoff().applied_objects();
    let (mut watch, mut known) = (pin!(watch), BTreeSet::new());
    while let Some(Some(seen)) = stop.run_until_cancelled(watch.next()).await {
        let Some((name, uid)) = seen.ok().and_then(|sync| Some((sync.metadata.name?, sync.metadata.uid?)))
        else {
            continue;
        };
        if known.insert(uid) && random.random_bool(0.15) {
            let _hand = world.hand(&name);
            world.ledger.say(format!("somebody at the edge: makes {name} before the extension does"));
            make(&secrets, &name, &format!("{FOREIGN}first-{}", known.len())).await;
        }
    }
}

/// Takes a key out of some Secrets, after everything else: it comes back although nothing else happens.
pub async fn take_keys(world: &World) {
    let mut random = world.plan.random("the last hand");
    let secrets: Api<Secret> = Api::namespaced(world.kube.clone(), NAMESPACE);
    for number in 0..world.plan.synced_secrets {
        if random.random_bool(0.5) {
            let name = format!("secret-{number}");
            let _hand = world.hand(&name);
            world.ledger.say(format!("somebody at the edge: takes key-0 out of {name}"));
            merge(&secrets, &name, json!({ "data": { "key-0": Value::Null } })).await;
        }
    }
}

/// Stores another version of some vault secrets, after everything else: it comes to the edge although nothing else happens.
pub async fn bring_versions(world: &World) {
    let mut random = world.plan.random("the last version");
    let somebody = Somebody::at(&world.vault, &world.ca);
    for number in 0..world.plan.vault_secrets {
        if random.random_bool(0.5) {
            let name = format!("vault-{number}");
            world.ledger.say(format!("somebody in the vault: the last version of {name}"));
            somebody.sets(&name, &format!("{FOREIGN}last-{number}")).await;
        }
    }
}

/// Works on the vault: new versions, deletions that are taken back, names that somebody else takes.
pub async fn edit_in_the_vault(world: Arc<World>, most: Duration, stop: CancellationToken) {
    let mut random = world.plan.random("the vault");
    let somebody = Somebody::at(&world.vault, &world.ca);
    let mut count = 0;
    while pause(&mut random, most, &stop).await {
        count += 1;
        let name = format!("vault-{}", random.random_range(0..world.plan.vault_secrets));
        let (what, value) = (random.random_range(0..100), format!("{FOREIGN}vault-{count}"));
        let back = world.plan.lasts(Duration::from_secs(*[1, 10, 40].choose(&mut random).expect("some")));
        world.ledger.say(format!("somebody in the vault: {what} on {name}"));
        let deed = async {
            match what {
                0..60 => somebody.sets(&name, &value).await,
                60..75 => {
                    somebody.enables(&name, false).await;
                    sleep(back).await;
                    somebody.enables(&name, true).await;
                }
                75..90 => {
                    somebody.deletes(&name).await;
                    sleep(back).await;
                    somebody.recovers(&name).await;
                }
                _ => {
                    let fresh = format!("fresh-{}", random.random_range(0..200));
                    somebody.sets(&fresh, &value).await;
                }
            }
        };
        // A request that meets a vault which never answers would keep them for ever.
        let longest = world.plan.lasts(Duration::from_secs(90)).max(Duration::from_secs(10));
        let _ = timeout(longest, deed).await;
    }
}

/// Waits; false where it is time to stop.
async fn pause(random: &mut StdRng, most: Duration, stop: &CancellationToken) -> bool {
    let pause = Duration::from_millis(random.random_range(100..=most.as_millis() as u64 * 2));
    stop.run_until_cancelled(sleep(pause)).await.is_some()
}

fn base64(value: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    STANDARD.encode(value)
}
