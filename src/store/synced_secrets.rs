//! The tables `synced_secrets` and `secret_references`.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::SqlitePool;
use uuid::Uuid;

use super::{
    EdgeRecord, Record, StoreError, Transaction,
    rows::{Row, json, table},
    statements,
    view::Effect,
};
use crate::model::{ChangeKind, Encoding, Origin, Reference, ReferenceStatus, SyncedSecret, SyncedSecretId};

table! {
    /// One row of `synced_secrets`.
    ///
    /// An update only changes the generation that was read: a newer one belongs to another call.
    SecretRow of synced_secrets ordered by "id", updated where "generation = ?" {
        key { uid: String, id: String, }
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
}

table! {
    /// One row of `secret_references`.
    ReferenceRow of secret_references ordered by "uid, position" {
        key { uid: String, position: i64, }
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
        not_before_time: Option<i64>,
        held_until: Option<i64>,
        part: String,
        certificate: Option<String>,
    }
}

statements! {
    SELECT_SECRETS = SecretRow::SELECT;
    INSERT_SECRET = SecretRow::INSERT;
    UPDATE_SECRET = SecretRow::UPDATE;
    SELECT_REFERENCES = ReferenceRow::SELECT;
    INSERT_REFERENCE = ReferenceRow::INSERT;
    /// Only the generation that was read, as above.
    DELETE_SECRET = "DELETE FROM synced_secrets WHERE uid = ?1 AND generation = ?2";
    /// Only imported objects of other tools.
    DELETE_UNMANAGED = "DELETE FROM synced_secrets WHERE uid = ?1 AND origin = 'UNMANAGED'";
    DELETE_REFERENCES = "DELETE FROM secret_references WHERE uid = ?1";
}

/// Loads all records.
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
        let insert = SecretRow::of(&record).bind_insert(sqlx::query(INSERT_SECRET));
        let inserted = self.store.run(insert.execute(&mut *self.sql)).await;
        inserted.map_err(|error| match error {
            StoreError::Database(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                StoreError::AlreadyExists
            }
            other => other,
        })?;
        self.write_references(&record.secret).await?;
        self.put(None, record).await
    }

    /// Records an observation of a synced secret, which does not change its generation.
    pub async fn update(&mut self, record: Record) -> Result<(), StoreError> {
        let generation = record.secret.generation;
        self.change(generation, record).await
    }

    /// Records a change of a synced secret that was read at generation `read`. [`StoreError::Stale`] if it
    /// has another one now, [`StoreError::NotFound`] if it is gone. Watchers don't get changes that callers
    /// can't see.
    pub async fn change(&mut self, read: i64, record: Record) -> Result<(), StoreError> {
        let before = self.current(record.secret.uid).ok_or(StoreError::NotFound)?;
        let update = SecretRow::of(&record).bind_update(sqlx::query(UPDATE_SECRET)).bind(read);
        let updated = self.store.run(update.execute(&mut *self.sql)).await?;
        if updated.rows_affected() == 0 {
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

    /// Deletes a synced secret that was read. [`StoreError::Stale`] if it was changed since or is gone.
    pub async fn remove(&mut self, record: &Record) -> Result<(), StoreError> {
        let remove =
            sqlx::query(DELETE_SECRET).bind(record.secret.uid.to_string()).bind(record.secret.generation);
        let removed = self.store.run(remove.execute(&mut *self.sql)).await?;
        match removed.rows_affected() {
            0 => Err(StoreError::Stale),
            _ => self.removed(record).await,
        }
    }

    /// Deletes an imported object of another tool, unless it was adopted; returns whether it existed.
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

    /// Deletes the imported object with a name, if there is one.
    pub async fn remove_imported(&mut self, id: &SyncedSecretId) -> Result<(), StoreError> {
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

    async fn write_references(&mut self, secret: &SyncedSecret) -> Result<(), StoreError> {
        for (position, reference) in (0..).zip(&secret.references) {
            let insert = ReferenceRow::of(secret.uid, position, reference);
            let insert = insert.bind_insert(sqlx::query(INSERT_REFERENCE));
            self.store.run(insert.execute(&mut *self.sql)).await?;
        }
        Ok(())
    }
}

// === rows <-> model ===

impl SecretRow {
    fn of(record: &Record) -> Self {
        let Record {
            secret,
            engine,
            edge,
            delegation,
            sync_requests,
            synced_requests,
            adopted,
            delete_forced,
            requested_at: _,
        } = record;
        Self {
            uid: secret.uid.to_string(),
            id: secret.id.to_string(),
            description: secret.description.clone(),
            secret_type: secret.secret_type.to_string(),
            labels: json(&secret.labels),
            generation: secret.generation,
            create_time: secret.create_time.as_microsecond(),
            update_time: secret.update_time.as_microsecond(),
            sync_requests: *sync_requests,
            state: secret.state.as_str().to_owned(),
            conditions: json(&secret.conditions),
            synced_generation: secret.synced_generation,
            synced_requests: *synced_requests,
            sync_time: secret.sync_time.map(Timestamp::as_microsecond),
            edge_uid: edge.uid.clone(),
            edge_resource_version: edge.resource_version.clone(),
            edge_digest: edge.digest.clone(),
            engine: engine.as_str().to_owned(),
            origin: secret.origin.as_str().to_owned(),
            handed: delegation.as_ref().map(json),
            users: json(&secret.users),
            delete_forced: *delete_forced,
            adopted: adopted.clone(),
        }
    }

    fn into_model(self, references: Vec<Reference>) -> Result<Record, StoreError> {
        let row = Row { table: Self::TABLE, key: self.uid.clone() };
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
            delegation: self.handed.map(|delegation| row.json("handed", &delegation)).transpose()?,
            sync_requests: self.sync_requests,
            synced_requests: self.synced_requests,
            adopted: self.adopted,
            delete_forced: self.delete_forced,
            requested_at: None,
        })
    }
}

