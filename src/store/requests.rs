//! The table `requests`: calls with a `request_id` (AIP-155), so that retries are recognized.

use jiff::Timestamp;
use sqlx::{FromRow, Sqlite};
use uuid::Uuid;

use super::{Epoch, Store, StoreError, Transaction, execution::Sql, rows::Row, statements};

statements! {
    SELECT = "SELECT method, fingerprint, uid, response, epoch FROM requests WHERE caller = ?1 AND request_id = ?2";
    INSERT = "
        INSERT INTO requests (caller, request_id, method, fingerprint, uid, response, create_time, epoch)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    ANSWER = "UPDATE requests SET response = ?3 WHERE caller = ?1 AND request_id = ?2";
    DELETE = "DELETE FROM requests WHERE caller = ?1 AND request_id = ?2";
    PRUNE = "DELETE FROM requests WHERE create_time < ?1";
}

/// A call that its caller may retry.
#[derive(Clone, Debug)]
pub struct Request {
    /// The actor, as in the audit.
    pub caller: String,
    /// The caller's `request_id`.
    pub id: Uuid,
    /// The RPC.
    pub method: &'static str,
    /// Keyed digest of the whole request, values included.
    pub fingerprint: [u8; 32],
}

/// A recorded call.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The synced secret that it created or changed.
    pub uid: Option<Uuid>,
    /// Its recorded answer; absent until it is known.
    pub response: Option<Vec<u8>>,
}

#[derive(FromRow)]
struct RequestRow {
    method: String,
    fingerprint: Vec<u8>,
    uid: Option<String>,
    response: Option<Vec<u8>>,
    epoch: Vec<u8>,
}

impl Store {
    /// The recorded call; an error if its id was used for another request, or before a restore, which may
    /// have undone its effect.
    pub async fn recorded(&self, request: &Request) -> Result<Option<Recorded>, StoreError> {
        let select = sqlx::query_as(SELECT)
            .bind(&request.caller)
            .bind(request.id.to_string())
            .fetch_optional(&self.0.readers);
        let row: Option<RequestRow> = self.run(select).await?;
        row.map(|row| row.answer(request, self.epoch())).transpose()
    }
}

impl Transaction {
    /// Records that a call has begun. [`StoreError::RequestRecorded`] if it is recorded already.
    pub async fn begin_request(
        &mut self,
        request: &Request,
        uid: Option<Uuid>,
        response: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        let inserted = sqlx::query(INSERT)
            .bind(&request.caller)
            .bind(request.id.to_string())
            .bind(request.method)
            .bind(request.fingerprint.as_slice())
            .bind(uid.map(|uid| uid.to_string()))
            .bind(response)
            .bind(self.store.clock().as_microsecond())
            .bind(self.store.epoch().0.as_slice())
            .execute(&mut *self.sql);
        match self.store.run(inserted).await {
            Ok(_) => Ok(()),
            Err(StoreError::Database(sqlx::Error::Database(error))) if error.is_unique_violation() => {
                Err(StoreError::RequestRecorded)
            }
            Err(error) => Err(error),
        }
    }

    /// Records the answer of a call.
    pub async fn answer_request(&mut self, request: &Request, response: &[u8]) -> Result<(), StoreError> {
        let answer =
            sqlx::query(ANSWER).bind(request.caller.clone()).bind(request.id.to_string()).bind(response);
        self.store.run(execute(&mut self.sql, answer)).await
    }

    /// Deletes a call that changed nothing, so that it can be retried.
    pub async fn forget_request(&mut self, request: &Request) -> Result<(), StoreError> {
        let delete = sqlx::query(DELETE).bind(request.caller.clone()).bind(request.id.to_string());
        self.store.run(execute(&mut self.sql, delete)).await
    }

    /// Prunes calls from before a time of the database's clock.
    pub async fn prune_requests(&mut self, before: Timestamp) -> Result<(), StoreError> {
        let prune = sqlx::query(PRUNE).bind(before.as_microsecond());
        self.store.run(execute(&mut self.sql, prune)).await
    }
}

async fn execute(
    sql: &mut Sql,
    query: sqlx::query::Query<'_, Sqlite, <Sqlite as sqlx::Database>::Arguments>,
) -> Result<(), StoreError> {
    query.execute(&mut **sql).await?;
    Ok(())
}

impl RequestRow {
    fn answer(self, request: &Request, epoch: Epoch) -> Result<Recorded, StoreError> {
        if self.epoch != epoch.0 {
            return Err(StoreError::RequestOfAnotherHistory);
        }
        if self.method != request.method || self.fingerprint != request.fingerprint {
            return Err(StoreError::RequestIdReused);
        }
        let row = Row { table: "requests", key: request.id.to_string() };
        let uid = self.uid.map(|uid| uid.parse().map_err(|error| row.corrupt("uid", error))).transpose()?;
        Ok(Recorded { uid, response: self.response })
    }
}
