//! The tables `synced_secrets` and `secret_references`.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::{FromRow, SqlitePool};
use uuid::Uuid;

use super::{
    EdgeRecord, Record, StoreError, Transaction,
    rows::{Row, json},
    statements,
    view::Effect,
};
use crate::model::{ChangeKind, Encoding, Origin, Reference, ReferenceStatus, SyncedSecret, SyncedSecretId};

statements! {
    SELECT_SECRETS = "
        SELECT uid, id, description, secret_type, labels, generation, create_time, update_time, sync_requests,
               state, conditions, synced_generation, synced_requests, sync_time,
               edge_uid, edge_resource_version, edge_digest, engine, origin, handed, users, delete_forced, adopted
          FROM synced_secrets
         ORDER BY id";
    SELECT_REFERENCES = "
        SELECT uid, position, key, vault_secret, version, encoding, create_pending, create_generation,
               synced_version, expire_time, vault_update_time, settled, problem
          FROM secret_references
         ORDER BY uid, position";
    INSERT_SECRET = "
        INSERT INTO synced_secrets
               (uid, id, description, secret_type, labels, generation, create_time, update_time, sync_requests,
                state, conditions, synced_generation, synced_requests, sync_time,
                edge_uid, edge_resource_version, edge_digest, engine, origin, handed, users, delete_forced, adopted)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23)";
    /// Only what was read: a record whose generation has moved on belongs to another call.
    UPDATE_SECRET = "
        UPDATE synced_secrets
           SET description = ?3, secret_type = ?4, labels = ?5, generation = ?6, create_time = ?7, update_time = ?8,
               sync_requests = ?9, state = ?10, conditions = ?11, synced_generation = ?12, synced_requests = ?13,
               sync_time = ?14, edge_uid = ?15, edge_resource_version = ?16, edge_digest = ?17, engine = ?18,
               origin = ?19, handed = ?20, users = ?21, delete_forced = ?22, adopted = ?23
         WHERE uid = ?1 AND id = ?2 AND generation = ?24";
    /// As above.
    DELETE_SECRET = "DELETE FROM synced_secrets WHERE uid = ?1 AND generation = ?2";
    /// Of what other tools made, only.
    DELETE_UNMANAGED = "DELETE FROM synced_secrets WHERE uid = ?1 AND origin = 'UNMANAGED'";
    DELETE_REFERENCES = "DELETE FROM secret_references WHERE uid = ?1";
    INSERT_REFERENCE = "
        INSERT INTO secret_references
               (uid, position, key, vault_secret, version, encoding, create_pending, create_generation,
                synced_version, expire_time, vault_update_time, settled, problem)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
}

#[derive(FromRow)]
struct SecretRow {
    uid: String,
    id: String,
    description: String,
    secret_type: String,
    labels: String,
    generation: i64,
    create_time: i64,
    update_time: i64,
    sync_requests: i64,
    state: String,
    conditions: String,
    synced_generation: i64,
    synced_requests: i64,
    sync_time: Option<i64>,
    edge_uid: Option<String>,
    edge_resource_version: Option<String>,
    edge_digest: Option<Vec<u8>>,
    engine: String,
    origin: String,
    handed: Option<String>,
    users: String,
    delete_forced: bool,
    adopted: Option<String>,
}

#[derive(FromRow)]
struct ReferenceRow {
    uid: String,
    position: i64,
    key: String,
    vault_secret: String,
    version: Option<String>,
    encoding: String,
    create_pending: bool,
    create_generation: i64,
    synced_version: Option<String>,
    expire_time: Option<i64>,
    vault_update_time: Option<i64>,
    settled: bool,
    problem: Option<String>,
}

/// Everything there is.
pub(super) async fn load(readers: &SqlitePool) -> Result<Vec<Record>, StoreError> {
    let mut references: HashMap<String, Vec<Reference>> = HashMap::new();
    for row in sqlx::query_as::<_, ReferenceRow>(SELECT_REFERENCES).fetch_all(readers).await? {
        references.entry(row.uid.clone()).or_default().push(row.into_model()?);
    }
    let rows = sqlx::query_as::<_, SecretRow>(SELECT_SECRETS).fetch_all(readers).await?;
    rows.into_iter()
        .map(|row| {
            let references = references.remove(&row.uid).unwrap_or_default();
            row.into_model(references)
        })
        .collect()
}

impl Transaction {
    /// Records a new synced secret.
    pub async fn insert(&mut self, record: Record) -> Result<(), StoreError> {
        let inserted = self.write_secret(INSERT_SECRET, &record, None).await;
        inserted.map_err(|error| match error {
            StoreError::Database(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                StoreError::AlreadyExists
            }
            other => other,
        })?;
        self.write_references(&record.secret).await?;
        self.put(None, record).await
    }

