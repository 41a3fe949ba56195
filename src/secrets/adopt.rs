//! AdoptSyncedSecret: takes over what another tool made, as it is. The Secret keeps its uid and its content, and is there all the time.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::{
    Call, Cause, Error, NewReference, Problem, Secrets,
    create::{accept, describe},
};
use crate::{
    edge::{Adoptable, is_reserved},
    model::{
        self, Origin, Reference, ReferenceStatus, SecretType, State, SyncEngine, SyncedSecret, SyncedSecretId,
    },
    reconcile::{Reads, Wake},
    store::Record,
};

/// What is to be taken over, and where its keys come from.
#[derive(Debug)]
pub struct Adoption {
    /// The name of the Kubernetes Secret.
    pub id: SyncedSecretId,
    /// Needed where the edge does not say where the keys come from; as the edge says where empty.
    pub references: Vec<NewReference>,
}

impl Secrets {
    /// Takes over a SecretSync or a Kubernetes Secret that another tool made. What is ours already stays as it is.
    pub async fn adopt_synced_secret(
        &self,
        call: Call,
        adoption: Adoption,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        self.to_the_end(call, async move |this, call| this.adopt(call, adoption, validate_only).await).await
    }

    async fn adopt(
        &self,
        call: Call,
        adoption: Adoption,
        validate_only: bool,
    ) -> Result<SyncedSecret, Error> {
        if let Some(recorded) = self.replayed(&call).await? {
            return Ok(self.latest(recorded));
        }
        let engine = self.0.reconciler.engine()?;
        let mirrored = self.0.store.view().get(&adoption.id);
        let (record, keys) = match &mirrored {
            Some(record) if record.secret.origin == Origin::Managed => return Ok(record.secret.clone()),
            Some(record) => of_secret_sync(record, adoption.references)?,
            None => {
                let there = self.0.edge.adoptable(&adoption.id, engine == SyncEngine::Direct).await?;
                let there = there.ok_or_else(|| Error::from(Cause::NoSyncedSecret(adoption.id.clone())))?;
                of_plain_secret(adoption, there)?
            }
        };
        let reads = self.0.reconciler.reads();
        self.check_adoption(engine, &record, &keys, &reads).await?;
        if validate_only {
            return Ok(record.secret);
        }
        let secret = self.record_adoption(&call, record, mirrored.is_some()).await?;
        self.0.reconciler.wake(secret.uid, Wake { refetch: None, interactive: true });
        Ok(secret)
    }

    /// What is adopted must be what it was: the same keys, from vault secrets that are there.
    async fn check_adoption(
        &self,
        engine: SyncEngine,
        record: &Record,
        keys: &BTreeSet<String>,
        reads: &Reads,
    ) -> Result<(), Error> {
        let secret = &record.secret;
        let told: BTreeSet<String> =
            secret.references.iter().map(|reference| reference.key.to_string()).collect();
        if told != *keys {
            let all = keys.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            let rule = format!("give one reference for each key of the Secret, and no other: {all}");
            return Err(Error::invalid("references", rule));
        }
        let mut problems = self.check_engine(engine, secret);
        if engine == SyncEngine::SecretStore {
            let class = self.0.edge.check_class_name(&secret.id).await;
            problems.extend(class.err().map(|error| Problem::new("name", Cause::Edge(error))));
        }
        let references: Vec<_> = secret
            .references
            .iter()
            .map(|reference| NewReference { reference: reference.clone(), create: None })
            .collect();
        problems.extend(self.check_references(engine, &references, &[], reads).await);
        Error::refuse(problems)
    }

    async fn record_adoption(
        &self,
        call: &Call,
        mut record: Record,
        was_mirrored: bool,
    ) -> Result<SyncedSecret, Error> {
        self.0.reconciler.note_use(&mut record.secret);
        record.asked = Some(call.begun);
        let secret = record.secret.clone();
        let mut transaction = self.0.store.begin().await?;
        match was_mirrored {
            true => {
                let stale = || Error::Stale(secret.name());
                let current = transaction.current(secret.uid);
                let current = current.filter(|current| current.secret.origin == Origin::Unmanaged);
                let read = current.ok_or_else(stale)?.secret.generation;
                if read + 1 != secret.generation {
                    return Err(stale());
                }
                transaction.change(read, record).await?;
            }
            false => transaction.insert(record).await?,
        }
        self.note_request(&mut transaction, call, &secret).await?;
        let detail = format!("References: {}.", describe(&secret.references));
        transaction.audit(call.event("AdoptSyncedSecret", secret.name(), detail)).await?;
        transaction.commit().await?;
        Ok(secret)
    }
}

/// A SecretSync of somebody else, which becomes ours in place: the extension goes on writing the Secret.
fn of_secret_sync(mirrored: &Record, given: Vec<NewReference>) -> Result<(Record, BTreeSet<String>), Error> {
    let seen = &mirrored.secret;
    let keys = seen.references.iter().map(|reference| reference.key.to_string()).collect();
    let unknown = seen.references.iter().find_map(|reference| reference.status.problem.as_ref());
    if let Some(problem) = unknown.filter(|_| given.is_empty()) {
        return Err(Error::invalid("references", &problem.message));
    }
    let mut record = mirrored.clone();
    record.adopted = Some(seen.uid.to_string());
    let secret = &mut record.secret;
    if !given.is_empty() {
        secret.references = given.into_iter().map(|new| new.reference).collect();
    }
    for reference in &mut secret.references {
        reference.status = ReferenceStatus::default();
    }
    secret.labels.retain(|label, _| !is_reserved(label));
    become_ours(secret);
    Ok((record, keys))
}

/// A Kubernetes Secret that no SecretSync made.
fn of_plain_secret(adoption: Adoption, there: Adoptable) -> Result<(Record, BTreeSet<String>), Error> {
    if let Some(owner) = there.owner {
        return Err(Cause::Owned { id: adoption.id, owner }.into());
    }
    let references: Vec<Reference> = adoption.references.into_iter().map(|new| new.reference).collect();
    let now = model::now();
    let mut secret = SyncedSecret {
        id: adoption.id,
        uid: Uuid::now_v7(),
        description: String::new(),
        secret_type: there
            .secret_type
            .parse::<SecretType>()
            .map_err(|error| Error::invalid("name", error))?,
        references,
        labels: Default::default(),
        state: State::Pending,
        conditions: Vec::new(),
        users: Vec::new(),
        origin: Origin::Managed,
        create_time: now,
        update_time: now,
        sync_time: None,
        generation: 0,
        synced_generation: 0,
    };
    become_ours(&mut secret);
    // The direct engine takes a Secret as it is; from there it goes to the other one, where that is to be.
    let mut record = Record::new(secret, SyncEngine::Direct);
    record.edge.uid = Some(there.uid);
    Ok((record, there.keys))
}

fn become_ours(secret: &mut SyncedSecret) {
    secret.origin = Origin::Managed;
    secret.update_time = model::now();
    secret.generation += 1;
    secret.synced_generation = 0;
    secret.sync_time = None;
    accept(secret);
}
