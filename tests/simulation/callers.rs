//! Callers: each makes one call after the other, over the same few names as everybody else, sends again what was not answered, and
//! sometimes sends a call twice at once.

use std::{sync::Arc, time::Duration};

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use secret_service::proto::{self, secret_service_client::SecretServiceClient, *};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, transport::Channel};

use crate::{
    model::{Answer, Outcome, Reference, What},
    world::World,
};

/// How often a call is sent in all.
const ATTEMPTS: usize = 5;

pub struct Caller {
    world: Arc<World>,
    client: SecretServiceClient<Channel>,
    random: StdRng,
    number: usize,
    calls: usize,
    /// An etag that was seen, by synced secret.
    etag: Option<(String, String)>,
}

/// A call as it is sent, each time.
#[derive(Clone)]
struct Sent {
    what: What,
    request_id: String,
    wait: Duration,
    deadline: Duration,
    etag: String,
    force: bool,
    allow_missing: bool,
}

impl Caller {
    pub fn new(world: Arc<World>, number: usize) -> Self {
        let (client, random) = (world.client(), world.plan.random(&format!("caller {number}")));
        Self { world, client, random, number, calls: 0, etag: None }
    }

    /// Calls until told to stop; the last call is brought to its end.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let longest = self.world.plan.caller_pause.as_millis() as u64;
            let pause = Duration::from_millis(self.random.random_range(0..=longest));
            if stop.run_until_cancelled(sleep(pause)).await.is_none() {
                return;
            }
            self.call().await;
        }
    }

    async fn call(&mut self) {
        let what = self.what();
        let sent = self.sent(what);
        let call = self.world.ledger.call(sent.what.clone(), sent.request_id.clone());
        // Without a `request_id` it would be another call.
        if self.random.random_bool(self.world.plan.overlapping) && !sent.request_id.is_empty() {
            let later = Duration::from_millis(self.random.random_range(0..2_000));
            let later = self.world.plan.lasts(later);
            let (first, second) = (self.client.clone(), self.client.clone());
            tokio::join!(attempt(&self.world, first, call, &sent), async {
                sleep(later).await;
                attempt(&self.world, second, call, &sent).await
            });
        } else {
            attempt(&self.world, self.client.clone(), call, &sent).await;
        }
        for _ in 1..ATTEMPTS {
            let is_open = {
                let inner = self.world.ledger.lock();
                let call = &inner.calls[call];
                call.ok().is_none()
                    && matches!(
                        call.attempts.last().and_then(|last| last.outcome.as_ref()),
                        Some(Outcome::Unknown { .. })
                    )
            };
            // What was answered is sent again now and then: it is the same call, and changes nothing.
            let again = if is_open { 0.8 } else { 0.04 };
            if sent.request_id.is_empty() || !self.random.random_bool(again) {
                break;
            }
            let longest = self.world.plan.retry_pause.as_millis() as u64;
            sleep(Duration::from_millis(self.random.random_range(longest / 80..longest))).await;
            attempt(&self.world, self.client.clone(), call, &sent).await;
        }
        let inner = self.world.ledger.lock();
        if let Some((_, Answer::Synced(secret))) = inner.calls[call].ok() {
            self.etag = Some((secret.name.clone(), secret.etag.clone()));
        }
    }

    fn sent(&mut self, what: What) -> Sent {
        let plan = &self.world.plan;
        let waits = self.random.random_bool(plan.waiting);
        let wait = if waits {
            plan.lasts(Duration::from_secs(*[5, 20, 45].choose(&mut self.random).expect("some")))
        } else {
            Duration::ZERO
        };
        let deadline =
            plan.lasts(Duration::from_secs(*[2, 15, 60, 60].choose(&mut self.random).expect("some")));
        let named = self.random.random_bool(0.9) && !matches!(what, What::Sync { .. });
        let request_id = if named { uuid(&mut self.random) } else { String::new() };
        let seen = self.etag.take_if(|_| self.random.random_bool(0.2));
        let name = match &what {
            What::Update { id, .. } | What::Delete { id } => name(id),
            _ => String::new(),
        };
        let etag = seen.filter(|(of, _)| *of == name).map(|(_, etag)| etag).unwrap_or_default();
        let (force, allow_missing) = (self.random.random_bool(0.7), self.random.random_bool(0.5));
        Sent { what, request_id, wait, deadline, etag, force, allow_missing }
    }

    fn what(&mut self) -> What {
        let id = format!("secret-{}", self.random.random_range(0..self.world.plan.synced_secrets));
        let mark = self.mark();
        match self.random.random_range(0..100) {
            0..22 => What::Create { id, references: self.references(), mark },
            22..36 => What::Update { id, description: Some(mark), label: None, references: None },
            36..44 => What::Update { id, description: None, label: Some(mark), references: None },
            44..60 => {
                let references = Some(self.references());
                What::Update { id, description: Some(mark), label: None, references }
            }
            60..74 => What::Sync { id },
            74..82 => What::Delete { id },
            82..86 => What::Adopt { id },
            86..92 => What::CreateVaultSecret { name: self.new_name(), value: mark },
            _ => What::AddVersion { name: self.vault_secret(), value: mark },
        }
    }

    /// Unlike that of any other call.
    fn mark(&mut self) -> String {
        self.calls += 1;
        format!("c{}-{}", self.number, self.calls)
    }

    fn vault_secret(&mut self) -> String {
        format!("vault-{}", self.random.random_range(0..self.world.plan.vault_secrets))
    }

    /// The name of a secret that may be new.
    fn new_name(&mut self) -> String {
        if self.random.random_bool(0.4) {
            return self.vault_secret();
        }
        format!("fresh-{}", self.random.random_range(0..200))
    }

    fn references(&mut self) -> Vec<Reference> {
        let count = self.random.random_range(1..=3);
        (0..count)
            .map(|place| {
                let create = self.random.random_bool(self.world.plan.creating);
                let vault_secret = if create { self.new_name() } else { self.vault_secret() };
                Reference { key: format!("key-{place}"), vault_secret, create: create.then(|| self.mark()) }
            })
            .collect()
    }
}

