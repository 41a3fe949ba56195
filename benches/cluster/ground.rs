//! The ground that a contender is measured on: a cluster's namespace of its own, and a vault of its own that takes its time.

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

use key_vault_double::Seed;
use kube::api::ListParams;
use secrecy::SecretString;
use tokio::time::sleep;

use crate::support::Site;

/// Synced secrets.
pub const SECRETS: usize = 1_000;
/// The keys of each, and the ends of their vault secrets' names.
pub const KEYS: [&str; 2] = ["username", "password"];
/// How long every request to the vault takes at least.
pub const LATENCY: Duration = Duration::from_millis(20);
/// Key Vault tells times to the second: what is read so soon after it was changed has to be read again to be sure.
const SETTLES: Duration = Duration::from_secs(4);
/// Between looks at the vault's counters.
const LOOK: Duration = Duration::from_millis(20);

/// A site whose vault holds all that is going to be synced.
pub async fn prepare() -> Site {
    let site = Site::start().await;
    let names = (0..SECRETS).flat_map(|number| KEYS.map(|key| vault_secret(number, key)));
    let seed = |name: String| Seed {
        value: SecretString::from(format!("the value of {name}")),
        name,
        content_type: None,
        tags: BTreeMap::new(),
        managed: false,
    };
    site.vault.seed_all(names.map(seed).collect()).await.expect("the vault takes them");
    sleep(SETTLES).await;
    site.vault.configure(|settings| settings.latency_milliseconds = LATENCY.as_millis() as u64);
    site
}

/// Makes sure that what was measured has been done: every synced secret is in the cluster, with both its values.
pub async fn all_there(site: &Site) {
    let secrets = site.secrets().list(&ListParams::default()).await.expect("the API server lists them");
    let values = secrets.items.into_iter().filter_map(|secret| Some((secret.metadata.name?, secret.data?)));
    let values: HashMap<_, _> = values.collect();
    for number in 0..SECRETS {
        let name = synced_secret(number);
        for key in KEYS {
            let expected = format!("the value of {}", vault_secret(number, key));
            let there = values.get(&name).and_then(|values| values.get(key));
            assert!(there.is_some_and(|value| value.0 == expected.as_bytes()), "{name} lacks its {key}");
        }
    }
}

/// The words above a report: what was asked for, and how much else the machine did when it began.
pub fn conditions(load: &str) -> String {
    let latency = LATENCY.as_millis();
    format!(
        "{SECRETS} synced secrets of two references each; vault latency {latency} ms; load average {load} before"
    )
}

/// The name of a synced secret.
pub fn synced_secret(number: usize) -> String {
    format!("s-{number:05}")
}

/// The vault secret under a key of a synced secret.
pub fn vault_secret(number: usize, key: &str) -> String {
    format!("{}-{key}", synced_secret(number))
}

/// Gives new versions to some of a hundred vault secrets, each of another synced secret.
pub async fn change(site: &Site, percent: usize) {
    let changed = SECRETS * KEYS.len() * percent / 100;
    for number in (0..SECRETS).step_by(SECRETS / changed) {
        site.somebody.sets(&vault_secret(number, KEYS[1]), "a newer value").await;
    }
}

/// Waits until the vault is asked something.
pub async fn until_asked(site: &Site) {
    let before = site.vault.requests();
    while site.vault.requests() == before {
        sleep(LOOK).await;
    }
}

/// Waits until the vault has been asked nothing for so long.
pub async fn until_quiet(site: &Site, quiet: Duration) {
    let (mut before, mut since) = (site.vault.requests(), Instant::now());
    while since.elapsed() < quiet {
        sleep(LOOK).await;
        let now = site.vault.requests();
        if now != before {
            (before, since) = (now, Instant::now());
        }
    }
}