    /// Records what was observed of a synced secret, which leaves its generation as it is.
    pub async fn update(&mut self, record: Record) -> Result<(), StoreError> {
        let generation = record.secret.generation;
        self.change(generation, record).await
    }

    /// Records a change of a synced secret that was read at a generation. [`StoreError::Stale`] where it has another one by
    /// now, [`StoreError::NotFound`] where it is gone. A change that no caller can see is not told to watchers.
    pub async fn change(&mut self, read: i64, record: Record) -> Result<(), StoreError> {
        let before = self.current(record.secret.uid).ok_or(StoreError::NotFound)?;
        if self.write_secret(UPDATE_SECRET, &record, Some(read)).await? == 0 {
            return Err(StoreError::Stale);
        }
        if before.secret.references != record.secret.references {
            let delete = sqlx::query(DELETE_REFERENCES).bind(record.secret.uid.to_string());
            self.store.run(delete.execute(&mut *self.sql)).await?;
            self.write_references(&record.secret).await?;
        }
        if shown(&before.secret) == shown(&record.secret) {
            self.effects.push(Effect::Note { record: Box::new(record) });
            return Ok(());
        }
        self.put(Some(&before.secret), record).await
    }

    /// Forgets a synced secret as it was read. [`StoreError::Stale`] where it was changed since, or is gone.
    pub async fn remove(&mut self, record: &Record) -> Result<(), StoreError> {
        let remove =
            sqlx::query(DELETE_SECRET).bind(record.secret.uid.to_string()).bind(record.secret.generation);
        let removed = self.store.run(remove.execute(&mut *self.sql)).await?;
        match removed.rows_affected() {
            0 => Err(StoreError::Stale),
            _ => self.removed(record).await,
        }
    }

    /// Forgets the mirror of what another tool made, unless it has been adopted; whether there was anything to forget.
    pub async fn remove_unmanaged(&mut self, uid: Uuid) -> Result<bool, StoreError> {
        let Some(record) = self.current(uid) else { return Ok(false) };
        let delete = sqlx::query(DELETE_UNMANAGED).bind(uid.to_string());
        let deleted = self.store.run(delete.execute(&mut *self.sql)).await?;
        if deleted.rows_affected() == 0 {
            return Ok(false);
        }
        self.removed(&record).await?;
        Ok(true)
    }

    /// Forgets the mirror under a name, where there is one.
    pub async fn remove_mirror(&mut self, id: &SyncedSecretId) -> Result<(), StoreError> {
        let mirror = self.store.view().get(id).filter(|held| held.secret.origin == Origin::Unmanaged);
        match mirror {
            Some(mirror) => self.remove_unmanaged(mirror.secret.uid).await.map(|_| ()),
            None => Ok(()),
        }
    }

    async fn removed(&mut self, record: &Record) -> Result<(), StoreError> {
        let (uid, secret) = (record.secret.uid, &record.secret);
        let place = self.record_change(ChangeKind::Deleted, Some(secret), secret).await?;
        self.effects.push(Effect::Remove { uid, place });
        Ok(())
    }

    /// The record as this transaction sees it.
    pub fn current(&self, uid: Uuid) -> Option<Record> {
        let own = self.effects.iter().rev().find_map(|effect| match effect {
            Effect::Put { record, .. } | Effect::Note { record } if record.secret.uid == uid => {
                Some(Some(record.as_ref().clone()))
            }
            Effect::Remove { uid: removed, .. } if *removed == uid => Some(None),
            _ => None,
        });
        own.unwrap_or_else(|| self.store.view().get_by_uid(uid).map(|record| record.as_ref().clone()))
    }

    async fn put(&mut self, before: Option<&SyncedSecret>, record: Record) -> Result<(), StoreError> {
        let place = self.record_change(ChangeKind::Put, before, &record.secret).await?;
        self.effects.push(Effect::Put { record: Box::new(record), place });
        Ok(())
    }