async fn attempt(world: &World, client: SecretServiceClient<Channel>, call: usize, sent: &Sent) {
    let attempt = world.ledger.begin(call, sent.wait, sent.deadline);
    let answer = timeout(sent.deadline, send(client, sent)).await;
    let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("the caller's patience")));
    world.ledger.end(call, attempt, Outcome::of(answer));
}

async fn send(mut client: SecretServiceClient<Channel>, sent: &Sent) -> Result<Answer, Status> {
    let wait = Some(prost_types::Duration {
        seconds: sent.wait.as_secs() as i64,
        nanos: sent.wait.subsec_nanos() as i32,
    });
    let request_id = sent.request_id.clone();
    let synced = |answer: SyncedSecret| Answer::Synced(Box::new(answer));
    match sent.what.clone() {
        What::Create { id, references, mark } => {
            let synced_secret = SyncedSecret {
                references: references.iter().map(reference).collect(),
                description: mark.clone(),
                labels: [("mark".to_owned(), mark)].into(),
                ..Default::default()
            };
            let request = CreateSyncedSecretRequest {
                synced_secret_id: id,
                synced_secret: Some(synced_secret),
                request_id,
                wait,
                ..Default::default()
            };
            Ok(synced(client.create_synced_secret(within(sent, request)).await?.into_inner()))
        }
        What::Update { id, description, label, references } => {
            let set = [
                ("description", description.is_some()),
                ("labels", label.is_some()),
                ("references", references.is_some()),
            ];
            let paths = set.iter().filter(|(_, set)| *set).map(|(path, _)| (*path).to_owned()).collect();
            let synced_secret = SyncedSecret {
                name: name(&id),
                etag: sent.etag.clone(),
                description: description.unwrap_or_default(),
                labels: label.map(|label| [("mark".to_owned(), label)].into()).unwrap_or_default(),
                references: references.iter().flatten().map(reference).collect(),
                ..Default::default()
            };
            let request = UpdateSyncedSecretRequest {
                synced_secret: Some(synced_secret),
                update_mask: Some(prost_types::FieldMask { paths }),
                request_id,
                wait,
                ..Default::default()
            };
            Ok(synced(client.update_synced_secret(within(sent, request)).await?.into_inner()))
        }
        What::Sync { id } => {
            let request = SyncSyncedSecretRequest { name: name(&id), wait };
            Ok(synced(client.sync_synced_secret(within(sent, request)).await?.into_inner()))
        }
        What::Delete { id } => {
            let request = DeleteSyncedSecretRequest {
                name: name(&id),
                etag: sent.etag.clone(),
                force: sent.force,
                allow_missing: sent.allow_missing,
                request_id,
                wait,
                ..Default::default()
            };
            Ok(synced(client.delete_synced_secret(within(sent, request)).await?.into_inner()))
        }
        What::Adopt { id } => {
            // The keys of the Secrets that somebody else makes: see `others`.
            let key = SecretReference {
                key: "theirs".to_owned(),
                vault_secret: "vaultSecrets/vault-0".to_owned(),
                ..Default::default()
            };
            let request = AdoptSyncedSecretRequest {
                name: name(&id),
                references: vec![key],
                request_id,
                ..Default::default()
            };
            Ok(synced(client.adopt_synced_secret(within(sent, request)).await?.into_inner()))
        }
        What::CreateVaultSecret { name, value } => {
            let request = CreateVaultSecretRequest {
                vault_secret_id: name,
                secret: Some(new(value)),
                request_id,
                ..Default::default()
            };
            let answer = client.create_vault_secret(within(sent, request)).await?.into_inner();
            Ok(Answer::VaultSecret(Box::new(answer)))
        }
        What::AddVersion { name, value } => {
            let parent = format!("vaultSecrets/{name}");
            let request = AddVaultSecretVersionRequest {
                parent,
                secret: Some(new(value)),
                request_id,
                keep_dates: false,
            };
            let answer = client.add_vault_secret_version(within(sent, request)).await?.into_inner();
            Ok(Answer::Version(Box::new(answer)))
        }
    }
}

fn within<T>(sent: &Sent, request: T) -> Request<T> {
    let mut request = Request::new(request);
    request.set_timeout(sent.deadline);
    request
}

fn name(id: &str) -> String {
    format!("syncedSecrets/{id}")
}

fn new(value: String) -> NewVaultSecret {
    NewVaultSecret { value, ..Default::default() }
}

fn reference(reference: &Reference) -> proto::SecretReference {
    SecretReference {
        key: reference.key.clone(),
        vault_secret: format!("vaultSecrets/{}", reference.vault_secret),
        create: reference.create.clone().map(new),
        ..Default::default()
    }
}

fn uuid(random: &mut StdRng) -> String {
    uuid::Builder::from_random_bytes(random.random()).into_uuid().to_string()
}