impl ReferenceRow {
    fn of(uid: Uuid, position: i64, reference: &Reference) -> Self {
        let Reference {
            key,
            vault_secret,
            version,
            encoding,
            part,
            create_pending,
            create_generation,
            status,
        } = reference;
        Self {
            uid: uid.to_string(),
            position,
            key: key.to_string(),
            vault_secret: vault_secret.to_string(),
            version: version.as_ref().map(ToString::to_string),
            encoding: encoding.name().to_owned(),
            create_pending: *create_pending,
            create_generation: *create_generation,
            synced_version: status.synced_version.as_ref().map(ToString::to_string),
            expire_time: status.expire_time.map(Timestamp::as_microsecond),
            vault_update_time: status.vault_update_time.map(Timestamp::as_microsecond),
            settled: status.settled,
            problem: status.problem.as_ref().map(json),
            not_before_time: status.not_before_time.map(Timestamp::as_microsecond),
            held_until: status.held_until.map(Timestamp::as_microsecond),
            part: part.as_str().to_owned(),
            certificate: status.certificate.as_ref().map(json),
        }
    }

    fn into_model(self) -> Result<Reference, StoreError> {
        let row = Row { table: Self::TABLE, key: format!("{}/{}", self.uid, self.position) };
        let encoding = Encoding::named(&self.encoding)
            .ok_or_else(|| row.corrupt("encoding", format!("{:?} is not an encoding", self.encoding)))?;
        Ok(Reference {
            key: row.parse("key", &self.key)?,
            vault_secret: row.parse("vault_secret", &self.vault_secret)?,
            version: self.version.map(|version| row.parse("version", &version)).transpose()?,
            encoding,
            part: row.parse("part", &self.part)?,
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
                not_before_time: self
                    .not_before_time
                    .map(|time| row.time("not_before_time", time))
                    .transpose()?,
                held_until: self.held_until.map(|time| row.time("held_until", time)).transpose()?,
                certificate: self
                    .certificate
                    .map(|certificate| row.json("certificate", &certificate))
                    .transpose()?,
            },
        })
    }
}

/// A synced secret as callers see it: without the internal state of the rotation check.
fn shown(secret: &SyncedSecret) -> SyncedSecret {
    let mut shown = secret.clone();
    for reference in &mut shown.references {
        (reference.status.vault_update_time, reference.status.settled) = (None, false);
        (reference.status.not_before_time, reference.status.held_until) = (None, None);
    }
    shown
}