    async fn write_secret(
        &mut self,
        statement: &'static str,
        record: &Record,
        read: Option<i64>,
    ) -> Result<u64, StoreError> {
        let secret = &record.secret;
        let query = sqlx::query(statement)
            .bind(secret.uid.to_string())
            .bind(secret.id.as_str())
            .bind(&secret.description)
            .bind(secret.secret_type.as_str())
            .bind(json(&secret.labels))
            .bind(secret.generation)
            .bind(secret.create_time.as_microsecond())
            .bind(secret.update_time.as_microsecond())
            .bind(record.sync_requests)
            .bind(secret.state.as_str())
            .bind(json(&secret.conditions))
            .bind(secret.synced_generation)
            .bind(record.synced_requests)
            .bind(secret.sync_time.map(Timestamp::as_microsecond))
            .bind(&record.edge.uid)
            .bind(&record.edge.resource_version)
            .bind(&record.edge.digest)
            .bind(record.engine.as_str())
            .bind(secret.origin.as_str())
            .bind(record.handed.as_ref().map(json))
            .bind(json(&secret.users))
            .bind(record.delete_forced)
            .bind(&record.adopted);
        let query = match read {
            Some(generation) => query.bind(generation),
            None => query,
        };
        Ok(self.store.run(query.execute(&mut *self.sql)).await?.rows_affected())
    }

    async fn write_references(&mut self, secret: &SyncedSecret) -> Result<(), StoreError> {
        for (position, reference) in (0_i64..).zip(&secret.references) {
            let status = &reference.status;
            let insert = sqlx::query(INSERT_REFERENCE)
                .bind(secret.uid.to_string())
                .bind(position)
                .bind(reference.key.as_str())
                .bind(reference.vault_secret.as_str())
                .bind(reference.version.as_ref().map(|version| version.as_str()))
                .bind(reference.encoding.name())
                .bind(reference.create_pending)
                .bind(reference.create_generation)
                .bind(status.synced_version.as_ref().map(|version| version.as_str()))
                .bind(status.expire_time.map(Timestamp::as_microsecond))
                .bind(status.vault_update_time.map(Timestamp::as_microsecond))
                .bind(status.settled)
                .bind(status.problem.as_ref().map(json))
                .execute(&mut *self.sql);
            self.store.run(insert).await?;
        }
        Ok(())
    }
}

// === rows <-> model ===

impl SecretRow {
    fn into_model(self, references: Vec<Reference>) -> Result<Record, StoreError> {
        let row = Row { table: "synced_secrets", key: self.uid.clone() };
        let secret = SyncedSecret {
            id: row.parse("id", &self.id)?,
            uid: row.parse("uid", &self.uid)?,
            description: self.description,
            secret_type: row.parse("secret_type", &self.secret_type)?,
            references,
            labels: row.json("labels", &self.labels)?,
            state: row.parse("state", &self.state)?,
            conditions: row.json("conditions", &self.conditions)?,
            origin: row.parse("origin", &self.origin)?,
            users: row.json("users", &self.users)?,
            create_time: row.time("create_time", self.create_time)?,
            update_time: row.time("update_time", self.update_time)?,
            sync_time: self.sync_time.map(|time| row.time("sync_time", time)).transpose()?,
            generation: self.generation,
            synced_generation: self.synced_generation,
        };
        let edge = EdgeRecord {
            uid: self.edge_uid,
            resource_version: self.edge_resource_version,
            digest: self.edge_digest,
        };
        Ok(Record {
            secret,
            engine: row.parse("engine", &self.engine)?,
            edge,
            handed: self.handed.map(|handed| row.json("handed", &handed)).transpose()?,
            sync_requests: self.sync_requests,
            synced_requests: self.synced_requests,
            adopted: self.adopted,
            delete_forced: self.delete_forced,
            asked: None,
        })
    }
}

impl ReferenceRow {
    fn into_model(self) -> Result<Reference, StoreError> {
        let row = Row { table: "secret_references", key: format!("{}/{}", self.uid, self.position) };
        let encoding = Encoding::named(&self.encoding)
            .ok_or_else(|| row.corrupt("encoding", format!("{:?} is not an encoding", self.encoding)))?;
        Ok(Reference {
            key: row.parse("key", &self.key)?,
            vault_secret: row.parse("vault_secret", &self.vault_secret)?,
            version: self.version.map(|version| row.parse("version", &version)).transpose()?,
            encoding,
            create_pending: self.create_pending,
            create_generation: self.create_generation,
            status: ReferenceStatus {
                synced_version: self
                    .synced_version
                    .map(|version| row.parse("synced_version", &version))
                    .transpose()?,
                expire_time: self.expire_time.map(|time| row.time("expire_time", time)).transpose()?,
                vault_update_time: self
                    .vault_update_time
                    .map(|time| row.time("vault_update_time", time))
                    .transpose()?,
                settled: self.settled,
                problem: self.problem.map(|problem| row.json("problem", &problem)).transpose()?,
            },
        })
    }
}

/// A synced secret as callers see it: without what the rotation check remembers of its references.
fn shown(secret: &SyncedSecret) -> SyncedSecret {
    let mut shown = secret.clone();
    for reference in &mut shown.references {
        (reference.status.vault_update_time, reference.status.settled) = (None, false);
    }
    shown
}
